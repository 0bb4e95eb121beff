//! Made-up events: one of each urgency, at fixed ages.

use std::sync::Arc;

use crate::monitor::model::view::{Event, EventKind, Severity};

/// What happened until `mono_ns` on a machine with these devices.
pub(super) fn make(mono_ns: u64, realtime_ns: i128, devices: &[String]) -> Arc<[Event]> {
    // The clocks stood here when the machine was made up.
    const START_NS: u64 = 60_000_000_000;
    let begin = realtime_ns - i128::from(mono_ns - START_NS.min(mono_ns));
    let device = |index: usize| devices.get(index).or(devices.last()).cloned().unwrap_or_default();
    let told = [
        (0, EventKind::Added, Severity::Info, device(3), "appeared: 100 Gb/s, driver efa".to_owned()),
        (1, EventKind::LossBegins, Severity::Warning, device(9), "120 retransmissions a second".to_owned()),
        (
            2,
            EventKind::ImbalanceBegins,
            Severity::Warning,
            "GPU 75:00.0".to_owned(),
            format!("Tx max/mean 1.22, Jain 0.90: {} carries 27 Gb/s where the others carry 88", device(9)),
        ),
        (4, EventKind::LinkDown, Severity::Bad, device(7), "port 1: ACTIVE -> DOWN (Polling)".to_owned()),
        (7, EventKind::LinkUp, Severity::Info, device(7), "port 1: DOWN -> ACTIVE after 3 s".to_owned()),
        (
            9,
            EventKind::Reset,
            Severity::Info,
            device(1),
            "counters began again; rates go on from here".to_owned(),
        ),
        (12, EventKind::Silent, Severity::Bad, device(30), "has not answered for 2 s".to_owned()),
        (16, EventKind::Answers, Severity::Info, device(30), "answers again after 6 s".to_owned()),
    ];
    told.into_iter()
        .map(|(second, kind, severity, subject, text)| Event {
            realtime_ns: begin + i128::from(second * 1_000_000_000),
            mono_ns: START_NS + second * 1_000_000_000,
            kind,
            severity,
            subject,
            text,
        })
        .filter(|event| event.mono_ns <= mono_ns)
        .collect()
}
