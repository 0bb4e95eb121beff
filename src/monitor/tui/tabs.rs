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
    /// Every node's groups, where nodes are watched from afar.
    Fleet,
}

impl Tab {
    /// All there are.
    const ALL: [Self; 6] = [Self::Nics, Self::Groups, Self::Processes, Self::Events, Self::Gpus, Self::Fleet];

    /// Those of a screen, in the order of the tab bar: of a fleet's, or of its own machine's.
    pub(super) fn all(fleet: bool) -> &'static [Self] {
        if fleet {
            // Exporters tell neither of processes nor of GPUs.
            &[Self::Fleet, Self::Nics, Self::Groups, Self::Events]
        } else {
            &[Self::Nics, Self::Groups, Self::Processes, Self::Events, Self::Gpus]
        }
    }

    /// The word in the tab bar; the short one for narrow windows.
    pub(super) fn word(self, short: bool) -> &'static str {
        match self {
            Self::Nics => "NICs",
            Self::Groups => "Groups",
            Self::Processes if short => "Procs",
            Self::Processes => "Processes",
            Self::Events => "Events",
            Self::Gpus => "GPUs",
            Self::Fleet => "Fleet",
        }
    }

    /// The tab `by` places to the right, or to the left if that is negative, round and round.
    pub(super) fn next(self, by: isize, fleet: bool) -> Self {
        let all = Self::all(fleet);
        let at = all.iter().position(|&tab| tab == self).unwrap_or(0);
        let count = isize::try_from(all.len()).unwrap_or(1);
        let next = isize::try_from(at).unwrap_or(0).saturating_add(by).rem_euclid(count);
        usize::try_from(next).ok().and_then(|next| all.get(next)).copied().unwrap_or(self)
    }

    /// The orders of its rows; the first is what it begins with.
    pub(super) fn sorts(self) -> &'static [Sort] {
        match self {
            Self::Nics | Self::Groups => &[Sort::Natural, Sort::Tx, Sort::Rx, Sort::Imbalance],
            Self::Fleet => &[Sort::Worst, Sort::Natural, Sort::Tx, Sort::Rx, Sort::Imbalance],
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
            let first = tab.sorts()[0];
            let last = tab.sorts().iter().fold(first, |sort, _| tab.next_sort(sort));
            assert_eq!(last, first);
        }
        for fleet in [false, true] {
            let all = Tab::all(fleet);
            let count = isize::try_from(all.len()).unwrap();
            for &tab in all {
                assert_eq!((tab.next(1, fleet).next(-1, fleet), tab.next(count, fleet)), (tab, tab));
            }
        }
    }
}
