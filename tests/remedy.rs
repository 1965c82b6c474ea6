//! Known troubles and `[remedy]` from end to end: real programs that fail with
//! what real programs print.

mod support;

use serde_json::{Value as Json, json};
use support::control::{good, json as shown};
use support::{Daemon, Study, code, said};

/// A training run that takes no more than a batch of 4 at the ranks above 8.
/// Each waits at a gate of its own.
const TRAINING: &str = r#"
[study]
name = "trained"
pass_env = ["PIDS"]
[objective]
minimize = "loss"
[search]
sampler = "grid"
racing = false
recheck = 0
[base]
BATCH = "8"
STEPS = 4
[space]
RANK = [8, 16, 64]
[remedy.gpu-out-of-memory]
halve = "BATCH"
double = ["STEPS"]
[[step]]
name = "train"
kind = "task"
command = ["sh", "-c", '''
{child} run --gate {dir}gate-$RANK-$BATCH
if [ "$RANK" = 64 ]; then
    echo 'ValueError: remaining_argv: ["--rank64", "1"]' >&2; exit 1
fi
if [ "$BATCH" -gt 4 ] && [ "$RANK" -gt 8 ]; then
    echo 'torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.' >&2
    exit 1
fi
echo "loss=$((100 - RANK)) samples=$((BATCH * STEPS))"''']
metrics.loss = 'loss=(\S+)'
metrics.samples = 'samples=(\S+)'
"#;

const GATES: [&str; 4] = ["8-8", "16-8", "16-4", "64-8"];

fn open(study: &Study, gates: &[&str]) {
    for gate in gates {
        study.open_gate(&format!("gate-{gate}"));
    }
}

fn stays(study: &Study) -> Daemon {
    study.start_verb(&["run", "study.toml", "--output-dir", "out", "--stay"])
}

/// Number, origin and params of each trial.
fn planned(study: &Study) -> Vec<(Json, Json, Json)> {
    let events = study.events_of("trial-planned");
    let parts = |event: &Json| {
        let part = |name: &str| event[name].clone();
        (part("trial"), part("origin"), part("params"))
    };
    events.iter().map(parts).collect()
}

fn expected() -> Vec<(Json, Json, Json)> {
    let params = |rank: u32, batch: Json, steps: u32| json!({ "BATCH": batch, "RANK": rank, "STEPS": steps });
    vec![
        (json!(1), json!("baseline"), params(8, json!("8"), 4)),
        (json!(2), json!("sampler"), params(16, json!("8"), 4)),
        (json!(3), json!({"remedy": 2}), params(16, json!(4), 8)),
        (json!(4), json!("sampler"), params(64, json!("8"), 4)),
    ]
}

#[test]
fn a_trial_that_ran_out_of_memory_is_tried_with_half_the_batch() {
    let study = Study::new(TRAINING);
    open(&study, &GATES);
    let mut daemon = stays(&study);
    study.await_events("done", 1);
    assert_eq!(planned(&study), expected());
    let best = study.best();
    assert_eq!(best["BATCH"], json!("4"), "{best}");
    let trials = good(
        &study,
        &["trials", "--columns", "trial,outcome,origin,cause"],
    );
    let row = |number: &str| {
        let mut rows = trials.lines().map(str::split_whitespace);
        let row = rows.find(|row| row.clone().next() == Some(number));
        row.expect("a row").collect::<Vec<_>>().join(" ")
    };
    assert_eq!(row("2"), "2 failed sampler gpu-out-of-memory");
    assert!(row("3").starts_with("3 complete"), "{trials}");
    assert!(row("3").contains("remedy"), "{trials}");
    assert_eq!(row("4"), "4 failed sampler argument-unknown");

    let failed = support::said::unfolded(&good(&study, &["why", "2"]));
    assert!(
        failed.contains("gpu-out-of-memory: these values need more GPU memory"),
        "{failed}"
    );
    assert!(failed.contains("trial 3 is the remedy for it"), "{failed}");
    let helper = support::said::unfolded(&good(&study, &["why", "3"]));
    assert!(
        helper.contains("the remedy for what trial 2 failed by"),
        "{helper}"
    );
    let helper = good(&study, &["show", "3"]);
    assert!(
        helper.contains("the remedy for what trial 2 failed by"),
        "{helper}"
    );
    let found = shown(&study, &["why", "2"]);
    assert_eq!(found["remedied_by"], json!(3), "{found}");
    assert_eq!(
        found["cause"]["name"],
        json!("gpu-out-of-memory"),
        "{found}"
    );
    assert_eq!(found["no_remedy"], Json::Null, "{found}");
    assert_eq!(shown(&study, &["why", "3"])["remedy_of"], json!(2));
    assert_eq!(
        shown(&study, &["show", "3"])["metrics"][1]["summary"]["mean"],
        json!(32.0)
    );

    let report = good(&study, &["report", "--lang", "zh", "-o", "-"]);
    assert!(report.contains("对试验 2 的补救"), "{report}");
    assert!(report.contains("程序不认识所给的参数或命令："), "{report}");
    daemon.kill();
}

/// At each moment of it: the trial that is going to fail runs, its remedy runs.
#[test]
fn a_killed_daemon_tries_a_remedy_once() {
    for killed_at in ["16-8", "16-4"] {
        let study = Study::new(TRAINING);
        let others: Vec<&str> = GATES
            .into_iter()
            .filter(|gate| *gate != killed_at)
            .collect();
        open(&study, &others);
        let mut daemon = study.start();
        study.await_gate(&format!("gate-{killed_at}"));
        daemon.kill();
        open(&study, &[killed_at]);
        assert_eq!(study.start().end(), 0, "{}", study.log());
        assert_eq!(planned(&study), expected(), "killed at {killed_at}");
        study.await_nothing_alive();
    }
}

/// The rules are there and switched off, as a preset has them.
#[test]
fn nothing_is_remedied_unless_it_is_wanted() {
    for spec in [
        TRAINING.replace("[remedy.gpu", "[remedy]\nenabled = false\n[remedy.gpu"),
        TRAINING
            .replace(
                "halve = \"BATCH\"\ndouble = [\"STEPS\"]",
                "halve = \"STEPS\"\n",
            )
            .replace("STEPS = 4", "STEPS = 1"),
    ] {
        let study = Study::new(&spec);
        open(&study, &GATES);
        let output = study.run();
        assert_eq!(code(&output), 0, "{}", said(&output));
        let origins: Vec<Json> = planned(&study).into_iter().map(|(_, of, _)| of).collect();
        assert_eq!(origins, ["baseline", "sampler", "sampler"]);
    }
}
