//! `artifacts`, `resume` and the names of what is kept.

use super::{complaints, good};

const LEAST: &str = "study.name = 's'\nstudy.workdir = '/w'\nobjective.minimize = 'ms'\nspace.N = [1, 2]\n\
    [[step]]\nname = 'train'\nkind = 'task'\ncommand = ['train', '{{ N }}']\nmetrics.ms = '(.)'\n";

#[test]
fn patterns_and_checkpoints() {
    let checked = good(&format!(
        "{LEAST}artifacts = ['out/best/**', 'a-{{{{ N }}}}.bin', \
         {{ glob = '{{{{ trial_dir }}}}/*', newest = true, required = true }}]\n\
         resume = {{ checkpoint = 'out/c-*', env = {{ FROM = '{{{{ checkpoint }}}}' }}, retry = true }}\n\
         [files]\nbest_model = 'best_overall_model'\n\
         report = 'docs/reports/agent_run_report_{{time}}.md'\n[retention]\nartifacts = 3"
    ));
    let step = &checked.spec.steps[0];
    let patterns: Vec<&str> = step
        .artifacts
        .iter()
        .map(|artifact| artifact.pattern.source())
        .collect();
    assert_eq!(
        patterns,
        ["out/best/**", "a-{{ N }}.bin", "{{ trial_dir }}/*"]
    );
    assert!(step.artifacts[2].newest && !step.artifacts[0].newest);
    let required = step.artifacts.iter().map(|artifact| artifact.required);
    let required: Vec<Option<bool>> = required.collect();
    assert_eq!(required, [None, None, Some(true)]);
    let resume = step.resume.as_ref().expect("it goes on");
    assert!(resume.retry && resume.arguments.is_empty() && resume.env.len() == 1);
    assert_eq!(checked.spec.files.best_model, "best_overall_model");
    assert_eq!(checked.spec.retention.artifacts, Some(3));
}

/// Racing may end a trial in the middle of a run that writes over what the run
/// before has made.
#[test]
fn artifacts_of_several_runs_are_warned_of() {
    let warnings = |runs: u32, command: &str, search: &str| {
        let spec = LEAST
            .replace("'task'", &format!("'measure'\nruns = {runs}"))
            .replace("['train', '{{ N }}']", command);
        let spec = format!("{spec}artifacts = ['out/model']\n[search]\n{search}");
        good(&spec).warnings.to_string()
    };
    let (same, own) = ("['train']", "['train', '{{ run }}']");
    assert!(warnings(2, same, "").contains("the best trial's artifacts may be lost"));
    for (runs, command, search) in [(1, same, ""), (2, own, ""), (2, same, "racing = false")] {
        let warnings = warnings(runs, command, search);
        assert!(!warnings.contains("artifacts"), "{warnings}");
    }
}

#[test]
fn slips() {
    let cases = [
        ("artifacts = '../out'", "must be a list"),
        ("artifacts = ['../out']", "leads out of its folder by `..`"),
        ("artifacts = ['/etc/passwd']", "is outside of /w"),
        ("artifacts = ['**']", "would take all that changes"),
        ("artifacts = ['out/a**']", "is not a pattern of files"),
        ("artifacts = [{ newest = true }]", "`glob`"),
        ("artifacts = ['{{ M }}']", "nothing is called `M`"),
        (
            "resume = { checkpoint = 'c-*' }",
            "does not say how the checkpoint is given",
        ),
        (
            "resume = { arguments = ['{{ checkpoint }}'] }",
            "`checkpoint`",
        ),
        (
            "resume = { checkpoint = 'c-*', complete = '/x', arguments = [] }",
            "within the checkpoint",
        ),
        (
            "env = { FROM = '{{ checkpoint }}' }",
            "nothing is called `checkpoint`",
        ),
        ("[files]\nreport = 'r.md'", "must have `{time}` once"),
        ("[files]\nreport = 'r-{time}.txt'", "end in .md"),
        ("[files]\nbest_model = '../x'", "within the output folder"),
        ("[files]\nbest_model = 'journal.jsonl'", "has this name"),
        ("[retention]\nartifacts = 0", "artifacts"),
    ];
    for (slip, expected) in cases {
        let said = complaints(&format!("{LEAST}{slip}"));
        assert!(said.contains(expected), "{slip}: {said}");
    }
    let measure = LEAST.replace("'task'", "'measure'");
    let said = complaints(&format!("{measure}resume = {{ checkpoint = 'c' }}"));
    assert!(said.contains("is for tasks only"), "{said}");
}
