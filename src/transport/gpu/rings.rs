//! All rings of a PE's GPU, in one piece of memory, and their end at the proxy.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::descriptor::{Descriptor, WORDS};
use super::ring::{Memory, Taker, words_for};
use crate::transport::heap::{Heap, HeapError, HeapWords};
use crate::transport::ring::Command;

/// Rings that a kernel can wait for at once (`RT_RINGS`).
pub const MOST_RINGS: u32 = 16;

/// Rings of a PE that has no reason for another number: with several, blocks get in each other's way less.
pub const RINGS: u32 = 4;

/// Bytes that the word which stops kernels has for itself, and the one by which they say that they get on.
const LINE: u64 = 128;

/// The memory of rings: the host's, zeroed, page-aligned, so that a GPU's driver can pin it.
#[derive(Debug, Clone)]
pub struct RingMemory {
    memory: Arc<Heap>,
    /// The words of each.
    rings: Vec<HeapWords>,
    depth: u32,
}

impl RingMemory {
    /// For `count` rings (1 to [`MOST_RINGS`]) of `depth` descriptors (2 to 2^20, rounded up to a power of two).
    ///
    /// # Errors
    /// When the system has not that much memory to map.
    pub fn create(count: u32, depth: u32) -> Result<Self, HeapError> {
        let (count, depth) =
            (u64::from(count.clamp(1, MOST_RINGS)), depth.clamp(2, 1 << 20).next_power_of_two());
        let words = words_for(depth as usize, WORDS) as u64;
        let memory = Arc::new(Heap::create(8 * words * count + 2 * LINE)?);
        let rings = (0..count).map(|ring| HeapWords::of(Arc::clone(&memory), 8 * words * ring, words));
        Ok(Self { rings: rings.collect::<Result<_, _>>()?, memory, depth })
    }

    /// How many rings there are.
    #[must_use]
    pub fn count(&self) -> u32 {
        u32::try_from(self.rings.len()).unwrap_or(MOST_RINGS)
    }

    /// Descriptors that each holds.
    #[must_use]
    pub fn depth(&self) -> u32 {
        self.depth
    }

    /// The mapping: for the GPU's driver.
    #[must_use]
    pub fn mapping(&self) -> &Arc<Heap> {
        &self.memory
    }

    /// Tells kernels that nobody answers any more: those that wait end.
    pub fn stop(&self) {
        if let Ok(word) = self.memory.word(self.stop_offset()) {
            word.store(1, Ordering::Release);
        }
    }

    /// Where kernels look for that, from the start of the memory.
    #[must_use]
    pub fn stop_offset(&self) -> u64 {
        self.stride() * u64::from(self.count())
    }

    /// Where long kernels say that they get on.
    #[must_use]
    pub fn beat_offset(&self) -> u64 {
        self.stop_offset() + LINE
    }

    /// What a long kernel has said last; changes while it gets on.
    #[must_use]
    pub fn beat(&self) -> u64 {
        self.memory.word(self.beat_offset()).map_or(0, |word| word.load(Ordering::Relaxed))
    }

    /// Bytes from one ring to the next.
    #[must_use]
    pub fn stride(&self) -> u64 {
        8 * words_for(self.depth as usize, WORDS) as u64
    }
}

impl Memory for HeapWords {
    #[inline]
    fn words(&self) -> &[AtomicU64] {
        self.as_slice()
    }
}

/// How the rings of a GPU do, all together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RingFigures {
    /// Descriptors taken since the rings were made.
    pub posts: u64,
    /// Times that a thread of the GPU found its ring full.
    pub stalls: u64,
    /// Descriptors that wait.
    pub used: u64,
    /// Descriptors that there is room for.
    pub size: u64,
}

/// The proxy's end of all rings.
#[derive(Debug, Default)]
pub struct Rings {
    takers: Vec<Taker<HeapWords, WORDS>>,
    /// By PE: the heaps that this process reaches by itself.
    locals: Vec<Option<Arc<Heap>>>,
    /// The ring whose turn it is.
    next: usize,
}

impl Rings {
    /// The end at the proxy; there must be no other. `locals`: by PE, the heaps that this process reaches by itself.
    #[must_use]
    pub fn new(memory: &RingMemory, locals: Vec<Option<Arc<Heap>>>) -> Self {
        let depth = memory.depth as usize;
        let takers = memory.rings.iter().map(|words| Taker::new(words.clone(), depth)).collect();
        Self { takers, locals, next: 0 }
    }

    /// The next command, the rings one after another.
    ///
    /// # Errors
    /// When a kernel has written what is no descriptor.
    pub fn pop(&mut self) -> Result<Option<Command>, String> {
        for _ in 0..self.takers.len() {
            let ring = self.next;
            self.next = if ring + 1 == self.takers.len() { 0 } else { ring + 1 };
            let Some(taker) = self.takers.get_mut(ring) else { continue };
            let Some(payload) = taker.pop() else { continue };
            let descriptor = Descriptor::decode(payload)
                .map_err(|error| format!("a kernel posted {error} (ring {ring})"))?;
            return Ok(Some(match descriptor {
                Descriptor::Put(put) => Command::Put(put),
                Descriptor::Signal { dst, signal } => Command::Signal { dst, signal },
                Descriptor::Quiet => {
                    let ring = u32::try_from(ring).unwrap_or(u32::MAX);
                    Command::RingQuiet { ring, posted: taker.taken() }
                }
            }));
        }
        Ok(None)
    }

    /// The heap of a PE, if this process reaches it by itself.
    #[must_use]
    pub fn local(&self, pe: u32) -> Option<&Arc<Heap>> {
        self.locals.get(pe as usize)?.as_ref()
    }

    /// Whether nothing waits in any ring.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.takers.iter().all(Taker::is_empty)
    }

    /// How they do.
    #[must_use]
    pub fn figures(&self) -> RingFigures {
        let sum = |of: fn(&Taker<HeapWords, WORDS>) -> u64| self.takers.iter().map(of).sum();
        RingFigures {
            posts: sum(Taker::taken),
            stalls: sum(Taker::stalls),
            used: sum(Taker::waiting),
            size: sum(Taker::depth),
        }
    }

    /// Tells a ring that what it had posted up to its `posted`th descriptor has landed.
    pub fn quiet_done(&self, ring: u32, posted: u64) {
        if let Some(taker) = self.takers.get(ring as usize) {
            taker.quiet_done(posted);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::gpu::mark::{mark_of, marked};
    use crate::transport::gpu::ring::stalls_at;

    #[test]
    fn what_waits_is_counted_in_every_lap() {
        let memory = RingMemory::create(2, 8).unwrap();
        let mut rings = Rings::new(&memory, Vec::new());
        let words = |ring: usize| memory.rings[ring].as_slice();
        let mut posted = 0_u64;
        for burst in [1, 8, 3, 5, 0, 7, 8, 2] {
            for index in posted..posted + burst {
                let slot = usize::try_from(index % 8).unwrap() * WORDS;
                for (word, payload) in words(1)[slot..slot + WORDS].iter().zip(Descriptor::Quiet.encode()) {
                    word.store(marked(payload, mark_of(index / 8)), Ordering::Relaxed);
                }
            }
            posted += burst;
            let before = rings.figures();
            assert_eq!((before.used, before.posts, before.size), (burst, posted - burst, 16));
            while rings.pop().unwrap().is_some() {}
            assert_eq!((rings.figures().used, rings.figures().posts), (0, posted));
        }
        words(0)[stalls_at(8, WORDS)].store(2, Ordering::Relaxed);
        words(1)[stalls_at(8, WORDS)].store(3, Ordering::Relaxed);
        assert_eq!(rings.figures().stalls, 5);
    }
}
