//! The time cursor of a replay: which commands steer it, and how it is shown.
//!
//! A recording has no commands of its own: those that go through time, or set how fast it passes, do so in the recording.
//! So their keys are those of the one table, whatever a configuration makes of them.

use super::actions::Command;
use super::format;
use crate::monitor::replay::{ReplayCommand, ReplayStatus};

/// What a command asks of the replay, and the help's words for it; `None` for commands that mean the same as ever.
fn meaning(command: Command) -> Option<(ReplayCommand, &'static str)> {
    Some(match command {
        Command::Pause => (ReplayCommand::Toggle, "play, stop"),
        Command::FoldOne => (ReplayCommand::Step(-1), "a tick back (stops)"),
        Command::UnfoldOne => (ReplayCommand::Step(1), "a tick forth (stops)"),
        Command::StepBack => (ReplayCommand::Seconds(-10), "10 s back"),
        Command::StepForth => (ReplayCommand::Seconds(10), "10 s forth"),
        Command::MinuteBack => (ReplayCommand::Seconds(-60), "a minute back"),
        Command::MinuteForth => (ReplayCommand::Seconds(60), "a minute forth"),
        Command::Home => (ReplayCommand::Home, "to the first tick; in a text: to its top"),
        Command::End => (ReplayCommand::End, "to the last tick; in a text: to its end"),
        Command::Faster => (ReplayCommand::Faster, "play faster"),
        Command::Slower => (ReplayCommand::Slower, "play slower"),
        _ => return None,
    })
}

/// What a command asks of the replay; `open` says whether something lies over the tab that the command may mean.
pub(super) fn asked(command: Command, open: bool) -> Option<ReplayCommand> {
    let of_what_is_open = matches!(command, Command::Home | Command::End);
    meaning(command).filter(|_| !(open && of_what_is_open)).map(|(asked, _)| asked)
}

/// The help's words for a command, where they are others in a replay.
pub(super) fn help(command: Command) -> Option<&'static str> {
    match command {
        Command::Record => Some("nothing: what is shown is a recording"),
        command => meaning(command).map(|(_, help)| help),
    }
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
        for command in [Command::Quit, Command::Up, Command::Enter, Command::Help, Command::Wider] {
            assert_eq!(asked(command, false), None);
        }
        assert_eq!(asked(Command::Home, false), Some(ReplayCommand::Home));
        assert_eq!(asked(Command::Home, true), None, "the top of the help");
        assert_eq!(asked(Command::StepBack, true), Some(ReplayCommand::Seconds(-10)));
    }
}
