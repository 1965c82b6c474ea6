//! `autotunectl params`: what the arguments of a program are that studies
//! often tune. It needs no daemon.

use std::fmt::Write as _;
use std::io::{self, ErrorKind};

use clap::ValueEnum;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::exit::Exit;
use super::session::{Session, Trouble};
use crate::base::wrap::wrap;
use crate::catalogue::{Catalogue, Entry, Generation, ms_swift, renamed};
use crate::model::space::nearest;
use crate::term::color::{ACCENT, BOLD, paint};
use crate::term::tables::{Column, DEFAULT_WIDTH, Table, pairs};
use crate::term::width::fold;

/// How wide the names of a detail are, with the gap behind them.
const LEAD: usize = 14;

/// What `--json` prints.
#[derive(Serialize, JsonSchema)]
pub(super) struct Arguments<'a> {
    program: &'static str,
    /// The release of it that is described.
    release: &'a str,
    arguments: Vec<Explained<'a>>,
}

/// One argument.
#[derive(Serialize, JsonSchema)]
struct Explained<'a> {
    name: &'a str,
    group: &'a str,
    /// The commands that take it; none for what is for a model.
    commands: &'a [String],
    /// The models that it is for; none for all.
    models: &'a [String],
    #[serde(rename = "type")]
    kind: &'a str,
    /// Whether it takes several values.
    list: bool,
    /// What it is when it is not given.
    default: Option<serde_json::Value>,
    /// What it may be; none for anything of its type.
    choices: Vec<String>,
    /// Whether its makers recommend to look at it.
    recommended: bool,
    /// The conditions under which it has an effect.
    when: Vec<&'a str>,
    /// Its name in the release before.
    former: Option<&'a str>,
    /// A domain to begin a search with, as it stands in `[space]`.
    space: Option<&'a str>,
    /// What it is, in Chinese; empty where nobody wrote it.
    zh: &'a str,
    /// The same in English.
    en: &'a str,
}

/// Explains the arguments of a program, and how to search them
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  autotunectl params ms-swift --command sft
  autotunectl params ms-swift --group lora --lang zh
  autotunectl params ms-swift --search rank
  autotunectl params ms-swift lora_rank

What is marked with * is recommended by its makers. Needs no daemon.")]
pub struct Args {
    /// The program
    program: Program,
    /// The argument to show in full; `-` and `_` are one
    #[arg(value_name = "NAME", conflicts_with_all = ["group", "search"])]
    name: Option<String>,
    /// Only those about one thing: lora, data, vllm …
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,
    /// Only those with this in their name or meaning
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Only those of one command: sft, deploy, export …
    #[arg(long, value_name = "COMMAND")]
    command: Option<String>,
    /// The generation of ms-swift
    #[arg(long, value_enum, default_value = "3")]
    release: Release,
    /// The language of what they mean
    #[arg(long, value_enum, default_value = "en")]
    lang: Language,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Program {
    MsSwift,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Release {
    #[value(name = "3")]
    Three,
    #[value(name = "4")]
    Four,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Language {
    Zh,
    En,
}

impl Args {
    fn generation(&self) -> Generation {
        match self.release {
            Release::Three => Generation::Three,
            Release::Four => Generation::Four,
        }
    }

    fn meaning<'a>(&self, entry: Entry<'a>) -> &'a str {
        match self.lang {
            Language::Zh => &entry.argument.zh,
            Language::En => &entry.argument.en,
        }
    }

    /// Whether an argument is asked for, and of those that have its name the
    /// one that counts for the command.
    fn wants(&self, catalogue: &Catalogue, entry: Entry<'_>) -> bool {
        let name = entry.argument.name.as_str();
        if let Some(command) = &self.command {
            let own = catalogue.of(command, name).last();
            if !own.is_some_and(|own| std::ptr::eq(own.argument, entry.argument)) {
                return false;
            }
        }
        let text = self.search.as_ref().map(|text| text.to_lowercase());
        let is_found = text.is_none_or(|text| {
            let argument = entry.argument;
            let former = argument.former.as_deref().unwrap_or_default();
            let places = [name, former, &argument.zh, &argument.en];
            let plain = text.replace('-', "_");
            places.iter().any(|place| {
                let place = place.to_lowercase();
                place.contains(&text) || place.contains(&plain)
            })
        });
        is_found && self.group.as_ref().is_none_or(|g| *g == entry.group.name)
    }
}

pub fn carry_out(session: &Session, args: &Args) -> Result<Exit, Trouble> {
    let Program::MsSwift = args.program;
    let catalogue = ms_swift(args.generation());
    known(args, catalogue)?;
    let entries: Vec<Entry<'_>> = match &args.name {
        Some(name) => catalogue
            .named(name)
            .filter(|entry| args.wants(catalogue, *entry))
            .collect(),
        None => catalogue
            .entries()
            .filter(|entry| args.wants(catalogue, *entry))
            .collect(),
    };
    if entries.is_empty() {
        return Err(missing(nothing(args, catalogue)));
    }
    if session.json {
        session.print_json(&Arguments {
            program: "ms-swift",
            release: &catalogue.release,
            arguments: entries.iter().map(|entry| as_json(*entry)).collect(),
        })?;
    } else if args.name.is_some() {
        session.print(&details(session, args, &catalogue.release, &entries))?;
    } else {
        session.print(&list(session, args, &catalogue.release, &entries))?;
    }
    Ok(Exit::Done)
}

/// Refuses a group or a command that there is not.
fn known(args: &Args, catalogue: &Catalogue) -> Result<(), Trouble> {
    let groups: Vec<&str> = catalogue.groups.iter().map(|g| g.name.as_str()).collect();
    let commands: Vec<&str> = catalogue.commands().into_iter().collect();
    let wanted = [
        ("group", &args.group, groups),
        ("command", &args.command, commands),
    ];
    for (what, given, names) in wanted {
        let Some(given) = given else { continue };
        if !names.contains(&given.as_str()) {
            let release = &catalogue.release;
            let hint = nearest(given, names.iter().copied()).map_or_else(
                || format!("there are {}", names.join(", ")),
                |name| format!("did you mean `{name}`?"),
            );
            let text = format!("ms-swift {release} has no {what} `{given}`: {hint}");
            return Err(missing(text));
        }
    }
    Ok(())
}

/// What to say when nothing is found.
fn nothing(args: &Args, catalogue: &Catalogue) -> String {
    let release = &catalogue.release;
    let Some(name) = &args.name else {
        return format!("no argument of ms-swift {release} is like that");
    };
    let command = args.command.as_deref();
    let of = command.map_or(String::new(), |command| format!("swift {command} of "));
    let mut text = format!("{of}ms-swift {release} has no argument `{name}`");
    let other = args.generation().other();
    if let Some(new) = renamed(args.generation(), name) {
        let _ = write!(text, ": it is called `{new}` there");
    } else if ms_swift(other).named(name).next().is_some() {
        let there = if other == Generation::Three { 3 } else { 4 };
        let _ = write!(text, ", --release {there} has it");
    } else if let Some(near) = catalogue.nearest(command, name) {
        let _ = write!(text, ": did you mean `{near}`?");
    }
    text
}

fn missing(text: String) -> Trouble {
    io::Error::new(ErrorKind::NotFound, text).into()
}

/// A table for each group, its texts shortened to fit.
fn list(session: &Session, args: &Args, release: &str, entries: &[Entry<'_>]) -> String {
    let mut text = format!("ms-swift {release}; * is recommended\n");
    for entries in entries.chunk_by(|a, b| std::ptr::eq(a.group, b.group)) {
        let Some(first) = entries.first() else {
            continue;
        };
        let group = paint(&first.group.name, BOLD, session.color);
        let models = match first.group.models.as_slice() {
            [] => String::new(),
            models => format!(": environment, for {}", models.join(", ")),
        };
        let _ = write!(text, "\n{group}{models}\n");
        let columns = [
            Column::left(""),
            Column::left("name"),
            Column::left("type"),
            Column::left("default").flexible(),
            Column::left("").flexible(),
        ];
        let mut table = Table::new(columns);
        for entry in entries {
            let argument = entry.argument;
            let mark = if argument.recommended { "*" } else { "" };
            let several = if argument.list { " …" } else { "" };
            table.row([
                mark.to_owned(),
                argument.name.clone(),
                format!("{}{several}", argument.kind.name()),
                argument.default_text().unwrap_or_default(),
                args.meaning(*entry).to_owned(),
            ]);
        }
        text.push_str(&table.render(DEFAULT_WIDTH, session.color));
    }
    text
}

/// All that is known of arguments of one name.
fn details(session: &Session, args: &Args, release: &str, entries: &[Entry<'_>]) -> String {
    let mut blocks = Vec::new();
    for entry in entries {
        let argument = entry.argument;
        let mut block = paint(&argument.name, ACCENT, session.color);
        block.push('\n');
        let meaning = args.meaning(*entry);
        if !meaning.is_empty() {
            block.push_str(&wrap("", "", meaning).join("\n"));
            block.push('\n');
        }
        let folded = |text: String| fold(&text, DEFAULT_WIDTH - LEAD).join("\n");
        let several = if argument.list { ", several" } else { "" };
        let mut rows = vec![
            ("release", release.to_owned()),
            ("group", entry.group.name.clone()),
        ];
        match entry.group.models.as_slice() {
            [] => rows.push(("commands", folded(entry.commands().join(" ")))),
            models => rows.push(("models", folded(models.join(" ")))),
        }
        rows.push(("type", format!("{}{several}", argument.kind.name())));
        let default = argument.default_text().filter(|text| !text.is_empty());
        rows.extend(default.map(|text| ("default", folded(text))));
        let choices: Vec<String> = argument.choices().collect();
        if !choices.is_empty() {
            rows.push(("choices", folded(choices.join(" "))));
        }
        let whens: Vec<&str> = entry.whens().collect();
        if !whens.is_empty() {
            rows.push(("only when", folded(whens.join(" and "))));
        }
        if argument.recommended {
            rows.push(("recommended", "yes".to_owned()));
        }
        let other = args.generation().other();
        if let Some(name) = renamed(other, &argument.name) {
            let release = &ms_swift(other).release;
            rows.push(("also called", format!("{name} in {release}")));
        }
        if let Some(tune) = &argument.tune {
            rows.push(("in [space]", format!("{} = {tune}", argument.name)));
        }
        block.push_str(&pairs(rows, session.color));
        blocks.push(block);
    }
    blocks.join("\n")
}

fn as_json(entry: Entry<'_>) -> Explained<'_> {
    let argument = entry.argument;
    Explained {
        name: &argument.name,
        group: &entry.group.name,
        commands: entry.commands(),
        models: &entry.group.models,
        kind: argument.kind.name(),
        list: argument.list,
        default: argument.default.as_ref().map(|value| json!(value)),
        choices: argument.choices().collect(),
        recommended: argument.recommended,
        when: entry.whens().collect(),
        former: argument.former.as_deref(),
        space: argument.tune.as_deref(),
        zh: &argument.zh,
        en: &argument.en,
    }
}
