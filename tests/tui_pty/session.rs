//! A program on a pseudo-terminal of its own.

use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use portable_pty::{Child, CommandBuilder, ExitStatus, NativePtySystem, PtyPair, PtySize, PtySystem};

use crate::cargo::cargo;

/// How long anything may take before the test gives up; nothing waits this long when all is well.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

/// The example program; built once, since `cargo test --test` does not build examples. With the features that a test of the whole
/// workspace has: others would be another build of everything.
pub(crate) fn program() -> &'static PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let mut build = cargo();
        build.args(["build", "--locked", "--quiet", "--workspace", "--example", "tui_synthetic"]);
        assert!(build.status().expect("cargo runs").success(), "the example does not build");
        // target/<profile>/deps/<this test> -> target/<profile>/examples/
        let test = std::env::current_exe().expect("own path");
        let profile = test.parent().and_then(|p| p.parent()).expect("a target folder");
        profile.join("examples/tui_synthetic")
    })
}

/// A program on a terminal of its own.
pub(crate) struct Session {
    pub(crate) pty: PtyPair,
    pub(crate) child: Box<dyn Child + Send + Sync>,
    pub(crate) output: Arc<Mutex<vt100::Parser>>,
    /// Everything the program wrote.
    pub(crate) raw: Arc<Mutex<Vec<u8>>>,
    pub(crate) keyboard: Box<dyn Write + Send>,
    /// Line discipline before the program began.
    pub(crate) cooked: (u32, u32),
}

impl Session {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut command = CommandBuilder::new(program());
        command.args(["--interval", "100ms"]);
        command.args(arguments);
        Self::start_command(command)
    }

    /// An interactive bash whose prompt is `prompt42> ` and whose `$PROGRAM` is the program; `None`, and said, without one.
    pub(crate) fn in_bash() -> Option<Self> {
        if !Path::new("/bin/bash").exists() {
            eprintln!("skipped: no /bin/bash");
            return None;
        }
        let mut command = CommandBuilder::new("/bin/bash");
        command.args(["--norc", "--noprofile", "-i"]);
        command.env("PS1", "prompt$((6*7))> ");
        command.env("PROGRAM", program());
        command.env_remove("STY");
        Some(Self::start_command(command))
    }

    pub(crate) fn start_command(mut command: CommandBuilder) -> Self {
        let size = PtySize { rows: 24, cols: 80, pixel_width: 0, pixel_height: 0 };
        let pty = NativePtySystem::default().openpty(size).expect("a pseudo-terminal");
        let cooked = discipline(&pty);
        command.env("LC_ALL", "C.UTF-8");
        command.env("TERM", "xterm-256color");
        command.env_remove("NO_COLOR");
        // A backtrace would push the message off the screen.
        command.env_remove("RUST_BACKTRACE");
        let child = pty.slave.spawn_command(command).expect("the program starts");
        let output = Arc::new(Mutex::new(vt100::Parser::new(cells(24), cells(80), 0)));
        let mut reader = pty.master.try_clone_reader().expect("a reader");
        let keyboard = pty.master.take_writer().expect("a writer");
        let raw = Arc::new(Mutex::new(Vec::new()));
        let (sink, log) = (Arc::clone(&output), Arc::clone(&raw));
        std::thread::spawn(move || {
            let (mut buffer, mut held) = ([0; 4096], Vec::new());
            while let Ok(n @ 1..) = reader.read(&mut buffer) {
                log.lock().expect("no panic").extend_from_slice(&buffer[..n]);
                held.extend_from_slice(&buffer[..n]);
                let whole = whole(&held);
                sink.lock().expect("no panic").process(&held[..whole]);
                held.drain(..whole);
            }
        });
        Self { pty, child, output, raw, keyboard, cooked }
    }

    pub(crate) fn screen(&self) -> vt100::Screen {
        self.output.lock().expect("no panic").screen().clone()
    }

    /// Waits until the screen is as wanted.
    pub(crate) fn wait_for(&self, what: &str, wanted: impl Fn(&vt100::Screen) -> bool) {
        let begin = Instant::now();
        while !wanted(&self.screen()) {
            assert!(begin.elapsed() < PATIENCE, "no {what} on:\n{}", self.screen().contents());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn wait_for_text(&self, text: &str) {
        self.wait_for(text, |screen| screen.contents().contains(text));
    }

    /// Waits until two more frames have begun: between them the program has looked at its keys.
    pub(crate) fn wait_for_a_look_at_the_keys(&self) {
        let frames = || starts_of_frames(&self.raw.lock().expect("no panic")).len();
        let before = frames();
        self.wait_for("frames", |_| frames() >= before + 2);
    }

    /// Waits until the shell asks for a command, with nothing typed behind its prompt.
    pub(crate) fn wait_for_prompt(&self) {
        self.wait_for("prompt", |screen| {
            !screen.alternate_screen() && screen.contents().trim_end().lines().last() == Some("prompt42>")
        });
    }

    pub(crate) fn type_keys(&mut self, keys: &[u8]) {
        self.keyboard.write_all(keys).and_then(|()| self.keyboard.flush()).expect("keys are taken");
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let id = self.child.process_id().expect("it runs");
        kill(Pid::from_raw(i32::try_from(id).expect("a process id")), signal).expect("it is ours");
    }

    pub(crate) fn exit_status(&mut self) -> ExitStatus {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("our child") {
                return status;
            }
            assert!(begin.elapsed() < PATIENCE, "still runs:\n{}", self.screen().contents());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The terminal is as it was, and what was printed at the end can be read. The program has ended by then, but what it wrote last
    /// may be on its way.
    pub(crate) fn assert_restored(&self, last_words: &str) {
        self.wait_for_text(last_words);
        self.wait_for("end of the alternate screen", |screen| !screen.alternate_screen());
        self.wait_for("cursor", |screen| !screen.hide_cursor());
        self.wait_for("end of the mouse", |screen| {
            screen.mouse_protocol_mode() == vt100::MouseProtocolMode::None
        });
        assert_eq!(discipline(&self.pty), self.cooked, "raw mode left on");
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn cells(count: u16) -> NonZeroU16 {
    NonZeroU16::new(count).expect("not zero")
}

/// Input and local flags of the terminal.
pub(crate) fn discipline(pty: &PtyPair) -> (u32, u32) {
    let termios = pty.master.get_termios().expect("a terminal");
    (termios.input_flags.bits(), termios.local_flags.bits())
}

/// How often something was written.
pub(crate) fn count(raw: &[u8], what: &[u8]) -> usize {
    raw.windows(what.len()).filter(|part| *part == what).count()
}

/// What a frame begins and ends with, so that terminals show it at once.
const BEGIN: &[u8] = b"\x1b[?2026h";
const END: &[u8] = b"\x1b[?2026l";

/// How much of this a terminal shows: a frame that has begun when it is whole, since half of one is a screen that nobody drew.
fn whole(bytes: &[u8]) -> usize {
    let last = |what: &[u8]| bytes.windows(what.len()).rposition(|part| part == what);
    if let Some(begin) = last(BEGIN)
        && last(END).is_none_or(|end| end < begin)
    {
        return begin;
    }
    // The beginning of a beginning.
    let cut = (1..BEGIN.len()).rev().find(|&length| bytes.ends_with(&BEGIN[..length]));
    bytes.len() - cut.unwrap_or(0)
}

#[test]
fn half_a_frame_is_not_shown() {
    for (bytes, shown) in [
        (&b"text"[..], "text"),
        (b"\x1b[?2026hone\x1b[?2026l$ ", "\x1b[?2026hone\x1b[?2026l$ "),
        (b"\x1b[?2026hone\x1b[?2026l\x1b[?2026htw", "\x1b[?2026hone\x1b[?2026l"),
        (b"two\x1b[?20", "two"),
        (b"three\x1b", "three"),
    ] {
        assert_eq!(&bytes[..whole(bytes)], shown.as_bytes());
    }
}

/// Where each frame begins in what was written.
pub(crate) fn starts_of_frames(raw: &[u8]) -> Vec<usize> {
    let starts = raw.windows(BEGIN.len()).enumerate().filter(|(_, bytes)| *bytes == BEGIN);
    starts.map(|(at, _)| at).collect()
}

pub(crate) fn is_up(screen: &vt100::Screen) -> bool {
    screen.alternate_screen() && screen.hide_cursor() && screen.contents().contains("balanced")
}

/// The program itself, on the devices of a fixture, in a directory of its own.
pub(crate) fn railtop_in(dir: &std::path::Path) -> CommandBuilder {
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_railtop"));
    in_fixture(&mut command, dir);
    command
}

pub(crate) fn in_fixture(command: &mut CommandBuilder, dir: &std::path::Path) {
    command.cwd(dir);
    for (name, value) in [("HOME", dir.to_owned()), ("RAILTOP_PAGE_DIR", dir.join("no-pages"))] {
        command.env(name, value);
    }
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sys/efa-p5");
    command.env("RAILTOP_SYSFS_ROOT", root);
    command.env("RAILTOP_INTERVAL", "50ms");
    for name in ["RAILTOP_CONFIG", "XDG_CONFIG_HOME", "RAILTOP_THEME", "RAILTOP_UNITS"] {
        command.env_remove(name);
    }
}
