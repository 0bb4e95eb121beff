//! What reaches the terminal: when the first data comes, and how many bytes a frame has.

use portable_pty::{CommandBuilder, PtySize};

use crate::session::{Session, cells, program, railtop_in, starts_of_frames};

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
