//! Fits the parameters of `railtop sim --preset efa-p5` on one size of all-to-all, and predicts another one with them.
//!
//! ```console
//! $ cargo run --release --example fit_sim              # busbw; some minutes
//! $ cargo run --release --example fit_sim -- ratios    # or its ratios, which is what is held against 1 GiB
//! ```
//!
//! Least squares of logarithms, means over seeds, by a search along each parameter in turn. What is fitted is what neither the put
//! test nor the fix on two nodes say: the share lost while a sender waits, how often another warp goes on, and what a put costs a NIC
//! for each other put that it has. Only [`FITTED`] is looked at until the parameters stand. What came of it is in docs/scale.md.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use railtop::sim::traffic::AllToAll;
use railtop::sim::{Costs, Preset, Scene, run};
use railtop::transport::select::PolicyKind;

/// NVSHMEM 3.5.21, 3.6.5, and 3.6.5 with the fix.
const POLICIES: [PolicyKind; 3] = [PolicyKind::Single, PolicyKind::RoundRobin, PolicyKind::RoundRobinOffset];
const NODES: [u32; 4] = [2, 4, 8, 16];
const SEEDS: [u64; 4] = [1, 2, 3, 4];
const ITERS: u32 = 4;

/// busbw in Gb/s by nodes and policy.
type Table = [[f64; 3]; 4];

/// What was published for one size, read off the plot of "NVSHMEM Multi-NIC Support with AWS EFA" to about 1.5 Gb/s.
struct Published {
    bytes: u64,
    busbw: Table,
}

/// What is fitted.
const FITTED: Published = Published {
    bytes: 256 << 20,
    busbw: [[143.0, 137.0, 146.0], [108.0, 82.0, 292.0], [73.0, 95.0, 351.0], [32.0, 114.0, 264.0]],
};

/// What is predicted.
const PREDICTED: [Published; 3] = [
    Published {
        bytes: 1 << 30,
        busbw: [[146.0, 146.0, 148.0], [111.0, 86.0, 302.0], [101.0, 118.0, 363.0], [68.0, 134.0, 276.0]],
    },
    Published {
        bytes: 512 << 20,
        busbw: [[145.0, 143.0, 147.0], [112.0, 92.0, 299.0], [96.0, 118.0, 359.0], [52.0, 124.0, 272.0]],
    },
    Published {
        bytes: 128 << 20,
        busbw: [[139.0, 130.0, 145.0], [119.0, 83.0, 284.0], [55.0, 90.0, 336.0], [26.0, 101.0, 244.0]],
    },
];

/// A parameter that is fitted: its name, where the search begins, and its place.
struct Free {
    name: &'static str,
    begin: u64,
    of: fn(&mut Costs) -> &mut u64,
}

const FREE: [Free; 3] = [
    Free { name: "stall_ppm", begin: 60_000, of: |costs| &mut costs.stall_ppm },
    Free { name: "turn_ppm", begin: 6_000, of: |costs| &mut costs.turn_ppm },
    Free { name: "crowd_ps", begin: 2_000_000, of: |costs| &mut costs.crowd_ps },
];

fn main() {
    let of = match std::env::args().nth(1).as_deref() {
        None | Some("busbw") => Of::Busbw,
        Some("ratios") => Of::Ratios,
        Some(other) => {
            eprintln!("fit_sim: {other}: busbw or ratios");
            std::process::exit(2);
        }
    };
    let mut costs = Costs::of(Preset::EfaP5);
    for free in &FREE {
        *(free.of)(&mut costs) = free.begin;
    }
    let mut best = of.squares(&costs);
    // First by half as much again, at last by a thirtieth.
    for percent in [50, 25, 12, 6, 3] {
        while step(of, &mut costs, &mut best, percent) {}
    }
    println!("fitted on {} MiB, seeds {SEEDS:?}, {ITERS} iterations:", FITTED.bytes >> 20);
    for free in &FREE {
        println!("  {} {}", free.name, (free.of)(&mut costs));
    }
    println!("  sum of squares {best:.4} of {of:?} on 4, 8 and 16 nodes");
    show("fitted", &costs, &FITTED);
    for published in &PREDICTED {
        show("predicted", &costs, published);
    }
}

/// Moves each parameter up or down while that helps; whether any has moved.
fn step(of: Of, costs: &mut Costs, best: &mut f64, percent: u64) -> bool {
    let before = *best;
    for free in &FREE {
        for up in [true, false] {
            loop {
                let mut tried = costs.clone();
                let value = (free.of)(&mut tried);
                let by = *value * percent / 100;
                *value = if up { *value + by } else { *value - by };
                let squares = of.squares(&tried);
                if squares >= *best {
                    break;
                }
                (*costs, *best) = (tried, squares);
                eprintln!("{} {}: {squares:.4}", free.name, (free.of)(costs));
            }
        }
    }
    *best < before
}

/// What the squares are of.
#[derive(Debug, Clone, Copy)]
enum Of {
    /// 3.5.21 over 3.6.5, and the fix over 3.6.5.
    Ratios,
    /// Each of the three.
    Busbw,
}

impl Of {
    /// The sum of squares where the network decides: two nodes have their copies alone.
    fn squares(self, costs: &Costs) -> f64 {
        let model = table(costs, FITTED.bytes, 1);
        let rows = model.iter().zip(&FITTED.busbw).skip(1);
        let off = |(model, published): (&[f64; 3], &[f64; 3])| -> f64 {
            let off: [f64; 3] = std::array::from_fn(|policy| (model[policy] / published[policy]).ln());
            match self {
                Self::Ratios => (off[0] - off[1]).powi(2) + (off[2] - off[1]).powi(2),
                Self::Busbw => off.iter().map(|off| off.powi(2)).sum(),
            }
        };
        rows.map(off).sum()
    }
}

/// The model's busbw, means over the seeds, of the clusters from place `first` of [`NODES`] on; the largest is run first.
fn table(costs: &Costs, bytes: u64, first: usize) -> Table {
    let places: Vec<(usize, usize, u64)> = (first..NODES.len())
        .rev()
        .flat_map(|nodes| (0..POLICIES.len()).map(move |policy| (nodes, policy)))
        .flat_map(|(nodes, policy)| SEEDS.map(|seed| (nodes, policy, seed)))
        .collect();
    let next = AtomicUsize::new(0);
    let (tell, told) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            let (tell, places, next) = (tell.clone(), &places, &next);
            scope.spawn(move || {
                while let Some(&(nodes, policy, seed)) = places.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let us = round_us(costs, NODES[nodes], bytes, POLICIES[policy], seed);
                    tell.send((nodes, policy, us)).ok();
                }
            });
        }
    });
    drop(tell);
    let mut us = [[0.0; 3]; 4];
    // In an order of their own, so that no sum depends on who was first.
    let mut all: Vec<(usize, usize, f64)> = told.into_iter().collect();
    all.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)).then(a.2.total_cmp(&b.2)));
    for (nodes, policy, one) in all {
        us[nodes][policy] += one / SEEDS.len() as f64;
    }
    let mut busbw = us;
    for (row, nodes) in busbw.iter_mut().zip(NODES) {
        let pes = f64::from(nodes * 8);
        for cell in row {
            *cell = bytes as f64 * 8.0 * (pes - 1.0) / pes / *cell / 1e3;
        }
    }
    busbw
}

/// Mean time of a round.
fn round_us(costs: &Costs, nodes: u32, bytes: u64, policy: PolicyKind, seed: u64) -> f64 {
    let scene = Scene {
        nodes,
        pes_per_node: 8,
        nics_per_pe: 4,
        nic_bits_per_s: 100_000_000_000,
        iters: ITERS,
        seed,
        slow: None,
        jitter_ppm: 0,
        costs: costs.clone(),
    };
    let Ok(traffic) = AllToAll::new(&scene, bytes) else { return f64::NAN };
    run(&scene, &traffic, policy, &mut |_| ControlFlow::Continue(()))
        .map_or(f64::NAN, |outcome| outcome.latency_us())
}

/// Prints model and publication side by side, with ratios and how far they are off.
fn show(what: &str, costs: &Costs, published: &Published) {
    let model = table(costs, published.bytes, 0);
    println!("\n{what}: {} MiB; busbw in Gb/s, model (published)", published.bytes >> 20);
    println!(
        "nodes  {:>14}  {:>14}  {:>14}  {:>24}  {:>24}",
        "3.5.21", "3.6.5", "fix", "fix over 3.6.5", "3.5.21 over 3.6.5"
    );
    for ((nodes, model), published) in NODES.iter().zip(model).zip(published.busbw) {
        let cell = |policy: usize| format!("{:.1} ({:.0})", model[policy], published[policy]);
        let ratio = |policy: usize| {
            let (ours, theirs) = (model[policy] / model[1], published[policy] / published[1]);
            format!("{ours:.2} ({theirs:.2}) {:+.0} %", (ours / theirs - 1.0) * 100.0)
        };
        println!(
            "{nodes:>5}  {:>14}  {:>14}  {:>14}  {:>24}  {:>24}",
            cell(0),
            cell(1),
            cell(2),
            ratio(2),
            ratio(0)
        );
    }
}
