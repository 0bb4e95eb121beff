//! Where each driver keeps the counters that every NIC has. Facts: the kernel's drivers/infiniband/hw/*.

/// A directory of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Dir {
    /// `hw_counters`: whatever the driver counts.
    HwCounters,
    /// `counters`: the InfiniBand port counters (PMA); data is counted in 4-byte words.
    Counters,
}

impl Dir {
    /// Both, in the order they are read and sorted. A name in both is the first's; the other's has its directory in it.
    pub(super) const ALL: [Self; 2] = [Self::HwCounters, Self::Counters];

    /// The directory's name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Counters => "counters",
            Self::HwCounters => "hw_counters",
        }
    }
}

/// One file and what one count in it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// The directory.
    pub(super) dir: Dir,
    /// The file.
    pub(super) file: &'static str,
    /// Bytes (or packets) per count.
    pub(super) multiplier: u64,
}

const fn hw(file: &'static str) -> Place {
    Place { dir: Dir::HwCounters, file, multiplier: 1 }
}

const fn words(file: &'static str) -> Place {
    Place { dir: Dir::Counters, file, multiplier: 4 }
}

const fn pma(file: &'static str) -> Place {
    Place { dir: Dir::Counters, file, multiplier: 1 }
}

/// A driver's counters. Of several places the first that exists is used.
#[derive(Debug)]
pub(super) struct DriverTable {
    /// Driver names as in `device/driver`; none for the table of last resort.
    drivers: &'static [&'static str],
    /// Sent bytes.
    pub(super) tx_bytes: &'static [Place],
    /// Received bytes.
    pub(super) rx_bytes: &'static [Place],
    /// Sent packets.
    pub(super) tx_pkts: &'static [Place],
    /// Received packets.
    pub(super) rx_pkts: &'static [Place],
    /// Whether all of the driver's counters are 64 bits wide and only grow.
    pub(super) all_monotonic: bool,
}

/// EFA, RoCE and InfiniBand ConnectX, and a rule for everyone else.
static TABLE: [DriverTable; 3] = [
    DriverTable {
        drivers: &["efa"],
        tx_bytes: &[hw("tx_bytes")],
        rx_bytes: &[hw("rx_bytes")],
        tx_pkts: &[hw("tx_pkts")],
        rx_pkts: &[hw("rx_pkts")],
        all_monotonic: true,
    },
    DriverTable {
        // `mlx5_core` for a PCI function, `mlx5_ib` where the auxiliary device is what sysfs links to.
        drivers: &["mlx5_core", "mlx5_ib"],
        tx_bytes: &[words("port_xmit_data")],
        rx_bytes: &[words("port_rcv_data")],
        tx_pkts: &[pma("port_xmit_packets")],
        rx_pkts: &[pma("port_rcv_packets")],
        // The queue counters in hw_counters are 32 bits wide and wrap.
        all_monotonic: false,
    },
    DriverTable {
        drivers: &[],
        tx_bytes: &[hw("tx_bytes"), words("port_xmit_data")],
        rx_bytes: &[hw("rx_bytes"), words("port_rcv_data")],
        tx_pkts: &[hw("tx_pkts"), hw("tx_packets"), pma("port_xmit_packets")],
        rx_pkts: &[hw("rx_pkts"), hw("rx_packets"), pma("port_rcv_packets")],
        all_monotonic: false,
    },
];

/// The table of `driver`, or the general rule.
pub(super) fn of(driver: Option<&str>) -> &'static DriverTable {
    let [.., general] = &TABLE;
    driver.and_then(|d| TABLE.iter().find(|t| t.drivers.contains(&d))).unwrap_or(general)
}

/// Files in a counter directory that are settings, not counters: `lifespan` is how long the kernel keeps values (ms).
pub(super) fn is_setting(file: &str) -> bool {
    file == "lifespan"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mlx5_data_is_in_words_and_efa_in_bytes() {
        assert_eq!(of(Some("mlx5_core")).tx_bytes, [words("port_xmit_data")]);
        assert_eq!(of(Some("efa")).tx_bytes, [hw("tx_bytes")]);
        assert_eq!(of(Some("ionic")).tx_bytes.len(), 2);
        assert_eq!(of(None).tx_bytes.len(), 2);
    }
}
