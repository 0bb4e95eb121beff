//! The tabs of the screen: what they are called and how their rows can be sorted.

use super::rows::Sort;

/// One page of the screen. Each keeps its own selection and order; filter and time are common to all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Tab {
    /// Bars of every NIC, by group.
    #[default]
    Nics,
    /// How evenly the NICs of each group share the load.
    Groups,
    /// Who holds queue pairs.
    Processes,
    /// What happened.
    Events,
    /// GPUs and their NVLinks.
    Gpus,
}

impl Tab {
    /// All, in the order of the tab bar.
    pub(super) const ALL: [Self; 5] = [Self::Nics, Self::Groups, Self::Processes, Self::Events, Self::Gpus];

    /// The word in the tab bar; the short one for narrow windows.
    pub(super) fn word(self, short: bool) -> &'static str {
        match self {
            Self::Nics => "NICs",
            Self::Groups => "Groups",
            Self::Processes if short => "Procs",
            Self::Processes => "Processes",
            Self::Events => "Events",
            Self::Gpus => "GPUs",
        }
    }

    /// The tab `by` places to the right, round and round.
    pub(super) fn next(self, by: usize) -> Self {
        Self::ALL[(self as usize + by) % Self::ALL.len()]
    }

    /// The orders of its rows; the first is what it begins with.
    pub(super) fn sorts(self) -> &'static [Sort] {
        match self {
            Self::Nics | Self::Groups => &[Sort::Natural, Sort::Tx, Sort::Rx, Sort::Imbalance],
            Self::Processes => &[Sort::QueuePairs, Sort::Tx, Sort::Rx, Sort::Memory, Sort::Pid],
            Self::Events => &[Sort::NewestLast, Sort::NewestFirst, Sort::Severity],
            Self::Gpus => &[Sort::Index, Sort::Busy, Sort::Memory, Sort::Tx, Sort::Rx],
        }
    }

    /// The order after `sort`.
    pub(super) fn next_sort(self, sort: Sort) -> Sort {
        let sorts = self.sorts();
        let at = sorts.iter().position(|&s| s == sort).map_or(0, |at| at + 1);
        sorts[at % sorts.len()]
    }
}

/// One value per tab.
#[derive(Debug, Clone, Default)]
pub(super) struct PerTab<T>([T; Tab::ALL.len()]);

impl<T> PerTab<T> {
    /// Values made from each tab.
    pub(super) fn from(make: impl Fn(Tab) -> T) -> Self {
        Self(Tab::ALL.map(make))
    }
}

impl<T> std::ops::Index<Tab> for PerTab<T> {
    type Output = T;

    fn index(&self, tab: Tab) -> &T {
        &self.0[tab as usize]
    }
}

impl<T> std::ops::IndexMut<Tab> for PerTab<T> {
    fn index_mut(&mut self, tab: Tab) -> &mut T {
        &mut self.0[tab as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tab_and_every_order_comes_round() {
        for tab in Tab::ALL {
            assert_eq!(tab.next(1).next(Tab::ALL.len() - 1), tab);
            let first = tab.sorts()[0];
            let last = tab.sorts().iter().fold(first, |sort, _| tab.next_sort(sort));
            assert_eq!(last, first);
        }
    }
}
