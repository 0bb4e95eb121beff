//! That the NICs are what they claim: each its own way out and in, each limited in both directions.

use std::collections::HashMap;
use std::net::SocketAddr;

use railtop::lab::{LabSpec, Rate};

use crate::role::traffic;
use crate::support::{Lines, one_at_a_time, spec, up};

/// Little, so that what sockets hold lasts for as long as a sender or a receiver gets no turn.
const LIMIT_BITS_PER_S: u64 = 20_000_000;

/// Bits per second by (rank, NIC): sent by rank 0 and received by rank 1.
type Rates = HashMap<(u32, String), f64>;

/// Runs flows between the NICs of node 0 and node 1, given as (NIC, NIC) of 2 each.
fn measure(flows: &[(u32, u32)]) -> Option<Rates> {
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

/// Holds the rates of flows to what they are to be: NICs by PE and name. None is ever above the limit, nor an idle one above
/// what acknowledgements make. That the full ones are full takes a sender and a receiver that have their turns, so that it is tried several times.
fn hold(flows: &[(u32, u32)], full: &[(u32, &str)], idle: &[(u32, &str)]) {
    for _ in 0..10 {
        let Some(rates) = measure(flows) else { return };
        assert!(rates.values().all(|rate| *rate < 1.1 * LIMIT_BITS_PER_S as f64), "{rates:?}");
        for &(rank, nic) in idle {
            assert!(is_idle(rate(&rates, rank, nic)), "{nic} of {rank} is not idle: {rates:?}");
        }
        if full.iter().all(|&(rank, nic)| is_full(rate(&rates, rank, nic))) {
            return;
        }
        eprintln!("once more: {rates:?}");
    }
    panic!("they never are full");
}

fn rate(rates: &Rates, rank: u32, nic: &str) -> f64 {
    rates[&(rank, nic.to_owned())]
}

/// At the limit, within 10 %: by the kernel's own count of bytes and time.
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
    hold(&[(1, 0)], &[(0, "nic1"), (1, "nic0")], &[(0, "nic0"), (1, "nic1")]);
}

#[test]
fn two_nics_carry_twice_as_much() {
    let _alone = one_at_a_time();
    hold(&[(0, 1), (1, 0)], &[(0, "nic0"), (0, "nic1"), (1, "nic0"), (1, "nic1")], &[]);
}

#[test]
fn an_incast_gets_what_the_receiver_s_nic_takes() {
    let _alone = one_at_a_time();
    hold(&[(0, 1), (1, 1)], &[(1, "nic1")], &[(1, "nic0")]);
}

#[test]
fn one_nic_does_not_send_twice_its_rate() {
    let _alone = one_at_a_time();
    hold(&[(0, 0), (0, 1)], &[(0, "nic0")], &[(0, "nic1")]);
}
