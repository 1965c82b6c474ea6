//! A small real program that plays the children of a trial: servers and
//! evaluators that behave, and all the ways in which they do not.
//!
//! Every process that it makes appends its pid and its start time to `$PIDS`, so
//! that a test can tell whether one of them is still alive.
//!
//! A gate is a file that a process waits for. It makes the file `<gate>.waits`
//! when it gets there, so that a test knows where it is.

mod train;

use std::ffi::OsString;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use autotune::base::quantity::parse_duration;
use autotune::base::random::generator;
use autotune::supervise::backoff::Limits;
use autotune::supervise::{self, Ended, Next, Options, pid_file};
use clap::{Args, Parser};
use rand::RngExt;

/// No child outlives its test for long, whatever goes wrong.
const LIFE_MAX: Duration = Duration::from_secs(300);

#[derive(Parser)]
enum Role {
    /// Listens on a port and answers HTTP.
    Serve(Serve),
    /// Prints and ends.
    Run(Run),
    /// Does nothing for a long time.
    Hold(Hold),
    /// Keeps a program alive, as `autotuned supervise` keeps its daemon.
    Supervise(Supervise),
    /// Prints the signals that it gets.
    EchoSignals {
        /// End at the so manieth SIGTERM.
        #[arg(long)]
        ends: usize,
    },
    /// Gives signs of life to whoever supervises it.
    Beat(Beat),
    /// Measures what a table of the search benchmark has for the parameters in
    /// its environment, with noise.
    Replay(Replay),
    /// Trains, and tells how it goes.
    Train(train::Train),
}

#[derive(Args)]
struct Serve {
    #[arg(long)]
    port: u16,
    /// Open the port only after so many milliseconds.
    #[arg(long, default_value_t = 0)]
    late: u64,
    /// The status of every answer to a GET.
    #[arg(long, default_value_t = 200)]
    status: u16,
    /// End with `code` so many milliseconds after the port is open.
    #[arg(long)]
    die: Option<u64>,
    #[arg(long, default_value_t = 3)]
    code: u8,
    /// End with `code` at once, saying this.
    #[arg(long)]
    refuse: Option<String>,
    #[arg(long)]
    ignore_term: bool,
    /// End on SIGTERM only once this file is there.
    #[arg(long)]
    term_gate: Option<PathBuf>,
    /// Start a process that lives on in a session of its own.
    #[arg(long)]
    leave: bool,
    /// The same, with an empty environment.
    #[arg(long)]
    leave_bare: bool,
    /// Let a child do the serving and end, as a shell script would that starts
    /// its server in the background.
    #[arg(long)]
    background: bool,
    /// Serve only once this file is there.
    #[arg(long)]
    gate: Option<PathBuf>,
    /// Answer 404 to a GET of any other path.
    #[arg(long)]
    path: Option<String>,
    /// Answer 503 until this file is there.
    #[arg(long)]
    ready_gate: Option<PathBuf>,
}

#[derive(Args)]
struct Run {
    /// Lines to print.
    #[arg(long)]
    print: Vec<String>,
    /// Lines to print before anything else.
    #[arg(long)]
    tell: Vec<String>,
    /// Wait so many milliseconds first.
    #[arg(long, default_value_t = 0)]
    sleep: u64,
    #[arg(long, default_value_t = 0)]
    code: u8,
    /// Print so many MiB of junk first, without a line's end.
    #[arg(long, default_value_t = 0)]
    flood: usize,
    /// Print bytes that are no UTF-8 first.
    #[arg(long)]
    garbage: bool,
    /// Write the environment to this file, NAME=VALUE a line.
    #[arg(long)]
    env: Option<PathBuf>,
    /// Append a line to this file first.
    #[arg(long)]
    append: Option<PathBuf>,
    /// The line for `append` and `done`.
    #[arg(long, default_value = "run")]
    line: String,
    /// Start a process that lives on in a session of its own.
    #[arg(long)]
    leave: bool,
    /// Wait first until this file is there.
    #[arg(long)]
    gate: Option<PathBuf>,
    /// Print first how many other processes of the study are alive, as
    /// `alive=N`.
    #[arg(long)]
    census: bool,
    /// Take so many MiB of memory first.
    #[arg(long, default_value_t = 0)]
    hog: usize,
    /// Start so many processes that live on first; end with code 11 when one is
    /// refused.
    #[arg(long, default_value_t = 0)]
    crowd: u32,
    /// Keep so many threads busy for a second first.
    #[arg(long, default_value_t = 0)]
    spin: usize,
    /// Append `line` to this file last of all.
    #[arg(long)]
    done: Option<PathBuf>,
    /// Print which execution this is, as `stamp=NUMBER`, and add the number to
    /// `line`.
    #[arg(long)]
    stamp: bool,
    /// Ask the server on this port to die, and wait until it has.
    #[arg(long)]
    murder: Option<u16>,
    /// Do not wait for an answer of a server that was asked to die.
    #[arg(long)]
    give_up: bool,
}

#[derive(Args)]
struct Replay {
    /// A CSV file: the parameters, then `objective` and others.
    #[arg(long)]
    table: PathBuf,
    /// The number of the run, whose noise is always the same.
    #[arg(long)]
    run: u32,
}

#[derive(Args)]
struct Hold {
    #[arg(long)]
    own_session: bool,
    #[arg(long)]
    ignore_term: bool,
    /// Where to append the pid, when there is no environment.
    #[arg(long)]
    pids: Option<PathBuf>,
}

#[derive(Args)]
#[group(skip)]
struct Supervise {
    #[arg(long, default_value = "60", value_parser = parse_duration)]
    watchdog: Duration,
    /// The program and its arguments.
    #[arg(required = true, last = true)]
    program: Vec<OsString>,
}

#[derive(Args)]
#[group(skip)]
struct Beat {
    how_often: HowOften,
    /// Where this file is, end at once; else make it.
    #[arg(long)]
    once: PathBuf,
}

#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum HowOften {
    Three,
    ForEver,
}

fn main() -> ExitCode {
    let role = Role::parse();
    std::thread::spawn(|| {
        std::thread::sleep(LIFE_MAX);
        std::process::exit(99);
    });
    if !matches!(role, Role::Hold(_))
        && let Some(path) = std::env::var_os("PIDS")
    {
        note_pid(Path::new(&path));
    }
    match role {
        Role::Serve(serve) => serve.play(),
        Role::Run(run) => run.play(),
        Role::Hold(hold) => hold.play(),
        Role::Supervise(supervise) => supervise.play(),
        Role::EchoSignals { ends } => echo_signals(ends),
        Role::Beat(beat) => beat.play(),
        Role::Replay(replay) => replay.play(),
        Role::Train(train) => train.play(),
    }
}

fn note_pid(path: &Path) {
    let pid = std::process::id();
    let (_, ticks) = stat(pid).expect("we are alive");
    append(path, &format!("{pid} {ticks}\n"));
}

/// State and start time of a process, in clock ticks since boot.
fn stat(pid: u32) -> Option<(char, u64)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Field 3 comes after the name, which stands in parentheses.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some((
        fields.first()?.chars().next()?,
        fields.get(19)?.parse().ok()?,
    ))
}

/// How many other processes of the study are alive.
fn census() -> usize {
    let path = std::env::var_os("PIDS").expect("PIDS is set");
    let text = std::fs::read_to_string(path).expect("we are in it");
    let others = text.lines().filter_map(|line| {
        let (pid, ticks) = line.split_once(' ')?;
        Some((pid.parse::<u32>().ok()?, ticks.parse::<u64>().ok()?))
    });
    let alive = others.filter(|(pid, ticks)| {
        let now = stat(*pid);
        *pid != std::process::id() && now.is_some_and(|(state, t)| t == *ticks && state != 'Z')
    });
    alive.count()
}

fn append(path: &Path, line: &str) {
    let file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path);
    file.and_then(|mut file| file.write_all(line.as_bytes()))
        .expect("the test's file");
}

fn ignore_term() {
    let ignored = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGTERM, ignored).expect("a handler");
}

#[expect(clippy::zombie_processes, reason = "it is to outlive us")]
fn leave(bare: bool) {
    let mut command = Command::new(std::env::current_exe().expect("our own path"));
    command.args(["hold", "--own-session", "--ignore-term"]);
    if bare {
        let pids = std::env::var_os("PIDS").expect("PIDS is set");
        command.arg("--pids").arg(pids).env_clear();
    }
    let child = command.spawn().expect("a child");
    let pids = std::env::var_os("PIDS").expect("PIDS is set");
    let noted = format!("{} ", child.id());
    // It must be on record before anything is killed.
    while !std::fs::read_to_string(&pids)
        .unwrap_or_default()
        .lines()
        .any(|line| line.starts_with(&noted))
    {
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn await_gate(gate: Option<&PathBuf>) {
    let Some(gate) = gate else { return };
    if is_open(gate) {
        return;
    }
    while !gate.exists() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Whether a gate is open; leaves a mark where it is not.
fn is_open(gate: &Path) -> bool {
    let open = gate.exists();
    if !open {
        let mut mark = gate.as_os_str().to_owned();
        mark.push(".waits");
        std::fs::write(mark, "").expect("the test's folder");
    }
    open
}

/// Ends on SIGTERM only once the gate is open.
fn end_by_gate(gate: PathBuf) {
    let mut signals =
        signal_hook::iterator::Signals::new([signal_hook::consts::SIGTERM]).expect("a handler");
    std::thread::spawn(move || {
        signals.forever().next();
        await_gate(Some(&gate));
        std::process::exit(0);
    });
}

impl Serve {
    fn play(self) -> ExitCode {
        if self.ignore_term {
            ignore_term();
        }
        if let Some(gate) = self.term_gate {
            end_by_gate(gate);
        }
        if self.leave || self.leave_bare {
            leave(self.leave_bare);
        }
        if self.background {
            let arguments: Vec<_> = std::env::args_os()
                .skip(1)
                .filter(|argument| argument != "--background")
                .collect();
            let own = std::env::current_exe().expect("our own path");
            drop(Command::new(own).args(arguments).spawn().expect("a child"));
            std::thread::sleep(LIFE_MAX.min(Duration::from_millis(self.die.unwrap_or(0))));
            return ExitCode::from(self.code);
        }
        if let Some(text) = self.refuse {
            eprintln_line(&text);
            return ExitCode::from(self.code);
        }
        std::thread::sleep(Duration::from_millis(self.late));
        await_gate(self.gate.as_ref());
        let listener = match TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)) {
            Ok(listener) => listener,
            Err(error) => {
                eprintln_line(&format!("cannot listen: {error}"));
                return ExitCode::from(98);
            }
        };
        if let Some(life) = self.die {
            let code = self.code;
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(life));
                std::process::exit(code.into());
            });
        }
        for stream in listener.incoming().flatten() {
            let (path, status) = (self.path.clone(), self.status);
            let gate = self.ready_gate.clone();
            std::thread::spawn(move || answer(stream, path.as_deref(), status, gate.as_deref()));
        }
        ExitCode::SUCCESS
    }
}

fn answer(
    mut stream: TcpStream,
    path: Option<&str>,
    status: u16,
    gate: Option<&Path>,
) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let mut request = String::new();
        if reader.read_line(&mut request)? == 0 {
            return Ok(());
        }
        let mut length = 0;
        loop {
            let mut header = String::new();
            if reader.read_line(&mut header)? == 0 || header == "\r\n" {
                break;
            }
            if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        io::copy(&mut io::Read::take(&mut reader, length), &mut io::sink())?;
        if request.starts_with("GET /die") {
            // A server that holds much memory is not gone at once.
            stream.shutdown(std::net::Shutdown::Both)?;
            std::thread::sleep(Duration::from_millis(20));
            std::process::exit(9);
        }
        let asked = request.split(' ').nth(1);
        let status = if request.starts_with("POST") {
            200
        } else if path.is_some() && path != asked {
            404
        } else if gate.is_some_and(|gate| !is_open(gate)) {
            503
        } else {
            status
        };
        write!(
            stream,
            "HTTP/1.1 {status} X\r\ncontent-length: 5\r\n\r\nhello"
        )?;
    }
}

impl Run {
    fn play(self) -> ExitCode {
        if let Some(path) = &self.append {
            append(path, &format!("{}\n", self.line));
        }
        if self.census {
            writeln!(io::stdout(), "alive={}", census()).expect("printed");
        }
        if self.leave {
            leave(false);
        }
        for line in &self.tell {
            writeln!(io::stdout(), "{line}").expect("printed");
        }
        await_gate(self.gate.as_ref());
        std::thread::sleep(Duration::from_millis(self.sleep));
        let mut memory = Vec::new();
        for _ in 0..self.hog {
            memory.push(vec![1_u8; 1 << 20]);
        }
        std::hint::black_box(&memory);
        for _ in 0..self.crowd {
            if let Err(error) = start_hold() {
                eprintln_line(&format!("cannot start a process: {error}"));
                return ExitCode::from(11);
            }
        }
        std::thread::scope(|scope| {
            for _ in 0..self.spin {
                scope.spawn(|| {
                    let end = std::time::Instant::now() + Duration::from_secs(1);
                    while std::time::Instant::now() < end {}
                });
            }
        });
        if let Some(port) = self.murder {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("the server");
            stream
                .write_all(b"GET /die HTTP/1.1\r\n\r\n")
                .expect("sent");
            drop(io::copy(&mut stream, &mut io::sink()));
            if !self.give_up {
                std::thread::sleep(LIFE_MAX);
            }
        }
        if let Some(path) = &self.env {
            let mut text = String::new();
            for (name, value) in std::env::vars_os() {
                text += &format!("{}={}\n", name.to_string_lossy(), value.to_string_lossy());
            }
            append(path, &text);
        }
        let mut out = io::stdout().lock();
        let junk = vec![b'j'; 1 << 20];
        for _ in 0..self.flood {
            out.write_all(&junk).expect("printed");
        }
        if self.garbage {
            out.write_all(b"\xff\xfe\x00 no text \xc3\x28\n")
                .expect("printed");
        }
        for line in &self.print {
            writeln!(out, "{line}").expect("printed");
        }
        let mut line = self.line;
        if self.stamp {
            let stamp = std::process::id();
            writeln!(out, "stamp={stamp}").expect("printed");
            line += &format!(" {stamp}");
        }
        if let Some(path) = &self.done {
            append(path, &format!("{line}\n"));
        }
        ExitCode::from(self.code)
    }
}

impl Replay {
    /// Params that have no row, or one that is not `ok`, do not start.
    fn play(self) -> ExitCode {
        let text = std::fs::read_to_string(&self.table).expect("the table");
        let mut rows = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
        let header = rows.next().expect("a header");
        let count = header.iter().position(|column| *column == "objective");
        let count = count.expect("an objective");
        let params = header[..count].iter();
        let params = params.map(|name| std::env::var(name).expect("each parameter is set"));
        let params: Vec<String> = params.collect();
        let row = rows.find(|row| row[..count] == params[..] && row[count + 2] == "ok");
        let Some(row) = row else {
            eprintln_line("does not start");
            return ExitCode::from(3);
        };
        let mut hasher = DefaultHasher::new();
        (&params, self.run).hash(&mut hasher);
        let noise: f64 = generator(0, hasher.finish()).random_range(-0.05..0.05);
        let objective: f64 = row[count].parse().expect("a number");
        writeln!(io::stdout(), "objective={}", objective * (1.0 + noise)).expect("printed");
        ExitCode::SUCCESS
    }
}

fn start_hold() -> io::Result<()> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("hold").spawn().map(drop)
}

impl Hold {
    fn play(self) -> ExitCode {
        if self.own_session {
            nix::unistd::setsid().expect("not a leader yet");
        }
        if self.ignore_term {
            ignore_term();
        }
        // Only now, so that whoever reads it may rely on the above.
        let pids = std::env::var_os("PIDS").map(PathBuf::from).or(self.pids);
        note_pid(&pids.expect("a file for the pid"));
        std::thread::sleep(LIFE_MAX);
        ExitCode::SUCCESS
    }
}

impl Supervise {
    fn play(self) -> ExitCode {
        let mut words = self.program.into_iter();
        let options = Options {
            program: words.next().expect("a program").into(),
            arguments: words.collect(),
            pid_file: pid_file::FILE.into(),
            limits: Limits {
                restarts: 3,
                within: LIFE_MAX,
            },
            watchdog: Some(self.watchdog).filter(|limit| !limit.is_zero()),
            after: |_, _| Next::End,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let kept = supervise::keep(options, |notice| eprintln_line(&notice.to_string()));
        match runtime.block_on(kept).expect("it is supervised") {
            Ended::Code(code) => ExitCode::from(code),
            Ended::GaveUp => ExitCode::from(200),
        }
    }
}

fn echo_signals(ends: usize) -> ExitCode {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
    let wanted = [SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2];
    let mut signals = signal_hook::iterator::Signals::new(wanted).expect("handlers");
    eprintln_line("listening");
    let mut terminations = 0;
    for signal in signals.forever() {
        let name = nix::sys::signal::Signal::try_from(signal).expect("a known one");
        eprintln_line(&format!("got {name}"));
        terminations += usize::from(signal == SIGTERM);
        if terminations == ends {
            break;
        }
    }
    ExitCode::SUCCESS
}

impl Beat {
    fn play(self) -> ExitCode {
        if self.once.exists() {
            return ExitCode::SUCCESS;
        }
        std::fs::write(&self.once, "").expect("the test's folder");
        let Some(path) = std::env::var_os("NOTIFY_SOCKET") else {
            eprintln_line("nobody listens");
            std::thread::sleep(LIFE_MAX);
            return ExitCode::SUCCESS;
        };
        let limit = std::env::var("WATCHDOG_USEC").expect("a limit");
        let limit = Duration::from_micros(limit.parse().expect("a number"));
        let socket = UnixDatagram::unbound().expect("a socket");
        let mut count = 0;
        while self.how_often == HowOften::ForEver || count < 3 {
            socket
                .send_to(b"STATUS=well\nWATCHDOG=1\n", &path)
                .expect("a listener");
            eprintln_line("alive");
            std::thread::sleep(limit / 3);
            count += 1;
        }
        std::thread::sleep(LIFE_MAX);
        ExitCode::SUCCESS
    }
}

/// Prints a line by one write, so that nothing that another process prints into
/// the same file comes between the text and its end.
fn eprintln_line(text: &str) {
    let line = format!("{text}\n");
    io::stderr().write_all(line.as_bytes()).expect("printed");
}
