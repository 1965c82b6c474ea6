//! A line of JSON a trial: the results file, which is the reference tuner's, and
//! our own exports. What both have is the object `params`.

use serde_json::{Map, Value as Json};

use super::super::record::{number_of, text_of};
use super::{Column, Format, Gathered, Table, failed};

/// # Errors
/// It is JSON of another form.
pub(super) fn parse(text: &[u8]) -> Result<Table, String> {
    let mut gathered = Gathered::new();
    let mut is_first = true;
    for (line, number) in text.split(|byte| *byte == b'\n').zip(1..) {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        let is_first = std::mem::take(&mut is_first);
        match serde_json::from_slice::<Map<String, Json>>(line) {
            // The line about the study.
            Ok(fields) if fields.contains_key("autotune_export") => {}
            Ok(fields) => match row(&fields) {
                Ok((cells, failed)) => gathered.add(number, cells, failed),
                Err(why) => gathered.leave_out(number, why),
            },
            // A file of another form would be refused line by line.
            Err(error) if is_first => {
                return Err(format!(
                    "its first line is no JSON object: {error}; what is read has a line for each \
                     trial, as `export --format jsonl` writes it"
                ));
            }
            Err(error) => {
                // The place in the line is of use, its number is told already.
                gathered.leave_out(number, format!("it is no JSON object: {error}"));
            }
        }
    }
    Ok(gathered.table(Format::Jsonl))
}

/// Its cells, and whether it failed.
///
/// # Errors
/// Why nothing is learned of it.
fn row(fields: &Map<String, Json>) -> Result<(Vec<(Column, String)>, bool), String> {
    let text = |name: &str| fields.get(name).and_then(Json::as_str);
    let params = fields.get("params").and_then(Json::as_object);
    let params = params.ok_or("it has no object `params`")?;
    if fields.get("pruned").and_then(Json::as_bool) == Some(true) {
        return Err("it was not measured to its end: pruned".to_owned());
    }
    // The reference tuner gives a reason where the port was somebody else's.
    let cause = text("cause").or_else(|| text("reason").map(|_| "port-taken"));
    let failed = match text("outcome").or_else(|| text("status")) {
        Some(word) => failed(word, cause)?,
        None => false,
    };
    let params = params.iter();
    let params = params.map(|(name, value)| (Column::Parameter(name.clone()), text_of(value)));
    let ours = fields.get("metrics").and_then(Json::as_object);
    let ours = ours.into_iter().flatten().map(|(name, measured)| {
        let mean = measured.get("mean").unwrap_or(measured);
        (name.as_str(), mean)
    });
    let means = fields.iter();
    let means = means.filter_map(|(name, mean)| Some((name.strip_prefix("avg_")?, mean)));
    let metrics = ours.chain(means).filter_map(|(name, mean)| {
        let mean = number_of(mean)?;
        Some((Column::Metric(name.to_owned()), mean.to_string()))
    });
    Ok((params.chain(metrics).collect(), failed))
}
