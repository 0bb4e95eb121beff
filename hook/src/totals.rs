//! From what the threads have counted to what the page says. Pure.
//!
//! A completion does not say how long the operation was. So what is done, in bytes, is what was posted, less an estimate for
//! the operations that are under way: their number times the length of the operations posted last. When nothing is under way it is exact.
//! Whatever is published only grows, and done is never beyond posted.

use counters::NicCounts;

use crate::count::{Counts, Word};
use crate::publisher::BUSY;

/// Without a change for so long, every thread has counted what it has done: turns themselves may be microseconds apart.
const SETTLED_NS: u64 = 2 * BUSY as u64 * 1_000_000;

/// The sum over all threads, of one NIC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    tx: Way,
    read: Way,
    rx_ops: u64,
    rx_bytes: u64,
    tx_errors: u64,
    tx_again: u64,
    rx_errors: u64,
    polls: u64,
    empty_polls: u64,
    atomic_ops: u64,
}

/// Operations of one direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Way {
    awaited_ops: u64,
    awaited_bytes: u64,
    over_ops: u64,
    over_bytes: u64,
    completions: u64,
}

impl Sums {
    /// Adds what one thread has counted as done. To be called for all threads before [`Self::add_posted`].
    pub(crate) fn add_done(&mut self, counts: &Counts) {
        let of = |word| counts.get(word);
        self.tx.completions = self.tx.completions.wrapping_add(of(Word::TxCompletions));
        self.read.completions = self.read.completions.wrapping_add(of(Word::ReadCompletions));
    }

    /// Whether anything but polling has happened since.
    pub(crate) fn has_moved(&self, since: &Self) -> bool {
        Self { polls: 0, empty_polls: 0, ..*self } != Self { polls: 0, empty_polls: 0, ..*since }
    }

    /// Adds the rest.
    pub(crate) fn add_posted(&mut self, counts: &Counts) {
        for (sum, word) in [
            (&mut self.tx.awaited_ops, Word::TxAwaitedOps),
            (&mut self.tx.awaited_bytes, Word::TxAwaitedBytes),
            (&mut self.tx.over_ops, Word::TxOverOps),
            (&mut self.tx.over_bytes, Word::TxOverBytes),
            (&mut self.read.awaited_ops, Word::ReadAwaitedOps),
            (&mut self.read.awaited_bytes, Word::ReadAwaitedBytes),
            (&mut self.read.over_ops, Word::ReadOverOps),
            (&mut self.read.over_bytes, Word::ReadOverBytes),
            (&mut self.rx_ops, Word::RxOps),
            (&mut self.rx_bytes, Word::RxBytes),
            (&mut self.tx_errors, Word::TxErrors),
            (&mut self.tx_again, Word::TxAgain),
            (&mut self.rx_errors, Word::RxErrors),
            (&mut self.polls, Word::Polls),
            (&mut self.empty_polls, Word::EmptyPolls),
            (&mut self.atomic_ops, Word::AtomicOps),
        ] {
            *sum = sum.wrapping_add(counts.get(word));
        }
    }
}

/// What has been published of one direction, and how long its operations are.
#[derive(Debug, Clone, Copy, Default)]
struct Course {
    awaited_ops: u64,
    awaited_bytes: u64,
    completions: u64,
    mean: u64,
    posted_ops: u64,
    posted_bytes: u64,
    done_ops: u64,
    done_bytes: u64,
    /// Operations whose completions nobody will read.
    given_up: u64,
    /// The last turn that found something new.
    changed_ns: u64,
}

impl Course {
    /// `all_closed`: there is no endpoint any more on which something could be under way.
    fn turn(&mut self, now_ns: u64, now: &Way, all_closed: bool) {
        let ops = now.awaited_ops.saturating_sub(self.awaited_ops);
        let bytes = now.awaited_bytes.saturating_sub(self.awaited_bytes);
        if let Some(mean) = bytes.checked_div(ops) {
            self.mean = mean;
        }
        if ops > 0 || now.completions != self.completions {
            self.changed_ns = now_ns;
        }
        (self.awaited_ops, self.awaited_bytes) = (now.awaited_ops, now.awaited_bytes);
        self.completions = now.completions;
        let left = now.awaited_ops.saturating_sub(now.completions);
        if all_closed {
            self.given_up = left;
        } else if now_ns.saturating_sub(self.changed_ns) >= SETTLED_NS {
            // Fewer are left than were given up: the others were read after all. While threads count, one may have its operation still to add.
            self.given_up = self.given_up.min(left);
        }
        // A completion may have been seen before its operation was counted as posted: by another thread.
        let completed = now.completions.saturating_add(self.given_up).min(now.awaited_ops);
        let under_way = now.awaited_ops.saturating_sub(completed);
        let left = under_way.saturating_mul(self.mean).min(now.awaited_bytes);
        self.posted_ops = self.posted_ops.max(now.awaited_ops.saturating_add(now.over_ops));
        self.posted_bytes = self.posted_bytes.max(now.awaited_bytes.saturating_add(now.over_bytes));
        self.done_ops = self.done_ops.max(completed.saturating_add(now.over_ops)).min(self.posted_ops);
        let done_bytes = now.awaited_bytes.saturating_sub(left).saturating_add(now.over_bytes);
        self.done_bytes = self.done_bytes.max(done_bytes).min(self.posted_bytes);
    }
}

/// What has been published of a NIC.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Published {
    tx: Course,
    read: Course,
    most_under_way: u64,
}

impl Published {
    /// What to publish now. `all_closed`: the NIC has no endpoints any more.
    pub(crate) fn turn(&mut self, now_ns: u64, now: &Sums, all_closed: bool) -> NicCounts {
        self.tx.turn(now_ns, &now.tx, all_closed);
        self.read.turn(now_ns, &now.read, all_closed);
        let under_way = self.tx.posted_ops.saturating_sub(self.tx.done_ops);
        self.most_under_way = self.most_under_way.max(under_way);
        let rx_bytes = now.rx_bytes.saturating_add(self.read.done_bytes);
        NicCounts {
            tx_posted_ops: self.tx.posted_ops,
            tx_posted_bytes: self.tx.posted_bytes,
            tx_done_ops: self.tx.done_ops,
            tx_done_bytes: self.tx.done_bytes,
            tx_errors: now.tx_errors,
            tx_eagain: now.tx_again,
            rx_ops: now.rx_ops,
            rx_bytes,
            rx_errors: now.rx_errors,
            cq_polls: now.polls,
            cq_empty: now.empty_polls,
            max_in_flight_ops: self.most_under_way,
            read_posted_ops: self.read.posted_ops,
            read_done_ops: self.read.done_ops,
            read_done_bytes: self.read.done_bytes,
            atomic_ops: now.atomic_ops,
            seen_rx_bytes: rx_bytes,
            ..NicCounts::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::COUNTED;

    fn sums(awaited: (u64, u64), over: (u64, u64), completions: u64) -> Sums {
        let tx = Way {
            awaited_ops: awaited.0,
            awaited_bytes: awaited.1,
            over_ops: over.0,
            over_bytes: over.1,
            completions,
        };
        Sums { tx, ..Sums::default() }
    }

    #[test]
    fn pages_say_of_each_counter_whether_it_is_counted() {
        let way = Way { awaited_ops: 9, awaited_bytes: 90, over_ops: 1, over_bytes: 1, completions: 5 };
        let sums = Sums {
            tx: way,
            read: way,
            rx_ops: 1,
            rx_bytes: 1,
            tx_errors: 1,
            tx_again: 1,
            rx_errors: 1,
            polls: 1,
            empty_polls: 1,
            atomic_ops: 1,
        };
        let now = Published::default().turn(0, &sums, false);
        let counted = NicCounts::FIELDS.iter().zip(now.to_array()).filter(|(_, value)| *value > 0);
        let (mut counted, mut told): (Vec<_>, Vec<_>) =
            (counted.map(|(field, _)| field.name).collect(), COUNTED.into());
        counted.sort_unstable();
        told.sort_unstable();
        assert_eq!(counted, told);
    }

    #[test]
    fn done_is_exact_when_nothing_is_under_way() {
        let mut published = Published::default();
        let now = published.turn(0, &sums((3, 1000), (2, 16), 3), false);
        assert_eq!((now.tx_posted_ops, now.tx_done_ops), (5, 5));
        assert_eq!((now.tx_posted_bytes, now.tx_done_bytes), (1016, 1016));
        assert_eq!(now.max_in_flight_ops, 0);
    }

    #[test]
    fn what_is_under_way_is_estimated_by_what_was_posted_last() {
        let mut published = Published::default();
        published.turn(0, &sums((10, 80), (0, 0), 10), false);
        // Four more of 1000 bytes, two of them done.
        let now = published.turn(0, &sums((14, 4080), (0, 0), 12), false);
        assert_eq!(now.in_flight_ops(), 2);
        assert_eq!(now.in_flight_bytes(), 2000);
        let now = published.turn(0, &sums((14, 4080), (0, 0), 14), false);
        assert_eq!(now.tx_done_bytes, 4080);
        assert_eq!(now.max_in_flight_ops, 2);
    }

    #[test]
    fn what_nobody_will_read_is_over_with_the_last_endpoint() {
        let mut published = Published::default();
        assert_eq!(published.turn(0, &sums((10, 80), (0, 0), 7), false).in_flight_ops(), 3);
        let now = published.turn(0, &sums((10, 80), (0, 0), 7), true);
        assert_eq!((now.in_flight_ops(), now.in_flight_bytes(), now.tx_done_ops), (0, 0, 10));
        // One of them is read after all, from a queue that is open still: it is not counted twice.
        published.turn(0, &sums((10, 80), (0, 0), 8), true);
        let now = published.turn(0, &sums((15, 120), (0, 0), 9), false);
        assert_eq!((now.in_flight_ops(), now.in_flight_bytes()), (4, 32));
        assert_eq!(published.turn(0, &sums((15, 120), (0, 0), 13), false).in_flight_bytes(), 0);
    }

    #[test]
    fn what_was_given_up_and_is_read_after_all_is_found_out_when_nothing_moves() {
        let mut published = Published::default();
        assert_eq!(published.turn(0, &sums((10, 80), (0, 0), 7), true).in_flight_ops(), 0);
        // Reopened, and then those three are read, before the first turn that sees it; five more are posted.
        let mut published_at = |now_ns, posted, completions| {
            let now = published.turn(now_ns, &sums(posted, (0, 0), completions), false);
            ((now.in_flight_ops(), now.in_flight_bytes()), published)
        };
        let ((ops, _), _) = published_at(1, (15, 120), 10);
        assert_eq!(ops, 2, "of what is read now nothing tells whose it is");
        assert_eq!(published_at(2, (15, 120), 15).0, (0, 0));
        // Right after that another turn tells nothing: a thread may have its operation still to add.
        let (now, mut at_once) = published_at(3, (15, 120), 15);
        assert_eq!(now, (0, 0));
        assert_eq!(at_once.turn(4, &sums((19, 152), (0, 0), 15), false).in_flight_ops(), 1);
        assert_eq!(published_at(2 + SETTLED_NS, (15, 120), 15).0, (0, 0));
        assert_eq!(published_at(3 + SETTLED_NS, (19, 152), 15).0, (4, 32));
    }

    #[test]
    fn nothing_goes_back_and_done_is_never_beyond_posted() {
        let mut published = Published::default();
        let mut last = NicCounts::default();
        // A completion that was counted before its operation; then large operations behind small ones.
        for (awaited, completions) in
            [((1, 8), 2), ((2, 16), 2), ((3, 1_000_016), 2), ((9, 1_000_064), 2), ((9, 1_000_064), 9)]
        {
            let now = published.turn(0, &sums(awaited, (0, 0), completions), false);
            assert!(now.tx_done_ops <= now.tx_posted_ops && now.tx_done_bytes <= now.tx_posted_bytes);
            assert!(now.tx_done_ops >= last.tx_done_ops && now.tx_done_bytes >= last.tx_done_bytes);
            last = now;
        }
        assert_eq!((last.tx_done_ops, last.tx_done_bytes), (9, 1_000_064));
    }
}
