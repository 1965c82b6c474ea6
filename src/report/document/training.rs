//! How training went: what the runs have told on their way, a plot and a column
//! for each metric.

use super::figure::{
    Axis, AxisKind, Figure, Line, LineKind, Point as Spot, Scatter, State as Seen,
};
use super::{Block, Mark, Section, Table, Teller, figures, number_column, text_column};
use crate::model::Name;
use crate::model::curve::Curve;
use crate::model::outcome::Outcome;
use crate::model::trial::Trial;
use crate::report::curves::spread;
use crate::report::phrase::{clean, figures as shown};

/// So many metrics are drawn and told.
const METRICS: usize = 8;
/// So many curves are drawn in all, and at least and at most for one metric.
const CURVES: usize = 120;
const CURVES_EACH: (usize, usize) = (15, 40);
/// A curve is drawn by so many points.
const POINTS: usize = 60;
/// So many trials are told.
const ROUNDS: usize = 30;
/// A curve whose greatest value is so many times its least is drawn by ratios.
const RATIO: f64 = 50.0;

/// A metric that a step tells on its way.
type Key = (Name, Name);

pub(super) fn section(teller: &Teller<'_>) -> Option<Section> {
    let words = teller.words;
    let keys = keys(teller);
    let trials: Vec<&Trial> = teller.study.trials().iter().map(|trial| &**trial).collect();
    let has_told = |trial: &&Trial| keys.iter().any(|key| curve(trial, key).is_some());
    let trials: Vec<&Trial> = trials.into_iter().filter(has_told).collect();
    if trials.is_empty() {
        return None;
    }
    let plots = keys.iter().filter_map(|key| plot(teller, key, &trials));
    let mut blocks: Vec<Block> = plots.collect();
    let told = chosen(teller, &trials, ROUNDS);
    blocks.push(Block::Table(rounds(teller, &keys, &told)));
    blocks.push(words.text(
        "Each metric is shown from the first number that was kept to the last, with its least and \
         its greatest where they lie elsewhere. Where a trial has several runs this is of the first.",
        "各指标为所保留的首个数值至最后一个数值，最小值或最大值不在两端时另行注明。试验有多次评测时\
         取第一次。",
    ));
    let (count, all) = (told.len(), trials.len());
    if count < all {
        blocks.push(words.text(
            format!("{count} of the {all} trials are told: the best, the baseline and others at equal distances."),
            format!("{all} 个试验中列出 {count} 个：最优、基线及等距选取的其他试验。"),
        ));
    }
    teller.section("training", ("How training went", "训练过程"), blocks)
}

/// The metrics that runs have told of, in the order of the steps, then in that in
/// which they were told.
fn keys(teller: &Teller<'_>) -> Vec<Key> {
    let spec = teller.study.spec();
    let mut keys: Vec<Key> = Vec::new();
    for trial in teller.study.trials() {
        for curve in &trial.curves {
            let key = (curve.step.clone(), curve.metric.clone());
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
    }
    let place = |(step, metric): &Key| {
        let mut steps = spec.steps.iter();
        let place = steps.position(|known| known.name == *step);
        let rules = place.map(|place| &spec.steps[place].curves);
        let rule = rules.and_then(|rules| rules.iter().position(|rule| rule.metric == *metric));
        (place.unwrap_or(usize::MAX), rule.unwrap_or(usize::MAX))
    };
    keys.sort_by_key(place);
    keys.truncate(METRICS);
    keys
}

/// What a metric is called: by its step, too, where another has one of that name.
fn label(keys: &[Key], (step, metric): &Key) -> String {
    let others = keys.iter().filter(|(_, other)| other == metric).count();
    match others {
        0 | 1 => clean(metric),
        _ => format!("{}: {}", clean(step), clean(metric)),
    }
}

/// What a trial has told of a metric, in its first run.
fn curve<'a>(trial: &'a Trial, (step, metric): &Key) -> Option<&'a Curve> {
    trial.curve(step, 1, metric)
}

/// At most so many of the trials, in order: the best and the baseline, and others
/// at equal distances.
fn chosen<'a>(teller: &Teller<'_>, trials: &[&'a Trial], most: usize) -> Vec<&'a Trial> {
    let is_special = |trial: &Trial| {
        let kind = kind(teller, trial);
        matches!(kind, LineKind::BestCurve | LineKind::FirstCurve)
    };
    let (mut chosen, others): (Vec<&Trial>, Vec<&Trial>) =
        trials.iter().partition(|trial| is_special(trial));
    chosen.extend(spread(&others, most.saturating_sub(chosen.len())));
    chosen.sort_by_key(|trial| trial.id);
    chosen
}

/// As what the curve of a trial is drawn.
fn kind(teller: &Teller<'_>, trial: &Trial) -> LineKind {
    match figures::state(teller, trial) {
        Some(Seen::Best) => LineKind::BestCurve,
        Some(Seen::Baseline) => LineKind::FirstCurve,
        Some(Seen::Pruned | Seen::Failed) => LineKind::CutCurve,
        _ => LineKind::Curve,
    }
}

/// The curves of one metric.
fn plot(teller: &Teller<'_>, key: &Key, trials: &[&Trial]) -> Option<Block> {
    let words = teller.words;
    let keys = keys(teller);
    let name = label(&keys, key);
    let own: Vec<&Trial> = trials
        .iter()
        .copied()
        .filter(|trial| curve(trial, key).is_some_and(|curve| curve.points.len() > 1))
        .collect();
    let (least, most) = CURVES_EACH;
    let drawn = chosen(teller, &own, (CURVES / keys.len()).clamp(least, most));
    let mut lines = Vec::new();
    let mut ends = Vec::new();
    for trial in &drawn {
        let Some(curve) = curve(trial, key) else {
            continue;
        };
        let points = spread(&curve.points, POINTS);
        let points: Vec<(f64, f64)> = points
            .iter()
            .map(|point| (point.at.get(), point.value.get()))
            .collect();
        let state = figures::state(teller, trial);
        let is_marked = |state: &Seen| !matches!(state, Seen::Complete);
        if let Some((state, (x, y))) = state.filter(is_marked).zip(points.last().copied()) {
            let title = figures::title(teller, trial);
            ends.push(Spot { x, y, state, title });
        }
        let kind = kind(teller, trial);
        lines.push(Line {
            kind,
            label: match kind {
                LineKind::BestCurve => words.label("the best", "最优"),
                LineKind::FirstCurve => words.label("the baseline", "基线"),
                LineKind::CutCurve => words.label("cut off or failed", "中途结束或失败"),
                _ => words.label("another trial", "其他试验"),
            },
            points,
            title: figures::title(teller, trial),
        });
    }
    if lines.is_empty() {
        return None;
    }
    // What matters most is drawn last, over the others.
    let rank = |kind| match kind {
        LineKind::BestCurve => 3,
        LineKind::FirstCurve => 2,
        LineKind::CutCurve => 0,
        _ => 1,
    };
    lines.sort_by_key(|line| rank(line.kind));
    let values = lines.iter().flat_map(|line| &line.points).map(|(_, y)| *y);
    let low = values.clone().fold(f64::INFINITY, f64::min);
    let high = values.fold(f64::NEG_INFINITY, f64::max);
    let y = match low > 0.0 && high / low > RATIO {
        true => AxisKind::Log,
        false => AxisKind::Linear,
    };
    let (count, all) = (drawn.len(), own.len());
    let (english, chinese) = match count < all {
        true => (
            format!(" {count} of {all} are drawn."),
            format!("共 {all} 条，绘出 {count} 条。"),
        ),
        false => Default::default(),
    };
    let scatter = Scatter {
        title: words.label(&format!("{name} in training"), &format!("训练中的 {name}")),
        description: words.label(
            &format!("Each line is a trial; a sign at its end says what came of it.{english}"),
            &format!("每条线为一个试验，末端符号表示其结果。{chinese}"),
        ),
        x: Axis {
            label: words.label("training step", "训练步"),
            kind: AxisKind::Linear,
        },
        y: Axis {
            label: name,
            kind: y,
        },
        points: ends,
        rug: Vec::new(),
        lines,
        spreads: Vec::new(),
        legend: Vec::new(),
    };
    Some(Block::Figure(Figure::Scatter(scatter.explained(teller))))
}

/// A row for each trial: how far it came, and how its metrics went.
fn rounds(teller: &Teller<'_>, keys: &[Key], trials: &[&Trial]) -> Table {
    let words = teller.words;
    let mut columns = vec![
        number_column(words.label("trial", "试验")),
        text_column(words.label("params", "参数")),
        number_column(words.label("training step", "训练步")),
    ];
    columns.extend(keys.iter().map(|key| number_column(label(keys, key))));
    columns.push(text_column(words.label("outcome", "结果")));
    let mut table = Table::new(words.label("Rounds of training", "各轮训练"), columns);
    for trial in trials {
        let curves = || keys.iter().map(|key| curve(trial, key));
        let mut cells = vec![
            trial.id.to_string(),
            teller.differences(trial),
            reached(curves().flatten()),
        ];
        cells.extend(curves().map(|curve| curve.map(course).unwrap_or_default()));
        cells.push(teller.outcome(trial));
        let mark = match &trial.outcome {
            _ if kind(teller, trial) == LineKind::BestCurve => Mark::Best,
            Some(Outcome::Failed(_) | Outcome::Infeasible) => Mark::Bad,
            _ => Mark::None,
        };
        table.marked(cells, mark);
    }
    table
}

/// How far a trial came: `340 / 1000`.
fn reached<'a>(curves: impl Iterator<Item = &'a Curve>) -> String {
    let furthest = crate::report::curves::furthest(curves);
    let at = furthest.and_then(|curve| Some(shown(curve.last()?.at.get(), 9)));
    let of = furthest.and_then(|curve| curve.of);
    let of = of.map(|of| format!(" / {}", shown(of.get(), 9)));
    at.unwrap_or_default() + &of.unwrap_or_default()
}

/// How a metric went: `2.31 → 0.87 (≥ 0.85)`.
fn course(curve: &Curve) -> String {
    let values = || curve.points.iter().map(|point| point.value.get());
    let (Some(first), Some(last)) = (values().next(), values().next_back()) else {
        return String::new();
    };
    let (low, high) = (
        values().fold(first, f64::min),
        values().fold(first, f64::max),
    );
    let mut text = match curve.points.len() {
        1 => shown(last, 4),
        _ => format!("{} → {}", shown(first, 4), shown(last, 4)),
    };
    let beyond = [
        (low < first.min(last)).then(|| format!("≥ {}", shown(low, 4))),
        (high > first.max(last)).then(|| format!("≤ {}", shown(high, 4))),
    ];
    let beyond: Vec<String> = beyond.into_iter().flatten().collect();
    if !beyond.is_empty() {
        text += &format!(" ({})", beyond.join(", "));
    }
    text
}
