//! The baseline beside the best.

use super::{Block, Mark, Section, Table, Teller, number_column, text_column};
use crate::model::Name;
use crate::model::metric::{Objective, Summary};
use crate::model::trial::Trial;
use crate::report::overview;
use crate::report::phrase::{clean, figures, mean_and_spread, percent};
use crate::search::confirm::Confirmation;

/// At most so many metrics stand in a table.
const METRICS: usize = 20;

pub(super) fn section(teller: &Teller<'_>) -> Option<Section> {
    let (study, words) = (teller.study, teller.words);
    let best = study.incumbent()?;
    let baseline = study.baseline().filter(|start| start.id != best.id)?;
    let mut table = Table::new(
        words.label("By the runs of the search", "依据搜索过程中的评测"),
        vec![
            text_column(words.label("metric", "指标")),
            number_column(words.label("baseline", "基线")),
            number_column(words.label("best", "最优")),
            number_column(words.label("change", "变化")),
        ],
    );
    for metric in teller.metrics(METRICS) {
        let (old, new) = (baseline.summary(&metric), best.summary(&metric));
        if old.is_some() || new.is_some() {
            table.row(line(teller, &metric, old, new));
        }
    }
    let mut blocks = vec![Block::Table(table)];
    blocks.extend(confirmed(teller).map(Block::Table));
    blocks.push(words.text(
        "± is the standard deviation over runs; the number of runs is in parentheses.",
        "± 为各次评测的标准差，括号内为评测次数。",
    ));
    teller.section(
        "comparison",
        ("The baseline and the best", "基线与最优对比"),
        blocks,
    )
}

fn line(
    teller: &Teller<'_>,
    metric: &Name,
    old: Option<Summary>,
    new: Option<Summary>,
) -> Vec<String> {
    let side = |summary: Option<Summary>| match summary {
        Some(summary) => format!("{} ({})", mean_and_spread(&summary), summary.count),
        None => "–".to_owned(),
    };
    vec![
        clean(metric),
        side(old),
        side(new),
        change(teller, metric, old, new),
    ]
}

/// By how much a mean has changed: `+18 %`. What is better is said of the
/// objective alone: of other metrics nobody has told which way is better.
fn change(
    teller: &Teller<'_>,
    metric: &Name,
    old: Option<Summary>,
    new: Option<Summary>,
) -> String {
    let Some((old, new)) = old.zip(new) else {
        return String::new();
    };
    let share = (new.mean - old.mean) / old.mean.abs();
    let sign = if new.mean >= old.mean { "+" } else { "" };
    let size = match share.is_finite() {
        true => percent(share),
        false => figures(new.mean - old.mean, 3),
    };
    let objective: &Objective = &teller.study.spec().objective;
    let turn = match objective.metric == *metric {
        true if objective.better(new.mean, old.mean) => {
            format!(" ({})", teller.words.label("better", "更好"))
        }
        true if objective.better(old.mean, new.mean) => {
            format!(" ({})", teller.words.label("worse", "更差"))
        }
        _ => String::new(),
    };
    format!("{sign}{size}{turn}")
}

/// What the fresh starts have measured.
fn confirmed(teller: &Teller<'_>) -> Option<Table> {
    let words = teller.words;
    let found = Confirmation::of(teller.study)?;
    let mut table = Table::new(
        words.label(
            "By fresh starts, which nothing was chosen by",
            "依据未参与选优的重新启动",
        ),
        vec![
            text_column(words.label("metric", "指标")),
            number_column(words.label("baseline", "基线")),
            number_column(words.label("best", "最优")),
            number_column(words.label("change", "变化")),
        ],
    );
    let metric = &teller.study.spec().objective.metric;
    table.row(line(teller, metric, found.baseline, found.measured));
    Some(table)
}

/// How the best params differ from the baseline's, and what they are.
pub(super) fn changes(teller: &Teller<'_>) -> Option<Section> {
    let (study, words) = (teller.study, teller.words);
    let best: &Trial = study.incumbent()?;
    let params = study.params_of(best);
    let changed = match &teller.start {
        Some(start) => overview::changes(&study.spec().space, start, &params),
        None => Vec::new(),
    };
    let mut table = Table::new(
        words.label("Params of the best", "最优参数"),
        vec![
            text_column(words.label("parameter", "参数")),
            text_column(words.label("baseline", "基线")),
            text_column(words.label("best", "最优")),
        ],
    );
    for change in &changed {
        let from = teller.side(&change.name, change.from.as_ref());
        let to = teller.side(&change.name, change.to.as_ref());
        table.marked(vec![clean(&change.name), from, to], Mark::Best);
    }
    let is_changed = |name: &Name| changed.iter().any(|change| change.name == *name);
    // A preset has many that could not have been anything else.
    let parameters = study.spec().space.parameters().iter();
    let single = parameters.filter(|parameter| parameter.domain.size() == Some(1));
    let single: Vec<&Name> = single.map(|parameter| &parameter.name).collect();
    let mut left_out = 0;
    for (name, value) in params.iter().filter(|(name, _)| !is_changed(name)) {
        if single.contains(&name) {
            left_out += 1;
            continue;
        }
        let value = teller.value(name, value);
        let same = words.label("as it was", "未变");
        table.row(vec![clean(name), value, same]);
    }
    let mut blocks = Vec::new();
    if !table.rows.is_empty() {
        blocks.push(Block::Table(table));
    }
    if left_out > 0 {
        blocks.push(words.text(
            format!("Left out are those that have a single value: {left_out}."),
            format!("另有 {left_out} 个参数只有一个取值，从略。"),
        ));
    }
    teller.section("changes", ("What is changed", "参数变化"), blocks)
}
