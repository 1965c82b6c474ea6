//! What messages say, in English and Chinese.

use crate::base::quantity::show_duration;
use crate::model::advice::UNANSWERED_MAX;
use crate::model::approval::{Overdue, Proposal};
use crate::model::metric::Direction;
use crate::model::notify::Language;
use crate::model::outcome::{Failure, FailureKind, Outcome};
use crate::model::reason::Said;
use crate::model::study::{HOST_FAULTS_MAX, Phase, Study};
use crate::model::trial::{Purpose, SittingEnd, Trial, TrialId, log_name};
use crate::report::advice::silent;
use crate::report::overview::{Gain, changes, gain};
use crate::report::phrase::{
    change, clean, constraint, counted, cut, difference, figures, mean_and_spread, percent,
};
use crate::report::proposal;
use crate::report::retrial::{DRIFT_HINT, drifted, fresh_starts};
use crate::troubles;

/// Title and text of a test.
pub const fn test_words(language: Language) -> (&'static str, &'static str) {
    match language {
        Language::English => ("a test", "This is a test: autotunectl notify test"),
        Language::Chinese => ("测试消息", "这是一条测试消息：autotunectl notify test"),
    }
}

/// Title and text of the message that a unit has failed.
pub fn failure_words(language: Language, unit: &str) -> (String, String) {
    let unit = clean(unit);
    let (why, again) = (
        format!("systemctl status {unit}"),
        format!("systemctl restart {unit}"),
    );
    match language {
        Language::English => (
            format!("{unit} has failed and is not started again"),
            format!("Why: {why}\nWhen that is mended: {again}"),
        ),
        Language::Chinese => (
            format!("{unit} 已失败，不会再自动启动"),
            format!("原因：{why}\n修复之后：{again}"),
        ),
    }
}

/// A reason takes at most so many columns in a title.
const TITLE: usize = 100;
/// So many changed parameters are told one by one.
const CHANGES: usize = 20;

/// The words of a language.
#[derive(Clone, Copy)]
pub(super) struct Words(pub(super) Language);

impl Words {
    fn say(self, english: String, chinese: String) -> String {
        self.0.pick(english, chinese)
    }

    pub(super) fn digest(self, count: usize, kinds: &str) -> String {
        self.say(
            format!("{count} messages: {kinds}"),
            format!("{count} 条消息：{kinds}"),
        )
    }

    /// A text of the journal: our own reasons in the language of the messages,
    /// what a program said in its own words.
    pub(super) fn told(self, text: &str) -> String {
        let chinese = match self.0 {
            Language::English => None,
            Language::Chinese => Said::of(text).in_chinese(),
        };
        clean(chinese.as_deref().unwrap_or(text))
    }

    /// `第 12 个试验`, `trial 12`.
    fn trial(self, id: TrialId) -> String {
        self.say(format!("trial {id}"), format!("第 {id} 个试验"))
    }

    /// Of a new best, the artifacts of which nobody should look for yet.
    pub(super) fn unkept(self) -> String {
        self.say(
            "its artifacts are not kept yet: they are being copied".to_owned(),
            "其产物尚未保存，正在复制".to_owned(),
        )
    }

    pub(super) fn start(self, study: &Study) -> String {
        let counts = study.counts();
        match counts.all() - counts.unsettled {
            0 => self.say("tuning begins".to_owned(), "开始调参".to_owned()),
            done => self.say(
                format!("tuning goes on after {}", counted(done.into(), "trial")),
                format!("继续调参，已完成 {done} 个试验"),
            ),
        }
    }

    pub(super) fn heartbeat(self, study: &Study) -> String {
        match (study.phase(), study.running()) {
            (Phase::AwaitingApproval, None) => self.say(
                "still here, and waiting for approval".to_owned(),
                "仍在运行，等待批准".to_owned(),
            ),
            (Phase::Paused(_), None) => self.say(
                "still here, and paused".to_owned(),
                "仍在运行，已暂停".to_owned(),
            ),
            (_, Some(trial)) => self.say(
                format!("still at work: trial {} runs", trial.id),
                format!("仍在运行：正在进行第 {} 个试验", trial.id),
            ),
            _ => self.say("still at work".to_owned(), "仍在运行".to_owned()),
        }
    }

    pub(super) fn trial_done(self, study: &Study, trial: &Trial) -> String {
        let (english, chinese) = match &trial.outcome {
            Some(Outcome::Complete) => ("is complete", "完成"),
            Some(Outcome::Infeasible) => ("is infeasible", "未达约束"),
            Some(Outcome::Pruned) => ("is pruned", "提前结束"),
            Some(Outcome::Failed(_)) => ("has failed", "失败"),
            None => ("is not settled", "未完成"),
        };
        let measured = self.objective(study, trial);
        let measured = measured.map(|text| self.say(format!(": {text}"), format!("：{text}")));
        let measured = measured.unwrap_or_default();
        self.say(
            format!("trial {} {english}{measured}", trial.id),
            format!("第 {} 个试验{chinese}{measured}", trial.id),
        )
    }

    pub(super) fn best(self, study: &Study, trial: &Trial) -> String {
        let metric = clean(&study.spec().objective.metric);
        let mean = study
            .objective(trial)
            .map_or(String::new(), |summary| figures(summary.mean, 4));
        let gained = match gain(study) {
            Gain::Measured {
                share: Some(share), ..
            } => {
                let sign = if share < 0.0 { "" } else { "+" };
                self.say(
                    format!(" ({sign}{})", percent(share)),
                    format!("（{sign}{}）", percent(share)),
                )
            }
            Gain::None => self.say(" (the start)".to_owned(), "（起点）".to_owned()),
            _ => String::new(),
        };
        self.say(
            format!("new best: {metric} {mean}{gained}, trial {}", trial.id),
            format!("新的最优：{metric} {mean}{gained}，第 {} 个试验", trial.id),
        )
    }

    pub(super) fn failed(self, trial: TrialId, failure: &Failure) -> String {
        let message = cut(&self.told(&failure.message), TITLE);
        let (english, chinese) = match failure.kind {
            FailureKind::NotReady => ("was not ready in time", "启动超时"),
            FailureKind::Died => ("ended before it was ready", "启动时退出"),
            FailureKind::SomeRuns => ("has bad runs", "部分评测失败"),
            FailureKind::Host(_) => ("is held up by the host", "受主机故障影响"),
            FailureKind::DiedInRuns | FailureKind::Task | FailureKind::AllRuns => {
                ("has failed", "失败")
            }
        };
        self.say(
            format!("trial {trial} {english}: {message}"),
            format!("第 {trial} 个试验{chinese}：{message}"),
        )
    }

    /// A trial that was good, started once more, or steps beside it.
    pub(super) fn retried(self, trial: TrialId, purpose: Purpose, failure: &Failure) -> String {
        let message = cut(&self.told(&failure.message), TITLE);
        let step = clean(failure.step.as_deref().unwrap_or_default());
        if purpose == Purpose::Incumbent {
            return self.say(
                format!("step `{step}` for the new best, trial {trial}, has failed: {message}"),
                format!("新的最佳第 {trial} 个试验的步骤 `{step}` 失败：{message}"),
            );
        }
        self.say(
            format!("a fresh start of trial {trial} has failed: {message}"),
            format!("重新启动第 {trial} 个试验失败：{message}"),
        )
    }

    pub(super) fn slot_lost(self, slot: &str, failure: &Failure) -> String {
        let (slot, message) = (clean(slot), cut(&clean(&failure.message), TITLE));
        self.say(
            format!(
                "slot {slot} is out of use after {HOST_FAULTS_MAX} faults of the host in a row: \
                 {message}"
            ),
            format!("槽位 {slot} 已停用，主机连续 {HOST_FAULTS_MAX} 次出现故障：{message}"),
        )
    }

    pub(super) fn slot_hint(self) -> String {
        let command = "autotunectl resume";
        self.say(
            format!("the other slots go on; when that is mended: {command}"),
            format!("其余槽位继续运行；修复之后：{command}"),
        )
    }

    pub(super) fn drifted(self, study: &Study, trial: TrialId, before: f64, after: f64) -> String {
        let metric = &study.spec().objective.metric;
        let (old, new) = (figures(before, 4), figures(after, 4));
        self.say(
            format!("drift: {}", drifted(metric, trial.0, before, after)),
            format!(
                "性能漂移：第 {trial} 个试验重新启动后 {} 为 {new}，之前为 {old}",
                clean(metric)
            ),
        )
    }

    pub(super) fn drift_hint(self) -> String {
        self.say(
            DRIFT_HINT.to_owned(),
            "是 GPU 降频，还是有别的程序占用？此后的比较已作修正".to_owned(),
        )
    }

    pub(super) fn advisor_silent(self) -> String {
        self.say(
            format!("the advisor: {}", silent()),
            format!(
                "调参顾问连续 {UNANSWERED_MAX} 次没有回答，不再询问；重启、reload 或 autotunectl \
                 resume 之后再次询问"
            ),
        )
    }

    pub(super) fn asked(self, proposal: &Proposal) -> String {
        let number = proposal.number;
        match &proposal.parameter {
            Some(parameter) => {
                let parameter = clean(parameter);
                self.say(
                    format!("approval wanted: proposal {number}, {parameter}"),
                    format!("等待批准：第 {number} 个提议，参数 {parameter}"),
                )
            }
            None => self.say(
                format!("approval wanted: proposal {number}"),
                format!("等待批准：第 {number} 个提议"),
            ),
        }
    }

    /// What a proposal changes, of what, and until when it can be answered.
    pub(super) fn proposal(self, study: &Study, proposal: &Proposal) -> Vec<String> {
        let changes = proposal::changes(study, proposal);
        let mut lines: Vec<String> = match changes.len() {
            0..=CHANGES => changes.iter().map(change).collect(),
            _ => vec![cut(&difference(&changes), 1000)],
        };
        if let Some(trial) = proposal.against {
            lines.push(self.say(
                format!("else as in trial {trial}"),
                format!("其余与第 {trial} 个试验相同"),
            ));
        }
        if let Some(timeout) = study.spec().approval.timeout {
            let time = show_duration(timeout);
            let (english, chinese) = match study.spec().approval.overdue {
                Overdue::Approve => ("it is tried", "将直接试验"),
                Overdue::Reject => ("something else is proposed", "将放弃并另行提议"),
                Overdue::Pause => ("the study is paused", "将暂停调参"),
            };
            lines.push(self.say(
                format!("without an answer within {time} {english}"),
                format!("若 {time} 内无人答复，{chinese}"),
            ));
        }
        lines
    }

    pub(super) fn answer_hint(self) -> String {
        let (yes, no) = ("autotunectl approve", "autotunectl reject");
        self.say(
            format!("to answer: {yes}, {no}"),
            format!("答复：{yes} 或 {no}"),
        )
    }

    pub(super) fn paused(self, reason: &str, by_user: bool) -> String {
        let reason = cut(&self.told(reason), TITLE);
        match by_user {
            true => self.say("paused by a user".to_owned(), "已由用户暂停".to_owned()),
            false => self.say(format!("paused: {reason}"), format!("已暂停：{reason}")),
        }
    }

    /// What to do about the trouble of the trial that waits to be tried
    /// again.
    pub(super) fn hint(self, study: &Study) -> Option<String> {
        let last = study.unsettled()?.sittings.last()?;
        let Some(SittingEnd::Finished(Outcome::Failed(failure))) = &last.end else {
            return None;
        };
        let cause = failure.cause.as_ref()?;
        let hint = self.say(cause.hint.clone(), troubles::chinese(cause));
        Some(cut(&clean(&hint), 500))
    }

    pub(super) fn resume_hint(self) -> String {
        let command = "autotunectl resume";
        self.say(format!("to go on: {command}"), format!("继续：{command}"))
    }

    pub(super) fn done(self, reason: &str) -> String {
        let reason = cut(&self.told(reason), TITLE);
        self.say(format!("done: {reason}"), format!("调参结束：{reason}"))
    }

    /// What is sought.
    pub(super) fn aim(self, study: &Study) -> String {
        let objective = &study.spec().objective;
        let metric = clean(&objective.metric);
        let (english, chinese) = match objective.direction {
            Direction::Maximize => ("maximize", "最大化"),
            Direction::Minimize => ("minimize", "最小化"),
        };
        let floor: Vec<String> = study.spec().constraints.iter().map(constraint).collect();
        let (english_floor, chinese_floor) = match floor.is_empty() {
            true => (String::new(), String::new()),
            false => (
                format!(", where {}", floor.join(" and ")),
                format!("，要求 {}", floor.join(" 且 ")),
            ),
        };
        self.say(
            format!("{english} {metric}{english_floor}"),
            format!("目标：{chinese} {metric}{chinese_floor}"),
        )
    }

    /// How far the study is.
    pub(super) fn counts(self, study: &Study) -> String {
        let counts = study.counts();
        let parts = [
            (counts.complete, "complete", "完成"),
            (counts.infeasible, "infeasible", "未达约束"),
            (counts.pruned, "pruned", "提前结束"),
            (counts.failed, "failed", "失败"),
            (counts.unsettled, "not settled", "未完成"),
        ];
        let parts = parts.iter().filter(|(count, ..)| *count > 0);
        let (english, chinese): (Vec<_>, Vec<_>) = parts
            .map(|(count, english, chinese)| {
                (format!("{count} {english}"), format!("{chinese} {count}"))
            })
            .unzip();
        let all = counts.all();
        if all == 0 {
            return self.say("no trial yet".to_owned(), "尚无试验".to_owned());
        }
        self.say(
            format!("{}: {}", counted(all.into(), "trial"), english.join(", ")),
            format!("共 {all} 个试验：{}", chinese.join("，")),
        )
    }

    /// The best so far, in one line.
    pub(super) fn standing(self, study: &Study) -> String {
        let Some(best) = study.incumbent() else {
            return self.say(
                "no trial meets the constraints yet".to_owned(),
                "尚无满足约束的试验".to_owned(),
            );
        };
        let name = self.trial(best.id);
        let measured = self.objective(study, best).unwrap_or_default();
        let gained = match gain(study) {
            Gain::Measured {
                share: Some(share),
                confirmed,
                ..
            } => {
                let by = confirmed.map(|starts| {
                    self.say(
                        format!(" in {}", fresh_starts(starts)),
                        format!("（各重新启动 {starts} 次）"),
                    )
                });
                let by = by.unwrap_or_default();
                self.say(
                    format!(", {} better than the start{by}", percent(share)),
                    format!("，比起点好 {}{by}", percent(share)),
                )
            }
            _ => String::new(),
        };
        self.say(
            format!("best so far: {name}, {measured}{gained}"),
            format!("当前最优：{name}，{measured}{gained}"),
        )
    }

    /// All that was measured in a trial.
    pub(super) fn metrics(self, study: &Study, trial: &Trial) -> Vec<String> {
        let measured = crate::report::overview::measured(study, trial)
            .metrics
            .into_iter();
        let lines = measured
            .map(|(name, summary)| format!("{} {}", clean(&name), mean_and_spread(&summary)));
        lines.collect()
    }

    /// How a trial's params differ from the start's, a line each.
    pub(super) fn changes(self, study: &Study, trial: &Trial) -> Vec<String> {
        let space = &study.spec().space;
        let Ok(start) = space.baseline() else {
            return Vec::new();
        };
        let differ = changes(space, &start, &study.params_of(trial));
        match differ.len() {
            0 => vec![self.say("the starting values".to_owned(), "起点参数".to_owned())],
            1..=CHANGES => differ.iter().map(change).collect(),
            _ => vec![cut(&difference(&differ), 1000)],
        }
    }

    /// What broke, and what to do about it.
    pub(super) fn failure(self, study: &Study, trial: &Trial, failure: &Failure) -> Vec<String> {
        let mut lines = Vec::new();
        let message = self.told(&failure.message);
        if cut(&message, TITLE) != message {
            // The title has the beginning of it.
            lines.push(cut(&message, 500));
        }
        if let Some(cause) = &failure.cause {
            let hint = self.say(cause.hint.clone(), troubles::chinese(cause));
            lines.push(cut(&clean(&hint), 500));
            lines.push(cut(&clean(&cause.line), 300));
        }
        let sitting = trial.sittings.last().map_or(1, |sitting| sitting.number);
        let first = study.first_service_name();
        let step = failure
            .step
            .as_deref()
            .filter(|step| first.as_deref() != Some(step));
        if failure.step.is_some() {
            let logs = &study.spec().files.logs;
            let log = format!("{logs}/{}", log_name(trial.id, sitting, step));
            lines.push(self.say(format!("log: {log}"), format!("日志：{log}")));
        }
        lines
    }

    fn objective(self, study: &Study, trial: &Trial) -> Option<String> {
        let summary = study.objective(trial)?;
        let metric = clean(&study.spec().objective.metric);
        Some(format!("{metric} {}", mean_and_spread(&summary)))
    }
}
