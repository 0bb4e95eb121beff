//! A recording through the model again: as it was live, wherever one begins.

use std::sync::Arc;
use std::time::Duration;

use test_case::test_case;

use super::control::Shared;
use super::*;
use crate::monitor::log::new_events;
use crate::monitor::model::Model;
use crate::monitor::model::view::{EventKind, View};
use crate::monitor::record::Recorder;
use crate::monitor::record::tests::{about, efa};
use crate::monitor::sample::Processes;

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
        assert!(all.len() <= 39);
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

/// Ticks `every` apart of two NICs: for the middle 60 of 100 s one of them moves all.
fn skewed(every: Duration) -> (tempfile::TempDir, Recording) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.rec");
    let mut recorder = Recorder::open(&path, &about("a")).unwrap();
    let step = u64::try_from(every.as_nanos()).unwrap();
    let mut moved = [0, 0];
    for tick in 0..100_000_000_000 / step {
        let skewed = (20..80).contains(&(tick * step / 1_000_000_000));
        moved[0] += step * 10;
        moved[1] += if skewed { 0 } else { step * 10 };
        let mut sample = efa(0, 2);
        sample.mono_ns += tick * step;
        sample.realtime_ns += i128::from(tick * step);
        for (port, bytes) in sample.ports.iter_mut().zip(moved) {
            let reading = port.reading.as_mut().unwrap();
            reading.mono_ns = sample.mono_ns;
            reading.traffic.tx_bytes = Some(bytes);
            reading.traffic.rx_bytes = Some(bytes);
            reading.counters.clear();
        }
        recorder.add(sample, every, 0).unwrap();
    }
    (dir, Recording::open(&path).unwrap())
}

/// When each event is told of these ticks, of what and of whom.
fn told(replayer: &mut Replayer, ticks: std::ops::Range<usize>) -> Vec<(u64, EventKind, String)> {
    let mut told = Vec::new();
    for tick in ticks {
        let view = replayer.go(tick).unwrap().derived.view;
        told.extend(new_events(&view).map(|event| (event.mono_ns, event.kind, event.subject.clone())));
    }
    told
}

/// Also where the hold is longer than what is looked back at least, where ticks are so dense that many of them are one
/// hold, and where they are further apart than what is looked back beyond it.
#[test_case(1_000, 5; "a second, the usual hold")]
#[test_case(1_000, 40; "a second, a long hold")]
#[test_case(50, 25; "short intervals")]
#[test_case(10_000, 34; "long intervals")]
fn from_the_middle_nothing_is_told_that_the_whole_does_not_tell(every_ms: u64, hold_s: u64) {
    let every = Duration::from_millis(every_ms);
    let (_dir, recording) = skewed(every);
    let (ticks, second) = (recording.len(), 1_000.0 / every_ms as f64);
    let thresholds = Thresholds { imbalance_hold: Duration::from_secs(hold_s), ..Thresholds::default() };
    let mut replayer = Replayer::new(recording, Filter::default()).with_thresholds(thresholds);
    let whole = told(&mut replayer, 0..ticks);
    let begins = |told: &[(u64, EventKind, String)]| {
        told.iter().filter(|(_, kind, _)| *kind == EventKind::ImbalanceBegins).count()
    };
    assert_eq!(begins(&whole), 2, "once each way: {whole:?}");
    for from_s in [25.0, 50.0, 62.0, 75.0, 82.0] {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a tick of a short recording"
        )]
        let from = (from_s * second) as usize;
        let then = replayer.recording.realtime_ns(from) - replayer.recording.realtime_ns(0);
        let then = 5_000_000_000 + u64::try_from(then).unwrap();
        replayer.at = Some(ticks - 1);
        let rest: Vec<_> = whole.iter().filter(|(at, ..)| *at >= then).cloned().collect();
        assert_eq!(told(&mut replayer, from..ticks), rest, "from {from_s} s");
    }
}

#[test_case(None, true; "all sources")]
#[test_case(Some(SourceKind::Netlink), true; "netlink")]
#[test_case(Some(SourceKind::Sysfs), false; "sysfs")]
#[test_case(Some(SourceKind::Page), false; "pages")]
#[test_case(Some(SourceKind::Netdev), false; "interfaces")]
fn processes_are_those_of_a_source_that_has_some(source: Option<SourceKind>, some: bool) {
    let mut sample = Sample { processes: Some(Processes::default()), ..efa(0, 1) };
    Filter { device: None, source }.apply(&mut sample);
    assert_eq!(sample.processes.is_some(), some);
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
