//! Coherent copies of sequence-locked records, out of reads of a file that others write.
//!
//! A `pread` promises no order among the bytes it copies, so a sequence number and the data it
//! guards must come from different calls. Reads follow one another; of three in a row the first
//! gives the number before, the second the data, the third the number after. The next read makes
//! the next such window, so a retry costs one call.

use super::{
    bytes::u64_at,
    layout::{SEQ, Section},
};

/// Copies all records of one section.
#[derive(Debug)]
pub(super) struct Window {
    section: Section,
    /// Offsets within a record that are taken from the last read but one when the record is torn.
    early: Vec<usize>,
    before: Vec<u8>,
    data: Vec<u8>,
    after: Vec<u8>,
    copy: Vec<u8>,
    settled: Vec<bool>,
}

impl Window {
    pub(super) fn new(section: Section, early: Vec<usize>) -> Self {
        let bytes = || vec![0; section.bytes()];
        Self {
            section,
            early,
            before: bytes(),
            data: bytes(),
            after: bytes(),
            copy: bytes(),
            settled: vec![false; section.count],
        }
    }

    /// Which section it copies.
    pub(super) fn section(&self) -> Section {
        self.section
    }

    /// Takes a copy of every record, with `reads` reads at most. `read` fills a buffer with the whole section, and whatever one call of it does comes
    /// before whatever the next one does; within a call the bytes may come in any order.
    pub(super) fn sample<E>(
        &mut self,
        reads: usize,
        mut read: impl FnMut(&mut [u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.settled.fill(false);
        read(&mut self.before)?;
        read(&mut self.data)?;
        for _ in 2..reads {
            read(&mut self.after)?;
            if self.settle() {
                return Ok(());
            }
            std::mem::swap(&mut self.before, &mut self.data);
            std::mem::swap(&mut self.data, &mut self.after);
        }
        self.tear();
        Ok(())
    }

    /// The copies, in order.
    pub(super) fn records(&self) -> impl DoubleEndedIterator<Item = &[u8]> + Clone {
        self.copy.chunks_exact(self.section.stride)
    }

    /// True when record `index` was being written at every attempt: each of its values is right, but
    /// they may belong to different updates.
    pub(super) fn is_torn(&self, index: usize) -> bool {
        !self.settled.get(index).copied().unwrap_or(false)
    }

    /// Takes over the records that were at rest during the window; true when none is left.
    fn settle(&mut self) -> bool {
        let stride = self.section.stride;
        let mut all = true;
        for (i, settled) in self.settled.iter_mut().enumerate() {
            if *settled {
                continue;
            }
            let at = i * stride;
            let seq = u64_at(&self.before, at + SEQ);
            if seq.is_multiple_of(2) && seq == u64_at(&self.after, at + SEQ) {
                self.copy[at..at + stride].copy_from_slice(&self.data[at..at + stride]);
                *settled = true;
            } else {
                all = false;
            }
        }
        all
    }

    /// Hands out what was read last, for the records that never rested. `early` fields come from the
    /// read before: what the writer stores later is read earlier, so done cannot overtake posted.
    fn tear(&mut self) {
        let stride = self.section.stride;
        for (i, _) in self.settled.iter().enumerate().filter(|(_, settled)| !**settled) {
            let at = i * stride;
            self.copy[at..at + stride].copy_from_slice(&self.data[at..at + stride]);
            for offset in &self.early {
                let field = at + offset..at + offset + 8;
                self.copy[field.clone()].copy_from_slice(&self.before[field]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    const SECTION: Section = Section { kind: 0, stride: 32, count: 1, offset: 0 };

    /// A record: sequence number, time, posted, done.
    fn record(words: [u64; 4]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    fn words(window: &Window) -> Vec<u64> {
        let record = window.records().next().unwrap();
        (0..4).map(|word| u64_at(record, word * 8)).collect()
    }

    #[test]
    fn a_window_settles_only_on_one_even_number() {
        for (before, after, settles) in [(2, 2, true), (3, 3, false), (2, 4, false), (2, 3, false)] {
            let mut window = Window::new(SECTION, vec![24]);
            window.before = record([before, 0, 1, 1]);
            window.data = record([9, 0, 2, 2]);
            window.after = record([after, 0, 3, 3]);
            assert_eq!(window.settle(), settles, "{before} {after}");
            assert_eq!(window.is_torn(0), !settles);
        }
    }

    #[test]
    fn of_a_torn_record_done_is_read_before_posted() {
        let mut window = Window::new(SECTION, vec![24]);
        window.before = record([2, 0, 10, 8]);
        // Half of an update by the time of this read: its done is beyond the posted of the other.
        window.data = record([5, 0, 20, 18]);
        window.tear();
        assert_eq!(words(&window), [5, 0, 20, 8]);
    }

    #[test]
    fn a_record_left_odd_is_handed_out_as_torn() {
        let mut window = Window::new(SECTION, vec![24]);
        let sample = |window: &mut Window, words| {
            let Ok(()) = window.sample(8, |buffer| {
                buffer.copy_from_slice(&record(words));
                Ok::<_, Infallible>(())
            });
        };
        sample(&mut window, [7, 1, 2, 1]);
        assert!(window.is_torn(0));
        assert_eq!(words(&window), [7, 1, 2, 1]);
        sample(&mut window, [8, 1, 2, 1]);
        assert!(!window.is_torn(0), "torn is forgotten at the next read");
    }
}
