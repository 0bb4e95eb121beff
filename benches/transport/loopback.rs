//! Two processes on loopback addresses, started by `railtop lab --loopback`.
//!
//! Single runs of a stream differ by a fifth with nothing changed, so each figure is the median of `ROUNDS` (9), with its quartiles.

use std::process::Command;

use crate::{Spread, row, spread_row, unpaced};

/// Times that an idle PE is looked at: each takes [`IDLE_MS`].
const IDLE_ROUNDS: usize = 3;

/// Milliseconds of one such look.
const IDLE_MS: u64 = 8000;

/// Times that everything else is measured; the runs of one comparison alternate.
fn rounds() -> usize {
    let Ok(text) = std::env::var("ROUNDS") else { return 9 };
    text.parse().ok().filter(|&count| count > 0).unwrap_or_else(|| {
        eprintln!("ROUNDS={text}: a number from 1 is expected");
        std::process::exit(2);
    })
}

/// Nanoseconds and CPU nanoseconds of both processes, per operation.
#[derive(Clone, Copy)]
struct Cost {
    ns: f64,
    cpu: f64,
}

/// One run of `count` operations.
fn run(way: &str, what: &str, bytes: u64, count: u64, nics: u16) -> Cost {
    run_with(way, what, bytes, count, nics, &[])
}

/// The same with more flags for the processes.
fn run_with(way: &str, what: &str, bytes: u64, count: u64, nics: u16, flags: &[&str]) -> Cost {
    let (nics, size, number) = (nics.to_string(), bytes.to_string(), count.to_string());
    let output = Command::new(env!("CARGO_BIN_EXE_railtop"))
        .args(["lab", "--loopback", "--nodes", "2", "--pes-per-node", "1", "--nics-per-pe", &nics, "--"])
        .arg(std::env::current_exe().unwrap())
        .args(["pair", way, what, &size, &number])
        .args(flags)
        .env("RAILTOP_TIMEOUT", "20s")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers: Option<Vec<f64>> = text.split_whitespace().map(|word| word.parse().ok()).collect();
    let Some(&[ns, cpu]) = numbers.as_deref() else {
        let why = String::from_utf8_lossy(&output.stderr);
        eprintln!("{way} {what} of {bytes} B over {nics} NICs failed: {text}{why}");
        std::process::exit(1);
    };
    Cost { ns: ns / count as f64, cpu: cpu / count as f64 }
}

/// How what `of` makes of a round spreads over the rounds.
fn spread<T>(rounds: &[T], of: impl Fn(&T) -> f64) -> Spread {
    Spread::of(rounds.iter().map(of))
}

/// So many in a second, of nanoseconds each.
fn rate_row(what: &str, ns: Spread) {
    row(what, &format!("{:.0}/s", 1e9 / ns.median), "", None);
}

/// Put-signals of one size over 1, 2 and 4 NICs against the bare loop.
fn against_bare(name: &str, bytes: u64, count: u64) {
    const NICS: [u16; 3] = [1, 2, 4];
    let rounds: Vec<_> = (0..rounds())
        .map(|_| {
            (
                run("bare", "stream", bytes, count, 1),
                NICS.map(|nics| run("ours", "stream", bytes, count, nics)),
            )
        })
        .collect();
    rate_row(&format!("{name} bare fi_writedata, rate"), spread(&rounds, |(bare, _)| bare.ns));
    for (at, nics) in NICS.into_iter().enumerate() {
        let ours = spread(&rounds, |(_, ours)| ours[at].ns);
        rate_row(&format!("{name} put-signal, NICs: {nics}, rate"), ours);
        let ratio = spread(&rounds, |(bare, ours)| bare.ns / ours[at].ns);
        spread_row("    against bare", ratio, ">= 0.95", ratio.median >= 0.95);
    }
    let more = spread(&rounds, |(_, ours)| ours[0].ns / ours[2].ns);
    spread_row(&format!("{name} put-signal, 4 NICs against 1"), more, ">= 1", more.median >= 1.0);
    let cpu = spread(&rounds, |(bare, ours)| ours[0].cpu / bare.cpu);
    spread_row(&format!("{name} put-signal, CPU time against bare"), cpu, "<= 1.15", cpu.median <= 1.15);
}

/// What resting saves and costs: `--progress adaptive` against `spin`.
fn progress() {
    // Both processes' CPU time over the time of one.
    let idle = (0..IDLE_ROUNDS).map(|_| run("ours", "idle", 8, IDLE_MS, 4));
    let share = Spread::of(idle.map(|cost| cost.cpu / cost.ns / 2.0 * 100.0)).median;
    row("idle PE with 4 NICs, share of a core", &format!("{share:.2} %"), "<= 2 %", Some(share <= 2.0));
    let ways = ["adaptive", "spin"];
    let rounds: Vec<_> = (0..rounds())
        .map(|_| ways.map(|way| run_with("ours", "stream", 1 << 20, 2_000, 4, &["--progress", way])))
        .collect();
    let ratio = spread(&rounds, |[adaptive, spin]| spin.ns / adaptive.ns);
    spread_row("1 MiB rate, adaptive against spin", ratio, ">= 0.95", ratio.median >= 0.95);
}

/// What a put-signal costs more that a kernel starts: there and back, one way, beside the same started by the host. Both
/// kernels are on one GPU, which takes turns with them unless NVIDIA's MPS runs.
pub fn from_gpu() {
    row("TCP's congestion control", &unpaced::congestion_control(), "", None);
    let pings: Vec<_> = (0..rounds())
        .map(|_| ["ours", "gpu", "gpu-own"].map(|way| run(way, "ping-pong", 8, 10_000, 1).ns / 2e3))
        .collect();
    let one_way = |who: &str, way: usize| {
        let us = spread(&pings, |ways| ways[way]).median;
        row(&format!("8 B put-signal, one way, from {who}"), &format!("{us:.1} us"), "", None);
    };
    let more = |how: &str, way: usize| {
        let us = spread(&pings, |ways| ways[way] - ways[0]).median;
        let met = Some(us <= 3.0);
        row(&format!("    more than from the host{how}"), &format!("{us:.1} us"), "<= 3 us", met);
    };
    one_way("the host", 0);
    one_way("a GPU", 1);
    more("", 1);
    one_way("a GPU, its own ring, no fence", 2);
    more(", own ring", 2);
}

/// Everything on loopback.
pub fn compare() {
    if unpaced::run_there("loopback") {
        return;
    }
    row("TCP's congestion control", &unpaced::congestion_control(), "", None);
    against_bare("64 KiB", 64 << 10, 20_000);
    against_bare("1 MiB", 1 << 20, 2_000);
    let small: Vec<_> = (0..rounds()).map(|_| run("ours", "stream", 8, 500_000, 1)).collect();
    let rate = 1e3 / spread(&small, |cost| cost.ns).median;
    row("8 B put-signal, one PE, rate", &format!("{rate:.2} M/s"), ">= 1.0 M/s", Some(rate >= 1.0));
    let cpu = spread(&small, |cost| cost.cpu).median;
    row("    CPU time, sender and receiver together", &format!("{cpu:.0} ns"), "", None);
    let pings: Vec<_> =
        (0..rounds()).map(|_| ["bare", "ours"].map(|way| run(way, "ping-pong", 8, 10_000, 1))).collect();
    let one_way = |way: usize| spread(&pings, |ways| ways[way].ns / 2e3).median;
    row("8 B bare fi_writedata, one way", &format!("{:.1} us", one_way(0)), "", None);
    let ours = one_way(1);
    row("8 B put-signal, one way", &format!("{ours:.1} us"), "<= 8 us", Some(ours <= 8.0));
    let landed = Spread::of((0..rounds()).map(|_| run("ours", "landed", 8, 10_000, 1).ns)).median;
    row("8 B put-signal and quiet, one after another", &format!("{:.1} us", landed / 1e3), "", None);
    progress();
}
