//! `autotunectl ping`, `autotunectl version`.

use schemars::JsonSchema;
use serde::Serialize;

use super::exit::Exit;
use super::schema;
use super::session::{Session, Trouble};
use crate::report::phrase::clean;
use crate::wire::hello::OURS;
use crate::wire::reply::{Pong, Reply};
use crate::wire::request::Request;

/// What `version --json` prints.
#[derive(Serialize, JsonSchema)]
pub(super) struct Versions {
    autotunectl: Own,
    /// The daemon, where one answers.
    autotuned: Option<Daemon>,
}

/// This program.
#[derive(Serialize, JsonSchema)]
struct Own {
    version: String,
    /// The lowest and the highest version of the control protocol.
    protocols: [u16; 2],
    /// The version of all shapes of JSON; see `autotunectl schema`.
    json: u32,
}

/// A daemon.
#[derive(Serialize, JsonSchema)]
struct Daemon {
    version: String,
    /// The version of the control protocol that is spoken.
    protocol: u16,
}

async fn ask(session: &mut Session) -> Result<Pong, Trouble> {
    match session.ask(&Request::Ping).await? {
        Reply::Pong(pong) => Ok(pong),
        _ => Err(Trouble::OffTopic),
    }
}

pub async fn ping(session: &mut Session) -> Result<Exit, Trouble> {
    let pong = ask(session).await?;
    if session.json {
        session.print_json(&pong)?;
    } else {
        session.print(&format!(
            "autotuned {} (process {}) works on study {} in {}\n",
            clean(&pong.version),
            pong.pid,
            clean(&pong.study),
            clean(&pong.output_dir),
        ))?;
    }
    Ok(Exit::Done)
}

pub async fn version(session: &mut Session) -> Result<Exit, Trouble> {
    let own = env!("CARGO_PKG_VERSION");
    let pong = ask(session).await;
    if session.json {
        let autotuned = pong.as_ref().ok().map(|pong| Daemon {
            version: pong.version.clone(),
            protocol: pong.protocol,
        });
        session.print_json(&Versions {
            autotunectl: Own {
                version: own.to_owned(),
                protocols: [OURS.lowest, OURS.highest],
                json: schema::VERSION,
            },
            autotuned,
        })?;
    } else {
        session.print(&format!("autotunectl {own}\n"))?;
        if let Ok(pong) = &pong {
            let version = clean(&pong.version);
            session.print(&format!("autotuned   {version}\n"))?;
        }
    }
    pong.map(|_| Exit::Done)
}
