//! What of a table fits a study.

use super::*;
use crate::base::clock::Timestamp;
use crate::model::domain::Scale;
use crate::model::event::{Event, Fact};
use crate::model::spec::SamplerKind;
use crate::search::simulation;

fn study() -> Study {
    let parameters = vec![
        simulation::list("N", "64 128 256", ""),
        simulation::list("MODE", "true false", ""),
        simulation::int("RANK", 4, 64, Scale::Linear, "MODE == 'true'"),
        simulation::list("KEPT", "a b", ""),
    ];
    let space = simulation::space(parameters, &["N != '256' or KEPT == 'a'"]);
    Study::new(Arc::new(simulation::spec(space, SamplerKind::Model)))
}

fn import(columns: &[&str], rows: &[&[&str]]) -> Import {
    let row = |(cells, row): (&&[&str], u64)| Row {
        row,
        cells: cells
            .iter()
            .map(|text| Some((*text).to_owned()).filter(|text| !text.is_empty()))
            .collect(),
        failed: cells.contains(&"FAILED"),
    };
    Import {
        file: "old.csv".to_owned(),
        format: "csv".to_owned(),
        columns: columns
            .iter()
            .map(|name| Column::Named((*name).to_owned()))
            .collect(),
        rows: rows.iter().zip(2..).map(row).collect(),
        dry: false,
    }
}

fn taken(study: &Study, import: &Import) -> (Imported, Vec<Arc<Prior>>) {
    match admit(study, import) {
        Admit::Accept(Accepted::Imported(answer), Change::Import(batch)) => (
            answer,
            batch
                .rows
                .iter()
                .map(|(_, prior)| Arc::clone(prior))
                .collect(),
        ),
        Admit::Ignore(Accepted::Imported(answer)) => (answer, Vec::new()),
        other => panic!("{other:?}"),
    }
}

fn refusal(study: &Study, import: &Import) -> String {
    match admit(study, import) {
        Admit::Deny(Refusal::BadChange(errors)) => errors.join("\n"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn rows_that_fit_are_taken_and_the_others_named() {
    let study = study();
    let columns = ["N", "MODE", "RANK", "speed", "quality", "note"];
    let rows: [&[&str]; 13] = [
        &["64", "true", "8", "10.5", "0.9", "x"],
        // As data frames have it.
        &["128.0", "True", "16.0", "11", "", ""],
        &["64", "false", "", "1e3", "0.25", ""],
        &["256", "true", "64", "FAILED", "", ""],
        &["99", "true", "8", "1", "", ""],
        &["64", "true", "65", "1", "", ""],
        &["64", "true", "8.5", "1", "", ""],
        &["64", "false", "8", "1", "", ""],
        &["64", "true", "", "1", "", ""],
        &["64", "true", "8", "", "", ""],
        &["64", "true", "8", "NaN", "", ""],
        &["64", "true", "8", "1e999", "", ""],
        &["64", "true", "8", "1,5", "0.9", ""],
    ];
    let (answer, priors) = taken(&study, &import(&columns, &rows));
    assert_eq!((answer.taken, answer.known), (4, 0));
    let keys: Vec<String> = priors.iter().map(|prior| prior.params.key()).collect();
    assert_eq!(
        keys,
        [
            "KEPT=a|MODE=true|N=64|RANK=8",
            "KEPT=a|MODE=true|N=128|RANK=16",
            "KEPT=a|MODE=false|N=64",
            "KEPT=a|MODE=true|N=256|RANK=64"
        ]
    );
    assert_eq!(priors[0].metric("speed"), Some(10.5));
    assert_eq!(priors[0].metric("quality"), Some(0.9));
    assert!(priors[3].failed && priors[3].metrics.is_empty());
    assert_eq!(answer.ignored, [5]);
    assert_eq!(answer.absent, [("KEPT".to_owned(), "a".to_owned())]);
    let wanted = [
        (6, "N: "),
        (7, "RANK: "),
        (8, "RANK: "),
        (9, "RANK has no effect here"),
        (10, "it has no value of RANK"),
        (11, "it has no speed"),
        (12, "speed: NaN is no finite number"),
        (13, "speed: inf is no finite number"),
        (14, "speed: `1,5` is no number"),
    ];
    assert_eq!(answer.unfit.len(), wanted.len(), "{answer:?}");
    for (unfit, (row, why)) in answer.unfit.iter().zip(wanted) {
        assert!(unfit.row == row && unfit.why.starts_with(why), "{unfit:?}");
    }
}

#[test]
fn what_is_known_is_not_taken_twice() {
    let mut study = study();
    let rows: [&[&str]; 4] = [
        &["64", "1"],
        &["64", "1.0"],
        &["64", "2"],
        &["128", "FAILED"],
    ];
    let table = import(&["N", "speed"], &rows);
    let (answer, _) = taken(&study, &table);
    assert_eq!((answer.taken, answer.known), (3, 1));
    let Admit::Accept(_, Change::Import(batch)) = admit(&study, &table) else {
        panic!("it is new");
    };
    let fact = Fact {
        at: Timestamp::from_millis(1),
        event: Event::Imported(batch),
    };
    study.apply(&fact).expect("it fits");
    assert!(matches!(admit(&study, &table), Admit::Ignore(_)));
    let (answer, _) = taken(&study, &table);
    assert_eq!((answer.taken, answer.known), (0, 4));
    // The order of the columns, and the name of the file, make no difference.
    let mut turned = import(&["speed", "N"], &[&["2", "64"], &["3", "64"]]);
    turned.file = "other.csv".to_owned();
    let (answer, _) = taken(&study, &turned);
    assert_eq!((answer.taken, answer.known), (1, 1));
    assert_eq!(study.priors().len(), 3);
    assert_eq!((study.trials().len(), study.counts().all()), (0, 0));
    // Also after a replay that has a fact twice.
    study.apply(&fact).expect("it fits");
    assert_eq!(study.priors().len(), 3);
}

#[test]
fn a_dry_run_changes_nothing() {
    let mut table = import(&["N", "speed"], &[&["64", "1"]]);
    table.dry = true;
    let admitted = admit(&study(), &table);
    assert!(
        matches!(&admitted, Admit::Ignore(Accepted::Imported(i)) if i.taken == 1),
        "{admitted:?}"
    );
}

#[test]
fn a_table_of_something_else_is_refused() {
    let study = study();
    let why = refusal(&study, &import(&["N", "tokens"], &[]));
    assert!(
        why.contains("no column is speed") && why.contains("--map"),
        "{why}"
    );
    let why = refusal(&study, &import(&["M", "speed"], &[]));
    assert!(why.contains("N, MODE, RANK, KEPT"), "{why}");
    let why = refusal(&study, &import(&["N", "speed", "N"], &[]));
    assert_eq!(why, "two columns are N");
    let (answer, _) = taken(&study, &import(&["N", "speed"], &[]));
    assert_eq!(answer.untold, ["quality"]);
    // Only a client of somebody's own sends what has not the width of its table.
    let (answer, _) = taken(&study, &import(&["N", "speed"], &[&["64"]]));
    assert!(answer.unfit[0].why.contains("1 cells"), "{answer:?}");
}
