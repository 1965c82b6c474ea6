//! Who listens on a port, as the kernel's tables tell it.

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};

use procfs::process::{FDTarget, Process};

/// So many letters of a command line are shown.
const COMMAND_MAX: usize = 120;

/// Who holds a port, as far as our user may see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A process that we may look into: of our own user, or any for root.
    Process {
        /// Its number.
        pid: i32,
        /// Its user's name, or number.
        user: String,
        /// Its command line.
        command: String,
        /// Its systemd unit, where it has one.
        unit: Option<String>,
    },
    /// A process that we do not see.
    User {
        /// Its user's name, or number.
        user: String,
        /// The port.
        port: u16,
        /// Whether we might look into a process of that user: then it is in a
        /// container, where we do not see it.
        elsewhere: bool,
    },
}

impl Holder {
    fn of(process: &Process) -> Self {
        let command = process.cmdline().unwrap_or_default().join(" ");
        let uid = process.uid().map(user);
        Self::Process {
            pid: process.pid,
            user: uid.unwrap_or_else(|_| "?".to_owned()),
            command,
            unit: unit(process),
        }
    }

    /// The process of that number, where it can be seen from here.
    pub fn process(pid: u32) -> Option<Self> {
        let pid = i32::try_from(pid).ok()?;
        let process = Process::new(pid).ok()?;
        Some(Self::of(&process))
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process {
                pid,
                user,
                command,
                unit,
            } => {
                let (short, more) = match command.char_indices().nth(COMMAND_MAX) {
                    Some((end, _)) => (&command[..end], "…"),
                    None => (command.as_str(), ""),
                };
                write!(f, "process {pid} ({short}{more}) of user {user}")?;
                unit.iter().try_for_each(|unit| write!(f, " in {unit}"))
            }
            Self::User {
                user,
                elsewhere: true,
                ..
            } => write!(
                f,
                "a process of user {user}, not visible from here: perhaps of a container (see \
                 `docker ps`), or gone by now"
            ),
            Self::User { user, port, .. } => write!(
                f,
                "a process of user {user}, not visible to this one: see `sudo ss -ltnp 'sport = \
                 :{port}'`"
            ),
        }
    }
}

/// What keeps a program from listening on a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// Somebody listens there.
    Held(Holder),
    /// Nobody listens there any more.
    Closing,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held(holder) => holder.fmt(f),
            Self::Closing => f.write_str("a socket that is closing"),
        }
    }
}

/// Whose listener is on a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listener {
    /// Nobody's.
    None,
    /// One of the processes asked about.
    Member,
    /// Somebody else's.
    Stranger(Holder),
}

/// Whose listener is on `port`: every one must belong to one of `members`.
pub fn listener(port: u16, members: &[i32]) -> Listener {
    let listeners = listeners(port);
    if listeners.is_empty() {
        return Listener::None;
    }
    let owned: Vec<u64> = members.iter().flat_map(|pid| sockets(*pid)).collect();
    match listeners
        .iter()
        .find(|listener| !owned.contains(&listener.inode))
    {
        None => Listener::Member,
        Some(stranger) => Listener::Stranger(describe(stranger, port)),
    }
}

/// Who listens on `port`, if anybody does.
pub fn holder(port: u16) -> Option<Holder> {
    listeners(port)
        .first()
        .map(|listener| describe(listener, port))
}

/// What keeps a program from listening on `port`, if anything does.
pub fn obstacle(port: u16) -> Option<Obstacle> {
    if let Some(holder) = holder(port) {
        return Some(Obstacle::Held(holder));
    }
    let everywhere = SocketAddr::from(([0, 0, 0, 0], port));
    let loopback = SocketAddr::from(([127, 0, 0, 1], port));
    let is_free = is_free(everywhere) && is_free(loopback);
    (!is_free).then_some(Obstacle::Closing)
}

/// Whether a program could listen on `address` now.
pub fn is_free(address: SocketAddr) -> bool {
    TcpListener::bind(address).is_ok()
}

/// The address that `host:port` stands for.
pub fn resolve(address: &str) -> Option<SocketAddr> {
    address.to_socket_addrs().ok()?.next()
}

/// A socket that listens, from the kernel's tables.
struct Socket {
    inode: u64,
    uid: u32,
}

fn listeners(port: u16) -> Vec<Socket> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    tables
        .into_iter()
        .flat_map(|table| listeners_in(table, port))
        .collect()
}

/// The kernel lists all sockets that listen before any that is connected
/// (`tcp_seq_start` in net/ipv4/tcp_ipv4.c), so the many that are closing after
/// a run need not be read.
fn listeners_in(table: &str, port: u16) -> Vec<Socket> {
    let Ok(file) = File::open(table) else {
        return Vec::new();
    };
    let lines = BufReader::new(file).lines().map_while(Result::ok).skip(1);
    let entries = lines.map_while(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        // sl local_address rem_address st queues tr:tm retrnsmt uid timeout inode
        let [_, local, _, "0A", _, _, _, uid, _, inode, ..] = fields[..] else {
            return None;
        };
        let listens_on = u16::from_str_radix(local.rsplit(':').next()?, 16).ok()?;
        let socket = Socket {
            inode: inode.parse().ok()?,
            uid: uid.parse().ok()?,
        };
        Some((listens_on, socket))
    });
    entries
        .filter(|(on, _)| *on == port)
        .map(|(_, socket)| socket)
        .collect()
}

/// The inodes of the sockets that a process has open.
fn sockets(pid: i32) -> Vec<u64> {
    let Ok(files) = Process::new(pid).and_then(|process| process.fd()) else {
        return Vec::new();
    };
    files
        .flatten()
        .filter_map(|file| match file.target {
            FDTarget::Socket(inode) => Some(inode),
            _ => None,
        })
        .collect()
}

fn describe(listener: &Socket, port: u16) -> Holder {
    let processes = procfs::process::all_processes()
        .into_iter()
        .flatten()
        .flatten();
    let holders = processes.filter(|process| sockets(process.pid).contains(&listener.inode));
    // A child inherits its parent's sockets: the parent was there first.
    let begun = |process: &Process| process.stat().map_or(u64::MAX, |stat| stat.starttime);
    match holders.min_by_key(|process| (begun(process), process.pid)) {
        Some(process) => Holder::of(&process),
        None => {
            let own = nix::unistd::geteuid();
            Holder::User {
                user: user(listener.uid),
                port,
                elsewhere: own.is_root() || own.as_raw() == listener.uid,
            }
        }
    }
}

/// The name of a user, or its number.
fn user(uid: u32) -> String {
    let user = nix::unistd::User::from_uid(uid.into()).ok().flatten();
    user.map_or_else(|| uid.to_string(), |user| user.name)
}

fn unit(process: &Process) -> Option<String> {
    let groups = process.cgroups().ok()?;
    let path = groups
        .into_iter()
        .find(|group| group.hierarchy == 0)?
        .pathname;
    path.split('/')
        .rev()
        .find(|part| part.ends_with(".service") || part.ends_with(".scope"))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_listener_is_found() {
        let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = socket.local_addr().expect("its address");
        let own = i32::try_from(std::process::id()).expect("a pid");
        assert_eq!(listener(address.port(), &[own]), Listener::Member);
        let Listener::Stranger(Holder::Process { pid, .. }) = listener(address.port(), &[]) else {
            panic!("nobody was asked about, so it is a stranger's");
        };
        assert_eq!(pid, own);
        assert!(!is_free(address));
    }
}
