//! Keys and the window's size.

use portable_pty::PtySize;

use crate::session::{Session, cells, is_up};

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
