//! `autotunectl why N`.

use schemars::JsonSchema;
use serde::Serialize;

use super::exit::Exit;
use super::prose;
use super::session::{Session, Trouble};
use crate::report::phrase::{clean, counted, pruning};
use crate::term::number::{FIGURES, mean_spread, significant};
use crate::term::tables::pairs;
use crate::wire::reply::{Cause, Change, Choice, Expected, Metric, Reply, TrialDetail};
use crate::wire::request::Request;

/// Shows why a trial was tried: what the sampler expected, and what came
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  autotunectl why 7

What was expected is what was kept when the trial was chosen: what came later
is not in it. Samplers other than `model` expect nothing; the rule that they
follow is told.")]
pub struct Args {
    /// Its number
    trial: u32,
}

/// What `--json` prints.
#[derive(Serialize, JsonSchema)]
pub(super) struct Why<'a> {
    trial: u32,
    origin: &'a str,
    changes: &'a [Change],
    choice: &'a Option<Choice>,
    outcome: &'a str,
    metrics: &'a [Metric],
    failure: &'a Option<String>,
    /// The known trouble that it failed by.
    cause: &'a Option<Cause>,
    /// The failed trial for which it is the remedy.
    remedy_of: Option<u32>,
    /// The trial that is the remedy for it.
    remedied_by: Option<u32>,
    /// Why there is none.
    no_remedy: &'a Option<String>,
    /// Milliseconds of a start and a run.
    time: Option<u64>,
}

pub async fn carry_out(session: &mut Session, args: &Args) -> Result<Exit, Trouble> {
    let Reply::Trial(trial) = session.ask(&Request::Trial(args.trial)).await? else {
        return Err(Trouble::OffTopic);
    };
    if session.json {
        session.print_json(&Why {
            trial: trial.row.trial,
            origin: &trial.row.origin,
            changes: &trial.row.changes,
            choice: &trial.choice,
            outcome: &trial.row.outcome,
            metrics: &trial.metrics,
            failure: &trial.row.failure,
            cause: trial
                .failure
                .as_ref()
                .map_or(&None, |failure| &failure.cause),
            remedy_of: trial.row.remedy_of,
            remedied_by: trial.remedied_by,
            no_remedy: &trial.no_remedy,
            time: time(&trial),
        })?;
    } else {
        session.print(&text(&trial, session.color))?;
    }
    Ok(Exit::Done)
}

/// The names take so many columns, with the gap.
const NAMES: usize = 10;

fn text(trial: &TrialDetail, color: bool) -> String {
    let row = &trial.row;
    let mut shown = vec![("trial", row.trial.to_string())];
    let mut add = |name: &'static str, text: &str| {
        shown.push((name, prose::below(text, NAMES)));
    };
    add("changes", &prose::changes(&row.changes));
    add("chosen", &chosen(trial));
    let advice = trial.choice.as_ref().and_then(|c| c.advice.as_ref());
    for line in advice.map(prose::advice).unwrap_or_default() {
        add("advice", &line);
    }
    let expected = trial.choice.as_ref().and_then(|c| c.expected.as_ref());
    for (index, line) in expected.map(lines).unwrap_or_default().iter().enumerate() {
        add(if index == 0 { "expected" } else { "" }, line);
    }
    for (index, line) in came(trial, expected).iter().enumerate() {
        add(if index == 0 { "came" } else { "" }, line);
    }
    pairs(shown, color)
}

/// By which rule.
fn chosen(trial: &TrialDetail) -> String {
    match (trial.row.origin.as_str(), &trial.choice) {
        ("baseline", _) => "the starting values, with which every study begins".to_owned(),
        ("user", _) => "a user wanted it".to_owned(),
        ("imported", _) => "taken over from a results file".to_owned(),
        ("remedy", _) => trial.row.remedy_of.map(prose::remedy).unwrap_or_default(),
        (_, None) => "by the sampler; why was not kept, by an older autotuned".to_owned(),
        (_, Some(choice)) => rule(choice),
    }
}

fn rule(choice: &Choice) -> String {
    match choice.rule.as_str() {
        "opening" => "the starting values with about half of them drawn anew: the model knew \
                      nothing yet"
            .to_owned(),
        "model" => "it promised most for its time, by a model of the trials before".to_owned(),
        "tpe" => "its values were frequent among the good trials before and rare among the \
                  others; tpe expects no number"
            .to_owned(),
        "coordinate" => {
            let base = choice.base.unwrap_or_default();
            let varied = clean(&choice.varied.join(", "));
            format!(
                "trial {base}, the best by then, with the next value of {varied}; coordinate \
                 expects no number"
            )
        }
        "grid" => "the next combination of the grid; grid expects no number".to_owned(),
        "random" => "a combination at random, of which no number is expected".to_owned(),
        "advisor" => {
            let about = choice.advice.as_ref().map(|advice| clean(&advice.about));
            let about = about.unwrap_or_else(|| "advice".to_owned());
            format!("the advisor was asked for {about}, and proposed it")
        }
        "fallback" => "the nearest value that was not tried: the advisor was of no help".to_owned(),
        other => clean(other),
    }
}

/// What was expected, line by line.
fn lines(expected: &Expected) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(found) = &expected.objective {
        let number = |number| significant(number, FIGURES);
        lines.push(format!(
            "{}; in 9 of 10 cases {} to {}, without the noise of a run",
            number(found.mean),
            number(found.low),
            number(found.high)
        ));
    }
    match expected.improvement {
        Some(share) => lines.push(format!(
            "{} of improvement on average, the chances below included",
            percent(share)
        )),
        None => lines.push("nothing was feasible yet that it could beat".to_owned()),
    }
    for bound in &expected.bounds {
        let (text, chance) = (clean(&bound.bound), percent(bound.chance));
        lines.push(format!("{text}: a chance of {chance}"));
    }
    lines.push(match expected.starts {
        Some(chance) => format!(
            "to start and to be measured: a chance of {}",
            percent(chance)
        ),
        None => "to start: nothing had failed yet".to_owned(),
    });
    if let Some(time) = expected.time {
        let time = prose::duration(time);
        lines.push(format!("{time} for a start and a run"));
    }
    lines
}

/// A share of which small ones are of interest.
fn percent(share: f64) -> String {
    format!("{} %", significant(100.0 * share, 2))
}

/// What came of it, line by line.
fn came(trial: &TrialDetail, expected: Option<&Expected>) -> Vec<String> {
    let mut first = clean(&trial.row.outcome);
    if let Some(found) = &trial.pruning {
        first += &format!(": {}", pruning(&found.into()));
    }
    if let Some(failure) = &trial.row.failure {
        first += &format!(": {}", clean(failure));
    }
    let mut lines = vec![first];
    if let Some(cause) = trial.failure.as_ref().and_then(|f| f.cause.as_ref()) {
        lines.push(format!("{}: {}", clean(&cause.name), clean(&cause.hint)));
    }
    if let Some(helper) = trial.remedied_by {
        lines.push(format!("trial {helper} is the remedy for it"));
    }
    if let Some(why) = &trial.no_remedy {
        lines.push(format!("no remedy: {}", clean(why)));
    }
    for (index, metric) in trial.metrics.iter().enumerate() {
        let (name, summary) = (clean(&metric.name), &metric.summary);
        let runs = counted(summary.count.into(), "run");
        let mut line = format!(
            "{name} {} ({runs})",
            mean_spread(summary.mean, summary.spread)
        );
        // The objective is the first.
        let forecast = expected.and_then(|expected| expected.objective);
        if let Some(forecast) = forecast.filter(|_| index == 0) {
            line += match summary.mean {
                mean if mean < forecast.low => ", below what was expected",
                mean if mean > forecast.high => ", above what was expected",
                _ => ", within what was expected",
            };
        }
        lines.push(line);
    }
    if let Some(time) = time(trial) {
        lines.push(format!("{} for a start and a run", prose::duration(time)));
    }
    lines
}

/// The milliseconds of a start and a run.
fn time(trial: &TrialDetail) -> Option<u64> {
    let run = trial.runs.iter().find(|run| run.fault.is_none())?;
    Some(trial.row.startup.unwrap_or_default() + run.elapsed)
}
