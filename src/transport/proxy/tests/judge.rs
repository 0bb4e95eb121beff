//! What must be true at the moment a signal word changes: all bytes it speaks of are in the heap, and it changes once.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::transport::heap::{Heap, RESERVED};

/// What the judge leaves in a word whose signal has come: whatever comes later is one too many.
const TAKEN: u64 = 0xdead_5166_0000_beef;

/// A put's place at the target.
#[derive(Debug, Clone, Copy)]
pub(super) struct Landing {
    pub(super) offset: u64,
    pub(super) len: u64,
}

/// A signal that must come once, in a word of its own that starts at 0.
struct Expected {
    pe: usize,
    word: u64,
    value: u64,
    landing: Landing,
}

/// Knows what every heap must look like in the end, and which signals are still to come.
#[derive(Default)]
pub(super) struct Judge {
    /// Per PE: the bytes from `first` on.
    images: Vec<Vec<u8>>,
    first: usize,
    pending: Vec<Expected>,
    taken: Vec<(usize, u64)>,
}

/// `len` bytes of a heap.
pub(super) fn bytes(heap: &Heap, offset: u64, len: u64) -> Vec<u8> {
    let first = offset / 8 * 8;
    let words = heap.words(first, (offset + len - first).div_ceil(8)).unwrap();
    let all = words.iter().flat_map(|word| word.load(Ordering::Acquire).to_le_bytes());
    let skip = usize::try_from(offset - first).unwrap();
    all.skip(skip).take(usize::try_from(len).unwrap()).collect()
}

impl Judge {
    /// Judges `pes` heaps of which the bytes from `first` on are only written by puts.
    pub(super) fn new(pes: usize, first: u64, end: u64) -> Self {
        assert!(first >= RESERVED);
        let image = vec![0; usize::try_from(end - first).unwrap()];
        Self { images: vec![image; pes], first: usize::try_from(first).unwrap(), ..Self::default() }
    }

    fn image(&mut self, pe: usize, landing: Landing) -> &mut [u8] {
        let start = usize::try_from(landing.offset).unwrap() - self.first;
        &mut self.images[pe][start..start + usize::try_from(landing.len).unwrap()]
    }

    /// A put of these bytes is to come.
    pub(super) fn expect_bytes(&mut self, pe: usize, landing: Landing, content: &[u8]) {
        self.image(pe, landing).copy_from_slice(content);
    }

    /// A signal is to come once `landing` is full.
    pub(super) fn expect_signal(&mut self, pe: usize, word: u64, value: u64, landing: Landing) {
        assert!(value != 0 && value != TAKEN);
        self.pending.push(Expected { pe, word, value, landing });
    }

    /// Looks whether signals have come at `pe`. To be called after everything that can apply one.
    pub(super) fn look(&mut self, pe: usize, heap: &Heap) {
        let mut index = 0;
        while let Some(&Expected { pe: at, word, value, landing }) = self.pending.get(index) {
            let seen = if at == pe { heap.word(word).unwrap().load(Ordering::Acquire) } else { 0 };
            if seen == 0 {
                index += 1;
                continue;
            }
            assert_eq!(seen, value, "the signal word at {word} of PE {pe} has a value nobody sent");
            let arrived = bytes(heap, landing.offset, landing.len);
            assert!(
                arrived == self.image(pe, landing),
                "PE {pe}: the signal at {word} came before the bytes of {landing:?}"
            );
            heap.word(word).unwrap().store(TAKEN, Ordering::Release);
            self.taken.push((pe, word));
            self.pending.swap_remove(index);
        }
    }

    /// At the end: every signal came, none twice, and every heap holds what was put there and nothing else.
    pub(super) fn conclude(&mut self, heaps: &[Arc<Heap>]) {
        assert_eq!(self.pending.len(), 0, "signals that never came");
        for &(pe, word) in &self.taken {
            let value = heaps[pe].word(word).unwrap().load(Ordering::Acquire);
            assert_eq!(value, TAKEN, "the signal at {word} of PE {pe} came twice");
        }
        for (pe, (image, heap)) in self.images.iter().zip(heaps).enumerate() {
            let seen = bytes(heap, self.first as u64, image.len() as u64);
            let wrong = seen.iter().zip(image).position(|(a, b)| a != b);
            assert_eq!(wrong, None, "PE {pe}: a wrong byte after all quiets, counted from {}", self.first);
        }
    }
}
