//! What users get wrong in specs and on the command line, and what their
//! machine does not have. Each gets a message that names the thing and the way
//! out, and its exit code.

mod support;

use std::ffi::OsStr;
use std::fs;
use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::process::Output;

use support::said::{GOOD, SERVED, assert_said};
use support::{Study, said};

#[test]
fn specs_that_are_wrong() {
    let slips: &[(&str, &str, &[&str])] = &[
        (
            "[objective]",
            "[objectives]",
            &["`objectives`", "`objective`?"],
        ),
        ("runs = 1", "rnus = 1", &["`rnus`", "did you mean `runs`?"]),
        (
            "runs = 1",
            "runs = 'one'",
            &["`runs`", "a whole number from 1 to 1000"],
        ),
        (
            "runs = 1",
            "runs = 1.5",
            &["`runs`", "not a number with a point"],
        ),
        (
            "N = [1, 2]",
            "N = []",
            &["an empty list leaves nothing to try"],
        ),
        (
            "N = [1, 2]",
            "N = [1, 2, 1]",
            &["`1` stands in the list twice"],
        ),
        (
            "N = [1, 2]",
            "N = [1, nan]",
            &["nan is not a finite number"],
        ),
        (
            "N = [1, 2]",
            "N = 7",
            &["`N` must say which values to try", "[base]"],
        ),
        (
            "N = [1, 2]",
            r#"N = ["a\u0000b"]"#,
            &["`N` has a NUL byte in it", "leave it out"],
        ),
        (
            "N = [1, 2]",
            "N = { float = [2, 1] }",
            &["the range [2.0, 1.0] is empty"],
        ),
        (
            "N = [1, 2]",
            "N = [1, 2]\n[[rule]]\nrequire = 'N > 2'",
            &["this rule never holds", "correct it"],
        ),
        (
            r"'m=(\S+)'",
            r"'m=\S+'",
            &["which part is the number", "in parentheses"],
        ),
        (r"'m=(\S+)'", "'m=('", &["'m=('", "^"]),
        (
            r#"command = ["{child}", "run", "--print", "m=1"]"#,
            "",
            &["[[step]] has no `command`", "for instance: command = ["],
        ),
        (
            r#"command = ["{child}", "run", "--print", "m=1"]"#,
            "command = []",
            &["`command` is empty", "for instance ["],
        ),
        (
            r#"command = ["{child}", "run", "--print", "m=1"]"#,
            r#"command = "run.sh --fast""#,
            &[r#"write command = ["run.sh", "--fast"]"#],
        ),
        (
            r#""--print", "m=1"]"#,
            r#""--print", "m={{ RANK }}"]"#,
            &["`RANK` is not always active", "{% if RANK is defined %}"],
        ),
        (
            r#""--print", "m=1"]"#,
            r#""--print", "m=${#N}"]"#,
            &["begins a comment", "{{ '{#' }}"],
        ),
        ("metrics.m =", "[metrics]\nm =", &["write [step.metrics]"]),
        (
            "name = \"words\"",
            "name = \"two words\"",
            &["cannot be a name"],
        ),
        ("[study]", "[study", &["this is not TOML"]),
    ];
    for (from, to, words) in slips {
        let conditional = "RANK = { int = [1, 8], when = 'N == 2' }";
        let spec = GOOD.replace("N = [1, 2]", &format!("N = [1, 2]\n{conditional}"));
        assert!(spec.contains(from), "{from}");
        let study = Study::new(&spec.replace(from, to));
        for verb in ["check", "plan", "try"] {
            let output = study.autotuned(&[verb, "study.toml"]);
            assert_said(&output, 3, words);
            assert_said(&output, 3, &["--> study.toml:"]);
        }
        assert_said(&study.run(), 3, words);
        assert!(!study.path("out").exists(), "a wrong spec makes no folder");
    }
}

#[test]
fn a_ready_check_as_bare_text() {
    let table = r#"{ http = "http://127.0.0.1:{port}/", timeout = "30s" }"#;
    for (text, help) in [
        ("http://127.0.0.1:1/", "{ http = \"http://127.0.0.1:1/\" }"),
        ("127.0.0.1:1", "{ tcp = \"127.0.0.1:1\" }"),
        ("server is up", "{ log = \"server is up\" }"),
    ] {
        let study = Study::new(&SERVED.replace(table, &format!("{text:?}")));
        assert_said(&study.run(), 3, &["`ready` must be a table", help]);
    }
}

#[test]
fn files_that_are_no_spec() {
    let study = Study::new(GOOD);
    fs::create_dir(study.path("folder")).expect("a folder");
    fs::write(study.path("latin1.toml"), b"[study]\nname = \"\xe9\"\n").expect("written");
    fs::write(study.path("large.toml"), vec![b'#'; (1 << 20) + 1]).expect("written");
    fs::write(study.path("empty.toml"), "").expect("written");
    let limit = "#".repeat((1 << 20) - GOOD.len() - 4096);
    fs::write(study.path("good.txt"), format!("{limit}\n[study")).expect("written");
    let cases: [(&str, &[&str]); 7] = [
        (
            "none.toml",
            &["there is no spec at none.toml", "autotuned demo --dir"],
        ),
        (
            "folder",
            &["folder is a folder: give the path of the spec in it"],
        ),
        (
            "latin1.toml",
            &["is not UTF-8 text (at byte 16): save it as UTF-8"],
        ),
        ("large.toml", &["is larger than 1.0 MiB"]),
        (
            "empty.toml",
            &[
                "there is no [study]",
                "there is no [objective]",
                "there is no [[step]]",
            ],
        ),
        ("good.txt", &["good.txt:2:7", "this is not TOML"]),
        ("study.toml/x", &["study.toml/x cannot be read"]),
    ];
    for (file, words) in cases {
        for verb in ["check", "plan", "try", "run"] {
            assert_said(&study.autotuned(&[verb, file]), 3, words);
        }
    }
    for (path, words) in [
        (
            "none",
            "there is no study in none: it holds no journal.jsonl",
        ),
        ("study.toml", "study.toml/spec.toml cannot be used"),
    ] {
        assert_said(&study.autotuned(&["view", path]), 4, &[words]);
    }
}

#[test]
fn command_lines_that_are_wrong() {
    let study = Study::new(GOOD);
    let cases: [(&[&str], &[&str]); 10] = [
        (&[], &["Usage: autotuned <COMMAND>", "Examples:"]),
        (&["tune"], &["unrecognized subcommand 'tune'"]),
        (&["run"], &["<SPEC>"]),
        (&["run", "study.toml", "--output"], &["--output-dir"]),
        (
            &["plan", "study.toml", "--first", "-1"],
            &["unexpected argument '-1'"],
        ),
        (
            &["try", "study.toml", "N", "2"],
            &["write it as NAME=VALUE"],
        ),
        (&["try", "study.toml", "=2"], &["write it as NAME=VALUE"]),
        (
            &["try", "study.toml", "M=2"],
            &["there is no parameter `M`: did you mean `N`?"],
        ),
        (&["try", "study.toml", "N=1", "N=2"], &["N is given twice"]),
        (
            &["try", "study.toml", "N=3"],
            &["N: `3` is not allowed: choose one of 1, 2"],
        ),
    ];
    for (arguments, words) in cases {
        assert_said(&study.autotuned(arguments), 2, words);
    }
    let mut bytes = study.command(&["try", "study.toml"]);
    bytes.arg(OsStr::from_bytes(b"N=\xff"));
    assert_said(&bytes.output().expect("run"), 2, &["invalid UTF-8"]);
    let trial = study.autotuned(&["trial", "nowhere"]);
    assert_said(
        &trial,
        1,
        &["nowhere/trial.json is not the order of a sitting"],
    );
}

/// Values reach the program byte for byte, in the environment and as an
/// argument, and no line that is shown is broken by one.
#[test]
fn odd_values_reach_the_program() {
    let values = [
        "a b",
        " blank at the ends ",
        "line 1\nline 2\r",
        "say \"no\" and 'yes'",
        "p=q==r",
        "pi|pe",
        "模型 🔥",
        "\u{1b}[31mred",
        "$HOME `id` \\ {{ N }} %s *",
        "-x",
        "",
    ];
    let list: Vec<String> = values
        .iter()
        .map(|v| serde_json::json!(v).to_string())
        .collect();
    let spec = GOOD.replace("N = [1, 2]", &format!("N = [{}]", list.join(", "))).replace(
        r#"["{child}", "run", "--print", "m=1"]"#,
        r#"["sh", "-c", 'printf %s "$N" >> {dir}/env; printf "%s" "$1" >> {dir}/arg; echo m=1', "sh", "{{ N }}"]"#,
    );
    let study = Study::new(&spec);
    for value in values {
        let output = study.autotuned(&["try", "study.toml", &format!("N={value}")]);
        assert_said(&output, 0, &["complete", "m: 1 over 1 run\n"]);
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(shown.lines().count(), 5, "{shown}");
        for file in ["env", "arg"] {
            let got = fs::read_to_string(study.path(file)).expect("written");
            assert_eq!(got, value);
            fs::remove_file(study.path(file)).expect("removed");
        }
    }
    let output = study.run();
    assert_said(&output, 0, &["N=line 1\\nline 2\\r", "N=模型 🔥"]);
    assert_eq!(study.results().len(), values.len());
    let table = |output: &Output| {
        let text = said(output);
        let rows = text
            .lines()
            .skip_while(|line| !line.starts_with('#'))
            .skip(1);
        let rows: Vec<String> = rows
            .take_while(|l| !l.is_empty())
            // What does not fit goes on in a further line.
            .filter(|l| l.trim_start().starts_with(|c: char| c.is_ascii_digit()))
            .map(str::to_owned)
            .collect();
        assert!(!text.contains('\u{1b}') && !text.contains('\r'), "{text:?}");
        rows
    };
    assert_eq!(table(&output).len(), values.len());
    let view = study.autotuned(&["view", "out"]);
    assert_eq!(table(&view), table(&output));
    let plan = study.autotuned(&["plan", "study.toml", "--first", "20"]);
    assert_said(
        &plan,
        0,
        &[
            "at most 11 trials, 11 runs that count",
            "N=line 1\\nline 2\\r\n",
        ],
    );
    // A value that is not in the space is quoted back in one line.
    let output = study.autotuned(&["try", "study.toml", "N=x\ny"]);
    assert_said(&output, 2, &[r"`x\ny` is not allowed"]);
    assert_eq!(said(&output).lines().count(), 1);
}

#[test]
fn what_the_machine_does_not_have() {
    let child = r#"["{child}", "run", "--print", "m=1"]"#;
    let cases = [
        (
            r#"["no-such-program"]"#,
            "no folder of PATH has the program no-such-program",
        ),
        (r#"["./gone"]"#, "/gone: correct the path"),
        (
            r#"["./study.toml"]"#,
            "cannot be executed: run chmod +x on it",
        ),
        (r#"["{dir}"]"#, "cannot be executed"),
    ];
    for (command, words) in cases {
        let study = Study::new(&GOOD.replace(child, command));
        for arguments in [&["check", "study.toml"][..], &["try", "study.toml"]] {
            let words = ["`command` of the step `eval`", words];
            assert_said(&study.autotuned(arguments), 3, &words);
        }
        assert_said(&study.run(), 3, &[words]);
        assert!(!study.path("out").exists());
        // The spec itself is good.
        assert_said(&study.autotuned(&["plan", "study.toml"]), 0, &["2 trials"]);
        let alone = study.autotuned(&["check", "study.toml", "--no-host"]);
        assert_said(
            &alone,
            0,
            &["good: study `words`, 1 parameter, 1 step, 1 run a trial"],
        );
    }
    for (line, words) in [
        ("workdir = 'gone'", "there is no folder"),
        (
            "workdir = 'study.toml'",
            "study.toml is not a folder: name one",
        ),
        ("workdir = '~/x'", "neither `~` nor a variable is filled in"),
    ] {
        let study = Study::new(&GOOD.replace("[study]", &format!("[study]\n{line}")));
        assert_said(&study.run(), 3, &[words]);
    }
    // A script may be made by an earlier step: that is a warning, and then
    // the trial fails.
    let study = Study::new(&GOOD.replace(child, r#"["sh", "gone.sh"]"#));
    let warning = "there is no script";
    assert_said(
        &study.autotuned(&["check", "study.toml"]),
        0,
        &[warning, "good"],
    );
    assert_said(
        &study.autotuned(&["try", "study.toml"]),
        7,
        &[warning, "gone.sh", "failed"],
    );
    assert_said(
        &study.run(),
        0,
        &["Failed", "gone.sh", "No trial has a result"],
    );
}

/// A program that is there when the study starts and gone later is the host's
/// fault; with it back the study goes on, and no run is repeated.
#[test]
fn a_program_that_vanishes() {
    let script =
        "#!/bin/sh\necho run >> runs\necho m=1\n[ $(wc -l < runs) = 1 ] && rm \"$0\"\nexit 0\n";
    let spec = GOOD.replace("runs = 1", "runs = 3");
    let study =
        Study::new(&spec.replace(r#"["{child}", "run", "--print", "m=1"]"#, r#"["./eval"]"#));
    let install = || {
        fs::write(study.path("eval"), script).expect("written");
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(study.path("eval"), mode).expect("executable");
    };
    install();
    let words = [
        "paused: 5 times in a row",
        "`./eval` could not be started",
        "no such program",
    ];
    assert_said(&study.run(), 6, &words);
    assert_said(&study.run(), 3, &["there is no program"]);
    install();
    assert_said(&study.run(), 0, &["done"]);
    let runs = fs::read_to_string(study.path("runs")).expect("runs");
    assert_eq!(runs.lines().count(), 6, "two trials of three runs");
}

#[test]
fn a_port_in_use() {
    let study = Study::new(SERVED);
    let stranger = TcpListener::bind(("127.0.0.1", study.port)).expect("free a moment ago");
    let port = format!("port {} is still in use", study.port);
    let holder = format!("process {}", std::process::id());
    let words = [
        "paused: 5 times in a row",
        &port,
        &holder,
        "the same command goes on",
    ];
    assert_said(&study.run(), 6, &words);
    assert_eq!(
        study.events_of("trial-planned").len(),
        1,
        "nothing was learnt"
    );
    drop(stranger);
    assert_said(&study.run(), 0, &["done"]);
    let is_good = |line: &&serde_json::Value| line["status"] == "ok";
    assert_eq!(study.results().iter().filter(is_good).count(), 2);
    study.await_nothing_alive();
}
