//! What came out, in a few lines.

use super::{Block, Section, Teller};
use crate::model::metric::{Direction, Summary};
use crate::model::outcome::Outcome;
use crate::model::study::Phase;
use crate::model::trial::Trial;
use crate::report::overview::{self, Gain};
use crate::report::phrase::{clean, figures, mean_and_spread, percent};
use crate::search::confirm::Confirmation;
use crate::search::statistics::{CONFIDENCE, Comparison, Interval};

pub(super) fn section(teller: &Teller<'_>) -> Option<Section> {
    let (study, words) = (teller.study, teller.words);
    let mut blocks = vec![gain(teller)];
    blocks.extend(doubts(teller));
    let mut facts = Vec::new();
    if let Some(best) = study.incumbent() {
        facts.push((words.label("best", "最优"), measured(teller, best)));
    }
    if let Some(leader) = study.leader().filter(|leader| leader.is_provisional()) {
        let leads = words.label("leads by some of its runs", "按部分评测暂时领先");
        facts.push((leads, measured(teller, leader)));
    }
    let baseline = study.baseline().filter(|_| study.incumbent().is_some());
    if let Some(baseline) = baseline.filter(|one| study.incumbent() != Some(one)) {
        facts.push((words.label("baseline", "基线"), measured(teller, baseline)));
    }
    if let Some(best) = study.incumbent() {
        facts.extend(kept(teller, best));
    }
    facts.push((words.label("state", "状态"), state(teller)));
    facts.push((words.label("trials", "试验"), counts(teller)));
    facts.push((words.label("written", "生成时间"), teller.now.to_string()));
    blocks.push(Block::Facts(facts));
    teller.section("result", ("Result", "结论"), blocks)
}

/// A trial with its objective: `trial 7: tps 93.1 ± 0.8 (5 runs)`.
fn measured(teller: &Teller<'_>, trial: &Trial) -> String {
    let metric = clean(&teller.study.spec().objective.metric);
    let name = teller.trial(trial);
    match teller.study.objective(trial) {
        Some(summary) => format!("{name}: {metric} {}", of_runs(teller, &summary)),
        None => name,
    }
}

fn of_runs(teller: &Teller<'_>, summary: &Summary) -> String {
    let runs = teller.runs(summary.count.into());
    format!("{} ({runs})", mean_and_spread(summary))
}

/// How surely the best keeps each constraint.
fn kept<'a>(
    teller: &'a Teller<'_>,
    best: &'a Trial,
) -> impl Iterator<Item = (String, String)> + 'a {
    let words = teller.words;
    let constraints = teller.study.spec().constraints.iter();
    constraints.filter_map(move |wanted| {
        let summary = best.summary(&wanted.metric)?;
        let mut text = mean_and_spread(&summary);
        if let Some(sure) = teller.study.confidence(best, wanted) {
            // Nothing that was measured is certain.
            let (english, chinese) = match sure < 0.99 {
                true => (percent(sure), percent(sure)),
                false => ("over 99 %".to_owned(), "超过 99 %".to_owned()),
            };
            text += " (";
            text += &words.label(
                &format!("kept with a confidence of {english}"),
                &format!("满足约束的置信度 {chinese}"),
            );
            text.push(')');
        }
        Some((teller.constraint(wanted), text))
    })
}

fn state(teller: &Teller<'_>) -> String {
    let words = teller.words;
    match teller.study.phase() {
        Phase::Active => words.label("goes on", "进行中"),
        Phase::AwaitingApproval => words.label("waits for approval", "等待批准"),
        Phase::Paused(why) => format!("{}: {}", words.label("paused", "已暂停"), teller.told(why)),
        Phase::Done(why) => format!("{}: {}", words.label("done", "已结束"), teller.told(why)),
    }
}

/// How many trials came out how.
fn counts(teller: &Teller<'_>) -> String {
    let (counts, words) = (teller.study.counts(), teller.words);
    let parts = [
        (counts.complete, words.label("complete", "完成")),
        (counts.infeasible, words.label("infeasible", "未达约束")),
        (counts.pruned, words.label("pruned", "提前结束")),
        (counts.failed, words.label("failed", "失败")),
        (counts.unsettled, words.label("not settled", "未完成")),
    ];
    let parts = parts.iter().filter(|(count, _)| *count > 0);
    let parts: Vec<String> = parts
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    let runs = teller.runs(teller.study.runs().into());
    let all = counts.all();
    match parts.is_empty() {
        true => all.to_string(),
        false => format!("{all} ({}), {runs}", parts.join(", ")),
    }
}

/// How much better the best is, and by what that is known.
fn gain(teller: &Teller<'_>) -> Block {
    let (study, words) = (teller.study, teller.words);
    let counts = study.counts();
    match overview::gain(study) {
        Gain::NothingFeasible if counts.all() == counts.unsettled => {
            words.text("Nothing was measured yet.", "尚无结果。")
        }
        Gain::NothingFeasible if counts.infeasible > 0 => words.text(
            "No trial keeps all constraints yet.",
            "尚无满足全部约束的试验。",
        ),
        Gain::NothingFeasible => words.text(
            "No trial has a result that counts yet.",
            "尚无有效结果的试验。",
        ),
        Gain::NoBaseline => words.text(
            "The baseline has no result, so there is nothing to measure a gain against.",
            "基线没有结果，无从衡量收益。",
        ),
        Gain::None if counts.all() - counts.unsettled <= 1 => {
            words.text("Only the baseline was measured yet.", "目前只测了基线。")
        }
        Gain::None => words.text(
            "No trial that counts is better than the baseline: keep its values.",
            "没有比基线更好的有效试验：保持原有参数即可。",
        ),
        Gain::Measured {
            amount,
            share,
            comparison,
            confirmed,
        } => {
            let measured = Measured {
                amount,
                share,
                comparison,
                confirmed,
            };
            words.text(measured.english(teller), measured.chinese(teller))
        }
    }
}

/// See [`Gain::Measured`].
struct Measured {
    amount: f64,
    share: Option<f64>,
    comparison: Option<Comparison>,
    confirmed: Option<u32>,
}

impl Measured {
    fn is_better(&self) -> bool {
        self.amount >= 0.0
    }

    /// `18 %`, or in the metric's unit where there is no share.
    fn size(&self) -> String {
        // The interval is given in the same terms.
        let in_shares = self.comparison.is_none_or(|found| found.gain.is_some());
        match self.share.filter(|_| in_shares) {
            Some(share) => percent(share.abs()),
            None => figures(self.amount.abs(), 3),
        }
    }

    /// The ends of its interval, more being better; `None` where there is none
    /// that says anything.
    fn interval(&self, teller: &Teller<'_>) -> Option<(String, String)> {
        let found = self.comparison.filter(|found| found.freedom.is_finite())?;
        if let Some(Interval { low, high, .. }) = found.gain {
            return Some((percent(low), percent(high)));
        }
        let Interval { low, high, .. } = found.difference;
        let (low, high) = match teller.study.spec().objective.direction {
            Direction::Maximize => (low, high),
            Direction::Minimize => (-high, -low),
        };
        Some((figures(low, 3), figures(high, 3)))
    }

    fn is_clear(&self) -> Option<bool> {
        self.comparison.map(|found| found.is_clear())
    }

    fn english(&self, teller: &Teller<'_>) -> String {
        let metric = clean(&teller.study.spec().objective.metric);
        let turn = if self.is_better() { "better" } else { "worse" };
        let mut text = format!("{metric} is {} {turn} than the baseline's", self.size());
        if let Some((low, high)) = self.interval(teller) {
            let sure = percent(CONFIDENCE);
            text += &format!(" ({sure} confidence: {low} to {high})");
        }
        text += &match (self.is_clear(), self.confirmed) {
            (Some(true), Some(starts)) => {
                format!(", confirmed by {starts} fresh starts of each that nothing was chosen by.")
            }
            (Some(false), Some(starts)) => {
                format!(", by {starts} fresh starts of each: that cannot be told from noise.")
            }
            (None, Some(_)) => {
                ", by a single fresh start of each: that cannot be told from noise.".to_owned()
            }
            (Some(true), None) => ", by the runs of the search itself; not confirmed. The best of \
                                   several was probably lucky, too: expect a little less."
                .to_owned(),
            (Some(false), None) => {
                ", by the runs of the search itself: that cannot be told from noise.".to_owned()
            }
            (None, None) => {
                "; one of the two has a single run: that cannot be told from noise.".to_owned()
            }
        };
        text
    }

    fn chinese(&self, teller: &Teller<'_>) -> String {
        let metric = clean(&teller.study.spec().objective.metric);
        let turn = if self.is_better() { "好" } else { "差" };
        let mut text = format!("{metric} 比基线{turn} {}", self.size());
        if let Some((low, high)) = self.interval(teller) {
            let sure = percent(CONFIDENCE);
            text += &format!("（{sure} 置信区间：{low} 至 {high}）");
        }
        text += &match (self.is_clear(), self.confirmed) {
            (Some(true), Some(starts)) => {
                format!("，已由双方各 {starts} 次未参与选优的重新启动确认。")
            }
            (Some(false), Some(starts)) => {
                format!("，依据双方各 {starts} 次重新启动：不能与噪声区分。")
            }
            (None, Some(_)) => "，依据双方各一次重新启动：不能与噪声区分。".to_owned(),
            (Some(true), None) => "，依据搜索过程中的评测，尚未确认。多个试验中的最优者往往\
                                   带有运气成分，实际收益可能略低。"
                .to_owned(),
            (Some(false), None) => "，依据搜索过程中的评测：不能与噪声区分。".to_owned(),
            (None, None) => "，其中一方只有一次评测：不能与噪声区分。".to_owned(),
        };
        text
    }
}

/// What is to be said against the gain.
fn doubts(teller: &Teller<'_>) -> Vec<Block> {
    let (study, words) = (teller.study, teller.words);
    let mut blocks = Vec::new();
    let baseline = study.baseline().map(|trial| &trial.outcome);
    let differs = !matches!(overview::gain(study), Gain::None | Gain::NothingFeasible);
    if differs && baseline == Some(&Some(Outcome::Infeasible)) {
        blocks.push(words.text(
            "The baseline itself misses a constraint.",
            "基线本身未满足约束。",
        ));
    }
    let Some(found) = Confirmation::of(study) else {
        return blocks;
    };
    if !found.is_over() {
        let (done, all) = (found.done, 2 * found.starts);
        blocks.push(words.text(
            format!("The confirmation goes on: {done} of {all} fresh starts are made."),
            format!("确认尚未完成：已重新启动 {done} 次，共 {all} 次。"),
        ));
    }
    let failed = [
        (found.winner_failed, "the best", "最优参数"),
        (found.baseline_failed, "the baseline", "基线"),
    ];
    for (count, english, chinese) in failed {
        if count > 0 {
            let of = found.starts;
            blocks.push(words.text(
                format!("Of {english}, {count} of {of} fresh starts failed."),
                format!("{chinese}的 {of} 次重新启动中有 {count} 次失败。"),
            ));
        }
    }
    for (wanted, mean) in &found.missed {
        let (wanted, mean) = (teller.constraint(wanted), figures(*mean, 4));
        blocks.push(words.text(
            format!("In the fresh starts the best misses {wanted}: it is {mean}."),
            format!("重新启动后最优参数未满足 {wanted}：实测 {mean}。"),
        ));
    }
    let worse = |comparison: Comparison| {
        let more = comparison.difference.estimate > 0.0;
        let wanted = study.spec().objective.direction == Direction::Maximize;
        comparison.is_clear() && more != wanted
    };
    if found.is_over() && found.comparison.is_some_and(worse) {
        blocks.push(words.text(
            "In the fresh starts the baseline is better: keep its values.",
            "重新启动后基线更好：请保持原有参数。",
        ));
    }
    blocks
}
