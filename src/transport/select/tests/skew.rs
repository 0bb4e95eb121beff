//! Destinations as skewed as the experts of a mixture-of-experts model: Zipf's law with exponent 1.2 over 16 PEs.

use test_case::test_case;

use super::tables::Random;
use super::*;
use crate::balance::max_over_mean;

const PES: u32 = 16;
const NICS: u16 = 4;

/// PEs in the order of their popularity, the most popular first, and how likely each is, summed up.
fn zipf(exponent: f64) -> Vec<f64> {
    let weights: Vec<_> = (1..=PES).map(|rank| f64::from(rank).powf(-exponent)).collect();
    let total: f64 = weights.iter().sum();
    let mut sum = 0.0;
    weights
        .iter()
        .map(|weight| {
            sum += weight / total;
            sum
        })
        .collect()
}

/// Worst PE's Tx and Rx of 2,000 operations per PE.
fn skewed(kind: PolicyKind, len: u64, seed: u64) -> (f64, f64) {
    let (mut random, likely) = (Random(seed), zipf(1.2));
    let mut tx = vec![vec![0.0; usize::from(NICS)]; PES as usize];
    let mut rx = tx.clone();
    for me in 0..PES {
        let mut selector = Selector::new(kind, Place { me, pes: PES, nics: NICS });
        for _ in 0..2000 {
            let point = random.unit();
            let rank = likely.iter().position(|&sum| point < sum).unwrap_or(0);
            // Popular PEs lie anywhere, not in the order of their numbers.
            let dst = u32::try_from(rank * 7 + 3).unwrap() % PES;
            if dst != me {
                for part in selector.next(Op { dst, len, peer_nics: NICS }, &[]).parts(len) {
                    tx[me as usize][usize::from(part.route.local)] += part.len as f64;
                    rx[dst as usize][usize::from(part.route.remote)] += part.len as f64;
                }
            }
        }
    }
    let worst = |table: &[Vec<f64>]| table.iter().filter_map(|row| max_over_mean(row)).fold(0.0, f64::max);
    (worst(&tx), worst(&rx))
}

#[test_case(PolicyKind::PairSeq, 7392; "pair-seq, a token")]
#[test_case(PolicyKind::Stripe, 7392; "stripe, a token")]
#[test_case(PolicyKind::Stripe, 300_001; "stripe, above its threshold")]
fn tx_and_rx_stay_even(kind: PolicyKind, len: u64) {
    for seed in 1..=20 {
        let (tx, rx) = skewed(kind, len, seed);
        assert!(tx <= 1.05 && rx <= 1.1, "{kind} {len}, seed {seed}: tx {tx} rx {rx}");
    }
}
