//! The columns that the list of NICs can have, and which are wanted.

use crate::monitor::counter::Health;
use crate::monitor::model::view::{NicView, View};

/// A column that can be chosen. Those above [`Drops`](Self::Drops) stand in both directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    /// Share of line rate, or max/mean of a group.
    Percent,
    /// Operations or packets per second, or active NICs of a group.
    Packets,
    /// The kernel's figure beside a counter page's.
    Kernel,
    /// The highest rate since the peaks were forgotten.
    Peak,
    /// Bytes since the counter began.
    Total,
    Drops,
    Retransmits,
    Timeouts,
    Congestion,
    State,
    Numa,
    Gpu,
    Netdev,
    Driver,
    Pci,
}

impl Column {
    /// All, in the order of the picker and of the screen.
    pub(super) const ALL: [Self; 15] = [
        Self::Percent,
        Self::Packets,
        Self::Kernel,
        Self::Peak,
        Self::Total,
        Self::Drops,
        Self::Retransmits,
        Self::Timeouts,
        Self::Congestion,
        Self::State,
        Self::Numa,
        Self::Gpu,
        Self::Netdev,
        Self::Driver,
        Self::Pci,
    ];

    /// How the configuration calls it; never changes.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Percent => "percent",
            Self::Packets => "packets",
            Self::Kernel => "kernel",
            Self::Peak => "peak",
            Self::Total => "total",
            Self::Drops => "drops",
            Self::Retransmits => "retransmits",
            Self::Timeouts => "timeouts",
            Self::Congestion => "congestion",
            Self::State => "state",
            Self::Numa => "numa",
            Self::Gpu => "gpu",
            Self::Netdev => "netdev",
            Self::Driver => "driver",
            Self::Pci => "pci",
        }
    }

    /// What it shows, for the picker.
    pub(super) fn help(self) -> &'static str {
        match self {
            Self::Percent => "share of line rate; of a group: max/mean",
            Self::Packets => "packets or operations a second; of a group: active NICs",
            Self::Kernel => "the kernel's own figure for a counter page's NIC",
            Self::Peak => "highest rate since the peaks were forgotten",
            Self::Total => "bytes since the counter began",
            Self::Drops => "packets dropped a second",
            Self::Retransmits => "packets sent again or out of order a second",
            Self::Timeouts => "peers that did not answer in time, a second",
            Self::Congestion => "congestion notifications and marks a second",
            Self::State => "state of the port",
            Self::Numa => "NUMA node",
            Self::Gpu => "nearest GPU",
            Self::Netdev => "network interface",
            Self::Driver => "kernel driver or libfabric provider",
            Self::Pci => "PCI address",
        }
    }

    /// The health quantity it shows.
    pub(super) fn health(self) -> Option<Health> {
        match self {
            Self::Drops => Some(Health::Drops),
            Self::Retransmits => Some(Health::Retransmits),
            Self::Timeouts => Some(Health::Timeouts),
            Self::Congestion => Some(Health::Congestion),
            _ => None,
        }
    }

    /// Title and width, for a column that stands at the right of both directions.
    pub(super) fn extra(self) -> Option<(&'static str, u16)> {
        match self {
            Self::Drops => Some(("drops", 6)),
            Self::Retransmits => Some(("retran", 7)),
            Self::Timeouts => Some(("tmouts", 7)),
            Self::Congestion => Some(("congst", 7)),
            Self::State => Some(("state", 8)),
            Self::Numa => Some(("NUMA", 5)),
            Self::Gpu => Some(("GPU", 9)),
            Self::Netdev => Some(("netdev", 11)),
            Self::Driver => Some(("driver", 10)),
            Self::Pci => Some(("PCI", 13)),
            _ => None,
        }
    }

    /// Whether it holds numbers, which stand at the right.
    pub(super) fn is_number(self) -> bool {
        self.health().is_some() || self == Self::Numa
    }

    /// Whether any NIC has something to show in it: else it takes no room.
    pub(super) fn has_data(self, view: &View) -> bool {
        let any = |has: fn(&NicView) -> bool| view.groups.iter().flat_map(|group| &group.nics).any(has);
        match self {
            Self::Kernel => any(|nic| nic.kernel.is_some()),
            Self::State => any(|nic| nic.state.is_some()),
            Self::Numa => any(|nic| nic.numa.is_some()),
            Self::Gpu => any(|nic| !nic.gpus.is_empty()),
            Self::Netdev => any(|nic| nic.netdev.is_some()),
            Self::Pci => any(|nic| nic.pci.is_some()),
            Self::Total => any(|nic| nic.tx.bytes.is_some() || nic.rx.bytes.is_some()),
            _ => self.health().is_none_or(|quantity| {
                let nics = || view.groups.iter().flat_map(|group| &group.nics);
                nics().any(|nic| nic.health[quantity].total.is_some())
            }),
        }
    }
}

/// Which columns are wanted, whether or not there is room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chosen([bool; Column::ALL.len()]);

impl Default for Chosen {
    fn default() -> Self {
        let wanted = [
            Column::Percent,
            Column::Packets,
            Column::Kernel,
            Column::Drops,
            Column::Retransmits,
            Column::Timeouts,
            Column::Congestion,
        ];
        Self(Column::ALL.map(|column| wanted.contains(&column)))
    }
}

impl Chosen {
    /// Whether this column is wanted.
    pub(super) fn has(self, column: Column) -> bool {
        self.0[column as usize]
    }

    /// Those with these names and no others.
    pub(super) fn named(names: &[String]) -> Self {
        Self(Column::ALL.map(|column| names.iter().any(|name| name == column.name())))
    }

    /// The names of those that are wanted.
    pub(super) fn names(self) -> Vec<String> {
        Column::ALL.into_iter().filter(|&column| self.has(column)).map(|c| c.name().to_owned()).collect()
    }

    /// Wants it, or does no more.
    pub(super) fn toggle(&mut self, column: Column) {
        self.0[column as usize] = !self.has(column);
    }
}

#[cfg(test)]
mod tests {
    use super::super::preferences::COLUMN_NAMES;
    use super::*;

    #[test]
    fn columns_are_named_once_and_stand_at_their_place() {
        for (i, column) in Column::ALL.into_iter().enumerate() {
            assert_eq!(column as usize, i);
            assert!(Column::ALL[i + 1..].iter().all(|other| other.name() != column.name()));
            let mut chosen = Chosen::default();
            let before = chosen.has(column);
            chosen.toggle(column);
            assert_ne!(chosen.has(column), before);
            assert_eq!(Chosen::named(&chosen.names()), chosen);
        }
        assert_eq!(Column::ALL.map(Column::name), COLUMN_NAMES);
    }
}
