//! Bytes of every NIC over short windows: totals can hide that all senders meet on one NIC at a time.

use super::nic::Moved;
use crate::balance::Direction;

/// Windows that are kept; when a run is longer, two become one. So a window is a 64th to a 128th of the time.
const KEPT: u32 = 128;

/// Bytes that the windows of a NIC take.
pub(super) const BYTES: u64 = 2 * KEPT as u64 * 8;

/// A row of windows for each NIC and direction.
#[derive(Debug)]
pub(super) struct Windows {
    /// A window is 2^this picoseconds.
    shift: u32,
    tx: Vec<u64>,
    rx: Vec<u64>,
}

impl Windows {
    /// For a run that takes at least `least_ps`.
    pub(super) fn new(nics: usize, least_ps: u64) -> Self {
        let shift = (least_ps / u64::from(KEPT)).max(1).ilog2();
        let row = || vec![0; nics * KEPT as usize];
        Self { shift, tx: row(), rx: row() }
    }

    /// Length of a window.
    pub(super) fn window_ps(&self) -> u64 {
        1 << self.shift
    }

    /// Whether a moment lies beyond the last window: then [`Self::merge`] makes room.
    pub(super) fn is_beyond(&self, at: u64) -> bool {
        at >> self.shift >= u64::from(KEPT)
    }

    /// Makes two windows one.
    pub(super) fn merge(&mut self) {
        self.shift += 1;
        for row in self.tx.chunks_mut(KEPT as usize).chain(self.rx.chunks_mut(KEPT as usize)) {
            let mut sums = [0; KEPT as usize / 2];
            for (sum, pair) in sums.iter_mut().zip(row.chunks(2)) {
                *sum = pair.iter().sum();
            }
            row.fill(0);
            for (window, sum) in row.iter_mut().zip(sums) {
                *window = sum;
            }
        }
    }

    /// Counts `bytes` that moved from one moment to another, evenly; each direction of a NIC in the order of time.
    #[inline]
    pub(super) fn add(
        &mut self,
        way: Direction,
        nic: usize,
        moved: &mut Moved,
        from: u64,
        to: u64,
        bytes: u64,
    ) {
        let (first, last) = (from >> self.shift, to >> self.shift);
        if first == last && last == u64::from(moved.window) {
            moved.in_window += bytes;
            return;
        }
        let mut left = bytes;
        for window in first..=last {
            let end = ((window + 1) << self.shift).min(to);
            let begin = (window << self.shift).max(from);
            // The last one has what is left, so that no byte is lost to rounding.
            let share = u128::from(bytes) * u128::from(end - begin) / u128::from((to - from).max(1));
            let share = if window == last { left } else { u64::try_from(share).unwrap_or(left).min(left) };
            left -= share;
            if window != u64::from(moved.window) {
                self.settle(way, nic, moved);
                moved.window = u32::try_from(window).unwrap_or(KEPT - 1);
            }
            moved.in_window += share;
        }
    }

    /// Writes down what has been counted of the current window.
    pub(super) fn settle(&mut self, way: Direction, nic: usize, moved: &mut Moved) {
        let rows = if way == Direction::Tx { &mut self.tx } else { &mut self.rx };
        if let Some(window) = rows.get_mut(nic * KEPT as usize + moved.window.min(KEPT - 1) as usize) {
            *window += std::mem::take(&mut moved.in_window);
        }
    }

    /// The windows of a NIC.
    pub(super) fn row(&self, way: Direction, nic: usize) -> &[u64] {
        let rows = if way == Direction::Tx { &self.tx } else { &self.rx };
        rows.get(nic * KEPT as usize..(nic + 1) * KEPT as usize).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_spread_over_their_time_and_none_is_lost() {
        let mut windows = Windows::new(2, 1280);
        assert_eq!(windows.window_ps(), 8);
        let mut moved = Moved::default();
        windows.add(Direction::Rx, 1, &mut moved, 4, 20, 160);
        windows.add(Direction::Rx, 1, &mut moved, 20, 24, 7);
        windows.settle(Direction::Rx, 1, &mut moved);
        assert_eq!(windows.row(Direction::Rx, 1)[..4], [40, 80, 47, 0]);
        assert!(windows.row(Direction::Tx, 1).iter().all(|&bytes| bytes == 0));
        assert!(!windows.is_beyond(1023) && windows.is_beyond(1024));
        windows.merge();
        assert_eq!(windows.row(Direction::Rx, 1)[..3], [120, 47, 0]);
        assert!(!windows.is_beyond(2047));
    }
}
