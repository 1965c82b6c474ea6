//! `autotunectl top`: the study as it happens, on a whole terminal.
//!
//! ```text
//!   daemon ─ link ─ Update ─▶ study ─┐
//!              ▲                 ▲   ├─▶ draw ─▶ term::screen
//!              └──── Request ────┤   │
//!   keys ──────────────────────▶ view┘
//! ```
//!
//! | file | part |
//! |---|---|
//! | [`link`] | the connections to the daemon |
//! | [`study`] | what is known, and what is to be asked; pure |
//! | [`view`] | what the user looks at, and how keys change that; pure |
//! | [`draw`], [`plot`], [`table`], [`panes`] | both as characters; pure |
//!
//! Nothing is asked for twice: events tell what has changed, and that is asked
//! for. Nothing is drawn that has not changed.

mod draw;
mod link;
mod panes;
mod plot;
mod study;
mod table;
mod view;

use std::io::{self, IsTerminal};
use std::time::Duration;

use nix::sys::signal::{Signal, raise};
use ratatui::crossterm::event::{Event, read};
use rustix::process::{getpgid, getpgrp, getppid, getsid};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use self::draw::Look;
use self::link::{Source, Update};
use self::study::Study;
use self::view::{Action, Page, View};
use super::exit::Exit;
use super::session::{Session, Trouble};
use super::status::QUIET;
use crate::term::screen::Screen;
use crate::wire::request::Request;

/// Shows all of it on a whole terminal, as it happens
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  autotunectl top
  autotunectl -i sft top

Keys: ? shows them all; q or Ctrl-C ends it, and the study goes on. Whatever
changes the study is asked about first. It needs a terminal of 60 columns and
16 lines; in a pipe, on a dumb terminal or for a screen reader there is
`autotunectl status --watch`.")]
pub struct Args {}

/// Frames are at least so far apart.
const FRAME: Duration = Duration::from_millis(100);
/// The status is asked for again so late at the earliest.
const STATUS: Duration = Duration::from_millis(200);
/// What the parameters matter takes the daemon some seconds: it is asked for
/// not more often.
const THINKING: Duration = Duration::from_secs(30);

pub async fn carry_out(session: &mut Session, _: Args) -> Result<Exit, Trouble> {
    if session.json {
        let text = "top has no JSON: autotunectl status --watch --json has";
        return Err(Trouble::Usage(text.to_owned()));
    }
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    if is_dumb || !session.terminal || !io::stdin().is_terminal() {
        let text = "top needs a terminal that can be drawn on: autotunectl status --watch does not";
        return Err(Trouble::Usage(text.to_owned()));
    }
    // Whatever is wrong with the daemon is said before the screen is taken over.
    session.ask(&Request::Ping).await?;
    let (updates, news) = mpsc::unbounded_channel();
    let (notes, noted) = mpsc::unbounded_channel();
    let unheard = mpsc::unbounded_channel().0;
    let beside = || session.beside(unheard.clone());
    let (mut hearing, mut following) = (session.beside(notes), beside());
    let (mut quick, mut slow, mut steering) = (beside(), beside(), beside());
    let (ask_quick, quick_asked) = mpsc::unbounded_channel();
    let (ask_slow, slow_asked) = mpsc::unbounded_channel();
    let (steer, steered) = mpsc::unbounded_channel();
    let (log, wanted_log) = watch::channel(None);
    let top = Top {
        study: Study::default(),
        view: View::default(),
        look: Look {
            color: session.color,
        },
        told: Instant::now(),
        quick: ask_quick,
        slow: ask_slow,
        steer,
        log,
    };
    // Who asks never ends: what it is asked by lives as long as `top` does.
    tokio::select! {
        result = top.run(news) => result,
        trouble = link::hear(&mut hearing, noted, &updates) => Err(trouble),
        () = link::ask(&mut quick, quick_asked, &updates) => Ok(Exit::Done),
        () = link::ask(&mut slow, slow_asked, &updates) => Ok(Exit::Done),
        () = link::ask(&mut steering, steered, &updates) => Ok(Exit::Done),
        () = link::follow(&mut following, wanted_log, &updates) => Ok(Exit::Done),
    }
}

/// When a frame is due: once something has changed, and not before [`FRAME`] is
/// over since the last.
struct Pace {
    changed: bool,
    next: Instant,
}

impl Pace {
    /// Whether one is due; it counts as drawn then.
    fn is_due(&mut self, now: Instant) -> bool {
        let is_due = self.changed && now >= self.next;
        if is_due {
            self.changed = false;
            self.next = now + FRAME;
        }
        is_due
    }
}

/// The whole of it.
struct Top {
    study: Study,
    view: View,
    look: Look,
    /// When the status was told.
    told: Instant,
    quick: UnboundedSender<Request>,
    slow: UnboundedSender<Request>,
    steer: UnboundedSender<Request>,
    log: watch::Sender<Option<Source>>,
}

impl Top {
    /// Shows, asks and obeys until the user has seen enough.
    async fn run(mut self, mut news: UnboundedReceiver<Update>) -> Result<Exit, Trouble> {
        let mut ends = [
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
            signal(SignalKind::quit())?,
        ];
        let mut stop = signal(SignalKind::from_raw(Signal::SIGTSTP as i32))?;
        let mut goes_on = signal(SignalKind::from_raw(Signal::SIGCONT as i32))?;
        let mut resized = signal(SignalKind::window_change())?;
        let mut screen = Screen::open(io::stdout())?;
        let mut keys = keys()?;
        let now = Instant::now();
        let mut pace = Pace {
            changed: true,
            next: now,
        };
        let (mut asking, mut thinking) = (false, false);
        let (mut next_status, mut next_thought) = (now, now);
        let (mut next_second, mut next_doubt) = (now + Duration::from_secs(1), now + QUIET);
        loop {
            let may_be_told = Instant::now() >= next_status;
            if !asking && let Some(request) = self.study.next_request(may_be_told) {
                asking = self.quick.send(request).is_ok();
            }
            let is_shown = matches!(self.view.page, Page::Overview | Page::Parameters);
            let may_think = is_shown && !thinking && Instant::now() >= next_thought;
            if may_think && self.study.wants_importance() {
                thinking = self.slow.send(Request::Importance(None)).is_ok();
            }
            if screen.is_free() && pace.is_due(Instant::now()) {
                self.draw(&mut screen)?;
            }
            let [interrupt, terminate, hang_up, quit] = &mut ends;
            tokio::select! {
                _ = interrupt.recv() => return Ok(Exit::Done),
                _ = terminate.recv() => return Ok(Exit::Done),
                _ = hang_up.recv() => return Ok(Exit::Done),
                _ = quit.recv() => return Ok(Exit::Done),
                _ = stop.recv() => {
                    screen.stand_back(stop_here)?;
                    pace.changed = true;
                }
                _ = goes_on.recv() => {
                    screen.take_over()?;
                    pace.changed = true;
                }
                _ = resized.recv() => {
                    screen.forget();
                    pace.changed = true;
                }
                update = news.recv() => {
                    let Some(update) = update else { return Ok(Exit::Done) };
                    match &update {
                        Update::Answer(Request::Importance(_), _) => {
                            thinking = false;
                            next_thought = Instant::now() + THINKING;
                        }
                        Update::Answer(request, _) if request.only_reads() => {
                            asking = false;
                            if *request == Request::Status {
                                self.told = Instant::now();
                                next_status = self.told + STATUS;
                            }
                        }
                        _ => {}
                    }
                    self.study.take(update);
                    self.turn_log();
                    pace.changed = true;
                }
                key = keys.recv() => {
                    // The terminal is gone.
                    let Some(key) = key else { return Ok(Exit::Done) };
                    match self.view.take(&key, &mut self.study) {
                        Action::Show => {}
                        Action::Quit => return Ok(Exit::Done),
                        Action::Stop if has_shell() => screen.stand_back(stop_here)?,
                        Action::Stop => {}
                        Action::Redraw => screen.forget(),
                        Action::Steer(steer) => {
                            let _ = self.steer.send(Request::Steer(steer));
                        }
                    }
                    self.turn_log();
                    pace.changed = true;
                }
                () = screen.freed() => {
                    if screen.is_broken() {
                        return Ok(Exit::Done);
                    }
                }
                () = sleep_until(next_second) => {
                    next_second = Instant::now() + Duration::from_secs(1);
                    pace.changed |= self.study.has_timers();
                }
                () = sleep_until(next_doubt) => {
                    next_doubt = Instant::now() + QUIET;
                    self.study.doubt();
                    // A terminal that is gone shows by that.
                    pace.changed = true;
                }
                () = sleep_until(next_status), if next_status > Instant::now() => {}
                () = sleep_until(pace.next), if pace.changed && pace.next > Instant::now() => {}
            }
        }
    }

    fn draw(&mut self, screen: &mut Screen) -> Result<(), Trouble> {
        self.study.age = self.told.elapsed();
        let (study, view, look) = (&self.study, &mut self.view, self.look);
        Ok(screen.draw(|frame| draw::draw(frame, study, view, look))?)
    }

    /// Has the log followed that is to be seen.
    fn turn_log(&mut self) {
        if matches!(self.view.page, Page::Trial(_) | Page::Help) {
            return;
        }
        let watched = self.view.watched_of(&self.study);
        let Some(source) = watched.and_then(|trial| self.study.source(trial)) else {
            // The last one stays to be read.
            return;
        };
        if self.study.log.source.as_ref() != Some(&source) {
            self.study.log.turn_to(Some(source.clone()));
            self.log.send_replace(Some(source));
        }
    }
}

/// What is typed, read on a thread of its own. It reads without a break: a key
/// that comes together with a change of size could be lost.
fn keys() -> Result<UnboundedReceiver<Event>, Trouble> {
    let (sender, keys) = mpsc::unbounded_channel();
    let listen = move || {
        while let Ok(event) = read() {
            if sender.send(event).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().spawn(listen)?;
    Ok(keys)
}

/// Stops this process as the shell's Ctrl-Z does. It returns when the shell
/// has it go on.
fn stop_here() {
    let _ = raise(Signal::SIGSTOP);
}

/// Whether a shell with job control has started this program, which could have
/// it go on after a stop.
fn has_shell() -> bool {
    getppid().is_some_and(|parent| {
        getsid(Some(parent)).ok() == getsid(None).ok()
            && getpgid(Some(parent)).ok() != Some(getpgrp())
    })
}

#[cfg(test)]
mod samples;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_follows_a_change_at_most_ten_times_a_second() {
        let begin = Instant::now();
        let mut pace = Pace {
            changed: true,
            next: begin,
        };
        let mut frames = Vec::new();
        for ms in 0..1000 {
            let now = begin + Duration::from_millis(ms);
            if pace.is_due(now) {
                frames.push(ms);
            }
            // Something happens all the time, and nothing any more.
            pace.changed |= ms < 450;
        }
        // The last shows what has happened since the one before.
        assert_eq!(frames, [0, 100, 200, 300, 400, 500]);
    }
}
