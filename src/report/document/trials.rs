//! Every trial, and what missed a constraint.

use super::{
    Block, Mark, Row, Section, Table, Teller, advice, figures, number_column, text_column,
};
use crate::base::quantity::show_duration;
use crate::model::choice::{Choice, Rule};
use crate::model::metric::Summary;
use crate::model::outcome::Outcome;
use crate::model::params::Params;
use crate::model::trial::{Origin, Trial, TrialId};
use crate::report::overview::misses;
use crate::report::phrase::{clean, figures, mean_and_spread};

/// So many metrics have a column each.
const METRICS: usize = 6;

/// All trials, in order.
pub(super) fn table(teller: &Teller<'_>) -> Option<Section> {
    let (study, words) = (teller.study, teller.words);
    let metrics = teller.metrics(METRICS);
    let mut columns = vec![
        number_column(words.label("trial", "试验")),
        text_column(words.label("change", "参数变化")),
        text_column(words.label("outcome", "结果")),
    ];
    columns.extend(metrics.iter().map(|metric| number_column(clean(metric))));
    columns.extend([
        number_column(words.label("runs", "评测次数")),
        number_column(words.label("took", "耗时")),
        text_column(words.label("why it was tried", "选择理由")),
    ]);
    let advised = !study.advice().is_empty();
    if advised {
        columns.push(text_column(
            words.label("the advisor's words", "顾问的说明"),
        ));
    }
    let mut table = Table::new(words.label("Trials", "试验"), columns);
    for trial in study.trials() {
        let is_best = study.incumbent().is_some_and(|best| best.id == trial.id);
        let mark = match &trial.outcome {
            _ if is_best => Mark::Best,
            Some(Outcome::Failed(_) | Outcome::Infeasible) => Mark::Bad,
            _ => Mark::None,
        };
        let shown = |summary: Option<Summary>| summary.map(|s| mean_and_spread(&s));
        let measured = metrics.iter().map(|metric| shown(trial.summary(metric)));
        let mut cells = vec![
            trial.id.to_string(),
            changed(teller, trial),
            outcome(teller, trial),
        ];
        cells.extend(measured.map(Option::unwrap_or_default));
        let good = trial.runs.iter().filter(|run| run.is_good()).count();
        cells.extend([
            good.to_string(),
            show_duration(trial.elapsed(teller.now)),
            why(teller, trial),
        ]);
        if advised {
            cells.push(advice::comment(teller, trial));
        }
        table.marked(cells, mark);
    }
    if table.rows.is_empty() {
        return None;
    }
    let note = words.text(
        "Each change is against the params that the trial was made from: those of the trial in \
         parentheses, else the baseline's.",
        "参数变化是相对于该试验所依据的参数：括号中注明的试验，否则为基线。",
    );
    let blocks = vec![note, Block::Table(table)];
    teller.section("trials", ("All trials", "全部试验"), blocks)
}

/// How it went, drawn.
pub(super) fn history(teller: &Teller<'_>) -> Option<Section> {
    let constraints = teller.study.spec().constraints.iter();
    let trade_offs = constraints.filter_map(|wanted| figures::trade_off(teller, wanted));
    let blocks = figures::history(teller).into_iter().chain(trade_offs);
    teller.section("history", ("How it went", "过程"), blocks.collect())
}

/// How the params differ from those that they were made from.
fn changed(teller: &Teller<'_>, trial: &Trial) -> String {
    let base = base(teller, trial);
    let params = teller.study.params_of(trial);
    match base {
        Some((id, base)) => {
            let differs = teller.difference(&base, &params);
            format!("{differs} ({id})")
        }
        None => teller.differences(trial),
    }
}

/// The trial whose params the sampler varied, other than the baseline.
fn base(teller: &Teller<'_>, trial: &Trial) -> Option<(TrialId, Params)> {
    let Rule::Coordinate { base } = trial.choice.as_ref()?.rule else {
        return None;
    };
    let is_baseline = teller
        .study
        .baseline()
        .is_some_and(|start| start.id == base);
    let base = teller.study.trial(base).filter(|_| !is_baseline)?;
    Some((base.id, teller.study.params_of(base)))
}

/// What came of a trial, and by what it missed or was given up.
fn outcome(teller: &Teller<'_>, trial: &Trial) -> String {
    let mut text = teller.outcome(trial);
    if trial.outcome == Some(Outcome::Infeasible) {
        text = format!("{text}: {}", missed(teller, trial));
    }
    if let Some(found) = trial.pruned_by_racing() {
        let mean = figures(found.mean, 4);
        let needed = figures(found.needed, 4);
        let rival = found.rival.map(|rival| format!(" ({rival})"));
        text += &format!(": {} {mean} vs {needed}", clean(&found.metric));
        text += &rival.unwrap_or_default();
    }
    text
}

fn why(teller: &Teller<'_>, trial: &Trial) -> String {
    let words = teller.words;
    match (trial.origin, trial.choice.as_deref()) {
        (Origin::Baseline, _) => words.label("the start", "起点"),
        (Origin::User, _) => words.label("a user's wish", "用户指定"),
        (Origin::Imported, _) => words.label("taken over", "导入的历史"),
        (Origin::Remedy { of }, _) => words.label(
            &format!("the remedy of trial {of}"),
            &format!("对试验 {of} 的补救"),
        ),
        (Origin::Sampler, None) => words.label("by the sampler", "由采样器选择"),
        (Origin::Sampler, Some(choice)) => chosen(teller, choice),
    }
}

fn chosen(teller: &Teller<'_>, choice: &Choice) -> String {
    let (english, chinese) = match choice.rule {
        Rule::Opening => ("a first look", "初始探索"),
        Rule::Model => ("the model promised most", "模型预测最有希望"),
        Rule::Tpe => ("like the good ones", "近似于好的试验"),
        Rule::Coordinate { .. } => ("the next value of one parameter", "单个参数的下一取值"),
        Rule::Grid => ("the next combination", "下一个组合"),
        Rule::Advisor { .. } => ("the advisor proposed it", "顾问提出"),
        Rule::Fallback { .. } => (
            "the nearest value not tried yet: the advisor was of no help",
            "最近的未尝试取值（顾问未能给出建议）",
        ),
        Rule::Random => ("at random", "随机"),
    };
    let rule = teller.words.label(english, chinese);
    let expected = choice.expected.as_ref().and_then(|found| found.objective);
    match expected {
        Some(forecast) => {
            let [mean, low, high] =
                [forecast.mean, forecast.low, forecast.high].map(|number| figures(number, 3));
            let expected = teller.words.label("expected", "预期");
            format!("{rule}; {expected} {mean} ({low} … {high})")
        }
        None => rule,
    }
}

/// What misses a constraint, and by how much.
pub(super) fn infeasible(teller: &Teller<'_>) -> Option<Section> {
    let (study, words) = (teller.study, teller.words);
    let mut table = Table::new(
        words.label("Infeasible trials", "未达约束的试验"),
        vec![
            number_column(words.label("trial", "试验")),
            text_column(words.label("params", "参数")),
            text_column(words.label("what it misses", "未满足的约束")),
        ],
    );
    let trials = study.trials().iter();
    for trial in trials.filter(|trial| trial.outcome == Some(Outcome::Infeasible)) {
        let id = trial.id.to_string();
        let cells = vec![id, teller.differences(trial), missed(teller, trial)];
        table.rows.push(Row {
            cells,
            mark: Mark::None,
        });
    }
    if table.rows.is_empty() {
        return None;
    }
    teller.section(
        "infeasible",
        ("What missed a constraint", "未满足的约束"),
        vec![Block::Table(table)],
    )
}

/// `accuracy 0.871 (accuracy ≥ 0.88)`.
fn missed(teller: &Teller<'_>, trial: &Trial) -> String {
    let each = misses(teller.study, trial).into_iter().map(|miss| {
        let mean = figures(miss.mean, 4);
        format!(
            "{} {mean} ({})",
            clean(&miss.constraint.metric),
            teller.constraint(&miss.constraint)
        )
    });
    each.collect::<Vec<_>>().join("; ")
}
