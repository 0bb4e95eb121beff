//! A recording through the model again: as it was live, wherever one begins.

use std::sync::Arc;
use std::time::Duration;

use super::control::Shared;
use super::*;
use crate::monitor::model::Model;
use crate::monitor::model::view::View;
use crate::monitor::record::Recorder;
use crate::monitor::record::tests::{about, efa};

const SECOND: Duration = Duration::from_secs(1);

fn recorded(ticks: u64) -> (tempfile::TempDir, Recording, Vec<View>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.rec");
    let mut recorder = Recorder::open(&path, &about("a")).unwrap();
    let mut model = Model::new("a".to_owned());
    let mut live = Vec::new();
    for tick in 0..ticks {
        live.push(model.update(&efa(tick, 2), SECOND).view);
        recorder.add(efa(tick, 2), SECOND, 0).unwrap();
    }
    let recording = Recording::open(&path).unwrap();
    (dir, recording, live)
}

#[test]
fn played_or_jumped_to_a_view_is_as_it_was_live() {
    let (_dir, recording, live) = recorded(100);
    let mut replayer = Replayer::new(recording, Filter::default());
    for view in &live {
        assert_eq!(replayer.advance().unwrap().unwrap().derived.view, *view);
    }
    assert!(replayer.advance().is_none());
    for tick in [50, 3, 99, 0, 98] {
        let all = replayer.jump(tick).unwrap();
        assert_eq!(all.last().unwrap().derived.view, live[tick], "{tick}");
        assert!(all.len() <= 37);
    }
    // On from a jump without another one.
    replayer.jump(10).unwrap();
    assert_eq!(replayer.advance().unwrap().unwrap().derived.view, live[11]);
}

#[test]
fn a_filter_shows_what_a_filtered_monitor_would_have_shown() {
    let (_dir, recording, _) = recorded(3);
    let filter = Filter { device: Some("rdmap1s0".parse().unwrap()), source: None };
    let mut replayer = Replayer::new(recording, filter);
    let view = replayer.go(2).unwrap().derived.view;
    let names: Vec<_> = view.groups.iter().flat_map(|g| &g.nics).map(|n| n.device.as_str()).collect();
    assert_eq!(names, ["rdmap1s0"]);
}

/// Also after a jump, which begins with a fresh model.
#[test]
fn verdicts_follow_the_limits_of_the_replay() {
    let (_dir, recording, _) = recorded(4);
    let thresholds = Thresholds { max_over_mean: 3.5, ..Thresholds::default() };
    let mut replayer = Replayer::new(recording, Filter::default()).with_thresholds(thresholds);
    for tick in [0, 1, 3] {
        let limit = replayer.go(tick).unwrap().derived.view.max_over_mean;
        assert!((limit - 3.5).abs() < 1e-9, "{tick}: {limit}");
    }
}

fn shared(times: &[i64]) -> Shared {
    let times: Arc<[i64]> = times.iter().map(|s| s * 1_000_000_000).collect();
    let status = ReplayStatus {
        position: 0,
        length: times.len(),
        realtime_ns: 0,
        speed: 1.0,
        playing: true,
        error: None,
    };
    Shared { status, wanted: None, range: 0..times.len(), times, ended: false }
}

#[test]
fn the_cursor_stays_within_the_recording() {
    let mut cursor = shared(&(0..60).collect::<Vec<_>>());
    let mut ask = |command| {
        cursor.command(command);
        cursor.status.position = cursor.wanted.take().unwrap_or(cursor.status.position);
        cursor.status.position
    };
    assert_eq!(ask(ReplayCommand::Step(-1)), 0);
    assert_eq!(ask(ReplayCommand::Step(1)), 1);
    assert_eq!(ask(ReplayCommand::Seconds(10)), 11);
    assert_eq!(ask(ReplayCommand::Seconds(-60)), 0);
    assert_eq!(ask(ReplayCommand::End), 59);
    assert_eq!(ask(ReplayCommand::Seconds(10)), 59);
    assert_eq!(ask(ReplayCommand::Step(isize::MAX)), 59);
    assert_eq!(ask(ReplayCommand::Seconds(-10)), 49);
    assert_eq!(ask(ReplayCommand::Home), 0);
}

#[test]
fn playing_follows_the_recorded_times_and_ends() {
    let mut cursor = shared(&[0, 1, 4, 100_000]);
    assert_eq!(cursor.due(), Some(SECOND));
    cursor.command(ReplayCommand::Faster);
    assert_eq!(cursor.due(), Some(SECOND / 2));
    cursor.status.position = 2;
    assert_eq!(cursor.due(), Some(SECOND * 5), "a night is not played");
    cursor.status.position = 3;
    assert_eq!((cursor.due(), cursor.status.playing), (None, false));
}
