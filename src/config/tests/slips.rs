//! What is said about each slip that a spec can have: one change of the good
//! spec each, with the complaints that it gives in the snapshot.

use super::{GOOD, complaints};

/// The complaints about the good spec after `find` was replaced.
fn broken(find: &str, replace: &str) -> String {
    assert_eq!(GOOD.matches(find).count(), 1, "`{find}` must occur once");
    complaints(&GOOD.replace(find, replace))
}

/// What is said after each of the replacements in the good spec.
fn table(cases: &[(&str, &str)]) -> String {
    let mut said = String::new();
    for (find, replace) in cases {
        let change = match (find.trim(), replace.trim()) {
            (find, "") => format!("without {find}"),
            (_, replace) => replace.to_owned(),
        };
        let complaints = broken(find, replace);
        let complaints = if complaints.is_empty() {
            "fine"
        } else {
            &complaints
        };
        for line in change.lines() {
            said.push_str(&format!("{line}\n"));
        }
        for line in complaints.lines() {
            said.push_str(&format!("    {line}\n"));
        }
    }
    said
}

#[test]
fn study_and_objective() {
    let said = table(&[
        ("name = \"qwen-serving\"", "nam = \"x\""),
        ("\"qwen-serving\"", "\"qwen/../serving\""),
        ("\"qwen-serving\"", "\".hidden\""),
        ("\"qwen-serving\"", "5"),
        ("\"/data/qwen\"", "\"~/qwen\""),
        ("\"/data/qwen\"", "\"\""),
        ("\"/data/qwen\"", "\"/a\\u0000b\""),
        ("seed = 7", "seed = -7"),
        ("seed = 7", "seed = 7.0"),
        ("seed = 7", "log_max = \"lots\""),
        ("seed = 7", "log_max = 12"),
        ("\"HF_HOME\"", "\"HF-HOME\""),
        ("\"HF_HOME\"", "\"NOTIFY_SOCKET\""),
        ("\"HF_HOME\"", "3"),
        ("maximize = ", "maximise = "),
        (
            "maximize = \"total_tps\"",
            "maximize = \"total_tps\"\nminimize = \"loss\"",
        ),
        ("maximize = \"total_tps\"", "maximize = \"total_tp\""),
        ("metric = \"accuracy\"", "metric = \"speed\""),
        ("min = 0.88", ""),
        ("min = 0.88", "min = nan"),
        ("min = 0.88", "min = \"0.88\""),
        ("min = 0.88", "min = 0.88\nmax = 0.5"),
        (
            "min = 0.88",
            "min = 0.88\n[[constraint]]\nmetric = \"accuracy\"\nmax = 1",
        ),
        ("[[constraint]]", "[constraint]"),
        ("[objective]", "[objektive]"),
        ("[study]", "[monitor]\n[study]"),
        ("metric = \"accuracy\"", "metric = \"ok\""),
        ("name = \"qwen-serving\"", "name = \"a\u{1b}b\""),
    ]);
    insta::assert_snapshot!(said);
}

#[test]
fn budget_search_host_and_files() {
    let said = table(&[
        ("trials = 200", "trials = 0"),
        ("trials = 200", "trials = 5000000000"),
        ("wall = \"12h\"", "wall = \"0s\""),
        ("wall = \"12h\"", "wall = \"soon\""),
        ("wall = \"12h\"", "wall = -5"),
        ("wall = \"12h\"", "wall = \"9999d\""),
        ("wall = \"12h\"", "wall = [1]"),
        ("wall = \"12h\"", "gpu_hours = 0"),
        ("wall = \"12h\"", "gpus = 0"),
        ("wall = \"12h\"", "converged = 1"),
        ("wall = \"12h\"", "converged_asks = 0"),
        ("min = 0.88", "min = 0.88\nconfidence = 1"),
        ("min = 0.88", "min = 0.88\nconfidence = \"median\""),
        ("\"coordinate\"", "\"cordinate\""),
        ("\"coordinate\"", "\"simplex\""),
        ("passes = 2", "levels = 1"),
        ("passes = 2", "racing = \"yes\""),
        ("passes = 2", "racing = false"),
        ("[env]", "[host]\nport_wait = \"1 parsec\"\n[env]"),
        ("[env]", "[files]\nbest = \"../b\"\n[env]"),
        ("[env]", "[files]\nbest = \"/b\"\n[env]"),
        ("[env]", "[files]\nbest = \"tune_status.json\"\n[env]"),
        ("[env]", "[files]\nresults = \"x\"\nbest = \"x/y\"\n[env]"),
        ("[env]", "[files]\nlogs = \"x\"\nbest = \"x/y\"\n[env]"),
        ("[env]", "[files]\nbest = \"journal.jsonl\"\n[env]"),
        (
            "[budget]\ntrials = 200\nwall = \"12h\"\n\n[search]\nsampler = \"coordinate\"",
            "[search]\nsampler = \"random\"",
        ),
    ]);
    insta::assert_snapshot!(said);
}

#[test]
fn limits() {
    let said = table(&[
        ("[env]", "[limits]\nmemory_max = \"24 GB\"\n[env]"),
        ("[env]", "[limits]\nmemory_max = \"24 parsecs\"\n[env]"),
        ("[env]", "[limits]\nmemory_max = 24\n[env]"),
        ("[env]", "[limits]\nmem_max = \"24 GiB\"\n[env]"),
        ("[env]", "[limits]\nswap_max = \"1 GiB\"\n[env]"),
        ("[env]", "[limits]\npids_max = 0\n[env]"),
        ("[env]", "[limits]\npids_max = \"many\"\n[env]"),
        ("[env]", "[limits]\ncpus = 0\n[env]"),
        ("[env]", "[limits]\ncpus = \"0-7\"\n[env]"),
        ("[env]", "[limits]\nrequired = \"yes\"\n[env]"),
        ("[env]", "limits = \"required\"\n[env]"),
        ("[env]", "[limits]\ncpus = 2\n[host]\ncgroup = false\n[env]"),
    ]);
    insta::assert_snapshot!(said);
}

#[test]
fn base_and_space() {
    let said = table(&[
        ("UTIL = [", "PATH = ["),
        (
            "MAX_MODEL_LEN = \"1024\"",
            "MAX_MODEL_LEN = \"1024\"\n\"GPU-MEM\" = 1",
        ),
        (
            "MAX_MODEL_LEN = \"1024\"",
            "MAX_MODEL_LEN = \"1024\"\ntrial = 1",
        ),
        ("MAX_MODEL_LEN = \"1024\"", "MAX_MODEL_LEN = 1979-05-27"),
        ("SOFT = \"96\"", "SOFT = \"80\""),
        ("SOFT = \"96\"", "SOFT = \"96.0\""),
        ("rank = 16", "rank = 65"),
        ("rank = 16", "rank = 99999999999999999999"),
        ("[\"0.97\", \"0.98\", \"0.99\"]", "[]"),
        ("[\"0.97\", \"0.98\", \"0.99\"]", "[1, 2, 1]"),
        ("[\"0.97\", \"0.98\", \"0.99\"]", "[1, 0.5]"),
        ("[\"0.97\", \"0.98\", \"0.99\"]", "[1, inf]"),
        ("[\"0.97\", \"0.98\", \"0.99\"]", "[1, \"auto\"]"),
        ("[\"0.97\", \"0.98\", \"0.99\"]", "[1, [2]]"),
        ("[\"0.97\", \"0.98\", \"0.99\"]", "\"0.97\""),
        ("[\"0.97\", \"0.98\", \"0.99\"]", "{ log = true }"),
        (
            "[\"0.97\", \"0.98\", \"0.99\"]",
            "{ values = [1], log = true }",
        ),
        (
            "[\"0.97\", \"0.98\", \"0.99\"]",
            "{ values = [1], int = [1, 2] }",
        ),
        ("int = [4, 64]", "int = [4]"),
        ("int = [4, 64]", "int = [4, 6.5]"),
        ("int = [4, 64]", "int = [64, 4]"),
        ("int = [4, 64]", "int = [0, 64]"),
        ("int = [4, 64]", "itn = [4, 64]"),
        ("[1e-5, 1e-3]", "[\"a\", 1e-3]"),
        (
            "SOFT = [\"64\", \"96\", \"128\"]",
            "SOFT = [\"64\", \"96\"]\nSOFT = [\"1\"]",
        ),
        ("[env]", "[env]\nUTIL = \"1\""),
        ("[env]", "[env]\nUTIL = \"{{ UTIL }}x\"\nN = 3"),
        ("[env]", "[env]\nHOME = \"/x\""),
    ]);
    insta::assert_snapshot!(said);
}

#[test]
fn rules_and_conditions() {
    let when = "train_type == 'lora'";
    let rule = "SOFT <= HARD";
    let said = table(&[
        (rule, "SOFT <= HRAD"),
        (rule, "train_type == lora"),
        (rule, "SOFT <="),
        (rule, "SOFT > HARD * 2"),
        (rule, "SOFT == '64'"),
        (rule, "SOFT < HARD"),
        (rule, "HARD // (SOFT - 128) < 0"),
        (rule, "rate > 1"),
        (rule, "rank <= 64 or train_type == 'full'"),
        ("require = ", "requires = "),
        (when, "trian_type == 'lora'"),
        (when, "rate > 0"),
        (when, "rank > 0"),
        (when, "train_type == 'loar'"),
        (when, "UTIL == '0.97'"),
        (when, "MAX_MODEL_LEN == 1024"),
    ]);
    insta::assert_snapshot!(said);
}

#[test]
fn steps() {
    let said = table(&[
        ("name = \"eval\"", "name = \"serve\""),
        ("name = \"eval\"", "name = \"e val\""),
        ("kind = \"measure\"", "kind = \"mesure\""),
        ("kind = \"measure\"", "kind = \"task\""),
        ("kind = \"measure\"", ""),
        ("kind = \"service\"", "kind = \"task\""),
        ("runs = 5", "runs = 0"),
        ("runs = 5", "runs = \"5\""),
        ("runs = 5", "rnus = 5"),
        ("runs = 5", "ready = {}"),
        (
            "[\"python3\", \"eval_local.py\"]",
            "\"python3 eval_local.py\"",
        ),
        ("[\"python3\", \"eval_local.py\"]", "[]"),
        ("[\"python3\", \"eval_local.py\"]", "[\"\"]"),
        ("[\"python3\", \"eval_local.py\"]", "[\"a\", 1]"),
        ("{{ MAX_MODEL_LEN }}", "{{ MAX_MODEL_LENGTH }}"),
        ("{{ MAX_MODEL_LEN }}", "{{ MAX_MODEL_LEN"),
        ("{{ MAX_MODEL_LEN }}", "{{ MAX_MODEL_LEN + 1 }}"),
        ("{{ MAX_MODEL_LEN }}", "{{ MAX_MODEL_LEN|int + 1 }}"),
        ("{{ MAX_MODEL_LEN }}", "{{ rank }}"),
        (
            "{{ MAX_MODEL_LEN }}",
            "{% if train_type == 'lora' %}{{ rank }}{% endif %}",
        ),
        ("\"a.yaml\"", "\"../a.yaml\""),
        ("\"a.yaml\"", "\"trial.json\""),
        (
            "{ name = \"a.yaml\",",
            "{ name = \"a.yaml\", template = \"t\",",
        ),
        (
            "stop_grace = \"15s\"",
            "stop_grace = \"15\"\nparams = \"arguments\"",
        ),
        (
            "stop_grace = \"15s\"",
            "env = { PATH = \"x\", LISTEN_FDS = \"3\" }",
        ),
        (
            "stop_grace = \"15s\"",
            "params = \"none\"\nenv = { UTIL = \"1\" }",
        ),
        ("stop_grace = \"15s\"", "runs = 3"),
        ("stop_grace = \"15s\"", "metrics.x = '(a)'"),
        (
            "[\"bash\", \"run_model.sh\", \"--len={{ MAX_MODEL_LEN }}\"]",
            "[\"docker\", \"run\", \"x\"]",
        ),
        (
            "[\"bash\", \"run_model.sh\", \"--len={{ MAX_MODEL_LEN }}\"]",
            "[\"docker\", \"run\", \"x\"]\nstop = [\"docker\", \"stop\", \"x\"]",
        ),
    ]);
    insta::assert_snapshot!(said);
}

#[test]
fn readiness() {
    let ready = "{ http = \"http://127.0.0.1:8000/\", status = \"200-499\", timeout = \"240s\" }";
    let line = format!("ready = {ready}");
    let said = table(&[
        (&line, ""),
        (ready, "{}"),
        (ready, "{ http = \"http://a/\", tcp = \"a:1\" }"),
        (ready, "{ http = \"https://a/\" }"),
        (ready, "{ http = \"{{ workdir }}\" }"),
        (
            ready,
            "{ http = \"http://a:{{ trial }}/\", status = 200, owner = \"any\" }",
        ),
        (ready, "{ http = \"http://a\", status = \"ok\" }"),
        (ready, "{ http = \"http://a\", status = \"499-200\" }"),
        (ready, "{ http = \"http://a\", owner = \"all\" }"),
        (ready, "{ http = \"http://a\", timeout = 0 }"),
        (ready, "{ http = \"http://a\", timout = 0 }"),
        (ready, "{ tcp = \"a\" }"),
        (ready, "{ tcp = \"a:1\", status = 200, settle = 1 }"),
        (ready, "{ log = '(', owner = 'any' }"),
        (ready, "{ log = \"a\\\\\" }"),
        (
            ready,
            "{ log = \"ready\", probe = { url = \"http://a\", body = \"{}\", status = \"200,204\", expect = 'ok', timeout = 3 } }",
        ),
        (
            ready,
            "{ log = \"ready\", probe = { body = \"{{ A }}\", uri = 3 } }",
        ),
    ]);
    insta::assert_snapshot!(said);
}

#[test]
fn metrics() {
    let last = "{ json = \"/results/loss\", file = \"{{ trial_dir }}/out.json\" }";
    let table_of = r#"[step.metrics]
accuracy = { regex = 'Accuracy:\s*(\S+)', match = "first" }
total_tps = 'tokens/s=(\S+)'
loss = { json = "/results/loss", file = "{{ trial_dir }}/out.json" }
"#;
    let said = table(&[
        (table_of, ""),
        (last, "'loss: .*'"),
        (last, "'loss: ('"),
        (last, "3"),
        (last, "{ json = \"results.loss\" }"),
        (last, "{ json = \"/a~b\" }"),
        (last, "{ json = \"/a~1b/~0\" }"),
        (last, "{ json = \"/a\", match = \"last\" }"),
        (last, "{ jsonl = \"out/{{ trial }}.jsonl\" }"),
        (last, "{ jsonl = \"x\", pointer = \"/loss\" }"),
        (last, "{ regex = '(a)', json = \"/x\" }"),
        (last, "{ regex = '(a)', match = \"best\" }"),
        (last, "{}"),
        ("loss = {", "error = {"),
        ("loss = {", "\"a b\" = {"),
        (
            table_of,
            &format!(
                "{table_of}[[step]]\nname = \"again\"\nkind = \"task\"\ncommand = [\"x\"]\nmetrics.loss = '(x)'\n"
            ),
        ),
    ]);
    insta::assert_snapshot!(said);
}

#[test]
fn parts_and_progress() {
    let command = "runs = 5\ncommand = [\"python3\", \"eval_local.py\"]";
    let said = table(&[
        (
            command,
            "parts = 4\ncommand = [\"x\", \"{{ part }}/{{ parts }}\"]",
        ),
        (
            command,
            "runs = 1\nwarmup = 2\nparts = 4\nenv = { P = \"{{ part }}\" }\ncommand = [\"x\"]",
        ),
        (command, "parts = 4\ncommand = [\"x\"]"),
        (command, "parts = 4\ncommand = [\"x\", \"{{ parts }}\"]"),
        (command, "parts = 1\ncommand = [\"x\", \"{{ part }}\"]"),
        (command, "parts = 101\ncommand = [\"x\", \"{{ part }}\"]"),
        (command, "command = [\"x\", \"{{ part }}\"]"),
        (command, "command = [\"x\"]\nenv = { P = \"{{ parts }}\" }"),
        (
            command,
            "parts = 4\ncommand = [\"x\", \"{{ part }}\"]\nfile = [{ name = \"f\", text = \"{{ part }}\" }]",
        ),
        ("runs = 5", "progress = 'so far (\\S+)'"),
        ("runs = 5", "progress = 'so far (?<accuracy>\\S+)'"),
        ("runs = 5", "progress = 'so far \\S+'"),
        ("runs = 5", "progress = 'so far ('"),
        ("runs = 5", "progress = 'so far (?<speed>\\S+)'"),
        (
            command,
            "parts = 4\nprogress = '(\\S+)'\ncommand = [\"x\", \"{{ part }}\"]",
        ),
        ("stop_grace = \"15s\"", "parts = 4\nprogress = '(\\S+)'"),
        ("UTIL =", "part ="),
    ]);
    insta::assert_snapshot!(said);
}
