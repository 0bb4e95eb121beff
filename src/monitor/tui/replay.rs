//! The time cursor of a replay: its keys, and how it is shown.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::format;
use crate::monitor::replay::{ReplayCommand, ReplayStatus};

/// One line of the help: the keys, and what they do in a replay instead of what they do otherwise.
pub(super) const HELP: [(&str, &str); 5] = [
    ("space  p", "play, stop"),
    ("left right", "a tick back, forth"),
    ("[  ]  {  }", "10 s back, forth; a minute"),
    ("Home End", "to the first, last tick"),
    ("+  -", "play faster, slower"),
];

/// What a key asks of the replay; `None` for keys that mean the same as ever.
pub(super) fn of_key(event: KeyEvent) -> Option<ReplayCommand> {
    if event.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT | KeyModifiers::SUPER) {
        return None;
    }
    let wide = event.modifiers.contains(KeyModifiers::SHIFT);
    Some(match event.code {
        KeyCode::Char(' ' | 'p') => ReplayCommand::Toggle,
        KeyCode::Left if wide => ReplayCommand::Seconds(-10),
        KeyCode::Right if wide => ReplayCommand::Seconds(10),
        KeyCode::Left => ReplayCommand::Step(-1),
        KeyCode::Right => ReplayCommand::Step(1),
        KeyCode::Char('[') => ReplayCommand::Seconds(-10),
        KeyCode::Char(']') => ReplayCommand::Seconds(10),
        KeyCode::Char('{') => ReplayCommand::Seconds(-60),
        KeyCode::Char('}') => ReplayCommand::Seconds(60),
        KeyCode::Home => ReplayCommand::Home,
        KeyCode::End => ReplayCommand::End,
        KeyCode::Char('+' | '=') => ReplayCommand::Faster,
        KeyCode::Char('-') => ReplayCommand::Slower,
        _ => return None,
    })
}

/// `REPLAY 2026-01-01 12:00:05Z 36/600 2x`: the time is that of the recording.
pub(super) fn cursor(status: &ReplayStatus) -> String {
    let ReplayStatus { position, length, realtime_ns, speed, playing, error } = status;
    let how = match (error, playing) {
        (Some(_), _) => "unreadable".to_owned(),
        (None, true) => format!("{speed}x"),
        (None, false) => "stopped".to_owned(),
    };
    format!(" REPLAY {} {}/{length} {how} ", format::time_of_day(*realtime_ns), position + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_tells_time_place_and_speed() {
        let mut status = ReplayStatus {
            position: 34,
            length: 600,
            realtime_ns: 1_767_261_605_000_000_000,
            speed: 0.5,
            playing: true,
            error: None,
        };
        assert_eq!(cursor(&status), " REPLAY 2026-01-01 10:00:05Z 35/600 0.5x ");
        status.playing = false;
        assert_eq!(cursor(&status), " REPLAY 2026-01-01 10:00:05Z 35/600 stopped ");
        status.error = Some("gone".to_owned());
        assert!(cursor(&status).contains("unreadable"));
    }

    #[test]
    fn quitting_and_moving_stay_what_they_are() {
        for code in [KeyCode::Char('q'), KeyCode::Up, KeyCode::Enter, KeyCode::Char('?')] {
            assert_eq!(of_key(KeyEvent::new(code, KeyModifiers::NONE)), None);
        }
        assert_eq!(of_key(KeyEvent::new(KeyCode::Char('p'), KeyModifiers::CONTROL)), None);
        assert_eq!(
            of_key(KeyEvent::new(KeyCode::Left, KeyModifiers::SHIFT)),
            Some(ReplayCommand::Seconds(-10))
        );
    }
}
