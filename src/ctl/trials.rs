//! `autotunectl trials`.

use clap::ValueEnum;

use super::exit::Exit;
use super::prose;
use super::session::{Session, Trouble};
use crate::report::phrase::clean;
use crate::term::color::{BAD, DIM, DOUBTFUL, GOOD};
use crate::term::number::{FIGURES, significant};
use crate::term::tables::{Cell, Column, DEFAULT_WIDTH, Table};
use crate::wire::reply::{Reply, TrialRow, Trials};
use crate::wire::request::{self, Request, TrialsQuery};

/// Lists the trials
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  autotunectl trials
  autotunectl trials --outcome failed --outcome infeasible
  autotunectl trials --sort objective --limit 10")]
pub struct Args {
    /// Only those of this outcome; may be given several times
    #[arg(long, value_name = "OUTCOME")]
    outcome: Vec<Outcome>,
    /// The order
    #[arg(long, value_name = "BY", default_value = "number")]
    sort: Sort,
    /// Turn the order round
    #[arg(long)]
    reverse: bool,
    /// At most so many
    #[arg(long, short = 'n', value_name = "N")]
    limit: Option<u32>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Outcome {
    /// All runs are good, all constraints are kept
    Complete,
    /// A constraint is missed
    Infeasible,
    /// Ended early
    Pruned,
    /// Something broke
    Failed,
    /// To be tried
    Planned,
    /// Being tried
    Running,
    /// To be gone on with
    Interrupted,
    /// To be tried again, since the host got in the way
    HeldUp,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Sort {
    /// As they were planned
    Number,
    /// The best first
    Objective,
    /// The longest first
    Time,
}

pub async fn carry_out(session: &mut Session, args: &Args) -> Result<Exit, Trouble> {
    let most = args.limit.unwrap_or(u32::MAX);
    let mut query = TrialsQuery {
        outcomes: args.outcome.iter().map(|o| word(*o).to_owned()).collect(),
        sort: match args.sort {
            Sort::Number => request::Sort::Number,
            Sort::Objective => request::Sort::Objective,
            Sort::Time => request::Sort::Time,
        },
        reverse: args.reverse,
        offset: 0,
        limit: most,
    };
    let mut all: Option<Trials> = None;
    loop {
        let Reply::Trials(page) = session.ask(&Request::Trials(query.clone())).await? else {
            return Err(Trouble::OffTopic);
        };
        let got = page.rows.len() as u32;
        query.offset += got;
        query.limit = most - query.offset;
        let last = got == 0 || query.offset >= page.total.min(most);
        match &mut all {
            None => all = Some(page),
            Some(all) => all.rows.extend(page.rows),
        }
        if last {
            break;
        }
    }
    let Some(all) = all else {
        return Err(Trouble::OffTopic);
    };
    if session.json {
        session.print_json(&all)?;
    } else {
        session.print(&text(&all, session.color))?;
    }
    Ok(Exit::Done)
}

const fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Complete => "complete",
        Outcome::Infeasible => "infeasible",
        Outcome::Pruned => "pruned",
        Outcome::Failed => "failed",
        Outcome::Planned => "planned",
        Outcome::Running => "running",
        Outcome::Interrupted => "interrupted",
        Outcome::HeldUp => "held up",
    }
}

fn text(trials: &Trials, color: bool) -> String {
    if trials.rows.is_empty() {
        return "no trial yet\n".to_owned();
    }
    let constrained = trials.rows.iter().any(|row| !row.constraints.is_empty());
    let mut columns = vec![
        Column::right("TRIAL"),
        Column::left("OUTCOME"),
        Column::left("TRIED").flexible(),
        Column::right(clean(&trials.objective.metric)),
    ];
    if constrained {
        let name = trials.constraints.first().map_or("", String::as_str);
        columns.push(Column::right(clean(name)));
    }
    columns.push(Column::right("RUNS"));
    columns.push(Column::right("TIME"));
    let mut table = Table::new(columns);
    for row in &trials.rows {
        let mut cells = vec![
            Cell::from(row.trial.to_string()),
            outcome(row),
            Cell::from(prose::changes(&row.changes)),
            Cell::from(
                row.objective
                    .as_ref()
                    .map(prose::summary)
                    .unwrap_or_default(),
            ),
        ];
        if constrained {
            let checked = row.constraints.first().copied().flatten();
            cells.push(match checked {
                Some(checked) if checked.missed => {
                    Cell::styled(significant(checked.mean, FIGURES), BAD)
                }
                Some(checked) => significant(checked.mean, FIGURES).into(),
                None => "".into(),
            });
        }
        cells.push(row.runs.to_string().into());
        cells.push(Cell::from(prose::duration(row.elapsed)));
        table.row(cells);
    }
    let mut text = table.render(DEFAULT_WIDTH, color);
    let shown = trials.rows.len();
    if (shown as u32) < trials.total {
        text += &format!("{shown} of {} trials\n", trials.total);
    }
    text
}

fn outcome(row: &TrialRow) -> Cell {
    let star = if row.is_best { " ★" } else { "" };
    let word = format!("{}{star}", clean(&row.outcome));
    match row.outcome.as_str() {
        _ if row.is_best => Cell::styled(word, GOOD),
        "failed" | "infeasible" => Cell::styled(word, BAD),
        "pruned" | "held up" | "interrupted" => Cell::styled(word, DOUBTFUL),
        "planned" => Cell::styled(word, DIM),
        _ => word.into(),
    }
}
