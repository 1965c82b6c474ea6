//! `autotunectl show N`.

use super::exit::Exit;
use super::prose;
use super::session::{Session, Trouble};
use crate::base::wrap::wrap;
use crate::model::curve::Curve;
use crate::report::curves::{place, sparkline};
use crate::report::phrase::{clean, pruning};
use crate::term::color::{BAD, BOLD, DOUBTFUL, paint};
use crate::term::number::{FIGURES, significant};
use crate::term::tables::{Cell, Column, DEFAULT_WIDTH, Table, pairs};
use crate::wire::reply::{self, Failure, Reply, Run, TrialDetail};
use crate::wire::request::Request;

/// Shows all that is known of a trial: runs, timings, why it failed
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  autotunectl show 7")]
pub struct Args {
    /// Its number
    trial: u32,
}

pub async fn carry_out(session: &mut Session, args: &Args) -> Result<Exit, Trouble> {
    let Reply::Trial(trial) = session.ask(&Request::Trial(args.trial)).await? else {
        return Err(Trouble::OffTopic);
    };
    if session.json {
        session.print_json(&trial)?;
    } else {
        session.print(&text(&trial, session.color))?;
    }
    Ok(Exit::Done)
}

/// The names take so many columns, with the gap.
const NAMES: usize = 9;

pub(super) fn text(trial: &TrialDetail, color: bool) -> String {
    let row = &trial.row;
    let mut outcome = clean(&row.outcome);
    if trial.skipped {
        outcome += ", skipped by a user";
    }
    if let Some(found) = &trial.pruning {
        outcome += &format!(": {}", pruning(&found.into()));
    }
    if row.is_best {
        outcome += ", the best so far";
    }
    let by = match row.origin.as_str() {
        "baseline" => "the starting values",
        "sampler" => "chosen by the sampler",
        "imported" => "taken over from a results file",
        "user" => "wanted by a user",
        "advisor" => "proposed by the advisor",
        "fallback" => "the next value, since the advisor was of no help",
        other => other,
    };
    let by = row.remedy_of.map_or_else(|| clean(by), prose::remedy);
    let mut shown = vec![
        ("trial", row.trial.to_string()),
        ("outcome", prose::below(&outcome, NAMES)),
        ("origin", by),
    ];
    let advice = trial
        .choice
        .as_ref()
        .and_then(|choice| choice.advice.as_ref());
    for line in advice.map(prose::advice).unwrap_or_default() {
        shown.push(("advice", prose::below(&line, NAMES)));
    }
    if !row.changes.is_empty() {
        shown.push(("changes", prose::changes(&row.changes)));
    }
    shown.push(("time", prose::duration(row.elapsed)));
    for (index, metric) in trial.metrics.iter().enumerate() {
        let name = if index == 0 { "metrics" } else { "" };
        let summary = prose::summary(&metric.summary);
        shown.push((name, format!("{} {summary}", clean(&metric.name))));
    }
    for (constraint, checked) in trial.constraints.iter().zip(&row.constraints) {
        let Some(checked) = checked else { continue };
        let name = if checked.missed { "misses" } else { "keeps" };
        let text = prose::kept(constraint, checked.confidence);
        shown.push((name, prose::below(&text, NAMES)));
    }
    if let Some(artifacts) = &trial.artifacts {
        let told = prose::artifacts(artifacts);
        shown.push(("made", prose::below(&told, NAMES)));
    }
    let mut text = pairs(shown, color);
    if let Some(failure) = &trial.failure {
        text += &title("Failed", color);
        text += &failed(failure, color);
        if let Some(helper) = trial.remedied_by {
            text += &format!("  Trial {helper} is the remedy for it.\n");
        }
        if let Some(why) = &trial.no_remedy {
            for line in wrap("  ", "    ", &format!("no remedy: {}", clean(why))) {
                text += &format!("{line}\n");
            }
        }
    }
    let warnings = trial.sittings.iter().flat_map(|sitting| &sitting.warnings);
    for sitting in &trial.sittings {
        let Some(checkpoint) = &sitting.resumed else {
            continue;
        };
        let told = format!(
            "sitting {} went on from {}",
            sitting.number,
            clean(checkpoint)
        );
        for line in wrap("  ", "    ", &told) {
            text += &format!("{line}\n");
        }
    }
    let warnings: Vec<String> = warnings
        .flat_map(|w| wrap("  ", "    ", &clean(w)))
        .collect();
    if !warnings.is_empty() {
        text += &title("Warnings", color);
        for line in warnings {
            text += &format!("{}\n", paint(&line, DOUBTFUL, color));
        }
    }
    text += &title("Values", color);
    for param in &trial.params {
        text += &format!("  {}\n", clean(&prose::assignment(param)));
    }
    if !trial.sittings.is_empty() {
        text += &title("Sittings", color);
        text += &sittings(trial, color);
    }
    if !trial.curves.is_empty() {
        text += &title("Curves", color);
        text += &curves(&trial.curves, color);
    }
    if !trial.runs.is_empty() {
        text += &title("Runs", color);
        text += &runs(&trial.runs, color);
    }
    if !trial.extra.is_empty() {
        text += &title("Runs beside the search", color);
        text += &runs(&trial.extra, color);
    }
    if trial.logs_gone {
        text += &title("Logs", color);
        for line in wrap("  ", "  ", prose::LOGS_GONE) {
            text += &format!("{line}\n");
        }
    }
    for log in &trial.logs {
        let head = format!("Log of {}: {}", clean(&log.step), clean(&log.path));
        text += &title(&head, color);
        for line in log.tail.lines() {
            text += &format!("  {}\n", clean(line));
        }
    }
    text
}

fn title(text: &str, color: bool) -> String {
    format!("\n{}\n", paint(text, BOLD, color))
}

fn failed(failure: &Failure, color: bool) -> String {
    let step = failure
        .step
        .as_deref()
        .map(|step| format!("step {}: ", clean(step)));
    let message = format!(
        "{}{} ({})",
        step.unwrap_or_default(),
        clean(&failure.message),
        clean(&failure.kind)
    );
    let mut lines = wrap("  ", "  ", &message);
    if let Some(cause) = &failure.cause {
        let mut found = format!("Cause: {}", clean(&cause.name));
        if !failure.message.contains(&cause.line) {
            found = format!("{found}: {}", clean(cause.line.trim()));
        }
        lines.extend(wrap("  ", "    ", &found));
        let hint = format!("Hint: {}", clean(&cause.hint));
        lines.extend(wrap("  ", "    ", &hint));
    }
    lines
        .iter()
        .map(|line| format!("{}\n", paint(line, BAD, color)))
        .collect()
}

fn sittings(trial: &TrialDetail, color: bool) -> String {
    let mut table = Table::new([
        Column::right("SITTING"),
        Column::left("FOR"),
        Column::left("BEGAN"),
        Column::right("READY AFTER"),
        Column::right("TOOK"),
        Column::left("END"),
    ]);
    for sitting in &trial.sittings {
        let took = sitting
            .ended
            .map(|ended| prose::since(ended, sitting.started));
        table.row([
            sitting.number.to_string(),
            clean(&sitting.purpose),
            prose::moment(sitting.started),
            sitting.startup.map(prose::duration).unwrap_or_default(),
            took.unwrap_or_default(),
            clean(&sitting.end),
        ]);
    }
    table.render(DEFAULT_WIDTH, color)
}

/// What the runs have told on their way, from the first number to the last.
fn curves(curves: &[reply::Curve], color: bool) -> String {
    let mut table = Table::new([
        Column::left("STEP"),
        Column::left("METRIC"),
        Column::left("AT"),
        Column::right("FIRST"),
        Column::right("LEAST"),
        Column::right("MOST"),
        Column::right("LAST"),
        Column::left("COURSE"),
    ]);
    for curve in curves {
        let values = || curve.points.iter().map(|point| point.value);
        let shown = |value: Option<f64>| {
            let shown = value.map(|value| significant(value, FIGURES));
            shown.unwrap_or_default()
        };
        let drawn = Curve::from(curve);
        table.row([
            clean(&curve.step),
            clean(&curve.metric),
            place(&drawn),
            shown(values().next()),
            shown(values().reduce(f64::min)),
            shown(values().reduce(f64::max)),
            shown(values().next_back()),
            sparkline(&drawn),
        ]);
    }
    table.render(DEFAULT_WIDTH, color)
}

fn runs(runs: &[Run], color: bool) -> String {
    let mut table = Table::new([
        Column::left("STEP"),
        Column::right("SITTING"),
        Column::right("RUN"),
        Column::right("TOOK"),
        Column::left("RESULT").flexible(),
    ]);
    for run in runs {
        let metrics = run.metrics.iter().map(|number| {
            let value = significant(number.value, FIGURES);
            format!("{} {value}", clean(&number.name))
        });
        let result = match &run.fault {
            None => Cell::from(metrics.collect::<Vec<_>>().join(", ")),
            Some(fault) => Cell::styled(clean(fault), BAD),
        };
        table.row([
            Cell::from(clean(&run.step)),
            run.sitting.to_string().into(),
            run.number.to_string().into(),
            prose::duration(run.elapsed).into(),
            result,
        ]);
    }
    table.render(DEFAULT_WIDTH, color)
}
