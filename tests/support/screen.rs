//! A terminal with a program on it, and what a person would see there.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};

use rustix::termios::{Termios, tcgetattr};
use unicode_width::UnicodeWidthChar;

use super::{Daemon, Study, put_on_terminal};

const COLUMNS: usize = 80;
const ROWS: usize = 24;

/// What is on the screen.
pub struct Seen {
    cells: Vec<Vec<char>>,
    row: usize,
    column: usize,
    /// The bytes of a control sequence that has begun.
    sequence: Option<String>,
    /// Whether what was there before is put aside.
    pub alternate: bool,
    /// Whether the cursor is shown.
    pub cursor: bool,
    /// All that came.
    pub all: String,
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            cells: vec![vec![' '; COLUMNS]; ROWS],
            row: 0,
            column: 0,
            sequence: None,
            alternate: false,
            cursor: true,
            all: String::new(),
        }
    }
}

impl Seen {
    fn take(&mut self, text: &str) {
        self.all.push_str(text);
        for letter in text.chars() {
            if let Some(sequence) = &mut self.sequence {
                sequence.push(letter);
                if sequence.len() > 1 && ('@'..='~').contains(&letter) {
                    let sequence = self.sequence.take().unwrap_or_default();
                    self.obey(&sequence);
                }
                continue;
            }
            match letter {
                '\u{1b}' => self.sequence = Some(String::new()),
                '\r' => self.column = 0,
                '\n' => self.row = (self.row + 1).min(ROWS - 1),
                letter => {
                    let width = letter.width().unwrap_or(0);
                    if self.column + width <= COLUMNS {
                        self.cells[self.row][self.column] = letter;
                    }
                    self.column += width;
                }
            }
        }
    }

    fn obey(&mut self, sequence: &str) {
        match sequence {
            "[?1049h" => self.alternate = true,
            "[?1049l" => self.alternate = false,
            "[?25h" => self.cursor = true,
            "[?25l" => self.cursor = false,
            "[2J" => self.cells = vec![vec![' '; COLUMNS]; ROWS],
            _ => {
                let Some(place) = sequence.strip_prefix('[').and_then(|s| s.strip_suffix('H'))
                else {
                    return;
                };
                let mut numbers = place.split(';').map(|n| n.parse().unwrap_or(1));
                self.row = (numbers.next().unwrap_or(1usize) - 1).min(ROWS - 1);
                self.column = numbers.next().unwrap_or(1usize) - 1;
            }
        }
    }

    /// The lines as they are read.
    pub fn text(&self) -> String {
        let lines = self
            .cells
            .iter()
            .map(|line| line.iter().collect::<String>());
        lines.map(|line| format!("{}\n", line.trim_end())).collect()
    }
}

/// A terminal with a program on it.
pub struct Screen {
    typed: std::fs::File,
    seen: Arc<Mutex<Seen>>,
    /// How the terminal was before.
    before: Termios,
    /// The program.
    pub program: Daemon,
}

impl Screen {
    /// Starts it; `None` where that cannot be done here.
    pub fn open(command: Command) -> Option<Self> {
        let (terminal, child) = put_on_terminal(command)?;
        let (screen, mut read) = Self::unread(terminal, child);
        let kept = Arc::clone(&screen.seen);
        std::thread::spawn(move || {
            let (mut bytes, mut rest) = ([0; 4096], Vec::new());
            while let Ok(count @ 1..) = read.read(&mut bytes) {
                rest.extend_from_slice(&bytes[..count]);
                // A character may come in two pieces.
                let whole = match std::str::from_utf8(&rest) {
                    Ok(_) => rest.len(),
                    Err(error) => error.valid_up_to(),
                };
                let text: Vec<u8> = rest.drain(..whole).collect();
                kept.lock()
                    .expect("whole")
                    .take(&String::from_utf8_lossy(&text));
            }
        });
        Some(screen)
    }

    /// One of which nothing is read.
    pub fn stuck(command: Command) -> Option<(Self, std::fs::File)> {
        let (terminal, child) = put_on_terminal(command)?;
        Some(Self::unread(terminal, child))
    }

    fn unread(terminal: OwnedFd, child: Child) -> (Self, std::fs::File) {
        let typed = std::fs::File::from(terminal.try_clone().expect("a copy"));
        let screen = Self {
            typed,
            seen: Arc::default(),
            before: fresh(),
            program: Daemon::of(child),
        };
        (screen, std::fs::File::from(terminal))
    }

    /// Waits until something is seen.
    pub fn wait(&self, study: &Study, what: &str, holds: impl Fn(&Seen) -> bool) {
        study.wait(what, || {
            let seen = self.seen.lock().expect("whole");
            holds(&seen)
        });
    }

    /// Waits until the screen has this text.
    pub fn wait_for(&self, study: &Study, text: &str) {
        let seen = || self.text();
        let waited = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            self.wait(study, text, |seen| {
                seen.alternate && seen.text().contains(text)
            });
        }));
        if let Err(panic) = waited {
            let _ = writeln!(std::io::stderr(), "{}", seen());
            std::panic::resume_unwind(panic);
        }
    }

    /// What is on it.
    pub fn text(&self) -> String {
        self.seen.lock().expect("whole").text()
    }

    /// All that ever came.
    pub fn all(&self) -> String {
        self.seen.lock().expect("whole").all.clone()
    }

    /// Types keys.
    pub fn press(&mut self, keys: &str) {
        self.typed.write_all(keys.as_bytes()).expect("typed");
    }

    /// Whether keys come as they are pressed.
    pub fn is_raw(&self) -> bool {
        !self.is_as_before()
    }

    /// Whether the terminal is set as it was.
    pub fn is_as_before(&self) -> bool {
        let now = tcgetattr(&self.typed).expect("a terminal");
        let set = |t: &Termios| {
            (
                t.local_modes,
                t.input_modes,
                t.output_modes,
                t.control_modes,
            )
        };
        set(&now) == set(&self.before)
    }

    /// Waits until the program has given the terminal back.
    pub fn wait_given_back(&self, study: &Study) {
        self.wait(study, "the terminal", |seen| !seen.alternate && seen.cursor);
        assert!(self.is_as_before());
    }
}

/// How a new terminal is set.
fn fresh() -> Termios {
    let terminal = rustix::pty::openpt(rustix::pty::OpenptFlags::RDWR).expect("a terminal");
    tcgetattr(&terminal).expect("its settings")
}
