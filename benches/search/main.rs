//! How good what a sampler finds is, by what it has cost:
//! `cargo bench --bench search -- [--tables DIR] [--samplers model,random,…]
//! [--seeds N] [--startup COST] [--converged SHARE,ASKS] [--csv FILE]`.
//!
//! Tables of measured configurations are played to the same `ask` and the same
//! racing that the daemon uses. The cost model and the noise are those of the
//! tables' own replay: a start costs 2, a run 1, five runs make a whole trial,
//! a study ends after 1.5 times what one pass of coordinate ascent costs with
//! five runs a value. A run varies by 3 % (or as the table has it), a quarter
//! of that variance being shared by all runs of one number; a start adds 0.5 %.
//! What is scored at each cost is the trial that leads: its true objective as a
//! share of the table's best, 0 when it is infeasible. With `--converged`, `model`
//! also ends when it has converged by that; at which cost, is in the last columns.

#![allow(clippy::print_stdout, clippy::expect_used, missing_docs)]

mod replay;
mod table;
mod think;

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, bail};
use autotune::model::spec::{Converged, SamplerKind};

use replay::{Contestant, Course, PASSES, play};
use table::Table;

/// Where quality is looked at, in passes.
const AT: [f64; 5] = [0.1, 0.25, 0.5, 1.0, 1.5];
/// After how many trials the time of an ask is taken.
const ASKS: [u32; 3] = [50, 300, 5_000];
/// What is good enough, for the expected cost to reach it.
const GOOD: f64 = 0.95;

struct Options {
    tables: PathBuf,
    contestants: Vec<Contestant>,
    seeds: u64,
    startup: f64,
    converged: Option<Converged>,
    csv: Option<PathBuf>,
}

impl Options {
    fn read() -> Result<Self> {
        let all = SamplerKind::ALL.map(|sampler| Contestant {
            sampler,
            racing: true,
        });
        let plain = Contestant {
            sampler: SamplerKind::Coordinate,
            racing: false,
        };
        let mut options = Self {
            tables: Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/search/tables"),
            contestants: all.into_iter().chain([plain]).collect(),
            seeds: 20,
            startup: 2.0,
            converged: None,
            csv: None,
        };
        let mut arguments = std::env::args()
            .skip(1)
            .filter(|argument| argument != "--bench");
        while let Some(option) = arguments.next() {
            let value = arguments
                .next()
                .with_context(|| format!("{option} needs a value"))?;
            match option.as_str() {
                "--tables" => options.tables = value.into(),
                "--samplers" => {
                    let named = |name: &str| {
                        Contestant::named(name).with_context(|| format!("no sampler `{name}`"))
                    };
                    options.contestants = value.split(',').map(named).collect::<Result<_>>()?;
                }
                "--seeds" => options.seeds = value.parse()?,
                "--startup" => options.startup = value.parse()?,
                "--converged" => {
                    let (under, asks) = value.split_once(',').context("SHARE,ASKS")?;
                    options.converged = Some(Converged {
                        under: under.parse()?,
                        asks: asks.parse()?,
                    });
                }
                "--csv" => options.csv = Some(value.into()),
                _ => bail!("no option {option}"),
            }
        }
        Ok(options)
    }
}

fn main() -> Result<()> {
    let options = Options::read()?;
    let tables = Table::all(&options.tables)?;
    let mut csv = "sampler,table,seed,cost,quality\n".to_owned();
    for contestant in &options.contestants {
        let courses = play_all(&options, &tables, *contestant)?;
        println!("{}", contestant.name());
        println!(
            "  {:<20} {:>5} {:>5} {:>5} {:>5} {:>5} {:>6} {:>6}",
            "", "0.10", "0.25", "0.50", "1.00", "1.50", "ERT95", "ms/ask"
        );
        for (table, courses) in tables.iter().zip(&courses) {
            row(&table.name, courses.iter());
            for (seed, course) in courses.iter().enumerate() {
                for (cost, quality) in &course.steps {
                    let name = contestant.name();
                    writeln!(csv, "{name},{},{seed},{cost:.4},{quality:.5}", table.name)?;
                }
            }
        }
        row("mean", courses.iter().flatten());
    }
    let model = Contestant::named("model").filter(|model| options.contestants.contains(model));
    if let (Some(model), Some(table)) = (model, tables.iter().max_by_key(|table| table.rows())) {
        for trials in ASKS {
            let time = think::think(table, model.sampler, trials)?.as_secs_f64() * 1e3;
            println!(
                "model: an ask after {trials} trials of {} takes {time:.1} ms",
                table.name
            );
        }
    }
    if let Some(path) = &options.csv {
        std::fs::write(path, csv).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

fn row<'a>(name: &str, courses: impl Iterator<Item = &'a Course> + Clone) {
    let count = courses.clone().count().max(1) as f64;
    let mut line = format!("  {name:<20}");
    for at in AT {
        let sum: f64 = courses.clone().map(|course| course.quality(at)).sum();
        line += &format!(" {:>5.3}", sum / count);
    }
    for at in AT {
        let none = courses
            .clone()
            .filter(|course| course.quality(at) == 0.0)
            .count();
        line += &format!(" {:>3.0}%", 100.0 * none as f64 / count);
    }
    let reached = courses.clone().filter_map(|course| course.reached(GOOD));
    let cost: f64 = courses
        .clone()
        .map(|c| c.reached(GOOD).unwrap_or(PASSES))
        .sum();
    let asks: usize = courses.clone().map(|course| course.trials).sum();
    let asked: f64 = courses
        .clone()
        .map(|course| course.asked.as_secs_f64())
        .sum();
    let stopped = courses.clone().filter_map(|course| course.stopped);
    let (ends, end): (usize, f64) = (stopped.clone().count(), stopped.sum());
    let runs: f64 = courses.clone().map(|course| f64::from(course.runs)).sum();
    let failed: f64 = courses.map(|course| f64::from(course.failed)).sum();
    println!(
        "{line} {:>6.2} {:>6.2}  {:>5.1} trials {:>5.1} runs {:>5.1} failed {:>3.0}% ended at {:>4.2}",
        cost / reached.count() as f64,
        asked / asks as f64 * 1e3,
        asks as f64 / count,
        runs / count,
        failed / count,
        100.0 * ends as f64 / count,
        end / ends.max(1) as f64,
    );
}

/// All studies of a contestant, by table and seed.
fn play_all(
    options: &Options,
    tables: &[Table],
    contestant: Contestant,
) -> Result<Vec<Vec<Course>>> {
    let seeds = options.seeds as usize;
    let next = AtomicUsize::new(0);
    let played = Mutex::new(Vec::new());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(table) = tables.get(index / seeds) else {
                        break;
                    };
                    let course = play(
                        table,
                        contestant,
                        (index % seeds) as u64,
                        options.startup,
                        options.converged,
                    );
                    played
                        .lock()
                        .expect("no thread panics")
                        .push((index, course));
                }
            });
        }
    });
    let mut played = played.into_inner().expect("no thread panics");
    played.sort_by_key(|(index, _)| *index);
    let courses = played.into_iter().map(|(_, course)| course);
    let mut courses = courses.collect::<Result<Vec<Course>>>()?.into_iter();
    Ok(tables
        .iter()
        .map(|_| courses.by_ref().take(seeds).collect())
        .collect())
}
