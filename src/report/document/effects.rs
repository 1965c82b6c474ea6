//! How much the parameters matter.

use std::collections::BTreeMap;

use super::{Bars, Block, Figure, Section, Table, Teller, figures, number_column, text_column};
use crate::model::choice::Forecast;
use crate::model::domain::Domain;
use crate::model::metric::Summary;
use crate::model::value::{Finite, Value};
use crate::report::phrase::{clean, figures};
use crate::search::model_based::importance::{
    At, Effect, Importance, NEEDED, importance, measured,
};

/// Of so many parameters each value is told.
const TOLD: usize = 8;
/// So many parameters are drawn.
const DRAWN: usize = 12;
/// So many pairs are told.
const PAIRS: usize = 5;
/// Pairs below this share are not worth a line.
const PAIR: f64 = 0.01;

pub(super) fn section(teller: &Teller<'_>) -> Option<Section> {
    let (study, words) = (teller.study, teller.words);
    let trials = measured(study);
    if trials < 2 {
        return None;
    }
    let title = ("How much the parameters matter", "参数的影响");
    let Some(found) = importance(study) else {
        let mut blocks = vec![words.text(
            format!(
                "{trials} trials have measured the objective; a model that estimates how much each \
                 parameter matters needs {NEEDED}. Until then this is what was observed. Other \
                 parameters differ between these trials, too: no value is better for that alone."
            ),
            format!(
                "目前有 {trials} 个试验测得目标，估计各参数重要性的模型需要 {NEEDED} 个。在此之前\
                 仅列出观察值：这些试验的其他参数也不相同，不能仅凭此断定某个取值更好。"
            ),
        )];
        blocks.extend(panels(teller, None));
        blocks.push(Block::Table(observed(teller)));
        return teller.section("effects", title, blocks);
    };
    if found.explained <= 0.0 {
        let text = words.text(
            format!(
                "A model that learned from {trials} trials explained nothing of what trials differ \
                 by that it had not seen, so that its estimates are left out. This is what was \
                 observed. Other parameters differ between these trials, too: no value is better \
                 for that alone."
            ),
            format!(
                "由 {trials} 个试验训练的模型未能解释未见过的试验之间的差异，其估计从略。以下为\
                 观察值：这些试验的其他参数也不相同，不能仅凭此断定某个取值更好。"
            ),
        );
        let mut blocks = vec![text];
        blocks.extend(panels(teller, None));
        blocks.push(Block::Table(observed(teller)));
        return teller.section("effects", title, blocks);
    }
    let explained = whole_percent(found.explained);
    let mut blocks = vec![
        words.text(
            format!(
                "What a model (a Gaussian process) believes, learned from {trials} trials that the \
                 sampler chose: observational data, not an experiment. A share is how much of what \
                 the objective differs by over the whole space comes from that parameter alone; \
                 the range is where 9 of 10 models lie that were learned from trials drawn anew."
            ),
            format!(
                "以下是由采样器所选的 {trials} 个试验训练的模型（高斯过程）的估计：属于观察数据，\
                 不是受控实验。比例指目标在整个空间内的变化中仅由该参数引起的部分；范围为用重抽样\
                 的试验重新训练的模型中十之有九所在的区间。"
            ),
        ),
        words.text(
            format!(
                "Of what trials differ by that it had not seen, the model explained {explained}."
            ),
            format!("对未见过的试验，模型解释了其差异的 {explained}。"),
        ),
        bars(teller, &found),
        Block::Table(shares(teller, &found)),
    ];
    blocks.extend(panels(teller, Some(&found)));
    blocks.push(Block::Table(values(teller, &found)));
    let pairs = found.pairs.iter().filter(|(.., share)| share.mean >= PAIR);
    let pairs: Vec<_> = pairs.take(PAIRS).collect();
    if !pairs.is_empty() {
        let mut table = Table::new(
            words.label("What two do together beyond that", "两个参数的共同作用"),
            vec![
                text_column(words.label("parameters", "参数")),
                number_column(words.label("share", "比例")),
                number_column(words.label("9 of 10 models", "十之有九")),
            ],
        );
        for (one, other, share) in pairs {
            let names = format!("{} × {}", clean(one), clean(other));
            table.row(vec![names, whole_percent(share.mean), range(share)]);
        }
        blocks.push(Block::Table(table));
    }
    teller.section("effects", title, blocks)
}

fn whole_percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

fn range(share: &Forecast) -> String {
    format!("{:.0} … {:.0} %", 100.0 * share.low, 100.0 * share.high)
}

/// The parameters that may be more than one value.
fn varied<'a>(teller: &'a Teller<'_>, found: &'a Importance) -> impl Iterator<Item = &'a Effect> {
    let space = &teller.study.spec().space;
    let is_fixed = |name: &str| {
        let parameter = space.parameter(name);
        parameter.is_some_and(|parameter| parameter.domain.size() == Some(1))
    };
    let effects = found.parameters.iter();
    effects.filter(move |effect| !is_fixed(&effect.name))
}

/// The shares, drawn.
fn bars(teller: &Teller<'_>, found: &Importance) -> Block {
    let words = teller.words;
    let bars = varied(teller, found).take(DRAWN).map(|effect| {
        let Forecast { mean, low, high } = effect.share;
        (clean(&effect.name), mean, low, high)
    });
    Block::Figure(Figure::Bars(Bars {
        title: words.label("Importance, estimated", "重要性（估计）"),
        description: words.label(
            "A model's estimate from trials that the sampler chose, no experiment. The thin line \
             is where 9 of 10 models lie.",
            "模型依据采样器所选试验的估计，并非受控实验。细线为十之有九的模型所在的区间。",
        ),
        bars: bars.collect(),
    }))
}

/// The trials over the values of each parameter; those that matter most where
/// that is known, else those that come first.
fn panels(teller: &Teller<'_>, found: Option<&Importance>) -> Option<Block> {
    let space = &teller.study.spec().space;
    match found {
        Some(found) => {
            let names = varied(teller, found).map(|effect| &*effect.name);
            let known = names.filter_map(|name| space.parameter(name));
            figures::effects(teller, known.take(DRAWN))
        }
        None => figures::effects(teller, space.parameters().iter().take(DRAWN)),
    }
}

fn shares(teller: &Teller<'_>, found: &Importance) -> Table {
    let words = teller.words;
    let mut table = Table::new(
        words.label("Importance, estimated", "重要性（估计）"),
        vec![
            text_column(words.label("parameter", "参数")),
            number_column(words.label("share", "比例")),
            number_column(words.label("9 of 10 models", "十之有九")),
        ],
    );
    for effect in varied(teller, found) {
        let share = &effect.share;
        table.row(vec![
            clean(&effect.name),
            whole_percent(share.mean),
            range(share),
        ]);
    }
    table
}

/// The objective at the values of the parameters that matter most.
fn values(teller: &Teller<'_>, found: &Importance) -> Table {
    let words = teller.words;
    let metric = clean(&teller.study.spec().objective.metric);
    let mut table = Table::new(
        words.label(
            "At each value, the others averaged over",
            "各取值处的估计（对其他参数取平均）",
        ),
        vec![
            text_column(words.label("parameter", "参数")),
            text_column(words.label("value", "取值")),
            number_column(words.label("trials", "试验数")),
            number_column(metric),
            number_column(words.label("9 of 10 models", "十之有九")),
        ],
    );
    for effect in varied(teller, found).take(TOLD) {
        for marginal in &effect.values {
            let at = match &marginal.at {
                At::Value(value) => teller.value(&effect.name, value),
                At::Part { low, high } => format!("{} … {}", short(low), short(high)),
                At::Inactive => words.label("not active", "未生效"),
            };
            let [mean, low, high] = [
                marginal.objective.mean,
                marginal.objective.low,
                marginal.objective.high,
            ]
            .map(|number| figures(number, 4));
            table.row(vec![
                clean(&effect.name),
                at,
                marginal.trials.to_string(),
                mean,
                format!("{low} … {high}"),
            ]);
        }
    }
    table
}

fn short(value: &Value) -> String {
    match value {
        Value::Float(number) => figures(number.get(), 3),
        other => other.to_string(),
    }
}

/// The means of the trials at each value, and nothing else.
fn observed(teller: &Teller<'_>) -> Table {
    let (study, words) = (teller.study, teller.words);
    let metric = clean(&study.spec().objective.metric);
    let mut table = Table::new(
        words.label("What was observed", "观察值"),
        vec![
            text_column(words.label("parameter", "参数")),
            text_column(words.label("value", "取值")),
            number_column(words.label("trials", "试验数")),
            number_column(words.label(&format!("{metric}, mean"), &format!("{metric} 均值"))),
            number_column(words.label("least", "最小")),
            number_column(words.label("most", "最大")),
        ],
    );
    for parameter in study.spec().space.parameters() {
        let mut found: BTreeMap<usize, (Value, Vec<Finite>)> = BTreeMap::new();
        let mut order: Vec<Value> = match &parameter.domain {
            Domain::Values(values) => values.clone(),
            Domain::Int(_) | Domain::Float(_) => Vec::new(),
        };
        for trial in study.trials() {
            let mean = study
                .objective(trial)
                .and_then(|found| Finite::new(found.mean));
            let params = study.params_of(trial);
            let (Some(mean), Some(value)) = (mean, params.get(&parameter.name)) else {
                continue;
            };
            let place = order.iter().position(|known| known == value);
            let place = place.unwrap_or_else(|| {
                order.push(value.clone());
                order.len() - 1
            });
            let entry = found
                .entry(place)
                .or_insert_with(|| (value.clone(), Vec::new()));
            entry.1.push(mean);
        }
        // One value alone tells nothing.
        if found.len() < 2 {
            continue;
        }
        let mut found: Vec<_> = found.into_values().collect();
        if !matches!(parameter.domain, Domain::Values(_)) {
            let number = |value: &Value| value.number().unwrap_or_default();
            found.sort_by(|(a, _), (b, _)| number(a).total_cmp(&number(b)));
        }
        for (value, means) in found {
            let Some(summary) = Summary::of(means) else {
                continue;
            };
            table.row(vec![
                clean(&parameter.name),
                teller.value(&parameter.name, &value),
                summary.count.to_string(),
                figures(summary.mean, 4),
                figures(summary.min, 4),
                figures(summary.max, 4),
            ]);
        }
    }
    table
}
