//! What the transport costs: ring and proxy alone, two processes on loopback against a bare loop of `fi_writedata`, and
//! the lab's emulated NICs.
//!
//! `cargo bench --bench transport` prints one table; with `-- null` only its part without libfabric, with `-- loopback` or `-- gpu` only that. What was measured and
//! where goals are missed is in docs/performance.md. Runs of one comparison alternate, and its ratio is the median of
//! theirs, so that whatever else the machine does meets both sides.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot run has nothing to say")]

mod all;
mod bare;
mod gpu;
mod lone;
mod loopback;
mod null;
mod pair;
mod posted;
mod unpaced;

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use railtop::stats::{Quantiles, percentile};
use railtop::transport::gpu::RINGS;
use railtop::transport::proxy::Clock;

/// Median and quartiles of what was measured several times.
#[derive(Clone, Copy)]
struct Spread {
    lower: f64,
    median: f64,
    upper: f64,
}

impl Spread {
    /// Of at least one value.
    fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let values: Vec<_> = values.into_iter().collect();
        let quartile = |q| percentile(&values, q).unwrap();
        let median = Quantiles::of(&values).unwrap().median;
        Self { lower: quartile(0.25), median, upper: quartile(0.75) }
    }
}

/// The middle one.
fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    Spread::of(values).median
}

/// A row of the table.
fn row(what: &str, value: &str, goal: &str, met: Option<bool>) {
    let verdict = match met {
        None => "",
        Some(true) => "met",
        Some(false) => "MISSED",
    };
    println!("{what:<52} {value:>14}   {goal:<16} {verdict}");
}

/// A row of a ratio: its median, which the goal is about, and its quartiles.
fn spread_row(what: &str, ratio: Spread, goal: &str, met: bool) {
    let Spread { lower, median, upper } = ratio;
    row(&format!("{what} ({lower:.2} to {upper:.2})"), &format!("{median:.2}"), goal, Some(met));
}

/// Ring and proxy alone.
fn alone() {
    for (bytes, nics) in [(8, 1), (8, 4), (64 << 10, 1), (64 << 10, 4)] {
        let ns = null::nanoseconds(bytes, nics);
        let what = format!("proxy alone, put-signal of {bytes} B, NICs: {nics}");
        row(&what, &format!("{ns:.0} ns"), "<= 200 ns", Some(ns <= 200.0));
    }
    let ns = lone::nanoseconds();
    row("proxy alone, 8 B there and back", &format!("{ns:.0} ns"), "", None);
    for (nics, rings) in [(1, 1), (1, RINGS), (4, RINGS)] {
        let ns = posted::nanoseconds(nics, rings);
        let what = format!("proxy alone, 8 B from one GPU's ring of {rings}, NICs: {nics}");
        row(&what, &format!("{ns:.0} ns"), "<= 100 ns", Some(ns <= 100.0));
    }
}

/// Against the line rates of emulated NICs; whether all of it was measured.
fn lab() -> bool {
    let status = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/bench-lab.sh"))
        .arg(env!("CARGO_BIN_EXE_railtop"))
        .arg(std::env::current_exe().unwrap())
        .status();
    let measured = status.is_ok_and(|status| status.success());
    if !measured {
        println!("the lab did not come to its end (it needs root)");
    }
    measured
}

/// `count BYTES NICS PUTS`, or `count posted NICS PUTS`, or `count lone 1 PUTS`: for a counter of instructions around this process. Nothing in it
/// depends on time.
fn count(args: &[String]) {
    let number = |at: usize| args[at].parse::<u64>().unwrap();
    let clock = Clock::Given(Arc::new(AtomicU64::new(0)));
    let (nics, puts) = (u16::try_from(number(1)).unwrap(), number(2));
    match args[0].as_str() {
        "lone" => {
            assert_eq!(nics, 1, "that is made for one NIC");
            lone::Lone::new(clock).exchange(puts);
        }
        "posted" => {
            posted::Posted::new(nics, RINGS, clock).puts(puts);
        }
        _ => null::Alone::new(number(0), nics, null::Quiets::One, clock).puts(puts),
    }
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.first().map(String::as_str) {
        Some("count") => count(&args[1..]),
        Some("pair") => pair::run(&args),
        Some("all") => all::run(&args),
        Some("null") => alone(),
        Some("loopback") => loopback::compare(),
        Some("gpu") if unpaced::run_there("gpu") => {}
        Some("gpu") => {
            let measured = gpu::compare();
            if measured {
                loopback::from_gpu();
            }
            std::process::exit(i32::from(!measured))
        }
        // `cargo bench` says `--bench`.
        _ => {
            alone();
            if gpu::compare() {
                loopback::from_gpu();
            }
            loopback::compare();
            std::process::exit(i32::from(!lab()));
        }
    }
}
