use std::fs;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

use crate::model::spec::{Converged, Limits};
use crate::model::step::{Marks, MetricSource, PortOwner, ReadyCheck, StepKind, Which};
use crate::model::value::{Finite, Value};

mod arguments;
mod artifacts;
mod presets;
mod remedy;
mod slips;
mod slots;

/// A good spec with a little of everything; tests break it.
pub(super) const GOOD: &str = r#"[study]
name = "qwen-serving"
workdir = "/data/qwen"
seed = 7
pass_env = ["CUDA_*", "HF_HOME"]

[objective]
maximize = "total_tps"
[[constraint]]
metric = "accuracy"
min = 0.88

[budget]
trials = 200
wall = "12h"

[search]
sampler = "coordinate"
passes = 2

[base]
MAX_MODEL_LEN = "1024"
SOFT = "96"
rank = 16

[space]
UTIL = ["0.97", "0.98", "0.99"]
SOFT = ["64", "96", "128"]
HARD = ["96", "256"]
train_type = ["full", "lora"]
rank = { int = [4, 64], log = true, when = "train_type == 'lora'" }
rate = { float = [1e-5, 1e-3], log = true }

[[rule]]
require = "SOFT <= HARD"

[env]
OMP_NUM_THREADS = "2"

[[step]]
name = "serve"
kind = "service"
command = ["bash", "run_model.sh", "--len={{ MAX_MODEL_LEN }}"]
ready = { http = "http://127.0.0.1:8000/", status = "200-499", timeout = "240s" }
stop_grace = "15s"
file = [{ name = "a.yaml", text = "util: {{ UTIL }}\n{% if rank is defined %}rank: {{ rank }}{% endif %}" }]

[[step]]
name = "eval"
kind = "measure"
runs = 5
command = ["python3", "eval_local.py"]
timeout = "420s"
[step.metrics]
accuracy = { regex = 'Accuracy:\s*(\S+)', match = "first" }
total_tps = 'tokens/s=(\S+)'
loss = { json = "/results/loss", file = "{{ trial_dir }}/out.json" }
"#;

fn origin() -> Origin {
    Origin {
        file: "spec.toml".to_owned(),
        folder: PathBuf::from("/etc/autotune"),
    }
}

pub(super) fn good(text: &str) -> Checked {
    check(text, &origin()).unwrap_or_else(|errors| panic!("{}", errors.render(false)))
}

/// All complaints about `text`, one a line, without the file's name.
pub(super) fn complaints(text: &str) -> String {
    let complaints = match check(text, &origin()) {
        Ok(checked) => checked.warnings,
        Err(complaints) => {
            assert!(complaints.errors() > 0, "refused without an error:\n{text}");
            complaints
        }
    };
    assert!(!complaints.render(false).is_empty() || complaints.is_empty());
    complaints.to_string().replace("spec.toml:", "")
}

#[test]
fn the_good_spec_is_good() {
    let Checked { spec, warnings, .. } = good(GOOD);
    assert_eq!(warnings.to_string(), "");
    assert_eq!(spec.name, "qwen-serving");
    assert_eq!(spec.seed, 7);
    assert_eq!(spec.workdir, PathBuf::from("/data/qwen"));
    assert_eq!(spec.budget.wall, Some(Duration::from_secs(12 * 3600)));
    assert_eq!(spec.budget.runs, None);
    assert_eq!((spec.budget.gpu_time, spec.gpus()), (None, 1));
    assert_eq!(spec.budget.converged, Some(Converged::default()));
    assert_eq!(spec.constraints[0].confidence, None);
    let more = GOOD
        .replace("wall =", "gpu_hours = 1.5\nconverged = 0\nwall =")
        .replace("min = 0.88", "min = 0.88\nconfidence = 0.9")
        .replace("[env]", "[env]\nCUDA_VISIBLE_DEVICES = \"0, 2,3\"");
    let more = good(&more).spec;
    assert_eq!(more.budget.gpu_time, Some(Duration::from_secs(5400)));
    assert_eq!((more.budget.converged, more.gpus()), (None, 3));
    assert_eq!(more.constraints[0].confidence, Finite::new(0.9));
    let said = GOOD.replace("wall =", "gpus = 8\nconverged_asks = 3\nwall =");
    let said = good(&said).spec;
    let (under, asks) = (Converged::default().under, 3);
    assert_eq!(said.budget.converged, Some(Converged { under, asks }));
    assert_eq!(said.gpus(), 8);
    assert_eq!((spec.search.passes, spec.search.levels), (2, 5));
    assert!(spec.search.racing);
    let without = GOOD.replace("passes = 2", "racing = false");
    assert!(!good(&without).spec.search.racing);
    assert_eq!(spec.log_max, 64 << 20);
    assert_eq!(spec.pass_env, ["CUDA_*", "HF_HOME"]);
    assert_eq!(spec.constraints[0].to_string(), "accuracy ≥ 0.88");
    let names: Vec<&str> = spec.space.parameters().iter().map(|p| &*p.name).collect();
    let order = [
        "UTIL",
        "SOFT",
        "HARD",
        "train_type",
        "rank",
        "rate",
        "MAX_MODEL_LEN",
    ];
    assert_eq!(names, order);
    let baseline = spec.space.baseline().expect("checked");
    assert_eq!(
        baseline.key(),
        "HARD=96|MAX_MODEL_LEN=1024|SOFT=96|UTIL=0.97|rate=0.0001|train_type=full"
    );
    let rank = spec.space.parameter("rank").expect("declared");
    assert_eq!(rank.base, Value::Int(16));
    let fixed = spec.space.parameter("MAX_MODEL_LEN").expect("declared");
    assert_eq!(fixed.domain.size(), Some(1));
    let serve = spec.step("serve").expect("declared");
    let StepKind::Service(ready) = &serve.kind else {
        panic!("{:?}", serve.kind);
    };
    let ReadyCheck::Http { status, .. } = &ready.check else {
        panic!("{:?}", ready.check);
    };
    assert_eq!(*status, [200..=499]);
    assert_eq!((ready.owner, ready.settle.as_secs()), (PortOwner::Trial, 5));
    assert_eq!(serve.stop_grace.as_secs(), 15);
    let eval = spec.step("eval").expect("declared");
    let which = |index: usize| match &eval.metrics[index].source {
        MetricSource::Regex { which, .. } => Some(*which),
        _ => None,
    };
    assert_eq!(
        [which(0), which(1), which(2)],
        [Some(Which::First), Some(Which::Last), None]
    );
    assert_eq!(spec.digest, hexadecimal(&sha2::Sha256::digest(GOOD)));
}

#[test]
fn limits_are_read() {
    let limits = |section: &str| {
        let text = GOOD.replace("[env]", &format!("{section}\n[env]"));
        good(&text).spec.limits
    };
    assert_eq!(limits(""), Limits::default());
    let all = "[limits]\nmemory_max = '24 GiB'\npids_max = 512\ncpus = 3.5\nrequired = true";
    let expected = Limits {
        memory_max: Some(24 << 30),
        // Unless it is said otherwise nothing is swapped.
        swap_max: Some(0),
        pids_max: Some(512),
        cpus: Some(3.5),
        required: true,
    };
    assert_eq!(limits(all), expected);
    let swapping = limits("[limits]\nmemory_max = '1 GiB'\nswap_max = '2 GiB'");
    assert_eq!(swapping.swap_max, Some(2 << 30));
}

#[test]
fn what_a_repo_that_is_tuned_in_place_needs() {
    let kept = "[host]\nport_kill = ['uvicorn', 'serve:app']\n[files]\njournal = '.a/r'\n[env]";
    let text = GOOD
        .replace("[env]", kept)
        .replace("[\"CUDA_*\", \"HF_HOME\"]", "['*', '!TUNE_*']");
    let spec = good(&text).spec;
    assert_eq!(spec.host.port_kill, ["uvicorn", "serve:app"]);
    assert_eq!(spec.files.journal.as_deref(), Some(".a/r"));
    assert_eq!(spec.pass_env, ["*", "!TUNE_*"]);
    let least = "study.name = 's'\nobjective.minimize = 'ms'\nspace.N = [1, 2]\n\
                 [[step]]\nname = 'e'\nkind = 'measure'\ncommand = ['./e']\n";
    let metrics = "metrics.ms = '(.*)'\nmetrics.a = { regex = '(.)', optional = true }\n";
    let rules = good(&format!("{least}{metrics}"))
        .spec
        .steps
        .remove(0)
        .metrics;
    let optional: Vec<bool> = rules.iter().map(|rule| rule.optional).collect();
    assert_eq!(optional, [false, true]);
    let slips = [
        format!("{least}metrics.ms = {{ regex = '(.)', optional = true }}"),
        format!("{least}{metrics}[files]\njournal = 'tune_results.jsonl'"),
        format!("{least}{metrics}[files]\njournal = '../elsewhere'"),
        format!("{least}{metrics}[host]\nport_kill = 'uvicorn'"),
        format!("{least}{metrics}[host]\nport_kill = ['']"),
        least.replace(
            "study.name = 's'",
            "study = { name = 's', pass_env = ['!'] }",
        ) + metrics,
    ];
    let said: Vec<String> = slips.iter().map(|text| complaints(text)).collect();
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn the_least_spec_has_defaults() {
    let checked = good(
        "study.name = 's'\nobjective.minimize = 'ms'\nspace.N = [1, 2]\n\
         [[step]]\nname = 'e'\nkind = 'measure'\ncommand = ['./e']\nmetrics.ms = '(.*)'\n\
         [[step]]\nname = 't'\nkind = 'task'\ncommand = ['./e']\n\
         [[step]]\nname = 's'\nkind = 'service'\ncommand = ['./e']\nready.log = 'ready'\n",
    );
    let spec = checked.spec;
    assert_eq!(spec.workdir, PathBuf::from("/etc/autotune"));
    assert_eq!(spec.seed, 42);
    assert_eq!(spec.host.port_wait.as_secs(), 30);
    assert_eq!(spec.host.gpu_release.as_secs(), 30);
    assert_eq!(spec.host.fault_wait.as_secs(), 10);
    let minutes = |n: u64| Duration::from_secs(60 * n);
    let kinds: Vec<&StepKind> = spec.steps.iter().map(|step| &step.kind).collect();
    let measure = StepKind::Measure {
        runs: 3,
        warmup: 0,
        timeout: minutes(10),
        marks: Marks::None,
    };
    let task = StepKind::Task {
        timeout: minutes(24 * 60),
    };
    assert_eq!(kinds[..2], [&measure, &task]);
}

#[test]
fn syntax() {
    let texts = [
        "",
        "[study]\nname = qwen\n[objective",
        "[study]\nname =\n",
        "[study]\nname = \"a\n",
        "[study]\nname = 'a'\nname = 'b'\n[x]\n[x]\n",
        "[[step]]\n[step]\n",
        "step = 1\nstudy = []\nspace = 'x'\nrule = [1]\nobjective = 1979-05-27\n",
    ];
    let said: Vec<String> = texts.iter().map(|text| complaints(text)).collect();
    let said = said.join("\n--\n");
    insta::assert_snapshot!(said);
}

#[test]
fn many_complaints_are_shown_at_once() {
    let text = "# Two things are tuned here: 宽度 and depth.
[study]
name = \"qwen serving\"
sed = 42
[objective]
maximize = \"tps\"
[budget]
wall = \"12 hourz\"
[base]
HARD = 512
[space]
UTIL = [\"0.97\", \"0.98\", \"0.97\"]
HARD = [192, 256]
SOFT = [256, 512]
rank = { int = [64, 4], when = \"train_typ == 'lora'\" }
[[rule]]
require = \"SOFT > 96 and HRAD < 9\"
[[rule]]
require = \"SOFT < 96\"
[[step]]
name = \"eval\"
kind = \"measure\"
command = [\"python3\", \"e.py\", \"--宽度={{ UTLI }}\"]
ready = { http = \"http://a/\" }
[step.metrics]
total_tps = 'tokens/s=\\S+'
";
    let refused = check(text, &origin()).expect_err("it is full of slips");
    let shown = refused.render(false);
    insta::assert_snapshot!(shown);
    let colored = refused.render(true);
    assert!(colored.contains('\u{1b}'));
    let plain = anstream::adapter::strip_str(&colored).to_string();
    assert_eq!(plain, refused.render(false));
}

#[test]
fn the_sketch_of_the_design() {
    let text = r#"
[study]
name = "qwen-serving"
workdir = "/data/qwen"
seed = 42
[objective]
maximize = "total_tps"
[[constraint]]
metric = "accuracy"
min = 0.88
[budget]
trials = 200
wall = "12h"
[search]
racing = false
[base]
MAX_MODEL_LEN = "1024"
MAX_NEW_TOKENS_CODE_SOFT = "96"
MAX_NEW_TOKENS_CODE_HARD = "192"
train_type = "lora"
[space]
GPU_MEMORY_UTILIZATION = ["0.97", "0.98", "0.99"]
learning_rate = { float = [1e-5, 1e-3], log = true }
lora_rank     = { int = [4, 64], log = true, when = "train_type == 'lora'" }
[[rule]]
require = "MAX_NEW_TOKENS_CODE_SOFT <= MAX_NEW_TOKENS_CODE_HARD"
[[step]]
name = "serve"
kind = "service"
command = ["bash", "run_model.sh"]
ready = { http = "http://127.0.0.1:8000/", status = "200-499", timeout = "240s" }
stop_grace = "10s"
[[step]]
name = "eval"
kind = "measure"
runs = 5
warmup = 0
command = ["python3", "eval_local.py", "--which", "bonus", "--batch", "--overwrite_jsonl"]
timeout = "420s"
[step.metrics]
accuracy  = { regex = 'Accuracy \(RougeL-F1 mean, RAW\):\s*(\S+)' }
total_tps = { regex = '\(prompt\+answer\)_tokens/s=(\S+)' }
"#;
    let Checked { spec, warnings, .. } = good(text);
    assert!(warnings.is_empty(), "{warnings}");
    // The condition asks for it, so it stands first.
    assert_eq!(&*spec.space.parameters()[0].name, "train_type");
    assert!(
        spec.space
            .baseline()
            .is_ok_and(|base| base.get("lora_rank").is_some())
    );
}

#[test]
fn files_that_are_no_spec() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| dir.path().join(name);
    fs::write(path("big"), vec![b'#'; (1 << 20) + 1]).expect("written");
    fs::write(path("latin"), b"[study]\nname = '\xe9'\n").expect("written");
    fs::write(path("wrong"), "x = 1\n").expect("written");
    let refused = |name: &str| {
        let error = read(&path(name)).expect_err("no spec");
        let folder = dir.path().display().to_string();
        error.to_string().replace(&folder, "DIR")
    };
    assert_eq!(
        refused("none"),
        "there is no spec at DIR/none: write one there, or give the path of another"
    );
    assert_eq!(
        refused(""),
        "DIR/ is a folder: give the path of the spec in it"
    );
    assert_eq!(
        refused("big"),
        "DIR/big is larger than 1.0 MiB, which no spec needs: give the path of a spec"
    );
    assert_eq!(
        refused("latin"),
        "DIR/latin is not UTF-8 text (at byte 16): save it as UTF-8"
    );
    assert!(refused("wrong").starts_with("DIR/wrong:1:1: error: "));
    fs::write(path("good"), GOOD).expect("written");
    assert!(read(&path("good")).is_ok());
}

#[test]
fn templates_in_files() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let origin = Origin {
        file: "spec.toml".to_owned(),
        folder: dir.path().to_path_buf(),
    };
    let text = GOOD.replace(
        "file = [{",
        "file = [{ name = \"b\", template = \"b.in\" }, {",
    );
    let folder = dir.path().display().to_string();
    let said = || match check(&text, &origin) {
        Ok(checked) => checked.spec.digest,
        Err(complaints) => complaints.to_string().replace(&folder, "DIR"),
    };
    assert_eq!(
        said(),
        "spec.toml:46:34: error: the template DIR/b.in cannot be read: No such file or directory (os error 2) (a relative path begins at the spec's folder)"
    );
    fs::write(dir.path().join("b.in"), "x\n{{ UTLI }}\n").expect("written");
    assert_eq!(
        said(),
        "spec.toml:46:34: error: nothing is called `UTLI` (did you mean `UTIL`?)"
    );
    fs::write(dir.path().join("b.in"), b"\xff").expect("written");
    assert_eq!(
        said(),
        "spec.toml:46:34: error: the template DIR/b.in is not UTF-8 text"
    );
    fs::write(dir.path().join("b.in"), "{{ UTIL }}").expect("written");
    let first = said();
    assert_eq!(first.len(), 64);
    fs::write(dir.path().join("b.in"), "{{ UTIL }} ").expect("written");
    assert_ne!(said(), first, "another template is another spec");
}

#[test]
fn large_and_deep_texts_are_answered_in_time() {
    let started = std::time::Instant::now();
    let deep = |open: &str, n: usize| format!("x = {}", open.repeat(n));
    let wide: String = (0..20_000).map(|n| format!("K{n} = {n}\n")).collect();
    let list: Vec<String> = (0..5_000).map(|n| n.to_string()).collect();
    let list = format!("N = [{}]\nUTIL = [", list.join(", "));
    let not = format!("\"{}UTIL\"", "not ".repeat(20_000));
    let parentheses = format!("\"{}\"", "(".repeat(20_000));
    let texts = [
        deep("[", 100_000),
        deep("{a=", 100_000),
        format!("[{}a]", "a.".repeat(100_000)),
        format!("[study]\n{wide}"),
        format!("[base]\n{wide}[space]\n{wide}"),
        GOOD.replace(
            "[env]",
            &"[[rule]]\nrequire = 'rate > 0 or rank > 3'\n".repeat(2000),
        ),
        GOOD.replace("UTIL = [", &list),
        GOOD.replace("\"SOFT <= HARD\"", &not),
        GOOD.replace("\"SOFT <= HARD\"", &parentheses),
        GOOD.replace("{{ MAX_MODEL_LEN }}", &"{% if UTIL %}".repeat(5_000)),
        GOOD.replace(
            "{{ MAX_MODEL_LEN }}",
            &format!("{{{{ {}1 }}}}", "-".repeat(50_000)),
        ),
        GOOD.replace("{{ MAX_MODEL_LEN }}", &"{% elif UTIL %}".repeat(20_000)),
        GOOD.replace("'tokens/s=", &format!("'{}", "(".repeat(20_000))),
        format!("# {}\nx", "y".repeat(1 << 20)),
    ];
    for text in &texts {
        if let Err(complaints) = check(text, &origin()) {
            assert!(!complaints.render(false).is_empty());
        }
    }
    assert!(started.elapsed() < Duration::from_secs(60));
}

#[test]
fn the_ends_of_the_numbers() {
    let text = GOOD
        .replace(
            "UTIL = [\"0.97\", \"0.98\", \"0.99\"]",
            "UTIL = { int = [-9223372036854775808, 9223372036854775807] }\n\
             HIGH = { int = [9223372036854775800, 9223372036854775807], log = true }\n\
             WIDE = { float = [-1e308, 1e308] }\n\
             TINY = { float = [5e-324, 1e308], log = true }",
        )
        .replace("SOFT <= HARD", "UTIL <= HIGH and TINY > 0")
        .replace("seed = 7", "seed = 18446744073709551615");
    let checked = good(&text);
    assert_eq!(checked.spec.seed, u64::MAX);
}

#[test]
fn braces_of_json_pass_through_templates() {
    let ready = "ready = { log = 'up', probe = { url = 'http://a:1/v1', \
                 body = '{\"a\":{\"b\":{\"c\":[{}]}},\"n\":{{ UTIL }}}' } }";
    let old =
        "ready = { http = \"http://127.0.0.1:8000/\", status = \"200-499\", timeout = \"240s\" }";
    let checked = good(&GOOD.replace(old, ready));
    assert!(checked.warnings.is_empty());
}

/// Pieces that a slip of the hand puts into a spec.
const PIECES: [&str; 24] = [
    "[",
    "]",
    "{",
    "}",
    "=",
    "\"",
    "'",
    "\n",
    ",",
    ".",
    "#",
    "\\",
    "\0",
    "é宽",
    "nan",
    "-1",
    "{{",
    "}}",
    "{%",
    "[[step]]",
    "[space]",
    "when = 'x'",
    "1e999",
    "99999999999999999999",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let text = String::from_utf8_lossy(&bytes);
        if let Err(complaints) = check(&text, &origin()) {
            prop_assert!(complaints.errors() > 0);
            prop_assert!(!complaints.render(true).is_empty());
        }
    }

    #[test]
    fn no_change_of_a_good_spec_makes_it_panic(
        changes in proptest::collection::vec((0..GOOD.len(), 0..30usize, 0..PIECES.len() + 1), 1..4)
    ) {
        let mut bytes = GOOD.as_bytes().to_vec();
        for (at, length, piece) in changes {
            let at = at.min(bytes.len());
            let end = (at + length).min(bytes.len());
            let piece = PIECES.get(piece).map_or(&b""[..], |piece| piece.as_bytes());
            bytes.splice(at..end, piece.iter().copied());
        }
        let text = String::from_utf8_lossy(&bytes);
        match check(&text, &origin()) {
            Ok(checked) => prop_assert!(checked.spec.space.baseline().is_ok()),
            Err(complaints) => {
                prop_assert!(complaints.errors() > 0, "{text}");
                prop_assert!(!complaints.render(false).is_empty());
            }
        }
    }
}
