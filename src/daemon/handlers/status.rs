//! `Status`: how the study stands.

use super::{Context, common, notify, slots};
use crate::base::clock;
use crate::daemon::board::View;
use crate::daemon::consult::barred;
use crate::daemon::decide::HOST_FAULTS_MAX;
use crate::model::curve::Curve;
use crate::model::study::{Phase, Study};
use crate::model::trial::Trial;
use crate::report::credit;
use crate::report::remaining::remaining;
use crate::report::{self, curves, retrial};
use crate::search::confirm;
use crate::wire::convert::milliseconds;
use crate::wire::import::Source;
use crate::wire::reply::{self, Counts, Credit, Doing, HeldUp, Reply, Running, Status, Waiting};

/// So many trials that wait are told.
const WAITING: usize = 20;
/// So many files are told from which something was imported.
const SOURCES: usize = 20;

pub fn answer(context: &Context) -> Reply {
    let view = &context.board.view();
    let study = &*view.study;
    let spec = study.spec();
    let now = clock::now();
    let counts = study.counts();
    let running = study.all_running();
    let mut running = running.filter_map(|trial| running_trial(view, trial));
    let waiting = study.all_unsettled();
    let waiting = waiting.filter(|trial| trial.running().is_none());
    let waiting = waiting.take(WAITING).map(|trial| Waiting {
        trial: trial.id.0,
        changes: common::changes(study, trial),
    });
    let baseline = study.baseline();
    let baseline = baseline.filter(|trial| trial.runs.iter().any(|run| run.is_good()));
    let busy = study.busy(now);
    // With trials of another sampler or space before, it is not known.
    let trials_most = view.trials_most();
    let trials_most = trials_most.filter(|most| *most >= counts.all().into());
    let left = remaining(study, now, trials_most);
    let best = study.incumbent();
    let output = context.folders.output();
    Reply::Status(Box::new(Status {
        artifacts: best.and_then(|best| common::artifacts(study, best, output)),
        study: spec.name.clone(),
        output_dir: context.folders.output().display().to_string(),
        pid: std::process::id(),
        now: now.as_millis(),
        phase: phase(study),
        stopping: view.stopping,
        disk_trouble: view.disk_trouble.clone(),
        counts: Counts {
            complete: counts.complete,
            infeasible: counts.infeasible,
            pruned: counts.pruned,
            failed: counts.failed,
            unsettled: counts.unsettled,
        },
        runs: study.runs(),
        runs_saved: study.runs_saved(),
        runs_cut: study.runs_cut(),
        busy: milliseconds(busy),
        running: running.next(),
        waiting: waiting.collect(),
        objective: (&spec.objective).into(),
        constraints: common::constraints(study),
        baseline: baseline.map(|trial| common::measured(study, trial)),
        best: study
            .incumbent()
            .map(|trial| common::measured(study, trial)),
        leader: common::leader(study),
        changes: study
            .incumbent()
            .map(|trial| common::changes(study, trial))
            .unwrap_or_default(),
        gain: common::gain(study),
        trials_most,
        left: left.map(|left| milliseconds(left.time)),
        left_by: left.map(|left| left.by.to_string()),
        channels: notify::channels(context, study),
        amendments: study.amendments().iter().map(ToString::to_string).collect(),
        held_up: held_up(study),
        confirmation: common::confirmation(study),
        drift: study.drift().map(|drift| reply::Drift {
            since: drift.since.as_millis(),
            amount: drift.amount,
            is_share: drift.is_share,
        }),
        advisor: advisor(view),
        proposal: proposal(study),
        beside: running.collect(),
        slots: slots::all(view),
        neighbours: slots::neighbours(study),
        ended: study.ended().iter().map(ToString::to_string).collect(),
        imported: imported(study),
    }))
}

fn imported(study: &Study) -> Vec<Source> {
    let sources = study.priors().sources().iter().take(SOURCES);
    let sources = sources.map(|source| Source {
        file: source.file.to_string(),
        format: source.format.to_string(),
        measurements: source.rows.len() as u32,
        passed_over: (source.rows.len() - source.fitting().len()) as u32,
    });
    sources.collect()
}

fn advisor(view: &View) -> Option<reply::Advisor> {
    let study = &view.study;
    let advisor = study.spec().advisor.as_ref()?;
    let answers = credit::answers(study);
    let usage = study.consultations().usage();
    let credits = credit::credits(study).into_iter().map(|credit| Credit {
        origin: credit.origin.to_owned(),
        trials: credit.trials,
        feasible: credit.feasible,
        improvements: credit.improvements,
        gain: credit.gain,
    });
    Some(reply::Advisor {
        model: advisor.model.clone(),
        asking: view.asking.as_ref().map(|asking| reply::Asking {
            about: asking.about.clone(),
            since: asking.since.as_millis(),
        }),
        barred: barred(study, view.offline),
        questions: answers.questions,
        accepted: answers.accepted,
        refused: answers.refused,
        fallbacks: answers.fallbacks,
        outdated: answers.outdated,
        requests: usage.requests,
        prompt_tokens: usage.prompt_tokens,
        completion_tokens: usage.completion_tokens,
        tokens_most: advisor.max_tokens,
        cost: advisor.cost(&usage),
        trouble: study
            .advice()
            .last()
            .and_then(|last| last.answer.clone().err()),
        credit: credits.collect(),
    })
}

fn proposal(study: &Study) -> Option<reply::Proposal> {
    let pending = study.pending()?;
    let proposal = &pending.proposal;
    let until = study.pending_until();
    let changes = report::proposal::changes(study, proposal);
    Some(reply::Proposal {
        number: proposal.number,
        parameter: proposal.parameter.as_ref().map(ToString::to_string),
        against: proposal.against.map(|trial| trial.0),
        changes: common::wired(changes),
        since: pending.since.as_millis(),
        until: until.map(|(until, _)| until.as_millis()),
        then: until.map(|(_, overdue)| overdue.name().to_owned()),
    })
}

fn held_up(study: &Study) -> Option<HeldUp> {
    let (trial, failure, at) = study.held_up()?;
    let again = at.as_millis() + milliseconds(study.spec().host.fault_wait).cast_signed();
    Some(HeldUp {
        trial: trial.id.0,
        fault: failure.kind.name().to_owned(),
        why: failure.with_hint(),
        times: study.host_faults(&trial.sittings.last()?.slot),
        most: HOST_FAULTS_MAX,
        again,
    })
}

fn phase(study: &Study) -> reply::Phase {
    match study.phase() {
        Phase::Active if confirm::is_under_way(study) => reply::Phase::Confirming,
        Phase::Active => reply::Phase::Active,
        Phase::AwaitingApproval => reply::Phase::AwaitingApproval,
        Phase::Paused(reason) => reply::Phase::Paused {
            reason: reason.clone(),
            by_user: study.paused_by_user(),
        },
        Phase::Done(reason) => reply::Phase::Done {
            reason: reason.clone(),
        },
    }
}

/// A curve with as many points as can be seen.
fn in_short(curve: &Curve) -> reply::Curve {
    let mut short = reply::Curve::from(curve);
    short.points = curves::spread(&short.points, curves::WIDTH);
    short
}

fn running_trial(view: &View, trial: &Trial) -> Option<Running> {
    let sitting = trial.running()?;
    let (doing, since) = match view.doing.get(&trial.id) {
        Some((doing, since)) => (doing.clone(), *since),
        None => (Doing::Starting, sitting.started),
    };
    Some(Running {
        trial: trial.id.0,
        slot: sitting.slot.as_ref().map(ToString::to_string),
        sitting: sitting.number,
        changes: common::changes(&view.study, trial),
        started: sitting.started.as_millis(),
        doing,
        since: since.as_millis(),
        runs: trial.runs.iter().filter(|run| run.is_good()).count() as u32,
        runs_all: view.study.spec_of_running(trial.id).runs_per_trial(),
        retrial: retrial::running(&view.study, trial),
        curves: trial.open_curves().map(in_short).collect(),
    })
}
