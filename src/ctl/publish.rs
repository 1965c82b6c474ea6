//! `autotunectl publish`: uploads the best model, when somebody asks for it, by
//! the hub's own program.
//!
//! That program takes this one's place, so that its progress, its questions and
//! its exit code are the user's; the token reaches it by the environment alone.

use std::ffi::CString;
use std::io::{self, IsTerminal, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::exit::Exit;
use super::session::{Session, Trouble};
use crate::base::quantity::show_size;
use crate::base::usual::{self, Found};
use crate::report::phrase::{clean, counted};
use crate::wire::reply::Reply;
use crate::wire::request::Request;

/// The folder into which the preset ms-swift-sft merges the best model.
const MERGED: &str = "merged";

/// Uploads the best model to ModelScope or Hugging Face
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  autotunectl publish me/qwen-mh --to modelscope
  autotunectl publish me/qwen-mh --to huggingface --adapter -- --private
  autotunectl publish me/qwen-mh --to huggingface --folder ./merged --yes

It shows what goes where, and asks before anything does. Without --folder it asks
the daemon for the study's folder: what the preset ms-swift-sft has merged there,
or with --adapter the copy of the best trial's artifacts. The upload is done by
`modelscope upload` or `hf upload`, which get what follows `--`. The token is the
credential modelscope_api_token or hf_token, MODELSCOPE_API_TOKEN or HF_TOKEN in
.env in this folder, or that variable; it is never an argument. Without one the
program's own login counts.")]
pub struct Args {
    /// The model's name at the hub, OWNER/NAME
    #[arg(value_name = "OWNER/NAME", value_parser = repository)]
    repository: String,
    /// The hub
    #[arg(long, value_name = "HUB")]
    to: Hub,
    /// The adapter of the best trial, not the merged model
    #[arg(long, conflicts_with = "folder")]
    adapter: bool,
    /// Upload this folder; needs no daemon
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// The program that uploads [default: modelscope or hf]
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// More arguments of that program
    #[arg(last = true, value_name = "ARGUMENT")]
    more: Vec<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Hub {
    /// modelscope.cn
    Modelscope,
    /// huggingface.co
    Huggingface,
}

impl Hub {
    const fn name(self) -> &'static str {
        match self {
            Self::Modelscope => "ModelScope",
            Self::Huggingface => "Hugging Face",
        }
    }

    const fn program(self) -> &'static str {
        match self {
            Self::Modelscope => "modelscope",
            Self::Huggingface => "hf",
        }
    }

    /// The variable in which its program looks for the token.
    const fn variable(self) -> &'static str {
        match self {
            Self::Modelscope => "MODELSCOPE_API_TOKEN",
            Self::Huggingface => "HF_TOKEN",
        }
    }
}

fn repository(text: &str) -> Result<String, String> {
    let good = |part: &str| {
        let letter = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        !part.is_empty() && part.chars().all(letter) && !part.starts_with(['-', '.'])
    };
    match text.split_once('/') {
        Some((owner, name)) if good(owner) && good(name) => Ok(text.to_owned()),
        _ => Err("write it as OWNER/NAME".to_owned()),
    }
}

pub async fn carry_out(session: &mut Session, args: &Args) -> Result<Exit, Trouble> {
    let folder = match &args.folder {
        Some(folder) => std::path::absolute(folder)?,
        None => of_study(session, args.adapter).await?,
    };
    let (files, bytes) = size(&folder).map_err(|source| {
        let folder = folder.display();
        Trouble::Usage(format!("{folder} cannot be read: {source}"))
    })?;
    if files == 0 {
        let folder = folder.display();
        return Err(Trouble::Usage(format!("there is nothing in {folder}")));
    }
    let variable = args.to.variable();
    let environment = |name: &str| std::env::var_os(name);
    let here = std::env::current_dir()?;
    let token = usual::find(&variable.to_lowercase(), variable, &here, &environment);
    let token = token.map_err(|error| Trouble::Usage(error.to_string()))?;
    let program = args.program.clone();
    let program = program.unwrap_or_else(|| args.to.program().into());
    session.note(&format!(
        "{}, {}, of {} for {} at {}, by `{} upload`",
        counted(files, "file"),
        show_size(bytes),
        clean(&folder.display().to_string()),
        args.repository,
        args.to.name(),
        clean(&program.display().to_string())
    ));
    session.note(&match &token {
        Some(found) => format!("the token is {}", found.place),
        None => format!("there is no {variable}: the program's own login counts"),
    });
    if !args.yes && !confirmed()? {
        session.note("nothing was uploaded");
        return Ok(Exit::Failure);
    }
    let error = become_it(&program, args, &folder, token);
    Err(Trouble::Usage(format!(
        "{} could not be started: {error}: install it (pip install {}), or name it with --program",
        program.display(),
        match args.to {
            Hub::Modelscope => "modelscope",
            Hub::Huggingface => "huggingface_hub",
        }
    )))
}

/// What is to be uploaded of the study behind the socket.
async fn of_study(session: &mut Session, adapter: bool) -> Result<PathBuf, Trouble> {
    if adapter {
        let Reply::Best(best) = session.ask(&Request::Best).await? else {
            return Err(Trouble::OffTopic);
        };
        let copy = best.artifacts.and_then(|artifacts| artifacts.copy);
        return copy.map(PathBuf::from).ok_or_else(|| {
            Trouble::Usage("there is no copy of the best trial's artifacts".to_owned())
        });
    }
    let Reply::Status(status) = session.ask(&Request::Status).await? else {
        return Err(Trouble::OffTopic);
    };
    let merged = Path::new(&status.output_dir).join(MERGED);
    if merged.is_dir() {
        return Ok(merged);
    }
    let merged = merged.display();
    Err(Trouble::Usage(format!(
        "there is no folder {merged}: name another with --folder, or upload the adapter with \
         --adapter"
    )))
}

/// How many files there are below a folder, and how many bytes they have.
fn size(folder: &Path) -> io::Result<(u64, u64)> {
    let (mut files, mut bytes) = (0, 0);
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        // As the programs do it: what a link leads to counts.
        let found = std::fs::metadata(entry.path())?;
        if found.is_dir() {
            let (more, of_them) = size(&entry.path())?;
            files += more;
            bytes += of_them;
        } else {
            files += 1;
            bytes += found.len();
        }
    }
    Ok((files, bytes))
}

fn confirmed() -> Result<bool, Trouble> {
    if !io::stdin().is_terminal() {
        let text = "nobody can be asked here: --yes uploads without asking";
        return Err(Trouble::Usage(text.to_owned()));
    }
    let _ = write!(anstream::stderr(), "Upload it? [y/N] ");
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    Ok(matches!(line.trim(), "y" | "Y" | "yes"))
}

/// Why this process did not become the program that uploads.
fn become_it(program: &Path, args: &Args, folder: &Path, token: Option<Found>) -> io::Error {
    let text = |bytes: &[u8]| CString::new(bytes).map_err(io::Error::from);
    let become_it = || -> io::Result<()> {
        let program = text(program.as_os_str().as_bytes())?;
        let mut words = vec![program.clone(), text(b"upload")?];
        words.push(text(args.repository.as_bytes())?);
        words.push(text(folder.as_os_str().as_bytes())?);
        if let Hub::Huggingface = args.to {
            // Into the repository itself, whatever the folder is called.
            words.push(text(b".")?);
        }
        for word in &args.more {
            words.push(text(word.as_bytes())?);
        }
        let variable = args.to.variable();
        let mut environment = Vec::new();
        for (name, value) in std::env::vars_os().filter(|(name, _)| name != variable) {
            environment.push(text(&[name.as_bytes(), b"=", value.as_bytes()].concat())?);
        }
        if let Some(found) = token {
            let token = found.secret.expose().trim();
            environment.push(text(format!("{variable}={token}").as_bytes())?);
        }
        nix::unistd::execvpe(&program, &words, &environment)?;
        Ok(())
    };
    become_it()
        .err()
        .unwrap_or_else(|| io::ErrorKind::Other.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_at_a_hub() {
        for good in ["me/model", "My-Org/qwen2.5_7B.v1"] {
            assert!(repository(good).is_ok(), "{good}");
        }
        for bad in [
            "model",
            "/model",
            "me/",
            "a/b/c",
            "me/mo del",
            "--x/y",
            "me/../x",
        ] {
            assert!(repository(bad).is_err(), "{bad}");
        }
    }
}
