//! Starting a process right where it belongs.
//!
//! `clone3` makes a child that is in its cgroup from its first instruction
//! (Linux 5.7), so nothing that it does can happen outside, and hands over its
//! pidfd without a race. Moving a process that exists into a cgroup, which is
//! what a child of `std::process` would have to do, also costs an RCU grace
//! period of some 10 ms. Where the kernel has no such `clone3`, or a sandbox
//! forbids it, `fork` and a move do the same.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::ptr;

use rustix::process::{Pid, PidfdFlags};

use super::cgroup::Cgroup;
use super::environment;
use super::files;

/// What is to be started, and how.
pub(super) struct Spawn<'a> {
    /// Program and arguments; a name without a slash is looked for in PATH.
    pub(super) command: &'a [OsString],
    /// The whole environment.
    pub(super) env: &'a BTreeMap<OsString, OsString>,
    /// Where it runs.
    pub(super) workdir: &'a Path,
    /// Standard input, output and error.
    pub(super) streams: [BorrowedFd<'a>; 3],
    /// The cgroup that it lives in; that of the caller when `None`.
    pub(super) cgroup: Option<&'a Cgroup>,
    /// Whether it dies when the calling thread ends.
    pub(super) dies_with_caller: bool,
}

/// A process that was started, pinned by its pidfd.
pub(super) struct Spawned {
    pub(super) pid: Pid,
    pub(super) pidfd: OwnedFd,
}

impl Spawn<'_> {
    /// Starts the process, in a session of its own.
    ///
    /// # Errors
    /// What the system answers, also when the program cannot be executed.
    pub(super) fn start(&self) -> io::Result<Spawned> {
        let prepared = Prepared::new(self)?;
        let (mut failure, failed) = io::pipe()?;
        let spawned = prepared.fork(failed.as_raw_fd())?;
        drop(failed);
        // The pipe closes as the program is executed, or brings the reason why
        // it could not be.
        let mut code = [0; 4];
        match failure.read_exact(&mut code) {
            Err(_) => Ok(spawned),
            Ok(()) => {
                // It has ended by itself; nobody else waits for it.
                let id = rustix::process::WaitId::Pid(spawned.pid);
                let _ = rustix::process::waitid(id, rustix::process::WaitIdOptions::EXITED);
                Err(io::Error::from_raw_os_error(i32::from_ne_bytes(code)))
            }
        }
    }
}

/// All that the child needs, made before it is there: between fork and exec
/// nothing may be allocated.
struct Prepared {
    /// The paths to try, in order.
    programs: Vec<CString>,
    arguments: Vec<CString>,
    env: Vec<CString>,
    workdir: CString,
    streams: [RawFd; 3],
    cgroup: Option<OwnedFd>,
    procs: Option<File>,
    caller: libc::pid_t,
    dies_with_caller: bool,
    open_files: Option<libc::rlimit>,
}

impl Prepared {
    fn new(spawn: &Spawn<'_>) -> io::Result<Self> {
        let [program, ..] = spawn.command else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the command is empty",
            ));
        };
        let arguments = spawn
            .command
            .iter()
            .map(|word| c_string(word))
            .collect::<Result<_, _>>()?;
        let env = spawn.env.iter().map(|(name, value)| {
            let entry = [name.as_bytes(), b"=", value.as_bytes()].concat();
            c_string(OsStr::from_bytes(&entry))
        });
        let open = |cgroup: &Cgroup| File::open(cgroup.path()).map(OwnedFd::from);
        let path = spawn.env.get(OsStr::new("PATH")).map(OsString::as_os_str);
        Ok(Self {
            programs: environment::files_of(program, path)
                .map(|file| c_string(file.as_os_str()))
                .collect::<Result<_, _>>()?,
            arguments,
            env: env.collect::<Result<_, _>>()?,
            workdir: c_string(spawn.workdir.as_os_str())?,
            streams: spawn.streams.map(|stream| stream.as_raw_fd()),
            cgroup: spawn.cgroup.map(open).transpose()?,
            procs: spawn.cgroup.map(Cgroup::open_procs).transpose()?,
            caller: rustix::process::getpid().as_raw_nonzero().get(),
            dies_with_caller: spawn.dies_with_caller,
            open_files: files::limit_of_children(),
        })
    }

    #[expect(unsafe_code, reason = "clone3, fork and exec have no safe form")]
    fn fork(&self, failed: RawFd) -> io::Result<Spawned> {
        let argv = pointers(&self.arguments);
        let envp = pointers(&self.env);
        let mut pidfd: RawFd = -1;
        let mut flags = libc::CLONE_PIDFD as u64;
        if self.cgroup.is_some() {
            flags |= CLONE_INTO_CGROUP;
        }
        let arguments = CloneArgs {
            flags,
            pidfd: ptr::from_mut(&mut pidfd) as u64,
            exit_signal: libc::SIGCHLD as u64,
            cgroup: self
                .cgroup
                .as_ref()
                .map_or(0, |cgroup| cgroup.as_raw_fd() as u64),
            ..CloneArgs::default()
        };
        // SAFETY: without CLONE_VM the child has a copy of the memory, as after
        // fork. Until it executes a program or ends it makes only
        // async-signal-safe calls (see `become_program`), on memory that was
        // prepared before. `arguments` and `pidfd` outlive the call.
        let pid = unsafe {
            libc::syscall(
                libc::SYS_clone3,
                ptr::from_ref(&arguments),
                size_of::<CloneArgs>(),
            )
        };
        if pid == 0 {
            // SAFETY: as above.
            unsafe { self.become_program(&argv, &envp, failed, false) }
        }
        if pid > 0 {
            let pid = libc::pid_t::try_from(pid).ok().and_then(Pid::from_raw);
            // SAFETY: the kernel has just made this descriptor for us.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            return pid
                .map(|pid| Spawned { pid, pidfd })
                .ok_or_else(io::Error::last_os_error);
        }
        match io::Error::last_os_error() {
            error if is_missing(&error) => {}
            error => return Err(error),
        }
        // SAFETY: as above.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            // SAFETY: as above.
            unsafe { self.become_program(&argv, &envp, failed, true) }
        }
        let pid = Pid::from_raw(pid)
            .filter(|_| pid > 0)
            .ok_or_else(io::Error::last_os_error)?;
        // Nobody has reaped it yet, so the number is still its own.
        let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty())?;
        Ok(Spawned { pid, pidfd })
    }

    /// The child's part: makes only async-signal-safe calls and never returns.
    ///
    /// # Safety
    /// Must be called in the child of a fork alone.
    #[expect(unsafe_code, reason = "clone3, fork and exec have no safe form")]
    unsafe fn become_program(
        &self,
        argv: &[*const libc::c_char],
        envp: &[*const libc::c_char],
        failed: RawFd,
        enter_cgroup: bool,
    ) -> ! {
        // SAFETY: async-signal-safe calls on prepared, terminated strings.
        unsafe {
            // Whatever the daemon or who started it has open stays here. An
            // older kernel than 5.9 cannot; our own are close-on-exec anyway.
            libc::syscall(
                libc::SYS_close_range,
                3,
                libc::c_uint::MAX,
                CLOSE_RANGE_CLOEXEC,
            );
            let prepared = (!enter_cgroup || self.enter_cgroup())
                && libc::setsid() != -1
                && (!self.dies_with_caller || self.die_with_caller())
                && self.take_streams()
                && self.limit_files()
                && libc::chdir(self.workdir.as_ptr()) == 0
                && reset_signals();
            let mut code = last_error();
            if prepared {
                for program in &self.programs {
                    libc::execve(program.as_ptr(), argv.as_ptr(), envp.as_ptr());
                    let error = last_error();
                    // A file that may not be executed is worth more mention
                    // than one that is not there.
                    if code != libc::EACCES || error != libc::ENOENT {
                        code = error;
                    }
                    if !matches!(error, libc::ENOENT | libc::ENOTDIR | libc::EACCES) {
                        break;
                    }
                }
            }
            libc::write(failed, ptr::from_ref(&code).cast(), size_of_val(&code));
            libc::_exit(127)
        }
    }

    #[expect(unsafe_code, reason = "see become_program")]
    unsafe fn enter_cgroup(&self) -> bool {
        // SAFETY: an open descriptor and one byte.
        self.procs.as_ref().is_none_or(|procs| unsafe {
            libc::write(procs.as_raw_fd(), b"0".as_ptr().cast(), 1) == 1
        })
    }

    #[expect(unsafe_code, reason = "see become_program")]
    unsafe fn die_with_caller(&self) -> bool {
        // SAFETY: plain system calls. The caller may have died before the
        // first of them.
        unsafe {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) == 0
                && libc::getppid() == self.caller
        }
    }

    #[expect(unsafe_code, reason = "see become_program")]
    unsafe fn limit_files(&self) -> bool {
        // SAFETY: a plain system call on a value of the caller's.
        self.open_files.as_ref().is_none_or(|limit| unsafe {
            libc::setrlimit(libc::RLIMIT_NOFILE, ptr::from_ref(limit)) == 0
        })
    }

    #[expect(unsafe_code, reason = "see become_program")]
    unsafe fn take_streams(&self) -> bool {
        // SAFETY: duplicates descriptors that are open in the caller, and so in
        // the child; a target is never the source of a later one, since the
        // sources are above the standard ones.
        (0..).zip(self.streams).all(|(target, stream)| unsafe {
            if stream == target {
                // Already in place: only its close-on-exec flag must go.
                libc::fcntl(stream, libc::F_SETFD, 0) == 0
            } else {
                libc::dup2(stream, target) == target
            }
        })
    }
}

/// Gives a program the signals as it expects them. Handlers go with exec;
/// what is ignored or blocked would stay so.
#[expect(unsafe_code, reason = "see become_program")]
unsafe fn reset_signals() -> bool {
    // SAFETY: async-signal-safe calls on a local set.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::signal(libc::SIGPIPE, libc::SIG_DFL) != libc::SIG_ERR
            && libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut()) == 0
    }
}

#[expect(unsafe_code, reason = "errno has no safe form that allocates nothing")]
unsafe fn last_error() -> libc::c_int {
    // SAFETY: the location is the thread's own.
    unsafe { *libc::__errno_location() }
}

/// `struct clone_args` of `clone(2)`, as far as CLONE_INTO_CGROUP needs it.
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
const CLOSE_RANGE_CLOEXEC: libc::c_uint = 4;

/// Whether an answer of `clone3` means that there is no such call here, or
/// none that knows of cgroups.
fn is_missing(error: &io::Error) -> bool {
    let known = [
        libc::ENOSYS,
        libc::EPERM,
        libc::EINVAL,
        libc::E2BIG,
        libc::EOPNOTSUPP,
    ];
    error
        .raw_os_error()
        .is_some_and(|code| known.contains(&code))
}

fn c_string(text: &OsStr) -> io::Result<CString> {
    CString::new(text.to_owned().into_vec())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a text has a NUL byte in it"))
}

fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    strings
        .iter()
        .map(|string| string.as_ptr())
        .chain([ptr::null()])
        .collect()
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    fn run(command: &[&str], workdir: &str) -> io::Result<(String, i32)> {
        let command: Vec<OsString> = command.iter().map(OsString::from).collect();
        let env = BTreeMap::from([
            ("PATH".into(), "/usr/bin:/bin".into()),
            ("MARK".into(), "it's\nhere".into()),
        ]);
        let null = File::open("/dev/null")?;
        let (mut reader, writer) = io::pipe()?;
        let spawn = Spawn {
            command: &command,
            env: &env,
            workdir: Path::new(workdir),
            streams: [null.as_fd(), writer.as_fd(), writer.as_fd()],
            cgroup: None,
            dies_with_caller: false,
        };
        let spawned = spawn.start()?;
        drop(writer);
        let mut text = String::new();
        reader.read_to_string(&mut text)?;
        let id = rustix::process::WaitId::PidFd(spawned.pidfd.as_fd());
        let status = rustix::process::waitid(id, rustix::process::WaitIdOptions::EXITED)?;
        let code = status.and_then(|status| status.exit_status()).unwrap_or(-1);
        Ok((text, code))
    }

    #[test]
    fn arguments_environment_folder_and_code_arrive() {
        let script = "echo \"$0|$1|$MARK|$PWD\"; exit 3";
        let (text, code) = run(&["sh", "-c", script, "a b", "ü"], "/usr").expect("started");
        assert_eq!(text, "a b|ü|it's\nhere|/usr\n");
        assert_eq!(code, 3);
    }

    #[test]
    fn nothing_but_the_streams_is_inherited() {
        let kept = File::open("/dev/null").expect("a file that stays open");
        let (text, _) = run(&["ls", "/proc/self/fd"], "/").expect("started");
        // `ls` itself opens the folder.
        assert_eq!(text.lines().collect::<Vec<_>>(), ["0", "1", "2", "3"]);
        drop(kept);
    }

    #[test]
    fn a_session_of_its_own_without_blocked_signals() {
        let script = "cut -d' ' -f6 /proc/self/stat; echo $$; \
                      grep SigBlk /proc/self/status; grep SigIgn /proc/self/status";
        let (text, _) = run(&["sh", "-c", script], "/").expect("started");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], lines[1], "{text}");
        assert!(lines[2].ends_with("0000000000000000"), "{text}");
        let ignored = lines[3].rsplit('\t').next().expect("a number");
        let ignored = u64::from_str_radix(ignored, 16).expect("hexadecimal");
        assert_eq!(ignored & (1 << (libc::SIGPIPE - 1)), 0, "{text}");
    }

    #[test]
    fn what_cannot_be_started_says_why() {
        let kind =
            |command: &[&str], workdir: &str| run(command, workdir).expect_err("fails").kind();
        assert_eq!(kind(&["no-such-program"], "/"), io::ErrorKind::NotFound);
        assert_eq!(kind(&["/etc/passwd"], "/"), io::ErrorKind::PermissionDenied);
        assert_eq!(kind(&["ls"], "/no/such/folder"), io::ErrorKind::NotFound);
        assert_eq!(kind(&["a\0b"], "/"), io::ErrorKind::InvalidInput);
    }
}
