//! What `auto_tune.sh` and `auto_tune.py` let their user set, and which value
//! counts.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::config::reader::LONGEST;
use crate::model::value::Finite;

/// One thing that can be set.
#[derive(Debug)]
pub struct Setting {
    /// Its flag, with dashes where `auto_tune.py` has underscores.
    pub flag: &'static str,
    /// Its environment variables; of several that are set the first counts.
    pub variables: &'static [&'static str],
    /// What it takes.
    pub takes: Takes,
    /// What it is, for `--help`.
    pub help: &'static str,
}

/// See [`Setting::takes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// A value; this stands for it in `--help`.
    Value(&'static str),
    /// Nothing on the command line; 1 or 0 in a variable.
    Nothing,
    /// A secret, which is refused on the command line: everybody can see that.
    Secret,
}

const fn value(
    flag: &'static str,
    shown: &'static str,
    variables: &'static [&'static str],
    help: &'static str,
) -> Setting {
    Setting {
        flag,
        variables,
        takes: Takes::Value(shown),
        help,
    }
}

const fn switch(
    flag: &'static str,
    variables: &'static [&'static str],
    help: &'static str,
) -> Setting {
    Setting {
        flag,
        variables,
        takes: Takes::Nothing,
        help,
    }
}

const fn secret(flag: &'static str, variables: &'static [&'static str]) -> Setting {
    Setting {
        flag,
        variables,
        takes: Takes::Secret,
        help: "",
    }
}

/// All of them, but for the repo itself.
pub const SETTINGS: &[Setting] = &[
    value("port", "PORT", &[], "The server's port [default: 8000]"),
    value(
        "eval-runs",
        "N",
        &["EVAL_RUNS"],
        "Runs of the evaluator in a trial [default: 5]",
    ),
    value(
        "startup-timeout",
        "SECONDS",
        &["STARTUP_TIMEOUT"],
        "How long the server may take to be ready [default: 240]",
    ),
    value(
        "eval-timeout",
        "SECONDS",
        &["EVAL_TIMEOUT"],
        "How long one run may take [default: 420]",
    ),
    value(
        "cooldown",
        "SECONDS",
        &[],
        "The pause after each trial [default: 1]",
    ),
    value(
        "accuracy-threshold",
        "NUMBER",
        &["ACC"],
        "The least accuracy [default: 0.88]",
    ),
    value(
        "results",
        "NAME",
        &["RESULTS"],
        "The results file; another name begins a new history",
    ),
    value(
        "best",
        "NAME",
        &[],
        "The file of the best values [default: best_params.json]",
    ),
    value(
        "server-log-dir",
        "NAME",
        &[],
        "The folder of the logs [default: tune_server_logs]",
    ),
    value(
        "status-file",
        "NAME",
        &[],
        "The status file [default: tune_status.json]",
    ),
    value(
        "search-space-file",
        "PATH",
        &["SEARCH_SPACE_FILE", "TUNE_SEARCH_SPACE_FILE"],
        "More values to try: {\"NAME\": [\"VALUE\", …]}",
    ),
    value(
        "port-busy-retries",
        "N",
        &["PORT_BUSY_RETRIES", "TUNE_PORT_BUSY_RETRIES"],
        "How often a busy port is looked at again [default: 3]",
    ),
    value(
        "port-busy-wait-s",
        "SECONDS",
        &["PORT_BUSY_WAIT_S", "TUNE_PORT_BUSY_WAIT_S"],
        "The pause before each look [default: 10]",
    ),
    switch(
        "port-busy-kill",
        &["PORT_BUSY_KILL", "TUNE_PORT_BUSY_KILL"],
        "End a left-over `uvicorn serve:app` that holds the port",
    ),
    value(
        "heartbeat-trials",
        "N",
        &["HEARTBEAT_TRIALS"],
        "Tell how it goes after so many trials, 0 for never [default: 10]",
    ),
    value(
        "heartbeat-interval-s",
        "SECONDS",
        &["HEARTBEAT_INTERVAL_S", "TUNE_HEARTBEAT_INTERVAL_S"],
        "Tell how it goes each time so much has passed [default: 0, never]",
    ),
    switch(
        "notify-trial-done",
        &["NOTIFY_TRIAL_DONE", "TUNE_NOTIFY_TRIAL_DONE"],
        "Tell of the end of trials",
    ),
    value(
        "notify-trial-done-every",
        "N",
        &["NOTIFY_TRIAL_DONE_EVERY", "TUNE_NOTIFY_TRIAL_DONE_EVERY"],
        "Of every Nth trial alone [default: 1]",
    ),
    value("smtp-host", "HOST", &["TUNE_SMTP_HOST"], "The mail server"),
    value(
        "smtp-port",
        "PORT",
        &["TUNE_SMTP_PORT"],
        "Its port [default: 587; SMTPS 465, unencrypted 25]",
    ),
    value(
        "smtp-user",
        "NAME",
        &["TUNE_SMTP_USER"],
        "Who logs in there",
    ),
    secret("smtp-pass", &["TUNE_SMTP_PASS"]),
    value(
        "smtp-from",
        "ADDRESS",
        &["TUNE_SMTP_FROM"],
        "Whom mail is from [default: that user]",
    ),
    value(
        "smtp-to",
        "ADDRESSES",
        &["TUNE_SMTP_TO"],
        "Who gets mail; several with commas",
    ),
    switch(
        "smtp-no-starttls",
        &["TUNE_SMTP_NO_STARTTLS"],
        "Send mail without encryption",
    ),
    switch(
        "smtp-ssl",
        &["TUNE_SMTP_SSL"],
        "Encrypt from the start (SMTPS)",
    ),
    value(
        "email-kinds",
        "KINDS",
        &["TUNE_EMAIL_KINDS"],
        "What mail tells of [default: best,crashed,done]",
    ),
    secret("webhook-url", &["TUNE_WEBHOOK_URL"]),
    value(
        "webhook-kind",
        "KIND",
        &["TUNE_WEBHOOK_KIND"],
        "feishu or generic [default: feishu]",
    ),
    secret("feishu-secret", &["TUNE_FEISHU_SECRET"]),
];

/// Where a value was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// On the command line.
    Flag(&'static str),
    /// In the environment.
    Environment(&'static str),
    /// In `tune_secrets.sh`.
    Secrets(&'static str),
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "--{flag}"),
            Self::Environment(name) => write!(f, "{name} of the environment"),
            Self::Secrets(name) => write!(f, "{name} in tune_secrets.sh"),
        }
    }
}

/// Variables of the environment or of a file, by name.
pub(super) type Variables<'v> = &'v dyn Fn(&str) -> Option<String>;

/// The values that count: a flag before the environment, that before
/// `tune_secrets.sh`. An empty variable is none, as to `${ACC:-0.88}`.
///
/// `auto_tune.sh` reads `tune_secrets.sh` after the environment, so that a file
/// from long ago silently undoes `ACC=0.9 ./auto_tune.sh`. Here what is written
/// in front of the command counts, and a note says so where the two differ.
pub(super) struct Given<'a> {
    pub(super) flags: &'a [(&'static str, String)],
    pub(super) environment: Variables<'a>,
    pub(super) secrets: Variables<'a>,
    pub(super) problems: Vec<String>,
    pub(super) notes: Vec<String>,
}

impl Given<'_> {
    /// The value of a setting, and where it was found.
    pub(super) fn text(&mut self, flag: &'static str) -> Option<(String, Found)> {
        let setting = SETTINGS.iter().find(|setting| setting.flag == flag)?;
        let given = self.flags.iter().rfind(|(known, _)| *known == flag);
        if let Some((_, value)) = given {
            return Some((value.clone(), Found::Flag(flag)));
        }
        let filled = |variables: Variables<'_>, name: &str| {
            variables(name).filter(|value| !value.trim().is_empty())
        };
        let first = |variables: Variables<'_>| {
            let mut names = setting.variables.iter();
            names.find_map(|name| filled(variables, name).map(|value| (value, *name)))
        };
        let (outer, inner) = (first(self.environment), first(self.secrets));
        if let (Some((outer, name)), Some((inner, _))) = (&outer, &inner)
            && outer != inner
        {
            self.notes.push(format!(
                "{name} of the environment counts, and not what tune_secrets.sh has (auto_tune.sh \
                 had it the other way round)"
            ));
        }
        let outer = outer.map(|(value, name)| (value, Found::Environment(name)));
        outer.or_else(|| inner.map(|(value, name)| (value, Found::Secrets(name))))
    }

    fn read<T>(
        &mut self,
        flag: &'static str,
        expected: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<(T, Found)> {
        let (text, found) = self.text(flag)?;
        let value = read(text.trim());
        if value.is_none() {
            let problem = format!("{found} must be {expected}, not `{text}`");
            self.problems.push(problem);
        }
        Some((value?, found))
    }

    /// A whole number.
    pub(super) fn whole(
        &mut self,
        flag: &'static str,
        allowed: RangeInclusive<u32>,
    ) -> Option<(u32, Found)> {
        let (low, high) = (*allowed.start(), *allowed.end());
        let expected = format!("a whole number from {low} to {high}");
        let read = |text: &str| text.parse().ok().filter(|number| allowed.contains(number));
        self.read(flag, &expected, read)
    }

    /// A number.
    pub(super) fn number(&mut self, flag: &'static str) -> Option<(f64, Found)> {
        let read = |text: &str| text.parse().ok().and_then(Finite::new);
        let (number, found) = self.read(flag, "a number", read)?;
        Some((number.get(), found))
    }

    /// A duration in seconds.
    pub(super) fn seconds(&mut self, flag: &'static str) -> Option<(Duration, Found)> {
        let read = |text: &str| {
            let seconds = text.parse().ok()?;
            let duration = Duration::try_from_secs_f64(seconds).ok()?;
            Some(duration).filter(|duration| *duration <= LONGEST)
        };
        self.read(flag, "a number of seconds", read)
    }

    /// A duration of a millisecond or more, in seconds.
    pub(super) fn some_seconds(&mut self, flag: &'static str) -> Option<(Duration, Found)> {
        let (duration, found) = self.seconds(flag)?;
        if duration.as_millis() == 0 {
            self.problems
                .push(format!("{found} must be at least 0.001 s"));
            return None;
        }
        Some((duration, found))
    }

    /// A switch.
    pub(super) fn switch(&mut self, flag: &'static str) -> Option<(bool, Found)> {
        let read = |text: &str| match text.to_ascii_lowercase().as_str() {
            "1" | "true" | "yes" | "on" => Some(true),
            "0" | "false" | "no" | "off" => Some(false),
            _ => None,
        };
        self.read(flag, "1 or 0", read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given<'a>(
        flags: &'a [(&'static str, String)],
        environment: Variables<'a>,
        secrets: Variables<'a>,
    ) -> Given<'a> {
        Given {
            flags,
            environment,
            secrets,
            problems: Vec::new(),
            notes: Vec::new(),
        }
    }

    fn of<'p>(pairs: &'p [(&'p str, &'p str)]) -> impl Fn(&str) -> Option<String> + 'p {
        |name| {
            let found = pairs.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        }
    }

    #[test]
    fn a_flag_before_the_environment_before_the_file() {
        let flag = [("eval-runs", "1".to_owned())];
        let environment = of(&[("EVAL_RUNS", "2"), ("ACC", ""), ("STARTUP_TIMEOUT", "7")]);
        let secrets = of(&[("EVAL_RUNS", "3"), ("ACC", "0.9")]);
        let mut all = given(&flag, &environment, &secrets);
        assert_eq!(
            all.whole("eval-runs", 1..=9),
            Some((1, Found::Flag("eval-runs")))
        );
        assert_eq!(
            all.number("accuracy-threshold"),
            Some((0.9, Found::Secrets("ACC")))
        );
        assert_eq!(all.whole("heartbeat-trials", 0..=9), None);
        assert_eq!(all.notes, [""; 0]);
        let mut all = given(&[], &environment, &secrets);
        let runs = all.whole("eval-runs", 1..=9);
        assert_eq!(runs, Some((2, Found::Environment("EVAL_RUNS"))));
        assert_eq!(all.notes.len(), 1, "{:?}", all.notes);
        assert!(all.notes[0].starts_with("EVAL_RUNS of the environment counts"));
    }

    #[test]
    fn of_two_variables_the_shorter_name_counts() {
        let secrets = of(&[("TUNE_PORT_BUSY_RETRIES", "5"), ("PORT_BUSY_RETRIES", "4")]);
        let mut all = given(&[], &|_| None, &secrets);
        assert_eq!(
            all.whole("port-busy-retries", 0..=9).map(|(n, _)| n),
            Some(4)
        );
        let secrets = of(&[("TUNE_PORT_BUSY_RETRIES", "5")]);
        let mut all = given(&[], &|_| None, &secrets);
        assert_eq!(
            all.whole("port-busy-retries", 0..=9).map(|(n, _)| n),
            Some(5)
        );
    }

    #[test]
    fn what_cannot_be_read_is_named_with_its_place() {
        let environment = of(&[
            ("EVAL_RUNS", "five"),
            ("ACC", "NaN"),
            ("STARTUP_TIMEOUT", "-1"),
            ("EVAL_TIMEOUT", "0"),
            ("PORT_BUSY_KILL", "maybe"),
        ]);
        let secrets = of(&[("TUNE_HEARTBEAT_INTERVAL_S", "1e30")]);
        let mut all = given(&[], &environment, &secrets);
        all.whole("eval-runs", 1..=1000);
        all.number("accuracy-threshold");
        all.seconds("startup-timeout");
        all.some_seconds("eval-timeout");
        all.switch("port-busy-kill");
        all.seconds("heartbeat-interval-s");
        insta::assert_snapshot!(all.problems.join("\n"));
    }

    #[test]
    fn every_name_is_there_once() {
        let mut names: Vec<&str> = SETTINGS.iter().map(|setting| setting.flag).collect();
        names.extend(SETTINGS.iter().flat_map(|setting| setting.variables));
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
