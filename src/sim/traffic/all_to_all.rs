//! All-to-all: NVSHMEM's `alltoall_latency`.

use super::{Put, Traffic, node};
use crate::chance::Numbers;
use crate::sim::scene::{MOST_BYTES, PPM, Scene, SceneError};
use crate::workload::plan::block_bytes;

/// Every PE writes a block to every other one, in ring order from its own number on; those of its node are copied.
#[derive(Debug, Clone)]
pub struct AllToAll {
    scene: Scene,
    block: u64,
}

impl AllToAll {
    /// With `size` bytes from each PE, its own block included.
    ///
    /// # Errors
    /// When a block is too large.
    pub fn new(scene: &Scene, size: u64) -> Result<Self, SceneError> {
        match block_bytes(size, scene.pes().into()) {
            block if block > MOST_BYTES => Err(SceneError::TooManyBytes(block)),
            block => Ok(Self { scene: scene.clone(), block }),
        }
    }

    /// Bytes that a PE sends in all, its own block included.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.block * u64::from(self.scene.pes())
    }
}

impl Traffic for AllToAll {
    type Stream = Ring;

    fn stream(&self, pe: u32, round: u32) -> Ring {
        let (first, after) = node(&self.scene, pe);
        let costs = &self.scene.costs;
        let order = costs.warp.map_or(Order::InTurn, |threads| {
            let numbers = Numbers::of(&[self.scene.seed, pe.into(), round.into()]);
            Order::Warps(Warps::new(threads.max(1), costs.turn_ppm, numbers))
        });
        Ring { me: pe, world: self.scene.pes(), first, after, at: 0, len: self.block, order }
    }

    fn each(&self) -> u64 {
        u64::from(self.scene.pes() - self.scene.pes_per_node)
    }

    fn largest(&self) -> u64 {
        self.block
    }

    fn about(&self) -> u64 {
        u64::from(self.scene.pes()) * self.each()
    }

    fn due(&self) -> Option<u64> {
        Some(self.block * self.each())
    }

    fn copied(&self) -> u64 {
        self.block * u64::from(self.scene.pes_per_node)
    }
}

/// Groups of threads in a block of NVSHMEM's kernel: 256 threads.
const WARPS: usize = 8;

/// In which order a PE posts.
#[derive(Debug, Clone)]
enum Order {
    /// `me + 1`, `me + 2`, …
    InTurn,
    /// As a block of threads does; see [`Warps`].
    Warps(Warps),
}

/// Thread i of a block of [`WARPS`] warps posts to `me + i`, then to `me + i + 256`, …: the threads of a warp in turn, and after
/// each put there is a chance that another warp goes on.
#[derive(Debug, Clone)]
struct Warps {
    threads: u32,
    turn_ppm: u64,
    /// The first of the peers that the block is at.
    base: u32,
    /// Threads of each warp that have posted.
    done: [u32; WARPS],
    /// Whose turn it is.
    warp: usize,
    numbers: Numbers,
}

impl Warps {
    fn new(threads: u32, turn_ppm: u64, numbers: Numbers) -> Self {
        Self { threads, turn_ppm, base: 0, done: [0; WARPS], warp: 0, numbers }
    }

    /// The next thread's peer, as a distance.
    fn step(&mut self, world: u32) -> Option<u32> {
        if self.base >= world {
            return None;
        }
        let threads = self.threads;
        let busy = ((world - self.base).div_ceil(threads) as usize).min(WARPS);
        let done = self.done.get_mut(self.warp)?;
        #[expect(clippy::cast_possible_truncation, reason = "at most 8")]
        let step = self.base + self.warp as u32 * threads + *done;
        *done += 1;
        let is_over = *done == threads;
        if is_over || (busy > 1 && self.numbers.below(PPM) < self.turn_ppm) {
            self.turn(busy, is_over, world);
        }
        Some(step)
    }

    /// Another warp's turn: the next one where this one is over, else any that is not.
    fn turn(&mut self, busy: usize, is_over: bool, world: u32) {
        let skip =
            if is_over { 1 } else { 1 + usize::try_from(self.numbers.below(busy as u64 - 1)).unwrap_or(0) };
        let mut all = (0..busy).map(|next| (self.warp + skip + next) % busy);
        let left = all.find(|&warp| self.done.get(warp).is_some_and(|&done| done < self.threads));
        if let Some(warp) = left {
            self.warp = warp;
        } else {
            #[expect(clippy::cast_possible_truncation, reason = "8")]
            let block = WARPS as u32 * self.threads;
            (self.base, self.done, self.warp) = (self.base.saturating_add(block).min(world), [0; WARPS], 0);
        }
    }
}

/// A PE's puts of a round.
#[derive(Debug, Clone)]
pub struct Ring {
    me: u32,
    world: u32,
    /// The PEs of its node: from the first to the one after the last.
    first: u32,
    after: u32,
    at: u32,
    len: u64,
    order: Order,
}

impl Ring {
    /// How far from itself the next peer is; beyond the ring where a warp has threads left over.
    fn step(&mut self) -> Option<u32> {
        match &mut self.order {
            Order::InTurn => {
                let at = self.at;
                self.at += 1;
                (at < self.world).then_some(at)
            }
            Order::Warps(warps) => warps.step(self.world),
        }
    }
}

impl Iterator for Ring {
    type Item = Put;

    #[inline]
    fn next(&mut self) -> Option<Put> {
        loop {
            let step = self.step()?;
            if step >= self.world {
                continue;
            }
            let far = self.me + step;
            let dst = if far >= self.world { far - self.world } else { far };
            if dst < self.first || dst >= self.after {
                return Some(Put { dst, len: self.len });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::costs::Preset;
    use crate::sim::made::scene;

    fn dsts(preset: Preset, nodes: u32, pe: u32) -> Vec<u32> {
        let of = AllToAll::new(&scene(preset, nodes), 1 << 20).unwrap();
        of.stream(pe, 0).map(|put| put.dst).collect()
    }

    #[test]
    fn a_ring_begins_behind_itself_and_leaves_its_node_out() {
        assert_eq!(dsts(Preset::Lab, 2, 9), [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(dsts(Preset::Lab, 3, 9)[..9], [16, 17, 18, 19, 20, 21, 22, 23, 0]);
    }

    #[test]
    fn warps_have_every_peer_once_and_their_own_in_turn() {
        for nodes in [2, 4, 8, 40] {
            for pe in [0, 5, nodes * 8 - 1] {
                let (warps, mut ring) = (dsts(Preset::EfaP5, nodes, pe), dsts(Preset::Lab, nodes, pe));
                assert!(warps == ring || nodes > 4, "32 peers are one warp");
                assert!(warps != ring || nodes < 40, "ten are many");
                let mut sorted = warps;
                sorted.sort_unstable();
                ring.sort_unstable();
                assert_eq!(sorted, ring);
            }
        }
    }
}
