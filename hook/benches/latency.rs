//! What the hook adds to the latency of `fi_pingpong` with messages of 8 bytes: many short runs over loopback, without and with the hook in turns.
//!
//! `cargo bench -p railtop-hook --bench latency -- [ROUNDS [PINGS [PAIRS]]] [PROVIDER]`. One side on each of two processors, before everything else on them where
//! that is allowed; with several pairs of processors each makes its rounds at the same time as the others. `same` is without the hook once more: what it differs by is what this machine cannot tell apart. `noop` is libfabric's own
//! hook that does nothing: what functions in between cost at all. Behind the times
//! there is what explains a difference: context switches that the client did not ask for, and page faults, of a run, with one pair.
#![expect(unsafe_code, reason = "asks for what a process has used")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be set up is none")]

#[path = "../tests/programs/listener.rs"]
mod listener;
#[path = "../../tests/support/port.rs"]
mod port;

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use port::Port;

const BYTES: &str = "8";
const PROVIDERS: [&str; 2] = ["tcp;ofi_rxm", "net"];
const WAYS: [&str; 5] = ["without", "same", "noop", "hook", "preload"];

/// One run: time of a message, and what the client has used.
struct Run {
    us: f64,
    switches: f64,
    faults: f64,
}

struct Bench {
    pings: String,
    library: std::path::PathBuf,
    providers: tempfile::TempDir,
    pages: tempfile::TempDir,
    first: bool,
}

impl Bench {
    fn command(&self, way: &str, processor: &str) -> Command {
        let mut command = if self.first {
            let mut command = Command::new("nice");
            command.args(["-n", "-20", "taskset"]);
            command
        } else {
            Command::new("taskset")
        };
        command.args(["-c", processor, "fi_pingpong"]);
        for name in ["FI_HOOK", "FI_PROVIDER", "FI_PROVIDER_PATH", "LD_PRELOAD", "RAILTOP_HOOK_OFF"] {
            command.env_remove(name);
        }
        command.env("FI_TCP_IFACE", "lo").env("RAILTOP_PAGE_DIR", self.pages.path());
        match way {
            "noop" => command.env("FI_HOOK", "noop"),
            "hook" => command.env("FI_HOOK", "railtop").env("FI_PROVIDER_PATH", self.providers.path()),
            "preload" => command.env("LD_PRELOAD", &self.library),
            _ => &mut command,
        };
        command
    }

    /// One run on a pair of processors. What it has used is told right only while no other pair is at work.
    fn run(&self, provider: &str, way: &str, pair: usize) -> Run {
        let [first, second] = [2 * pair, 2 * pair + 1].map(|number| number.to_string());
        let reserved = Port::reserve();
        let port = reserved.address.port();
        let arguments = ["-p", provider, "-e", "rdm", "-I", &self.pings, "-S", BYTES];
        let mut server = self
            .command(way, &first)
            .args(arguments)
            .args(["-B", &port.to_string()])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        listener::wait_for(port);
        let before = used();
        let client = self
            .command(way, &second)
            .args(arguments)
            .args(["-P", &port.to_string(), "127.0.0.1"])
            .output()
            .unwrap();
        let after = used();
        assert!(client.status.success(), "{provider} {way}: {}", String::from_utf8_lossy(&client.stderr));
        assert!(server.wait().unwrap().success());
        let text = String::from_utf8(client.stdout).unwrap();
        // The last line, the last but one column: usec/xfer.
        let us = text.lines().last().and_then(|line| line.split_whitespace().nth_back(1)?.parse().ok());
        Run { us: us.unwrap(), switches: after.0 - before.0, faults: after.1 - before.1 }
    }
}

/// The kernel may weigh sessions before it weighs processes (sched(7), "The autogroup feature"): one of our own, before the others.
fn go_first() {
    // SAFETY: has no arguments. It fails where there is such a session already.
    unsafe { libc::setsid() };
    if let Err(error) = std::fs::write("/proc/self/autogroup", "-20") {
        println!("not before other sessions: {error}");
    }
}

/// Involuntary context switches and page faults of all children that have been waited for.
fn used() -> (f64, f64) {
    // SAFETY: fills the structure.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage);
        usage
    };
    (usage.ru_nivcsw as f64, usage.ru_minflt as f64)
}

/// The value below which so many quarters of all lie.
fn quantile(mut values: Vec<f64>, quarters: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values[(values.len() - 1) * quarters / 4]
}

fn main() {
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    let number = |at: usize, without: usize| numbers.get(at).copied().unwrap_or(without);
    let (rounds, pings, pairs) = (number(0, 101), number(1, 2000), number(2, 1).max(1));
    let deps = std::env::current_exe().unwrap();
    let library = deps.parent().unwrap().join("librailtop_hook.so");
    assert!(library.is_file(), "{} has not been built", library.display());
    let works = |command: &mut Command| command.output().is_ok_and(|output| output.status.success());
    let last = (2 * pairs - 1).to_string();
    assert!(
        works(Command::new("taskset").args(["-c", &last, "true"])),
        "no taskset, or not as many processors"
    );
    let bench = Bench {
        pings: pings.to_string(),
        providers: tempfile::tempdir().unwrap(),
        pages: tempfile::tempdir_in("/dev/shm").unwrap(),
        first: works(Command::new("nice").args(["-n", "-20", "true"]).stderr(Stdio::null())),
        library,
    };
    symlink(&bench.library, Path::new(bench.providers.path()).join("librailtop_hook-fi.so")).unwrap();
    go_first();
    println!(
        "{rounds} rounds of {pings} pings of {BYTES} bytes on each of {pairs} pairs of processors, us a message; the ratio is the median over the rounds"
    );
    println!(
        "{:12} {:8} {:>8} {:>8} {:>8} {:>8}   {:>6} {:>16}   {:>8} {:>7}",
        "provider", "way", "least", "quarter", "median", "3/4", "ratio", "its quarters", "switches", "faults"
    );
    let chosen = std::env::args().skip(1).find(|word| PROVIDERS.contains(&word.as_str()));
    for provider in
        PROVIDERS.into_iter().filter(|name| chosen.as_deref().is_none_or(|chosen| chosen == *name))
    {
        let of_pair = |pair: usize| {
            let mut runs: [Vec<Run>; WAYS.len()] = std::array::from_fn(|_| Vec::new());
            for round in 0..rounds {
                // Another one first in each round, and at each pair.
                for i in 0..WAYS.len() {
                    let way = (i + round + pair) % WAYS.len();
                    runs[way].push(bench.run(provider, WAYS[way], pair));
                }
            }
            runs
        };
        let mut runs: [Vec<Run>; WAYS.len()] = std::array::from_fn(|_| Vec::new());
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..pairs).map(|pair| scope.spawn(move || of_pair(pair))).collect();
            for thread in threads {
                runs.iter_mut().zip(thread.join().unwrap()).for_each(|(all, some)| all.extend(some));
            }
        });
        for (way, of_way) in WAYS.iter().zip(&runs) {
            let us: Vec<_> = of_way.iter().map(|run| run.us).collect();
            let ratios: Vec<_> =
                of_way.iter().zip(&runs[0]).map(|(run, without)| run.us / without.us).collect();
            let at = |quarters| quantile(us.clone(), quarters);
            let ratio = |quarters| quantile(ratios.clone(), quarters);
            // What runs at the same time have used is not told apart.
            let used = |of: fn(&Run) -> f64| match pairs {
                1 => quantile(of_way.iter().map(of).collect(), 2).to_string(),
                _ => "-".to_owned(),
            };
            println!(
                "{provider:12} {way:8} {:8.2} {:8.2} {:8.2} {:8.2}   {:6.3} {:>16}   {:>8} {:>7}",
                at(0),
                at(1),
                at(2),
                at(3),
                ratio(2),
                format!("{:.3} to {:.3}", ratio(1), ratio(3)),
                used(|run| run.switches),
                used(|run| run.faults),
            );
        }
    }
}
