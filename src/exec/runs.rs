//! The runs of a step: executing its command, part by part, and measuring it.

use std::pin::pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use regex::bytes::Regex;
use tokio::sync::mpsc;

use super::activity::Activity;
use super::capture::Found;
use super::curves::{Followed, Lines, Telling};
use super::extract::{Extraction, Yield};
use super::order::{CurveOrder, ProgressOrder, RunOrder, StepOrder};
use super::process::Group;
use super::report::{EndingReport, FailureReport, MarkReport, Report, RunReport, ToldReport};
use super::runner::Sitting;
use super::work::{Broken, OUTPUT_LIMIT, Service, first_death, launch, not_released, with_tail};
use crate::base::quantity::show_duration;
use crate::model::outcome::{Ending, FailureKind};
use crate::model::reason;

/// How long a server may take to be gone after a run that went wrong because
/// of it: its connections close first, and much memory takes a while to free.
const DEATH_LIMIT: Duration = Duration::from_millis(500);

/// What a run is watched for.
#[derive(Clone, Copy)]
pub(super) struct Watched<'a> {
    /// The longest that it may take.
    pub(super) timeout: Duration,
    /// The longest that it may tell nothing.
    pub(super) stall_timeout: Option<Duration>,
    pub(super) progress: Option<&'a ProgressOrder>,
    pub(super) curves: &'a [CurveOrder],
    /// What must stay alive meanwhile.
    pub(super) services: &'a [Service<'a>],
}

/// Executes the runs of a step, one after the other.
pub(super) async fn carry_out(
    sitting: &Sitting,
    step: &StepOrder,
    task: bool,
    runs: &[RunOrder],
    watched: Watched<'_>,
) -> Result<(), Broken> {
    let mut bad: Vec<FailureReport> = Vec::new();
    let mut good = 0;
    sitting.begin_artifacts(step);
    // All parts of a run together; each warm-up run is one of its own.
    let of_one = |a: &RunOrder, b: &RunOrder| a.number.is_some() && a.number == b.number;
    for parts in runs.chunk_by(of_one) {
        let number = parts.first().and_then(|part| part.number);
        let outcome = do_run(sitting, step, parts, watched).await?;
        match (outcome, number) {
            (Ok(()), Some(_)) => good += 1,
            (Err(failure), Some(_)) => bad.push(*failure),
            // The runs would take as long, each of them.
            (Err(mut failure), None) if failure.ending == Some(EndingReport::TimedOut) => {
                failure.message = reason::WARM_UP_RUN.say([&failure.message]);
                return Err(failure);
            }
            (Err(failure), None) => sitting.tell(Report::Warning(format!(
                "a warm-up run of step `{}` went wrong: {}, ignoring it",
                step.name, failure.message
            ))),
            (Ok(()), None) => {}
        }
    }
    let Some(mut first) = bad.into_iter().next() else {
        return Ok(());
    };
    if FailureKind::named(&first.kind).is_some_and(|kind| !matches!(kind, FailureKind::Host(_))) {
        let kind = match (task, good) {
            (true, _) => FailureKind::Task,
            (false, 0) => FailureKind::AllRuns,
            (false, _) => FailureKind::SomeRuns,
        };
        first.kind = kind.name().to_owned();
    }
    Err(Box::new(first))
}

/// One run, all its parts. The outer error ends the sitting, the inner one only
/// this run.
async fn do_run(
    sitting: &Sitting,
    step: &StepOrder,
    parts: &[RunOrder],
    watched: Watched<'_>,
) -> Result<Result<(), Broken>, Broken> {
    let mut elapsed = Duration::ZERO;
    let mut means = Means::default();
    let mut last = None;
    for part in parts {
        let left = watched.timeout.saturating_sub(elapsed);
        let done = go_on(sitting, step, part, left, watched).await?;
        elapsed += done.elapsed;
        let faults = done.yielded.faults.join("; ");
        let fault = match &done.ending {
            Ending::Exited(0) if faults.is_empty() => None,
            Ending::Exited(0) => Some(faults),
            Ending::TimedOut => Some(match watched.stall_timeout.filter(|_| done.stalled) {
                Some(limit) => reason::STALLED.say([&show_duration(limit)]),
                None => reason::TIME_LIMIT_OF.say([&show_duration(watched.timeout)]),
            }),
            ending => Some(ending.to_string()),
        };
        let fault = match (fault, part.part, part.number) {
            (Some(fault), Some(number), Some(_)) => Some(reason::PART.say([&number, &fault])),
            (fault, ..) => fault,
        };
        means.take(&done.yielded.metrics);
        if let (None, Some(number), Some(run)) = (&fault, part.part, part.number) {
            sitting.tell(Report::RunMarked(MarkReport {
                step: step.name.clone(),
                run,
                number,
                metrics: done.yielded.metrics.clone(),
            }));
        }
        let is_bad = fault.is_some();
        last = Some((done, fault));
        if is_bad {
            break;
        }
    }
    let Some((done, mut fault)) = last else {
        return Ok(Ok(()));
    };
    // Noted before the run counts: it is not run again then.
    let lacks = sitting.note_artifacts(step, fault.is_none()).await;
    fault = fault.or(lacks);
    if let Some(number) = parts.first().and_then(|part| part.number) {
        sitting.tell(Report::RunEnded(RunReport {
            step: step.name.clone(),
            number,
            elapsed,
            ending: EndingReport::from(&done.ending),
            metrics: means.metrics(),
            fault: fault.clone(),
        }));
    }
    Ok(match fault {
        None => Ok(()),
        Some(fault) => {
            // Was it the service's death that this run saw first?
            let death = first_death(sitting, watched.services);
            if !watched.services.is_empty()
                && let Ok(death) = tokio::time::timeout(DEATH_LIMIT, death).await
            {
                return Err(death.await);
            }
            let show_tail = done.ending != Ending::Exited(0);
            Err(with_tail(
                FailureKind::AllRuns,
                step,
                Some(done.ending),
                fault,
                &done.found,
                sitting.kernel_cause(&done.group),
                show_tail,
            ))
        }
    })
}

/// The means of the metrics over the parts of a run, in the order in which they
/// were first found.
#[derive(Default)]
struct Means(Vec<(String, f64, f64)>);

impl Means {
    fn take(&mut self, metrics: &[(String, f64)]) {
        for (name, number) in metrics {
            match self.0.iter_mut().find(|(known, ..)| known == name) {
                // By steps, since a sum of the largest numbers is none.
                Some((_, mean, count)) => {
                    *count += 1.0;
                    *mean += number / *count - *mean / *count;
                }
                None => self.0.push((name.clone(), *number, 1.0)),
            }
        }
    }

    fn metrics(self) -> Vec<(String, f64)> {
        let means = self.0.into_iter();
        means.map(|(name, mean, _)| (name, mean)).collect()
    }
}

/// What came of one execution of a command.
struct Done {
    group: Rc<Group>,
    found: Found,
    ending: Ending,
    elapsed: Duration,
    /// It has timed out since it told nothing any more.
    stalled: bool,
    yielded: Yield,
}

/// Executes the command of a run: from a checkpoint, where there is one to go on
/// from.
async fn go_on(
    sitting: &Sitting,
    step: &StepOrder,
    run: &RunOrder,
    limit: Duration,
    watched: Watched<'_>,
) -> Result<Done, Broken> {
    let Some((resume, checkpoint)) = sitting.checkpoint(step, run).await else {
        return execute(sitting, step, run, limit, watched).await;
    };
    let resumed = RunOrder {
        invocation: resume.from(&checkpoint),
        ..run.clone()
    };
    let done = execute(sitting, step, &resumed, limit, watched).await?;
    let failed = match done.ending {
        Ending::Exited(code) => code != 0,
        Ending::Signalled(_) => true,
        _ => false,
    };
    // One that came to write another has gone on well from this.
    if !failed
        || sitting.newest_checkpoint(step, resume, None).await != Ok(Some(checkpoint.clone()))
    {
        return Ok(done);
    }
    sitting.tell(Report::Warning(format!(
        "step `{}` {} when it went on from {}: it begins anew",
        step.name,
        done.ending,
        checkpoint.display()
    )));
    let left = limit.saturating_sub(done.elapsed);
    let mut anew = execute(sitting, step, run, left, watched).await?;
    anew.elapsed += done.elapsed;
    Ok(anew)
}

/// Executes the command of a run, or of a part of it.
async fn execute(
    sitting: &Sitting,
    step: &StepOrder,
    run: &RunOrder,
    limit: Duration,
    watched: Watched<'_>,
) -> Result<Done, Broken> {
    let extraction = Extraction::prepare(&run.metrics);
    note_in_log(step, run);
    let begun = Instant::now();
    let mut scan = extraction.scan();
    // Of a warm-up run nobody wants to know.
    let followed = watched.progress.zip(run.number);
    let (sender, mut marks) = mpsc::unbounded_channel();
    scan.progress = followed
        .and_then(|(progress, _)| Regex::new(&progress.pattern).ok())
        .map(|pattern| (pattern, sender));
    let (noter, mut noted) = mpsc::unbounded_channel();
    let patterns = step.notes.iter();
    let patterns: Vec<Regex> = patterns
        .filter_map(|note| Regex::new(&note.pattern).ok())
        .collect();
    scan.notes = (!patterns.is_empty()).then_some((patterns, noter));
    let mut has_noted = vec![false; step.notes.len()];
    let mut note = |(index, text): (usize, String)| {
        if let Some(note) = step.notes.get(index) {
            has_noted[index] = true;
            sitting.say_once(format!("{}: {text}", note.name));
        }
    };
    let activity = Activity::begin();
    scan.activity = Some(activity.clone());
    // Only of the first run: a study may have a great many.
    let curves = watched.curves;
    let curves = if run.number == Some(1) { curves } else { &[] };
    let (teller, mut told) = mpsc::unbounded_channel();
    scan.curves = Lines::new(curves, &teller);
    let files = Followed::start(curves, &teller, &activity).unwrap_or_else(|error| {
        let text = format!(
            "the files of step `{}` cannot be followed: {error}",
            step.name
        );
        sitting.tell(Report::Warning(text));
        None
    });
    drop(teller);
    let report = |telling: Telling| {
        sitting.tell(match telling {
            Telling::Told(told) => Report::RunTold(ToldReport {
                step: step.name.clone(),
                run: 1,
                at: told.at,
                of: told.of,
                metrics: told.metrics,
            }),
            Telling::PassedOver(text) => Report::Warning(text),
        });
    };
    let tell = |(number, value): (u32, f64)| {
        if let Some((progress, run)) = followed {
            sitting.tell(Report::RunMarked(MarkReport {
                step: step.name.clone(),
                run,
                number,
                metrics: vec![(progress.metric.clone(), value)],
            }));
        }
    };
    let (group, capture) = launch(sitting, step, run.number, &run.invocation, scan)?;
    let mut stalled = false;
    let ended = {
        let mut end = pin!(async {
            tokio::select! {
                biased;
                ending = group.ended() => Ok(ending),
                failure = first_death(sitting, watched.services) => Err(failure),
                () = tokio::time::sleep(limit) => Ok(Ending::TimedOut),
                () = activity.stalled(watched.stall_timeout) => {
                    stalled = true;
                    Ok(Ending::TimedOut)
                }
            }
        });
        loop {
            tokio::select! {
                biased;
                ended = &mut end => break ended,
                Some(mark) = marks.recv() => tell(mark),
                Some(told) = told.recv() => report(told),
                Some(text) = noted.recv() => note(text),
            }
        }
    };
    let elapsed = begun.elapsed();
    // What the run has left behind goes before anything else is started.
    if !sitting.clear(&group).await {
        let left = group.members();
        return Err(Box::new(not_released(
            reason::NOT_KILLED.say([&format!("{left:?}"), &step.name]),
        )));
    }
    let found = capture.finish(OUTPUT_LIMIT).await;
    // Those that came with the end.
    while let Ok(mark) = marks.try_recv() {
        tell(mark);
    }
    while let Ok(text) = noted.try_recv() {
        note(text);
    }
    drop(files);
    let rest = async {
        while let Some(told) = told.recv().await {
            report(told);
        }
    };
    // A disk that does not answer is not waited for.
    let _ = tokio::time::timeout(OUTPUT_LIMIT, rest).await;
    if let Some(error) = &found.log_error {
        sitting.tell(Report::Warning(format!(
            "{}: {error}, ignoring it",
            step.log.display()
        )));
    }
    let ending = match ended {
        Ok(ending) => ending,
        Err(death) => return Err(death.await),
    };
    if ending == Ending::Exited(0) {
        let lacking = step.notes.iter().zip(has_noted).filter(|(_, has)| !has);
        let missing = lacking.filter_map(|(note, _)| note.missing.clone());
        missing.for_each(|text| sitting.say_once(text));
    }
    let yielded = extraction.finish(&found);
    Ok(Done {
        group,
        found,
        ending,
        elapsed,
        stalled,
        yielded,
    })
}

/// Separates the runs in the step's log.
fn note_in_log(step: &StepOrder, run: &RunOrder) {
    use std::io::Write;
    let header = match (run.number, run.part) {
        (Some(number), Some(part)) => format!("[autotune: run {number}, part {part}]\n"),
        (Some(number), None) => format!("[autotune: run {number}]\n"),
        (None, _) => "[autotune: warm-up run]\n".to_owned(),
    };
    let log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&step.log);
    // A log that cannot be written is reported by the capture.
    let _ = log.and_then(|mut log| log.write_all(header.as_bytes()));
}
