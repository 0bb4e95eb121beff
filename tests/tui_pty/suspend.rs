//! Ctrl-Z, with a shell's job control and without.

use crate::session::{Session, is_up};

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
    let Some(mut session) = Session::in_bash() else { return };
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
