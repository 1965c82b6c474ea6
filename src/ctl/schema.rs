//! `autotunectl schema`: what the verbs print with `--json`, made from the very
//! types that are printed.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde_json::Value as Json;

use super::events::Printed;
use super::exit::Exit;
use super::export::Told;
use super::params::Arguments;
use super::ping::Versions;
use super::presets::{PresetText, Presets, Written};
use super::report::Kept;
use super::session::{Refused, Session, Trouble};
use super::steer::Changed;
use super::why::Why;
use crate::wire::reply::{
    AdvisorTested, Best, Channel, Doctor, Family, Importance, Pong, Settings, Space, Status,
    Tested, TrialDetail, Trials,
};

/// The version of all shapes. A key may be added, and a word to those that a
/// text may be, within a version; any other change raises it.
pub const VERSION: u32 = 1;

/// Prints the JSON schema of what a verb prints with --json
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  autotunectl schema                  which there are
  autotunectl schema status           that of `autotunectl status --json`
  autotunectl schema notify test
  autotunectl schema set NAME=VALUE   that of a change, not of the list

The schemas are of the draft 2020-12. The number in their `$id` is the version
of all shapes: within it keys are only added, and so a reader should leave aside
what it does not know. Needs no daemon.")]
pub struct Args {
    /// The verb
    verb: Vec<String>,
}

type Make = fn() -> Schema;

/// What is printed by which verb.
const ALL: &[(&str, Make)] = &[
    ("status", shape::<Status>),
    ("best", shape::<Best>),
    ("trials", shape::<Trials>),
    ("show", shape::<TrialDetail>),
    ("why", shape::<Why<'_>>),
    ("importance", shape::<Importance>),
    ("report", shape::<Kept>),
    ("export", shape::<Told>),
    ("events", shape::<Printed>),
    ("metrics", shape::<Vec<Family>>),
    ("pause", shape::<Changed>),
    ("resume", shape::<Changed>),
    ("stop", shape::<Changed>),
    ("skip", shape::<Changed>),
    ("reload", shape::<Changed>),
    ("retry", shape::<Changed>),
    ("enqueue", shape::<Changed>),
    ("approve", shape::<Changed>),
    ("reject", shape::<Changed>),
    ("space", shape::<Space>),
    ("space add", shape::<Changed>),
    ("space remove", shape::<Changed>),
    ("space set", shape::<Changed>),
    ("space new", shape::<Changed>),
    ("space order", shape::<Changed>),
    ("space reset", shape::<Changed>),
    ("set", shape::<Settings>),
    ("set NAME=VALUE", shape::<Changed>),
    ("notify", shape::<Vec<Channel>>),
    ("notify list", shape::<Vec<Channel>>),
    ("notify test", shape::<Vec<Tested>>),
    ("advisor setup", shape::<AdvisorTested>),
    ("advisor test", shape::<AdvisorTested>),
    ("doctor", shape::<Doctor>),
    ("ping", shape::<Pong>),
    ("version", shape::<Versions>),
    ("presets", shape::<Presets>),
    ("presets PRESET", shape::<PresetText>),
    ("init", shape::<Written>),
    ("params", shape::<Arguments<'_>>),
    (REFUSED, shape::<Refused<'_>>),
];

/// What every verb prints when the daemon refuses: no verb.
const REFUSED: &str = "refused";

pub fn carry_out(session: &mut Session, args: &Args) -> Result<Exit, Trouble> {
    if args.verb.is_empty() {
        let names: Vec<&str> = ALL.iter().map(|(name, _)| *name).collect();
        if session.json {
            session.print_json(&names)?;
        } else {
            session.print(&format!("{}\n", names.join("\n")))?;
        }
        return Ok(Exit::Done);
    }
    let verb = args.verb.join(" ");
    let schema = of(&verb).ok_or_else(|| {
        Trouble::Usage(format!(
            "`{verb}` prints no JSON; `autotunectl schema` lists what does"
        ))
    })?;
    session.print_json(&schema)?;
    Ok(Exit::Done)
}

fn shape<T: JsonSchema>() -> Schema {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    settings.into_generator().into_root_schema_for::<T>()
}

fn of(verb: &str) -> Option<Json> {
    let (name, make) = ALL.iter().find(|(name, _)| *name == verb)?;
    let mut schema = make();
    let id = name.replace(' ', "-").to_lowercase();
    schema.insert(
        "$id".to_owned(),
        format!("urn:autotune:json:{VERSION}:{id}").into(),
    );
    let title = if *name == REFUSED {
        "What a verb prints with --json when the daemon refuses".to_owned()
    } else {
        format!("autotunectl {name} --json")
    };
    schema.insert("title".to_owned(), title.into());
    Some(schema.to_value())
}

#[cfg(test)]
#[path = "schema_tests.rs"]
mod tests;
