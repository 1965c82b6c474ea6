//! What is known of the study: changed by what comes from the daemon, it says
//! what is to be asked next. It knows no clock and no connection.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use super::link::{Source, Update};
use crate::ctl::changes::Heard;
use crate::ctl::session::Trouble;
use crate::ctl::steer;
use crate::report::phrase::clean;
use crate::wire::WireError;
use crate::wire::client::ConnectError;
use crate::wire::reply::{
    Doing, EventLine, Importance, LogPiece, Objective, Pong, Reply, Running, Status, TrialDetail,
    TrialRow, Trials,
};
use crate::wire::request::{Request, Sort, TrialsQuery};

/// So many lines of a log are kept.
const LINES: usize = 1000;

/// A longer line of a log is broken, in bytes.
const LONGEST: usize = 4 << 10;

/// More trials than so many that have changed are read with all others.
const ONE_BY_ONE: usize = 20;

/// What is known.
#[derive(Default)]
pub struct Study {
    /// Who answers.
    pub met: Option<Pong>,
    /// How often somebody began to answer.
    meetings: u32,
    /// Why nobody answers.
    pub trouble: Option<String>,
    status: Option<Status>,
    /// How old the status is.
    pub age: Duration,
    /// All trials, by number.
    pub rows: Vec<TrialRow>,
    /// The metric that is optimised.
    pub objective: Option<Objective>,
    /// The constraints, as `accuracy >= 0.88`.
    pub constraints: Vec<String>,
    /// What the parameters matter.
    pub importance: Option<Importance>,
    /// The trial that is open.
    pub open: Option<TrialDetail>,
    /// The log that is followed.
    pub log: Log,
    /// What came of the last wish, and whether it was granted.
    pub answer: Option<(String, bool)>,
    stale: Stale,
}

/// What is not known, or not as it is now.
#[derive(Default)]
struct Stale {
    status: bool,
    /// Trials of which something has happened.
    trials: BTreeSet<u32>,
    /// All trials, from that one on, counted from 0.
    rest: Option<u32>,
    /// Whether other trials may be judged otherwise than they were.
    verdicts: bool,
    importance: bool,
    /// The trial that is to be open.
    open: Option<u32>,
}

impl Study {
    /// Takes in what has come.
    pub fn take(&mut self, update: Update) {
        match update {
            Update::Note(text) => self.trouble = Some(text),
            Update::Heard(Heard::Met(pong)) => {
                self.met = Some(pong);
                self.meetings += 1;
                self.trouble = None;
                self.stale.status = true;
                self.stale.rest = Some(0);
                self.stale.importance = true;
                self.reopen();
            }
            Update::Heard(Heard::Events(events)) => events.iter().for_each(|e| self.hear(e)),
            Update::Log(piece) => self.log.take(&piece),
            Update::Answer(request, Ok(reply)) => self.learn(&request, reply),
            Update::Answer(request, Err(trouble)) => self.miss(&request, &trouble),
        }
    }

    fn hear(&mut self, event: &EventLine) {
        self.stale.status = true;
        let parsed: serde_json::Value = serde_json::from_str(&event.event).unwrap_or_default();
        let Some((kind, fields)) = parsed.as_object().and_then(|event| event.iter().next()) else {
            return;
        };
        let trial = fields["trial"].as_u64().and_then(|n| u32::try_from(n).ok());
        if let Some(trial) = trial {
            self.stale.trials.insert(trial);
            if self
                .open
                .as_ref()
                .is_some_and(|open| open.row.trial == trial)
            {
                self.stale.open = Some(trial);
            }
        }
        match kind.as_str() {
            "sitting-ended" => {
                self.stale.verdicts = true;
                self.stale.importance = true;
            }
            "spec-amended" | "spec-reloaded" => self.stale.rest = Some(0),
            _ => {}
        }
    }

    /// What no event tells may have changed meanwhile.
    pub fn doubt(&mut self) {
        self.stale.status = true;
        if std::mem::take(&mut self.stale.verdicts) {
            self.stale.rest.get_or_insert(0);
        }
    }

    /// What is to be asked next; the status only where it `may_be_told` again.
    pub fn next_request(&mut self, may_be_told: bool) -> Option<Request> {
        if may_be_told && std::mem::take(&mut self.stale.status) {
            return Some(Request::Status);
        }
        if let Some(trial) = self.stale.open.take() {
            return Some(Request::Trial(trial));
        }
        if self.stale.trials.len() > ONE_BY_ONE {
            self.stale.rest = Some(0);
        }
        let known = self.rows.len() as u32;
        if let Some(offset) = self.stale.rest {
            // They come with the others.
            self.stale.trials.clear();
            return Some(page(offset, u32::MAX));
        }
        let trial = self.stale.trials.pop_first()?;
        if trial > known + 1 {
            self.stale.rest = Some(known);
            return Some(page(known, u32::MAX));
        }
        Some(page(trial.saturating_sub(1), 1))
    }

    /// Whether it is to be asked what the parameters matter.
    pub fn wants_importance(&mut self) -> bool {
        std::mem::take(&mut self.stale.importance)
    }

    /// Has a trial opened.
    pub fn open(&mut self, trial: u32) {
        if self
            .open
            .as_ref()
            .is_none_or(|open| open.row.trial != trial)
        {
            self.open = None;
        }
        self.stale.open = Some(trial);
    }

    fn reopen(&mut self) {
        self.stale.open = self.open.as_ref().map(|open| open.row.trial);
    }

    fn learn(&mut self, request: &Request, reply: Reply) {
        match (request, reply) {
            (_, Reply::Status(status)) => {
                self.age = Duration::ZERO;
                self.status = Some(*status);
            }
            (Request::Trials(query), Reply::Trials(page)) => self.enter(query, page),
            (_, Reply::Trial(trial)) => self.open = Some(*trial),
            (_, Reply::Importance(importance)) => self.importance = Some(*importance),
            (_, Reply::Accepted(accepted)) => {
                self.answer = Some((steer::sentence(&accepted, true), true));
            }
            (_, Reply::Ignored(accepted)) => {
                self.answer = Some((steer::sentence(&accepted, false), true));
            }
            _ => {}
        }
    }

    fn enter(&mut self, query: &TrialsQuery, page: Trials) {
        let got = page.rows.len() as u32;
        for row in page.rows {
            let (index, known) = (row.trial.saturating_sub(1) as usize, self.rows.len());
            match self.rows.get_mut(index) {
                Some(same) => *same = row,
                None if index == known => self.rows.push(row),
                None => self.stale.rest = Some(known as u32),
            }
        }
        self.objective = Some(page.objective);
        self.constraints = page.constraints;
        if query.limit > 1 && self.stale.rest == Some(query.offset) {
            let next = query.offset + got;
            self.stale.rest = (got > 0 && next < page.total).then_some(next);
        }
    }

    fn miss(&mut self, request: &Request, trouble: &Trouble) {
        if !request.only_reads() {
            self.answer = Some((trouble.to_string(), false));
        }
        let is_lost = matches!(
            trouble,
            Trouble::Wire(WireError::Closed) | Trouble::Connect(ConnectError::Nobody { .. })
        );
        if let Request::Trials(query) = request
            && self.stale.rest == Some(query.offset)
        {
            self.stale.rest = None;
            // Asked again at once it would be without a break while nobody is
            // there: it is at the next doubt, or when the next daemon is met.
            self.stale.verdicts |= is_lost;
        }
    }

    /// How the study stands now, its times gone on with since it was told.
    pub fn status(&self) -> Option<Status> {
        let mut status = self.status.clone()?;
        let age = u64::try_from(self.age.as_millis()).unwrap_or(u64::MAX);
        if self.trouble.is_none() {
            status.now = status.now.saturating_add_unsigned(age);
            if status.running.is_some() {
                status.busy = status.busy.saturating_add(age);
                status.left = status.left.map(|left| left.saturating_sub(age));
            }
        }
        Some(status)
    }

    /// The trials that run.
    pub fn running(&self) -> impl Iterator<Item = &Running> {
        self.status.iter().flat_map(Status::all_running)
    }

    /// Whether something that is shown changes with the time alone.
    pub fn has_timers(&self) -> bool {
        self.trouble.is_none()
            && self.status.as_ref().is_some_and(|status| {
                let asking = status.advisor.as_ref().and_then(|a| a.asking.as_ref());
                status.running.is_some()
                    || status.proposal.is_some()
                    || status.held_up.is_some()
                    || asking.is_some()
            })
    }

    /// The log of what that trial does now, or of what it did last.
    pub fn source(&self, trial: u32) -> Option<Source> {
        let running = self.running().find(|running| running.trial == trial)?;
        let (sitting, met) = (running.sitting, self.meetings);
        let last = self
            .log
            .source
            .as_ref()
            .filter(|last| (last.trial, last.sitting, last.met) == (trial, sitting, met));
        let step = step(&running.doing).or(last.map(|last| &*last.step))?;
        Some(Source {
            trial,
            sitting,
            step: step.to_owned(),
            met,
        })
    }
}

fn page(offset: u32, limit: u32) -> Request {
    Request::Trials(TrialsQuery {
        outcomes: Vec::new(),
        sort: Sort::Number,
        reverse: false,
        offset,
        limit,
    })
}

/// The step whose log tells what a sitting does.
fn step(doing: &Doing) -> Option<&str> {
    match doing {
        Doing::Readying { step }
        | Doing::Step { step }
        | Doing::WarmUp { step }
        | Doing::Part { step, .. }
        | Doing::Progress { step, .. } => Some(step),
        Doing::Starting
        | Doing::Ready
        | Doing::Ending
        | Doing::PortBusy { .. }
        | Doing::Waiting { .. } => None,
    }
}

/// The last lines of a log.
#[derive(Default)]
pub struct Log {
    /// Whose.
    pub source: Option<Source>,
    /// What of it is complete, made fit to be shown.
    lines: VecDeque<String>,
    /// The line that is being written.
    begun: Vec<u8>,
}

impl Log {
    /// Begins another log.
    pub fn turn_to(&mut self, source: Option<Source>) {
        *self = Self {
            source,
            ..Self::default()
        };
    }

    fn take(&mut self, piece: &LogPiece) {
        let is_meant = self
            .source
            .as_ref()
            .is_some_and(|source| source.step == piece.step && source.sitting == piece.sitting);
        if !is_meant {
            return;
        }
        // The first part of all begins in the middle of a line.
        let mut bytes = &*piece.bytes;
        if self.lines.is_empty() && self.begun.is_empty() && piece.offset > 0 {
            let end = bytes.iter().position(|byte| *byte == b'\n');
            bytes = &bytes[end.map_or(0, |end| end + 1)..];
        }
        for byte in bytes {
            if *byte != b'\n' {
                self.begun.push(*byte);
            }
            if *byte == b'\n' || self.begun.len() >= LONGEST {
                let line = shown(&std::mem::take(&mut self.begun));
                self.lines.push_back(line);
                if self.lines.len() > LINES {
                    self.lines.pop_front();
                }
            }
        }
    }

    /// Its last lines, at most so many after leaving so many out at the end.
    pub fn last(&self, most: usize, but: usize) -> Vec<String> {
        let mut lines: Vec<String> = self.lines.iter().cloned().collect();
        if !self.begun.is_empty() {
            lines.push(shown(&self.begun));
        }
        lines.truncate(lines.len().saturating_sub(but).max(most.min(lines.len())));
        lines.split_off(lines.len().saturating_sub(most))
    }

    /// How many lines there are.
    pub fn len(&self) -> usize {
        self.lines.len() + usize::from(!self.begun.is_empty())
    }
}

/// A line fit to be shown; of what was written over in place, as by a progress
/// bar, the last.
fn shown(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let over = text.trim_end_matches('\r').rsplit('\r').next();
    let untabbed = over.unwrap_or_default().replace('\t', "    ");
    clean(&untabbed)
}

#[cfg(test)]
#[path = "study_tests.rs"]
mod tests;
