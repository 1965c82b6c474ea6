//! Whether this machine has the programs, scripts and folders that the steps
//! name; what templates decide is left out.

use std::ffi::OsStr;
use std::path::Path;

use rustix::fs::{Access, access};

use super::finding::{Check, Finding};
use crate::exec::environment;
use crate::model::spec::Spec;
use crate::model::step::Step;
use crate::model::template::Template;
use crate::report::phrase::counted;

/// Programs that are given a script as their first argument.
const INTERPRETERS: [&str; 9] = [
    "sh", "bash", "dash", "zsh", "python", "perl", "ruby", "node", "Rscript",
];

/// What is there and what is not, as this user and with this PATH, which is
/// also that of every step.
pub fn look(spec: &Spec) -> Vec<Finding> {
    look_with(spec, std::env::var_os("PATH").as_deref())
}

fn look_with(spec: &Spec, path: Option<&OsStr>) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    let mut commands_found = 0;
    let mut say = |finding: Finding| {
        if !findings.contains(&finding) {
            findings.push(finding);
        }
    };
    let lacking = lacking_folder(&spec.workdir, "`workdir` in [study]");
    let usable = lacking.is_none();
    lacking.into_iter().for_each(&mut say);
    for step in spec.all_steps() {
        let whose = format!("`workdir` of the step `{}`", step.name);
        if step.workdir != spec.workdir
            && let Some(lacking) = lacking_folder(&step.workdir, &whose)
        {
            say(lacking);
            continue;
        }
        // In a folder that is not there nothing can be found.
        if !usable && step.workdir.starts_with(&spec.workdir) {
            continue;
        }
        let commands = [
            ("command", Some(&step.command)),
            ("stop", step.stop.as_ref()),
        ];
        for (key, command) in commands {
            let Some(command) = command else { continue };
            let whose = format!("`{key}` of the step `{}`", step.name);
            let lacking = lacking_program(command, step, &whose, path);
            commands_found += u64::from(lacking.is_none());
            lacking.into_iter().for_each(&mut say);
            lacking_script(command, step, &whose)
                .into_iter()
                .for_each(&mut say);
        }
    }
    if findings.is_empty() {
        let text = format!("{} can be started", counted(commands_found, "command"));
        findings.push(Finding::ok(Check::Steps, text));
    }
    findings
}

fn lacking_folder(folder: &Path, whose: &str) -> Option<Finding> {
    let shown = folder.display();
    let lacks = |what: String, remedy: &str| {
        let text = format!("{whose}: {what}");
        Some(Finding::error(Check::Steps, text, remedy))
    };
    // It is handed on as text, to the steps and to the runner.
    if folder.to_str().is_none() {
        let what = format!("the name of {shown} is not UTF-8");
        return lacks(what, "rename it, or name another");
    }
    if !folder.exists() {
        let what = format!("there is no folder {shown}");
        return lacks(what, "make it, or name another");
    }
    if !folder.is_dir() {
        return lacks(format!("{shown} is not a folder"), "name one");
    }
    if access(folder, Access::EXEC_OK).is_err() {
        let what = format!("{shown} cannot be entered");
        return lacks(what, "let this user enter it");
    }
    None
}

/// A word of a command that is the same in every trial.
fn fixed(word: &Template) -> Option<&str> {
    let source = word.source();
    let is_open = ["{{", "{%", "{#"].iter().any(|open| source.contains(open));
    (!is_open && !source.is_empty()).then_some(source)
}

fn lacking_program(
    command: &[Template],
    step: &Step,
    whose: &str,
    path: Option<&OsStr>,
) -> Option<Finding> {
    let program = fixed(command.first()?)?;
    let lacks = |what: String, remedy: &str| {
        let text = format!("{whose}: {what}");
        Some(Finding::error(Check::Steps, text, remedy))
    };
    if !program.contains('/') {
        let mut files = environment::files_of(OsStr::new(program), path);
        if files.any(|file| is_program(&step.workdir.join(file))) {
            return None;
        }
        let what = format!("no folder of PATH has the program {program}");
        return if is_program(&step.workdir.join(program)) {
            let remedy = format!("write ./{program} for the one in the step's folder");
            lacks(what, &remedy)
        } else {
            lacks(what, "install it, or write its whole path")
        };
    }
    let file = step.workdir.join(program);
    let shown = file.display();
    if !file.exists() {
        return lacks(format!("there is no program {shown}"), "correct the path");
    }
    if !is_program(&file) {
        let what = format!("{shown} cannot be executed");
        return lacks(what, "run chmod +x on it, or name a program");
    }
    None
}

fn is_program(file: &Path) -> bool {
    file.is_file() && access(file, Access::EXEC_OK).is_ok()
}

fn lacking_script(command: &[Template], step: &Step, whose: &str) -> Option<Finding> {
    let program = fixed(command.first()?)?.rsplit('/').next()?;
    // python3.11 is a python.
    let bare = program.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    let script = fixed(command.get(1)?)?;
    if !INTERPRETERS.contains(&bare) || script.starts_with('-') {
        return None;
    }
    let file = step.workdir.join(script);
    let text = format!("{whose}: there is no script {}", file.display());
    let remedy = "correct the path, unless an earlier step makes it";
    (!file.exists()).then(|| Finding::warning(Check::Steps, text, remedy))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::config::{Origin, check};
    use crate::doctor::State;

    fn problems(folder: &Path, study: &str, command: &str) -> Vec<String> {
        let text = format!(
            "[study]\nname = 's'\n{study}\n[objective]\nmaximize = 'm'\n[space]\nN = [1, 2]\n\
             [[step]]\nname = 'eval'\nkind = 'measure'\ncommand = {command}\nmetrics.m = 'm=(\\S+)'\n"
        );
        let origin = Origin {
            file: "spec.toml".to_owned(),
            folder: folder.to_path_buf(),
        };
        let spec = check(&text, &origin).unwrap_or_else(|e| panic!("{e}")).spec;
        let bin = folder.join("bin").into_os_string();
        let found = look_with(&spec, Some(&bin));
        let folder = folder.display().to_string();
        found
            .iter()
            .filter(|finding| finding.state != State::Ok)
            .map(|finding| format!("{}: {}", finding.state.word(), finding.sentence()))
            .map(|line| line.replace(&folder, "DIR"))
            .collect()
    }

    #[test]
    fn what_is_missing_is_named() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let folder = dir.path();
        let make = |name: &str, mode: u32| {
            let file = folder.join(name);
            std::fs::create_dir_all(file.parent().expect("in a folder")).expect("made");
            std::fs::write(&file, "#!/bin/sh\n").expect("written");
            std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).expect("set");
        };
        make("bin/python3.11", 0o755);
        make("eval.py", 0o644);
        make("run.sh", 0o755);
        let none: [&str; 0] = [];
        let cases: [(&str, &str, &[&str]); 10] = [
            ("", "['python3.11', 'eval.py']", &none),
            ("", "['python3.11', '-m', 'x']", &none),
            ("", "['python3.11', '{{ N }}.py']", &none),
            ("", "['./run.sh']", &none),
            ("", "['{{ N }}']", &none),
            (
                "",
                "['python3.11', 'evil.py']",
                &[
                    "warning: `command` of the step `eval`: there is no script DIR/evil.py: correct the path, unless an earlier step makes it",
                ],
            ),
            (
                "",
                "['run.sh']",
                &[
                    "error: `command` of the step `eval`: no folder of PATH has the program run.sh: write ./run.sh for the one in the step's folder",
                ],
            ),
            (
                "",
                "['./eval.py']",
                &[
                    "error: `command` of the step `eval`: DIR/./eval.py cannot be executed: run chmod +x on it, or name a program",
                ],
            ),
            (
                "workdir = 'gone'",
                "['nothing']",
                &[
                    "error: `workdir` in [study]: there is no folder DIR/gone: make it, or name another",
                ],
            ),
            (
                "workdir = 'run.sh'",
                "['nothing']",
                &["error: `workdir` in [study]: DIR/run.sh is not a folder: name one"],
            ),
        ];
        for (study, command, expected) in cases {
            assert_eq!(
                problems(folder, study, command),
                expected,
                "{study} {command}"
            );
        }
        let elsewhere = problems(folder, "", "['nothing', 'x']\nworkdir = 'sub'");
        assert_eq!(
            elsewhere,
            [
                "error: `workdir` of the step `eval`: there is no folder DIR/sub: make it, or name another"
            ]
        );
    }
}
