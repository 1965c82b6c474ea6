//! `autotunectl import`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;

use super::exit::Exit;
use super::session::{Session, Trouble};
use super::steer::assignment;
use crate::base::wrap::wrap;
use crate::exchange::import::{self, Format, LeftOut, Table};
use crate::report::phrase::{clean, counted};
use crate::wire::import::{Column, Import, Imported, Row, Unfit};
use crate::wire::reply::{Accepted, Reply};
use crate::wire::request::{Request, Steer};

/// Learns of what was measured before, elsewhere: CSV, results, Optuna
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  autotunectl import before.csv --dry-run
  autotunectl import before.csv --map tokens_per_s=total_tps
  autotunectl import /old/tune_results.jsonl
  autotunectl import study.log --study qwen

Columns are parameters and metrics by name; --map says which is which where the
names differ. A parameter without a column counts as having had its starting
value. Rows that do not fit the study are named, and the others are taken; what
is known already is not taken twice.

The best of a file that keeps the constraints there is tried next, as a trial of
its own. The samplers `model` and `tpe` learn of the others, too, less than of
the study's own trials. Nothing that was imported is a trial, counts against a
budget, or becomes the best. A fresh start forgets it.")]
pub struct Args {
    /// The file; - for standard input
    file: PathBuf,
    /// What it is [default: what it looks like]
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,
    /// What the study calls a column of the file; may be repeated
    #[arg(long, value_name = "OLD=NEW", value_parser = assignment)]
    map: Vec<(String, String)>,
    /// Which study of an Optuna journal that has several
    #[arg(long, value_name = "NAME")]
    study: Option<String>,
    /// Only say what would be taken
    #[arg(long)]
    dry_run: bool,
}

/// What `--json` prints of an import.
#[derive(Serialize, JsonSchema)]
pub(super) struct Told<'a> {
    /// Whether nothing was taken.
    dry_run: bool,
    /// What the file was: `csv`, `jsonl`, `optuna`.
    format: &'a str,
    /// How many rows were taken, or would be.
    taken: u32,
    /// How many were known already.
    known: u32,
    /// Those that do not fit.
    unfit: Vec<Unfit>,
    /// Columns that are of no use to the study.
    ignored: Vec<&'a str>,
    /// Parameters without a column, and the values that they count as having had.
    absent: BTreeMap<String, String>,
    /// Metrics of constraints without a column.
    untold: &'a [String],
}

/// So many bytes of cells are sent at once: a request has an end, and so has the
/// patience of those who wait for the daemon meanwhile.
const BATCH: usize = 32 << 10;
/// What a cell and a row take besides their texts, at most.
const CELL: usize = 10;
const ROW: usize = 24;
/// So many rows that do not fit are named, unless it is for a program.
const NAMED: usize = 20;

pub async fn carry_out(session: &mut Session, args: Args) -> Result<Exit, Trouble> {
    let names: HashMap<String, String> = args.map.into_iter().collect();
    let table = import::read(&args.file, args.format, &names, args.study.as_deref())?;
    if let Some(maximize) = table.maximize {
        check_direction(session, maximize).await?;
    }
    let name = args.file.file_name().unwrap_or(args.file.as_os_str());
    let name = clean(&name.to_string_lossy());
    let columns: Vec<Column> = table.columns.iter().map(wired).collect();
    let mut sender = Sender {
        session,
        file: if args.file == Path::new("-") {
            "standard input".to_owned()
        } else {
            name
        },
        format: table.format,
        dry: args.dry_run,
        sum: Imported::default(),
    };
    // What becomes of the columns is known before any row is taken.
    sender.send(&columns, Vec::new()).await?;
    let ignored: HashSet<usize> = sender.sum.ignored.iter().map(|at| *at as usize).collect();
    let unused: Vec<&str> = ignored_names(&table, &ignored);
    let used = |index: &usize| !ignored.contains(index);
    let kept: Vec<usize> = (0..columns.len()).filter(used).collect();
    let columns: Vec<Column> = kept.iter().map(|index| columns[*index].clone()).collect();
    let (mut seen, mut batch, mut size) = (HashSet::new(), Vec::new(), 0);
    let mut left_out = table.left_out.clone();
    for row in &table.rows {
        let cells: Vec<Option<String>> = kept.iter().map(|i| row.cells[*i].clone()).collect();
        let texts: usize = cells.iter().flatten().map(String::len).sum();
        let row_size = texts + CELL * cells.len() + ROW;
        if row_size > BATCH {
            left_out.push(LeftOut {
                row: row.row,
                why: format!("it is longer than {BATCH} bytes"),
            });
            continue;
        }
        // A dry run leaves no trace by which the daemon could tell.
        if !seen.insert((cells.clone(), row.failed)) {
            sender.sum.known += 1;
            continue;
        }
        if size + row_size > BATCH {
            sender.send(&columns, std::mem::take(&mut batch)).await?;
            size = 0;
        }
        size += row_size;
        batch.push(Row {
            row: row.row,
            cells,
            failed: row.failed,
        });
    }
    if !batch.is_empty() {
        sender.send(&columns, batch).await?;
    }
    let Sender { sum, .. } = sender;
    let unfit = sum.unfit.iter().map(|unfit| (unfit.row, &unfit.why));
    let mut unfit: Vec<(u64, &String)> = unfit
        .chain(left_out.iter().map(|left| (left.row, &left.why)))
        .collect();
    unfit.sort_unstable();
    if session.json {
        session.print_json(&Told {
            dry_run: args.dry_run,
            format: table.format.name(),
            taken: sum.taken,
            known: sum.known,
            unfit: unfit
                .iter()
                .map(|(row, why)| Unfit {
                    row: *row,
                    why: (*why).clone(),
                })
                .collect(),
            ignored: unused,
            absent: sum.absent.iter().cloned().collect(),
            untold: &sum.untold,
        })?;
    } else {
        let text = told(&sum, &unfit, &unused, table.format, args.dry_run);
        session.print(&text)?;
    }
    Ok(Exit::Done)
}

/// What is good there must be good here.
async fn check_direction(session: &mut Session, maximize: bool) -> Result<(), Trouble> {
    let Reply::Status(status) = session.ask(&Request::Status).await? else {
        return Err(Trouble::OffTopic);
    };
    if status.objective.maximize == maximize {
        return Ok(());
    }
    let word = |maximize| if maximize { "maximises" } else { "minimises" };
    Err(Trouble::Usage(format!(
        "the study in the file {} its objective, and this one {} {}",
        word(maximize),
        word(!maximize),
        clean(&status.objective.metric)
    )))
}

fn wired(column: &import::Column) -> Column {
    match column {
        import::Column::Named(name) => Column::Named(name.clone()),
        import::Column::Parameter(name) => Column::Parameter(name.clone()),
        import::Column::Metric(name) => Column::Metric(name.clone()),
        import::Column::Objective => Column::Objective,
    }
}

fn ignored_names<'a>(table: &'a Table, ignored: &HashSet<usize>) -> Vec<&'a str> {
    let columns = table.columns.iter().enumerate();
    let columns = columns.filter(|(index, _)| ignored.contains(index));
    let names = columns.filter_map(|(_, column)| match column {
        import::Column::Named(name)
        | import::Column::Parameter(name)
        | import::Column::Metric(name) => Some(name.as_str()),
        import::Column::Objective => None,
    });
    names.collect()
}

struct Sender<'a> {
    session: &'a mut Session,
    file: String,
    format: Format,
    dry: bool,
    sum: Imported,
}

impl Sender<'_> {
    /// Sends a part of the table, and adds what came of it.
    async fn send(&mut self, columns: &[Column], rows: Vec<Row>) -> Result<(), Trouble> {
        let first = rows.is_empty();
        let import = Import {
            file: self.file.clone(),
            format: self.format.name().to_owned(),
            columns: columns.to_vec(),
            rows,
            dry: self.dry,
        };
        let request = Request::Steer(Steer::Import(import));
        let (Reply::Accepted(answer) | Reply::Ignored(answer)) = self.session.ask(&request).await?
        else {
            return Err(Trouble::OffTopic);
        };
        let Accepted::Imported(part) = answer else {
            return Err(Trouble::OffTopic);
        };
        self.sum.taken += part.taken;
        self.sum.known += part.known;
        self.sum.unfit.extend(part.unfit);
        if first {
            self.sum.ignored = part.ignored;
            self.sum.absent = part.absent;
            self.sum.untold = part.untold;
        }
        Ok(())
    }
}

/// What came of it, in words.
fn told(
    sum: &Imported,
    unfit: &[(u64, &String)],
    unused: &[&str],
    format: Format,
    dry: bool,
) -> String {
    let would = if dry { "would be taken" } else { "taken" };
    let mut lines = vec![format!(
        "{} {would}, {} known already, {} not fitting",
        counted(sum.taken.into(), "measurement"),
        sum.known,
        unfit.len()
    )];
    let unit = format.unit();
    for (row, why) in unfit.iter().take(NAMED) {
        lines.push(format!("  {unit} {row}: {}", clean(why)));
    }
    if unfit.len() > NAMED {
        let more = unfit.len() - NAMED;
        lines.push(format!("  and {more} more, which --json names"));
    }
    let absent: Vec<String> = sum
        .absent
        .iter()
        .map(|(name, base)| format!("{}={}", clean(name), clean(base)))
        .collect();
    if !absent.is_empty() {
        lines.push(format!("without a column, taken as: {}", absent.join(", ")));
    }
    if !sum.untold.is_empty() {
        let untold = clean(&sum.untold.join(", "));
        lines.push(format!(
            "without a column: {untold}; what keeps to that is not known, so that none is tried for \
             being the best"
        ));
    }
    if !unused.is_empty() {
        lines.push(format!(
            "of no use to the study: {}",
            clean(&unused.join(", "))
        ));
    }
    let lines = lines.iter().flat_map(|line| match line.strip_prefix("  ") {
        Some(line) => wrap("  ", "      ", line),
        None => wrap("", "    ", line),
    });
    lines.map(|line| format!("{line}\n")).collect()
}
