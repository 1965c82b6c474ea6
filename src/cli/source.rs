//! What a verb's spec is read from: a file, a preset, or a repo with the flags
//! that `auto_tune.py` had for it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Command, FromArgMatches};

use super::exit::Exit;
use crate::config::SpecSource;
use crate::config::reference::{self, PRESET, SETTINGS, SKIPS, Setting, Takes, Wishes};

/// Where the spec is, on a command line.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub struct SpecArgs {
    /// The study's spec
    #[arg(required_unless_present = "preset", conflicts_with = "preset")]
    pub(super) spec: Option<PathBuf>,
    /// Go by a preset that needs nothing else, instead of a spec
    #[arg(long, value_name = "NAME")]
    pub(super) preset: Option<String>,
    #[command(flatten)]
    pub(super) reference: ReferenceArgs,
}

impl SpecArgs {
    /// Whether one is given.
    pub(super) const fn is_given(&self) -> bool {
        self.spec.is_some() || self.preset.is_some()
    }

    pub(super) const fn file(spec: PathBuf) -> Self {
        Self {
            spec: Some(spec),
            preset: None,
            reference: ReferenceArgs {
                repo: None,
                flags: Vec::new(),
            },
        }
    }

    /// Where the spec comes from, in the words of the command line.
    ///
    /// # Errors
    /// How the verb is to end, said.
    pub(super) fn source(&self) -> Result<SpecSource, Exit> {
        let is_repo = self.preset.as_deref() == Some(PRESET);
        if !is_repo && let Some(flag) = self.reference.first() {
            let text = format!("--{flag} belongs to --preset {PRESET}: a spec says it itself");
            return Err(Exit::Usage.say_text(&text));
        }
        match (&self.preset, &self.spec) {
            (Some(_), _) if is_repo => Ok(SpecSource::Repo(self.reference.wishes()?)),
            (Some(name), _) => Ok(SpecSource::Preset(name.clone())),
            (None, spec) => Ok(SpecSource::File(spec.clone().unwrap_or_default())),
        }
    }

    /// The same for a verb that has an option for the output folder.
    ///
    /// # Errors
    /// How the verb is to end, said.
    pub(super) fn source_in(&self, output_dir: Option<&Path>) -> Result<SpecSource, Exit> {
        let source = self.source()?;
        if matches!(source, SpecSource::Repo(_)) && output_dir.is_some() {
            let text = "--output-dir has no place here: the files of a repo are in the repo";
            return Err(Exit::Usage.say_text(text));
        }
        Ok(source)
    }

    /// As a command line has it; last of all, since a spec's name may begin
    /// with a dash.
    pub(super) fn to_arguments(&self) -> Vec<OsString> {
        let mut arguments = Vec::new();
        if let Some(name) = &self.preset {
            arguments.extend(["--preset".into(), name.into()]);
        }
        arguments.extend(self.reference.to_arguments());
        if let Some(spec) = &self.spec {
            arguments.extend(["--".into(), spec.into()]);
        }
        arguments
    }

    /// The variables of the environment that it goes by, too.
    pub(super) fn variables(&self) -> Vec<&'static str> {
        if self.preset.as_deref() != Some(PRESET) {
            return Vec::new();
        }
        let of_settings = SETTINGS.iter().flat_map(|setting| setting.variables);
        let repo = self.reference.repo.is_none().then_some("REPO");
        let known = of_settings.copied().chain(SKIPS).chain(repo);
        let is_set = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        known.filter(is_set).collect()
    }

    /// As a user may write it.
    pub(super) fn shown(&self) -> String {
        let words = self.to_arguments().into_iter();
        let words = words.filter(|word| self.preset.is_some() || word != "--");
        let words = words.map(|word| word.to_string_lossy().into_owned());
        words.collect::<Vec<_>>().join(" ")
    }
}

/// The flags of `auto_tune.py`, each also with underscores.
#[derive(Debug, Clone, Default)]
pub struct ReferenceArgs {
    repo: Option<PathBuf>,
    flags: Vec<(&'static str, String)>,
}

impl ReferenceArgs {
    fn first(&self) -> Option<&'static str> {
        let flag = self.flags.first().map(|(flag, _)| *flag);
        self.repo.as_ref().map(|_| "repo").or(flag)
    }

    /// What is asked of the repo.
    ///
    /// # Errors
    /// How the verb is to end when a secret is among it, said.
    pub(super) fn wishes(&self) -> Result<Wishes, Exit> {
        for (flag, _) in &self.flags {
            if let Some(secret) = secrets().find(|setting| setting.flag == *flag) {
                let text = reference::secret_line(secret, self.repo.as_deref());
                return Err(Exit::Usage.say_text(&text));
            }
        }
        let repo = self.repo.as_ref().map(std::path::absolute).transpose();
        Ok(Wishes {
            repo: repo.map_err(|error| Exit::Spec.say(&error))?,
            flags: self.flags.clone(),
        })
    }

    fn to_arguments(&self) -> impl Iterator<Item = OsString> {
        let repo = self.repo.iter();
        let repo = repo.flat_map(|repo| ["--repo".into(), repo.into()]);
        let flags = self.flags.iter().flat_map(|(flag, value)| {
            let is_switch = SETTINGS
                .iter()
                .any(|setting| setting.flag == *flag && setting.takes == Takes::Nothing);
            let value = (!is_switch).then(|| format!("={value}"));
            [format!("--{flag}{}", value.unwrap_or_default()).into()]
        });
        repo.chain(flags)
    }
}

fn secrets() -> impl Iterator<Item = &'static Setting> {
    let mut settings = SETTINGS.iter();
    std::iter::from_fn(move || settings.find(|setting| setting.takes == Takes::Secret))
}

impl clap::Args for ReferenceArgs {
    fn augment_args(command: Command) -> Command {
        let heading = format!("With --preset {PRESET}, as auto_tune.py has them");
        let arg = |flag: &'static str| {
            let arg = Arg::new(flag).long(flag).help_heading(heading.clone());
            let arg = if flag.contains('-') {
                arg.alias(flag.replace('-', "_"))
            } else {
                arg
            };
            arg.hide_short_help(true)
        };
        let repo = arg("repo")
            .value_name("DIR")
            .value_parser(clap::value_parser!(PathBuf))
            .help("The repo [default: $REPO, or the current folder]");
        let args = SETTINGS.iter().map(|setting| {
            let arg = arg(setting.flag).help(setting.help);
            match setting.takes {
                Takes::Value(shown) => arg.value_name(shown).action(ArgAction::Append),
                Takes::Nothing => arg.action(ArgAction::SetTrue),
                // What begins with a dash must not come back in an error.
                Takes::Secret => arg
                    .hide(true)
                    .action(ArgAction::Append)
                    .allow_hyphen_values(true),
            }
        });
        command.arg(repo).args(args)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for ReferenceArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Vec::new();
        for setting in SETTINGS {
            let given = match setting.takes {
                Takes::Nothing => matches.get_flag(setting.flag).then(|| "1".to_owned()),
                // Of several the last counts, as it did.
                _ => matches
                    .get_many::<String>(setting.flag)
                    .and_then(Iterator::last)
                    .cloned(),
            };
            flags.extend(given.map(|value| (setting.flag, value)));
        }
        let repo = matches.get_one::<PathBuf>("repo").cloned();
        Ok(Self { repo, flags })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
