//! The two clocks of a sample: monotonic for rates, wall clock for people.

use nix::time::{ClockId, clock_gettime};

/// Nanoseconds on `CLOCK_MONOTONIC`. 0 if the kernel has no such clock, which Linux always has.
#[must_use]
pub fn mono_ns() -> u64 {
    u64::try_from(read(ClockId::CLOCK_MONOTONIC)).unwrap_or(0)
}

/// Nanoseconds on `CLOCK_BOOTTIME`, which counts while the machine sleeps: the clock of kernel traces.
#[must_use]
pub fn boottime_ns() -> u64 {
    u64::try_from(read(ClockId::CLOCK_BOOTTIME)).unwrap_or(0)
}

/// Nanoseconds since 1970 on the wall clock.
#[must_use]
pub fn realtime_ns() -> i128 {
    read(ClockId::CLOCK_REALTIME)
}

fn read(clock: ClockId) -> i128 {
    clock_gettime(clock).map_or(0, |t| i128::from(t.tv_sec()) * 1_000_000_000 + i128::from(t.tv_nsec()))
}

/// The middle of two moments, the best single moment for something read between them.
#[must_use]
pub fn middle(before_ns: u64, after_ns: u64) -> u64 {
    before_ns.saturating_add(after_ns.saturating_sub(before_ns) / 2)
}
