//! Tables with a line of names.

use super::super::csv::{DEVIATION, FIXED, METRIC, PARAMETER, unguarded};
use super::{Column, Ended, Format, LeftOut, Row, Table, failed};

/// What the columns of user attributes begin with in Optuna's data frames.
const ATTRIBUTE: &str = "user_attrs_";
/// What a column is called that says how trials came out.
const OUTCOMES: [&str; 3] = ["outcome", "state", "status"];

/// # Errors
/// What is wrong with the whole.
pub(super) fn parse(text: &[u8]) -> Result<Table, String> {
    let mut reader = ::csv::ReaderBuilder::new()
        .delimiter(delimiter(text))
        .from_reader(text);
    let names = reader
        .headers()
        .map_err(|error| format!("its first line cannot be read: {}", problem(&error)))?;
    let names: Vec<String> = names.iter().map(|name| name.trim().to_owned()).collect();
    let mut left_out = Vec::new();
    let mut records = Vec::new();
    let mut record = ::csv::StringRecord::new();
    loop {
        let line = reader.position().line();
        match reader.read_record(&mut record) {
            Ok(false) => break,
            Ok(true) => {
                let line = record.position().map_or(line, ::csv::Position::line);
                records.push((line, record.iter().map(str::to_owned).collect::<Vec<_>>()));
            }
            Err(error) => {
                let line = error.position().map_or(line, ::csv::Position::line);
                left_out.push(LeftOut {
                    row: line,
                    why: problem(&error),
                });
            }
        }
    }
    let outcome = names.iter().position(|name| {
        let place = names.iter().position(|other| other == name);
        let word = |(_, cells): &(u64, Vec<String>)| {
            place.is_some_and(|place| Ended::named(cells[place].trim()).is_some())
        };
        // A parameter may be called so as well.
        OUTCOMES.contains(&&**name) && records.iter().all(word)
    });
    let cause = names.iter().position(|name| name == "cause");
    let ours = names.iter().any(|name| name.starts_with(PARAMETER));
    let columns: Vec<Option<Column>> = names
        .iter()
        .enumerate()
        .map(|(place, name)| column(name, ours, Some(place) == outcome))
        .collect();
    let mut rows = Vec::new();
    for (line, cells) in records {
        let cell = |place: Option<usize>| place.map(|place| cells[place].trim());
        let failed = match cell(outcome).map(|word| failed(word, cell(cause))) {
            None => false,
            Some(Ok(failed)) => failed,
            Some(Err(why)) => {
                left_out.push(LeftOut { row: line, why });
                continue;
            }
        };
        let used = cells
            .iter()
            .zip(&columns)
            .filter(|(_, column)| column.is_some());
        let texts = used.map(|(text, _)| {
            let text = if ours { unguarded(text) } else { text };
            Some(text.to_owned()).filter(|text| !text.trim().is_empty())
        });
        rows.push(Row {
            row: line,
            cells: texts.collect(),
            failed,
        });
    }
    left_out.sort_by_key(|left| left.row);
    Ok(Table {
        format: Format::Csv,
        columns: columns.into_iter().flatten().collect(),
        rows,
        left_out,
        maximize: None,
    })
}

/// What a column holds; `None` where our own tables, or Optuna's, have nothing to
/// learn from.
fn column(name: &str, ours: bool, is_outcome: bool) -> Option<Column> {
    if is_outcome {
        return None;
    }
    if !ours {
        return Some(Column::Named(name.to_owned()));
    }
    let of_optuna = [
        "",
        "number",
        "datetime_start",
        "datetime_complete",
        "duration",
    ];
    let rest = |prefix| name.strip_prefix(prefix).map(str::to_owned);
    match name {
        "value" => Some(Column::Objective),
        _ if FIXED.contains(&name) || of_optuna.contains(&name) => None,
        _ if name.starts_with(DEVIATION) || name.starts_with("system_attrs_") => None,
        _ => Some(
            rest(PARAMETER)
                .map(Column::Parameter)
                .or_else(|| rest(METRIC).map(Column::Metric))
                .or_else(|| rest(ATTRIBUTE).map(Column::Metric))
                .unwrap_or_else(|| Column::Named(name.to_owned())),
        ),
    }
}

/// What stands between the names: the most frequent of what spreadsheets write.
fn delimiter(text: &[u8]) -> u8 {
    let first = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let count = |delimiter: &u8| first.iter().filter(|byte| *byte == delimiter).count();
    // Of equals the last is taken.
    [b'\t', b';', b',']
        .into_iter()
        .max_by_key(count)
        .unwrap_or(b',')
}

fn problem(error: &::csv::Error) -> String {
    match error.kind() {
        ::csv::ErrorKind::Utf8 { .. } => "it is no UTF-8 text".to_owned(),
        ::csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => format!("it has {len} cells where the first line has {expected_len} names"),
        _ => error.to_string(),
    }
}
