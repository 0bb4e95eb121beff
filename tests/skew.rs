//! Destinations as skewed as a mixture-of-experts model's, over real libfabric: NICs stay even although PEs do not.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

#[expect(dead_code, reason = "other files use the rest")]
mod support;

use std::sync::atomic::Ordering;

use railtop::balance::max_over_mean;
use railtop::counters::NicCounts;
use railtop::transport::pe::Pe;
use railtop::transport::signal::{Signal, SignalOp};
use support::{Job, providers};

const PES: u32 = 16;
/// A token of 7168 bytes in fp8 with its scales.
const TOKEN: u64 = 7392;
const TOKENS: u64 = 1000;

/// Numbers by chance (splitmix64), the same in every run.
struct Random(u64);

impl Random {
    /// From 0 to below 1.
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((word ^ (word >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// A PE after Zipf's law with exponent 1.2; the popular ones lie anywhere, not in the order of their numbers.
fn destination(random: &mut Random) -> u32 {
    let weight = |rank: u32| f64::from(rank).powf(-1.2);
    let mut point = random.unit() * (1..=PES).map(weight).sum::<f64>();
    let popularity = (1..PES)
        .find(|&rank| {
            point -= weight(rank);
            point < 0.0
        })
        .unwrap_or(PES);
    (popularity * 7 + 3) % PES
}

/// Puts a PE's tokens where they are to go; returns what its NICs have counted when everybody has everything.
fn dispatch(pe: &mut Pe) -> Vec<NicCounts> {
    let me = pe.rank();
    let (tokens, counter) = (pe.allocate(TOKEN).unwrap(), pe.allocate(8).unwrap());
    pe.barrier().unwrap();
    let before = pe.totals().unwrap().nics;
    // Nobody begins before everybody has counted.
    pe.barrier().unwrap();
    let mut random = Random(u64::from(me));
    let arrived = Signal { offset: counter, op: SignalOp::Add, value: 1 };
    for _ in 0..TOKENS {
        let dst = destination(&mut random);
        if dst != me {
            pe.put_signal(dst, tokens, tokens, TOKEN, arrived).unwrap();
        }
    }
    pe.barrier().unwrap();
    let expected = (0..PES).filter(|&other| other != me).map(|other| {
        let mut random = Random(u64::from(other));
        (0..TOKENS).filter(|_| destination(&mut random) == me).count() as u64
    });
    assert_eq!(pe.heap().word(counter).unwrap().load(Ordering::Acquire), expected.sum::<u64>());
    let after = pe.totals().unwrap().nics;
    after.into_iter().zip(before).map(|(after, before)| difference(after, before)).collect()
}

fn difference(after: NicCounts, before: NicCounts) -> NicCounts {
    NicCounts {
        tx_posted_bytes: after.tx_posted_bytes - before.tx_posted_bytes,
        rx_bytes: after.rx_bytes - before.rx_bytes,
        ..after
    }
}

#[test]
fn nics_stay_even_when_destinations_are_skewed() {
    // `ofi_rxm` takes 80 MB per endpoint: 10 GB here.
    let Some(provider) = providers().pop() else { return };
    // The default policy.
    let job = Job { pes: PES, nics: 4, heap_bytes: 1 << 20, ..Job::new(&provider) };
    let counts = job.run(dispatch);
    let of = |field: fn(&NicCounts) -> u64| {
        counts.iter().map(move |nics| nics.iter().map(|nic| field(nic) as f64).collect::<Vec<_>>())
    };
    let worst = |rows: &mut dyn Iterator<Item = Vec<f64>>| {
        rows.filter_map(|row| max_over_mean(&row)).fold(0.0, f64::max)
    };
    let (tx, rx) = (worst(&mut of(|nic| nic.tx_posted_bytes)), worst(&mut of(|nic| nic.rx_bytes)));
    println!("max/mean over a PE's NICs, worst PE: Tx {tx:.3}, Rx {rx:.3}");
    assert!(tx <= 1.05 && rx <= 1.1, "Tx {tx}, Rx {rx}");
    // The skew is there: the most popular PE has several times what the mean one has.
    let received: Vec<f64> = of(|nic| nic.rx_bytes).map(|row| row.iter().sum()).collect();
    assert!(max_over_mean(&received).unwrap() > 3.0, "{received:?}");
}
