//! Whether this machine has what a spec names.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use super::complaint::Level;
use crate::model::spec::Spec;
use crate::model::step::Step;
use crate::model::template::Template;

/// Something that this machine lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Whether a trial would fail for certain.
    pub level: Level,
    /// One sentence that names the thing and the way out.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.level.word(), self.message)
    }
}

/// Programs that are given a script as their first argument.
const INTERPRETERS: [&str; 9] = [
    "sh", "bash", "dash", "zsh", "python", "perl", "ruby", "node", "Rscript",
];

/// Looks for the folders, programs and scripts that `spec` names, as this user
/// and with this PATH; what templates decide is left out.
pub fn check_host(spec: &Spec) -> Vec<Problem> {
    check_with(spec, std::env::var_os("PATH").as_deref())
}

fn check_with(spec: &Spec, path: Option<&OsStr>) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut say = |level: Level, message: String| {
        let problem = Problem { level, message };
        if !problems.contains(&problem) {
            problems.push(problem);
        }
    };
    let enterable = folder_problem(&spec.workdir, "`workdir` in [study]");
    let usable = enterable.is_none();
    if let Some(message) = enterable {
        say(Level::Error, message);
    }
    if let Some(output) = &spec.output_dir
        && output.exists()
        && !output.is_dir()
    {
        let message = format!(
            "`output_dir` {} is not a folder: name another",
            output.display()
        );
        say(Level::Error, message);
    }
    for step in &spec.steps {
        let whose = format!("`workdir` of the step `{}`", step.name);
        if step.workdir != spec.workdir
            && let Some(message) = folder_problem(&step.workdir, &whose)
        {
            say(Level::Error, message);
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
            if let Some(message) = program_problem(command, step, &whose, path) {
                say(Level::Error, message);
            }
            if let Some(message) = script_problem(command, step, &whose) {
                say(Level::Warning, message);
            }
        }
    }
    problems
}

fn folder_problem(folder: &Path, whose: &str) -> Option<String> {
    let shown = folder.display();
    // It is handed on as text, to the steps and to the runner.
    if folder.to_str().is_none() {
        return Some(format!(
            "{whose}: the name of {shown} is not UTF-8: rename it, or name another"
        ));
    }
    if !folder.exists() {
        return Some(format!(
            "{whose}: there is no folder {shown}: make it, or name another"
        ));
    }
    if !folder.is_dir() {
        return Some(format!("{whose}: {shown} is not a folder: name one"));
    }
    access(folder, Access::EXEC_OK)
        .is_err()
        .then(|| format!("{whose}: {shown} cannot be entered: let this user enter it"))
}

/// A word of a command that is the same in every trial.
fn fixed(word: &Template) -> Option<&str> {
    let source = word.source();
    let is_open = ["{{", "{%", "{#"].iter().any(|open| source.contains(open));
    (!is_open && !source.is_empty()).then_some(source)
}

fn program_problem(
    command: &[Template],
    step: &Step,
    whose: &str,
    path: Option<&OsStr>,
) -> Option<String> {
    let program = fixed(command.first()?)?;
    if !program.contains('/') {
        let folders = path.map(|path| std::env::split_paths(path).collect::<Vec<PathBuf>>());
        let found = folders
            .unwrap_or_default()
            .iter()
            .any(|folder| is_program(&step.workdir.join(folder).join(program)));
        return (!found).then(|| {
            let here = if is_program(&step.workdir.join(program)) {
                format!("write ./{program} for the one in the step's folder")
            } else {
                "install it, or write its whole path".to_owned()
            };
            format!("{whose}: no folder of PATH has the program {program}: {here}")
        });
    }
    let file = step.workdir.join(program);
    let shown = file.display();
    if !file.exists() {
        return Some(format!(
            "{whose}: there is no program {shown}: correct the path"
        ));
    }
    (!is_program(&file)).then(|| {
        format!("{whose}: {shown} cannot be executed: run chmod +x on it, or name a program")
    })
}

fn is_program(file: &Path) -> bool {
    file.is_file() && access(file, Access::EXEC_OK).is_ok()
}

fn script_problem(command: &[Template], step: &Step, whose: &str) -> Option<String> {
    let program = fixed(command.first()?)?.rsplit('/').next()?;
    // python3.11 is a python.
    let bare = program.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    let script = fixed(command.get(1)?)?;
    if !INTERPRETERS.contains(&bare) || script.starts_with('-') {
        return None;
    }
    let file = step.workdir.join(script);
    (!file.exists()).then(|| {
        format!(
            "{whose}: there is no script {}: correct the path, unless an earlier step makes it",
            file.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::config::{Origin, check};

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
        let found = check_with(&spec, Some(&bin));
        let folder = folder.display().to_string();
        found
            .iter()
            .map(|p| p.to_string().replace(&folder, "DIR"))
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
                "workdir = 'run.sh'\noutput_dir = 'eval.py'",
                "['nothing']",
                &[
                    "error: `workdir` in [study]: DIR/run.sh is not a folder: name one",
                    "error: `output_dir` DIR/eval.py is not a folder: name another",
                ],
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
