//! A job that loses a PE, and a lab that is told to end: said, in seconds, and with nothing left.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use railtop::counters::DEAD_PAGE_TTL;
use serde_json::Value;

use crate::support::{
    LONG_RUN, Outcome, Running, SECONDS, Shape, Site, eventually, lab_machine, processes_with, signal_pid,
};

const SHAPE: Shape = Shape { nodes: 2, pes_per_node: 2, nics_per_pe: 2, nic_rate: "50mbit" };

/// A lab under way, and what it is made of.
pub(crate) struct Victim {
    pub(crate) lab: Running,
    job: String,
    /// By rank.
    pub(crate) pids: Vec<u32>,
    namespaces: BTreeSet<PathBuf>,
}

impl Victim {
    /// Starts an all-to-all of 4 PEs and waits until it carries traffic.
    fn start(site: &Site) -> Self {
        Self::start_with(site, LONG_RUN).expect("it runs on")
    }

    /// The same with other arguments for the all-to-all; `None` when it has ended meanwhile.
    pub(crate) fn start_with(site: &Site, words: &str) -> Option<Self> {
        let words = format!("alltoall -b 1M -e 1M -w 1 {words}");
        let mut lab = site.start(&mut site.bench_in_lab(SHAPE, &words));
        let pages = lab.meanwhile("4 PEs carry payload", || {
            let lines = records(site);
            let busy = lines.iter().filter(|line| line["rx_bytes"].as_u64() > Some(256 << 10));
            let pes: BTreeSet<_> = busy.map(|line| line["pe"].as_u64()).collect();
            (pes.len() == 4).then_some(lines)
        })?;
        let job = pages[0]["job"].as_str().unwrap().to_owned();
        let members = members(&job);
        let ranks = processes_with("RANK").into_iter().filter(|(pid, _)| members.contains(pid));
        let mut pids: Vec<(u32, u32)> = ranks.map(|(pid, rank)| (rank.parse().unwrap(), pid)).collect();
        pids.sort_unstable();
        let namespaces: Result<BTreeSet<_>, _> =
            pids.iter().map(|(_, pid)| fs::read_link(format!("/proc/{pid}/ns/net"))).collect();
        if lab.has_ended() {
            return None;
        }
        assert_eq!(pids.iter().map(|(rank, _)| *rank).collect::<Vec<_>>(), [0, 1, 2, 3]);
        let pids: Vec<_> = pids.into_iter().map(|(_, pid)| pid).collect();
        let namespaces = namespaces.unwrap();
        assert_eq!(namespaces.len(), 2, "one per node");
        assert!(!namespaces.contains(&fs::read_link("/proc/self/ns/net").unwrap()));
        Some(Self { lab, job, pids, namespaces })
    }

    /// Waits for the end of the lab and sees that nothing of it is left.
    pub(crate) fn end(self) -> Outcome {
        self.end_within(SECONDS)
    }

    pub(crate) fn end_within(self, limit: Duration) -> Outcome {
        let outcome = self.lab.finish(limit);
        eventually("every process of the lab has ended", || members(&self.job).is_empty().then_some(()));
        eventually("nobody holds the namespaces", || (!self.namespaces.iter().any(is_in_use)).then_some(()));
        outcome
    }
}

/// Processes of a job.
fn members(job: &str) -> BTreeSet<u32> {
    let all = processes_with("RAILTOP_JOB").into_iter();
    all.filter(|(_, value)| value == job).map(|(pid, _)| pid).collect()
}

/// Whether any process lives in this network namespace or holds it open.
fn is_in_use(link: &PathBuf) -> bool {
    let processes = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let is = |path: PathBuf| fs::read_link(path).is_ok_and(|target| target == *link);
    processes.into_iter().any(|process| {
        is(process.join("ns/net"))
            || fs::read_dir(process.join("fd")).is_ok_and(|fds| fds.flatten().any(|fd| is(fd.path())))
    })
}

/// One tick of the counter pages.
pub(crate) fn records(site: &Site) -> Vec<Value> {
    let outcome = site.run(site.railtop().args(["log", "-n", "1", "--source", "page"]));
    if outcome.status.code() == Some(0) { outcome.lines().split_off(1) } else { Vec::new() }
}

#[test]
fn a_killed_pe_ends_the_job_and_is_named_by_all() {
    let Some(_alone) = lab_machine() else { return };
    for killed in [2, 0] {
        let site = Site::new();
        let victim = Victim::start(&site);
        // A monitor that looks on all the time.
        let log = site.start(site.railtop().args(["log", "-i", "50ms", "--source", "page"]));
        eventually("the log has begun", || (log.stdout().lines().count() > 8).then_some(()));
        let killed_at = Instant::now();
        signal_pid(victim.pids[killed], Signal::SIGKILL);
        let is_dead = |record: &Value| {
            record["pe"] == killed
                && record["flags"].as_array().is_some_and(|flags| flags.contains(&"dead".into()))
        };
        eventually("its page says so, of 2 NICs", || {
            (records(&site).iter().filter(|record| is_dead(record)).count() == 2).then_some(())
        });
        let outcome = victim.end().code(137);
        let said = |text: &str| assert!(outcome.stderr.contains(text), "no {text:?} in {}", outcome.stderr);
        said(&format!("railtop lab: PE {killed} on node{} was killed by SIGKILL", killed / 2));
        for survivor in (0..4).filter(|&pe| pe != killed) {
            // One that is killed with bytes unread resets its connections instead of closing them.
            let who = format!("[pe {survivor} node{}] railtop:", survivor / 2);
            let ways = [
                format!("{who} PE {killed} left the job"),
                format!("{who} lost PE {killed}: Connection reset"),
            ];
            assert!(
                ways.iter().any(|way| outcome.stderr.contains(way)),
                "none of {ways:?} in {}",
                outcome.stderr
            );
        }
        assert!(
            !outcome.stderr.contains("Backtrace") && !outcome.stderr.contains("panicked"),
            "{}",
            outcome.stderr
        );

        // Those who left in good order took their pages along; that of the killed PE stays for a while.
        let left = records(&site);
        assert!(left.iter().all(is_dead), "{left:#?}");
        let list = site.run(site.railtop().args(["list", "--format", "json"]));
        let check = site.run(site.railtop().args(["check", "--duration", "50ms"]));
        // Its time counts from its last heartbeat, which was a little before.
        let stays = || killed_at.elapsed() + Duration::from_secs(5) < DEAD_PAGE_TTL;
        if stays() {
            assert_eq!(left.len(), 2, "2 NICs of one PE: {left:#?}");
            let inventory = list.code(0).json();
            let pes = inventory["pes"].as_array().unwrap();
            assert!(pes.len() == 1 && pes[0]["state"] == "dead", "{inventory}");
        }
        check.code(3);

        // The monitor that looked on goes on.
        let ticks = log.stdout().lines().count();
        eventually("the log goes on", || {
            (log.stdout().lines().count() > ticks + 4 || !stays()).then_some(())
        });
        log.signal(Signal::SIGINT);
        let log = log.finish(SECONDS).code(0);
        assert!(log.lines().last().unwrap()["flags"].as_array().unwrap().contains(&"dead".into()));
    }
}

#[test]
fn a_lab_told_to_end_ends_with_the_signal_s_code() {
    let Some(_alone) = lab_machine() else { return };
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let site = Site::new();
        let victim = Victim::start(&site);
        victim.lab.signal(signal);
        let outcome = victim.end().code(code);
        assert!(outcome.stderr.contains(&format!("railtop lab: ended by {signal}")), "{}", outcome.stderr);
        assert!(!outcome.stderr.contains("Backtrace"), "{}", outcome.stderr);
    }
}
