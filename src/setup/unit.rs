//! The unit that is set up: its names, and where its files are.

use std::path::{Path, PathBuf};

/// `autotune.service`, or `autotune@NAME.service`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    instance: Option<String>,
}

impl Unit {
    /// The service, or that of an instance. The instance's name is checked to
    /// be plain.
    pub const fn new(instance: Option<String>) -> Self {
        Self { instance }
    }

    /// Its name without `.service`, as `systemctl` takes it too.
    pub fn short(&self) -> String {
        match &self.instance {
            Some(name) => format!("autotune@{name}"),
            None => "autotune".to_owned(),
        }
    }

    /// Its whole name.
    pub fn name(&self) -> String {
        format!("{}.service", self.short())
    }

    /// The unit that looks from inside the sandbox: with the same instance, as
    /// its settings may name that.
    pub fn preflight(&self) -> String {
        match &self.instance {
            Some(name) => format!("autotune-setup@{name}.service"),
            None => "autotune-setup.service".to_owned(),
        }
    }

    /// The spec that it has by itself.
    pub fn own_spec(&self) -> PathBuf {
        let name = self.instance.as_deref().unwrap_or("autotune");
        PathBuf::from(format!("/etc/autotune/{name}.toml"))
    }

    /// The lock beside its socket.
    pub fn lock(&self) -> PathBuf {
        let name = self.instance.as_deref().unwrap_or("control");
        PathBuf::from(format!("{RUNTIME}/{name}.sock.lock"))
    }

    /// The drop-in that is written.
    pub fn drop_in(&self) -> PathBuf {
        let folder = format!("/etc/systemd/system/{}.d", self.name());
        Path::new(&folder).join("50-setup.conf")
    }

    /// The file for tmpfiles.d(5) that is written.
    pub fn tmpfiles(&self) -> PathBuf {
        PathBuf::from(format!("/etc/tmpfiles.d/{}-setup.conf", self.short()))
    }

    /// How `autotunectl` is told which study is meant.
    pub fn option(&self) -> String {
        let instance = self.instance.as_ref();
        instance.map_or_else(String::new, |name| format!(" -i {name}"))
    }
}

/// The folder of the control sockets.
pub const RUNTIME: &str = "/run/autotune";
