//! `autotunectl presets`, `autotunectl init`: what a spec can build on. They
//! need no daemon.

use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use clap::builder::PossibleValuesParser;
use schemars::JsonSchema;
use serde::Serialize;

use super::exit::Exit;
use super::session::{Session, Trouble};
use crate::config::presets::{self, Preset};
use crate::config::{self, Origin};
use crate::term::tables::{Column, DEFAULT_WIDTH, Table};

/// What `presets --json` prints.
#[derive(Serialize, JsonSchema)]
pub(super) struct Presets {
    presets: Vec<PresetLine>,
}

/// A preset of the list.
#[derive(Serialize, JsonSchema)]
struct PresetLine {
    name: &'static str,
    /// What it tunes.
    summary: &'static str,
}

/// What `presets PRESET --json` prints.
#[derive(Serialize, JsonSchema)]
pub(super) struct PresetText {
    name: &'static str,
    /// What it tunes.
    summary: &'static str,
    /// The spec, in TOML.
    text: &'static str,
}

/// What `init --json` prints.
#[derive(Serialize, JsonSchema)]
pub(super) struct Written {
    preset: &'static str,
    /// Where the spec is.
    file: String,
    /// What has to be filled in, a sentence each.
    missing: Vec<String>,
}

/// Lists the presets that a spec can build on, or shows one
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  autotunectl presets
  autotunectl presets vllm

`preset = \"vllm\"` at the top of a spec fills in what it does not say itself.
`autotunectl init vllm` makes a file of it instead, to be changed at will.")]
pub struct List {
    /// The preset to show
    #[arg(value_parser = names())]
    preset: Option<String>,
}

/// Writes a preset as a spec to start from
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  autotunectl init vllm
  autotunectl init llama-cpp --output study.toml

It overwrites nothing. What only you can know is marked in it by `required`.")]
pub struct Init {
    /// The preset to begin with
    #[arg(value_parser = names())]
    preset: Option<String>,
    /// The file to write [default: PRESET.toml]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(presets::ALL.map(|preset| preset.name))
}

fn find(name: &str) -> Result<&'static Preset, Trouble> {
    let missing = || io::Error::new(ErrorKind::NotFound, format!("there is no preset {name}"));
    Ok(presets::find(name).ok_or_else(missing)?)
}

pub fn list(session: &mut Session, args: &List) -> Result<Exit, Trouble> {
    match &args.preset {
        Some(name) => show(session, find(name)?),
        None => list_all(session),
    }
}

fn show(session: &mut Session, preset: &Preset) -> Result<Exit, Trouble> {
    if session.json {
        session.print_json(&PresetText {
            name: preset.name,
            summary: preset.summary,
            text: preset.text,
        })?;
    } else {
        session.print(preset.text)?;
    }
    Ok(Exit::Done)
}

fn list_all(session: &mut Session) -> Result<Exit, Trouble> {
    if session.json {
        let all = presets::ALL.iter().map(|preset| PresetLine {
            name: preset.name,
            summary: preset.summary,
        });
        session.print_json(&Presets {
            presets: all.collect(),
        })?;
        return Ok(Exit::Done);
    }
    session.print(&table(session.color)?)?;
    Ok(Exit::Done)
}

/// All presets, a line each.
fn table(color: bool) -> io::Result<String> {
    let mut table = Table::new([Column::left("preset"), Column::left("tunes").flexible()]);
    for preset in &presets::ALL {
        table.row([preset.name.to_owned(), preset.summary.to_owned()]);
    }
    let mut shown = Vec::new();
    table.write(&mut shown, DEFAULT_WIDTH, color)?;
    Ok(String::from_utf8_lossy(&shown).into_owned())
}

pub fn init(session: &mut Session, args: &Init) -> Result<Exit, Trouble> {
    let Some(name) = &args.preset else {
        let all = table(false)?;
        let text = format!("which preset?\n\n{all}\nfor instance: autotunectl init vllm");
        return Err(Trouble::Usage(text));
    };
    let preset = find(name)?;
    let chosen = args.output.clone();
    let path = chosen.unwrap_or_else(|| PathBuf::from(format!("{}.toml", preset.name)));
    write_new(&path, preset.text)?;
    // What is marked `required` is all that there is to complain about.
    let missing: Vec<String> = match config::check(preset.text, &Origin::of(&path)) {
        Ok(_) => Vec::new(),
        Err(complaints) => {
            let line = |c| format!("line {}: {}", complaints.position(c).0, c.message);
            complaints.iter().map(line).collect()
        }
    };
    let shown = path.display().to_string();
    if session.json {
        session.print_json(&Written {
            preset: preset.name,
            file: shown,
            missing,
        })?;
        return Ok(Exit::Done);
    }
    let mut text = format!("{shown} is written\n");
    for line in &missing {
        text.push_str(&format!("  {line}\n"));
    }
    text.push_str(&format!("then: autotuned check {shown}\n"));
    session.print(&text)?;
    Ok(Exit::Done)
}

/// Writes a file that is not there yet.
fn write_new(path: &Path, text: &str) -> Result<(), Trouble> {
    let failed = |source| Trouble::File {
        path: path.to_owned(),
        source,
    };
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => {
                let text = "it is there already; --output names another";
                failed(io::Error::new(ErrorKind::AlreadyExists, text))
            }
            _ => failed(error),
        })?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all());
    written.map_err(|error| {
        // A part of a spec is of no use, and would be in the way of the next try.
        let _ = std::fs::remove_file(path);
        failed(error)
    })
}
