//! How good what a sampler finds is, by what it has cost:
//! `cargo bench --bench search -- --help`.
//!
//! Tables of measured configurations are played to the same `ask` and the same
//! racing that the daemon uses. The cost model and the noise are those of the
//! tables' own replay: a start costs 2, a run 1, five runs make a whole trial,
//! a study ends after 1.5 times what one pass of coordinate ascent costs with
//! five runs a value. A run varies by 3 % (or as the table has it), a quarter
//! of that variance being shared by all runs of one number; a start adds 0.5 %.
//! `model-parts` has runs of four parts, or as many as `--parts` says, each of
//! which costs and tells its share; racing may end a trial after any of them.
//! What is scored at each cost is the trial that leads: its true objective as a
//! share of the table's best, 0 when it is infeasible. The seeds are those from 0
//! on, or from `--first-seed`: what was tuned on some is to be judged on others.
//! A name with `-history` has 20 good measurements of another host, where all is
//! half as much; with `-moved` what is good is elsewhere there, as well.
//! With `--converged`, `model` also ends when it has converged by that; at which
//! cost, is in the last columns.

#![allow(clippy::print_stdout, clippy::expect_used, missing_docs)]

mod replay;
mod table;
mod think;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use autotune::model::spec::{Converged, SamplerKind};
use clap::Parser;

use replay::{Contestant, Course, PARTS, PASSES, play};
use table::Table;

/// Where quality is looked at, in passes.
const AT: [f64; 5] = [0.1, 0.25, 0.5, 1.0, 1.5];
/// After how many trials the time of an ask is taken.
const ASKS: [u32; 4] = [50, 300, 5_000, 100_000];
/// What is good enough, for the expected cost to reach it.
const GOOD: f64 = 0.95;

/// Plays tables of measured configurations to the samplers, and prints how good
/// what leads is by what it has cost.
#[derive(Parser)]
#[command(name = "cargo bench --bench search --", after_help = EXAMPLE)]
struct Options {
    /// The folder of the tables
    #[arg(long, value_name = "DIR", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/search/tables"))]
    tables: PathBuf,
    /// Who plays: names of samplers, with `-plain` after one without racing, or
    /// `-parts` after one whose runs come in parts, `-history` or `-moved` after one
    /// that learns of another host's measurements
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_parser = Contestant::named,
          default_value = "model,tpe,coordinate,grid,random,coordinate-plain")]
    samplers: Vec<Contestant>,
    /// How many studies of each table are played
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// The first of their seeds: each has a baseline and noise of its own
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..1_000_000))]
    first_seed: u64,
    /// What a start costs, in runs
    #[arg(long, value_name = "COST", default_value_t = 2.0, value_parser = cost)]
    startup: f64,
    /// How many parts that are
    #[arg(long, value_name = "N", default_value_t = PARTS, value_parser = clap::value_parser!(u32).range(2..=100))]
    parts: u32,
    /// Lets `model` end, too, once so many asks have promised less than that
    #[arg(long, value_name = "SHARE,ASKS", value_parser = converged)]
    converged: Option<Converged>,
    /// Writes the quality from each cost on to this file
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// What cargo adds.
    #[arg(long, hide = true)]
    bench: bool,
}

const EXAMPLE: &str = "Example: cargo bench --bench search -- --samplers model,random --seeds 5";

fn cost(text: &str) -> Result<f64, String> {
    let cost = text.parse().ok().filter(|cost| (0.0..=1e6).contains(cost));
    cost.ok_or_else(|| "a start costs 0 to 1000000 runs".to_owned())
}

fn converged(text: &str) -> Result<Converged, String> {
    let found = text.split_once(',').and_then(|(under, asks)| {
        Some(Converged {
            under: under.parse().ok()?,
            asks: asks.parse().ok()?,
        })
    });
    found.ok_or_else(|| "a share and a number, such as 0.001,10".to_owned())
}

fn main() -> Result<()> {
    let options = Options::parse();
    let tables = Table::all(&options.tables)?;
    // Before the work: the file may be impossible.
    let mut csv = match &options.csv {
        Some(path) => {
            let file = File::create(path).with_context(|| path.display().to_string())?;
            let mut csv = BufWriter::new(file);
            writeln!(csv, "sampler,table,seed,cost,quality")?;
            Some(csv)
        }
        None => None,
    };
    let mut means = Vec::new();
    for contestant in &options.samplers {
        let contestant = contestant.in_parts(options.parts);
        let courses = play_all(&options, &tables, contestant)?;
        let name = contestant.name();
        header(&name);
        for (table, courses) in tables.iter().zip(&courses) {
            println!("{}", row(&table.name, courses.iter()));
            for (seed, course) in (options.first_seed..).zip(courses) {
                for (cost, quality) in &course.steps {
                    if let Some(csv) = &mut csv {
                        writeln!(csv, "{name},{},{seed},{cost:.4},{quality:.5}", table.name)?;
                    }
                }
            }
        }
        println!("{}\n", row("mean", courses.iter().flatten()));
        means.push(row(&name, courses.iter().flatten()));
    }
    header("mean over the tables");
    println!("{}", means.join("\n"));
    if let Some(mut csv) = csv {
        csv.flush()?;
    }
    for sampler in [SamplerKind::Model, SamplerKind::Tpe] {
        if !options
            .samplers
            .iter()
            .any(|played| played.sampler == sampler)
        {
            continue;
        }
        println!(
            "\nAn ask of {} in the space of serving-env, on one core:",
            sampler.name()
        );
        for trials in ASKS {
            let time = think::think(sampler, trials)?.as_secs_f64() * 1e3;
            println!("  after {trials:>6} trials {time:>8.1} ms");
        }
    }
    Ok(())
}

fn header(name: &str) {
    println!(
        "{name:<18} {:>5} {:>5} {:>5} {:>5} {:>5} {:>6} {:>6} {:>5} {:>4} {:>6} {:>4}",
        "0.10", "0.25", "0.50", "1.00", "1.50", "ERT95", "trials", "runs", "cut", "failed", "end"
    );
}

fn row<'a>(name: &str, courses: impl Iterator<Item = &'a Course> + Clone) -> String {
    let count = courses.clone().count().max(1) as f64;
    let mean = |of: &dyn Fn(&Course) -> f64| courses.clone().map(of).sum::<f64>() / count;
    let mut line = format!("{name:<18}");
    for at in AT {
        line += &format!(" {:>5.3}", mean(&|course| course.quality(at)));
    }
    // What those spend that never get there is spent as well.
    let spent = mean(&|course| course.reached(GOOD).unwrap_or(PASSES));
    let reached = mean(&|course| f64::from(u8::from(course.reached(GOOD).is_some())));
    line + &format!(
        " {:>6.2} {:>6.1} {:>5.1} {:>4.1} {:>6.1} {:>4.2}",
        spent / reached,
        mean(&|course| course.trials as f64),
        mean(&|course| f64::from(course.runs)),
        mean(&|course| f64::from(course.cut)),
        mean(&|course| f64::from(course.failed)),
        mean(&|course| course.stopped.unwrap_or(PASSES)),
    )
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
                        options.first_seed + (index % seeds) as u64,
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
