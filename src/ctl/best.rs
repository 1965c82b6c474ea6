//! `autotunectl best`.

use std::path::PathBuf;

use super::exit::Exit;
use super::prose;
use super::session::{Session, Trouble};
use crate::base::file;
use crate::base::wrap::wrap;
use crate::report::phrase::clean;
use crate::term::tables::{Column, DEFAULT_WIDTH, Table};
use crate::wire::reply::{Best, Reply};
use crate::wire::request::Request;

/// Shows the best values so far, and how much better they are
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  autotunectl best
  autotunectl best --env > best.env
  autotunectl best --export best.json

Best is the trial with the best objective among those that keep all
constraints and have all their runs. What leads by only some of its runs is
told, and becomes the best once it has them all.")]
pub struct Args {
    /// Print NAME=VALUE lines, for a shell
    #[arg(long)]
    env: bool,
    /// Write the values to a file: JSON, or NAME=VALUE lines with --env
    #[arg(long, value_name = "FILE")]
    export: Option<PathBuf>,
}

pub async fn carry_out(session: &mut Session, args: &Args) -> Result<Exit, Trouble> {
    let Reply::Best(best) = session.ask(&Request::Best).await? else {
        return Err(Trouble::OffTopic);
    };
    if let Some(path) = &args.export {
        let text = if args.env { env(&best) } else { json(&best) };
        file::replace(path, text.as_bytes()).map_err(|source| Trouble::File {
            path: path.clone(),
            source,
        })?;
        session.note(&format!(
            "the values of trial {} are in {}",
            best.measured.trial,
            path.display()
        ));
    }
    if session.json {
        session.print_json(&best)?;
    } else if args.env && args.export.is_none() {
        session.print(&env(&best))?;
    } else if args.export.is_none() {
        session.print(&text(&best, session.color))?;
    }
    Ok(Exit::Done)
}

fn env(best: &Best) -> String {
    let lines = best.params.iter().map(|p| prose::assignment(p) + "\n");
    lines.collect()
}

fn json(best: &Best) -> String {
    let params = best.params.iter();
    let map: serde_json::Map<_, _> = params
        .map(|param| (param.name.clone(), param.value.clone().into()))
        .collect();
    format!("{:#}\n", serde_json::Value::Object(map))
}

fn text(best: &Best, color: bool) -> String {
    let trial = best.measured.trial;
    let measured = format!("Trial {trial}: {}", prose::metrics(&best.measured));
    let gain = prose::gain(&best.gain, &best.objective);
    let mut text = String::new();
    let notes = best.confirmation.as_ref().map(prose::confirmation);
    let notes = notes.filter(|notes| !notes.is_empty());
    let notes = notes.map(|notes| wrap("", "  ", &format!("Confirmation: {notes}")));
    let lines = [wrap("", "  ", &measured), wrap("", "  ", &gain)];
    for line in lines.into_iter().chain(notes).flatten() {
        text = text + &line + "\n";
    }
    if let Some(artifacts) = &best.artifacts {
        for line in wrap(
            "",
            "  ",
            &format!("Artifacts: {}", prose::artifacts(artifacts)),
        ) {
            text = text + &line + "\n";
        }
    }
    for kept in &best.kept {
        for line in wrap("", "  ", &prose::kept(&kept.constraint, kept.confidence)) {
            text = text + &line + "\n";
        }
    }
    if let Some(leader) = &best.leader {
        for line in wrap("", "  ", &format!("Meanwhile {}", prose::leads(leader))) {
            text = text + &line + "\n";
        }
    }
    text.push('\n');
    let mut table = Table::new([
        Column::left("PARAMETER"),
        Column::left("VALUE").flexible(),
        Column::left("AT THE START").flexible(),
    ]);
    for param in &best.params {
        let change = best.changes.iter().find(|c| c.name == param.name);
        let from = change.map(|change| change.from.as_deref().unwrap_or("–"));
        table.row([
            clean(&param.name),
            clean(&param.value),
            from.map(clean).unwrap_or_default(),
        ]);
    }
    text += &table.render(DEFAULT_WIDTH, color);
    text
}
