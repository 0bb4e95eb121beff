//! A port's answer over netlink as a sample, by the table of its driver. Pure.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::monitor::counter::Desc;
use crate::monitor::model::view::SourceKind;
use crate::monitor::sample::{Missing, PortFacts, PortSample, RawCounter, Reading, Traffic};
use crate::monitor::source::netlink::{PortAnswer, PortStatus};
use crate::monitor::table::{self, DeviceDir, Dir, Driver, Found, Why};

/// Most descriptions that are kept.
const MAX_DESCS: usize = 4096;

/// Descriptions of counters by driver and name, made once.
#[derive(Debug, Default)]
pub(super) struct Descs(HashMap<(&'static str, Arc<str>), Arc<Desc>>);

impl Descs {
    fn of(&mut self, driver: &'static Driver, name: &Arc<str>) -> Arc<Desc> {
        if self.0.len() >= MAX_DESCS {
            self.0.clear();
        }
        let key = (driver.names.first().copied().unwrap_or(""), Arc::clone(name));
        Arc::clone(self.0.entry(key).or_insert_with(|| driver.desc(Dir::HwCounters, name)))
    }
}

/// Whether netlink has all that is shown of a driver's ports: the quantities, and with `all` every counter.
pub(super) fn carries(driver: &Driver, all: bool) -> bool {
    let ports_own = |(_, quantity): (_, &table::Quantity)| {
        let mut terms = quantity.terms().peekable();
        terms.peek().is_some() && terms.all(|term| term.dir == Dir::HwCounters)
    };
    !driver.software
        && driver.traffic().into_iter().all(ports_own)
        && driver.device != DeviceDir::Shown
        && !(all && driver.device != DeviceDir::Ignored)
}

/// The sample. What netlink does not know about the port is taken from `facts`.
pub(super) fn sample(answer: &PortAnswer, facts: &Arc<PortFacts>, descs: &mut Descs) -> PortSample {
    let has = |name: &str| answer.counters.as_ref().is_ok_and(|all| all.iter().any(|(n, _)| **n == *name));
    let guessed = || table::guess(|dir, name| dir == Dir::HwCounters && has(name));
    let driver = table::of(facts.driver.as_deref().or_else(guessed));
    let reading = match &answer.counters {
        Ok(counters) => Ok(reading(answer, counters, driver, descs)),
        Err(e) => Err(e.to_string()),
    };
    PortSample { facts: with_status(facts, &answer.status), source: SourceKind::Netlink, reading }
}

fn reading(
    answer: &PortAnswer,
    counters: &[(Arc<str>, u64)],
    driver: &'static Driver,
    descs: &mut Descs,
) -> Reading {
    let value = |term: &table::Term| {
        let own = counters.iter().find(|(name, _)| term.dir == Dir::HwCounters && **name == *term.name);
        own.map_or(Found::Absent, |(_, value)| Found::Value(*value))
    };
    let mut missing = Vec::new();
    // Another device, or another sum, is no continuation.
    let mut incarnation = u64::from(answer.index);
    let mut values = [None; 4];
    for (slot, (name, quantity)) in values.iter_mut().zip(driver.traffic()) {
        match quantity.sum(value) {
            Ok(sum) => {
                *slot = Some(sum.value);
                incarnation = incarnation.rotate_left(16) ^ u64::from(sum.made_of);
            }
            Err(why) => missing.push(why_missing(name, why)),
        }
    }
    let [tx_bytes, rx_bytes, tx_ops, rx_ops] = values;
    Reading {
        mono_ns: answer.mono_ns,
        span_ns: answer.span_ns,
        incarnation,
        traffic: Traffic { tx_bytes, rx_bytes, tx_ops, rx_ops },
        counters: counters
            .iter()
            .map(|(name, value)| RawCounter { desc: descs.of(driver, name), value: *value })
            .collect(),
        missing,
        ..Reading::default()
    }
}

fn why_missing(quantity: &str, why: Why) -> Missing {
    let (place, reason) = match why {
        Why::NotCounted => (None, "the driver counts no such thing".to_owned()),
        Why::Absent(term) if term.dir != Dir::HwCounters => (
            Some(term),
            "RDMA netlink does not have it, only sysfs (in a container mount the host's /sys and name it with \
             --sysfs-root)"
                .to_owned(),
        ),
        Why::Absent(term) => (Some(term), "the driver does not tell it over RDMA netlink".to_owned()),
        Why::Unreadable(term, reason) => (Some(term), reason),
    };
    let place = place.map(|term| format!("{}/{}", term.dir.name(), term.name));
    Missing { counter: quantity.to_owned(), place, reason }
}

/// The facts with the port's state of now; the same ones where nothing changed.
fn with_status(facts: &Arc<PortFacts>, status: &PortStatus) -> Arc<PortFacts> {
    let now = |before: &Option<String>, now: Option<&str>| {
        now.map_or_else(|| before.clone(), |n| Some(n.to_owned()))
    };
    let netdev = facts.netdev.as_deref().or(status.netdev.as_deref());
    let (state, phys_state, netdev) = (
        now(&facts.state, status.state),
        now(&facts.phys_state, status.phys_state),
        netdev.map(str::to_owned),
    );
    if (&state, &phys_state, &netdev) == (&facts.state, &facts.phys_state, &facts.netdev) {
        return Arc::clone(facts);
    }
    Arc::new(PortFacts { netdev, state, phys_state, ..facts.as_ref().clone() })
}

/// That there is no answer yet.
pub(super) fn late(open_for: Option<Duration>) -> String {
    format!(
        "RDMA netlink has not answered for {:.1} s (a driver holds it: `--source sysfs` reads each device by itself)",
        open_for.unwrap_or_default().as_secs_f64()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(counters: &[(&str, u64)]) -> PortAnswer {
        PortAnswer {
            device: "d".to_owned(),
            index: 3,
            port: 1,
            status: PortStatus { state: Some("DOWN"), ..PortStatus::default() },
            mono_ns: 5,
            span_ns: 2,
            counters: Ok(counters.iter().map(|&(name, value)| (name.into(), value)).collect()),
        }
    }

    fn facts(driver: &str) -> Arc<PortFacts> {
        let state = Some("ACTIVE".to_owned());
        Arc::new(PortFacts { driver: Some(driver.to_owned()), state, ..PortFacts::default() })
    }

    #[test]
    fn efa_is_all_there() {
        let answer =
            answer(&[("tx_bytes", 7), ("rx_bytes", 8), ("tx_pkts", 1), ("rx_pkts", 2), ("rx_drops", 4)]);
        let sample = sample(&answer, &facts("efa"), &mut Descs::default());
        assert_eq!(sample.facts.state.as_deref(), Some("DOWN"), "the state is netlink's, not an old one");
        let reading = sample.reading.unwrap();
        assert_eq!((reading.traffic.tx_bytes, reading.traffic.rx_ops), (Some(7), Some(2)));
        assert_eq!((reading.counters.len(), reading.missing.len()), (5, 0));
        assert!(
            reading.counters[4].desc.feeds.is_some(),
            "what a counter means comes from the driver's table"
        );
    }

    #[test]
    fn mlx5_bytes_are_missing_with_their_reason_and_never_zero() {
        let sample = sample(&answer(&[("out_of_buffer", 7)]), &facts("mlx5_core"), &mut Descs::default());
        let reading = sample.reading.unwrap();
        assert_eq!(reading.traffic, Traffic::default());
        assert_eq!(reading.missing[0].place.as_deref(), Some("counters/port_xmit_data"));
        assert!(reading.missing[0].reason.contains("only sysfs"), "{:?}", reading.missing);
    }

    #[test]
    fn netlink_suits_drivers_that_keep_everything_in_port_counters() {
        let suits = |driver, all| carries(table::of(Some(driver)), all);
        assert!(suits("efa", false) && suits("irdma", false));
        assert!(!suits("efa", true), "its device counters are in sysfs alone");
        assert!(!suits("mana", false), "so are those, and they are part of its congestion");
        assert!(!suits("mlx5_core", false) && !suits("rxe", false) && !suits("nobody", false));
    }
}
