//! Telling a NIC that cannot receive any more from one whose peers' connections break.

use super::open::RECEIVES;

/// Receives that fail in a row, with nothing received between, before a NIC counts as broken. A connection that breaks ends one at
/// most, which is posted again. A queue pair in its error state gives back all that are posted, however often that is done.
pub(super) const MOST_IN_A_ROW: usize = 4 * RECEIVES;

/// Counts receives that fail in a row.
#[derive(Debug, Default)]
pub(super) struct Failing {
    in_a_row: usize,
}

impl Failing {
    /// Something has been received.
    #[inline]
    pub(super) fn received(&mut self) {
        self.in_a_row = 0;
    }

    /// A posted receive has failed; whether that is one too many.
    #[must_use]
    pub(super) fn failed(&mut self) -> bool {
        self.in_a_row += 1;
        self.in_a_row >= MOST_IN_A_ROW
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nic_that_never_receives_again_is_broken_and_one_that_does_is_not() {
        let mut failing = Failing::default();
        assert!((1..MOST_IN_A_ROW).all(|_| !failing.failed()));
        failing.received();
        assert!((1..MOST_IN_A_ROW).all(|_| !failing.failed()), "it begins anew");
        assert!(failing.failed());
    }
}
