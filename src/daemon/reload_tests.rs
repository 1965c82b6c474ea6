use std::path::Path;

use super::*;
use crate::base::clock::Timestamp;
use crate::config::{Origin, check};
use crate::daemon::decide::Company;
use crate::model::spec::SamplerKind;
use crate::search::simulation::{list, space, spec};

fn written(values: &str) -> Spec {
    let space = space(vec![list("N", values, "")], &[]);
    let mut spec = spec(space, SamplerKind::Grid);
    spec.digest = values.to_owned();
    spec
}

fn take(state: &mut State, spec: Spec) -> (Reply, Decision) {
    let context = Context {
        now: Timestamp::from_millis(1),
        token: "t",
        boot_id: "b",
    };
    let mut decision = Decision::default();
    let warnings = vec!["w".to_owned()];
    let spec = Arc::new(spec);
    let reply = reload(
        state,
        spec,
        String::new(),
        warnings,
        &context,
        &mut decision,
    );
    (reply, decision)
}

fn state() -> State {
    state_of(written("1 2"))
}

fn state_of(spec: Spec) -> State {
    let study = Arc::new(Study::new(Arc::new(spec)));
    State::new(study, Company::default())
}

#[test]
fn another_space_is_asked_about_at_once() {
    let (reply, decision) = take(&mut state(), written("1 2 3"));
    assert!(matches!(reply, Reply::Accepted(Accepted::Reloaded(_))));
    assert_eq!(decision.facts.len(), 1);
    let spec = decision.spec.expect("a spec");
    assert_eq!(spec.digest, "1 2 3");
    assert!(decision.effects.contains(&Effect::Ask));
}

#[test]
fn the_same_is_so_already_and_another_study_is_refused() {
    let mut state = state();
    let (reply, decision) = take(&mut state, written("1 2"));
    assert!(matches!(reply, Reply::Ignored(Accepted::Reloaded(_))));
    assert!(decision.facts.is_empty() && decision.spec.is_none());
    let mut other = written("1 2 3");
    other.name = "other".to_owned();
    other.files.results = "r".to_owned();
    let (reply, decision) = take(&mut state, other);
    let parts = ["[study] name", "[files] results"]
        .map(str::to_owned)
        .to_vec();
    assert_eq!(reply, Reply::Refused(Refusal::NeedsRestart(parts)));
    assert!(decision.facts.is_empty() && decision.effects.is_empty());
}

/// A spec with every key that there is.
const WHOLE: &str = r#"
[study]
name = "s"
workdir = "/"
output_dir = "/o"
seed = 1
pass_env = ["A"]
pass_secrets = ["TOKEN"]
log_max = "1 MiB"
approve = "trial"
approve_timeout = "30m"
approve_default = "reject"
[objective]
maximize = "m"
[[constraint]]
metric = "a"
min = 0.5
max = 9
confidence = 0.9
[budget]
trials = 9
runs = 9
wall = "1h"
gpu_hours = 24
gpus = 2
converged = 0.01
converged_asks = 5
[search]
sampler = "coordinate"
passes = 2
levels = 5
racing = true
median = { after = 3, from = 7, minimize = "p" }
recheck = 9
[confirm]
runs = 9
[base]
N = 1
[space]
N = [1, 2]
V = { values = [1, 2], when = "N == 1", tunable = true }
I = { int = [1, 8], log = false }
F = { float = [1, 8] }
[[rule]]
require = "N <= I"
[env]
E = "1"
[[slot]]
name = "s1"
port = 9
env = { X = 1 }
[host]
port_wait = "1s"
port_kill = ["x"]
gpu_release = "3s"
cooldown = "1s"
fault_wait = "1s"
cgroup = true
[limits]
memory_max = "1 GiB"
swap_max = "1 GiB"
pids_max = 9
cpus = 1
required = false
[remedy]
enabled = true
[remedy.gpu-out-of-memory]
halve = "N"
double = ["I"]
set = { F = 2 }
[retention]
trials = 8
failures = 9
age = "1d"
size = "1 GiB"
artifacts = 3
[report]
language = "zh"
format = "md"
title = "a title"
notes = "a note"
dialogues = "d/*.jsonl"
[[report.dataset]]
name = "C-Eval"
samples = 100
metrics = { accuracy = "m" }
base = { accuracy = 0.5 }
notes = "its note"
[control]
socket = "/s"
read = "owner"
group = "g"
[files]
results = "results"
best = "best"
status = "status"
logs = "logs"
best_model = "model"
report = "r-{time}.md"
journal = "journal"
metrics = "/m.prom"
[catalogue]
ms_swift = "3.0"
[advisor]
enabled = true
base_url = "http://localhost:9/v1"
model = "gpt"
api_key = { credential = "key" }
ca = "/authority"
temperature = 0.25
timeout = "9s"
max_tokens = 9000
answer_tokens = 900
price = { prompt = 1, completion = 2 }
max_priority_params = 4
rounds_per_param = 5
share = 0.5
language = "both"
about = "a thing"
[notify]
language = "en"
[notify.heartbeat]
trials = 7
interval = "7s"
[notify.trial_done]
every = 7
[[notify.channel]]
name = "feishu"
type = "feishu"
kinds = ["best"]
fallback = false
ca = "/ca"
url = { credential = "url" }
secret = { env = "SECRET" }
[[notify.channel]]
name = "webhook"
type = "webhook"
url = { file = "/url", name = "URL" }
body = "{}"
[[notify.channel]]
name = "mail"
type = "smtp"
host = "mail"
port = 25
security = "tls"
user = "me"
password = { file = "/password" }
from = "me@example.com"
to = ["you@example.com"]
[[preflight]]
name = "look"
enabled = true
command = ["look"]
params = "env"
env = { L = "1" }
file = [{ name = "look", text = "1" }]
workdir = "lw"
stop = ["unlook"]
stop_grace = "3s"
timeout = "4s"
find = { FOUND = "out/l-*" }
notes = { look = "warning" }
[[incumbent]]
name = "follow"
enabled = true
command = ["follow"]
params = "env"
env = { O = "1" }
file = [{ name = "follow", text = "1" }]
workdir = "fw"
stop = ["unfollow"]
stop_grace = "5s"
timeout = "6s"
find = { FOUND = "out/f-*" }
notes = { follow = "warning" }
[[step]]
name = "tcp"
enabled = true
kind = "service"
command = ["tcp"]
ready = { tcp = "localhost:1" }
[[step]]
name = "log"
kind = "service"
command = ["log"]
ready = { log = "up" }
[[step]]
name = "http"
kind = "service"
command = ["http"]
params = "env"
env = { S = "1" }
file = [{ name = "f", text = "1" }]
workdir = "w"
stop = ["stop"]
stop_grace = "1s"
ready = { http = "http://localhost/", status = "200", timeout = "1s", settle = "1s", owner = "any", probe = { url = "http://localhost/" } }
[[step]]
name = "train"
kind = "task"
command = ["train"]
find = { DATA = "out/data-*" }
notes = { run = "https://x" }
artifacts = ["out/best"]
resume = { checkpoint = "out/c-*", arguments = ["{{ checkpoint }}"] }
stall_timeout = "8m"
[step.progress]
p = { regex = "(p)" }
q = { jsonl = "q.jsonl", pointer = "/q", step = "/s" }
[[step]]
name = "eval"
kind = "measure"
command = ["eval"]
env = { P = "{{ part }}" }
timeout = "1s"
runs = 3
warmup = 1
parts = 4
[step.metrics]
m = { regex = "(m)", match = "last" }
a = { json = "/a", file = "a.json" }
o = { json = "/o", optional = false }
b = { jsonl = "b.jsonl", pointer = "/b" }
t = { json = "/t", file = "t.json", records = "/list", at = 6, step = "/step" }
"#;

/// What becomes of a key when it differs in a file that is read again.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Class {
    /// It holds from then on.
    Live,
    /// It is refused.
    Restart,
}

/// Every key, a place in [`WHOLE`], and what stands there instead.
#[rustfmt::skip]
const KEYS: &[(Class, &str, &str, &str, &str)] = {
    use Class::{Live, Restart};
    &[
        (Live, "", "preset", "\n[study]", "\npreset = \"serving-env\"\n[study]"),
        (Restart, "[study]", "name", "\"s\"", "\"t\""),
        (Live, "[study]", "workdir", "workdir = \"/\"", "workdir = \"/tmp\""),
        (Restart, "[study]", "output_dir", "\"/o\"", "\"/p\""),
        (Restart, "[study]", "seed", "seed = 1", "seed = 2"),
        (Live, "[study]", "pass_env", "[\"A\"]", "[\"B\"]"),
        (Live, "[study]", "pass_secrets", "[\"TOKEN\"]", "[\"KEY\"]"),
        (Live, "[study]", "log_max", "1 MiB", "2 MiB"),
        (Live, "[study]", "approve", "approve = \"trial\"", "approve = \"parameter\""),
        (Live, "[study]", "approve_timeout", "30m", "31m"),
        (Live, "[study]", "approve_default", "\"reject\"", "\"approve\""),
        (Live, "[objective]", "maximize", "maximize = \"m\"", "maximize = \"b\""),
        (Live, "[objective]", "minimize", "maximize", "minimize"),
        (Live, "[[constraint]]", "metric", "metric = \"a\"", "metric = \"b\""),
        (Live, "[[constraint]]", "min", "min = 0.5", "min = 0.6"),
        (Live, "[[constraint]]", "max", "max = 9", "max = 8"),
        (Live, "[[constraint]]", "confidence", "confidence = 0.9", "confidence = \"mean\""),
        (Live, "[budget]", "trials", "trials = 9", "trials = 7"),
        (Live, "[budget]", "runs", "runs = 9", "runs = 8"),
        (Live, "[budget]", "wall", "1h", "2h"),
        (Live, "[budget]", "gpu_hours", "gpu_hours = 24", "gpu_hours = 48"),
        (Live, "[budget]", "gpus", "gpus = 2", "gpus = 4"),
        (Live, "[budget]", "converged", "converged = 0.01", "converged = 0"),
        (Live, "[budget]", "converged_asks", "converged_asks = 5", "converged_asks = 6"),
        (Live, "[search]", "sampler", "coordinate", "grid"),
        (Live, "[search]", "passes", "passes = 2", "passes = 3"),
        (Live, "[search]", "levels", "levels = 5", "levels = 6"),
        (Live, "[search]", "racing", "racing = true", "racing = false"),
        (Live, "[search]", "median", "median = { after", "# { after"),
        (Live, "median", "after", "after = 3", "after = 4"),
        (Live, "median", "from", "from = 7", "from = 8"),
        (Live, "median", "minimize", "minimize = \"p\"", "minimize = \"q\""),
        (Live, "median", "maximize", "minimize = \"p\"", "maximize = \"p\""),
        (Live, "[search]", "recheck", "recheck = 9", "recheck = 8"),
        (Live, "[confirm]", "runs", "[confirm]\nruns = 9", "[confirm]\nruns = 8"),
        (Live, "[base]", "NAME", "N = 1\n", "N = 2\n"),
        (Live, "[space]", "NAME", "N = [1, 2]", "N = [1, 2, 3]"),
        (Live, "[space]", ".values", "values = [1, 2]", "values = [1, 3]"),
        (Live, "[space]", ".int", "int = [1, 8]", "int = [1, 9]"),
        (Live, "[space]", ".float", "float = [1, 8]", "float = [1, 9]"),
        (Live, "[space]", ".log", "log = false", "log = true"),
        (Live, "[space]", ".when", "N == 1", "N == 2"),
        (Live, "[space]", ".tunable", "tunable = true", "tunable = false"),
        (Live, "[[rule]]", "require", "N <= I", "N < I + 1"),
        (Live, "[env]", "NAME", "E = \"1\"", "E = \"2\""),
        (Live, "[[slot]]", "name", "name = \"s1\"", "name = \"s2\""),
        (Live, "[[slot]]", "env", "X = 1", "X = 2"),
        (Live, "[[slot]]", "port", "port = 9", "port = 8"),
        (Live, "[host]", "port_wait", "port_wait = \"1s\"", "port_wait = \"2s\""),
        (Live, "[host]", "port_kill", "[\"x\"]", "[\"y\"]"),
        (Live, "[host]", "gpu_release", "\"3s\"", "\"4s\""),
        (Live, "[host]", "cooldown", "cooldown = \"1s\"", "cooldown = \"2s\""),
        (Live, "[host]", "fault_wait", "fault_wait = \"1s\"", "fault_wait = \"2s\""),
        (Live, "[host]", "cgroup", "cgroup = true\n[limits]\nmemory_max = \"1 GiB\"\nswap_max = \"1 GiB\"\npids_max = 9\ncpus = 1\nrequired = false", "cgroup = false"),
        (Live, "[limits]", "memory_max", "memory_max = \"1", "memory_max = \"2"),
        (Live, "[limits]", "swap_max", "swap_max = \"1", "swap_max = \"2"),
        (Live, "[limits]", "pids_max", "pids_max = 9", "pids_max = 8"),
        (Live, "[limits]", "cpus", "cpus = 1", "cpus = 2"),
        (Live, "[limits]", "required", "required = false", "required = true"),
        (Live, "[remedy]", "enabled", "[remedy]\nenabled = true", "[remedy]\nenabled = false"),
        (Live, "[remedy.TROUBLE]", "halve", "halve = \"N\"", "halve = [\"N\", \"V\"]"),
        (Live, "[remedy.TROUBLE]", "double", "[\"I\"]", "[]"),
        (Live, "[remedy.TROUBLE]", "set", "set = { F = 2 }", "set = { F = 3 }"),
        (Live, "[retention]", "trials", "trials = 8", "trials = 7"),
        (Live, "[retention]", "failures", "failures = 9", "failures = 8"),
        (Live, "[retention]", "age", "1d", "2d"),
        (Live, "[retention]", "size", "size = \"1", "size = \"2"),
        (Live, "[retention]", "artifacts", "artifacts = 3", "artifacts = 4"),
        (Live, "[report]", "language", "language = \"zh\"\nformat", "language = \"en\"\nformat"),
        (Live, "[report]", "format", "format = \"md\"", "format = \"html\""),
        (Live, "[report]", "title", "a title", "another"),
        (Live, "[report]", "notes", "a note", "another"),
        (Live, "[report]", "dialogues", "d/*.jsonl", "e/*.jsonl"),
        (Live, "[[report.dataset]]", "name", "C-Eval", "CMMLU"),
        (Live, "[[report.dataset]]", "samples", "samples = 100", "samples = \"m\""),
        (Live, "[[report.dataset]]", "metrics", "metrics = { accuracy = \"m\" }\nbase = { accuracy = 0.5 }", "metrics = { f1 = \"m\" }"),
        (Live, "[[report.dataset]]", "base", "accuracy = 0.5", "accuracy = \"m\""),
        (Live, "[[report.dataset]]", "notes", "its note", "another"),
        (Restart, "[control]", "socket", "\"/s\"", "\"/t\""),
        (Restart, "[control]", "read", "owner", "all"),
        (Restart, "[control]", "group", "\"g\"", "\"h\""),
        (Restart, "[files]", "results", "\"results\"", "\"r\""),
        (Restart, "[files]", "best", "\"best\"", "\"b\""),
        (Restart, "[files]", "status", "\"status\"", "\"s2\""),
        (Restart, "[files]", "logs", "\"logs\"", "\"l\""),
        (Restart, "[files]", "best_model", "\"model\"", "\"m\""),
        (Live, "[files]", "report", "r-{time}", "q-{time}"),
        (Restart, "[files]", "journal", "\"journal\"", "\"j\""),
        (Restart, "[files]", "metrics", "/m.prom", "/n.prom"),
        (Live, "[catalogue]", "ms_swift", "\"3.0\"", "\"4.6.0\""),
        (Live, "[notify]", "language", "\"en\"", "\"zh\""),
        (Live, "[[notify.channel]]", "name", "name = \"feishu\"", "name = \"f\""),
        (Live, "[[notify.channel]]", "type", "\"webhook\"\nurl = { file = \"/url\", name = \"URL\" }\nbody = \"{}\"", "\"feishu\"\nurl = { file = \"/url\", name = \"URL\" }"),
        (Live, "[[notify.channel]]", "kinds", "[\"best\"]", "[\"done\"]"),
        (Live, "[[notify.channel]]", "fallback", "fallback = false", "fallback = true"),
        (Live, "[[notify.channel]]", "ca", "\"/ca\"", "\"/cb\""),
        (Live, "[[notify.channel]]", "url", "{ credential = \"url\" }", "{ env = \"URL\" }"),
        (Live, "[[notify.channel]]", "secret", "{ env = \"SECRET\" }", "{ file = \"/secret\" }"),
        (Live, "[[notify.channel]]", "body", "\"{}\"", "\"[]\""),
        (Live, "[[notify.channel]]", "host", "host = \"mail\"", "host = \"post\""),
        (Live, "[[notify.channel]]", "port", "port = 25", "port = 26"),
        (Live, "[[notify.channel]]", "security", "\"tls\"", "\"starttls\""),
        (Live, "[[notify.channel]]", "user", "\"me\"", "\"you\""),
        (Live, "[[notify.channel]]", "password", "{ file = \"/password\" }", "{ env = \"P\" }"),
        (Live, "[[notify.channel]]", "from", "\"me@", "\"us@"),
        (Live, "[[notify.channel]]", "to", "\"you@", "\"us@"),
        (Live, "[notify.heartbeat]", "trials", "trials = 7", "trials = 6"),
        (Live, "[notify.heartbeat]", "interval", "\"7s\"", "\"6s\""),
        (Live, "[notify.trial_done]", "every", "every = 7", "every = 6"),
        (Live, "[advisor]", "enabled", "enabled = true", "enabled = false"),
        (Live, "[advisor]", "base_url", "localhost:9", "localhost:8"),
        (Live, "[advisor]", "model", "\"gpt\"", "\"gpt-2\""),
        (Live, "[advisor]", "api_key", "{ credential = \"key\" }", "false"),
        (Live, "[advisor]", "ca", "\"/authority\"", "\"/other\""),
        (Live, "[advisor]", "temperature", "temperature = 0.25", "temperature = 0"),
        (Live, "[advisor]", "timeout", "\"9s\"", "\"8s\""),
        (Live, "[advisor]", "max_tokens", "max_tokens = 9000", "max_tokens = 0"),
        (Live, "[advisor]", "answer_tokens", "answer_tokens = 900", "answer_tokens = 800"),
        (Live, "[advisor]", "price", "prompt = 1,", "prompt = 3,"),
        (Live, "[advisor]", "max_priority_params", "params = 4", "params = 3"),
        (Live, "[advisor]", "rounds_per_param", "param = 5", "param = 4"),
        (Live, "[advisor]", "share", "share = 0.5", "share = 0.25"),
        (Live, "[advisor]", "language", "\"both\"", "\"zh\""),
        (Live, "[advisor]", "about", "a thing", "another"),
        (Live, "[advisor]", "prompt_file", "about = \"a thing\"", "about = \"a thing\"\nprompt_file = { plan = \"/dev/null\" }"),
        // Refused by `handlers::reload`, which knows the secrets that were read.
        (Live, "secret", "credential", "{ credential = \"url\" }", "{ credential = \"u\" }"),
        (Live, "secret", "file", "\"/url\"", "\"/u\""),
        (Live, "secret", "name", "\"URL\"", "\"U\""),
        (Live, "secret", "env", "\"SECRET\"", "\"S\""),
        (Live, "[[preflight]]", "name", "name = \"look\"\nenabled", "name = \"other\"\nenabled"),
        (Live, "[[preflight]]", "enabled", "\"look\"\nenabled = true", "\"look\"\nenabled = false"),
        (Live, "[[preflight]]", "command", "[\"look\"]", "[\"see\"]"),
        (Live, "[[preflight]]", "params", "[\"look\"]\nparams = \"env\"", "[\"look\"]\nparams = \"none\""),
        (Live, "[[preflight]]", "env", "L = \"1\"", "L = \"2\""),
        (Live, "[[preflight]]", "file", "\"look\", text = \"1\"", "\"look\", text = \"2\""),
        (Live, "[[preflight]]", "workdir", "\"lw\"", "\"lv\""),
        (Live, "[[preflight]]", "stop", "[\"unlook\"]", "[\"end\"]"),
        (Live, "[[preflight]]", "stop_grace", "\"3s\"\ntimeout", "\"2s\"\ntimeout"),
        (Live, "[[preflight]]", "timeout", "timeout = \"4s\"", "timeout = \"3s\""),
        (Live, "[[preflight]]", "find", "out/l-*", "out/m-*"),
        (Live, "[[preflight]]", "notes", "notes = { look", "notes = { glance"),
        (Live, "[[incumbent]]", "name", "name = \"follow\"\nenabled", "name = \"other\"\nenabled"),
        (Live, "[[incumbent]]", "enabled", "\"follow\"\nenabled = true", "\"follow\"\nenabled = false"),
        (Live, "[[incumbent]]", "command", "[\"follow\"]", "[\"go\"]"),
        (Live, "[[incumbent]]", "params", "[\"follow\"]\nparams = \"env\"", "[\"follow\"]\nparams = \"none\""),
        (Live, "[[incumbent]]", "env", "O = \"1\"", "O = \"2\""),
        (Live, "[[incumbent]]", "file", "\"follow\", text = \"1\"", "\"follow\", text = \"2\""),
        (Live, "[[incumbent]]", "workdir", "\"fw\"", "\"fv\""),
        (Live, "[[incumbent]]", "stop", "[\"unfollow\"]", "[\"end\"]"),
        (Live, "[[incumbent]]", "stop_grace", "\"5s\"\ntimeout", "\"2s\"\ntimeout"),
        (Live, "[[incumbent]]", "timeout", "timeout = \"6s\"", "timeout = \"3s\""),
        (Live, "[[incumbent]]", "find", "out/f-*", "out/g-*"),
        (Live, "[[incumbent]]", "notes", "notes = { follow", "notes = { go"),
        (Live, "[[step]]", "enabled", "\"tcp\"\nenabled = true", "\"tcp\"\nenabled = false"),
        (Live, "[[step]]", "find", "out/data-*", "out/date-*"),
        (Live, "[[step]]", "notes", "https://x", "https://y"),
        (Live, "[[step]]", "name", "name = \"eval\"", "name = \"test\""),
        (Live, "[[step]]", "kind", "kind = \"service\"\ncommand = [\"tcp\"]\nready = { tcp = \"localhost:1\" }", "kind = \"task\"\ncommand = [\"tcp\"]"),
        (Live, "[[step]]", "command", "[\"eval\"]", "[\"test\"]"),
        (Live, "[[step]]", "params", "params = \"env\"", "params = \"none\""),
        (Live, "[[step]]", "env", "S = \"1\"", "S = \"2\""),
        (Live, "[[step]]", "file", "text = \"1\"", "text = \"2\""),
        (Live, "[[step]]", "workdir", "\"w\"", "\"v\""),
        (Live, "[[step]]", "stop", "[\"stop\"]", "[\"end\"]"),
        (Live, "[[step]]", "stop_grace", "stop_grace = \"1s\"", "stop_grace = \"2s\""),
        (Live, "[[step]]", "artifacts", "[\"out/best\"]", "[\"out/last\"]"),
        (Live, "[[step]]", "resume", "out/c-*", "out/d-*"),
        (Live, "[[step]]", "timeout", "\ntimeout = \"1s\"", "\ntimeout = \"2s\""),
        (Live, "[[step]]", "runs", "runs = 3", "runs = 4"),
        (Live, "[[step]]", "warmup", "warmup = 1", "warmup = 2"),
        (Live, "[[step]]", "parts", "parts = 4", "parts = 5"),
        (Live, "[[step]]", "progress", "env = { P = \"{{ part }}\" }\ntimeout = \"1s\"\nruns = 3\nwarmup = 1\nparts = 4", "timeout = \"1s\"\nruns = 3\nwarmup = 1\nprogress = '(m)'"),
        (Live, "[[step]]", "stall_timeout", "8m", "9m"),
        (Live, "[[step]]", "ready", "http://localhost/\", s", "http://localhost/x\", s"),
        (Live, "[[step]]", "metrics", "(m)", "(n)"),
        (Live, "ready", "http", "http://localhost/\", s", "http://localhost/x\", s"),
        (Live, "ready", "tcp", "localhost:1", "localhost:2"),
        (Live, "ready", "log", "log = \"up\"", "log = \"ready\""),
        (Live, "ready", "status", "200", "201"),
        (Live, "ready", "timeout", ", timeout = \"1s\"", ", timeout = \"2s\""),
        (Live, "ready", "settle", "settle = \"1s\"", "settle = \"2s\""),
        (Live, "ready", "owner", "\"any\"", "\"trial\""),
        (Live, "ready", "probe", "{ url = \"http://localhost/\" }", "{ url = \"http://localhost/y\" }"),
        (Live, "[step.metrics]", "NAME", "(m)", "(n)"),
        (Live, "[step.metrics]", ".regex", "(m)", "(n)"),
        (Live, "[step.metrics]", ".match", "\"last\"", "\"first\""),
        (Live, "[step.metrics]", ".records", "\"/list\"", "\"/log\""),
        (Live, "[step.metrics]", ".at", "at = 6", "at = 7"),
        (Live, "[step.metrics]", ".step", "\"/step\"", "\"/steps\""),
        (Live, "[step.progress]", "NAME", "q = {", "r = {"),
        (Live, "[step.progress]", ".regex", "(p)", "(q)"),
        (Live, "[step.progress]", ".jsonl", "q.jsonl", "r.jsonl"),
        (Live, "[step.progress]", ".pointer", "\"/q\"", "\"/r\""),
        (Live, "[step.progress]", ".step", "\"/s\" }", "\"/t\" }"),
        (Live, "[step.metrics]", ".json", "\"/a\"", "\"/c\""),
        (Live, "[step.metrics]", ".file", "a.json", "c.json"),
        (Live, "[step.metrics]", ".jsonl", "b.jsonl", "c.jsonl"),
        (Live, "[step.metrics]", ".optional", "optional = false", "optional = true"),
        (Live, "[step.metrics]", ".pointer", "\"/b\"", "\"/c\""),
    ]
};

fn checked(text: &str) -> Spec {
    let origin = Origin::of(Path::new("/s.toml"));
    check(text, &origin)
        .unwrap_or_else(|wrong| panic!("{wrong}"))
        .spec
}

#[test]
fn every_key_holds_at_once_or_is_refused() {
    for (class, section, key, old, new) in KEYS {
        assert!(WHOLE.contains(old), "{section} {key}");
        let after = checked(&WHOLE.replacen(old, new, 1));
        let before = checked(WHOLE);
        let same = Spec {
            digest: before.digest.clone(),
            ..after.clone()
        };
        // What a preset fills in is its own affair; a catalogue is only held
        // against the text.
        let differs = same != before || ["preset", "ms_swift"].contains(key);
        assert!(differs, "{section} {key} changes nothing");
        let (reply, decision) = take(&mut state_of(before), after);
        match class {
            Class::Live => {
                let accepted = matches!(reply, Reply::Accepted(Accepted::Reloaded(_)));
                assert!(accepted, "{section} {key}: {reply:?}");
                assert!(decision.spec.is_some());
            }
            Class::Restart => {
                let parts = vec![format!("{section} {key}")];
                assert_eq!(reply, Reply::Refused(Refusal::NeedsRestart(parts)));
                assert!(decision.facts.is_empty());
            }
        }
    }
}

/// A new key needs a line in `KEYS`, and, where it needs a restart, in the
/// man page.
#[test]
fn every_key_of_the_table_has_a_class() {
    let source = include_str!("../config/mod.rs");
    let rows = source
        .lines()
        .filter_map(|line| line.strip_prefix("//! | "));
    let mut section = String::new();
    let mut found = 0;
    for row in rows {
        let cells: Vec<&str> = row.split('|').collect();
        let [first, keys, ..] = cells[..] else {
            continue;
        };
        let words = |cell: &str| -> Vec<String> {
            let words = cell.split(['`', ',', ' ']).map(str::to_owned);
            words
                .filter(|word| !word.is_empty() && word != "or")
                .collect()
        };
        if words(first) == ["section"] {
            continue;
        }
        section = words(first).pop().unwrap_or(section);
        for key in &words(keys) {
            let known = KEYS.iter().any(|(_, s, k, ..)| *s == section && k == key);
            assert!(known, "{section} {key} has no class");
            found += 1;
        }
    }
    assert_eq!(found, KEYS.len(), "a key that the table does not have");
    let man = include_str!("../../man/autotune.toml.5");
    let (_, man) = man.split_once(".Sh RELOADING").expect("a section");
    let (man, _) = man.split_once(".Sh ").expect("the next");
    for (class, section, key, ..) in KEYS {
        let listed = man.contains(&format!(".It Li {section} Ic {key}\n"));
        assert_eq!(
            listed,
            *class == Class::Restart,
            "{section} {key} in the man page"
        );
    }
}
