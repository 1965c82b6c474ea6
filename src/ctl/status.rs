//! `autotunectl status`.

use std::time::Duration;

use tokio::sync::{Notify, mpsc};

use super::changes::changes;
use super::exit::Exit;
use super::session::{Session, Trouble};
use super::{approve, notify, prose};
use crate::base::clock::Timestamp;
use crate::model::curve::Curve;
use crate::model::drift::Drift;
use crate::model::prior;
use crate::report::curves;
use crate::report::phrase::{clean, counted, percent, saved};
use crate::report::retrial::{self, DRIFT_HINT};
use crate::term::number::{FIGURES, significant};
use crate::term::tables::pairs;
use crate::wire::import::Source;
use crate::wire::reply::{Advisor, Doing, HeldUp, Neighbours, Phase, Reply, Running, Status};
use crate::wire::request::Request;

/// Shows what runs, how far the study is, and how good
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  autotunectl status
  autotunectl status --watch
  autotunectl status --watch --json | jq -c .counts

With --watch it is shown again whenever something has changed, at most once a
second, until it is ended with Ctrl-C; with --json each in one line. A restart
of the daemon is waited for. `autotunectl top` shows the same on a whole
terminal.")]
pub struct Args {
    /// Show it again after every change
    #[arg(long, short)]
    watch: bool,
}

/// With `--watch` it is not shown more often.
const PAUSE: Duration = Duration::from_secs(1);

/// So often it is asked for what no event tells: the disk's trouble, and whether
/// messages arrive.
pub(super) const QUIET: Duration = Duration::from_secs(10);

pub async fn carry_out(session: &mut Session, args: &Args) -> Result<Exit, Trouble> {
    if args.watch {
        return watch(session).await;
    }
    let status = ask(session).await?;
    if session.json {
        session.print_json(&status)?;
    } else {
        session.print(&text(&status, None, session.color))?;
    }
    Ok(Exit::Done)
}

async fn ask(session: &mut Session) -> Result<Status, Trouble> {
    match session.ask(&Request::Status).await? {
        Reply::Status(status) => Ok(*status),
        _ => Err(Trouble::OffTopic),
    }
}

async fn watch(session: &mut Session) -> Result<Exit, Trouble> {
    let stale = Notify::new();
    // The socket is found before there are two who use it.
    session.client().await?;
    // It is the other connection that says when the daemon goes and comes.
    let mut asking = session.beside(mpsc::unbounded_channel().0);
    let shown = async {
        let mut last = None;
        loop {
            let _ = tokio::time::timeout(QUIET, stale.notified()).await;
            match ask(&mut asking).await {
                Ok(status) => show_change(&asking, status, &mut last)?,
                // What is lost is asked for again once a daemon is met.
                Err(_) => asking.disconnect(),
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::select! {
        trouble = changes(session, |_| stale.notify_one()) => Err(trouble),
        result = shown => result,
    }
}

/// Prints a status that differs from the last one by more than the time.
fn show_change(
    session: &Session,
    status: Status,
    last: &mut Option<Status>,
) -> Result<(), Trouble> {
    let timeless = Status {
        now: 0,
        busy: 0,
        left: None,
        ..status.clone()
    };
    if last.as_ref() == Some(&timeless) {
        return Ok(());
    }
    let first = last.replace(timeless).is_none();
    if session.json {
        let line = serde_json::to_string(&status).map_err(std::io::Error::other)?;
        return session.print(&format!("{line}\n"));
    }
    let gap = if first { "" } else { "\n" };
    let at = Some(prose::moment(status.now));
    session.print(&format!("{gap}{}", text(&status, at, session.color)))
}

/// The names take so many columns, with the gap.
const NAMES: usize = 10;

/// How it stands, with the time of day where that is wanted.
fn text(status: &Status, at: Option<String>, color: bool) -> String {
    let mut shown: Vec<(&str, String)> = at.map(|at| ("at", at)).into_iter().collect();
    let mut add = |name: &'static str, text: String| {
        shown.push((name, prose::below(&text, NAMES)));
    };
    add(
        "study",
        format!("{} {}", clean(&status.study), phase(status)),
    );
    if let Some(trouble) = &status.disk_trouble {
        add("disk", format!("takes no data: {}", clean(trouble)));
    }
    for running in status.all_running() {
        add("running", running_text(status, running));
        let curves: Vec<Curve> = running.curves.iter().map(Into::into).collect();
        if let Some(furthest) = curves::furthest(curves.iter()) {
            add("told", curves::place(furthest));
        }
        for curve in &curves {
            let line = format!("{} {}", curves::newest(curve), curves::sparkline(curve));
            add("", line.trim_end().to_owned());
        }
    }
    for slot in &status.slots {
        // Once the study is done, all are: that is told already.
        let is_done = matches!(status.phase, Phase::Done { .. });
        if let Some(idle) = slot.idle.as_ref().filter(|_| !is_done) {
            add(
                "idle",
                format!("slot {}: {}", clean(&slot.name), clean(idle)),
            );
        }
    }
    if let Some(advisor) = &status.advisor {
        add("advisor", advisor_text(status.now, advisor));
    }
    if let Some(held_up) = &status.held_up {
        add("held up", held_up_text(status.now, held_up));
    }
    if let Some(proposal) = &status.proposal {
        add("proposal", approve::proposed(proposal, status.now));
    }
    if !status.ended.is_empty() {
        add("ended", approve::ended(&status.ended));
    }
    match &status.best {
        Some(best) => {
            let metrics = prose::metrics(best);
            add("best", format!("trial {}: {metrics}", best.trial));
            if !status.changes.is_empty() {
                add("with", prose::changes(&status.changes));
            }
            add("gain", prose::gain(&status.gain, &status.objective));
        }
        None => add("best", prose::gain(&status.gain, &status.objective)),
    }
    if let Some(leader) = &status.leader {
        add("leads", prose::leads(leader));
    }
    if let Some(artifacts) = &status.artifacts {
        add("kept", prose::artifacts(artifacts));
    }
    let notes = status.confirmation.as_ref().map(prose::confirmation);
    if let Some(notes) = notes.filter(|notes| !notes.is_empty()) {
        add("confirm", notes);
    }
    if let Some(found) = &status.drift {
        let drift = Drift {
            since: Timestamp::from_millis(found.since),
            amount: found.amount,
            is_share: found.is_share,
        };
        let drift = retrial::drift(&drift, &status.objective.metric);
        let since = prose::moment(found.since);
        add("drift", format!("since {since} {drift}; {DRIFT_HINT}"));
    }
    if let Some(found) = &status.neighbours {
        add("beside", neighbours(found, &status.objective.metric));
    }
    let is_best = |trial| status.best.as_ref().is_some_and(|best| best.trial == trial);
    if let Some(start) = status
        .baseline
        .as_ref()
        .filter(|start| !is_best(start.trial))
    {
        let metrics = prose::metrics(start);
        let outcome = match start.outcome.as_str() {
            "complete" => "",
            other => &format!(", {}", clean(other)),
        };
        add(
            "baseline",
            format!("trial {}: {metrics}{outcome}", start.trial),
        );
    }
    if !status.constraints.is_empty() {
        let constraints: Vec<String> = status.constraints.iter().map(|c| clean(c)).collect();
        add("where", constraints.join(" and "));
    }
    if !status.amendments.is_empty() {
        let amendments = clean(&status.amendments.join("; "));
        add("changed", format!("{amendments}, on top of the spec"));
    }
    if !status.imported.is_empty() {
        add("imported", imported(&status.imported));
    }
    add("trials", trials(status));
    add("time", time(status));
    if !status.waiting.is_empty() {
        let each = status.waiting.iter();
        let each = each.map(|w| format!("trial {} ({})", w.trial, prose::changes(&w.changes)));
        add("next", each.collect::<Vec<_>>().join(", "));
    }
    for line in status.channels.iter().filter_map(notify::line) {
        shown.push(("notify", prose::below(&line, NAMES)));
    }
    shown.push(("files", clean(&status.output_dir)));
    pairs(shown, color)
}

/// What was measured elsewhere and is learned from.
fn imported(sources: &[Source]) -> String {
    let each = sources.iter().map(|source| {
        let all = prior::imported(source.measurements as usize, &clean(&source.file));
        match source.passed_over {
            0 => all,
            over => format!("{all} ({over} outside the space)"),
        }
    });
    each.collect::<Vec<_>>().join(", ")
}

pub(super) fn phase(status: &Status) -> String {
    if status.stopping {
        return "is being stopped".to_owned();
    }
    match &status.phase {
        Phase::Confirming => "has ended its search, and confirms the best".to_owned(),
        Phase::Active => "goes on".to_owned(),
        Phase::Paused { reason, by_user } => {
            let beside: Vec<u32> = status.beside.iter().map(|one| one.trial).collect();
            let running = status.running.as_ref().map(|one| one.trial);
            let after = prose::trials(running, &beside);
            let after = after.map_or_else(String::new, |all| format!(" after {}", all.names));
            let reason = if *by_user {
                String::new()
            } else {
                format!(" ({})", clean(reason))
            };
            format!("is paused{after}{reason}; to go on: autotunectl resume")
        }
        Phase::AwaitingApproval => "waits for approval".to_owned(),
        Phase::Done { reason } => format!("is done: {}", clean(reason)),
    }
}

pub(super) fn running_text(status: &Status, running: &Running) -> String {
    let doing = match &running.doing {
        Doing::Starting => "starting".to_owned(),
        Doing::Readying { step } => format!("waiting until {} is ready", clean(step)),
        Doing::Ready => "ready".to_owned(),
        Doing::Step { step } => format!("in step {}", clean(step)),
        Doing::Ending => "being ended".to_owned(),
        Doing::WarmUp { step } => format!("in a warm-up run of step {}", clean(step)),
        Doing::PortBusy { port, holder } => {
            format!("waiting for port {port}, held by {}", clean(holder))
        }
        Doing::Waiting { text } => clean(text),
        Doing::Part { step, part, parts } => {
            format!("in part {part} of {parts} of step {}", clean(step))
        }
        Doing::Progress {
            step,
            metric,
            value,
        } => {
            let value = significant(*value, FIGURES);
            format!("in step {} ({} {value} so far)", clean(step), clean(metric))
        }
    };
    let slot = running.slot.as_ref();
    let slot = slot.map_or_else(String::new, |slot| format!("slot {}, ", clean(slot)));
    if let Some(retrial) = &running.retrial {
        return format!(
            "{slot}{}: trial {} ({}); {doing} for {}",
            clean(retrial),
            running.trial,
            prose::changes(&running.changes),
            prose::since(status.now, running.since),
        );
    }
    format!(
        "{slot}trial {} ({}): {} of {}; {doing} for {}",
        running.trial,
        prose::changes(&running.changes),
        running.runs,
        counted(running.runs_all.into(), "run"),
        prose::since(status.now, running.since),
    )
}

/// By how much neighbours disturb each other.
fn neighbours(found: &Neighbours, metric: &str) -> String {
    if found.disturb {
        return retrial::disturbed(metric, found.difference);
    }
    let (difference, noise) = (percent(found.difference), percent(found.noise));
    format!(
        "{} of the starting values differs by {difference} beside neighbours; noise may make it \
         differ by {noise}",
        clean(metric)
    )
}

/// Whom it asks for what, and what came of all questions.
pub(super) fn advisor_text(now: i64, advisor: &Advisor) -> String {
    let model = clean(&advisor.model);
    let doing = match (&advisor.asking, &advisor.barred) {
        (Some(asking), _) => format!(
            "asking the advisor ({model}) for {}, {}",
            clean(&asking.about),
            prose::since(now, asking.since)
        ),
        (None, Some(why)) => format!("{model} is not asked: {}", clean(why)),
        (None, None) => model,
    };
    let mut parts = vec![doing];
    if advisor.questions > 0 {
        parts.push(format!(
            "{}: {} of use, {} by the fall-back",
            counted(advisor.questions.into(), "question"),
            advisor.accepted,
            advisor.fallbacks
        ));
    }
    if advisor.refused > 0 {
        parts.push(format!(
            "{} refused",
            counted(advisor.refused.into(), "answer")
        ));
    }
    let tokens = advisor.prompt_tokens + advisor.completion_tokens;
    if tokens > 0 {
        let most = advisor.tokens_most.map(|most| format!(" of {most}"));
        let cost = advisor
            .cost
            .map(|cost| format!(" for {}", significant(cost, 3)));
        let (most, cost) = (most.unwrap_or_default(), cost.unwrap_or_default());
        parts.push(format!("{tokens}{most} tokens{cost}"));
    }
    if let Some(trouble) = advisor
        .trouble
        .as_ref()
        .filter(|_| advisor.barred.is_none())
    {
        parts.push(format!("the last: {}", clean(trouble)));
    }
    parts.join("; ")
}

pub(super) fn time(status: &Status) -> String {
    let busy = prose::duration(status.busy);
    let left = match (status.left, &status.left_by) {
        _ if matches!(status.phase, Phase::Done { .. }) => String::new(),
        (Some(left), Some(by)) if left > 0 => {
            format!(
                ", about {} left at most ({})",
                prose::duration(left),
                clean(by)
            )
        }
        (Some(_), _) => String::new(),
        (None, _) => "; how much is left is not known yet".to_owned(),
    };
    format!("{busy} so far{left}")
}

pub(super) fn held_up_text(now: i64, held_up: &HeldUp) -> String {
    let left = u64::try_from(held_up.again - now).unwrap_or_default();
    format!(
        "trial {}, {} of {} times in a row: {}; tried again in {}",
        held_up.trial,
        held_up.times,
        held_up.most,
        clean(&held_up.why),
        prose::duration(left),
    )
}

pub(super) fn trials(status: &Status) -> String {
    let counts = status.counts;
    let parts = [
        (counts.complete, "complete"),
        (counts.infeasible, "infeasible"),
        (counts.pruned, "pruned"),
        (counts.failed, "failed"),
        (counts.unsettled, "not settled"),
    ];
    let all: u32 = parts.iter().map(|(count, _)| count).sum();
    let parts: Vec<String> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    let most = status.trials_most.map(|most| format!(" of {most} at most"));
    let parts = if parts.is_empty() {
        String::new()
    } else {
        format!(": {}", parts.join(", "))
    };
    let saved = saved(f64::from(status.runs) + status.runs_cut, status.runs_saved)
        .map(|saved| format!("; {saved}"));
    let (most, saved) = (most.unwrap_or_default(), saved.unwrap_or_default());
    format!("{all}{most}{parts}{saved}")
}
