//! What signal words have counted to: they only ever grow, over all rounds, so nothing has to be put back to 0.

use super::layout::Words;

/// How far the words that are added to have come.
#[derive(Debug, Clone)]
pub struct Sums {
    arrived: Vec<u64>,
    followed: Vec<u64>,
    returned: Vec<u64>,
}

impl Sums {
    /// All at 0.
    #[must_use]
    pub fn new(words: &Words) -> Self {
        let (experts, pes) = (words.experts as usize, words.pes as usize);
        Self { arrived: vec![0; experts], followed: vec![0; pes], returned: vec![0; pes] }
    }

    /// Where the word of rows that arrive one by one will be after `rows` more; `index` is [`Words::by_expert`].
    pub fn arrived(&mut self, index: u64, rows: u64) -> u64 {
        add(&mut self.arrived, usize::try_from(index).unwrap_or(usize::MAX), rows)
    }

    /// The same of rows that follow the first part of a batch of `src`.
    pub fn followed(&mut self, src: u32, rows: u64) -> u64 {
        add(&mut self.followed, src as usize, rows)
    }

    /// The same of answers that come back from `pe`.
    pub fn returned(&mut self, pe: u32, rows: u64) -> u64 {
        add(&mut self.returned, pe as usize, rows)
    }
}

fn add(sums: &mut [u64], index: usize, rows: u64) -> u64 {
    let Some(sum) = sums.get_mut(index) else { return rows };
    *sum += rows;
    *sum
}
