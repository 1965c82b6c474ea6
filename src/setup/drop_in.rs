//! What is written: a drop-in for the unit, and a line for tmpfiles.d.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::files::MARK;
use super::unit::RUNTIME;
use super::{SetupError, syntax};

/// The user that the packages make, and the group whose members may steer.
pub const OWN: &str = "autotune";

/// All that the files depend on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The folders that the service may write to; absolute, the study's own
    /// first.
    pub folders: Vec<PathBuf>,
    /// Another spec than the unit's own.
    pub spec: Option<PathBuf>,
    /// Another user than the unit's own.
    pub user: Option<Account>,
    /// Groups that the service is in besides, of those that exist.
    pub groups: Vec<String>,
    /// The only devices that it may use; without, all.
    pub devices: Option<Vec<String>>,
    /// The program that loads the driver, where there is one.
    pub modprobe: Option<PathBuf>,
}

/// A user with the primary group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The user's name.
    pub user: String,
    /// The group's name.
    pub group: String,
}

impl Account {
    /// The name of the folders in /var/lib and /var/log.
    pub fn folder(&self) -> String {
        format!("{OWN}-{}", self.user)
    }
}

impl Settings {
    /// The drop-in.
    ///
    /// # Errors
    /// [`SetupError::NotWritable`] for a path or a name that has no place there.
    pub fn drop_in(&self) -> Result<String, SetupError> {
        let folders = self.folders.iter().map(|folder| syntax::path(folder));
        let folders = folders.collect::<Result<Vec<_>, _>>()?.join(" ");
        let mut text = format!(
            "{MARK}\n\n[Unit]\n# Not before the disk is there.\nRequiresMountsFor={folders}\n\n\
             [Service]\n# Beside the state folder this is all that it may write to.\n\
             ReadWritePaths={folders}\n"
        );
        if let Some(spec) = &self.spec {
            let spec = syntax::assignment("AUTOTUNE_SPEC", spec)?;
            add(&mut text, &["# The study."]);
            add(&mut text, &[&format!("Environment={spec}")]);
        }
        if let Some(account) = &self.user {
            let user = syntax::account(&account.user)?;
            let group = syntax::account(&account.group)?;
            let folder = account.folder();
            add(
                &mut text,
                &[
                    &format!("User={user}"),
                    &format!("Group={group}"),
                    "# Folders of this user's own: those of a service that runs as somebody else",
                    "# would be given to this user as it starts.",
                    "StateDirectory=",
                    &format!("StateDirectory={folder}"),
                    "StateDirectoryMode=0750",
                    "LogsDirectory=",
                    &format!("LogsDirectory={folder}"),
                    "LogsDirectoryMode=0750",
                    &format!("WorkingDirectory=%S/{folder}"),
                ],
            );
        }
        if !self.groups.is_empty() {
            let groups = self.groups.iter().map(|group| syntax::account(group));
            let groups = groups.collect::<Result<Vec<_>, _>>()?.join(" ");
            if self.groups.iter().any(|group| group == OWN) {
                add(&mut text, &["# Members of autotune may steer it."]);
            }
            add(&mut text, &[&format!("SupplementaryGroups={groups}")]);
        }
        if let Some(devices) = &self.devices {
            add(
                &mut text,
                &[
                    "# These GPUs alone. The driver must be there when the service starts.",
                    "DevicePolicy=closed",
                ],
            );
            for device in devices {
                add(&mut text, &[&format!("DeviceAllow={device} rw")]);
            }
        }
        if let Some(program) = &self.modprobe {
            let program = syntax::path(program)?;
            add(
                &mut text,
                &[
                    "# Loads the driver for CUDA and makes its devices, as root: a step cannot.",
                    &format!("ExecStartPre=-+{program} -u -c0"),
                ],
            );
        }
        Ok(text)
    }

    /// The file for tmpfiles.d(5), where the user is another than the owner of
    /// the folder for sockets: that stays the same, and lets this user in.
    ///
    /// # Errors
    /// As [`drop_in`](Self::drop_in).
    pub fn tmpfiles(&self) -> Result<Option<String>, SetupError> {
        let Some(account) = &self.user else {
            return Ok(None);
        };
        let user = syntax::account(&account.user)?;
        Ok(Some(format!(
            "{MARK}\n# The control socket is made by this user.\n\
             a+ {RUNTIME} - - - - user:{user}:rwx,mask::rwx\n"
        )))
    }

    /// The folders in /var that a user of its own has.
    pub fn state_folders(&self) -> Vec<PathBuf> {
        let folder = self.user.as_ref().map(Account::folder);
        let places = ["/var/lib", "/var/log"].map(Path::new);
        let named = folder
            .iter()
            .flat_map(|folder| places.map(|place| place.join(folder)));
        named.collect()
    }
}

fn add(text: &mut String, lines: &[&str]) {
    for line in lines {
        // A String takes everything.
        let _ = writeln!(text, "{line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alice() -> Settings {
        Settings {
            folders: vec!["/home/alice/my study".into(), "/home/alice/.cache".into()],
            spec: Some("/home/alice/my study/study.toml".into()),
            user: Some(Account {
                user: "alice".to_owned(),
                group: "users".to_owned(),
            }),
            groups: ["autotune", "video", "render"].map(str::to_owned).into(),
            devices: Some(vec!["/dev/nvidiactl".to_owned(), "/dev/nvidia1".to_owned()]),
            modprobe: Some("/usr/bin/nvidia-modprobe".into()),
        }
    }

    #[test]
    fn all_that_can_be_wished_for() {
        insta::assert_snapshot!(alice().drop_in().expect("good"));
        let tmpfiles = alice().tmpfiles().expect("good").expect("a file");
        assert!(tmpfiles.starts_with(&format!("{MARK}\n")));
        assert!(tmpfiles.ends_with("\na+ /run/autotune - - - - user:alice:rwx,mask::rwx\n"));
        let folders = ["/var/lib/autotune-alice", "/var/log/autotune-alice"];
        assert_eq!(alice().state_folders(), folders.map(PathBuf::from));
    }

    #[test]
    fn a_folder_alone() {
        let settings = Settings {
            folders: vec!["/data/qwen".into()],
            ..Settings::default()
        };
        insta::assert_snapshot!(settings.drop_in().expect("good"));
        assert_eq!(settings.tmpfiles().expect("good"), None);
        assert!(settings.state_folders().is_empty());
    }

    #[test]
    fn nothing_is_smuggled_in() {
        let mut settings = alice();
        settings.folders.push("/data/x\nUser=root".into());
        assert!(settings.drop_in().is_err());
        let mut settings = alice();
        settings.user = Some(Account {
            user: "a\nb".to_owned(),
            group: "g".to_owned(),
        });
        assert!(settings.drop_in().is_err() && settings.tmpfiles().is_err());
    }
}
