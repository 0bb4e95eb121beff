//! The screen in a real pseudo-terminal: whatever ends it, the terminal is as it was.

#![expect(clippy::expect_used, reason = "a helper that cannot go on fails its test")]

use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use portable_pty::{Child, CommandBuilder, ExitStatus, NativePtySystem, PtyPair, PtySize, PtySystem};
use railtop::monitor::record::Recording;
use test_case::test_case;

/// How long anything may take before the test gives up; nothing waits this long when all is well.
const PATIENCE: Duration = Duration::from_secs(60);

/// The example program; built once, since `cargo test --test` does not build examples.
fn program() -> &'static PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--example", "tui_synthetic"]);
        assert!(build.status().expect("cargo runs").success(), "the example does not build");
        // target/<profile>/deps/<this test> -> target/<profile>/examples/
        let test = std::env::current_exe().expect("own path");
        let profile = test.parent().and_then(|p| p.parent()).expect("a target folder");
        profile.join("examples/tui_synthetic")
    })
}

/// A program on a terminal of its own.
struct Session {
    pty: PtyPair,
    child: Box<dyn Child + Send + Sync>,
    output: Arc<Mutex<vt100::Parser>>,
    /// Everything the program wrote.
    raw: Arc<Mutex<Vec<u8>>>,
    keyboard: Box<dyn Write + Send>,
    /// Line discipline before the program began.
    cooked: (u32, u32),
}

impl Session {
    fn start(arguments: &[&str]) -> Self {
        let mut command = CommandBuilder::new(program());
        command.args(["--interval", "100ms"]);
        command.args(arguments);
        Self::start_command(command)
    }

    fn start_command(mut command: CommandBuilder) -> Self {
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
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = reader.read(&mut buffer) {
                log.lock().expect("no panic").extend_from_slice(&buffer[..n]);
                sink.lock().expect("no panic").process(&buffer[..n]);
            }
        });
        Self { pty, child, output, raw, keyboard, cooked }
    }

    fn screen(&self) -> vt100::Screen {
        self.output.lock().expect("no panic").screen().clone()
    }

    /// Waits until the screen is as wanted.
    fn wait_for(&self, what: &str, wanted: impl Fn(&vt100::Screen) -> bool) {
        let begin = Instant::now();
        while !wanted(&self.screen()) {
            assert!(begin.elapsed() < PATIENCE, "no {what} on:\n{}", self.screen().contents());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn wait_for_text(&self, text: &str) {
        self.wait_for(text, |screen| screen.contents().contains(text));
    }

    /// Waits until two more frames have begun: between them the program has looked at its keys.
    fn wait_for_a_look_at_the_keys(&self) {
        let frames = || starts_of_frames(&self.raw.lock().expect("no panic")).len();
        let before = frames();
        self.wait_for("frames", |_| frames() >= before + 2);
    }

    /// Waits until the shell asks for a command, with nothing typed behind its prompt.
    fn wait_for_prompt(&self) {
        self.wait_for("prompt", |screen| {
            !screen.alternate_screen() && screen.contents().trim_end().lines().last() == Some("prompt42>")
        });
    }

    fn type_keys(&mut self, keys: &[u8]) {
        self.keyboard.write_all(keys).and_then(|()| self.keyboard.flush()).expect("keys are taken");
    }

    fn signal(&self, signal: Signal) {
        let id = self.child.process_id().expect("it runs");
        kill(Pid::from_raw(i32::try_from(id).expect("a process id")), signal).expect("it is ours");
    }

    fn exit_status(&mut self) -> ExitStatus {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("our child") {
                return status;
            }
            assert!(begin.elapsed() < PATIENCE, "still runs:\n{}", self.screen().contents());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The terminal is as it was, and what was printed at the end can be read.
    fn assert_restored(&self, last_words: &str) {
        self.wait_for_text(last_words);
        let screen = self.screen();
        assert!(!screen.alternate_screen(), "alternate screen left on");
        assert!(!screen.hide_cursor(), "cursor hidden");
        assert_eq!(screen.mouse_protocol_mode(), vt100::MouseProtocolMode::None);
        assert_eq!(discipline(&self.pty), self.cooked, "raw mode left on");
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn cells(count: u16) -> NonZeroU16 {
    NonZeroU16::new(count).expect("not zero")
}

/// Input and local flags of the terminal.
fn discipline(pty: &PtyPair) -> (u32, u32) {
    let termios = pty.master.get_termios().expect("a terminal");
    (termios.input_flags.bits(), termios.local_flags.bits())
}

/// How often something was written.
fn count(raw: &[u8], what: &[u8]) -> usize {
    raw.windows(what.len()).filter(|part| *part == what).count()
}

/// Where each frame begins in what was written.
fn starts_of_frames(raw: &[u8]) -> Vec<usize> {
    const BEGIN: &[u8] = b"\x1b[?2026h";
    let starts = raw.windows(BEGIN.len()).enumerate().filter(|(_, bytes)| *bytes == BEGIN);
    starts.map(|(at, _)| at).collect()
}

fn is_up(screen: &vt100::Screen) -> bool {
    screen.alternate_screen() && screen.hide_cursor() && screen.contents().contains("balanced")
}

#[test_case(b"q"; "q")]
#[test_case(b"\x03"; "ctrl c")]
fn a_key_ends_it_and_the_terminal_is_restored(key: &[u8]) {
    let mut session = Session::start(&["--ticks", "1"]);
    session.wait_for("screen", is_up);
    assert_ne!(discipline(&session.pty), session.cooked, "the screen needs raw mode");
    session.type_keys(key);
    assert_eq!(session.exit_status().exit_code(), 0);
    session.assert_restored("ended: Quit");
}

#[test_case(Signal::SIGTERM, 143)]
#[test_case(Signal::SIGHUP, 129)]
#[test_case(Signal::SIGINT, 130)]
#[test_case(Signal::SIGQUIT, 131)]
fn a_signal_ends_it_and_the_terminal_is_restored(signal: Signal, code: u32) {
    let mut session = Session::start(&["--ticks", "1"]);
    session.wait_for("screen", is_up);
    session.signal(signal);
    assert_eq!(session.exit_status().exit_code(), code);
    session.assert_restored("ended: Signal");
}

/// The real program with libfabric loaded, whose providers take signals for themselves if they are let.
#[test_case(Signal::SIGTERM, 143; "demo, term")]
#[test_case(Signal::SIGINT, 130; "demo, int")]
fn the_demo_ends_with_its_cluster_and_the_terminal_is_restored(signal: Signal, code: u32) {
    if let Err(error) = libfabric_sys::Libfabric::load() {
        return eprintln!("skipped: {error}");
    }
    let pages = tempfile::tempdir().expect("a directory");
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_railtop"));
    command.args(["demo", "--pes-per-node", "1", "--nics-per-pe", "2", "-i", "100ms"]);
    command.env("RAILTOP_PAGE_DIR", pages.path().join("pages"));
    let mut session = Session::start_command(command);
    session.wait_for_text("single (NVSHMEM");
    session.signal(signal);
    assert_eq!(session.exit_status().exit_code(), code);
    session.assert_restored("");
    let left = std::fs::read_dir(pages.path().join("pages")).expect("the PEs made it").count();
    assert_eq!(left, 0, "counter pages left behind");
}

#[test]
fn a_panic_in_another_thread_ends_it_with_its_message_readable() {
    let mut session = Session::start(&["--panic-after", "1s"]);
    assert_eq!(session.exit_status().exit_code(), 1);
    session.assert_restored("asked for with --panic-after");
    session.assert_restored("error: a thread of railtop panicked");
}

/// The thread of the source, and the screen's own.
#[test_case(&["--panic-at", "5"], "asked for at tick 5", 1; "source")]
#[test_case(&["--panic-in-screen", "3"], "asked for with --panic-in-screen", 101; "screen")]
fn a_panic_in_any_thread_gives_the_terminal_back(arguments: &[&str], message: &str, code: u32) {
    let mut session = Session::start(arguments);
    assert_eq!(session.exit_status().exit_code(), code);
    session.assert_restored(message);
}

/// Nothing on the way up waits for an answer of the terminal: the one thing that is asked, once, is its background, and
/// the answer comes as keys or never (see `background.rs`).
#[test]
fn the_terminal_is_asked_nothing_that_is_waited_for() {
    let mut session = Session::start(&["--ticks", "1"]);
    session.wait_for("screen", is_up);
    session.type_keys(b"q");
    assert_eq!(session.exit_status().exit_code(), 0);
    session.assert_restored("ended: Quit");
    let raw = session.raw.lock().expect("no panic");
    for query in [&b"\x1b[6n"[..], b"\x1b[c", b"\x1b[0c", b"\x1b[>c", b"\x1b[?u", b"\x1b[14t"] {
        assert_eq!(count(&raw, query), 0, "{query:?}");
    }
    assert_eq!(count(&raw, b"\x1b]11;?"), 1);
}

#[test]
fn keys_lead_through_the_tabs() {
    let mut session = Session::start(&["--scene", "p5"]);
    session.wait_for("screen", is_up);
    for (keys, text) in [
        (&b"2"[..], "median"),
        (b"\t", "command"),
        (b"4", "new device"),
        (b"\t", "NVLinks"),
        (b"\t", "GPU, NIC"),
        (b"\x1b[Z", "NVLinks"),
        (b"1", "GPU, NIC"),
        (b"c", "chooses"),
        (b"c", "GPU, NIC"),
        (b"a", "average of 5 s"),
        (b"+", "average of 10 s"),
        (b"w", "average over:"),
        (b"2s\r", "average of 2 s"),
        (b">", "every 200 ms"),
        (b"[[[", "PAUSED"),
        (b"p", "Gb/s"),
    ] {
        session.type_keys(keys);
        session.wait_for_text(text);
    }
    session.wait_for("live again", |screen| !screen.contents().contains("PAUSED"));
    session.type_keys(b"q");
    assert_eq!(session.exit_status().exit_code(), 0);
    session.assert_restored("ended: Quit");
}

#[test]
fn the_caller_can_stop_it() {
    let mut session = Session::start(&["--stop-after", "500ms"]);
    assert_eq!(session.exit_status().exit_code(), 0);
    session.assert_restored("ended: Stopped");
}

#[test]
fn escape_does_not_quit_and_help_opens_and_closes() {
    let mut session = Session::start(&["--ticks", "1"]);
    session.wait_for("screen", is_up);
    session.type_keys(b"?");
    session.wait_for_text("Keys and signs");
    session.type_keys(b"\x1b");
    session.wait_for("list", |screen| !screen.contents().contains("Keys and signs"));
    session.type_keys(b"\x1b");
    // A key sent right behind would make it Alt and that key.
    session.wait_for_a_look_at_the_keys();
    session.type_keys(b"u");
    session.wait_for_text("MB/s");
    session.type_keys(b"q");
    assert_eq!(session.exit_status().exit_code(), 0);
}

#[test]
fn a_resized_window_is_drawn_anew() {
    let mut session = Session::start(&["--ticks", "1"]);
    session.wait_for("screen", is_up);
    let size = PtySize { rows: 40, cols: 120, pixel_width: 0, pixel_height: 0 };
    session.output.lock().expect("no panic").screen_mut().set_size(cells(40), cells(120));
    session.pty.master.resize(size).expect("it resizes");
    // A column that 80 columns have no room for.
    session.wait_for_text("kernel");
    session.type_keys(b"q");
    assert_eq!(session.exit_status().exit_code(), 0);
}

/// A terminal answers the question about its background as if somebody typed: `1` and `r` would be commands.
#[test]
fn the_terminals_answer_is_not_taken_for_keys_and_keys_not_for_the_answer() {
    let mut session = Session::start(&["--ticks", "1"]);
    session.wait_for("screen", is_up);
    session.type_keys(b"/1\x1b]11;rgb:ffff/ffff/ffff\x1b\\2");
    session.wait_for_text("filter:  12_");
    session.type_keys(b"\x1b");
    session.wait_for("end of the filter", |screen| !screen.contents().contains("filter:"));
    // The theme follows the background by itself; its key says what it has come to.
    session.type_keys(b"ttttttt");
    session.wait_for_text("theme auto: light");
    session.type_keys(b"q");
    assert_eq!(session.exit_status().exit_code(), 0);
    session.assert_restored("ended: Quit");
}

/// Nobody could continue a stopped program here (no shell holds the terminal), so Ctrl-Z must not freeze it.
#[test]
fn ctrl_z_without_job_control_goes_on() {
    let mut session = Session::start(&["--ticks", "1"]);
    session.wait_for("screen", is_up);
    session.type_keys(b"\x1a");
    session.type_keys(b"?");
    session.wait_for_text("Keys and signs");
    session.type_keys(b"q");
    assert_eq!(session.exit_status().exit_code(), 0);
    session.assert_restored("ended: Quit");
}

/// As a person has it: below a shell with job control, and below a program (make, sudo) that waits for it.
#[test]
fn ctrl_z_gives_the_shell_back_and_fg_returns() {
    if !std::path::Path::new("/bin/bash").exists() {
        eprintln!("skipped: no /bin/bash");
        return;
    }
    let mut command = CommandBuilder::new("/bin/bash");
    command.args(["--norc", "--noprofile", "-i"]);
    command.env("PS1", "prompt$((6*7))> ");
    command.env("PROGRAM", program());
    let mut session = Session::start_command(command);
    session.wait_for_prompt();
    session.type_keys(b"sh -c '$PROGRAM --interval 100ms --ticks 1; echo inner $?'\r");
    session.wait_for("screen", is_up);
    for _ in 0..2 {
        session.type_keys(b"\x1a");
        session.wait_for_text("Stopped");
        session.wait_for_prompt();
        assert!(!session.screen().hide_cursor(), "cursor hidden");
        session.type_keys(b"fg\r");
        session.wait_for("screen again", is_up);
    }
    session.type_keys(b"q");
    session.wait_for_text("inner 0");
    session.wait_for_prompt();
    session.type_keys(b"exit\r");
    assert_eq!(session.exit_status().exit_code(), 0);
}

#[test]
fn without_a_terminal_it_says_what_to_run_instead() {
    let output = Command::new(program()).output().expect("the program starts");
    assert!(!output.status.success());
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(message.contains("railtop log"), "{message}");
    assert!(output.stdout.is_empty());
}

/// The program itself, on the devices of a fixture, in a directory of its own.
fn railtop_in(dir: &std::path::Path) -> CommandBuilder {
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_railtop"));
    in_fixture(&mut command, dir);
    command
}

fn in_fixture(command: &mut CommandBuilder, dir: &std::path::Path) {
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

/// The second picture has them, with no second tick, since that is an hour away, and no timer: the screen's own is three
/// intervals. (The first picture comes before there is any data.)
#[test]
fn the_first_data_waits_for_no_tick_and_no_timer() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut command = railtop_in(dir.path());
    command.env("RAILTOP_INTERVAL", "1h");
    let session = Session::start_command(command);
    session.wait_for_text("rdmap");
    let raw = session.raw.lock().expect("no panic").clone();
    let mut screen = vt100::Parser::new(cells(24), cells(80), 0);
    let mut begins = starts_of_frames(&raw);
    begins.push(raw.len());
    let mut pictures: Vec<String> = Vec::new();
    for frame in begins.windows(2) {
        screen.process(&raw[frame[0]..frame[1]]);
        let picture = screen.screen().contents();
        // Clearing the screen and asking the terminal for its colour draw nothing.
        if !picture.trim().is_empty() && pictures.last() != Some(&picture) {
            pictures.push(picture);
        }
    }
    let first = pictures.iter().position(|picture| picture.contains("rdmap"));
    assert!(first.is_some_and(|at| at <= 1), "{pictures:#?}");
}

/// The recordings in a directory.
fn recordings(dir: &std::path::Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(dir).expect("it is there").map(|file| file.expect("it is there").path());
    files.filter(|path| path.extension().is_some_and(|ending| ending == "rec")).collect()
}

/// Waits until a recording holds more than one tick: the screen says KiB after the first, which names everything.
fn wait_for_a_second_tick(session: &Session, recording: impl Fn() -> PathBuf) {
    session.wait_for(" REC and its size", |screen| {
        screen.contents().lines().next().is_some_and(|line| line.contains(" REC ") && line.contains("KiB"))
    });
    let recording = recording();
    // A tick may be half written while it is looked at.
    session.wait_for("second tick", |_| Recording::open(&recording).is_ok_and(|open| open.len() > 1));
}

/// How many ticks `replay` finds.
fn ticks(recording: &std::path::Path) -> usize {
    let output = Command::new(env!("CARGO_BIN_EXE_railtop"))
        .args(["--config", "", "replay", "--format", "jsonl"])
        .arg(recording)
        .output()
        .expect("the program starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let times: std::collections::BTreeSet<_> =
        text.lines().filter_map(|line| line.split("\"ts\":").nth(1)?.split(',').next()).collect();
    times.len()
}

#[test]
fn a_key_records_and_a_replay_shows_it_with_its_own_time() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut session = Session::start_command(railtop_in(dir.path()));
    session.wait_for_text("rdmap");
    session.type_keys(b"r");
    session.wait_for_text("recording to ./railtop-");
    wait_for_a_second_tick(&session, || recordings(dir.path()).remove(0));
    session.type_keys(b"r");
    session.wait_for_text("recorded ");
    session.wait_for("end of it", |screen| !screen.contents().contains(" REC "));
    session.type_keys(b"q");
    assert_eq!(session.exit_status().exit_code(), 0);
    let files = recordings(dir.path());
    assert_eq!(files.len(), 1);
    assert!(ticks(&files[0]) > 1);

    let mut command = railtop_in(dir.path());
    command.arg("replay");
    command.arg(&files[0]);
    let mut session = Session::start_command(command);
    session.wait_for_text(" stopped ");
    // Another key for it in the configuration would do as well: these are the table's.
    session.type_keys(b"\x1b[H");
    session.wait_for_text(" 1/");
    session.type_keys(b"\x1b[C");
    session.wait_for_text(" 2/");
    session.type_keys(b"r");
    session.wait_for_text("cannot be recorded");
    session.type_keys(b"q");
    assert_eq!(session.exit_status().exit_code(), 0);
}

/// From the start on, and the number of ticks is said once the screen has gone.
#[test]
fn the_flag_records_from_the_start_and_says_where() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut command = railtop_in(dir.path());
    command.args(["top", "--record", "a.rec"]);
    let mut session = Session::start_command(command);
    wait_for_a_second_tick(&session, || dir.path().join("a.rec"));
    session.type_keys(b"q");
    assert_eq!(session.exit_status().exit_code(), 0);
    session.assert_restored("bytes recorded in a.rec");
    assert!(ticks(&dir.path().join("a.rec")) > 1);
}

/// What quits while it records leaves the recording whole.
#[test]
fn a_recording_outlives_whatever_ends_the_screen() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut session = Session::start_command(railtop_in(dir.path()));
    session.wait_for_text("rdmap");
    session.type_keys(b"r");
    session.wait_for("some KiB of it", |screen| {
        screen.contents().lines().next().is_some_and(|line| line.contains(" REC ") && line.contains("KiB"))
    });
    session.signal(Signal::SIGKILL);
    session.exit_status();
    assert!(ticks(&recordings(dir.path())[0]) > 0);
}

#[test]
fn a_recording_that_cannot_be_written_is_said_and_stays_said() {
    if !std::path::Path::new("/bin/bash").exists() {
        eprintln!("skipped: no /bin/bash");
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let mut command = CommandBuilder::new("/bin/bash");
    in_fixture(&mut command, dir.path());
    command.env("PROGRAM", env!("CARGO_BIN_EXE_railtop"));
    // A file may have 8 KiB: the same error as on a full disk, some ticks after the beginning.
    command.args(["--norc", "--noprofile", "-c", "trap '' XFSZ; ulimit -f 8; \"$PROGRAM\""]);
    let mut session = Session::start_command(command);
    session.wait_for_text("rdmap");
    session.type_keys(b"r");
    session.wait_for_text("RECORDING ENDED: cannot write ");
    session.type_keys(b"p");
    session.wait_for("both", |screen| {
        screen.contents().contains("PAUSED") && screen.contents().contains("RECORDING ENDED")
    });
    session.type_keys(b"r");
    session.wait_for("end of it", |screen| !screen.contents().contains("RECORDING ENDED"));
    session.type_keys(b"q");
    assert_eq!(session.exit_status().exit_code(), 0);
    assert!(ticks(&recordings(dir.path())[0]) > 0, "what was written is whole");
}

/// Who quits at once leaves nothing of the terminal's answer to the shell, which would take it for input.
///
/// The program waits only so long for an answer, so a try in which this test was slower than that shows nothing.
#[test]
fn who_leaves_at_once_takes_the_terminals_answer_along() {
    const WAITS_FOR_IT: Duration = Duration::from_millis(300);
    if !std::path::Path::new("/bin/bash").exists() {
        eprintln!("skipped: no /bin/bash");
        return;
    }
    let mut command = CommandBuilder::new("/bin/bash");
    command.args(["--norc", "--noprofile", "-i"]);
    command.env("PS1", "prompt$((6*7))> ");
    command.env("PROGRAM", program());
    command.env_remove("STY");
    let mut session = Session::start_command(command);
    for attempt in 1..=20 {
        session.type_keys(b"clear\r");
        session.wait_for("cleared", |screen| screen.contents().trim() == "prompt42>");
        let raw = Arc::clone(&session.raw);
        let asked = || count(&raw.lock().expect("no panic"), b"\x1b]11;?");
        let before = asked();
        let begin = Instant::now();
        session.type_keys(b"$PROGRAM --interval 100ms --ticks 1\r");
        session.wait_for("question", |_| asked() > before);
        session.type_keys(b"q");
        session.type_keys(b"\x1b]11;rgb:1111/2222/3333\x1b\\");
        let in_time = begin.elapsed() < WAITS_FOR_IT;
        session.wait_for_text("ended: Quit");
        session.type_keys(b"\recho done$((1+1))\r");
        session.wait_for_text("done2");
        session.wait_for_prompt();
        if in_time {
            assert!(!session.screen().contents().contains("rgb"), "{}", session.screen().contents());
            session.type_keys(b"exit\r");
            assert_eq!(session.exit_status().exit_code(), 0);
            return;
        }
        eprintln!("try {attempt} came too late");
    }
    eprintln!("skipped: the machine is too busy to answer within {WAITS_FOR_IT:?}");
}

/// A terminal that is gone without a signal: no controlling terminal, as below some supervisors. What is to be said
/// about the recording at the end reaches nobody, and that is no panic.
#[test]
fn a_terminal_that_goes_away_ends_it() {
    let size = PtySize { rows: 24, cols: 80, pixel_width: 0, pixel_height: 0 };
    let PtyPair { master, slave } = NativePtySystem::default().openpty(size).expect("a pseudo-terminal");
    let name = master.tty_name().expect("its name");
    let terminal = std::fs::File::options()
        .read(true)
        .write(true)
        .custom_flags(nix::libc::O_NOCTTY)
        .open(name)
        .expect("the terminal");
    drop(slave);
    let dir = tempfile::tempdir().expect("a directory");
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sys/efa-p5");
    let mut child = Command::new(env!("CARGO_BIN_EXE_railtop"))
        .args(["--config", "", "top", "--interval", "50ms", "--record", "a.rec"])
        .env("RAILTOP_SYSFS_ROOT", root)
        .current_dir(dir.path())
        .env("RAILTOP_PAGE_DIR", dir.path().join("no-pages"))
        .env("TERM", "xterm")
        .stdin(terminal.try_clone().expect("another handle"))
        .stdout(terminal.try_clone().expect("another handle"))
        .stderr(terminal)
        .spawn()
        .expect("the program starts");
    let mut reader = master.try_clone_reader().expect("a reader");
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    while !String::from_utf8_lossy(&seen).contains("rdmap79s0") {
        let count = reader.read(&mut buffer).expect("it draws");
        seen.extend_from_slice(&buffer[..count]);
    }
    drop((reader, master));
    let begin = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("our child") {
            break status;
        }
        if begin.elapsed() > PATIENCE {
            let _ = child.kill();
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(status.code(), Some(129));
}

/// What reaches the terminal, all of it: 32 moving NICs at 1 Hz cost it at most 4 kB a second. A frame is a sample, so
/// the samples may come faster here; they move as far as in a second.
#[test]
fn a_frame_of_32_moving_nics_is_at_most_4_kb_at_the_terminal() {
    let mut command = CommandBuilder::new(program());
    command.args(["--scene", "p5", "--interval", "1s", "--pace", "20ms"]);
    let mut session = Session::start_command(command);
    session.wait_for_text("rdmap79s0");
    // Room for nearly all, groups unfolded.
    let size = PtySize { rows: 48, cols: 160, pixel_width: 0, pixel_height: 0 };
    session.output.lock().expect("no panic").screen_mut().set_size(cells(48), cells(160));
    session.pty.master.resize(size).expect("it resizes");
    session.type_keys(b"z");
    session.wait_for_text("rdmap198s0");
    let written = || session.raw.lock().expect("no panic").clone();
    // As long as it takes for the graph to fill the window.
    let before = starts_of_frames(&written()).len() + 170;
    session.wait_for("260 frames", |_| starts_of_frames(&written()).len() > before + 60);
    let starts = starts_of_frames(&written());
    let mean = (starts[before + 60] - starts[before]) / 60;
    eprintln!("{mean} bytes a frame");
    assert!((200..=4000).contains(&mean), "{mean} bytes a frame");
    session.type_keys(b"q");
    assert_eq!(session.exit_status().exit_code(), 0);
}
