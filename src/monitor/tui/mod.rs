//! The full-screen view: [`run`] draws what a [`ViewSource`] delivers until the person or the caller has enough.
//!
//! One thread, one `poll` over the keyboard and a pipe that sources, signals and handles write to: nothing is
//! drawn and nothing wakes unless there is news. [`state`](self) is pure, panes are functions from it to cells,
//! and the terminal is given back on every way out (`terminal.rs`). The layout is drawn in `panes/mod.rs`.

mod actions;
mod background;
mod columns;
mod encode;
mod fair;
mod format;
mod glyphs;
mod handles;
mod history;
mod kernel;
mod key;
mod keymap;
mod layout;
mod panes;
mod panics;
mod preferences;
mod replay;
mod rows;
mod signals;
mod source;
mod state;
mod summary;
pub mod synthetic;
mod tab_rows;
mod tabs;
mod terminal;
mod theme;
mod widgets;

#[cfg(test)]
mod screens;

use std::collections::VecDeque;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossterm::event::{self, Event, KeyEvent, KeyEventKind};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout};

pub use format::Units;
pub use handles::{CaptionHandle, StopFlag, Waker};
pub use key::KeyError;
pub use keymap::{BindError, Keymap};
pub use panics::watch_panics;
pub use preferences::{AVERAGE_WINDOWS, COLUMN_NAMES, Keeper, Preferences};
pub use rows::Sort;
pub use source::ViewSource;
pub use theme::ThemeName;

use crate::monitor::sample::Needs;
use actions::Action;
use background::{Heard, Listener};
use glyphs::Glyphs;
use signals::Signals;
use state::{Effect, State};
use terminal::Screen;
use theme::{Background, Depth, Theme};

use crate::monitor::clock;
use crate::monitor::record::default_name;
use crate::monitor::replay::ReplayHandle;

/// How the screen looks and who may reach into it.
#[derive(Debug, Clone)]
pub struct TuiOptions {
    /// A text at the top that says what to look at (`demo`).
    pub caption: Option<CaptionHandle>,
    /// Steers the recording that is shown; `None` when what is shown is now.
    pub replay: Option<ReplayHandle>,
    /// Ends the screen from outside (`demo`).
    pub stop: Option<StopFlag>,
    /// Only ASCII characters, whatever the locale says.
    pub ascii: bool,
    /// Colours, unless `NO_COLOR` is set.
    pub color: bool,
    /// What to begin with; keys change it. The interval is the source's.
    pub preferences: Preferences,
    /// Who writes down what was changed; without one, nobody can.
    pub keeper: Option<Arc<dyn Keeper>>,
    /// Which key means what.
    pub keymap: Keymap,
    /// Where recordings go that are begun with a key.
    pub record_directory: PathBuf,
    /// Whether the source's views are of nodes that are watched from afar.
    pub fleet: bool,
}

impl Default for TuiOptions {
    fn default() -> Self {
        Self {
            caption: None,
            replay: None,
            stop: None,
            ascii: false,
            color: true,
            preferences: Preferences::default(),
            keeper: None,
            keymap: Keymap::default(),
            record_directory: PathBuf::from("."),
            fleet: false,
        }
    }
}

/// Why the screen ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The person quit.
    Quit,
    /// The caller raised its [`StopFlag`].
    Stopped,
    /// A signal with this number asked for it; the terminal hanging up counts as `SIGHUP`.
    Signal(i32),
}

/// Why there is no screen (any more).
#[derive(Debug, thiserror::Error)]
pub enum TuiError {
    /// Standard input or output is no terminal.
    #[error("{0} is not a terminal; `railtop log` and `railtop check` need none")]
    NoTerminal(&'static str),
    /// The terminal cannot place a cursor.
    #[error(
        "TERM is {0:?}: this terminal has no screen to draw on; `railtop log` and `railtop check` need none"
    )]
    Dumb(String),
    /// The terminal cannot be set up, read or written.
    #[error("cannot {what} the terminal")]
    Terminal {
        /// The operation that failed.
        what: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// Another thread panicked; its message is on standard error.
    #[error("a thread of railtop panicked (message above); please report it")]
    Panicked,
}

/// Adds the operation to an error.
fn doing(what: &'static str) -> impl FnOnce(io::Error) -> TuiError {
    move |source| TuiError::Terminal { what, source }
}

/// Shows `source` on the terminal until the person quits, the caller stops it, or a signal ends it.
///
/// The terminal is given back before this returns, also on errors and when any thread panics (even one that is
/// caught: its message belongs on the screen that the person gets back). One that panicked since [`watch_panics`] counts
/// too: what it was to show would be missing.
///
/// Afterwards SIGTERM, SIGHUP, SIGINT and SIGQUIT do nothing unless the caller handles them: the handlers of
/// `signal-hook` stay installed. A caller that goes on for a while registers its own, before or after.
///
/// # Errors
/// When there is no terminal, when it cannot be used, or when a thread panicked meanwhile.
pub fn run(source: &mut dyn ViewSource, options: &TuiOptions) -> Result<Ended, TuiError> {
    if !io::stdin().is_terminal() {
        return Err(TuiError::NoTerminal("standard input"));
    }
    if !io::stdout().is_terminal() {
        return Err(TuiError::NoTerminal("standard output"));
    }
    if let Some(term) = std::env::var("TERM").ok().filter(|term| term == "dumb") {
        return Err(TuiError::Dumb(term));
    }
    if panics::have_happened() {
        // Its message stands on the terminal that is not ours yet.
        return Err(TuiError::Panicked);
    }
    let waker = Waker::new().map_err(doing("set up"))?;
    if let Some(stop) = &options.stop {
        stop.connect(&waker);
    }
    if let Some(caption) = &options.caption {
        caption.connect(&waker);
    }
    // The order matters, also that of the drops: handlers before raw mode and until after it, so that no signal
    // can end the process with a broken terminal.
    let signals = Signals::register(&waker).map_err(doing("watch the signals of"))?;
    let mut screen = Screen::enter(&waker).map_err(doing("set up"))?;
    let variable = |name: &str| std::env::var(name).ok();
    let glyphs = Glyphs::detect(
        options.ascii,
        variable("LC_ALL").as_deref(),
        variable("LC_CTYPE").as_deref(),
        variable("LANG").as_deref(),
    );
    let background = Background::from_colorfgbg(std::env::var_os("COLORFGBG").as_deref());
    let theme = Theme::new(options.color, std::env::var_os("NO_COLOR").as_deref())
        .with_depth(Depth::detect(variable("TERM").as_deref(), variable("COLORTERM").as_deref()))
        .on(background);
    let Preferences { units, interval, .. } = options.preferences;
    let mut state = State::new(theme, glyphs, units, interval);
    state.prefer(&options.preferences);
    state.keymap = options.keymap.clone();
    if options.fleet {
        state.show_fleet();
    }
    source.subscribe(waker.clone());
    let kept = state.preferences();
    let mut control = Loop {
        source,
        options,
        waker,
        signals: &signals,
        state: &mut state,
        heard: Instant::now(),
        told: Needs::everything(),
        kept,
        listener: Listener::default(),
        asked: Instant::now(),
        typed: VecDeque::new(),
    };
    let in_screen = std::env::var_os("STY").is_some();
    if theme.has_color() && background::can_ask(variable("TERM").as_deref(), in_screen) {
        screen.ask(background::QUERY).map_err(doing("write to"))?;
        control.listener.asked();
    }
    let ended = match control.run(&mut screen) {
        // A read or write may find that the terminal is gone before the poll that says so.
        Err(TuiError::Terminal { .. }) if is_hung_up() => Ok(Ended::Signal(signal_hook::consts::SIGHUP)),
        ended => ended,
    };
    if !matches!(ended, Ok(Ended::Signal(signal_hook::consts::SIGHUP))) {
        control.settle();
    }
    ended
}

/// What a poll says of a terminal that is gone.
const HUNG_UP: PollFlags = PollFlags::POLLHUP.union(PollFlags::POLLERR).union(PollFlags::POLLNVAL);

fn is_hung_up() -> bool {
    let stdin = io::stdin();
    let mut fds = [PollFd::new(stdin.as_fd(), PollFlags::empty())];
    nix::poll::poll(&mut fds, PollTimeout::ZERO).is_ok()
        && fds[0].revents().is_some_and(|events| events.intersects(HUNG_UP))
}

/// Who has not answered for this long will not, so that what looks like the beginning of an answer was typed.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// Who leaves sooner than this after the question waits for the answer, which would else be typed into the shell.
const SETTLE: Duration = Duration::from_millis(300);
/// The parts of an answer, and of an escape sequence, come one after the other without a pause this long.
const PAUSE: Duration = Duration::from_millis(100);

/// What the loop holds on to.
struct Loop<'a> {
    source: &'a mut dyn ViewSource,
    options: &'a TuiOptions,
    waker: Waker,
    signals: &'a Signals,
    state: &'a mut State,
    /// When the last view came.
    heard: Instant,
    /// What the source was told that the screen shows.
    told: Needs,
    /// The preferences as they were last written down or read.
    kept: Preferences,
    /// Listens for the terminal's answer about its background.
    listener: Listener,
    /// When it was asked.
    asked: Instant,
    /// Keys that are no part of its answer and wait for their turn.
    typed: VecDeque<KeyEvent>,
}

impl Loop<'_> {
    fn run(&mut self, screen: &mut Screen) -> Result<Ended, TuiError> {
        self.measure();
        loop {
            if panics::have_happened() {
                return Err(TuiError::Panicked);
            }
            self.take_news();
            let needs = self.state.needs();
            if std::mem::replace(&mut self.told, needs) != needs {
                self.source.set_needs(needs);
            }
            // The first frame comes before the first data: a program that shows nothing looks stuck.
            screen.draw(panes::screen(self.state)).map_err(doing("write to"))?;
            let keyboard = self.wait()?;
            if let Some(end) = self.ended()? {
                return Ok(end);
            }
            if self.signals.take_suspend() {
                self.suspend(screen)?;
            } else if self.signals.take_resumed() {
                screen.reenter().map_err(doing("set up"))?;
                self.measure();
            }
            if self.signals.take_resized() {
                self.measure();
            }
            if !keyboard {
                self.release();
            }
            if (keyboard || !self.typed.is_empty())
                && let Some(end) = self.keys(screen)?
            {
                return Ok(end);
            }
        }
    }

    /// Takes the caption and the newest view; notes when the source has gone quiet.
    fn take_news(&mut self) {
        if let Some(caption) = &self.options.caption {
            let text = caption.get();
            if text != self.state.caption {
                self.state.update(Action::Caption(text));
            }
        }
        if let Some(replay) = &self.options.replay {
            self.heard = Instant::now();
            self.state.update(Action::Replay(replay.status()));
        }
        let recording = self.source.recording();
        if recording != self.state.recording {
            self.state.update(Action::Recording(recording));
        }
        if let Some(past) = self.source.past() {
            self.state.update(Action::Past(past));
        }
        if let Some(view) = self.source.latest() {
            self.heard = Instant::now();
            self.state.update(Action::View(view));
        } else if self.heard.elapsed() >= self.patience() {
            self.state.update(Action::Silent(Duration::from_secs(self.heard.elapsed().as_secs())));
        }
    }

    /// How long a source may be quiet before the screen says so.
    fn patience(&self) -> Duration {
        (self.state.interval * 3).max(Duration::from_secs(2))
    }

    /// Sleeps until a key, a wake-up, or the moment when silence is news. Returns whether keys are waiting.
    fn wait(&mut self) -> Result<bool, TuiError> {
        let left = self.patience().saturating_sub(self.heard.elapsed());
        let left = if left.is_zero() { Duration::from_secs(1) } else { left + Duration::from_millis(1) };
        let left = if self.listener.holds() { left.min(PAUSE) } else { left };
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let stdin = io::stdin();
        let mut fds =
            [PollFd::new(stdin.as_fd(), PollFlags::POLLIN), PollFd::new(self.waker.fd(), PollFlags::POLLIN)];
        match nix::poll::poll(&mut fds, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(doing("wait for")(errno.into())),
        }
        let keyboard = fds[0].revents().unwrap_or(PollFlags::empty());
        let readable = keyboard.contains(PollFlags::POLLIN);
        self.waker.drain();
        if keyboard.intersects(HUNG_UP) {
            // Without this a terminal that is gone would be readable for ever.
            let _ = signal_hook::low_level::raise(signal_hook::consts::SIGHUP);
            return Ok(false);
        }
        Ok(readable)
    }

    fn ended(&self) -> Result<Option<Ended>, TuiError> {
        if panics::have_happened() {
            return Err(TuiError::Panicked);
        }
        if let Some(number) = self.signals.end() {
            return Ok(Some(Ended::Signal(number)));
        }
        let stopped = self.options.stop.as_ref().is_some_and(StopFlag::is_stopped);
        Ok(stopped.then_some(Ended::Stopped))
    }

    /// Handles all keys that are waiting; the screen is drawn once after the last.
    fn keys(&mut self, screen: &mut Screen) -> Result<Option<Ended>, TuiError> {
        loop {
            while let Some(key) = self.typed.pop_front() {
                if let Some(end) = self.press(key, screen)? {
                    return Ok(Some(end));
                }
            }
            if !event::poll(Duration::ZERO).map_err(doing("read"))? {
                return Ok(None);
            }
            match event::read().map_err(doing("read"))? {
                Event::Key(key) if key.kind != KeyEventKind::Release => self.hear(key),
                Event::Resize(width, height) => drop(self.state.update(Action::Resize(width, height))),
                _ => {}
            }
        }
    }

    /// Tells what was typed from what the terminal answers.
    fn hear(&mut self, key: KeyEvent) {
        match self.listener.hear(key) {
            Heard::Nothing | Heard::Answer(None) => {}
            Heard::Keys(keys) => self.typed.extend(keys),
            Heard::Answer(Some(background)) => drop(self.state.update(Action::Background(background))),
        }
    }

    /// Does what a key stands for.
    fn press(&mut self, key: KeyEvent, screen: &mut Screen) -> Result<Option<Ended>, TuiError> {
        let Some(action) = actions::of_key(key, &self.state.keymap, self.state.prompt.is_some()) else {
            return Ok(None);
        };
        match self.state.update(action) {
            Effect::None => {}
            Effect::Quit => return Ok(Some(Ended::Quit)),
            Effect::Suspend => self.suspend(screen)?,
            Effect::Redraw => screen.forget(),
            Effect::SetInterval(interval) => self.source.set_interval(interval),
            Effect::Save => self.save(),
            Effect::Record => self.record(),
            Effect::Replay(command) => {
                if let Some(replay) = &self.options.replay {
                    replay.command(command);
                }
            }
        }
        Ok(None)
    }

    /// Begins a recording under a name of its own, or ends the one that is made; says where it is.
    fn record(&mut self) {
        let text = if let Some(status) = self.source.stop_recording() {
            format!("recorded {} ticks in {}", status.ticks, status.path.display())
        } else {
            let host = self.state.shown.as_ref().map_or_else(String::new, |view| view.host.clone());
            let path = self.options.record_directory.join(default_name(&host, clock::realtime_ns()));
            match self.source.start_recording(&path) {
                Ok(()) => format!("recording to {}", path.display()),
                Err(why) => format!("no recording: {why}"),
            }
        };
        self.state.update(Action::Message(text));
    }

    /// What looked like an answer of the terminal, and went on no further, was typed.
    fn release(&mut self) {
        if self.asked.elapsed() >= ANSWER_WITHIN {
            self.listener.give_up();
        }
        self.typed.extend(self.listener.release());
    }

    /// Before the terminal is given back: lets an answer come that is on its way. What is typed meanwhile has its turn
    /// when the terminal is ours again.
    fn settle(&mut self) {
        while self.listener.waits() {
            // However late it is: what has come already is not left to the shell.
            let left = SETTLE.saturating_sub(self.asked.elapsed());
            if !event::poll(left).unwrap_or(false) {
                break;
            }
            match event::read() {
                Ok(Event::Key(key)) if key.kind != KeyEventKind::Release => self.hear(key),
                Ok(_) => {}
                Err(_) => break,
            }
        }
        self.release();
    }

    /// Has written down what was changed since the start or the last time, and says where.
    fn save(&mut self) {
        let now = self.state.preferences();
        let message = match &self.options.keeper {
            None => "there is no configuration file to write to".to_owned(),
            Some(_) if now == self.kept => "nothing was changed here, so nothing is to be written".to_owned(),
            Some(keeper) => match keeper.keep(&self.kept, &now) {
                Ok(place) => {
                    self.kept = now;
                    format!("written to {place}")
                }
                Err(reason) => format!("not written: {reason}"),
            },
        };
        self.state.update(Action::Message(message));
    }

    fn suspend(&mut self, screen: &mut Screen) -> Result<(), TuiError> {
        self.settle();
        Screen::leave();
        signals::stop_job().map_err(|errno| doing("leave")(errno.into()))?;
        // Both were raised by what has just happened.
        self.signals.take_suspend();
        self.signals.take_resumed();
        self.heard = Instant::now();
        screen.reenter().map_err(doing("set up"))?;
        self.measure();
        Ok(())
    }

    fn measure(&mut self) {
        let (width, height) = Screen::size();
        self.state.update(Action::Resize(width, height));
    }
}
