//! The terminal as a screen that is drawn as a whole: keys come as they are
//! pressed, and what was there before comes back at every end.
//!
//! - What is drawn goes out on a thread of its own. A line that takes nothing
//!   holds up nothing else, and a frame is made only once the last one has gone:
//!   a slow line is sent fewer frames, never old ones.
//! - The terminal is given back once, by the first end that comes: [`Screen`] is
//!   dropped, or anything panics.

use std::cell::RefCell;
use std::io::{self, Write};
use std::mem::take;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::queue;
use ratatui::crossterm::style::ResetColor;
use ratatui::crossterm::terminal::{Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen};
use ratatui::layout::Rect;
use ratatui::{Frame, Terminal, TerminalOptions, Viewport};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::sync::Notify;

/// A line that takes nothing for so long is not told that the screen is left.
const PATIENCE: Duration = Duration::from_secs(1);

/// The size of a terminal that does not tell its own: columns and lines.
const USUAL: (u16, u16) = (80, 24);

/// A terminal that is drawn on.
pub struct Screen {
    line: Arc<Line>,
    terminal: Option<Terminal<CrosstermBackend<Bytes>>>,
    bytes: Bytes,
    area: Rect,
}

impl Screen {
    /// Takes the terminal of standard input over; `out` is where it is written
    /// to.
    ///
    /// # Errors
    /// Standard input is no terminal, or the system refuses.
    pub fn open(out: impl Write + Send + 'static) -> io::Result<Self> {
        let line = Arc::new(Line {
            before: tcgetattr(io::stdin())?,
            outgoing: Mutex::default(),
            changed: Condvar::new(),
            gone: Notify::new(),
            is_entered: AtomicBool::new(false),
        });
        let writer = Arc::clone(&line);
        std::thread::Builder::new().spawn(move || writer.write(out))?;
        let screen = Self {
            line,
            terminal: None,
            bytes: Bytes::default(),
            area: Rect::default(),
        };
        let line = Arc::downgrade(&screen.line);
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            // The message is to stand on the terminal as it was before.
            if let Some(line) = line.upgrade() {
                line.leave();
            }
            usual(panic);
        }));
        screen.line.enter()?;
        Ok(screen)
    }

    /// Gives the terminal back for as long as this process is stopped, and
    /// takes it over again when it goes on. `stop` stops it.
    ///
    /// # Errors
    /// The system refuses.
    pub fn stand_back(&mut self, stop: impl FnOnce()) -> io::Result<()> {
        self.line.leave();
        stop();
        self.take_over()
    }

    /// Takes the terminal over again, whatever became of it meanwhile.
    ///
    /// # Errors
    /// The system refuses.
    pub fn take_over(&mut self) -> io::Result<()> {
        self.terminal = None;
        self.line.enter()
    }

    /// Has the next frame drawn from nothing.
    pub fn forget(&mut self) {
        self.terminal = None;
    }

    /// Whether the last frame has gone out, so that another one may be drawn.
    pub fn is_free(&self) -> bool {
        self.line.outgoing().is_empty()
    }

    /// Waits until a frame has gone out.
    pub async fn freed(&self) {
        self.line.gone.notified().await;
    }

    /// Whether the terminal takes nothing any more.
    pub fn is_broken(&self) -> bool {
        self.line.outgoing().broken
    }

    /// Draws: only what differs from the last frame is sent.
    ///
    /// # Errors
    /// None that can be foreseen: frames are made in memory.
    pub fn draw(&mut self, render: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        let (columns, lines) = size();
        let area = Rect::new(0, 0, columns, lines);
        if area != self.area {
            self.area = area;
            self.terminal = None;
        }
        let terminal = match &mut self.terminal {
            Some(terminal) => terminal,
            none => {
                // What one that is dropped has to say is of no use.
                self.bytes.0.borrow_mut().clear();
                queue!(self.bytes, Hide, ResetColor, Clear(ClearType::All))?;
                let viewport = Viewport::Fixed(area);
                let backend = CrosstermBackend::new(self.bytes.clone());
                none.insert(Terminal::with_options(
                    backend,
                    TerminalOptions { viewport },
                )?)
            }
        };
        terminal.draw(render)?;
        let bytes = take(&mut *self.bytes.0.borrow_mut());
        self.line.send(&in_16_colors(&bytes));
        Ok(())
    }
}

/// A frame whose colours are written as terminals of 16 know them. The library
/// writes each as one of 256: an old console takes the 5 of `38;5;2` for
/// blinking.
fn in_16_colors(frame: &[u8]) -> Vec<u8> {
    let mut written = Vec::with_capacity(frame.len());
    let mut rest = frame;
    while let Some(start) = rest.windows(2).position(|two| two == b"\x1b[") {
        let (before, sequence) = rest.split_at(start + 2);
        written.extend_from_slice(before);
        let end = sequence
            .iter()
            .position(|byte| (0x40..=0x7e).contains(byte));
        let (parameters, after) = sequence.split_at(end.unwrap_or(sequence.len()));
        match after.first() {
            Some(b'm') => written.extend(colors(parameters)),
            _ => written.extend_from_slice(parameters),
        }
        rest = after;
    }
    written.extend_from_slice(rest);
    written
}

/// `38;5;2` as `32`, and so on; whatever else is among them stays as it is.
fn colors(parameters: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(parameters);
    let mut parts = text.split(';');
    let mut shown: Vec<String> = Vec::new();
    while let Some(part) = parts.next() {
        let mut ahead = parts.clone();
        let basic = match (part, ahead.next(), ahead.next()) {
            ("38" | "48", Some("5"), Some(color)) => color.parse::<u8>().ok(),
            _ => None,
        };
        let Some(color) = basic.filter(|color| *color < 16) else {
            shown.push(part.to_owned());
            continue;
        };
        let first = match (part, color < 8) {
            ("38", true) => 30,
            ("38", false) => 90,
            (_, true) => 40,
            (_, false) => 100,
        };
        shown.push((first + color % 8).to_string());
        parts = ahead;
    }
    shown.join(";").into_bytes()
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.line.leave();
        self.line.outgoing().over = true;
        self.line.changed.notify_all();
    }
}

/// Columns and lines of the terminal.
fn size() -> (u16, u16) {
    let told = tcgetwinsize(io::stdin()).map(|size| (size.ws_col, size.ws_row));
    told.ok()
        .filter(|(columns, lines)| *columns > 0 && *lines > 0)
        .unwrap_or(USUAL)
}

/// What a frame is made in.
#[derive(Clone, Default)]
struct Bytes(Rc<RefCell<Vec<u8>>>);

impl Write for Bytes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The line to the terminal.
struct Line {
    /// How the terminal was before.
    before: Termios,
    outgoing: Mutex<Outgoing>,
    changed: Condvar,
    gone: Notify,
    is_entered: AtomicBool,
}

/// What is to go out.
#[derive(Default)]
struct Outgoing {
    waiting: Vec<u8>,
    /// Whether something is being written.
    busy: bool,
    /// Whether the terminal takes nothing any more.
    broken: bool,
    /// Whether nothing more will come.
    over: bool,
}

impl Outgoing {
    fn is_empty(&self) -> bool {
        !self.busy && self.waiting.is_empty()
    }
}

impl Line {
    fn outgoing(&self) -> MutexGuard<'_, Outgoing> {
        self.outgoing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self) -> io::Result<()> {
        let mut raw = self.before.clone();
        raw.make_raw();
        self.is_entered.store(true, Ordering::SeqCst);
        tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
        let mut bytes = Vec::new();
        queue!(bytes, EnterAlternateScreen, Hide)?;
        self.send(&bytes);
        Ok(())
    }

    /// Gives the terminal back, where that is not done yet.
    fn leave(&self) {
        if !self.is_entered.swap(false, Ordering::SeqCst) {
            return;
        }
        let mut bytes = Vec::new();
        let _ = queue!(bytes, ResetColor, Show, LeaveAlternateScreen);
        self.send(&bytes);
        self.settle();
        // A terminal that is gone needs nothing.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }

    fn send(&self, bytes: &[u8]) {
        let mut outgoing = self.outgoing();
        if !outgoing.broken {
            outgoing.waiting.extend_from_slice(bytes);
            self.changed.notify_all();
        }
    }

    /// Waits until all has gone out, but not for ever.
    fn settle(&self) {
        let end = Instant::now() + PATIENCE;
        let mut outgoing = self.outgoing();
        while !outgoing.is_empty() {
            let Some(left) = end.checked_duration_since(Instant::now()) else {
                return;
            };
            let waited = self.changed.wait_timeout(outgoing, left);
            outgoing = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Writes what comes, to the end.
    fn write(&self, mut out: impl Write) {
        let mut outgoing = self.outgoing();
        loop {
            if outgoing.waiting.is_empty() {
                if outgoing.over {
                    return;
                }
                let waited = self.changed.wait(outgoing);
                outgoing = waited.unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let bytes = take(&mut outgoing.waiting);
            outgoing.busy = true;
            drop(outgoing);
            let written = out.write_all(&bytes).and_then(|()| out.flush());
            outgoing = self.outgoing();
            outgoing.busy = false;
            if written.is_err() {
                outgoing.broken = true;
                outgoing.waiting.clear();
            }
            self.changed.notify_all();
            self.gone.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colors_that_every_terminal_knows() {
        let cases = [
            ("\x1b[38;5;2;49mgood\x1b[39m", "\x1b[32;49mgood\x1b[39m"),
            ("\x1b[38;5;9;48;5;12mx", "\x1b[91;104mx"),
            ("\x1b[1m\x1b[38;5;208mx", "\x1b[1m\x1b[38;5;208mx"),
            // What is no colour, and no sequence, stays.
            ("38;5;2 \x1b[5;38H中\x1b[0m", "38;5;2 \x1b[5;38H中\x1b[0m"),
            ("\x1b[m\x1b[", "\x1b[m\x1b["),
        ];
        for (frame, written) in cases {
            assert_eq!(
                in_16_colors(frame.as_bytes()),
                written.as_bytes(),
                "{frame:?}"
            );
        }
    }
}
