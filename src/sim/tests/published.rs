//! The model against what was published: "NVSHMEM Multi-NIC Support with AWS EFA", all-to-all of 1 GiB on 2 to 16 nodes, and against
//! the lab. How the parameters were fitted stands with them (`costs`); what does not hold, and why, in docs/scale.md: that
//! is not here.

use test_case::test_case;

use super::go;
use crate::sim::costs::Preset::{self, EfaP5, EfaP5Crowd};
use crate::sim::made::scene;
use crate::sim::scene::Scene;
use crate::sim::traffic::{AllToAll, PutTest};
use crate::transport::select::PolicyKind::{
    self, LeastLoaded, PairSeq, RoundRobin, RoundRobinOffset, Single,
};

/// Time of a round of 1 GiB, in microseconds.
fn gib(preset: Preset, nodes: u32, policy: PolicyKind) -> f64 {
    let mut scene = scene(preset, nodes);
    scene.iters = 4;
    let traffic = AllToAll::new(&scene, 1 << 30).unwrap();
    go(&scene, &traffic, policy).latency_us()
}

fn within(share: f64, value: f64, published: f64) {
    let off = value / published - 1.0;
    assert!(off.abs() <= share, "{value:.2} for {published}: {:+.1} %", off * 100.0);
}

#[test_case(EfaP5, 2, 1.01)]
#[test_case(EfaP5, 4, 3.5)]
#[test_case(EfaP5, 8, 3.1)]
#[test_case(EfaP5, 16, 2.1)]
#[test_case(EfaP5Crowd, 2, 1.01)]
#[test_case(EfaP5Crowd, 4, 3.5)]
#[test_case(EfaP5Crowd, 8, 3.1)]
#[test_case(EfaP5Crowd, 16, 2.1)]
fn gain_of_the_fix(preset: Preset, nodes: u32, published: f64) {
    within(0.25, gib(preset, nodes, RoundRobin) / gib(preset, nodes, RoundRobinOffset), published);
}

/// Of 3.5.21 over 3.6.5; on 8 and 16 nodes it holds only with the parameters of the crowded preset.
#[test_case(EfaP5, 2, 1.0)]
#[test_case(EfaP5, 4, 1.29)]
#[test_case(EfaP5Crowd, 2, 1.0)]
#[test_case(EfaP5Crowd, 4, 1.29)]
#[test_case(EfaP5Crowd, 8, 0.86)]
#[test_case(EfaP5Crowd, 16, 0.51)]
fn one_nic_against_four_that_collapse(preset: Preset, nodes: u32, published: f64) {
    within(0.25, gib(preset, nodes, RoundRobin) / gib(preset, nodes, Single), published);
}

/// Gb/s of a put of 128 MiB.
#[test_case(Single, 97.8)]
#[test_case(RoundRobin, 391.3)]
fn a_put(policy: PolicyKind, published: f64) {
    let mut scene = scene(Preset::EfaP5, 2);
    scene.iters = 10;
    let traffic = PutTest::new(&scene, 128 << 20, 32).unwrap();
    let us = go(&scene, &traffic, policy).latency_us();
    within(0.02, traffic.bytes() as f64 * 8.0 / us / 1e3, published);
}

/// Milliseconds of a round of all-to-all in the lab, 4 PEs a node.
fn lab(nodes: u32, nic_bits_per_s: u64, iters: u32, bytes: u64, policy: PolicyKind) -> f64 {
    let scene = Scene { pes_per_node: 4, nic_bits_per_s, iters, ..scene(Preset::Lab, nodes) };
    let traffic = AllToAll::new(&scene, bytes).unwrap();
    go(&scene, &traffic, policy).latency_us() / 1e3
}

/// 8 MiB, 2 nodes x 4 PEs x 4 NICs of 50 Mbit/s (docs/performance.md).
#[test_case(Single, 709.0)]
#[test_case(RoundRobin, 675.0)]
#[test_case(RoundRobinOffset, 169.0)]
#[test_case(PairSeq, 172.0)]
fn the_lab(policy: PolicyKind, measured: f64) {
    within(0.10, lab(2, 50_000_000, 4, 8 << 20, policy), measured);
}

/// 2 MiB, 4 nodes x 4 PEs x 4 NICs of 10 Mbit/s (docs/scale.md), for which the lab's turns were fitted, so this only keeps what the fit
/// reached; two more policies are not as near.
#[test_case(Single, 1432.0)]
#[test_case(RoundRobin, 1290.0)]
#[test_case(PairSeq, 454.0)]
#[test_case(LeastLoaded, 462.0)]
fn the_lab_of_four_nodes(policy: PolicyKind, measured: f64) {
    within(0.10, lab(4, 10_000_000, 5, 2 << 20, policy), measured);
}
