//! What there is to be drawn of a study.

use std::collections::BTreeMap;

use super::figure::{
    Axis, AxisKind, Figure, Lane, LaneKind, Line, LineKind, Point, Scatter, Spread, State, Timeline,
};
use super::{Block, Teller};
use crate::model::domain::{Domain, Scale};
use crate::model::metric::{Constraint, Direction, Summary};
use crate::model::outcome::Outcome;
use crate::model::space::Parameter;
use crate::model::trial::{Purpose, Trial};
use crate::model::value::Finite;
use crate::report::phrase::{clean, cut, mean_and_spread};

/// Points have a text each for up to so many trials.
const TITLED: usize = 500;
/// A value under an axis takes at most so many columns.
const VALUE: usize = 14;
/// So many values of a list have room under an axis.
const VALUES: usize = 40;
/// A range is cut into so many parts for the spread in each.
const PARTS: usize = 6;
/// So many trials tell a spread.
const PARTED: usize = 3;

pub(super) fn state(teller: &Teller<'_>, trial: &Trial) -> Option<State> {
    let is = |other: Option<&std::sync::Arc<Trial>>| other.is_some_and(|one| one.id == trial.id);
    Some(match trial.outcome.as_ref()? {
        _ if is(teller.study.incumbent()) => State::Best,
        Outcome::Failed(_) => State::Failed,
        _ if is(teller.study.baseline()) => State::Baseline,
        Outcome::Complete => State::Complete,
        Outcome::Infeasible => State::Infeasible,
        Outcome::Pruned => State::Pruned,
    })
}

pub(super) fn title(teller: &Teller<'_>, trial: &Trial) -> String {
    if teller.study.trials().len() > TITLED {
        return String::new();
    }
    let measured = teller.study.objective(trial);
    let measured = measured.map(|summary| format!(" {}", mean_and_spread(&summary)));
    let measured = measured.unwrap_or_default();
    let (outcome, differs) = (teller.outcome(trial), teller.differences(trial));
    cut(
        &format!("{}: {outcome}{measured}; {differs}", trial.id),
        300,
    )
}

/// What the points of these states mean.
fn legend(teller: &Teller<'_>, states: impl Fn(State) -> bool) -> Vec<(State, String)> {
    let words = teller.words;
    let named = |state| match state {
        State::Complete => words.label("complete", "完成"),
        State::Infeasible => words.label("infeasible", "未达约束"),
        State::Pruned => words.label("pruned", "提前结束"),
        State::Failed => words.label("failed", "失败"),
        State::Baseline => words.label("baseline", "基线"),
        State::Best => words.label("best", "最优"),
    };
    let present = State::ALL.into_iter().rev().filter(|state| states(*state));
    present.map(|state| (state, named(state))).collect()
}

impl Scatter {
    pub(super) fn explained(mut self, teller: &Teller<'_>) -> Self {
        let mut all = self
            .points
            .iter()
            .chain(&self.rug)
            .map(|point| point.state)
            .collect::<Vec<_>>();
        all.sort_unstable();
        all.dedup();
        self.legend = legend(teller, |state| all.contains(&state));
        self
    }
}

/// The objective of each trial, and the best of its time.
pub(super) fn history(teller: &Teller<'_>) -> Option<Block> {
    let (study, words) = (teller.study, teller.words);
    let metric = clean(&study.spec().objective.metric);
    let (mut points, mut rug, mut steps) = (Vec::new(), Vec::new(), Vec::new());
    let mut best: Option<&Trial> = None;
    for trial in study.trials() {
        let Some(state) = state(teller, trial) else {
            continue;
        };
        let measured = study.objective(trial);
        let point = Point {
            x: f64::from(trial.id.0),
            y: measured.map_or(0.0, |summary| summary.mean),
            state,
            title: title(teller, trial),
        };
        match measured {
            Some(_) => points.push(point),
            None => rug.push(point),
        }
        best = study.better_of(best, trial);
        let mean = best
            .and_then(|best| study.objective(best))
            .map(|summary| summary.mean);
        if let Some(mean) = mean {
            steps.push((f64::from(trial.id.0), mean));
        }
    }
    if points.len() < 2 {
        return None;
    }
    // Steps alone: where nothing changes there is no corner.
    let last = steps.last().copied();
    steps.dedup_by(|next, kept| next.1 == kept.1);
    let mut corners: Vec<(f64, f64)> = Vec::new();
    for (x, y) in steps {
        if let Some((_, before)) = corners.last().copied() {
            corners.push((x, before));
        }
        corners.push((x, y));
    }
    corners.extend(last);
    let scatter = Scatter {
        title: words.label(
            &format!("{metric} over the trials"),
            &format!("各试验的 {metric}"),
        ),
        description: words.label(
            "Each point is a trial; the line is the best of its time. Trials without a result \
             stand at the bottom.",
            "每个点为一个试验，折线为当时的最优；没有结果的试验标在底部。",
        ),
        x: Axis {
            label: words.label("trial", "试验"),
            kind: AxisKind::Whole,
        },
        y: Axis {
            label: metric,
            kind: AxisKind::Linear,
        },
        points,
        rug,
        lines: vec![Line {
            kind: LineKind::Incumbent,
            label: words.label("the best of its time", "当时的最优"),
            points: corners,
            title: String::new(),
        }],
        spreads: Vec::new(),
        legend: Vec::new(),
    };
    Some(Block::Figure(Figure::Scatter(scatter.explained(teller))))
}

/// The objective against the metric of a constraint.
pub(super) fn trade_off(teller: &Teller<'_>, wanted: &Constraint) -> Option<Block> {
    let (study, words) = (teller.study, teller.words);
    let objective = &study.spec().objective;
    let (metric, bound) = (clean(&objective.metric), clean(&wanted.metric));
    if objective.metric == wanted.metric {
        return None;
    }
    let trials = study.trials().iter();
    let points: Vec<Point> = trials
        .filter_map(|trial| {
            Some(Point {
                x: trial.summary(&wanted.metric)?.mean,
                y: study.objective(trial)?.mean,
                state: state(teller, trial)?,
                title: title(teller, trial),
            })
        })
        .collect();
    if points.len() < 2 {
        return None;
    }
    let ends = [(LineKind::Least, wanted.min), (LineKind::Most, wanted.max)];
    let mut lines: Vec<Line> = ends
        .into_iter()
        .filter_map(|(kind, end)| {
            Some(Line {
                kind,
                label: teller.constraint(wanted),
                points: vec![(end?.get(), 0.0)],
                title: String::new(),
            })
        })
        .collect();
    // More is better of what has a least value, less of what has a most.
    let wants_more = wanted.min.is_some();
    let front = front(
        &points,
        wants_more,
        objective.direction == Direction::Maximize,
    );
    if front.len() > 1 {
        lines.push(Line {
            kind: LineKind::Front,
            label: words.label("no feasible trial beats these in both", "可行试验的前沿"),
            points: front,
            title: String::new(),
        });
    }
    let scatter = Scatter {
        title: words.label(
            &format!("{metric} against {bound}"),
            &format!("{metric} 与 {bound} 的权衡"),
        ),
        description: words.label(
            "Each point is a trial. The upright line is the bound, what is shaded misses it; the \
             other line joins the feasible trials that none beats in both.",
            "每个点为一个试验；竖线为约束界限，阴影部分不满足约束；另一条线连接在两项指标上都未被超过的可行试验。",
        ),
        x: Axis {
            label: bound,
            kind: AxisKind::Linear,
        },
        y: Axis {
            label: metric,
            kind: AxisKind::Linear,
        },
        points,
        rug: Vec::new(),
        lines,
        spreads: Vec::new(),
        legend: Vec::new(),
    };
    Some(Block::Figure(Figure::Scatter(scatter.explained(teller))))
}

/// The feasible points that none beats in both, from the left to the right.
fn front(points: &[Point], more_x: bool, more_y: bool) -> Vec<(f64, f64)> {
    let counts = |state| matches!(state, State::Complete | State::Best | State::Baseline);
    let sign = |more| if more { 1.0 } else { -1.0 };
    let (to_x, to_y) = (sign(more_x), sign(more_y));
    let feasible = points.iter().filter(|point| counts(point.state));
    let mut found: Vec<(f64, f64)> = feasible.map(|p| (p.x * to_x, p.y * to_y)).collect();
    // From the best of the one on, each has to be better in the other.
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.1.total_cmp(&a.1)));
    let mut best = f64::NEG_INFINITY;
    found.retain(|(_, y)| {
        let is_better = *y > best;
        best = best.max(*y);
        is_better
    });
    let mut front: Vec<(f64, f64)> = found.iter().map(|(x, y)| (x * to_x, y * to_y)).collect();
    front.sort_by(|a, b| a.0.total_cmp(&b.0));
    front
}

/// The objective over the values of each of these parameters.
pub(super) fn effects<'a>(
    teller: &Teller<'_>,
    parameters: impl Iterator<Item = &'a Parameter>,
) -> Option<Block> {
    let panels: Vec<Scatter> = parameters.filter_map(|one| effect(teller, one)).collect();
    if panels.is_empty() {
        return None;
    }
    let has = |state| {
        panels
            .iter()
            .any(|panel| panel.points.iter().any(|p| p.state == state))
    };
    let legend = legend(teller, has);
    Some(Block::Figure(Figure::Panels { legend, panels }))
}

fn effect(teller: &Teller<'_>, parameter: &Parameter) -> Option<Scatter> {
    let (study, words) = (teller.study, teller.words);
    let name = clean(&parameter.name);
    let values = match &parameter.domain {
        Domain::Values(values) if values.len() <= VALUES => Some(values),
        Domain::Values(_) => return None,
        Domain::Int(_) | Domain::Float(_) => None,
    };
    let mut points = Vec::new();
    let mut means: BTreeMap<usize, Vec<Finite>> = BTreeMap::new();
    for trial in study.trials() {
        let params = study.params_of(trial);
        let (Some(state), Some(value)) = (state(teller, trial), params.get(&parameter.name)) else {
            continue;
        };
        let Some(mean) = study.objective(trial).map(|summary| summary.mean) else {
            continue;
        };
        let place = match values {
            Some(values) => values.iter().position(|known| known == value),
            None => None,
        };
        if let Some((place, mean)) = place.zip(Finite::new(mean)) {
            means.entry(place).or_default().push(mean);
        }
        let x = match values {
            Some(_) => place.map(|place| place as f64),
            None => value.number(),
        };
        points.extend(x.map(|x| Point {
            x,
            y: mean,
            state,
            title: title(teller, trial),
        }));
    }
    let first = points.first()?.x;
    if points.iter().all(|point| point.x == first) {
        return None;
    }
    let kind = match &parameter.domain {
        Domain::Values(values) => {
            let name = |value| cut(&teller.value(&parameter.name, value), VALUE);
            AxisKind::Names(values.iter().map(name).collect())
        }
        Domain::Int(range) if range.scale() == Scale::Log => AxisKind::Log,
        Domain::Float(range) if range.scale() == Scale::Log => AxisKind::Log,
        Domain::Int(_) => AxisKind::Whole,
        Domain::Float(_) => AxisKind::Linear,
    };
    let spreads = match values {
        Some(_) => spreads(
            means
                .into_iter()
                .map(|(place, means)| (place as f64, means)),
        ),
        None => spreads(parts(&points, kind == AxisKind::Log).into_iter()),
    };
    Some(Scatter {
        title: name.clone(),
        description: words.label(
            "Each point is a trial; a bar is the mean of the trials at a value, or in a part of a \
             range, with their standard deviation.",
            "每个点为一个试验；横杠为该取值（或取值范围中的一段）各试验的均值，竖线为其标准差。",
        ),
        x: Axis { label: name, kind },
        y: Axis {
            label: clean(&study.spec().objective.metric),
            kind: AxisKind::Linear,
        },
        points,
        rug: Vec::new(),
        lines: Vec::new(),
        spreads,
        legend: Vec::new(),
    })
}

/// Means at places, where there is a spread to be shown.
fn spreads(means: impl Iterator<Item = (f64, Vec<Finite>)>) -> Vec<Spread> {
    let spreads = means.filter_map(|(x, means)| {
        let Summary { mean, spread, .. } = Summary::of(means)?;
        let spread = spread?;
        Some(Spread {
            x,
            low: mean - spread,
            mean,
            high: mean + spread,
        })
    });
    spreads.collect()
}

/// The points of a range by equal parts of it, each at the middle of its part;
/// none where so few points would say nothing of them.
fn parts(points: &[Point], is_log: bool) -> Vec<(f64, Vec<Finite>)> {
    let to = |x: f64| if is_log { x.ln() } else { x };
    let from = |x: f64| if is_log { x.exp() } else { x };
    let places = points.iter().map(|point| to(point.x));
    let (low, high) = places.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| {
        (low.min(x), high.max(x))
    });
    let size = (high - low) / PARTS as f64;
    if points.len() < PARTS * PARTED || !(size.is_finite() && size > 0.0) {
        return Vec::new();
    }
    let mut parts = vec![Vec::new(); PARTS];
    for point in points {
        let part = ((to(point.x) - low) / size) as usize;
        parts[part.min(PARTS - 1)].extend(Finite::new(point.y));
    }
    let middle = |part: usize| from(low + (part as f64 + 0.5) * size);
    let parts = parts.into_iter().enumerate();
    let parts = parts.filter(|(_, means)| means.len() >= PARTED);
    parts.map(|(part, means)| (middle(part), means)).collect()
}

/// What was done when.
pub(super) fn timeline(teller: &Teller<'_>) -> Option<Block> {
    let words = teller.words;
    let sittings = || {
        let trials = teller.study.trials().iter();
        trials.flat_map(|trial| trial.sittings.iter().map(move |sitting| (trial, sitting)))
    };
    let begun = sittings().map(|(_, sitting)| sitting.started).min()?;
    let seconds = |moment: crate::base::clock::Timestamp| moment.since(begun).as_secs_f64();
    let mut lanes: [Vec<(f64, f64)>; 6] = Default::default();
    let mut order: Vec<_> = sittings().map(|(_, sitting)| sitting).collect();
    order.sort_by_key(|sitting| sitting.started);
    let mut free = begun;
    for sitting in order {
        if sitting.started > free {
            lanes[5].push((seconds(free), seconds(sitting.started)));
        }
        free = free.max(sitting.ended.unwrap_or(teller.now));
    }
    for (trial, sitting) in sittings() {
        let from = seconds(sitting.started);
        let to = seconds(sitting.ended.unwrap_or(teller.now));
        let runs = trial.runs.iter().chain(&trial.extra);
        let runs = runs.filter(|run| run.sitting == sitting.number);
        let measured: f64 = runs.map(|run| run.elapsed.as_secs_f64()).sum();
        let startup = sitting.startup.map(|startup| startup.as_secs_f64());
        let startup = startup.unwrap_or_default().min(to - from);
        if matches!(trial.outcome, Some(Outcome::Failed(_))) && measured == 0.0 {
            lanes[3].push((from, to));
            continue;
        }
        let run_end = (from + startup + measured).min(to);
        lanes[0].push((from, from + startup));
        let is_search = sitting.purpose == Purpose::Measure;
        lanes[if is_search { 1 } else { 2 }].push((from + startup, run_end));
        lanes[4].push((run_end, to));
    }
    let end = sittings()
        .map(|(_, sitting)| sitting.ended.unwrap_or(teller.now))
        .max()?;
    let names = [
        (
            LaneKind::Startup,
            words.label("starting services", "启动服务"),
        ),
        (
            LaneKind::Runs,
            words.label("runs of the search", "搜索评测"),
        ),
        (
            LaneKind::Beside,
            words.label("fresh starts, checks", "确认与检查"),
        ),
        (LaneKind::Broken, words.label("what broke", "失败")),
        (
            LaneKind::Other,
            words.label("ending, waiting", "停止与等待"),
        ),
        (LaneKind::Idle, words.label("nothing ran", "空闲")),
    ];
    let lanes = names.into_iter().zip(lanes);
    let lanes: Vec<Lane> = lanes
        .map(|((kind, name), mut stretches)| {
            stretches.retain(|(from, to)| to > from);
            stretches.sort_by(|a, b| a.0.total_cmp(&b.0));
            Lane {
                kind,
                name,
                stretches,
            }
        })
        .filter(|lane| !lane.stretches.is_empty())
        .collect();
    let length = seconds(end);
    (length > 0.0).then(|| {
        Block::Figure(Figure::Timeline(Timeline {
            title: words.label("The time, from left to right", "时间线（从左到右）"),
            description: words.label(
                "Each lane shows when that was done. The times within a trial are in order, not to \
                 the second.",
                "每一行表示何时在做该项。试验内部的先后按顺序给出，并非精确到秒。",
            ),
            length,
            lanes,
        }))
    })
}
