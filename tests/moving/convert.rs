//! `autotuned convert`, and what is refused on the way.

use std::fs;

use crate::Repo;
use crate::support::{code, said};

/// Text of a program with the folder of the test taken out.
fn shown(repo: &Repo, bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.replace(&repo.path("repo").display().to_string(), "REPO")
}

fn converted(repo: &Repo, arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let arguments = [&["convert"], arguments].concat();
    let output = repo.autotuned(&arguments, environment);
    assert_eq!(code(&output), 0, "{}", said(&output));
    shown(repo, &output.stdout)
}

#[test]
fn the_fixture_as_a_spec() {
    let repo = Repo::new();
    let output = repo.autotuned(&["convert", "--repo", "."], &[]);
    insta::assert_snapshot!("convert-spec", shown(&repo, &output.stdout));
    let text = String::from_utf8_lossy(&output.stdout);
    let mut lines = text.lines();
    assert_eq!(lines.find(|line| line.chars().count() > 80), None);
    insta::assert_snapshot!("convert-said", shown(&repo, &output.stderr));
    assert_eq!(code(&output), 0);
}

/// Every flag, half of them as `auto_tune.py` writes them.
#[test]
fn every_flag_is_understood() {
    let repo = Repo::new();
    let flags = [
        "--port=8001",
        "--eval_runs=3",
        "--startup_timeout=300",
        "--eval-timeout=1.5",
        "--cooldown=2",
        "--accuracy_threshold=0.881",
        "--results=r.jsonl",
        "--best=b.json",
        "--server_log_dir=logs",
        "--status-file=s.json",
        "--heartbeat_trials=5",
        "--heartbeat-interval-s=600",
        "--search_space_file=tune_search_space.json",
        "--port_busy_retries=5",
        "--port-busy-wait-s=20",
        "--port_busy_kill",
        "--notify_trial_done",
        "--notify-trial-done-every=5",
        "--smtp_host=smtp.example.com",
        "--smtp-port=25",
        "--smtp_user=user@example.com",
        "--smtp_from=from@example.com",
        "--smtp-to=a@example.com, b@example.com",
        "--smtp_no_starttls",
        "--email_kinds=best,crashed,done,abnormal",
        "--webhook_kind=generic",
    ];
    let environment = [("TUNE_WEBHOOK_URL", "https://example.com/hidden-hook")];
    insta::assert_snapshot!("convert-flags", converted(&repo, &flags, &environment));
}

/// Every variable of the environment, but for those whose place in the spec
/// the flags have shown.
#[test]
fn every_variable_is_understood() {
    let repo = Repo::new();
    repo.write("tune_secrets.sh", "");
    let environment = [
        ("ACC", "0.8810"),
        ("EVAL_RUNS", "3"),
        ("STARTUP_TIMEOUT", "300"),
        ("EVAL_TIMEOUT", "500"),
        ("RESULTS", "tune_results_run2.jsonl"),
        ("HEARTBEAT_TRIALS", "0"),
        ("TUNE_HEARTBEAT_INTERVAL_S", "600"),
        ("TUNE_SEARCH_SPACE_FILE", "./tune_search_space.json"),
        ("TUNE_PORT_BUSY_RETRIES", "5"),
        ("TUNE_PORT_BUSY_WAIT_S", "20"),
        ("TUNE_PORT_BUSY_KILL", "1"),
        ("TUNE_NOTIFY_TRIAL_DONE", "1"),
        ("TUNE_NOTIFY_TRIAL_DONE_EVERY", "1"),
        ("TUNE_WEBHOOK_KIND", "feishu"),
        ("TUNE_WEBHOOK_URL", "https://open.feishu.cn/hidden-hook"),
        ("TUNE_FEISHU_SECRET", "hidden-secret"),
        ("TUNE_SMTP_HOST", "smtp.example.com"),
        ("TUNE_SMTP_PORT", "465"),
        ("TUNE_SMTP_SSL", "1"),
        ("TUNE_SMTP_NO_STARTTLS", "0"),
        ("TUNE_SMTP_USER", "user@example.com"),
        ("TUNE_SMTP_PASS", "hidden-password"),
        ("TUNE_SMTP_FROM", "user@example.com"),
        ("TUNE_SMTP_TO", "you@example.com"),
        ("TUNE_EMAIL_KINDS", "best,done"),
        ("SKIP_PIP_INSTALL", "0"),
    ];
    let text = converted(&repo, &[], &environment);
    assert!(!text.contains("hidden"), "{text}");
    insta::assert_snapshot!("convert-variables", text);
    // And by their other names.
    let environment = environment.map(|(name, value)| {
        let short = [
            "HEARTBEAT_INTERVAL",
            "SEARCH_SPACE",
            "PORT_BUSY",
            "NOTIFY_TRIAL",
        ];
        let bare = name.strip_prefix("TUNE_").unwrap_or(name);
        let name = if short.iter().any(|short| bare.starts_with(short)) {
            bare
        } else {
            name
        };
        (name, value)
    });
    let other = converted(&repo, &[], &environment);
    let without_comments = |text: &str| {
        let lines = text
            .lines()
            .map(|line| line.split("    # ").next().unwrap_or_default());
        lines
            .filter(|line| !line.starts_with('#'))
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert_eq!(without_comments(&other), without_comments(&text));
}

#[test]
fn the_printed_spec_tries_the_same() {
    let repo = Repo::new();
    repo.write(
        "best_params.json",
        r#"{"MAX_MODEL_LEN": "4096", "FREQUENCY_PENALTY": "0.100"}"#,
    );
    let environment = [("SEARCH_SPACE_FILE", "tune_search_space.json")];
    let output = repo.autotuned(&["convert"], &environment);
    let spec = repo.path("printed.toml");
    fs::write(&spec, &output.stdout).expect("written");
    let spec = spec.to_str().expect("text");
    let output = repo.autotuned(&["check", spec], &[]);
    assert_eq!(code(&output), 0, "{}", said(&output));
    assert!(!said(&output).contains("warning"), "{}", said(&output));
    let plan = |arguments: &[&str]| {
        let arguments = [&["plan", "--first", "60"], arguments].concat();
        let output = repo.autotuned(&arguments, &environment);
        assert_eq!(code(&output), 0, "{}", said(&output));
        let text = String::from_utf8(output.stdout).expect("text");
        let too_long = text.lines().find(|line| line.chars().count() > 80);
        assert_eq!(too_long, None);
        text
    };
    let printed = plan(&[spec]);
    assert!(
        printed.contains("4096") && printed.contains("BLOCK_SIZE=32"),
        "{printed}"
    );
    assert_eq!(plan(&["--preset", "serving-env"]), printed);
    let dry = repo.autotuned(
        &["run", "--preset", "serving-env", "--dry_run"],
        &environment,
    );
    assert!(printed.starts_with(&String::from_utf8_lossy(&dry.stdout)[..400]));
}

#[test]
fn secrets_on_the_command_line_are_refused_and_not_repeated() {
    let repo = Repo::new();
    for flag in [
        "--smtp_pass",
        "--smtp-pass",
        "--feishu_secret",
        "--webhook_url",
    ] {
        for secret in ["hidden-secret", "-hidden-secret"] {
            for verb in [&["run", "--preset", "serving-env"][..], &["convert"]] {
                let output = repo.autotuned(&[verb, &[flag, secret]].concat(), &[]);
                let said = said(&output);
                assert_eq!(code(&output), 2, "{said}");
                assert!(!said.contains("hidden"), "{said}");
                let variable = format!("TUNE_{}", flag[2..].replace('-', "_").to_uppercase());
                assert!(
                    said.contains(&format!("\n  export {variable}='…'\n")),
                    "{said}"
                );
                assert!(said.contains("tune_secrets.sh") && said.contains("chmod 600"));
            }
        }
    }
}

#[test]
fn secrets_that_others_can_read_are_refused() {
    let repo = Repo::new();
    repo.protect(0o644);
    let output = repo.tune(&[], &[]);
    assert_eq!(code(&output), 3, "{}", said(&output));
    let line =
        "REPO/tune_secrets.sh is open to others than its owner: chmod 600 REPO/tune_secrets.sh";
    assert!(
        shown(&repo, &output.stderr).contains(line),
        "{}",
        said(&output)
    );
    repo.protect(0o600);
    repo.write(
        "tune_secrets.sh",
        "export A=1\nexport TUNE_SMTP_PASS=$(pass hidden)\n",
    );
    let output = repo.tune(&[], &[]);
    assert_eq!(code(&output), 3);
    let said = said(&output);
    assert!(
        said.contains("tune_secrets.sh, line 2: ") && !said.contains("hidden"),
        "{said}"
    );
    assert_eq!(
        repo.names()
            .iter()
            .filter(|name| *name == ".autotune")
            .count(),
        0
    );
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let repo = Repo::new();
    repo.write(
        "space.json",
        r#"{"A": 3, "B": ["1", true, null], "PATH": ["x"], "C": []}"#,
    );
    repo.write("best_params.json", r#"{"MAX_MODEL_LEN": true}"#);
    let environment = [
        ("EVAL_RUNS", "five"),
        ("ACC", "0,88"),
        ("RESULTS", "../results.jsonl"),
        ("SEARCH_SPACE_FILE", "space.json"),
        ("TUNE_SMTP_HOST", "smtp.example.com"),
    ];
    let output = repo.autotuned(&["convert", "--port", "0"], &environment);
    assert_eq!(code(&output), 3);
    insta::assert_snapshot!("convert-problems", shown(&repo, &output.stderr));
    let output = repo.autotuned(
        &["run", "--preset", "serving-env", "--repo", "nowhere"],
        &[],
    );
    assert_eq!(code(&output), 3);
    assert!(
        said(&output).contains("there is no folder"),
        "{}",
        said(&output)
    );
    // The flags belong to a repo, and a repo has its files in it.
    let spec = repo.path("s.toml");
    fs::write(&spec, "preset = \"serving-env\"").expect("written");
    for arguments in [
        &["run", spec.to_str().expect("text"), "--eval_runs", "3"][..],
        &[
            "run",
            "--preset",
            "serving-env",
            "--output-dir",
            "elsewhere",
        ],
        &["run", "--preset", "serving-env", "--selftest"],
        &["run"],
    ] {
        let output = repo.autotuned(arguments, &[]);
        assert_eq!(code(&output), 2, "{arguments:?}: {}", said(&output));
    }
}

/// Names and numbers that are hard to write down.
#[test]
fn what_is_printed_is_a_spec_whatever_the_names_are() {
    let repo = Repo::new();
    let odd = repo.path("a \"b\"\nc = [1] \\ 调");
    fs::create_dir(&odd).expect("a folder");
    fs::write(odd.join("run_model.sh"), "").expect("written");
    fs::write(odd.join("eval_local.py"), "").expect("written");
    fs::write(odd.join("env_force.sh"), "A='\u{1b}[1m'\u{7}").expect("written");
    let environment = [
        ("ACC", "1e30"),
        ("TUNE_SMTP_HOST", "localhost"),
        ("TUNE_SMTP_TO", "a@example.com"),
        ("TUNE_SMTP_FROM", "b@example.com"),
        ("TUNE_EMAIL_KINDS", "best,done,best"),
    ];
    let odd = odd.to_str().expect("text");
    let arguments = ["convert", "--repo", odd, "--results", "a/b\n.jsonl"];
    let output = repo.autotuned(&arguments, &environment);
    assert_eq!(code(&output), 0, "{}", said(&output));
    let text = String::from_utf8_lossy(&output.stdout);
    let comments: Vec<&str> = text.lines().filter(|line| line.starts_with("# ")).collect();
    let comments = comments.join("\n");
    assert!(!comments.contains('\u{1b}'), "{text}");
    let comments = comments.replace("\n# ", " ");
    assert!(comments.contains("b\"\\nc = [1]"), "{text}");
    let table: toml::Table = text.parse().expect("TOML");
    assert_eq!(table["study"]["workdir"].as_str(), Some(odd));
    let arguments = ["check", "--preset", "serving-env", "--repo", odd];
    let output = repo.autotuned(&arguments, &environment);
    assert_eq!(code(&output), 0, "{}", said(&output));
}

#[test]
fn what_comes_to_no_spec_is_said() {
    let repo = Repo::new();
    let output = repo.autotuned(&["convert", "--best", "x", "--results", "x"], &[]);
    assert_eq!(code(&output), 3, "{}", said(&output));
    assert!(said(&output).contains("would be the same file"));
    let environment = [("EVAL_TIMEOUT", "0.0001")];
    let output = repo.autotuned(&["convert"], &environment);
    assert_eq!(code(&output), 3, "{}", said(&output));
    assert!(said(&output).contains("EVAL_TIMEOUT of the environment must be at least 0.001 s"));
}

#[test]
fn every_results_file_has_a_journal_of_its_own() {
    let repo = Repo::new();
    let journal = |results: &str| {
        let text = converted(&repo, &["--results", results], &[]);
        let table: toml::Table = text.parse().expect("TOML");
        let files = &table["files"];
        assert_eq!(
            files["results"].as_str(),
            Some(results.trim_end_matches('/'))
        );
        files["journal"].as_str().expect("text").to_owned()
    };
    assert_eq!(journal("r.jsonl"), ".autotune/r.jsonl");
    assert_eq!(journal("run1/r.jsonl"), ".autotune/run1%2Fr.jsonl");
    assert_eq!(journal("run1%2Fr.jsonl"), ".autotune/run1%252Fr.jsonl");
    assert_eq!(journal("run1/"), ".autotune/run1");
}

#[test]
fn a_folder_that_is_no_repo_stays_as_it_is() {
    let repo = Repo::new();
    fs::remove_file(repo.file("run_model.sh")).expect("removed");
    let before = repo.names();
    let output = repo.tune(&[], &[]);
    assert_eq!(code(&output), 3, "{}", said(&output));
    let line = "there is no run_model.sh in REPO: give the repo by --repo DIR";
    let stderr = shown(&repo, &output.stderr);
    assert!(stderr.contains(line), "{stderr}");
    assert_eq!(repo.names(), before);
    // Its spec can be had, and mended.
    let output = repo.autotuned(&["convert"], &[("VIRTUAL_ENV", "/opt/venv")]);
    assert_eq!(code(&output), 0, "{}", said(&output));
    assert!(said(&output).contains("there is no run_model.sh, which the step `serve` runs"));
    assert!(said(&output).contains("/opt/venv/bin/python3"));
}

/// As one in `tune_secrets.sh` is.
#[test]
fn a_misspelt_variable_of_the_environment_is_told_without_its_value() {
    let repo = Repo::new();
    let environment = [
        ("TUNE_SMTP_PSAS", "hidden-password"),
        ("TUNE_EMAIL_KINDS", "best"),
    ];
    for verb in [
        &["convert"][..],
        &["check", "--preset", "serving-env"],
        &["run", "--preset", "serving-env", "--dry_run"],
    ] {
        let output = repo.autotuned(verb, &environment);
        let text = said(&output).replace("\n  ", " ");
        assert_eq!(code(&output), 0, "{text}");
        let expected = "the environment sets TUNE_SMTP_PSAS, which nothing reads: did you mean \
                        `TUNE_SMTP_PASS`?";
        assert!(text.contains(expected), "{verb:?}: {text}");
        assert!(
            !text.contains("hidden") && !text.contains("TUNE_EMAIL_KINDS, which"),
            "{text}"
        );
    }
}
