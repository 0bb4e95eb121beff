//! Who sends what to whom, in which order: a stream of puts for each PE, made while it is gone through, so that tens of millions
//! need no memory.

mod all_to_all;
mod combine;
mod moe;
mod put;

pub use all_to_all::AllToAll;
pub use combine::Combine;
pub use moe::{MOST_TOPK, Moe, Shape};
pub use put::PutTest;

use super::scene::Scene;

/// One put over NICs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Put {
    /// The PE that it is for.
    pub dst: u32,
    /// Bytes, at least 1.
    pub len: u64,
}

/// A pattern.
pub trait Traffic {
    /// A PE's puts of one round.
    type Stream: Iterator<Item = Put>;

    /// What `pe` sends in round `round`, in the order in which it posts.
    fn stream(&self, pe: u32, round: u32) -> Self::Stream;

    /// Puts that a PE posts in a round, at most.
    fn each(&self) -> u64;

    /// Bytes of the largest put.
    fn largest(&self) -> u64;

    /// About how many puts all PEs post in a round, for the progress that is shown.
    fn about(&self) -> u64;

    /// Bytes that every PE gets over NICs in a round, where each begins the next one by itself when it has them; `None`: all wait for
    /// all.
    fn due(&self) -> Option<u64> {
        None
    }

    /// Bytes that a PE copies within its node in a round.
    fn copied(&self) -> u64 {
        0
    }
}

/// The first PE of `pe`'s node and the first one behind it.
fn node(scene: &Scene, pe: u32) -> (u32, u32) {
    let first = pe - pe % scene.pes_per_node.max(1);
    (first, first + scene.pes_per_node)
}
