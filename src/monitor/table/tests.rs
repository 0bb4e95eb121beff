use super::*;
use crate::monitor::counter::{Class, Health, Unit};
use proptest::prelude::*;
use test_case::test_case;

/// A value for each of these counters of `hw_counters`.
fn values(all: &'static [(&'static str, u64)]) -> impl Fn(&Term) -> Found {
    |term| all.iter().find(|(n, _)| *n == term.name).map_or(Found::Absent, |&(_, v)| Found::Value(v))
}

#[test]
fn mlx5_data_is_in_words_and_efa_in_bytes() {
    let mlx5 = of(Some("mlx5_core"));
    assert_eq!(mlx5.tx_bytes.sum(values(&[("port_xmit_data", 10)])).unwrap().value, 40);
    assert_eq!(mlx5.desc(Dir::Counters, "port_xmit_data").unit, Unit::Words);
    assert_eq!(of(Some("efa")).tx_bytes.sum(values(&[("tx_bytes", 10)])).unwrap().value, 10);
    assert_eq!(of(Some("nobody_knows")).tx_bytes.sum(values(&[("port_xmit_data", 3)])).unwrap().value, 12);
}

#[test]
fn where_one_of_two_terms_is_missing_the_other_counts_and_is_no_continuation_of_both() {
    let out = of(Some("irdma")).tx_bytes;
    let both = out.sum(values(&[("ip4OutOctets", 5), ("ip6OutOctets", 7)])).unwrap();
    let one = out.sum(values(&[("ip6OutOctets", 7)])).unwrap();
    assert_eq!((both.value, one.value), (12, 7));
    assert_ne!(both.made_of, one.made_of);
    assert!(matches!(out.sum(|_| Found::Absent), Err(Why::Absent(t)) if t.name == "ip4OutOctets"));
    let broken = out.sum(|_| Found::Unreadable("EINVAL".to_owned()));
    assert!(matches!(broken, Err(Why::Unreadable(t, why)) if t.name == "ip4OutOctets" && why == "EINVAL"));
    let half = out.sum(|term| match term.name {
        "ip4OutOctets" => Found::Unreadable("EIO".to_owned()),
        _ => Found::Value(7),
    });
    assert!(matches!(half, Err(Why::Unreadable(t, _)) if t.name == "ip4OutOctets"), "7 would be wrong");
    assert_eq!(of(Some("siw")).tx_bytes.sum(|_| Found::Value(1)), Err(Why::NotCounted));
}

#[test]
fn what_does_not_fit_into_64_bits_is_no_number() {
    let words = of(Some("mlx5_ib")).rx_bytes;
    assert!(
        matches!(words.sum(|_| Found::Value(u64::MAX)), Err(Why::Unreadable(_, why)) if why.contains("64 bits"))
    );
    let sum = of(Some("irdma")).rx_bytes.sum(|_| Found::Value(u64::MAX));
    assert!(matches!(sum, Err(Why::Unreadable(..))));
}

#[test]
fn known_counters_are_described_once() {
    let efa = of(Some("efa"));
    assert!(Arc::ptr_eq(&efa.desc(Dir::HwCounters, "tx_bytes"), &efa.desc(Dir::HwCounters, "tx_bytes")));
    let one = efa.desc(Dir::HwCounters, "brand_new");
    assert_eq!((one.kind, one.class, &*one.help), (Kind::Monotonic64, Class::Neutral, ""));
}

#[test_case("efa", Dir::HwCounters, "rx_drops", Kind::Monotonic64, Class::Loss, Some(Health::Drops))]
#[test_case("efa", Dir::HwCounters, "rdma_read_wr_err", Kind::Monotonic64, Class::Error, None)]
#[test_case("efa", Dir::HwCounters, "lifespan", Kind::Setting, Class::Neutral, None)]
#[test_case(
    "mlx5_ib",
    Dir::HwCounters,
    "np_cnp_sent",
    Kind::Wrap32,
    Class::Congestion,
    Some(Health::Congestion)
)]
#[test_case("mlx5_core", Dir::HwCounters, "out_of_buffer", Kind::Wrap32, Class::Loss, Some(Health::Drops))]
#[test_case(
    "mlx5_core",
    Dir::HwCounters,
    "local_ack_timeout_err",
    Kind::Wrap32,
    Class::Loss,
    Some(Health::Timeouts)
)]
#[test_case(
    "mlx5_core",
    Dir::HwCounters,
    "vport_out_of_buffer",
    Kind::Wrap32,
    Class::Loss,
    Some(Health::Drops)
)]
#[test_case("mlx5_core", Dir::HwCounters, "vport_new_name", Kind::Wrap32, Class::Neutral, None)]
#[test_case("mlx5_core", Dir::HwCounters, "rdma_tx_bytes", Kind::Monotonic64, Class::Traffic, None)]
#[test_case("qedr", Dir::Counters, "link_downed", Kind::Saturating(8), Class::Error, None)]
#[test_case("mlx4_ib", Dir::Counters, "port_xmit_wait", Kind::Saturating(32), Class::Congestion, None)]
#[test_case("hfi1", Dir::Counters, "local_link_integrity_errors", Kind::Saturating(4), Class::Error, None)]
#[test_case("bnxt_re", Dir::HwCounters, "active_qps", Kind::Gauge, Class::Neutral, None)]
#[test_case("bnxt_re", Dir::HwCounters, "res_cmp_err", Kind::Monotonic64, Class::Error, None)]
#[test_case("mana", Dir::HwCounters, "current_rate", Kind::Gauge, Class::Neutral, None)]
#[test_case("rxe", Dir::HwCounters, "link_downed", Kind::Monotonic64, Class::Error, None)]
fn a_counter_is_what_its_driver_says(
    driver: &str,
    dir: Dir,
    name: &str,
    kind: Kind,
    class: Class,
    feeds: Option<Health>,
) {
    let desc = of(Some(driver)).desc(dir, name);
    assert_eq!((&*desc.name, desc.kind, desc.class, desc.feeds), (name, kind, class, feeds));
}

#[test]
fn every_counter_has_a_sentence_and_no_name_twice() {
    for driver in DRIVERS {
        let mut seen = std::collections::HashSet::new();
        for row in driver.rows {
            assert!(seen.insert(row.name), "{} has {} twice", driver.id(), row.name);
            assert!(!row.help.is_empty() && !row.help.ends_with('.'), "{}", row.name);
            assert!(
                row.feeds.is_none() || matches!(row.class, Class::Loss | Class::Congestion),
                "{}",
                row.name
            );
        }
        for term in driver.traffic().iter().flat_map(|(_, q)| q.terms()) {
            let desc = driver.desc(term.dir, term.name);
            assert_eq!(desc.class, Class::Traffic, "{} {}", driver.id(), term.name);
        }
    }
}

#[test]
fn no_driver_name_is_claimed_twice() {
    let mut names: Vec<&str> = DRIVERS.into_iter().flat_map(|d| d.names).copied().collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
}

#[test]
fn counters_tell_their_driver_where_nothing_else_does() {
    for driver in DRIVERS {
        let has = |dir: Dir, name: &str| {
            let rows = if dir == Dir::Counters { pma::ROWS } else { driver.rows };
            rows.iter().any(|r| r.name == name)
        };
        // Drivers without port counters of their own cannot be told.
        if let Some(guessed) = guess(has) {
            assert_eq!(guessed, driver.id());
        } else {
            assert!(driver.rows.len() <= 1 || driver.device == DeviceDir::Only, "{}", driver.id());
        }
    }
    assert_eq!(guess(|_, _| false), None);
}

#[test]
fn only_instance_types_that_are_well_known_have_a_rate() {
    assert_eq!(known_link_rate(Some("efa"), "p5en.48xlarge"), Some(200_000_000_000));
    assert_eq!(known_link_rate(Some("mlx5_core"), "p5en.48xlarge"), None);
    assert_eq!(known_link_rate(Some("efa"), "p5.48xlarge"), None);
}

proptest! {
    #[test]
    fn no_name_breaks_it(driver in "\\PC{0,20}", name in "\\PC{0,80}") {
        for dir in Dir::ALL {
            prop_assert_eq!(&*of(Some(&driver)).desc(dir, &name).name, name.as_str());
        }
    }
}
