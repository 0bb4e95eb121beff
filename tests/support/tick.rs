//! Ticks of a monitor that come as soon after each other as a test makes them.

#![allow(clippy::panic, reason = "a helper that cannot go on fails its test")]

use std::time::Duration;

use railtop::monitor::model::view::{Mark, NicView};
use railtop::monitor::{Monitor, Tick};

/// A tick at which the traffic of the row that `is_meant` does not wait for a rate: so soon after the last one the time between them is
/// not known well enough, and later what the rate is of is the same.
pub fn sure_tick(monitor: &mut Monitor, is_meant: impl Fn(&NicView) -> bool) -> Tick {
    for _ in 0..1000 {
        let tick = monitor.tick();
        let nics = tick.view.groups.iter().flat_map(|group| &group.nics);
        let waits = |row: &NicView| row.marks.contains(&Mark::Unsure) && row.dt.is_none();
        if !nics.filter(|row| is_meant(row)).any(waits) {
            return tick;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("a read always takes long");
}

/// The same, for what does not move: at such a tick its other counters have rates, too.
pub fn sure_tick_of_all(monitor: &mut Monitor, is_meant: impl Fn(&NicView) -> bool) -> Tick {
    for _ in 0..1000 {
        let tick = sure_tick(monitor, &is_meant);
        let nics = tick.view.groups.iter().flat_map(|group| &group.nics);
        if nics.filter(|row| is_meant(row)).all(|row| !row.marks.contains(&Mark::Unsure)) {
            return tick;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("the read of a counter always takes long");
}
