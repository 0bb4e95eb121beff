//! What must be true at the moment a signal word changes: all bytes it speaks of are in the heap, and it changes once.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use super::fetched::{Fetched, locked, value};
use crate::transport::atomic::Width;
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
    word: u64,
    value: u64,
    /// What must be there by then.
    before: Vec<(Landing, Vec<u8>)>,
}

/// Knows what every heap must look like in the end, and which signals are still to come.
#[derive(Default)]
pub(super) struct Judge {
    /// Per PE: the bytes from `first` on, as far as any are expected.
    images: Vec<Vec<u8>>,
    first: usize,
    /// Per PE.
    pending: Vec<Vec<Expected>>,
    taken: Vec<(usize, u64)>,
    /// What heaps begin with: PE, offset and bytes.
    given: Vec<(usize, u64, Vec<u8>)>,
    /// What words must come to.
    words: Vec<(usize, u64, Width, u64)>,
    fetched: Arc<Mutex<Fetched>>,
}

/// `len` bytes of a heap.
pub(super) fn bytes(heap: &Heap, offset: u64, len: u64) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(len).unwrap()];
    heap.read(offset, &mut bytes).unwrap();
    bytes
}

impl Judge {
    /// Judges `pes` heaps of which the bytes from `first` on are only written by puts and gets.
    pub(super) fn new(pes: usize, first: u64, end: u64) -> Self {
        assert!(first >= RESERVED);
        let image = vec![0; usize::try_from(end - first).unwrap()];
        Self {
            images: vec![image; pes],
            first: usize::try_from(first).unwrap(),
            pending: (0..pes).map(|_| Vec::new()).collect(),
            ..Self::default()
        }
    }

    /// Where fetches are noted.
    pub(super) fn fetched(&self) -> Arc<Mutex<Fetched>> {
        Arc::clone(&self.fetched)
    }

    fn image(&mut self, pe: usize, landing: Landing) -> &mut [u8] {
        let start = usize::try_from(landing.offset).unwrap() - self.first;
        let end = start + usize::try_from(landing.len).unwrap();
        let image = &mut self.images[pe];
        image.resize(image.len().max(end), 0);
        &mut image[start..end]
    }

    /// A heap begins with these bytes; see [`Self::prepare`].
    pub(super) fn give(&mut self, pe: usize, offset: u64, content: &[u8]) {
        if offset >= self.first as u64 {
            self.expect_bytes(pe, Landing { offset, len: content.len() as u64 }, content);
        }
        self.given.push((pe, offset, content.to_vec()));
    }

    /// Writes what heaps begin with.
    pub(super) fn prepare(&mut self, heaps: &[Arc<Heap>]) {
        for (pe, offset, content) in self.given.drain(..) {
            heaps[pe].write(offset, &content).unwrap();
        }
    }

    /// A put of these bytes is to come, or a get.
    pub(super) fn expect_bytes(&mut self, pe: usize, landing: Landing, content: &[u8]) {
        self.image(pe, landing).copy_from_slice(content);
    }

    /// A signal is to come, and not before all of this has.
    pub(super) fn expect_signal(
        &mut self,
        pe: usize,
        word: u64,
        value: u64,
        before: Vec<(Landing, Vec<u8>)>,
    ) {
        assert!(value != 0 && value != TAKEN);
        self.pending[pe].push(Expected { word, value, before });
    }

    /// A word must come to this, in whatever order it is changed.
    pub(super) fn expect_word(&mut self, pe: usize, offset: u64, width: Width, value: u64) {
        self.words.push((pe, offset, width, value));
    }

    /// Looks whether signals have come at `pe`. To be called after everything that can apply one.
    pub(super) fn look(&mut self, pe: usize, heap: &Heap) {
        let Some(pending) = self.pending.get_mut(pe) else { return };
        let mut index = 0;
        while let Some(Expected { word, value, before }) = pending.get(index) {
            let (cell, word) = (heap.word(*word).unwrap(), *word);
            let seen = cell.load(Ordering::Acquire);
            if seen == 0 {
                index += 1;
                continue;
            }
            assert_eq!(seen, *value, "the signal word at {word} of PE {pe} has a value nobody sent");
            for (landing, content) in before {
                assert!(
                    bytes(heap, landing.offset, landing.len) == *content,
                    "PE {pe}: the signal at {word} came before the bytes of {landing:?}"
                );
            }
            cell.store(TAKEN, Ordering::Release);
            self.taken.push((pe, word));
            pending.swap_remove(index);
        }
    }

    /// At the end: every signal came, none twice, every heap holds what was put there and nothing else, and every word is
    /// what all changes together make of it.
    pub(super) fn conclude(&mut self, heaps: &[Arc<Heap>]) {
        assert!(self.pending.iter().all(Vec::is_empty), "signals that never came");
        for &(pe, word) in &self.taken {
            let value = heaps[pe].word(word).unwrap().load(Ordering::Acquire);
            assert_eq!(value, TAKEN, "the signal at {word} of PE {pe} came twice");
        }
        for (pe, (image, heap)) in self.images.iter().zip(heaps).enumerate() {
            let seen = bytes(heap, self.first as u64, image.len() as u64);
            if seen != *image {
                let wrong = seen.iter().zip(image).position(|(a, b)| a != b);
                panic!("PE {pe}: a wrong byte after all quiets: {wrong:?}, counted from {}", self.first);
            }
        }
        for &(pe, offset, width, expected) in &self.words {
            let there = value(&heaps[pe], offset, width);
            assert_eq!(there, expected, "what changes have made of the word at {offset} of PE {pe}");
        }
        locked(&self.fetched).conclude(heaps);
    }
}
