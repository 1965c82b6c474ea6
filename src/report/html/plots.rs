//! The figures.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;
use std::time::Duration;

use super::axis::Scale;
use super::escape;
use super::svg::{Anchor, Svg, class, shape, short, small, width};
use crate::base::quantity::show_duration;
use crate::report::document::{
    AxisKind, Bars, Figure, LaneKind, Line, LineKind, Map, Point, Scatter, State, Timeline,
};
use crate::report::phrase::cut;

/// The size of a plot that has a page to itself.
const WIDE: (f64, f64) = (760.0, 340.0);
/// The same on a page as narrow as a phone's.
const NARROW: (f64, f64) = (360.0, 300.0);
/// The size of one of several.
const SMALL: (f64, f64) = (330.0, 220.0);
/// Of more points each has no element of its own: those of a state are one path,
/// and one that would be hidden by another is left out.
const SINGLE: usize = 500;
/// A name beside a bar takes at most so much.
const NAMES: f64 = 230.0;

pub(super) fn figure(page: &mut String, figure: &Figure) {
    match figure {
        Figure::Scatter(found) => framed(
            page,
            &found.title,
            &found.description,
            |size| scatter(found, size),
            &legend(found),
        ),
        Figure::Panels { legend, panels } => {
            let Some(first) = panels.first() else { return };
            *page += "<figure><figcaption><small>";
            let _ = write!(
                page,
                "{}</small></figcaption>\n{}",
                escape(&first.description),
                states(legend, "")
            );
            *page += "<div class=\"panels\">\n";
            for panel in panels {
                let _ = write!(page, "<div>{}</div>", scatter(panel, SMALL));
            }
            *page += "</div></figure>\n";
        }
        Figure::Bars(found) => {
            framed(
                page,
                &found.title,
                &found.description,
                |size| bars(found, size),
                "",
            );
        }
        Figure::Timeline(found) => {
            framed(
                page,
                &found.title,
                &found.description,
                |size| timeline(found, size),
                "",
            );
        }
        Figure::Map(found) => {
            framed(
                page,
                &found.title,
                &found.description,
                |size| map(found, size),
                "",
            );
        }
    }
}

/// A plot twice, of which a page shows the one that it has room for: made
/// smaller, the text of the wide one could not be read.
fn framed(
    page: &mut String,
    title: &str,
    description: &str,
    draw: impl Fn((f64, f64)) -> String,
    legend: &str,
) {
    let (title, description) = (escape(title), escape(description));
    let _ = writeln!(
        page,
        "<figure><figcaption>{title}<small>{description}</small></figcaption>\n\
         <div class=\"wide\">{}</div><div class=\"narrow\">{}</div>{legend}</figure>",
        draw(WIDE),
        draw(NARROW)
    );
}

/// What the points and lines of a plot mean.
fn legend(found: &Scatter) -> String {
    let lines = found
        .lines
        .iter()
        .map(|line| key(line_class(line.kind), "M0 7h18", &line.label));
    let mut lines: Vec<String> = lines.collect();
    lines.dedup();
    states(&found.legend, &lines.concat())
}

/// What the points mean, with further keys after theirs.
fn states(legend: &[(State, String)], more: &str) -> String {
    let each = legend.iter();
    let each = each.map(|(state, label)| key(class(*state), &shape(*state, 9.0, 7.5), label));
    let keys: String = each.collect();
    format!("<div class=\"legend\">{keys}{more}</div>\n")
}

/// A sign with what it means.
fn key(class: &str, data: &str, label: &str) -> String {
    let label = escape(label);
    format!(
        "<span><svg viewBox=\"0 0 18 14\" aria-hidden=\"true\"><path class=\"{class}\" \
         d=\"{data}\"/></svg> {label}</span> "
    )
}

const fn line_class(kind: LineKind) -> &'static str {
    match kind {
        LineKind::Incumbent => "incumbent",
        LineKind::Front => "front",
        LineKind::Least | LineKind::Most => "bound",
        LineKind::Curve => "curve",
        LineKind::CutCurve => "curve cut",
        LineKind::FirstCurve => "curve first",
        LineKind::BestCurve => "curve winner",
    }
}

/// The least and the most of some numbers.
fn ends(numbers: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = numbers.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), number| {
        (low.min(number), high.max(number))
    });
    if low <= high { (low, high) } else { (0.0, 1.0) }
}

fn scatter(found: &Scatter, (wide, high): (f64, f64)) -> String {
    let is_bound = |kind| matches!(kind, LineKind::Least | LineKind::Most);
    let corners = || {
        found
            .lines
            .iter()
            .filter(|line| !is_bound(line.kind))
            .flat_map(|line| &line.points)
    };
    let heights = found.points.iter().map(|point| point.y);
    let heights = heights.chain(corners().map(|(_, y)| *y));
    let heights = heights.chain(
        found
            .spreads
            .iter()
            .flat_map(|spread| [spread.low, spread.high]),
    );
    let y_ends = ends(heights);
    let rug = if found.rug.is_empty() { 0.0 } else { 18.0 };
    let (top, right) = (24.0, 14.0);

    // The names below decide how much room is left for the plot.
    let names = match &found.x.kind {
        AxisKind::Names(names) => &names[..],
        _ => &[],
    };
    let longest = names.iter().map(|name| width(name)).fold(0.0, f64::max);
    let is_log = found.y.kind == AxisKind::Log;
    let probe = Scale::new(y_ends, (1.0, 0.0), is_log).ticks(6, false);
    let left = probe
        .iter()
        .map(|(_, text)| width(text))
        .fold(20.0, f64::max)
        + 12.0;
    let room = (wide - left - right) / names.len().max(1) as f64;
    let is_turned = longest > room - 6.0;
    let below = if is_turned {
        longest * 0.72 + 34.0
    } else {
        42.0
    };
    let bottom = high - below;
    let mut svg = Svg::new(wide, high);

    let y = Scale::new(y_ends, (bottom - rug, top), is_log);
    for (number, text) in y.ticks(if high < 250.0 { 4 } else { 6 }, false) {
        let at = y.at(number);
        svg.line("grid", (left, at), (wide - right, at));
        svg.text((left - 6.0, at + 4.0), Anchor::End, &text);
    }
    let place = x_axis(
        &mut svg,
        found,
        names,
        is_turned,
        (left, wide - right),
        (top, bottom),
    );
    for line in &found.lines {
        let Some(x) = line.points.first().map(|(x, _)| place(*x)) else {
            continue;
        };
        let missed = match line.kind {
            LineKind::Least => (left, x),
            LineKind::Most => (x, wide - right),
            _ => continue,
        };
        let size = (missed.1 - missed.0, bottom - top);
        svg.rect("missed", (missed.0, top), size, None);
        svg.line("bound", (x, top), (x, bottom));
    }
    svg.line("edge", (left, bottom), (wide - right, bottom));
    svg.text((left, 12.0), Anchor::Start, &found.y.label);
    svg.text(
        ((left + wide - right) / 2.0, high - 5.0),
        Anchor::Middle,
        &found.x.label,
    );

    // A finger does not hover over a point.
    let is_titled = wide > NARROW.0;
    for line in found.lines.iter().filter(|line| !is_bound(line.kind)) {
        let title = if is_titled { &*line.title } else { "" };
        svg.path(line_class(line.kind), &polyline(line, &place, &y), title);
    }
    let spot = |point: &Point| (place(point.x), y.at(point.y));
    points(&mut svg, &found.points, is_titled, spot);
    let below = |point: &Point| (place(point.x), bottom - 8.0);
    points(&mut svg, &found.rug, is_titled, below);
    for spread in &found.spreads {
        let x = place(spread.x);
        let (low, mean, top) = (y.at(spread.low), y.at(spread.mean), y.at(spread.high));
        svg.line("spread", (x, low), (x, top));
        svg.line("spread", (x - 9.0, mean), (x + 9.0, mean));
    }
    svg.finish(&found.title, &found.description)
}

fn polyline(line: &Line, place: &impl Fn(f64) -> f64, y: &Scale) -> String {
    let mut data = String::new();
    for (index, (across, up)) in line.points.iter().enumerate() {
        let letter = if index == 0 { 'M' } else { 'L' };
        let _ = write!(
            data,
            "{letter}{} {}",
            short(place(*across)),
            short(y.at(*up))
        );
    }
    data
}

/// Draws the axis below, and gives the places on it.
fn x_axis(
    svg: &mut Svg,
    found: &Scatter,
    names: &[String],
    is_turned: bool,
    (left, right): (f64, f64),
    (top, bottom): (f64, f64),
) -> impl Fn(f64) -> f64 + use<> {
    let corners = found.lines.iter().flat_map(|line| &line.points);
    let corners = corners.map(|(x, _)| *x);
    let all = found.points.iter().chain(&found.rug).map(|point| point.x);
    let is_log = found.x.kind == AxisKind::Log;
    let scale = Scale::new(ends(all.chain(corners)), (left, right), is_log);
    // Each name has a part of its own, and stands in its middle.
    let part = (right - left) / names.len().max(1) as f64;
    let is_named = !names.is_empty();
    let place = move |x: f64| match is_named {
        true => left + (x + 0.5) * part,
        false => scale.at(x),
    };
    for (index, name) in names.iter().enumerate() {
        let x = place(index as f64);
        match is_turned {
            true => svg.turned((x + 4.0, bottom + 14.0), Anchor::End, name, Some(-45.0)),
            false => svg.text((x, bottom + 16.0), Anchor::Middle, name),
        }
    }
    if !is_named {
        // As many as have room beside each other.
        let probe = scale.ticks(3, found.x.kind == AxisKind::Whole);
        let widest = probe
            .iter()
            .map(|(_, text)| width(text))
            .fold(16.0, f64::max);
        let most = ((right - left) / (widest + 22.0)) as usize;
        for (number, text) in scale.ticks(most, found.x.kind == AxisKind::Whole) {
            let x = scale.at(number);
            svg.line("grid", (x, top), (x, bottom));
            svg.text((x, bottom + 16.0), Anchor::Middle, &text);
        }
    }
    place
}

fn points(svg: &mut Svg, points: &[Point], is_titled: bool, place: impl Fn(&Point) -> (f64, f64)) {
    let mut order: Vec<&Point> = points.iter().collect();
    let rank = |state| State::ALL.iter().position(|known| *known == state);
    order.sort_by_key(|point| rank(point.state));
    let is_many = points.len() > SINGLE;
    if is_titled && !is_many {
        for point in order {
            let (x, y) = place(point);
            svg.path(class(point.state), &shape(point.state, x, y), &point.title);
        }
        return;
    }
    let mut paths: BTreeMap<usize, String> = BTreeMap::new();
    let mut taken = HashSet::new();
    for point in order {
        let (x, y) = place(point);
        let (x, y) = (x.round(), y.round());
        if taken.insert((point.state, x as i64, y as i64)) {
            let path = paths
                .entry(rank(point.state).unwrap_or_default())
                .or_default();
            let drawn = if is_many { small } else { shape };
            *path += &drawn(point.state, x, y);
        }
    }
    for (rank, data) in paths {
        let many = if is_many { " many" } else { "" };
        svg.path(&format!("{}{many}", class(State::ALL[rank])), &data, "");
    }
}

/// Where names of rows stand: at the left, or above them where that would leave
/// too little.
struct Names {
    /// What they take at the left.
    left: f64,
    /// What each takes above its row.
    above: f64,
    /// The most that one takes.
    room: f64,
}

impl Names {
    fn of<'a>(names: impl Iterator<Item = &'a String>, wide: f64) -> Self {
        if wide <= NARROW.0 {
            let (left, above) = (0.0, 20.0);
            return Self {
                left,
                above,
                room: wide,
            };
        }
        let left = names
            .map(|name| width(name))
            .fold(40.0, f64::max)
            .min(NAMES)
            + 14.0;
        Self {
            left,
            above: 0.0,
            room: left,
        }
    }

    /// Writes one; at the left its foot is so far below the top of its row.
    fn put(&self, svg: &mut Svg, name: &str, top: f64, foot: f64) {
        let name = cut(name, (self.room / width("a")) as usize);
        match self.above > 0.0 {
            true => svg.text((0.0, top + 15.0), Anchor::Start, &name),
            false => svg.text((self.left - 8.0, top + foot), Anchor::End, &name),
        }
    }
}

fn bars(found: &Bars, (wide, _): (f64, f64)) -> String {
    let names = Names::of(found.bars.iter().map(|(name, ..)| name), wide);
    let (row, top, left, right) = (26.0 + names.above, 8.0, names.left, 56.0);
    let height = top + row * found.bars.len() as f64 + 28.0;
    let most = found
        .bars
        .iter()
        .map(|(.., high)| *high)
        .fold(0.01, f64::max);
    let place = |share: f64| left + share / most * (wide - left - right);
    let mut svg = Svg::new(wide, height);
    for tick in super::axis::ticks(0.0, most, 6, false) {
        svg.line("grid", (place(tick), top), (place(tick), height - 24.0));
        let anchor = match place(tick) < 16.0 {
            true => Anchor::Start,
            false => Anchor::Middle,
        };
        let text = format!("{:.0} %", 100.0 * tick);
        svg.text((place(tick), height - 8.0), anchor, &text);
    }
    for (index, (name, mean, low, high)) in found.bars.iter().enumerate() {
        let y = top + row * index as f64;
        names.put(&mut svg, name, y, 17.0);
        let y = y + names.above;
        let size = ((place(*mean) - left).max(1.0), 16.0);
        svg.rect("bar", (left, y + 5.0), size, None);
        svg.line("spread", (place(*low), y + 13.0), (place(*high), y + 13.0));
        let text = format!("{:.0} %", 100.0 * mean);
        svg.text((place(*high) + 6.0, y + 17.0), Anchor::Start, &text);
    }
    svg.finish(&found.title, &found.description)
}

fn timeline(found: &Timeline, (wide, _): (f64, f64)) -> String {
    let names = Names::of(found.lanes.iter().map(|lane| &lane.name), wide);
    let (row, top, left, right) = (28.0 + names.above, 6.0, names.left, 26.0);
    let bottom = top + row * found.lanes.len() as f64;
    let place = |second: f64| left + second / found.length * (wide - left - right);
    let mut svg = Svg::new(wide, bottom + 26.0);
    // As many as have room beside each other.
    let most = (wide - left - right) / 72.0;
    for second in moments(found.length, most) {
        svg.line("grid", (place(second), top), (place(second), bottom));
        let anchor = match place(second) < 4.0 {
            true => Anchor::Start,
            false => Anchor::Middle,
        };
        svg.text((place(second), bottom + 18.0), anchor, &moment(second));
    }
    for (index, lane) in found.lanes.iter().enumerate() {
        let y = top + row * index as f64;
        names.put(&mut svg, &lane.name, y, 18.0);
        let y = y + names.above;
        let mut data = String::new();
        // What is too near to be told apart is one stretch.
        let mut last: Option<(f64, f64)> = None;
        let mut put = |(from, to): (f64, f64)| {
            let to = to.max(from + 0.8);
            let _ = write!(
                data,
                "M{} {}h{}v18h-{}z",
                short(from),
                short(y + 5.0),
                short(to - from),
                short(to - from)
            );
        };
        for (from, to) in &lane.stretches {
            let (from, to) = (place(*from), place(*to));
            last = match last {
                Some((begun, until)) if from - until < 0.6 => Some((begun, until.max(to))),
                Some(before) => {
                    put(before);
                    Some((from, to))
                }
                None => Some((from, to)),
            };
        }
        last.into_iter().for_each(&mut put);
        svg.path(lane_class(lane.kind), &data, &lane.name);
    }
    svg.line("edge", (left, bottom), (wide - right, bottom));
    svg.finish(&found.title, &found.description)
}

const fn lane_class(kind: LaneKind) -> &'static str {
    match kind {
        LaneKind::Startup => "startup",
        LaneKind::Runs => "runs",
        LaneKind::Beside => "beside",
        LaneKind::Broken => "broken",
        LaneKind::Other => "other",
        LaneKind::Idle => "idle",
    }
}

/// Round moments from 0 to a length in seconds, about so many.
fn moments(length: f64, most: f64) -> Vec<f64> {
    const STEPS: [f64; 18] = [
        1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 14_400.0,
        21_600.0, 43_200.0, 86_400.0, 172_800.0, 604_800.0,
    ];
    let step = STEPS.into_iter().find(|step| length / step <= most);
    let step = step.unwrap_or_else(|| (length / most / 604_800.0).ceil() * 604_800.0);
    if length < 1.0 {
        return vec![0.0, length];
    }
    (0..=(length / step) as usize)
        .map(|index| index as f64 * step)
        .collect()
}

/// A round moment in full: `30s`, `1m 30s`, `2h`, `1d 12h`.
fn moment(second: f64) -> String {
    if second == 0.0 {
        return "0".to_owned();
    }
    if second < 1.0 {
        return show_duration(Duration::from_secs_f64(second));
    }
    let whole = second as u64;
    let parts = [
        (whole / 86_400, "d"),
        (whole / 3600 % 24, "h"),
        (whole / 60 % 60, "m"),
        (whole % 60, "s"),
    ];
    let parts = parts.iter().filter(|(count, _)| *count > 0);
    let parts: Vec<String> = parts
        .map(|(count, unit)| format!("{count}{unit}"))
        .collect();
    parts.join(" ")
}

fn map(found: &Map, (wide, _): (f64, f64)) -> String {
    let (row, gap, top) = (30.0, 6.0, 4.0);
    let names = Names::of(found.rows.iter().map(|(name, _)| name), wide);
    let left = names.left;
    let mut places = Vec::new();
    let mut y = top;
    for (name, cells) in &found.rows {
        let mut x = left;
        let first = y;
        y += names.above;
        let mut boxes = Vec::new();
        for cell in cells {
            let text = format!("{}: {}/{}", cell.value, cell.failed, cell.trials);
            let size = width(&text) + 16.0;
            if x + size > wide && x > left {
                x = left;
                y += row;
            }
            boxes.push(((x, y), size, cell.share(), text));
            x += size + gap;
        }
        places.push((name, first, boxes));
        y += row;
    }
    let mut svg = Svg::new(wide, y + 4.0);
    for (name, first, boxes) in places {
        names.put(&mut svg, name, first, 19.0);
        for ((x, y), size, share, text) in boxes {
            // A few of many are to be seen, too.
            let opacity = share.sqrt() * 0.6;
            svg.rect("box", (x, y + 2.0), (size, row - 6.0), Some(opacity));
            svg.text((x + 8.0, y + 18.0), Anchor::Start, &text);
        }
    }
    svg.finish(&found.title, &found.description)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_round_and_have_room() {
        let shown = |length, most| {
            let moments = moments(length, most).into_iter();
            moments.map(moment).collect::<Vec<_>>().join(", ")
        };
        assert_eq!(shown(171.0, 7.0), "0, 30s, 1m, 1m 30s, 2m, 2m 30s");
        assert_eq!(shown(171.0, 4.0), "0, 1m, 2m");
        assert_eq!(shown(0.25, 7.0), "0, 250 ms");
        assert_eq!(shown(130_000.0, 4.0), "0, 12h, 1d, 1d 12h");
    }
}
