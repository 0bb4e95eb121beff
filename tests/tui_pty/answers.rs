//! What the terminal is asked, and that its answer is nobody's keys.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::session::{Session, count, is_up};

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

/// A terminal's answer to the question about its background.
const ANSWER: &[u8] = b"\x1b]11;rgb:1111/2222/3333\x1b\\";

/// A bash in which the program is started, asks the terminal, gets `typed`, and ends; then what the shell has on its screen once it has
/// taken a command and waits for the next, and how long it was from the command until all was typed.
fn quit_and_look(session: &mut Session, typed: &[&[u8]]) -> (String, Duration) {
    session.type_keys(b"clear\r");
    session.wait_for("cleared", |screen| screen.contents().trim() == "prompt42>");
    let raw = Arc::clone(&session.raw);
    let asked = || count(&raw.lock().expect("no panic"), b"\x1b]11;?");
    let before = asked();
    let begin = Instant::now();
    session.type_keys(b"$PROGRAM --interval 100ms --ticks 1\r");
    session.wait_for("question", |_| asked() > before);
    for keys in typed {
        session.type_keys(keys);
    }
    let took = begin.elapsed();
    session.wait_for_text("ended: Quit");
    session.type_keys(b"\recho done$((1+1))\r");
    session.wait_for_text("done2");
    session.wait_for_prompt();
    (session.screen().contents(), took)
}

fn leave(session: &mut Session) {
    session.type_keys(b"exit\r");
    assert_eq!(session.exit_status().exit_code(), 0);
}

/// Who quits leaves nothing of an answer to the shell, which would take it for input: certainly not where it is there already.
#[test]
fn who_leaves_takes_the_answer_along_that_is_there() {
    let Some(mut session) = Session::in_bash() else { return };
    let (screen, _) = quit_and_look(&mut session, &[&[b"q", ANSWER].concat()]);
    assert!(!screen.contains("rgb"), "{screen}");
    leave(&mut session);
}

/// Nor where it is on its way: the program waits for it, but only so long. Whether a try was in time for that is known before it is known
/// how it ended, and one that was not shows nothing.
#[test]
fn who_leaves_at_once_waits_for_the_terminals_answer() {
    /// From the question, which comes after the command was typed.
    const WAITS_FOR_IT: Duration = Duration::from_millis(300);
    let Some(mut session) = Session::in_bash() else { return };
    for attempt in 1..=20 {
        let (screen, took) = quit_and_look(&mut session, &[b"q", ANSWER]);
        if took < WAITS_FOR_IT {
            assert!(!screen.contains("rgb"), "typed after {took:?}: {screen}");
            return leave(&mut session);
        }
        eprintln!("try {attempt} took too long: {took:?}");
    }
    eprintln!("skipped: the machine is too busy to answer within {WAITS_FOR_IT:?}");
}
