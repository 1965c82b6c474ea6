//! What can be drawn, as numbers and names.

/// A plot.
#[derive(Clone, Debug, PartialEq)]
pub enum Figure {
    /// Points over two axes.
    Scatter(Scatter),
    /// Several small ones, of one kind.
    Panels {
        /// What is in all of them.
        legend: Vec<(State, String)>,
        /// The plots.
        panels: Vec<Scatter>,
    },
    /// Bars with how sure they are.
    Bars(Bars),
    /// What was done when.
    Timeline(Timeline),
    /// At which values how many trials fail.
    Map(Map),
}

/// Points over two axes.
#[derive(Clone, Debug, PartialEq)]
pub struct Scatter {
    /// What it shows.
    pub title: String,
    /// How to read it.
    pub description: String,
    /// The axis below.
    pub x: Axis,
    /// The axis to the left.
    pub y: Axis,
    /// The points.
    pub points: Vec<Point>,
    /// Those that have a place on the axis below alone.
    pub rug: Vec<Point>,
    /// The lines.
    pub lines: Vec<Line>,
    /// Means with what they spread by.
    pub spreads: Vec<Spread>,
    /// What the points mean.
    pub legend: Vec<(State, String)>,
}

/// An axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// What is on it.
    pub label: String,
    /// How it is divided.
    pub kind: AxisKind,
}

/// See [`Axis::kind`].
#[derive(Clone, Debug, PartialEq)]
pub enum AxisKind {
    /// Numbers, by equal differences.
    Linear,
    /// Whole numbers, by equal differences.
    Whole,
    /// Numbers above 0, by equal ratios.
    Log,
    /// Names at 0, 1, 2, ….
    Names(Vec<String>),
}

/// A point, which stands for a trial.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Its place to the right.
    pub x: f64,
    /// Its place upwards.
    pub y: f64,
    /// What came of it.
    pub state: State,
    /// What is told of it; nothing where there are very many.
    pub title: String,
}

/// What came of a trial, as it is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// It counts.
    Complete,
    /// It misses a constraint.
    Infeasible,
    /// It was ended early.
    Pruned,
    /// It failed.
    Failed,
    /// It is the baseline.
    Baseline,
    /// It is the best.
    Best,
}

impl State {
    /// All that there are, in the order in which they are drawn.
    pub const ALL: [Self; 6] = [
        Self::Pruned,
        Self::Failed,
        Self::Infeasible,
        Self::Complete,
        Self::Baseline,
        Self::Best,
    ];
}

/// A line.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// What it is.
    pub kind: LineKind,
    /// What it is called.
    pub label: String,
    /// Its corners.
    pub points: Vec<(f64, f64)>,
    /// What is told of it; nothing where there is no more to say.
    pub title: String,
}

/// See [`Line::kind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineKind {
    /// What was the best, in steps.
    Incumbent,
    /// The trials that no other beats in both.
    Front,
    /// A least value: through the whole plot at its one corner, upright. What is
    /// to its left misses it.
    Least,
    /// A greatest value: what is to its right misses it.
    Most,
    /// The curve of a trial.
    Curve,
    /// That of one that was cut off, or failed.
    CutCurve,
    /// That of the baseline.
    FirstCurve,
    /// That of the best.
    BestCurve,
}

/// A mean with what it spreads by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// Its place to the right.
    pub x: f64,
    /// The mean less the spread.
    pub low: f64,
    /// The mean.
    pub mean: f64,
    /// The mean and the spread.
    pub high: f64,
}

/// Shares with how sure they are.
#[derive(Clone, Debug, PartialEq)]
pub struct Bars {
    /// What it shows.
    pub title: String,
    /// How to read it.
    pub description: String,
    /// Names, with shares of 0 to 1: what it is, and between what it is.
    pub bars: Vec<(String, f64, f64, f64)>,
}

/// What was done when.
#[derive(Clone, Debug, PartialEq)]
pub struct Timeline {
    /// What it shows.
    pub title: String,
    /// How to read it.
    pub description: String,
    /// How long it is, in seconds.
    pub length: f64,
    /// What there is to be done.
    pub lanes: Vec<Lane>,
}

/// One kind of work, and when it was done.
#[derive(Clone, Debug, PartialEq)]
pub struct Lane {
    /// Which.
    pub kind: LaneKind,
    /// What it is called.
    pub name: String,
    /// From and to, in seconds, in order.
    pub stretches: Vec<(f64, f64)>,
}

/// See [`Lane::kind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaneKind {
    /// Starting services.
    Startup,
    /// Runs of the search.
    Runs,
    /// Fresh starts and checks.
    Beside,
    /// What broke before it measured anything.
    Broken,
    /// Warming up, ending, waiting.
    Other,
    /// Nothing was running.
    Idle,
}

/// At which values how many trials fail.
#[derive(Clone, Debug, PartialEq)]
pub struct Map {
    /// What it shows.
    pub title: String,
    /// How to read it.
    pub description: String,
    /// The parameters, each with its values.
    pub rows: Vec<(String, Vec<Tried>)>,
}

/// What came of the trials with a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// The value.
    pub value: String,
    /// How many trials had it.
    pub trials: u32,
    /// How many of those failed.
    pub failed: u32,
}

impl Tried {
    /// The share of the trials that failed, 0 to 1.
    pub fn share(&self) -> f64 {
        f64::from(self.failed) / f64::from(self.trials.max(1))
    }
}
