//! Sums that must agree within a driver's own counters, as a check of what the counters mean on this very device.
//!
//! They are exact only while nothing moves: a refresh of EFA's counters is several commands one after the other.

use crate::monitor::sample::Reading;

/// What a total is the sum of: parts that every driver version has, and parts that came later.
struct Identity {
    total: &'static str,
    parts: &'static [&'static str],
    later_parts: &'static [&'static str],
}

/// On samples of p4d that AWS published, these held without rest for messages and reads.
const EFA: [Identity; 2] = [
    Identity {
        total: "tx_bytes",
        parts: &["send_bytes", "rdma_read_resp_bytes"],
        later_parts: &["rdma_write_bytes"],
    },
    Identity {
        total: "rx_bytes",
        parts: &["recv_bytes", "rdma_read_bytes"],
        later_parts: &["rdma_write_recv_bytes"],
    },
];

/// Whether a device's totals are the sums of their parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SelfCheck {
    /// They are.
    Ok,
    /// They are not: total less parts, sent and received, in bytes.
    Off {
        /// Of sent bytes.
        tx: i128,
        /// Of received bytes.
        rx: i128,
    },
}

impl std::fmt::Display for SelfCheck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ok => write!(f, "ok"),
            Self::Off { tx, rx: 0 } => write!(f, "off by {tx} B tx"),
            Self::Off { tx: 0, rx } => write!(f, "off by {rx} B rx"),
            Self::Off { tx, rx } => write!(f, "off by {tx} B tx, {rx} B rx"),
        }
    }
}

/// Holds two reads in a row against the driver's identities. `None` when the driver has none, a counter is missing, or
/// something moved between the two.
#[must_use]
pub fn self_check(driver: Option<&str>, before: &Reading, after: &Reading) -> Option<SelfCheck> {
    (driver == Some("efa")).then_some(())?;
    let rest = |identity: &Identity| -> Option<i128> {
        let idle = |name: &str| -> Option<i128> {
            let now = value(after, name)?;
            (value(before, name)? == now).then(|| i128::from(now))
        };
        let mut rest = idle(identity.total)?;
        for part in identity.parts {
            rest -= idle(part)?;
        }
        for part in identity.later_parts.iter().filter(|part| value(after, part).is_some()) {
            rest -= idle(part)?;
        }
        Some(rest)
    };
    let [tx, rx] = &EFA;
    let (tx, rx) = (rest(tx)?, rest(rx)?);
    Some(if tx == 0 && rx == 0 { SelfCheck::Ok } else { SelfCheck::Off { tx, rx } })
}

fn value(reading: &Reading, name: &str) -> Option<u64> {
    reading.counters.iter().find(|c| c.name() == name).map(|c| c.value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::sample::RawCounter;

    /// Sent and received bytes of all sorts, and totals that are this much more.
    fn reading(moved: u64, more: u64, writes: bool) -> Reading {
        let mut values = vec![
            ("send_bytes", moved),
            ("rdma_read_resp_bytes", 20),
            ("recv_bytes", 5),
            ("rdma_read_bytes", 6),
            ("tx_bytes", moved + 20 + more + if writes { 100 } else { 0 }),
            ("rx_bytes", 11 + if writes { 200 } else { 0 }),
        ];
        if writes {
            values.extend([("rdma_write_bytes", 100), ("rdma_write_recv_bytes", 200)]);
        }
        let counters = values.into_iter().map(|(name, value)| RawCounter::unknown(name, value)).collect();
        Reading { counters, ..Reading::default() }
    }

    #[test]
    fn totals_are_held_against_their_parts() {
        let check = |r: &Reading| self_check(Some("efa"), r, r);
        assert_eq!(check(&reading(7, 0, true)), Some(SelfCheck::Ok));
        assert_eq!(check(&reading(7, 0, false)), Some(SelfCheck::Ok), "a driver without RDMA writes");
        let off = check(&reading(7, 3, true)).unwrap();
        assert_eq!((off, off.to_string().as_str()), (SelfCheck::Off { tx: 3, rx: 0 }, "off by 3 B tx"));
    }

    #[test]
    fn nothing_is_said_while_something_moves_or_is_missing() {
        assert_eq!(self_check(Some("efa"), &reading(7, 0, true), &reading(8, 0, true)), None);
        assert_eq!(self_check(Some("mlx5_core"), &reading(7, 0, true), &reading(7, 0, true)), None);
        assert_eq!(self_check(Some("efa"), &Reading::default(), &Reading::default()), None);
    }
}
