//! The transport's and the kernel's bytes of one NIC, counted over the same time.
//!
//! Their rates cannot be held against each other: a counter page moves when a whole message completes, the kernel's
//! with every packet, and what is done for the transport may still lie in a socket's buffer. Sums over half a minute can.

use std::collections::HashMap;

use super::view::{Flow, Mark, NicView, Together};

/// Sums begin anew after this, so that an old difference is forgotten: they cover one to two of it.
const SPAN_NS: u64 = 30_000_000_000;

/// Both counters of both directions at one moment: (transport, kernel).
#[derive(Debug, Clone, Copy)]
struct Both {
    at_ns: u64,
    tx: Option<(u64, u64)>,
    rx: Option<(u64, u64)>,
}

/// Where the sums of each NIC begin, by key: the older moment counts, the newer takes its place in time.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    by_key: HashMap<String, (Both, Both)>,
}

impl Pairs {
    /// What both have counted on one NIC since the sums began.
    pub(super) fn update(&mut self, ours: &NicView, kernel: &NicView) -> Together {
        let both = |ours: Flow, theirs: Flow| ours.bytes.zip(theirs.bytes);
        let now = Both { at_ns: ours.mono_ns, tx: both(ours.tx, kernel.tx), rx: both(ours.rx, kernel.rx) };
        let anew = |row: &NicView| row.marks.iter().any(|mark| matches!(mark, Mark::New | Mark::Reset));
        let begin = self.by_key.entry(ours.key.clone()).or_insert((now, now));
        if anew(ours) || anew(kernel) {
            *begin = (now, now);
        }
        if now.at_ns.saturating_sub(begin.1.at_ns) > SPAN_NS {
            *begin = (begin.1, now);
        }
        let since = |now: Option<(u64, u64)>, then: Option<(u64, u64)>| {
            let ((a1, b1), (a0, b0)) = (now?, then?);
            Some((a1.checked_sub(a0)?, b1.checked_sub(b0)?))
        };
        Together { tx: since(now.tx, begin.0.tx), rx: since(now.rx, begin.0.rx) }
    }

    /// Forgets NICs that are not shown any more.
    pub(super) fn keep(&mut self, shown: impl Fn(&str) -> bool) {
        self.by_key.retain(|key, _| shown(key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::model::view::{GroupView, View};
    use crate::monitor::tui::synthetic::{Cluster, Shape};

    /// A NIC's rows with these totals at this second: the page's and the kernel's.
    fn rows(second: u64, ours: u64, theirs: u64, mark: Option<Mark>) -> (NicView, NicView) {
        let View { groups, .. } = Cluster::default().view(Shape::PairSeq, 1);
        let nics = groups.into_iter().next().map(|GroupView { nics, .. }| nics).unwrap();
        let mut row = nics.into_iter().next().unwrap();
        row.mono_ns = second * 1_000_000_000;
        row.marks = mark.into_iter().collect();
        let mut kernel = row.clone();
        (row.tx.bytes, kernel.tx.bytes) = (Some(ours), Some(theirs));
        (row.rx.bytes, kernel.rx.bytes) = (None, Some(theirs));
        (row, kernel)
    }

    #[test]
    fn both_are_counted_from_the_same_moment() {
        let mut pairs = Pairs::default();
        let mut at = |second, ours, theirs, mark| {
            let (row, kernel) = rows(second, ours, theirs, mark);
            pairs.update(&row, &kernel)
        };
        assert_eq!(at(0, 1000, 7000, Some(Mark::New)), Together { tx: Some((0, 0)), rx: None });
        assert_eq!(at(1, 1100, 7105, None).tx, Some((100, 105)));
        assert_eq!(at(2, 0, 7110, Some(Mark::Reset)).tx, Some((0, 0)), "a reset begins anew");
        assert_eq!(at(3, 50, 7162, None).tx, Some((50, 52)));
    }

    #[test]
    fn old_differences_are_forgotten() {
        let mut pairs = Pairs::default();
        let mut last = None;
        for second in 0..200 {
            // The kernel misses a lot in the first second and nothing later.
            let (row, kernel) = rows(second, 1000 * second, 1000 * second.saturating_sub(1), None);
            last = pairs.update(&row, &kernel).tx;
        }
        let (ours, theirs) = last.unwrap();
        assert_eq!(ours, theirs);
        assert!((30_000..=62_000).contains(&ours), "covers one to two spans: {ours}");
    }
}
