//! `autotunectl advisor setup`: asks for the key of an endpoint, tries it, and
//! stores it where the daemon looks for it.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::sync::oneshot;

use super::advisor::show;
use super::exit::Exit;
use super::session::{Session, Trouble};
use crate::advisor::{Access, test};
use crate::base::secret::{Secret, Source};
use crate::base::{dotenv, file, private};
use crate::config;
use crate::model::spec::{Advisor, KEY_CREDENTIAL, KEY_VARIABLE, Key};
use crate::report::phrase::clean;
use crate::setup::credential;
use crate::setup::unit::Unit;
use crate::wire::reply::AdvisorTested;

/// Where the specs of the service are.
const SERVICE: &str = "/etc/autotune";
/// Where the files are that systemd hands on as credentials.
const CREDENTIALS: &str = "/etc/autotune/credentials";
/// The longest key, in bytes.
const LONGEST: u64 = 16 << 10;

/// Asks for the key of the advisor's endpoint, tries it, and stores it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  autotunectl advisor setup --spec study.toml
  sudo autotunectl advisor setup --credential
  autotunectl advisor setup --file ~/.config/autotune/key < key.txt

The key is asked for without being shown, or read from standard input where that
is no terminal; it is never given on a command line, which others can see. One
small request tries it; one that the server refuses is not stored. It goes where
`api_key` of [advisor] has it; where that says nothing, for a spec in
/etc/autotune into the credential openai_api_key, which systemd hands to the
service as it starts: encrypted by systemd-creds where that works, else in
/etc/autotune/credentials (mode 0600, for root alone); and else into .env in the
workdir of the study (mode 0600).")]
pub(super) struct Setup {
    /// The spec with the `[advisor]` [default: /etc/autotune/autotune.toml, or
    /// NAME.toml there with -i NAME]
    #[arg(long, value_name = "PATH")]
    spec: Option<PathBuf>,
    /// Store it in this file; of one called .env it is a line
    #[arg(long, value_name = "PATH", conflicts_with = "credential")]
    file: Option<PathBuf>,
    /// Store it as the credential openai_api_key of the service
    #[arg(long)]
    credential: bool,
    /// Store it without trying it
    #[arg(long)]
    no_test: bool,
}

/// Where a key is stored.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// Alone in a file.
    File(PathBuf),
    /// As a variable in a file of such.
    Variable(PathBuf, String),
    /// As a credential of this name.
    Credential(String),
}

pub(super) async fn carry_out(session: &mut Session, args: &Setup) -> Result<Exit, Trouble> {
    let spec = args.spec.clone().unwrap_or_else(|| {
        let name = session.instance.as_deref().unwrap_or("autotune");
        Path::new(SERVICE).join(format!("{name}.toml"))
    });
    let (workdir, advisor) = read(&spec)?;
    let place = place(args, &spec, &workdir, &advisor.api_key)?;
    let key = ask(&advisor.base_url).await?;
    let access = Access::typed(Secret::from(key.clone()));
    let access = access.map_err(|error| Trouble::Usage(error.to_string()))?;
    if !args.no_test {
        let tested = try_it(&advisor, &access).await;
        if show(session, &tested)? != Exit::Done {
            session.note("the key is not stored; --no-test stores one that cannot be tried now");
            return Ok(Exit::Failure);
        }
    }
    let unit = Unit::new(session.instance.clone());
    for line in store(&place, &unit, key.trim())? {
        session.note(&line);
    }
    for line in remarks(&place, &unit, &advisor.api_key, &workdir) {
        session.note(&line);
    }
    Ok(Exit::Done)
}

/// Sends a small request without a daemon.
pub(super) async fn test_from_here(spec: &Path) -> Result<AdvisorTested, Trouble> {
    let (workdir, advisor) = read(spec)?;
    let access = Access::find(&advisor, &workdir, &|name| std::env::var_os(name));
    Ok(match access {
        Ok(access) => try_it(&advisor, &access).await,
        Err(error) => AdvisorTested::new(&advisor, None, Err(error.to_string())),
    })
}

fn read(spec: &Path) -> Result<(PathBuf, Advisor), Trouble> {
    let read = config::read_advisor(spec);
    let (workdir, advisor) = read.map_err(|refusal| Trouble::Usage(refusal.to_string()))?;
    let none = || {
        Trouble::Usage(format!(
            "{} has no [advisor]: add one with model = \"…\"; autotune.toml(5) shows how",
            spec.display()
        ))
    };
    Ok((workdir, advisor.ok_or_else(none)?))
}

async fn try_it(advisor: &Advisor, access: &Access) -> AdvisorTested {
    let place = access.place().map(str::to_owned);
    AdvisorTested::new(advisor, place, test(advisor, access).await)
}

/// Where the key goes: where it was told to, or where the daemon looks.
fn place(args: &Setup, spec: &Path, workdir: &Path, key: &Key) -> Result<Place, Trouble> {
    let is_dotenv = |path: &Path| path.file_name().is_some_and(|name| name == ".env");
    let dotenv = |path: PathBuf| Place::Variable(path, KEY_VARIABLE.to_owned());
    if let Some(path) = &args.file {
        let path = std::path::absolute(path)?;
        return Ok(if is_dotenv(&path) {
            dotenv(path)
        } else {
            Place::File(path)
        });
    }
    let named = match key {
        Key::At(Source::Credential(name)) => name.strip_prefix("autotune_").unwrap_or(name),
        _ => KEY_CREDENTIAL,
    };
    let credential = || Place::Credential(named.to_owned());
    if args.credential {
        return Ok(credential());
    }
    match key {
        Key::At(Source::File(path)) => Ok(Place::File(path.clone())),
        Key::At(Source::Exported { file, name }) => Ok(Place::Variable(file.clone(), name.clone())),
        Key::At(Source::Credential(_)) => Ok(credential()),
        Key::At(Source::Env(name)) => Err(Trouble::Usage(format!(
            "[advisor] finds the key in the variable {name} of the daemon's environment, where it \
             cannot be stored: change `api_key`, or leave it out"
        ))),
        Key::None => Err(Trouble::Usage(
            "[advisor] says api_key = false: no key is sent; leave `api_key` out for one"
                .to_owned(),
        )),
        Key::Usual if spec.starts_with(SERVICE) => Ok(credential()),
        Key::Usual => Ok(dotenv(workdir.join(".env"))),
    }
}

/// Stores the key; how, in sentences for people.
fn store(place: &Place, unit: &Unit, key: &str) -> Result<Vec<String>, Trouble> {
    let Place::Credential(name) = place else {
        let path = store_plain(place, key)?;
        return Ok(vec![format!("stored in {}, mode 0600", path.display())]);
    };
    let stored = credential::check_usable(unit).and_then(|()| {
        let stored = credential::store(unit, name, key);
        stored.map_err(|error| error.to_string())
    });
    let encrypted = credential::path(name);
    match stored {
        Ok(stored) => {
            let (path, drop_in) = (stored.path.display(), stored.drop_in.display());
            let mut said = vec![format!(
                "stored in {path}, encrypted by systemd-creds for this machine; {} gets it by \
                 {drop_in}",
                unit.name()
            )];
            let plain = Path::new(CREDENTIALS).join(name);
            if plain.exists() {
                let plain = plain.display();
                said.push(format!(
                    "{plain} holds a key in plain text, and is not needed any more: rm {plain}"
                ));
            }
            Ok(said)
        }
        Err(why) => {
            let path = store_plain(place, key)?;
            let mut said = vec![format!(
                "stored in {}, mode 0600, not encrypted: {}",
                path.display(),
                clean(&why)
            )];
            if encrypted.exists() {
                let encrypted = encrypted.display();
                said.push(format!(
                    "the service takes the older key in {encrypted} before it: rm {encrypted}"
                ));
            }
            Ok(said)
        }
    }
}

fn store_plain(place: &Place, key: &str) -> Result<PathBuf, Trouble> {
    let (path, text) = match place {
        Place::File(path) => (path.clone(), format!("{key}\n")),
        Place::Credential(name) => (Path::new(CREDENTIALS).join(name), format!("{key}\n")),
        Place::Variable(path, name) => {
            let old = match private::read_open(path) {
                Ok(old) => old,
                Err(private::PrivateError::Unreadable { source, .. })
                    if source.kind() == io::ErrorKind::NotFound =>
                {
                    String::new()
                }
                Err(error) => return Err(Trouble::Usage(error.to_string())),
            };
            (path.clone(), dotenv::with(&old, name, key))
        }
    };
    match file::replace_private(&path, text.as_bytes()) {
        Ok(()) => Ok(path),
        Err(source) => Err(Trouble::File { path, source }),
    }
}

/// What is still to be done, and what one should know.
fn remarks(place: &Place, unit: &Unit, key: &Key, workdir: &Path) -> Vec<String> {
    match place {
        Place::Credential(_) => vec![format!(
            "a running service has it after: systemctl restart {}",
            unit.short()
        )],
        Place::File(path) if *key != Key::At(Source::File(path.clone())) => {
            let path = toml::Value::from(path.display().to_string());
            vec![format!(
                "the daemon looks there with, in [advisor]: api_key = {{ file = {path} }}"
            )]
        }
        Place::Variable(path, name) => {
            let source = Source::Exported {
                file: path.clone(),
                name: name.clone(),
            };
            let is_usual = *key == Key::Usual && *path == workdir.join(".env");
            if is_usual || *key == Key::At(source) {
                return Vec::new();
            }
            let path = toml::Value::from(path.display().to_string());
            vec![format!(
                "the daemon looks there with, in [advisor]: api_key = {{ file = {path}, name = \
                 \"{name}\" }}"
            )]
        }
        Place::File(_) => Vec::new(),
    }
}

/// The key, from a terminal without showing it, or from what standard input is.
async fn ask(base_url: &str) -> Result<String, Trouble> {
    let stdin = io::stdin();
    let key = if stdin.is_terminal() {
        let hidden = Hidden::hide()?;
        let _ = write!(
            anstream::stderr(),
            "Key for {} (not shown): ",
            clean(base_url)
        );
        // A thread that reads cannot be ended: it is not waited for.
        let (typed, line) = oneshot::channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            let read = io::stdin().read_line(&mut line);
            let _ = typed.send(read.map(|_| line));
        });
        let line = tokio::select! {
            line = line => line.map_err(io::Error::other)?,
            _ = tokio::signal::ctrl_c() => Err(io::ErrorKind::Interrupted.into()),
        };
        drop(hidden);
        let _ = writeln!(anstream::stderr());
        line?
    } else {
        let mut bytes = Vec::new();
        stdin.lock().take(LONGEST + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > LONGEST {
            return Err(Trouble::Usage(
                "standard input holds more than a key".to_owned(),
            ));
        }
        String::from_utf8(bytes).map_err(|_| Trouble::Usage("a key is text".to_owned()))?
    };
    if key.trim().is_empty() {
        return Err(Trouble::Usage("no key was given".to_owned()));
    }
    Ok(key)
}

/// A terminal that does not show what is typed, for as long as this lives.
struct Hidden {
    terminal: File,
    shown: Termios,
}

impl Hidden {
    fn hide() -> io::Result<Self> {
        let terminal = File::from(rustix::io::dup(io::stdin())?);
        let shown = tcgetattr(&terminal)?;
        let mut hidden = shown.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&terminal, OptionalActions::Flush, &hidden)?;
        Ok(Self { terminal, shown })
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.shown);
    }
}
