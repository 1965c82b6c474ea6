//! Other programs' files, and what is none.

use std::collections::HashMap;
use std::path::Path;

use super::*;

fn table(text: &str) -> Table {
    parse(text.as_bytes(), None, None).expect("a table")
}

fn wrong(text: &[u8]) -> String {
    parse(text, None, None).expect_err("no table")
}

fn named(names: &[&str]) -> Vec<Column> {
    let named = |name: &&str| Column::Named((*name).to_owned());
    names.iter().map(named).collect()
}

fn cells(texts: &[&str]) -> Vec<Option<String>> {
    let cell = |text: &&str| Some((*text).to_owned()).filter(|text| !text.is_empty());
    texts.iter().map(cell).collect()
}

#[test]
fn anybodys_table() {
    let read = table("N, speed ,note\n1,10.5,\"a, b\"\n2,,\n");
    assert_eq!(read.format, Format::Csv);
    assert_eq!(read.columns, named(&["N", "speed", "note"]));
    let rows: Vec<_> = read
        .rows
        .iter()
        .map(|row| (row.row, row.cells.clone()))
        .collect();
    assert_eq!(
        rows,
        [
            (2, cells(&["1", "10.5", "a, b"])),
            (3, cells(&["2", "", ""]))
        ]
    );
    // As spreadsheets elsewhere write it, with the mark that some begin with.
    for text in ["\u{feff}N;speed\n1;2\n", "N\tspeed\r\n1\t2\r\n"] {
        let read = table(text);
        assert_eq!(read.columns, named(&["N", "speed"]), "{text:?}");
        assert_eq!(read.rows[0].cells, cells(&["1", "2"]), "{text:?}");
    }
}

#[test]
fn lines_that_cannot_be_read_are_left_out_alone() {
    let mut text = b"N,speed\n1,2,3\n2,".to_vec();
    text.extend(b"\xff\n3,30\n");
    let read = parse(&text, None, None).expect("a table");
    assert_eq!(read.rows.len(), 1);
    assert_eq!((read.rows[0].row, read.rows[0].failed), (4, false));
    let why: Vec<_> = read
        .left_out
        .iter()
        .map(|left| (left.row, &*left.why))
        .collect();
    assert_eq!(
        why,
        [
            (2, "it has 3 cells where the first line has 2 names"),
            (3, "it is no UTF-8 text")
        ]
    );
    assert_eq!(wrong(b""), "it is empty");
    assert_eq!(wrong(b" \n\n"), "it is empty");
    let utf16: Vec<u8> = "N,speed\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    assert!(parse(&utf16, Some(Format::Jsonl), None).is_err());
    assert!(wrong(b"\xff\xfeN,speed\n1,2\n").contains("UTF-8"));
}

#[test]
fn outcomes_of_a_table() {
    let read = table(
        "N,speed,outcome,cause\n1,2,complete,\n2,,failed,died\n3,,failed,port-taken\n4,1,pruned,\n",
    );
    assert_eq!(read.columns, named(&["N", "speed", "cause"]));
    let rows: Vec<_> = read.rows.iter().map(|row| (row.row, row.failed)).collect();
    assert_eq!(rows, [(2, false), (3, true)]);
    let left: Vec<_> = read.left_out.iter().map(|left| left.row).collect();
    assert_eq!(left, [4, 5]);
    assert!(read.left_out[0].why.contains("host"), "{read:?}");
    // A parameter may be called so.
    let read = table("status,speed\nfast,1\nok,2\n");
    assert_eq!(read.columns, named(&["status", "speed"]));
    assert_eq!(read.rows.len(), 2);
}

#[test]
fn a_data_frame_of_optunas() {
    let read = table(
        ",number,value,datetime_start,params_N,user_attrs_quality,state\n\
         0,0,201.0,2026-11-22,2,0.75,COMPLETE\n1,1,,2026-11-22,6,,FAIL\n",
    );
    assert_eq!(
        read.columns,
        [
            Column::Objective,
            Column::Parameter("N".to_owned()),
            Column::Metric("quality".to_owned())
        ]
    );
    assert_eq!(read.rows[0].cells, cells(&["201.0", "2", "0.75"]));
    assert!(read.rows[1].failed);
}

#[test]
fn results_of_the_reference_tuner_and_our_own_lines() {
    let read = table(concat!(
        r#"{"autotune_export":1,"study":"s"}"#,
        "\n",
        r#"{"ts":"t","status":"ok","params":{"N":"1"},"avg_total_tps":5940.5,"avg_accuracy":null}"#,
        "\n",
        r#"{"status":"crashed","params":{"N":"2"}}"#,
        "\n",
        r#"{"status":"failed","params":{"N":"3"},"reason":"port 8000 still in use before start"}"#,
        "\n",
        r#"{"trial":4,"outcome":"infeasible","params":{"N":4},"metrics":{"accuracy":{"count":2,"mean":0.5,"sd":null}}}"#,
        "\n",
        "{\"status\": \"ok\", \"params\"",
    ));
    assert_eq!(read.format, Format::Jsonl);
    assert_eq!(
        read.columns,
        [
            Column::Parameter("N".to_owned()),
            Column::Metric("total_tps".to_owned()),
            Column::Metric("accuracy".to_owned())
        ]
    );
    let rows: Vec<_> = read
        .rows
        .iter()
        .map(|row| (row.row, row.failed, row.cells.clone()))
        .collect();
    assert_eq!(
        rows,
        [
            (2, false, cells(&["1", "5940.5", ""])),
            (3, true, cells(&["2", "", ""])),
            (5, false, cells(&["4", "", "0.5"]))
        ]
    );
    let left: Vec<_> = read.left_out.iter().map(|left| left.row).collect();
    assert_eq!(left, [4, 6]);
}

/// As optuna 5.0.0 wrote it: five trials, of which the second failed and the
/// third was pruned.
#[test]
fn a_journal_of_optunas() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/optuna/study.log"
    );
    let names = HashMap::from([("quality".to_owned(), "accuracy".to_owned())]);
    let read = read(Path::new(path), None, &names, None).expect("a study");
    assert_eq!((read.format, read.maximize), (Format::Optuna, Some(true)));
    assert_eq!(
        read.columns,
        [
            Column::Parameter("N".to_owned()),
            Column::Parameter("lr".to_owned()),
            Column::Objective,
            Column::Named("accuracy".to_owned())
        ]
    );
    let first = cells(&["2", "4.9104518184659654e-5", "201", "0.75"]);
    assert_eq!((read.rows[0].row, &read.rows[0].cells), (0, &first));
    let rows: Vec<_> = read.rows.iter().map(|row| (row.row, row.failed)).collect();
    assert_eq!(rows, [(0, false), (1, true), (3, false), (4, false)]);
    assert_eq!(read.left_out[0].row, 2);

    // A line that Optuna is about to write is no fault, one in the midst is.
    let text = std::fs::read(path).expect("the journal");
    let cut = parse(&text[..text.len() - 9], None, None).expect("a study");
    assert_eq!(cut.rows.len(), read.rows.len() - 1);
    let mut damaged = text.clone();
    damaged[200] = b'\n';
    assert!(wrong(&damaged).starts_with("line 2 is no operation"));
}

#[test]
fn several_studies_and_objectives() {
    let study = |name: &str, directions: &str| {
        format!(r#"{{"op_code":0,"study_name":"{name}","directions":{directions}}}"#) + "\n"
    };
    let two = study("a", "[1]") + &study("b", "[2]");
    let why = wrong(two.as_bytes());
    assert!(why.contains("a, b") && why.contains("--study"), "{why}");
    let one = parse(two.as_bytes(), None, Some("b")).expect("a study");
    assert_eq!(one.maximize, Some(true));
    assert!(
        parse(two.as_bytes(), None, Some("c"))
            .expect_err("none")
            .contains("a, b")
    );
    let why = wrong(study("a", "[1,2]").as_bytes());
    assert!(why.contains("2 objectives"), "{why}");
    let stray = study("a", "[1]") + r#"{"op_code":6,"trial_id":7,"state":1}"# + "\n";
    assert!(wrong(stray.as_bytes()).contains("never made"));
    assert!(parse(b"N,s\n1,2\n", None, Some("a")).is_err());
}

#[test]
fn a_name_that_no_column_has_is_told() {
    let rename = |text: &str, names: &[(&str, &str)]| {
        let mut columns = table(text).columns;
        let names = names
            .iter()
            .map(|(old, new)| ((*old).into(), (*new).into()));
        rename(&mut columns, &names.collect()).map(|()| columns)
    };
    let text = "N,speed\n1,2\n";
    let renamed = rename(text, &[("speed", "score")]);
    assert_eq!(renamed, Ok(named(&["N", "score"])));
    // Two names change places.
    let swapped = rename(text, &[("speed", "N"), ("N", "speed")]);
    assert_eq!(swapped, Ok(named(&["speed", "N"])));
    let slip = rename(text, &[("speed", "score"), ("sped", "score")]);
    let expected = "no column is called `sped`; there are: N, speed";
    assert_eq!(slip, Err(expected.to_owned()));
}

#[test]
fn json_that_is_no_lines_is_refused_as_a_whole() {
    // As `export --format json` writes it.
    let text = "{\"study\": {\"autotune_export\":1},\n\"trials\": [\n{\"params\":{}}\n]}\n";
    let problem = wrong(text.as_bytes());
    assert!(
        problem.starts_with("its first line is no JSON object"),
        "{problem}"
    );
    assert!(problem.contains("`export --format jsonl`"), "{problem}");
    // One torn line among others is left out alone.
    let torn = table("{\"params\":{\"N\":1}}\n{\"par\n");
    assert_eq!((torn.rows.len(), torn.left_out.len()), (1, 1));
}
