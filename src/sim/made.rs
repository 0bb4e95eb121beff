//! Scenes for tests.

use super::costs::{Costs, Preset};
use super::scene::Scene;

/// Of 8 PEs a node with 4 NICs of 100 Gb/s each.
pub(super) fn scene(preset: Preset, nodes: u32) -> Scene {
    Scene {
        nodes,
        pes_per_node: 8,
        nics_per_pe: 4,
        nic_bits_per_s: 100_000_000_000,
        iters: 1,
        seed: 1,
        slow: None,
        jitter_ppm: 0,
        costs: Costs::of(preset),
    }
}
