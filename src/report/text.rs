//! The finished paragraphs of a report.
//!
//! A caller prints [`headline`], a table of [`Overview::rows`] if it wants one,
//! [`findings`], and [`closing`] with what only it knows.

use std::collections::HashSet;

use super::advice::subject;
use super::overview::{Failed, Gain, Measured, Missing, Overview};
use super::phrase::{
    change, clean, constraint, counted, cut, difference, figures, mean_and_spread, percent, saved,
};
use super::retrial::{Confirmed, DRIFT_HINT, drift, fresh_starts};
use crate::base::quantity::show_duration;
use crate::base::wrap::wrap;
use crate::model::Name;
use crate::model::metric::{Direction, Summary};
use crate::model::outcome::Outcome;
use crate::model::study::Phase;
use crate::search::Ask;
use crate::search::statistics::{CONFIDENCE, Comparison, Interval};

/// How many trials of a kind are told one by one.
const TOLD: usize = 8;

/// A paragraph with its title.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// What it is about, in one word or two.
    pub title: &'static str,
    /// Its lines, of at most 78 columns so that they can be indented by two;
    /// only a path or another word that must stay whole may be longer.
    pub lines: Vec<String>,
}

/// A text of others in lines below something, each after so many blanks; of a
/// long text the beginning.
pub fn note(text: &str, blanks: usize) -> Vec<String> {
    let indent = " ".repeat(blanks);
    wrap(&indent, &indent, &cut(&clean(text), 300))
}

/// The study in a few lines: where it stands, how much was done, what is next.
pub fn headline(overview: &Overview) -> Block {
    let phase = match (&overview.phase, &overview.next) {
        (Phase::Paused(reason), _) => format!("is paused: {}", sentence(reason)),
        (Phase::Done(reason), _) => format!("is done: {}", sentence(reason)),
        (Phase::AwaitingApproval, _) => "waits for approval: autotunectl status".to_owned(),
        (Phase::Active, Some(Ask::Exhausted(why))) => {
            format!("has nothing left to try: {}", sentence(why))
        }
        (Phase::Active, _) if overview.rows.is_empty() => "has not begun".to_owned(),
        (Phase::Active, _) => "goes on".to_owned(),
    };
    let mut lines = wrap("", "", &format!("{} {phase}.", clean(&overview.name)));
    let counts = overview.counts;
    let parts = [
        (counts.complete, "complete"),
        (counts.infeasible, "infeasible"),
        (counts.pruned, "pruned"),
        (counts.failed, "failed"),
        (counts.unsettled, "not settled"),
    ];
    let parts: Vec<String> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    let trials = counted(counts.all().into(), "trial");
    if !parts.is_empty() {
        let saved = saved(
            f64::from(overview.runs) + overview.runs_cut,
            overview.runs_saved,
        );
        let done = format!(
            "{trials}: {}. {} in {}{}.",
            parts.join(", "),
            counted(overview.runs.into(), "good run"),
            show_duration(overview.busy),
            saved.map(|saved| format!("; {saved}")).unwrap_or_default()
        );
        lines.extend(wrap("", "", &done));
    }
    if !overview.amendments.is_empty() {
        let amendments = clean(&overview.amendments.join("; "));
        let text = format!("Changed by autotunectl, on top of the spec: {amendments}.");
        lines.extend(wrap("", "  ", &text));
    }
    if let Some(Ask::Try(_)) = &overview.next {
        let number = counts.all() + 1;
        let next = difference(&overview.next_changes);
        lines.extend(wrap("", "", &format!("Next is trial {number}, {next}.")));
    }
    if let Some(Ask::Run(trial)) = &overview.next {
        let next = format!("Next are further runs of trial {trial}.");
        lines.extend(wrap("", "", &next));
    }
    if let Some(Ask::Consult(question)) = &overview.next {
        let next = format!("Next the advisor is asked for {}.", subject(question));
        lines.extend(wrap("", "", &next));
    }
    Block {
        title: "Study",
        lines,
    }
}

/// What came out: baseline, incumbent, gain, what failed or is infeasible, and
/// what holds the study up. Only what there is something to say about.
pub fn findings(overview: &Overview) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut add = |title, lines: Vec<String>| {
        if !lines.is_empty() {
            blocks.push(Block { title, lines });
        }
    };
    add("Baseline", baseline(overview));
    add("Incumbent", incumbent(overview));
    add("Gain", gain(overview));
    add("Failed", failed(&overview.failed));
    add("Infeasible", infeasible(&overview.infeasible));
    add("Held up", held_up(overview.held_up.as_ref()));
    blocks
}

/// Where the files are, as (what, path), and what to do next, one line each.
/// A command or a path is never broken over two lines.
pub fn closing(files: &[(String, String)], next: &[String]) -> Vec<Block> {
    let columns = files.iter().map(|(what, _)| what.chars().count()).max();
    let columns = columns.unwrap_or(0);
    let mut blocks = Vec::new();
    if !files.is_empty() {
        let line = |(what, path): &(String, String)| format!("{what:<columns$}  {}", clean(path));
        blocks.push(Block {
            title: "Files",
            lines: files.iter().map(line).collect(),
        });
    }
    if !next.is_empty() {
        blocks.push(Block {
            title: "Next",
            lines: next.iter().map(|line| clean(line)).collect(),
        });
    }
    blocks
}

/// The blocks as plain text: each title on a line of its own, its lines
/// indented by two, an empty line between blocks.
pub fn plain(blocks: &[Block]) -> String {
    let block = |block: &Block| {
        let lines = block.lines.iter().map(|line| format!("  {line}\n"));
        format!("{}\n{}", block.title, lines.collect::<String>())
    };
    blocks.iter().map(block).collect::<Vec<_>>().join("\n")
}

fn metrics(trial: &Measured) -> String {
    let metric =
        |(name, summary): &(Name, Summary)| format!("{} {}", clean(name), mean_and_spread(summary));
    let metrics: Vec<String> = trial.metrics.iter().map(metric).collect();
    let runs = trial
        .metrics
        .first()
        .map_or(0, |(_, summary)| summary.count);
    format!("{} ({})", metrics.join(", "), counted(runs.into(), "run"))
}

fn baseline(overview: &Overview) -> Vec<String> {
    let Some(trial) = &overview.baseline else {
        return Vec::new();
    };
    let what = match &trial.outcome {
        Some(Outcome::Failed(_)) => "failed".to_owned(),
        _ if trial.metrics.is_empty() => "has no results yet".to_owned(),
        None => format!("so far {}", metrics(trial)),
        Some(Outcome::Infeasible) => format!("{}, infeasible", metrics(trial)),
        Some(_) => metrics(trial),
    };
    wrap("", "", &format!("Trial {}: {what}.", trial.id))
}

fn incumbent(overview: &Overview) -> Vec<String> {
    let Some(trial) = &overview.incumbent else {
        return Vec::new();
    };
    if overview.gain == Gain::None {
        let mut lines = vec![format!("Trial {}, the baseline.", trial.id)];
        lines.extend(leader(overview));
        return lines;
    }
    let mut lines = wrap("", "", &format!("Trial {}: {}.", trial.id, metrics(trial)));
    let changes = overview.changes.iter();
    lines.extend(changes.flat_map(|one| wrap("  ", "    ", &change(one))));
    lines.extend(leader(overview));
    lines
}

/// What may become the incumbent.
fn leader(overview: &Overview) -> Vec<String> {
    let Some(trial) = &overview.leader else {
        return Vec::new();
    };
    let id = trial.id;
    let so_far = metrics(trial);
    let text =
        format!("Trial {id} leads, so far: {so_far}. Its other runs have yet to bear it out.");
    wrap("", "", &text)
}

fn gain(overview: &Overview) -> Vec<String> {
    let metric = clean(&overview.objective.metric);
    let text = match overview.gain {
        Gain::NothingFeasible if overview.counts.all() == overview.counts.unsettled => {
            return Vec::new();
        }
        Gain::NothingFeasible if overview.counts.infeasible > 0 => {
            "No trial keeps all constraints yet.".to_owned()
        }
        Gain::NothingFeasible => "No trial has a result yet that counts.".to_owned(),
        Gain::NoBaseline => {
            "The baseline has no result, so there is nothing to measure a gain against.".to_owned()
        }
        Gain::None if overview.counts.all() - overview.counts.unsettled <= 1 => return Vec::new(),
        Gain::None if overview.constraints.is_empty() => {
            "No trial is better than the baseline.".to_owned()
        }
        Gain::None => "No trial that keeps the constraints is better than the baseline.".to_owned(),
        Gain::Measured {
            amount,
            share,
            comparison,
            confirmed,
        } => measured_gain(overview, &metric, (amount, share), comparison, confirmed),
    };
    let mut lines = wrap("", "", &text);
    let notes = overview.confirmed.iter().flat_map(Confirmed::notes);
    let notes: Vec<String> = notes.collect();
    if !notes.is_empty() {
        lines.extend(wrap(
            "",
            "",
            &format!("Confirmation: {}.", notes.join("; ")),
        ));
    }
    if let Some(found) = &overview.drift {
        let drift = drift(found, &overview.objective.metric);
        lines.extend(wrap("", "", &format!("Drift: {drift}; {DRIFT_HINT}.")));
    }
    lines
}

fn measured_gain(
    overview: &Overview,
    metric: &str,
    (amount, share): (f64, Option<f64>),
    comparison: Option<Comparison>,
    confirmed: Option<u32>,
) -> String {
    let turn = if amount < 0.0 { "worse" } else { "better" };
    // The interval is given in the same terms.
    let in_shares = comparison.is_none_or(|found| found.gain.is_some());
    let size = match share.filter(|_| in_shares) {
        Some(share) => format!("{} {turn}", percent(share.abs())),
        None => format!("{} {turn}", figures(amount.abs(), 3)),
    };
    let mut text = format!("{metric} is {size} than the baseline's");
    match comparison {
        None if confirmed.is_some() => text.push_str(
            ". With a single fresh start of each it cannot be told from noise: [confirm] runs.",
        ),
        None => text.push_str(
            ". With a single run it cannot be told from noise: where a step measures, let it do \
             several runs.",
        ),
        // No run differs from its mean: an interval would say nothing.
        Some(found) if found.freedom.is_infinite() => {
            let by = confirmed.map(|starts| format!(", in {}", fresh_starts(starts)));
            text.push_str(&format!(
                "; the runs do not vary{}.",
                by.unwrap_or_default()
            ));
        }
        Some(found) => {
            let clear = if found.is_clear() {
                ""
            } else {
                ", which cannot be told from noise"
            };
            let interval = interval(overview, &found);
            let confidence = percent(CONFIDENCE);
            let by = confirmed.map(|starts| match found.is_clear() {
                true => format!(", confirmed by {}", fresh_starts(starts)),
                false => format!(", by {}", fresh_starts(starts)),
            });
            let by = by.unwrap_or_default();
            text.push_str(&format!(
                "{clear} ({confidence} confidence: {interval}){by}."
            ));
            if confirmed.is_none() && found.is_clear() && overview.counts.complete > 2 {
                text.push_str(&format!(
                    " As the best of {} it was probably lucky, too: expect a little less.",
                    overview.counts.complete
                ));
            }
        }
    }
    let infeasible = overview.baseline.as_ref().map(|trial| &trial.outcome);
    if infeasible == Some(&Some(Outcome::Infeasible)) {
        text.push_str(" The baseline itself misses a constraint.");
    }
    text
}

/// The interval of the gain, more being better.
fn interval(overview: &Overview, found: &Comparison) -> String {
    if let Some(Interval { low, high, .. }) = found.gain {
        return format!("{} to {}", percent(low), percent(high));
    }
    let Interval { low, high, .. } = found.difference;
    let (low, high) = match overview.objective.direction {
        Direction::Maximize => (low, high),
        Direction::Minimize => (-high, -low),
    };
    format!("{} to {}", figures(low, 3), figures(high, 3))
}

fn failed(failed: &[Failed]) -> Vec<String> {
    let mut told = HashSet::new();
    let mut lines = Vec::new();
    for trial in failed.iter().take(TOLD) {
        lines.extend(failure(trial));
        let Some(cause) = &trial.failure.cause else {
            continue;
        };
        let name = clean(&cause.name);
        // The same trouble once more needs no second piece of advice.
        if !told.insert(&cause.name) {
            lines.extend(wrap("  ", "    ", &format!("Cause: {name}, as above")));
            continue;
        }
        let shown = trial.failure.message.contains(&cause.line);
        let line = cut(&clean(cause.line.trim()), 200);
        let line = if shown {
            String::new()
        } else {
            format!(": {line}")
        };
        lines.extend(wrap("  ", "    ", &format!("Cause: {name}{line}")));
        lines.extend(wrap("  ", "    ", &format!("Hint: {}", clean(&cause.hint))));
    }
    lines.extend(more(failed.len()));
    lines
}

fn failure(trial: &Failed) -> Vec<String> {
    let text = format!(
        "Trial {}, {}: {} ({}).",
        trial.id,
        difference(&trial.changes),
        sentence(&trial.failure.message),
        trial.failure.kind.name(),
    );
    wrap("", "  ", &text)
}

fn infeasible(infeasible: &[Missing]) -> Vec<String> {
    let told = infeasible.iter().take(TOLD).flat_map(|trial| {
        let misses = trial.misses.iter().map(|miss| {
            format!(
                "{} misses {} by {}",
                figures(miss.mean, 4),
                constraint(&miss.constraint),
                figures(miss.amount, 2)
            )
        });
        let misses = misses.collect::<Vec<_>>().join("; ");
        let text = format!(
            "Trial {}, {}: {misses}.",
            trial.id,
            difference(&trial.changes)
        );
        wrap("", "  ", &text)
    });
    told.chain(more(infeasible.len())).collect()
}

fn held_up(trial: Option<&Failed>) -> Vec<String> {
    let Some(trial) = trial else {
        return Vec::new();
    };
    let mut lines = failure(trial);
    let why = "That is the host's fault, not the parameters': the trial is tried again.";
    lines.extend(wrap("", "", why));
    lines
}

fn more(count: usize) -> Option<String> {
    (count > TOLD).then(|| format!("And {} more.", count - TOLD))
}

/// A text of others as the end of a sentence of ours, which has the full stop.
fn sentence(text: &str) -> String {
    clean(text.trim().trim_end_matches('.'))
}
