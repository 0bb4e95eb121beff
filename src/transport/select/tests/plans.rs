//! Splits by hand, and what others got wrong with theirs.

use test_case::test_case;

use super::*;
use crate::transport::select::plan::Side;

/// (local, remote, offset, length) of each part.
fn parts(own: u16, peer: u16, len: u64) -> Vec<(u16, u16, u64, u64)> {
    let plan = Plan::split(Side::new(0, own, own), Side::new(0, peer, peer));
    plan.parts(len).map(|part| (part.route.local, part.route.remote, part.offset, part.len)).collect()
}

#[test]
fn both_sides_cuts_apply() {
    assert_eq!(parts(1, 1, 1000), [(0, 0, 0, 1000)]);
    assert_eq!(parts(2, 2, 1024), [(0, 0, 0, 512), (1, 1, 512, 512)]);
    assert_eq!(parts(1, 2, 1024), [(0, 0, 0, 512), (0, 1, 512, 512)]);
    let three_to_two = parts(3, 2, 768);
    assert_eq!(three_to_two, [(0, 0, 0, 256), (1, 0, 256, 128), (1, 1, 384, 128), (2, 1, 512, 256)]);
}

/// pplx-garden's shards are rounded after dividing down, and `total % (n * 8192)` below `n` bytes are never sent.
#[test_case(16385, 2)]
#[test_case(4 * 128 * 1024 + 3, 4)]
#[test_case(3 * 128 + 2, 3)]
#[test_case(u64::MAX, 7)]
fn the_last_bytes_are_sent(len: u64, nics: u16) {
    let parts = parts(nics, nics, len);
    assert_eq!(parts.iter().map(|part| part.3).sum::<u64>(), len);
    assert_eq!(parts.last().map(|part| part.2 + part.3), Some(len));
}

#[test]
fn a_length_below_the_number_of_cuts_has_no_empty_parts() {
    assert_eq!(parts(4, 4, 130), [(3, 3, 0, 130)], "all below one cut goes with the last share");
    assert_eq!(parts(4, 4, 0), [(0, 0, 0, 0)]);
}

#[test]
fn one_route_is_kept_whatever_its_index() {
    let route = Route { local: u16::MAX, remote: 7 };
    let parts: Vec<_> = Plan::one(route).parts(u64::MAX).collect();
    assert_eq!(parts, [Part { route, offset: 0, len: u64::MAX }]);
}

#[test]
fn the_largest_numbers_of_nics() {
    let plan = Plan::split(Side::new(u64::MAX, u16::MAX, u16::MAX), Side::new(9, u16::MAX, u16::MAX));
    let bytes: u64 = plan.parts(u64::MAX).map(|part| part.len).fold(0, u64::wrapping_add);
    assert_eq!(bytes, u64::MAX);
    assert!(std::mem::size_of::<Plan>() <= 16, "a plan travels in registers");
}
