//! Sample dialogues, from a file that the steps of a study have written: one JSON
//! object a line, `{"prompt": …, "base": …, "best": …}`.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use glob::{MatchOptions, Pattern};
use rustix::fs::OFlags;
use serde::Deserialize;

use crate::base::inside;
use crate::model::dialogues::{Dialogues, Sample, Trouble};
use crate::model::spec::Spec;

/// So many are kept.
const KEPT: usize = 20;
/// So many malformed lines are named.
const NAMED: usize = 5;
/// So many files are looked at, and so much is read of the newest, in bytes.
const FILES: usize = 10_000;
const LARGEST: u64 = 8 << 20;

#[derive(Deserialize)]
struct Line {
    prompt: String,
    base: String,
    best: String,
}

/// Reads the dialogues that the spec names, from the newest file among the best
/// trial's artifacts, else in the output folder, else in the workdir; `None` where
/// it names none.
pub fn read(spec: &Spec, output_dir: &Path) -> Option<Dialogues> {
    let pattern = spec.report.dialogues.as_deref()?;
    let folders = [
        output_dir.join(&spec.files.best_model),
        output_dir.to_owned(),
        spec.workdir.clone(),
    ];
    let found = folders
        .iter()
        .find_map(|folder| newest(folder, pattern).map(|path| (folder, path)));
    let Some((folder, path)) = found else {
        return Some(Dialogues {
            file: pattern.to_owned(),
            trouble: Some(Trouble::NoFile),
            ..Dialogues::default()
        });
    };
    let mut dialogues = Dialogues {
        file: folder.join(&path).display().to_string(),
        ..Dialogues::default()
    };
    if let Err(error) = read_file(folder, &path, &mut dialogues) {
        dialogues.trouble = Some(Trouble::Unreadable(error.to_string()));
    }
    Some(dialogues)
}

/// The newest file in the folder that the pattern matches, relative to that.
fn newest(folder: &Path, pattern: &str) -> Option<PathBuf> {
    let root = Pattern::escape(folder.to_str()?);
    let options = MatchOptions {
        case_sensitive: true,
        require_literal_separator: true,
        require_literal_leading_dot: false,
    };
    let found = glob::glob_with(&format!("{root}/{pattern}"), options).ok()?;
    let files = found.take(FILES).flatten().filter_map(|path| {
        let inside = path.strip_prefix(folder).ok()?.to_owned();
        let known = path.metadata().ok().filter(std::fs::Metadata::is_file)?;
        Some((known.modified().unwrap_or(SystemTime::UNIX_EPOCH), inside))
    });
    files.max().map(|(_, path)| path)
}

fn read_file(folder: &Path, path: &Path, dialogues: &mut Dialogues) -> io::Result<()> {
    // A link may lead to another file of the folder, and to none elsewhere.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK;
    let file = File::from(inside::open(inside::folder(folder)?, path, flags, true)?);
    let known = file.metadata()?;
    if !known.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let is_cut = known.len() > LARGEST;
    let mut lines = BufReader::new(file.take(LARGEST));
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        if lines.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        if is_cut && line.last() != Some(&b'\n') {
            // Where the rest was left out.
            break;
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        match serde_json::from_slice(&line) {
            Ok(Line { prompt, base, best }) if dialogues.samples.len() < KEPT => {
                dialogues.samples.push(Sample { prompt, base, best });
            }
            Ok(_) => dialogues.more += 1,
            Err(_) => {
                dialogues.malformed_count += 1;
                if dialogues.malformed.len() < NAMED {
                    dialogues.malformed.push(number);
                }
            }
        }
    }
    if is_cut {
        dialogues.trouble = Some(Trouble::TooLarge(LARGEST));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::search::simulation;

    fn spec_of(workdir: &Path, pattern: Option<&str>) -> Spec {
        let parameters = vec![simulation::list("A", "1 2", "")];
        let space = simulation::space(parameters, &[]);
        let mut spec = simulation::spec(space, crate::model::spec::SamplerKind::Grid);
        spec.workdir = workdir.to_owned();
        spec.report.dialogues = pattern.map(str::to_owned);
        spec
    }

    #[test]
    fn the_newest_among_the_artifacts_comes_first() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (output, workdir) = (folder.path().join("out[1]"), folder.path().join("work"));
        let best = output.join("artifacts/best/eval");
        fs::create_dir_all(&best).expect("a folder");
        fs::create_dir_all(workdir.join("eval")).expect("a folder");
        assert_eq!(read(&spec_of(&workdir, None), &output), None);
        let spec = spec_of(&workdir, Some("eval/*.jsonl"));
        let none = read(&spec, &output).expect("a pattern");
        assert_eq!(none.trouble, Some(Trouble::NoFile));
        assert_eq!(none.file, "eval/*.jsonl");

        let line =
            |prompt: &str| format!("{{\"prompt\":\"{prompt}\",\"base\":\"a\",\"best\":\"b\"}}\n");
        fs::write(workdir.join("eval/w.jsonl"), line("of the workdir")).expect("written");
        let prompt = |spec: &Spec| {
            let found = read(spec, &output).expect("a pattern");
            found.samples.first().map(|sample| sample.prompt.clone())
        };
        assert_eq!(prompt(&spec).as_deref(), Some("of the workdir"));
        fs::write(best.join("old.jsonl"), line("old")).expect("written");
        let long_ago = SystemTime::UNIX_EPOCH;
        let old = File::options().write(true).open(best.join("old.jsonl"));
        let old = old.expect("the file");
        old.set_modified(long_ago).expect("made old");
        fs::write(best.join("new.jsonl"), line("new")).expect("written");
        assert_eq!(prompt(&spec).as_deref(), Some("new"));

        // Nothing leads out of the folder.
        fs::remove_file(best.join("new.jsonl")).expect("removed");
        std::os::unix::fs::symlink(workdir.join("eval/w.jsonl"), best.join("link.jsonl"))
            .expect("a link");
        let found = read(&spec, &output).expect("a pattern");
        assert!(found.samples.is_empty(), "{found:?}");
        assert!(matches!(found.trouble, Some(Trouble::Unreadable(_))));
    }

    #[test]
    fn malformed_lines_are_named_and_a_long_file_is_cut() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("d.jsonl");
        let spec = spec_of(folder.path(), Some("d.jsonl"));
        let good = "{\"prompt\":\"p\",\"base\":\"a\",\"best\":\"b\",\"more\":1}\n";
        let bad = "nonsense\n\n{\"prompt\":\"p\"}\n\u{0}\n";
        fs::write(&path, format!("{bad}{}", good.repeat(30))).expect("written");
        let found = read(&spec, &folder.path().join("none")).expect("a pattern");
        assert_eq!(found.malformed, [1, 3, 4]);
        assert_eq!((found.samples.len(), found.more), (20, 10));
        assert_eq!((found.malformed_count, found.trouble), (3, None));

        let long = format!(
            "{{\"prompt\":\"{}\",\"base\":\"\",\"best\":\"\"}}\n",
            "x".repeat(5 << 20)
        );
        fs::write(&path, long.repeat(2)).expect("written");
        let found = read(&spec, &folder.path().join("none")).expect("a pattern");
        assert_eq!(found.samples.len(), 1);
        assert_eq!(found.malformed_count, 0);
        assert_eq!(found.trouble, Some(Trouble::TooLarge(LARGEST)));
    }
}
