//! That the NICs are what they claim: each its own way out and in, each limited in both directions.

use std::collections::HashMap;
use std::net::SocketAddr;

use railtop::lab::{LabSpec, Rate};

use crate::role::traffic;
use crate::support::{Lines, one_at_a_time, spec, up};

const LIMIT_BITS_PER_S: u64 = 50_000_000;

/// Runs flows between the NICs of node 0 and node 1, given as (NIC, NIC) of 2 each; returns bits per
/// second as (rank, NIC), sent by rank 0 and received by rank 1.
fn measure(flows: &[(u32, u32)]) -> Option<HashMap<(u32, String), f64>> {
    let spec = LabSpec { nic_rate: Rate::from_bits_per_s(LIMIT_BITS_PER_S), ..spec(2, 1, 2) };
    let address = |node, index: u32, port| {
        let nic = spec.nics_of_node(node).find(|nic| nic.index == index).unwrap();
        SocketAddr::from((nic.address, port))
    };
    let flows: Vec<_> = flows.iter().map(|&(from, to)| (address(0, from, 0), address(1, to, 7000))).collect();
    let mut lab = up(spec)?;
    let lines = Lines::default();
    let outcome = lab.run(&traffic(&flows), lines.options()).unwrap();
    assert_eq!(outcome.exit_code(), 0, "{:?}", lines.sorted());
    let rates = lines.sorted().into_iter().filter_map(|(rank, line)| {
        let fields: Vec<_> = line.strip_prefix("NIC ")?.split(' ').collect();
        let number = |i: usize| fields[i].parse::<f64>().unwrap();
        Some(((rank, fields[0].to_owned()), number(1) * 8e6 / number(2)))
    });
    Some(rates.collect())
}

/// At the limit, within 10 %: by the kernel's own count of bytes and time, whatever the machine does.
fn is_full(rate: f64) -> bool {
    (0.9..1.1).contains(&(rate / LIMIT_BITS_PER_S as f64))
}

/// Less than acknowledgements make.
fn is_idle(rate: f64) -> bool {
    rate < 0.02 * LIMIT_BITS_PER_S as f64
}

#[test]
fn a_bound_socket_uses_its_own_nic_to_any_other() {
    let _alone = one_at_a_time();
    // From NIC 1 to NIC 0: neither side's default, and not aligned.
    let Some(rates) = measure(&[(1, 0)]) else {
        return;
    };
    let rate = |rank, nic: &str| rates[&(rank, nic.to_owned())];
    assert!(is_full(rate(0, "nic1")) && is_idle(rate(0, "nic0")), "{rates:?}");
    assert!(is_full(rate(1, "nic0")) && is_idle(rate(1, "nic1")), "{rates:?}");
}

#[test]
fn two_nics_carry_twice_as_much() {
    let _alone = one_at_a_time();
    let Some(rates) = measure(&[(0, 1), (1, 0)]) else {
        return;
    };
    assert!(rates.len() == 4 && rates.values().all(|&rate| is_full(rate)), "{rates:?}");
}

#[test]
fn an_incast_gets_what_the_receiver_s_nic_takes() {
    let _alone = one_at_a_time();
    let Some(rates) = measure(&[(0, 1), (1, 1)]) else {
        return;
    };
    let rate = |rank, nic: &str| rates[&(rank, nic.to_owned())];
    assert!(is_full(rate(1, "nic1")) && is_idle(rate(1, "nic0")), "{rates:?}");
}

#[test]
fn one_nic_does_not_send_twice_its_rate() {
    let _alone = one_at_a_time();
    let Some(rates) = measure(&[(0, 0), (0, 1)]) else {
        return;
    };
    let rate = |rank, nic: &str| rates[&(rank, nic.to_owned())];
    assert!(is_full(rate(0, "nic0")) && is_idle(rate(0, "nic1")), "{rates:?}");
}
