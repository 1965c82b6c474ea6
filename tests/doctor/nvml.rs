//! A small `libnvidia-ml.so.1`, and what it tells.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::support::{Daemon, Study, kill};

/// What the library tells to all who are started with [`env`](Nvml::env).
pub struct Nvml {
    file: PathBuf,
}

impl Nvml {
    /// A library that tells this; see tests/helpers/nvml.c.
    pub fn new(study: &Study, text: &str) -> Self {
        let file = study.path("nvml");
        let nvml = Self { file };
        nvml.tell(text);
        nvml
    }

    /// Lets it tell something else from here on.
    pub fn tell(&self, text: &str) {
        let new = self.file.with_extension("new");
        std::fs::write(&new, text).expect("written");
        std::fs::rename(new, &self.file).expect("renamed");
    }

    /// The environment in which the library is found.
    pub fn env(&self) -> [(&str, &str); 2] {
        let file = self.file.to_str().expect("text");
        let folder = library().to_str().expect("text");
        [("NVML_FAKE", file), ("LD_LIBRARY_PATH", folder)]
    }

    /// Starts `autotuned run` with it.
    pub fn start(&self, study: &Study) -> Daemon {
        let arguments = ["run", "study.toml", "--output-dir", "out"];
        study.start_with(&arguments, &self.env())
    }

    /// The processes that were started with it and are alive.
    pub fn users(&self) -> Vec<i32> {
        let wanted = format!("NVML_FAKE={}", self.file.display());
        let entries = std::fs::read_dir("/proc").expect("processes").flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter(|pid| {
            let environ = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            let mut entries = environ.split(|byte| *byte == 0);
            entries.any(|entry| entry == wanted.as_bytes())
        })
        .collect()
    }
}

impl Drop for Nvml {
    fn drop(&mut self) {
        // A helper that a failed test has left hanging.
        self.users().into_iter().for_each(kill);
    }
}

/// The folder of the library, built once.
fn library() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let name = format!("nvml-{}", std::process::id());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/helpers/nvml.c");
        let built = Command::new("cc")
            .args(["-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o"])
            .arg(folder.join("libnvidia-ml.so.1"))
            .arg(source)
            .status();
        assert!(built.expect("cc, which links this test, too").success());
        folder
    })
}
