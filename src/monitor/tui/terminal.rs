//! The terminal: taken, drawn to, and given back whatever happens.
//!
//! Not ratatui's `Terminal`: in 0.30.2 its `clear` asks the terminal where the cursor is and waits for the
//! answer, which a key press can break. Two buffers and their difference are all that is needed here.

use std::io::{self, Stdout, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crossterm::terminal::{self, EnterAlternateScreen, LeaveAlternateScreen};
use crossterm::{cursor, execute};
use ratatui::backend::{Backend, CrosstermBackend};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::encode;
use super::handles::Waker;
use super::panics::{self, watch_panics};

/// Whether the terminal is ours: raw mode, alternate screen, no cursor.
static ACTIVE: AtomicBool = AtomicBool::new(false);
/// Held while bytes go out, so that giving back never lands in the middle of a frame.
static OUTPUT: Mutex<()> = Mutex::new(());

/// DEC 2026: the terminal shows everything between these at once; terminals without it ignore them.
pub(super) const BEGIN_SYNC: &[u8] = b"\x1b[?2026h";
pub(super) const END_SYNC: &[u8] = b"\x1b[?2026l";

/// The terminal while it is ours. Given back on drop, and by the panic hook from any thread.
pub(super) struct Screen {
    backend: CrosstermBackend<FrameWriter>,
    shown: Buffer,
}

impl Screen {
    /// Takes the terminal. `waker` is called when another thread panics.
    pub(super) fn enter(waker: &Waker) -> io::Result<Self> {
        watch_panics();
        panics::wake(waker);
        let screen = Self {
            backend: CrosstermBackend::new(FrameWriter { frame: Vec::new(), stdout: io::stdout() }),
            shown: Buffer::empty(Rect::ZERO),
        };
        take()?;
        Ok(screen)
    }

    /// Gives the terminal back for a while (Ctrl-Z).
    pub(super) fn leave() {
        give_back();
    }

    /// Takes it again, whatever the shell did to it meanwhile; the next frame is drawn in full.
    pub(super) fn reenter(&mut self) -> io::Result<()> {
        give_back();
        self.forget();
        take()
    }

    /// The size in columns and lines; what a terminal had in 1978 where it does not say.
    pub(super) fn size() -> (u16, u16) {
        terminal::size().ok().filter(|(width, height)| *width > 0 && *height > 0).unwrap_or((80, 24))
    }

    /// The next frame is drawn in full: something else has written to the terminal.
    pub(super) fn forget(&mut self) {
        self.shown = Buffer::empty(Rect::ZERO);
    }

    /// Sends a question to the terminal, whose answer comes as keys.
    pub(super) fn ask(&mut self, question: &[u8]) -> io::Result<()> {
        self.backend.write_all(question)?;
        Write::flush(&mut self.backend)
    }

    /// Draws `next`: only the cells that differ from what is shown, as one synchronised update.
    pub(super) fn draw(&mut self, next: Buffer) -> io::Result<()> {
        if self.shown.area != next.area {
            self.backend.clear()?;
            self.shown = Buffer::empty(next.area);
        }
        self.backend.write_all(&encode::changes(&self.shown, &next))?;
        Backend::flush(&mut self.backend)?;
        self.shown = next;
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
        panics::let_sleep();
    }
}

fn take() -> io::Result<()> {
    // First, so that a failure or a panic half-way undoes what was done.
    ACTIVE.store(true, Ordering::SeqCst);
    let taken =
        terminal::enable_raw_mode().and_then(|()| execute!(io::stdout(), EnterAlternateScreen, cursor::Hide));
    if taken.is_err() {
        give_back();
    }
    taken
}

/// Gives the terminal back, if it is ours. Errors are of no use to anyone at that point.
pub(super) fn give_back() {
    if !ACTIVE.swap(false, Ordering::SeqCst) {
        return;
    }
    // A frame on its way gets 50 ms to finish. A terminal that takes nothing must not block the way out.
    let mut guard = OUTPUT.try_lock();
    for _ in 0..10 {
        if guard.is_ok() {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
        guard = OUTPUT.try_lock();
    }
    let _ = io::stdout().write_all(END_SYNC);
    let _ = execute!(io::stdout(), LeaveAlternateScreen, cursor::Show);
    let _ = terminal::disable_raw_mode();
    drop(guard);
}

/// Collects a frame and writes it in one piece, or not at all when the terminal is no longer ours.
struct FrameWriter {
    frame: Vec<u8>,
    stdout: Stdout,
}

impl Write for FrameWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.frame.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.frame.is_empty() {
            return Ok(());
        }
        let _guard = OUTPUT.lock().unwrap_or_else(PoisonError::into_inner);
        if ACTIVE.load(Ordering::SeqCst) {
            let mut bytes = Vec::with_capacity(self.frame.len() + BEGIN_SYNC.len() + END_SYNC.len());
            bytes.extend_from_slice(BEGIN_SYNC);
            bytes.append(&mut self.frame);
            bytes.extend_from_slice(END_SYNC);
            let mut stdout = self.stdout.lock();
            stdout.write_all(&bytes)?;
            stdout.flush()?;
        }
        self.frame.clear();
        Ok(())
    }
}
