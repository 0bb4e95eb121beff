//! How long a run can take at most, since times are picoseconds in 64 bits and must not wrap; and how much memory.

use super::scene::{POINT, Scene, SceneError};
use super::traffic::Traffic;
use super::windows;

/// Simulated time that a run may need at most, picoseconds: 53 days, and a quarter of what 64 bits hold.
const MOST_PS: u128 = 1 << 62;
/// Segments of a put, at most, so that events grow with puts and not with bytes.
pub(super) const MOST_SEGMENTS: u64 = 32;

/// Whether the times of `traffic` in `scene` can be told, even if all its bytes met on the slowest NIC.
///
/// # Errors
/// When they could be too long.
pub fn check_time(scene: &Scene, traffic: &impl Traffic) -> Result<(), SceneError> {
    if bound(scene, traffic) > MOST_PS { Err(SceneError::TooLong) } else { Ok(()) }
}

/// What all rounds take at most, picoseconds, where nothing overlaps but the proxies.
pub(super) fn bound(scene: &Scene, traffic: &impl Traffic) -> u128 {
    // A slow NIC, where there is one, is the first.
    let byte_time = scene.byte_time(0);
    if byte_time == u64::MAX {
        return u128::MAX;
    }
    let costs = &scene.costs;
    // Jitter doubles a cost at most, and each part of a put that is split costs once more.
    let parts = u128::from(traffic.each()) * u128::from(scene.nics_per_pe);
    let segments = u128::from(MOST_SEGMENTS) * u128::from(costs.latency_ps);
    let posting = parts.saturating_mul(2 * (u128::from(costs.put_ps) + segments));
    // Once, once more for what is lost while a sender waits, and again for what is lost in a crowd.
    let times = 2 + u128::from(if costs.crowd_ps > 0 { costs.most_again } else { 0 });
    let bytes = u128::from(traffic.about()).saturating_mul(times * u128::from(traffic.largest()));
    let wires = bytes.saturating_mul(byte_time.into()) >> POINT;
    let rate = costs.copy_bytes_per_s.unwrap_or(u64::MAX).max(1);
    let copies = u128::from(traffic.copied()) * 1_000_000_000_000 / u128::from(rate);
    posting.saturating_add(wires).saturating_add(copies).saturating_mul(scene.iters.into())
}

/// About how many bytes of memory a run takes at most: what `stripe` counts for each pair of PEs, more than other policies, and for
/// each NIC what waits, what flies and its windows.
#[must_use]
pub fn memory(scene: &Scene) -> u64 {
    let (pes, nics) = (u64::from(scene.pes()), scene.nics());
    let rings = u64::from(scene.costs.queue) * RING_ENTRY + u64::from(scene.costs.window) * RING_ENTRY;
    (pes * pes * PER_PAIR).saturating_add(nics * (rings + windows::BYTES + PER_NIC))
}

/// Bytes of `stripe`'s three counters; `pair-seq` and `least-loaded` have one.
const PER_PAIR: u64 = 24;
/// Bytes of an entry of a NIC's two rings.
const RING_ENTRY: u64 = 16;
/// What else a NIC has, and its share of its PE.
const PER_NIC: u64 = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::costs::Preset;
    use crate::sim::made::scene;
    use crate::sim::scene::Slow;
    use crate::sim::traffic::{AllToAll, PutTest};

    #[test]
    fn two_of_the_largest_runs_fit_into_four_gib() {
        // `stripe` took 1,880 MB by itself, with the program.
        let memory = memory(&scene(Preset::EfaP5, 1024));
        assert_eq!(memory / 1_000_000, 1862);
    }

    #[test]
    fn what_the_model_is_for_is_far_from_the_end() {
        let mut of = scene(Preset::EfaP5, 1024);
        of.iters = 1000;
        let traffic = AllToAll::new(&of, 1 << 30).unwrap();
        assert_eq!(check_time(&of, &traffic), Ok(()));
    }

    #[test]
    fn what_could_wrap_is_refused() {
        let mut of = scene(Preset::EfaP5, 2);
        let put = |of: &Scene, bytes| check_time(of, &PutTest::new(of, bytes, 1).unwrap());
        assert_eq!(put(&of, 1 << 36), Ok(()));
        of.nic_bits_per_s = 1_000_000;
        assert_eq!(put(&of, 1 << 36), Ok(()), "seven days");
        of.slow = Some(Slow { count: 1, rate_ppm: 1000 });
        assert_eq!(put(&of, 1 << 36), Err(SceneError::TooLong));
        of.nic_bits_per_s = 1;
        assert_eq!(put(&of, 64), Err(SceneError::TooLong), "a byte's time has no number");
        let mut of = scene(Preset::EfaP5, 2);
        of.nic_bits_per_s = 1_000_000;
        let three = |of: &Scene| check_time(of, &PutTest::new(of, 3 << 36, 3).unwrap());
        of.costs.crowd_ps = 1;
        assert_eq!(
            three(&of),
            Err(SceneError::TooLong),
            "39 days, and 58 more for what a crowd has sent again"
        );
        of.costs.most_again = 1;
        assert_eq!(three(&of), Err(SceneError::TooLong), "and 19 more");
        of.costs.crowd_ps = 0;
        assert_eq!(three(&of), Ok(()), "no crowd");
        let mut of = scene(Preset::EfaP5, 2);
        of.costs.set_put(u64::MAX);
        assert_eq!(put(&of, 64), Err(SceneError::TooLong));
    }
}
