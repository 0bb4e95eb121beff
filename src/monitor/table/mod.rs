//! The counter table: per driver, which counters make the canonical quantities, and what every counter means.
//!
//! Pure: it reads nothing. Sources (sysfs, netlink, recordings) ask it with names and values. A file per driver.
//! Facts come from the kernel's drivers/infiniband, from AWS's amzn-drivers (EFA) and Alibaba's driver (erdma); each
//! file says which.

mod bnxt_re;
mod cxgb4;
mod efa;
mod erdma;
mod general;
mod guess;
mod hns_roce;
mod identity;
mod ionic;
mod irdma;
mod link_rate;
mod mana;
mod mlx4;
mod mlx5;
pub mod netdev;
mod pma;
mod quantity;
mod row;
mod software;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

pub use guess::guess;
pub use identity::{SelfCheck, self_check};
pub use link_rate::known_link_rate;
pub use quantity::{Found, Quantity, Sum, Term, Why};
pub use row::Row;

use super::counter::{Desc, Kind};

/// A directory of counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dir {
    /// `ports/N/hw_counters`: whatever the driver counts per port. RDMA netlink has the same.
    HwCounters,
    /// `ports/N/counters`: the InfiniBand port counters (PMA); data is counted in 4-byte words.
    Counters,
    /// `hw_counters` of the device itself.
    Device,
}

impl Dir {
    /// All, in the order they are read and sorted. A name in several is the first's; the others' have the place in it.
    pub const ALL: [Self; 3] = [Self::HwCounters, Self::Counters, Self::Device];

    /// The directory's name, as logs show it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Counters => "counters",
            Self::HwCounters => "hw_counters",
            Self::Device => "device_hw_counters",
        }
    }
}

/// A driver's counters.
#[derive(Debug)]
pub struct Driver {
    /// Its names as in `device/driver`, the one to show first; none for the table of last resort.
    pub names: &'static [&'static str],
    /// Bytes sent.
    pub tx_bytes: Quantity,
    /// Bytes received.
    pub rx_bytes: Quantity,
    /// Packets sent.
    pub tx_pkts: Quantity,
    /// Packets received.
    pub rx_pkts: Quantity,
    /// The counters of [`Dir::HwCounters`] and [`Dir::Device`].
    rows: &'static [Row],
    /// How a counter that is not in `rows` behaves.
    unknown: Kind,
    /// Software RDMA: its traffic passes its network interface, whose statistics stand in for missing bytes.
    pub software: bool,
    /// Whether the device's own directory has counters worth reading.
    pub device: DeviceDir,
    /// The driver always says `ACTIVE`, whatever the link does.
    pub constant_state: bool,
}

/// What a driver keeps in the device's own `hw_counters`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceDir {
    /// Nothing of interest: never opened.
    Ignored,
    /// More detail. Opened only where the port's own `hw_counters` exist.
    Detail,
    /// Counters that the list shows too. Opened as for `Detail`.
    Shown,
    /// The driver's only counters; a port has none of its own.
    Only,
}

/// In front of mlx5's counters in switchdev mode, where a port has these in place of the plain ones
/// (`hw/mlx5/counters.c`, `INIT_VPORT_Q_COUNTER`).
const VPORT: &str = "vport_";

/// All drivers that have a table of their own.
static DRIVERS: [&Driver; 15] = [
    &efa::TABLE,
    &mlx5::TABLE,
    &mlx4::TABLE,
    &bnxt_re::TABLE,
    &irdma::TABLE,
    &erdma::TABLE,
    &mana::TABLE,
    &ionic::TABLE,
    &hns_roce::TABLE,
    &cxgb4::TABLE,
    &software::RXE,
    &software::SIW,
    &general::QEDR,
    &general::PMA_ONLY,
    &general::HFI1,
];

/// The table of a driver, by its name in `device/driver` (`mlx5_core`, `efa`); that of last resort for others.
#[must_use]
pub fn of(driver: Option<&str>) -> &'static Driver {
    let known = driver.and_then(|d| DRIVERS.into_iter().find(|t| t.names.contains(&d)));
    known.unwrap_or(&general::OTHERS)
}

/// By driver (its first name), directory and counter.
type Known = HashMap<(&'static str, Dir, &'static str), Arc<Desc>>;

/// Descriptions of all counters in the table, made once.
static KNOWN: LazyLock<Known> = LazyLock::new(|| {
    let mut all = HashMap::new();
    for driver in DRIVERS.into_iter().chain([&general::OTHERS]) {
        for row in driver.rows {
            for dir in [Dir::HwCounters, Dir::Device] {
                all.insert((driver.id(), dir, row.name), Arc::new(row.desc(row.name.into())));
            }
        }
        for row in pma::ROWS {
            all.insert((driver.id(), Dir::Counters, row.name), Arc::new(row.desc(row.name.into())));
        }
    }
    all
});

impl Driver {
    /// Its name to show; empty for the table of last resort.
    fn id(&self) -> &'static str {
        self.names.first().copied().unwrap_or("")
    }

    /// What the counter `name` in `dir` is. Known ones are shared; for others one is made, which the caller keeps.
    #[must_use]
    pub fn desc(&self, dir: Dir, name: &str) -> Arc<Desc> {
        if let Some(desc) = KNOWN.get(&(self.id(), dir, name)) {
            return Arc::clone(desc);
        }
        let rows = if dir == Dir::Counters { pma::ROWS } else { self.rows };
        let name_of_its_own = || name.to_owned().into();
        let plain = name.strip_prefix(VPORT).unwrap_or(name);
        if let Some(row) = rows.iter().find(|row| row.covers(name) || row.covers(plain)) {
            return Arc::new(row.desc(name_of_its_own()));
        }
        let kind = match (dir, name) {
            (_, "lifespan") => Kind::Setting,
            (Dir::Counters, _) => Kind::Monotonic64,
            _ => self.unknown,
        };
        Arc::new(Desc { kind, ..Desc::unknown(name.to_owned()) })
    }

    /// Whether it counts packets at most, so that nobody can say what its NICs carry. Software has its interface.
    #[must_use]
    pub fn counts_no_bytes(&self) -> bool {
        !self.software && [&self.tx_bytes, &self.rx_bytes].iter().all(|bytes| bytes.terms().next().is_none())
    }

    /// The four canonical quantities in the order of [`crate::monitor::sample::Traffic`]'s fields, with their names.
    #[must_use]
    pub fn traffic(&self) -> [(&'static str, &Quantity); 4] {
        [
            ("tx_bytes", &self.tx_bytes),
            ("rx_bytes", &self.rx_bytes),
            ("tx_pkts", &self.tx_pkts),
            ("rx_pkts", &self.rx_pkts),
        ]
    }
}

#[cfg(test)]
mod tests;
