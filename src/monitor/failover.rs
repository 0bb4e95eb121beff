//! NICs of a PE that have failed, as the counter page tells of them.
//!
//! The transport goes on without such a NIC and tries it from time to time; until it works again it moves nothing. A page
//! of version 1.0 does not say whether its NICs work, which is not the same as that they do.

use super::model::view::{NicView, SourceKind};
use super::sample::{PageNic, PageState, RawCounter};

/// The page's gauge: above 0 while the NIC is not used because it has failed.
pub(super) const DOWN: &str = "down";

/// The page's counter of how often the NIC has failed.
pub(super) const FAILURES: &str = "failures";

impl PageNic {
    /// Whether the PE does without the NIC because it has failed; `None` where the page does not say.
    #[must_use]
    pub fn is_down(&self) -> Option<bool> {
        self.value(DOWN).map(|value| value > 0)
    }

    /// How often the NIC has failed.
    pub(super) fn failures(&self) -> Option<u64> {
        self.value(FAILURES)
    }

    fn value(&self, name: &str) -> Option<u64> {
        self.reading
            .counters
            .iter()
            .find(|counter| counter.name() == name)
            .map(|counter: &RawCounter| counter.value)
    }
}

impl NicView {
    /// Whether its PE does without the NIC because it has failed; `None` where that is not known. A port that the kernel
    /// says is down is another matter: see [`not_active`](Self::not_active).
    #[must_use]
    pub fn is_down(&self) -> Option<bool> {
        let down = self.counters.iter().find(|counter| counter.name() == DOWN);
        down.filter(|_| self.source == SourceKind::Page).map(|counter| counter.value > 0)
    }
}

/// Whether the page's words about its NICs still mean anything: a PE that is dead uses none.
pub(super) fn tells(state: PageState) -> bool {
    state != PageState::Dead
}

/// What becomes of the work of a NIC that is down, of a PE of which so many NICs work.
#[must_use]
pub fn consequence(working: usize) -> &'static str {
    if working == 0 { "no other of its PE works" } else { "its work goes over the others" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_work_goes_over_others_only_where_there_are_some() {
        assert_eq!(consequence(3), "its work goes over the others");
        assert_eq!(consequence(0), "no other of its PE works");
    }
}
