//! What the daemon's data is called in words.

use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::quantity;
use crate::base::wrap::wrap;
use crate::report::artifacts::extent;
use crate::report::phrase::{clean, clean_lines, counted, shell};
use crate::report::retrial::{Confirmed, fresh_starts};
use crate::term::number;
use crate::wire::reply::{
    Advice, Artifacts, ArtifactsState, Change, Confirmation, Gain, Leader, Measured, Metric,
    Objective, Param, Refusal, Summary,
};

/// What became of logs that are not there any more.
pub const LOGS_GONE: &str =
    "its logs are gone; [retention] in the spec says how long they are kept";

/// What there is to say of a request that does something, when the daemon has
/// ended meanwhile.
pub const UNANSWERED: &str = "the daemon has ended before it answered: it may have done that, or \
                              not; `autotunectl status` tells how the study stands";

/// Why the daemon refuses.
pub fn refusal(refusal: &Refusal) -> String {
    match refusal {
        Refusal::NotAllowed => "this user may not do that: only the daemon's own user, root, and \
                                whom the spec's [control] names"
            .to_owned(),
        Refusal::Busy => "the daemon has too many connections: try again later".to_owned(),
        Refusal::NotUnderstood(why) => format!(
            "the daemon does not understand this program: {why}; \
             `autotunectl version` tells whether they fit"
        ),
        Refusal::TooLong => "the answer is too long for one message".to_owned(),
        Refusal::Leaving => "the daemon is about to end, and has not done that".to_owned(),
        Refusal::Unanswered => UNANSWERED.to_owned(),
        Refusal::Done(reason) => format!("the study is done: {}", clean(reason)),
        Refusal::NoSuchTrial(trial) => format!("there is no trial {trial}"),
        Refusal::LogsGone(trial) => format!("trial {trial}: {LOGS_GONE}"),
        Refusal::NoSuchLog(what) => format!("there is no log of {}", clean(what)),
        Refusal::NothingRuns => "no trial runs".to_owned(),
        Refusal::SeveralRun(trials) => {
            let all = in_words(trials);
            let first = trials.first().copied().unwrap_or_default();
            format!("trials {all} run: say which, as in autotunectl skip {first}")
        }
        Refusal::NothingBest => "no trial keeps all constraints yet".to_owned(),
        Refusal::OnlyLeads {
            trial,
            runs,
            runs_all,
        } => {
            let all = counted((*runs_all).into(), "run");
            format!(
                "no trial is best yet: trial {trial} leads with {runs} of {all}, and is the best \
                 if it still does with all of them"
            )
        }
        Refusal::NotSettled(trial) => format!("trial {trial} is not over yet"),
        Refusal::Beside {
            trial,
            purpose,
            setting,
        } => format!(
            "trial {trial} is over already; what runs is {}, and `autotunectl set {setting}=0` \
             ends such runs after this one",
            clean(purpose)
        ),
        Refusal::Settled(trial) => format!("trial {trial} is over already"),
        Refusal::NothingToRepeat(trial) => {
            format!("trial {trial} has all its runs, and all are good")
        }
        Refusal::TriedAlready(trial) => format!(
            "trial {trial} has tried that already: `autotunectl show {trial}` tells what came of \
             it; `enqueue --again` tries it once more"
        ),
        Refusal::BadParams(errors) | Refusal::BadChange(errors) => {
            let errors: Vec<String> = errors.iter().map(|error| clean(error)).collect();
            errors.join("\n       ")
        }
        Refusal::BadSpec(wrong) => format!("keeping the old spec:\n{}", clean_lines(wrong)),
        Refusal::NeedsRestart(parts) => format!(
            "keeping the old spec: {} cannot change while the daemon runs; restart it for that",
            parts.join(", ")
        ),
        Refusal::NoAdvisor => {
            "nobody advises: the spec has no [advisor]; autotune.toml(5) shows how".to_owned()
        }
        Refusal::NoSuchChannel(known) if known.is_empty() => {
            "nobody can be told: the spec has no [[notify.channel]]; autotune.toml(5) shows how"
                .to_owned()
        }
        Refusal::NoSuchParameter(known) => {
            let known = clean(&known.join(", "));
            format!("the space has no such parameter; it has {known}")
        }
        Refusal::NoSuchChannel(known) => {
            format!(
                "the spec has no such channel; it has {}",
                clean(&known.join(", "))
            )
        }
        Refusal::NothingProposed => "nothing waits for approval".to_owned(),
        Refusal::OtherProposal(waits) => {
            format!("proposal {waits} waits: `autotunectl status` shows it")
        }
        Refusal::SeveralParameters(names) => format!(
            "the proposal changes {}: give each as NAME=VALUE instead of --value",
            clean(&names.join(", "))
        ),
        Refusal::NoOrder(sampler) => format!(
            "the sampler {} has no order of parameters, and none to end: leave --parameter out",
            clean(sampler)
        ),
        Refusal::NotWritten(why) => clean(why),
        Refusal::NotRecorded(trouble) if trouble.is_empty() => {
            "the daemon did not record it in time; it may still do so".to_owned()
        }
        Refusal::Starting(trial) => starting(*trial),
        Refusal::NoSuchEvent(events) => {
            format!("the journal has {events} events only: it is not the one that was read before")
        }
        Refusal::NotRecorded(trouble) => format!(
            "the disk takes no data: {}; it is recorded once it does",
            clean(trouble)
        ),
    }
}

/// A text of several lines that stands next to names of so many columns.
pub fn below(text: &str, columns: usize) -> String {
    let indent = " ".repeat(columns);
    let lines = wrap(&indent, &indent, text);
    let lines: Vec<&str> = lines.iter().map(|line| line.trim_start()).collect();
    lines.join("\n")
}

/// What a trial has made, and where it is.
pub fn artifacts(made: &Artifacts) -> String {
    let extent = extent(made.files, made.bytes);
    let copied = made.copy.as_ref().map(|folder| clean(folder));
    let kept = copied.map(|folder| format!("{folder} ({extent})"));
    let state = match (&made.state, &kept) {
        (ArtifactsState::There, Some(_)) => return kept.unwrap_or_default(),
        (ArtifactsState::There, None) => "where the trial made them".to_owned(),
        (ArtifactsState::Pending, _) => "not kept yet, being copied".to_owned(),
        (ArtifactsState::Lost { reason }, _) => format!("lost: {}", clean(reason)),
        (ArtifactsState::Deleted { .. }, Some(_)) => "removed where the trial made them".to_owned(),
        (ArtifactsState::Deleted { .. }, None) => "removed, as [retention] wants it".to_owned(),
    };
    format!("{}; {state}", kept.unwrap_or(extent))
}

/// What a daemon that starts is at.
pub fn starting(trial: Option<u32>) -> String {
    let what =
        trial.map(|trial| format!(" up after trial {trial}, which an earlier one had running"));
    format!(
        "the daemon is starting and clears{}",
        what.unwrap_or_else(|| " up first".to_owned())
    )
}

/// Milliseconds for people.
pub fn duration(milliseconds: u64) -> String {
    quantity::show_duration(Duration::from_millis(milliseconds))
}

/// The time between two moments.
pub fn since(now: i64, then: i64) -> String {
    duration(now.saturating_sub(then).max(0).unsigned_abs())
}

/// A moment in local time.
pub fn moment(milliseconds: i64) -> String {
    Timestamp::from_millis(milliseconds)
        .local_iso()
        .replace('T', " ")
}

/// How params differ from the starting ones: `BATCH=32 MODE=fast`.
pub fn changes(changes: &[Change]) -> String {
    if changes.is_empty() {
        return "the starting values".to_owned();
    }
    let each = changes.iter().map(|change| {
        let name = clean(&change.name);
        match &change.to {
            Some(value) => format!("{name}={}", clean(value)),
            None => format!("no {name}"),
        }
    });
    each.collect::<Vec<_>>().join(" ")
}

/// A change in full: `SEQS: 512 → 1536`.
pub fn change(change: &Change) -> String {
    let side =
        |value: &Option<String>| value.as_ref().map_or("–".to_owned(), |value| clean(value));
    let (from, to) = (side(&change.from), side(&change.to));
    format!("{}: {from} → {to}", clean(&change.name))
}

/// A mean with its spread.
pub fn summary(summary: &Summary) -> String {
    number::mean_spread(summary.mean, summary.spread)
}

/// Metrics in a line: `speed 12.1 ± 0.2, quality 0.9`.
pub fn listed(metrics: &[Metric]) -> String {
    let each = metrics.iter();
    let each = each.map(|m| format!("{} {}", clean(&m.name), summary(&m.summary)));
    each.collect::<Vec<_>>().join(", ")
}

/// The metrics of a trial: `speed 12.1 ± 0.2, quality 0.9 (3 runs)`.
pub fn metrics(measured: &Measured) -> String {
    let runs = measured.metrics.first().map_or(0, |m| m.summary.count);
    let runs = counted(runs.into(), "run");
    format!("{} ({runs})", listed(&measured.metrics))
}

/// How surely a constraint is kept.
pub fn kept(constraint: &str, confidence: Option<f64>) -> String {
    let constraint = clean(constraint);
    match confidence {
        // No experiment is ever sure.
        Some(confidence) => {
            let percent = (confidence * 1000.0).floor() / 10.0;
            format!("{constraint}: {} % sure", percent.clamp(0.1, 99.9))
        }
        None => format!("{constraint}: by its mean; no two runs tell how sure that is"),
    }
}

/// What leads by only some of its runs.
pub fn leads(leader: &Leader) -> String {
    format!(
        "trial {} ({}) leads with {} of {}: {}; it becomes the best if it still does with all of \
         them",
        leader.measured.trial,
        changes(&leader.changes),
        leader.runs,
        counted(leader.runs_all.into(), "run"),
        listed(&leader.measured.metrics)
    )
}

/// How much better the best is; empty where there is nothing to say.
pub fn gain(gain: &Gain, objective: &Objective) -> String {
    let Gain::Measured {
        amount,
        share,
        low,
        high,
        clear,
        confirmed,
    } = gain
    else {
        return match gain {
            Gain::NothingFeasible => "no trial keeps all constraints yet".to_owned(),
            Gain::NoBaseline => "the starting values have no result".to_owned(),
            _ => "the starting values are the best so far".to_owned(),
        };
    };
    let metric = clean(&objective.metric);
    let turn = if *amount < 0.0 { "worse" } else { "better" };
    let size = match share {
        Some(share) => number::percent(share.abs()).replace('+', ""),
        None => number::significant(amount.abs(), 3),
    };
    let mut text = format!("{metric} is {size} {turn} than with the starting values");
    if let (Some(low), Some(high)) = (low, high) {
        text += &format!(" ({} to {})", number::percent(*low), number::percent(*high));
    }
    let by = confirmed.map(fresh_starts);
    match (clear, by) {
        (Some(true), None) => {}
        (Some(true), Some(by)) => text += &format!(", confirmed by {by}"),
        (Some(false), None) => text += ", which cannot be told from noise",
        (Some(false), Some(by)) => text += &format!(", which {by} cannot tell from noise"),
        (None, None) => text += "; with a single run it cannot be told from noise",
        (None, Some(by)) => text += &format!("; {by} cannot tell that from noise"),
    }
    text
}

/// What there is to say of a confirmation beside the gain; empty where there
/// is nothing.
pub fn confirmation(confirmation: &Confirmation) -> String {
    let told = Confirmed {
        winner: confirmation.winner,
        starts: confirmation.starts,
        done: confirmation.done,
        baseline: confirmation.baseline,
        measured: confirmation.measured,
        baseline_failed: confirmation.baseline_failed,
        winner_failed: confirmation.winner_failed,
        better: confirmation.better,
        missed: confirmation.missed.clone(),
    };
    told.notes().join("; ")
}

/// `NAME=VALUE` for a shell.
pub fn assignment(param: &Param) -> String {
    format!("{}={}", param.name, shell(&param.value))
}

/// Who wanted a trial that is the remedy for another.
pub fn remedy(of: u32) -> String {
    format!("the remedy for what trial {of} failed by, as [remedy] says")
}

/// What the advisor said of a trial, line by line.
pub fn advice(advice: &Advice) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(comment) = &advice.comment {
        lines.push(format!("\"{}\"", clean(comment)));
    }
    if let Some(why) = &advice.failed {
        lines.push(format!("none for {}: {}", clean(&advice.about), clean(why)));
    }
    let refused = advice.refused.iter();
    lines.extend(refused.map(|why| format!("an answer was refused: {}", clean(why))));
    lines
}

/// The trials that run: `trial 7`, `trials 7 and 8`, with the ending of a verb
/// that follows.
pub fn trials(running: Option<u32>, beside: &[u32]) -> Option<Trials> {
    let first = running?;
    Some(match beside {
        [] => Trials {
            names: format!("trial {first}"),
            are: "is",
            run: "runs",
            their: "its",
            they: "it was",
        },
        _ => Trials {
            names: format!("trials {}", in_words(&[&[first], beside].concat())),
            are: "are",
            run: "run",
            their: "their",
            they: "they were",
        },
    })
}

/// See [`trials`].
pub struct Trials {
    pub names: String,
    pub are: &'static str,
    pub run: &'static str,
    pub their: &'static str,
    pub they: &'static str,
}

/// ` after trial 7, which runs now`.
pub fn after(running: Option<u32>, beside: &[u32]) -> String {
    match trials(running, beside) {
        None => String::new(),
        Some(all) if beside.is_empty() => format!(" after {}, which runs now", all.names),
        Some(all) => format!(" after one of {}, which run now", all.names),
    }
}

/// `7`, `7 and 8`, `7, 8 and 9`.
fn in_words(numbers: &[u32]) -> String {
    let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    match numbers.split_last() {
        Some((last, before)) if !before.is_empty() => format!("{} and {last}", before.join(", ")),
        _ => numbers.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assignments_survive_a_shell() {
        let shown = |value: &str| {
            assignment(&Param {
                name: "N".to_owned(),
                value: value.to_owned(),
            })
        };
        assert_eq!(shown("0.97"), "N=0.97");
        assert_eq!(shown(""), "N=''");
        assert_eq!(shown("a b; rm $x"), "N='a b; rm $x'");
        assert_eq!(shown("it's"), r"N='it'\''s'");
    }
}
