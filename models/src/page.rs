//! A record of the counter page in memory, and its reader, which in railtop reads a file.

use std::convert::Infallible;

use crate::bytes::u64_at;
use crate::layout::{FIRST_FIELD, Section};
use crate::sequence::publish;
use crate::sync::{AtomicU64, Ordering, fence};
use crate::window::Window;

/// Counters of a record: the two that are stored first, as `tx_posted_*`, and one that must not be beyond them, as `tx_done_*`.
pub const FIELDS: usize = 3;
const WORDS: usize = FIRST_FIELD / 8 + FIELDS;
const SECTION: Section = Section { kind: 0, stride: WORDS * 8, count: 1, offset: 0 };

/// The record.
#[derive(Debug)]
pub struct Page([AtomicU64; WORDS]);

impl Default for Page {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Page {
    /// What the writer does: all counters, and the time.
    pub fn publish(&self, now_ns: u64, counters: [u64; FIELDS]) {
        publish(&self.0, now_ns, &counters);
    }
}

/// The reader of one page.
#[derive(Debug)]
pub struct Reader(Window);

/// What a reader has seen.
#[derive(Debug, Clone, Copy)]
pub struct Copy {
    /// The time of publication.
    pub published_ns: u64,
    /// The counters.
    pub counters: [u64; FIELDS],
    /// The values may be of different updates.
    pub torn: bool,
}

impl Default for Reader {
    fn default() -> Self {
        Self(Window::new(SECTION, vec![SECTION.stride - 8]))
    }
}

impl Reader {
    /// Looks at the page, with so many reads at most.
    pub fn look(&mut self, page: &Page, reads: usize) -> Copy {
        let Ok(()) = self.0.sample(reads, |buffer| {
            // As the kernel copies: whole words, in no order that anyone may rely on.
            for (word, bytes) in page.0.iter().zip(buffer.chunks_exact_mut(8)) {
                bytes.copy_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes());
            }
            fence(Ordering::SeqCst);
            Ok::<_, Infallible>(())
        });
        let record = self.0.records().next().unwrap_or_default();
        Copy {
            published_ns: u64_at(record, 8),
            counters: std::array::from_fn(|field| u64_at(record, FIRST_FIELD + field * 8)),
            torn: self.0.is_torn(0),
        }
    }
}
