//! `autotunectl trials`.

use clap::ValueEnum;

use super::exit::Exit;
use super::prose;
use super::session::{Session, Trouble};
use crate::report::phrase::clean;
use crate::term::color::{BAD, DIM, DOUBTFUL, GOOD};
use crate::term::number::{FIGURES, significant};
use crate::term::tables::{Cell, Column, DEFAULT_WIDTH, Table};
use crate::wire::reply::{Checked, Reply, TrialRow, Trials};
use crate::wire::request::{self, Request, TrialsQuery};

/// Lists the trials
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  autotunectl trials
  autotunectl trials --outcome failed --outcome infeasible
  autotunectl trials --sort objective --limit 10
  autotunectl trials --columns trial,params,metrics
  autotunectl trials --columns trial,startup,cause --outcome failed

With --json every trial has everything.")]
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
    /// These columns, in this order
    #[arg(long, value_name = "COLUMN,...", value_delimiter = ',')]
    columns: Vec<Shown>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shown {
    /// Its number
    Trial,
    /// What came of it
    Outcome,
    /// Who wanted it
    Origin,
    /// The values that differ from the starting ones
    Params,
    /// The metric that is optimised
    Objective,
    /// The metric of each constraint
    Constraints,
    /// All metrics
    Metrics,
    /// Good runs
    Runs,
    /// How long the services took to be ready
    Startup,
    /// The time spent on it
    Elapsed,
    /// What made it fail, in a word
    Cause,
    /// What made it fail, in a sentence
    Failure,
    /// What the advisor said of it, or why it was of no help
    Advice,
}

/// What is shown when nothing is chosen; of the constraints the first.
const USUAL: [Shown; 7] = [
    Shown::Trial,
    Shown::Outcome,
    Shown::Params,
    Shown::Objective,
    Shown::Constraints,
    Shown::Runs,
    Shown::Elapsed,
];

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
    /// The best first, what misses a constraint after the others
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
        session.print(&text(&all, &args.columns, session.color))?;
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

fn text(trials: &Trials, chosen: &[Shown], color: bool) -> String {
    if trials.rows.is_empty() {
        return "no trial yet\n".to_owned();
    }
    let all = trials.constraints.len();
    let (shown, constraints) = match chosen {
        [] => (&USUAL[..], all.min(1)),
        chosen => (chosen, all),
    };
    let constraints = &trials.constraints[..constraints];
    let columns = shown.iter().flat_map(|shown| match shown {
        Shown::Trial => vec![Column::right("TRIAL")],
        Shown::Outcome => vec![Column::left("OUTCOME")],
        Shown::Origin => vec![Column::left("ORIGIN")],
        Shown::Params => vec![Column::left("TRIED").folded()],
        Shown::Objective => vec![Column::right(clean(&trials.objective.metric))],
        Shown::Constraints => {
            let names = constraints.iter().map(|name| Column::right(clean(name)));
            names.collect()
        }
        Shown::Metrics => vec![Column::left("METRICS").flexible()],
        Shown::Runs => vec![Column::right("RUNS")],
        Shown::Startup => vec![Column::right("STARTUP")],
        Shown::Elapsed => vec![Column::right("TIME")],
        Shown::Cause => vec![Column::left("CAUSE")],
        Shown::Failure => vec![Column::left("FAILURE").flexible()],
        Shown::Advice => vec![Column::left("ADVICE").folded()],
    });
    let mut table = Table::new(columns);
    for row in &trials.rows {
        let cells = shown
            .iter()
            .flat_map(|shown| cells(*shown, row, constraints.len()));
        table.row(cells);
    }
    let mut text = table.render(DEFAULT_WIDTH, color);
    let shown = trials.rows.len();
    if (shown as u32) < trials.total {
        text += &format!("{shown} of {} trials\n", trials.total);
    }
    text
}

fn cells(shown: Shown, row: &TrialRow, constraints: usize) -> Vec<Cell> {
    let one = match shown {
        Shown::Trial => row.trial.to_string().into(),
        Shown::Outcome => outcome(row),
        Shown::Origin => Cell::from(row.origin.as_str()),
        Shown::Params => prose::changes(&row.changes).into(),
        Shown::Objective => row
            .objective
            .as_ref()
            .map(prose::summary)
            .unwrap_or_default()
            .into(),
        Shown::Constraints => {
            let checked = row
                .constraints
                .iter()
                .copied()
                .chain(std::iter::repeat(None));
            return checked.take(constraints).map(constraint).collect();
        }
        Shown::Metrics => prose::listed(&row.metrics).into(),
        Shown::Runs => row.runs.to_string().into(),
        Shown::Startup => row.startup.map(prose::duration).unwrap_or_default().into(),
        Shown::Elapsed => prose::duration(row.elapsed).into(),
        Shown::Cause => Cell::from(row.cause.as_deref().unwrap_or_default()),
        Shown::Failure => Cell::from(row.failure.as_deref().unwrap_or_default()),
        Shown::Advice => Cell::from(row.advice.as_deref().map(clean).unwrap_or_default()),
    };
    vec![one]
}

fn constraint(checked: Option<Checked>) -> Cell {
    let Some(Checked { mean, missed, .. }) = checked else {
        return Cell::default();
    };
    let mean = significant(mean, FIGURES);
    if missed {
        Cell::styled(mean, BAD)
    } else {
        mean.into()
    }
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
