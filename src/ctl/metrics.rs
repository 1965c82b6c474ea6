//! `autotunectl metrics`.

use super::exit::Exit;
use super::session::{Session, Trouble};
use crate::wire::metrics::text;
use crate::wire::reply::Reply;
use crate::wire::request::Request;

pub async fn carry_out(session: &mut Session) -> Result<Exit, Trouble> {
    let Reply::Metrics(families) = session.ask(&Request::Metrics).await? else {
        return Err(Trouble::OffTopic);
    };
    if session.json {
        session.print_json(&families)?;
    } else {
        session.print(&text(&families))?;
    }
    Ok(Exit::Done)
}
