//! What this host has: users, groups, GPUs, folders.

use std::fs;
use std::path::{Path, PathBuf};

use nix::unistd::{Group, User};

use super::SetupError;
use super::drop_in::{Account, OWN};

/// Loads the driver and makes its devices.
const MODPROBE: &str = "/usr/bin/nvidia-modprobe";
/// Groups that may use GPUs.
const GPU_GROUPS: [&str; 2] = ["video", "render"];
/// What the NVIDIA driver tells of its GPUs.
const GPUS: &str = "/proc/driver/nvidia/gpus";
/// Folders that must not be opened as a whole.
const WHOLE: [&str; 16] = [
    "/",
    "/bin",
    "/boot",
    "/etc",
    "/home",
    "/lib",
    "/lib64",
    "/opt",
    "/root",
    "/run",
    "/sbin",
    "/usr",
    "/usr/local",
    "/var",
    "/var/lib",
    "/var/log",
];
/// Folders of which the service has its own, or that are none.
const ELSEWHERE: [&str; 5] = ["/tmp", "/var/tmp", "/proc", "/sys", "/dev"];

/// A folder of the study, by its real path.
///
/// # Errors
/// [`SetupError::Folder`].
pub fn folder(path: &Path) -> Result<PathBuf, SetupError> {
    let refused = |why: String| SetupError::Folder {
        path: path.to_owned(),
        why,
    };
    let real = fs::canonicalize(path).map_err(|error| refused(error.to_string()))?;
    if !real.is_dir() {
        return Err(refused("it is not a folder".to_owned()));
    }
    if WHOLE.iter().any(|whole| real == Path::new(whole)) {
        let why = "much else is in it; name a folder below it".to_owned();
        return Err(refused(why));
    }
    if let Some(place) = ELSEWHERE.iter().find(|place| real.starts_with(place)) {
        let why = format!("the service has a {place} of its own, and what is there goes with it");
        return Err(refused(why));
    }
    Ok(real)
}

/// A user by name; `None` for the one that the service has by itself.
///
/// # Errors
/// [`SetupError::NoSuchUser`].
pub fn account(name: &str) -> Result<Option<Account>, SetupError> {
    let user = User::from_name(name).ok().flatten();
    let user = user.ok_or_else(|| SetupError::NoSuchUser(name.to_owned()))?;
    if user.name == OWN {
        return Ok(None);
    }
    let group = Group::from_gid(user.gid).ok().flatten();
    Ok(Some(Account {
        user: user.name,
        group: group.map_or_else(|| user.gid.to_string(), |group| group.name),
    }))
}

/// The groups of a service beside that of `account`: for the GPUs, and for its
/// socket. Only those that exist.
pub fn groups(account: Option<&Account>) -> Vec<String> {
    let own = account.map(|_| OWN);
    let wanted = own.into_iter().chain(GPU_GROUPS);
    let there = wanted.filter(|name| Group::from_name(name).is_ok_and(|group| group.is_some()));
    there.map(str::to_owned).collect()
}

/// The program that loads the driver, where it is installed.
pub fn modprobe() -> Option<PathBuf> {
    let program = Path::new(MODPROBE);
    program.exists().then(|| program.to_owned())
}

/// The devices of some GPUs, by the numbers that nvidia-smi gives them: the
/// order on the bus.
///
/// # Errors
/// [`SetupError::NoSuchGpu`].
pub fn devices(wanted: &[u32]) -> Result<Vec<String>, SetupError> {
    let minors = minors(Path::new(GPUS));
    let shared = [
        "nvidiactl",
        "nvidia-uvm",
        "nvidia-uvm-tools",
        "nvidia-modeset",
    ];
    let mut devices: Vec<String> = shared.map(|name| format!("/dev/{name}")).into();
    if Path::new("/dev/nvidia-caps").exists() {
        // Parts of a GPU (MIG).
        devices.push("char-nvidia-caps".to_owned());
    }
    for index in wanted {
        let minor = usize::try_from(*index).ok().and_then(|at| minors.get(at));
        let Some(minor) = minor else {
            let there = match minors.len() {
                0 => "no NVIDIA driver is loaded, and only its GPUs can be told apart".to_owned(),
                1 => "0 is the only one".to_owned(),
                count => format!("0 to {} are", count - 1),
            };
            return Err(SetupError::NoSuchGpu {
                wanted: *index,
                there,
            });
        };
        devices.push(format!("/dev/nvidia{minor}"));
    }
    Ok(devices)
}

/// The numbers of the GPUs' devices, in the order on the bus.
fn minors(folder: &Path) -> Vec<u32> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut gpus: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    gpus.sort();
    let minor = |gpu: PathBuf| {
        let text = fs::read_to_string(gpu.join("information")).ok()?;
        let mut lines = text.lines();
        let minor = lines.find_map(|line| line.strip_prefix("Device Minor:"))?;
        minor.trim().parse().ok()
    };
    gpus.into_iter().filter_map(minor).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_that_hold_more_than_a_study() {
        for whole in [
            "/",
            "/home",
            "/usr/bin/..",
            "/etc",
            "/var/lib",
            "/tmp",
            "/proc",
        ] {
            let refused = folder(Path::new(whole));
            assert!(matches!(refused, Err(SetupError::Folder { .. })), "{whole}");
        }
        let missing = folder(Path::new("/no/such")).expect_err("missing");
        assert!(missing.to_string().contains("/no/such cannot be"));
        let file = folder(Path::new("/etc/passwd")).expect_err("a file");
        assert!(file.to_string().contains("not a folder"));
        assert_eq!(
            folder(Path::new("/usr/bin")).ok(),
            fs::canonicalize("/usr/bin").ok()
        );
    }

    #[test]
    fn gpus_are_counted_as_nvidia_smi_does() {
        let folder = tempfile::tempdir().expect("a folder");
        for (bus, minor) in [("0000:41:00.0", 0), ("0000:01:00.0", 3)] {
            let gpu = folder.path().join(bus);
            fs::create_dir(&gpu).expect("made");
            let text = format!("Model: \t\t NVIDIA L4\nDevice Minor: \t {minor}\n");
            fs::write(gpu.join("information"), text).expect("written");
        }
        assert_eq!(minors(folder.path()), [3, 0]);
        assert_eq!(minors(&folder.path().join("none")), [0; 0]);
        assert!(devices(&[4000]).is_err());
    }

    #[test]
    fn users_that_are_there() {
        let root = account("root").expect("there").expect("not autotune");
        assert_eq!((&*root.user, &*root.group), ("root", "root"));
        assert!(matches!(account("no-such"), Err(SetupError::NoSuchUser(_))));
    }
}
