//! What a person sees while a study runs: a line for each finished trial, and
//! on a terminal one live line below.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::mpsc;

use super::after_label;
use super::prompt::{Heard, Prompter};
use super::study_table::{self, Row};
use crate::base::clock;
use crate::base::quantity::show_duration;
use crate::base::wrap::wrap;
use crate::daemon::{Update, Wish};
use crate::model::artifacts::ArtifactsChange;
use crate::model::event::{Event, Fact, port_busy};
use crate::model::prior::imported;
use crate::model::study::{Phase, Study};
use crate::model::trial::{Purpose, TrialId};
use crate::report::advice::news;
use crate::report::phrase::{clean_lines, counted, undelivered};
use crate::report::proposal;
use crate::report::retrial::{self, DRIFT_HINT, drifted};
use crate::report::{artifacts, curves};
use crate::search::{confirm, count};
use crate::term::color::{ACCENT, BAD, BOLD, DIM, GOOD};
use crate::term::number::{self, FIGURES};

/// How often the live line is drawn again without news.
const TICK: Duration = Duration::from_millis(200);

/// Follows a daemon and shows what it does.
pub struct Progress {
    output_dir: PathBuf,
    bar: Option<ProgressBar>,
    began: Instant,
    /// What the running trial does, and since when; of several the one with the
    /// lowest number.
    doing: Option<(String, Instant)>,
    study: Option<Arc<Study>>,
    most: Option<u64>,
    said_header: bool,
    /// Where proposals are asked about.
    prompter: Option<Prompter>,
}

impl Progress {
    /// Shows a study whose files go to `output_dir`, and asks about proposals
    /// where the answers can go somewhere.
    pub fn new(output_dir: &Path, wishes: Option<mpsc::UnboundedSender<Wish>>) -> Self {
        let live = std::io::stderr().is_terminal() && std::io::stdout().is_terminal();
        let bar = live.then(|| {
            let bar = ProgressBar::new_spinner();
            let style = ProgressStyle::with_template("{spinner} {wide_msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar
        });
        Self {
            output_dir: output_dir.to_owned(),
            bar,
            began: Instant::now(),
            doing: None,
            study: None,
            most: None,
            said_header: false,
            prompter: wishes.map(Prompter::new),
        }
    }

    /// Shows updates until the daemon has ended.
    pub async fn follow(mut self, mut updates: mpsc::UnboundedReceiver<Update>) {
        let mut tick = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                // What came of an answer is shown before the next question.
                biased;
                update = updates.recv() => match update {
                    Some(update) => self.take(update),
                    None => break,
                },
                heard = hear(&mut self.prompter) => {
                    if let Heard::Again(text) = heard {
                        self.line(&text);
                    }
                }
                _ = tick.tick(), if self.bar.is_some() => {}
            }
            self.draw();
        }
        if let Some(prompter) = &mut self.prompter {
            prompter.erase();
        }
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn take(&mut self, update: Update) {
        match update {
            Update::Opened { study, notes } => {
                self.open(&study);
                for note in notes {
                    let note = wrap("", "  ", &note).join("\n");
                    self.line(&format!("{DIM}{note}{DIM:#}"));
                }
                self.most = count::trials(study.spec()).most();
                self.study = Some(study);
            }
            Update::Recovering { trial, .. } => {
                self.line(&format!(
                    "{DIM}clearing up what is left of trial {trial}{DIM:#}"
                ));
            }
            Update::Asking(about) => {
                let doing = format!("asking the advisor for {about}");
                self.doing = Some((doing, Instant::now()));
            }
            Update::Warning(text) => self.note(&text),
            Update::Answer(text) => self.line(&text),
            Update::DiskTrouble(text) => {
                self.line(&format!("{BAD}waiting{BAD:#}: {text}, retrying"));
                self.doing = Some(("waiting for the disk".to_owned(), Instant::now()));
            }
            Update::DiskBack => self.line(&format!("{GOOD}the disk takes data again{GOOD:#}")),
            Update::Fact(fact, study) => {
                if let Some(prompter) = &mut self.prompter {
                    prompter.erase_stale(&study);
                }
                self.take_fact(&fact, &study);
                self.study = Some(study);
            }
        }
    }

    fn open(&mut self, study: &Study) {
        let spec = study.spec();
        let objective = &spec.objective;
        let direction = format!("{:?}", objective.direction).to_lowercase();
        let constraints: Vec<String> = spec.constraints.iter().map(ToString::to_string).collect();
        let where_ = if constraints.is_empty() {
            ""
        } else {
            ", where "
        };
        self.line(&format!(
            "{BOLD}study {}{BOLD:#}: {direction} {}{where_}{}",
            spec.name,
            objective.metric,
            constraints.join(" and "),
        ));
        self.line(&format!("{DIM}files: {}{DIM:#}", self.output_dir.display()));
        let settled = study
            .trials()
            .iter()
            .filter(|trial| trial.is_settled())
            .count();
        if settled > 0 {
            let settled = counted(settled as u64, "finished trial");
            self.line(&format!("going on after {settled}"));
        }
    }

    fn take_fact(&mut self, fact: &Fact, study: &Study) {
        let spec = match fact.event.trial() {
            Some(trial) => study.spec_of_running(trial),
            None => study.spec(),
        };
        // The others are only named.
        let before = self.study.as_deref().and_then(Study::running);
        let is_shown = match (fact.event.trial(), before) {
            (Some(trial), Some(shown)) => trial == shown.id,
            _ => true,
        };
        let runs_of = |step: &str| spec.step(step).map_or(0, |step| step.counted_runs());
        let doing = match &fact.event {
            Event::SittingStarted { .. } => "starting".to_owned(),
            Event::StepStarted {
                trial, step, run, ..
            } => match (runs_of(step), run) {
                (0, _) => format!("{step}: getting ready"),
                (_, None) => format!("{step}: warm-up"),
                (all, Some(run)) => {
                    let part = spec.step(step).zip(study.trial(*trial));
                    let part = part.and_then(|(step, trial)| trial.next_part(step, *run));
                    let part = part.map(|(part, parts)| format!(", part {part} of {parts}"));
                    format!("{step}: run {run} of {all}{}", part.unwrap_or_default())
                }
            },
            Event::PortBusy { port, holder, .. } => {
                let text = port_busy(*port, holder);
                self.note(&text);
                format!("waiting for port {port}")
            }
            Event::ServicesReady { startup, .. } => {
                format!("ready after {}", show_duration(*startup))
            }
            Event::RunMarked { mark, .. } => {
                // It is still the same run; the next part says itself that it
                // begins.
                let step = spec.step(&mark.step).filter(|_| is_shown);
                if let (Some((doing, _)), Some((metric, number))) =
                    (&mut self.doing, mark.metrics.first())
                    && step.is_some_and(|step| step.parts().is_none())
                {
                    let number = number::significant(number.get(), FIGURES);
                    *doing = format!("{}: run {}, {metric} {number}", mark.step, mark.run);
                }
                return;
            }
            Event::RunTold { told, .. } => {
                // It is still the same run.
                let curves = study.running().map(|trial| trial.open_curves());
                let newest = curves.and_then(curves::in_one_line);
                if let (Some((doing, _)), Some(newest), true) = (&mut self.doing, newest, is_shown)
                {
                    *doing = format!("{}: {newest}", told.step);
                }
                return;
            }
            Event::RunEnded { run, .. } => format!("{}: run {} done", run.step, run.number),
            Event::SittingEnded { trial, sitting, .. } => {
                let of = study.trial(*trial);
                match of.and_then(|of| Some((of, of.sitting(*sitting)?))) {
                    Some((of, retried)) if retried.purpose != Purpose::Measure => {
                        self.line(&study_table::retried(study, of, retried));
                    }
                    _ => self.finished(*trial, study),
                }
                if is_shown {
                    self.doing = None;
                }
                return;
            }
            Event::Warned { text, .. } | Event::Waiting { text, .. } => {
                self.note(text);
                return;
            }
            Event::Artifacts { trial, change } => {
                if !matches!(change, ArtifactsChange::Found { .. }) {
                    self.note(&artifacts::changed(*trial, change));
                }
                return;
            }
            Event::TaskResumed {
                trial,
                step,
                checkpoint,
                ..
            } => {
                self.note(&artifacts::resumed(*trial, step, checkpoint));
                return;
            }
            // Its row will say why.
            Event::TrialPruned { .. } => "it cannot win any more".to_owned(),
            Event::TrialDeferred { .. } => "its further runs can wait".to_owned(),
            Event::TrialSkipped { trial } => {
                self.line(&format!("{DIM}trial {trial} is skipped{DIM:#}"));
                return;
            }
            Event::Drifted {
                trial,
                before,
                after,
                ..
            } => {
                let metric = &study.spec().objective.metric;
                let text = drifted(metric, trial.0, *before, *after);
                self.note(&format!("drift: {text}"));
                self.note(DRIFT_HINT);
                return;
            }
            Event::ApprovalAsked(proposal) => {
                if self.prompter.is_none() {
                    let what = proposal::in_words(study, proposal);
                    let text = format!(
                        "proposal {} waits: {what}; to answer: autotunectl approve, autotunectl \
                         reject",
                        proposal.number
                    );
                    self.note(&text);
                }
                return;
            }
            Event::ApprovalGiven { .. }
            | Event::ApprovalRefused { .. }
            | Event::ApprovalWithdrawn { .. }
            | Event::ParameterReopened { .. } => {
                if let Some(text) = proposal::answered(&fact.event) {
                    self.line(&format!("{DIM}{text}{DIM:#}"));
                }
                return;
            }
            Event::Paused { reason, by_user } => {
                if *by_user {
                    self.line(&format!(
                        "{ACCENT}paused{ACCENT:#}: {reason}; to go on: autotunectl resume"
                    ));
                }
                return;
            }
            Event::Resumed => {
                let before = self.study.as_deref().map(Study::phase);
                if matches!(before, Some(Phase::Paused(_))) {
                    self.line(&format!("{DIM}resumed{DIM:#}"));
                }
                return;
            }
            Event::SpecAmended { amendments } => {
                let what = study_table::amended(self.study.as_deref(), amendments);
                self.most = count::trials(study.spec()).most();
                self.line(&format!("{ACCENT}changed{ACCENT:#}: {what}"));
                return;
            }
            Event::Imported(batch) => {
                let what = imported(batch.rows.len(), &batch.file);
                self.line(&format!("{ACCENT}imported{ACCENT:#}: {what}"));
                return;
            }
            Event::SpecReloaded { .. } => {
                self.most = count::trials(study.spec()).most();
                self.line(&format!(
                    "{ACCENT}changed{ACCENT:#}: the spec was read again"
                ));
                return;
            }
            Event::NoticeGivenUp { .. } => {
                if let Some(text) = undelivered(&fact.event) {
                    self.note(&text);
                }
                return;
            }
            Event::Advised(advice) => {
                self.doing = None;
                match (news(study, advice), &advice.answer) {
                    (Some(text), Ok(_)) => self.line(&format!("{DIM}{text}{DIM:#}")),
                    (Some(text), Err(_)) => self.note(&text),
                    (None, _) => {}
                }
                return;
            }
            Event::Opened { .. }
            | Event::NoticeQueued(_)
            | Event::NoticeDelivered { .. }
            | Event::HostSeen { .. }
            | Event::TrialPlanned { .. }
            | Event::TrialReopened { .. }
            | Event::Done { .. } => return,
        };
        if is_shown {
            self.doing = Some((doing, Instant::now()));
        }
    }

    fn finished(&mut self, id: TrialId, study: &Study) {
        let Some(trial) = study.trial(id) else { return };
        if !self.said_header {
            self.said_header = true;
            self.line(&format!(
                "\n{DIM}{}{DIM:#}",
                study_table::header(study.spec())
            ));
        }
        let incumbent = self
            .study
            .as_deref()
            .and_then(|before| before.incumbent().cloned());
        let row = Row::new(study, trial, incumbent.as_deref());
        for line in row.lines(study) {
            self.line(&line);
        }
    }

    fn draw(&mut self) {
        let Some(study) = &self.study else { return };
        if let Some(prompter) = &mut self.prompter {
            prompter.erase_stale(study);
            if let Some(question) = prompter.wanted(study) {
                if let Some(bar) = &self.bar {
                    bar.finish_and_clear();
                }
                prompter.show(question);
            }
            if prompter.is_shown() {
                return;
            }
        }
        if let Some(bar) = &self.bar {
            if bar.is_finished() {
                bar.reset();
            }
            bar.set_message(self.message(study));
            bar.tick();
        }
    }

    fn message(&self, study: &Study) -> String {
        let Some(trial) = study.running() else {
            return match study.phase() {
                Phase::Active if confirm::is_under_way(study) => "confirming the best".to_owned(),
                Phase::Active => "choosing what to try next".to_owned(),
                Phase::AwaitingApproval => "waiting for approval: autotunectl status".to_owned(),
                Phase::Paused(_) => "paused; to go on: autotunectl resume".to_owned(),
                Phase::Done(reason) => format!("done: {reason}; it stays for what comes"),
            };
        };
        let of = self
            .total(study)
            .map(|total| format!("/{total}"))
            .unwrap_or_default();
        let differs = study_table::differences(study, trial);
        let mut message = match retrial::running(study, trial) {
            Some(why) => format!("{why}: trial {}  {differs}", trial.id),
            None => format!("trial {}{of}  {differs}", trial.id),
        };
        if let Some((doing, since)) = &self.doing {
            message += &format!("  {doing}");
            // Milliseconds would only flicker.
            let seconds = since.elapsed().as_secs();
            if seconds > 0 {
                message += &format!(" ({})", whole_seconds(seconds));
            }
        }
        let beside = study.all_running().skip(1);
        for other in beside {
            message += &format!(" | trial {}", other.id);
        }
        if let Some(best) = study.incumbent()
            && let Some(summary) = study.objective(best)
        {
            message += &format!(" | best {}", number::significant(summary.mean, FIGURES));
        }
        if let Some(left) = self.left(study) {
            let left = whole_seconds(left.as_secs().max(1));
            message += &format!(", {left} left");
        }
        message
    }

    fn total(&self, study: &Study) -> Option<u64> {
        let budget = study.spec().budget.trials.map(u64::from);
        [budget, self.most].into_iter().flatten().min()
    }

    /// The time that the rest takes when trials go on as so far.
    fn left(&self, study: &Study) -> Option<Duration> {
        let settled = study
            .trials()
            .iter()
            .filter(|trial| trial.is_settled())
            .count();
        let total = self.total(study)?;
        let mean = study
            .busy(clock::now())
            .checked_div(u32::try_from(settled).ok()?)?;
        let open = u32::try_from(total.saturating_sub(settled as u64)).ok()?;
        let enough = settled > 1 || self.began.elapsed() > Duration::from_secs(5);
        (settled > 0 && enough).then(|| mean * open)
    }

    /// Prints one line above the live one.
    fn note(&self, text: &str) {
        // Of several lines is what points at a place in the spec.
        let text = match text.contains('\n') {
            true => format!(": {}", clean_lines(text)),
            false => after_label("note", text),
        };
        self.line(&format!("{ACCENT}note{ACCENT:#}{text}"));
    }

    fn line(&self, text: &str) {
        let print = || {
            let mut out = anstream::stdout();
            let _ = writeln!(out, "{text}");
        };
        match (&self.prompter, &self.bar) {
            (Some(prompter), _) if prompter.is_shown() => prompter.line(text),
            (_, Some(bar)) => bar.suspend(print),
            (_, None) => print(),
        }
    }
}

async fn hear(prompter: &mut Option<Prompter>) -> Heard {
    match prompter {
        Some(prompter) => prompter.hear().await,
        None => std::future::pending().await,
    }
}

fn whole_seconds(seconds: u64) -> String {
    if seconds < 100 {
        return format!("{seconds} s");
    }
    show_duration(Duration::from_secs(seconds))
}
