//! PEs started by hand: what is wrong with how they come together is said by every PE, in seconds.

use std::io::Write as _;
use std::net::TcpStream;
use std::process::Command;

use test_case::test_case;

use crate::port::Port;
use crate::support::{Outcome, Results, SECONDS, Site, eventually, has_libfabric, one_at_a_time};

/// 32 bytes in hexadecimal, as a launcher makes them.
const SECRET: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";

/// A job on loopback, each PE on a node of its own.
pub(crate) struct Job<'a> {
    site: &'a Site,
    world: u32,
    /// PE 0's, who listens there.
    port: Port,
}

impl<'a> Job<'a> {
    pub(crate) fn new(site: &'a Site, world: u32) -> Self {
        Self { site, world, port: Port::reserve() }
    }

    fn port(&self) -> u16 {
        self.port.address.port()
    }

    /// `railtop bench put …` as this rank.
    pub(crate) fn pe(&self, rank: u32, words: &str) -> Command {
        let mut command = self.site.railtop();
        command.args(["bench", "put"]).args(words.split_whitespace());
        command
            .env("RANK", rank.to_string())
            .env("WORLD_SIZE", self.world.to_string())
            .env("MASTER_ADDR", "127.0.0.1")
            .env("MASTER_PORT", self.port().to_string())
            .env("RAILTOP_JOB_SECRET", SECRET)
            .env("RAILTOP_NODE", format!("node{rank}"))
            .env("RAILTOP_NICS", format!("127.0.1.{0},127.0.2.{0}", rank + 1));
        command
    }

    /// Runs them together; each must end in seconds.
    fn run(&self, mut commands: Vec<Command>) -> Vec<Outcome> {
        let running: Vec<_> = commands.iter_mut().map(|command| self.site.start(command)).collect();
        running.into_iter().map(|pe| pe.finish(SECONDS)).collect()
    }
}

/// The lock, or `None` without libfabric.
pub(crate) fn ready() -> Option<std::sync::MutexGuard<'static, ()>> {
    let guard = one_at_a_time();
    has_libfabric().then_some(guard)
}

#[test]
fn two_pes_started_by_hand_make_a_job_and_only_one_speaks() {
    let Some(_alone) = ready() else { return };
    let site = Site::new();
    let job = Job::new(&site, 2);
    let words = "-b 64K -e 1M -f 4 -n 5 -w 1 --verify --format json";
    let outcomes = job.run(vec![job.pe(0, words), job.pe(1, words)]);
    let [first, second] = outcomes.try_into().unwrap();
    Results::of(&first.code(0)).assert_exact();
    assert_eq!(second.code(0).stdout, "");
}

#[test_case("RANK", &["WORLD_SIZE", "RANK"]; "size without rank")]
#[test_case("WORLD_SIZE", &["WORLD_SIZE", "RANK"]; "rank without size")]
#[test_case("MASTER_PORT", &["MASTER_PORT"]; "no port")]
#[test_case("RAILTOP_JOB_SECRET", &["RAILTOP_JOB_SECRET"]; "no secret")]
fn a_missing_variable_is_named(missing: &str, named: &[&str]) {
    let site = Site::new();
    let outcome = site.run(Job::new(&site, 2).pe(0, "").env_remove(missing)).code(2);
    assert!(outcome.stdout.is_empty());
    assert!(named.iter().all(|name| outcome.stderr.contains(name)), "{}", outcome.stderr);
}

#[test_case("RANK", "2"; "a rank as large as the size")]
#[test_case("RANK", "first"; "a rank that is no number")]
#[test_case("WORLD_SIZE", "-2"; "a negative size")]
#[test_case("MASTER_PORT", "99999"; "a port out of range")]
#[test_case("RAILTOP_JOB_SECRET", "hunter2"; "a secret that is none")]
#[test_case("RAILTOP_NIC_RATE_BPS", "fast"; "a rate that is no number")]
fn a_wrong_variable_is_named(name: &str, value: &str) {
    let site = Site::new();
    let outcome = site.run(Job::new(&site, 2).pe(0, "").env(name, value)).code(2);
    let shown = name.trim_start_matches("RAILTOP_").to_lowercase();
    let said = outcome.stderr.contains(name) || (name == "RANK" && outcome.stderr.contains(&shown));
    assert!(said, "{}", outcome.stderr);
    assert!(!outcome.stderr.contains("hunter2"), "a secret is not for the log: {}", outcome.stderr);
}

#[test]
fn a_pe_that_never_comes_is_named() {
    let Some(_alone) = ready() else { return };
    let site = Site::new();
    let job = Job::new(&site, 2);
    let [outcome] = job.run(vec![job.pe(0, "--join-timeout 1s")]).try_into().unwrap();
    let outcome = outcome.code(1);
    assert!(outcome.stderr.contains("PE 1 did not join"), "{}", outcome.stderr);

    let [outcome] = job.run(vec![job.pe(1, "--join-timeout 1s")]).try_into().unwrap();
    let outcome = outcome.code(1);
    let place = format!("cannot reach PE 0 at 127.0.0.1:{}", job.port());
    assert!(outcome.stderr.contains(&place), "{}", outcome.stderr);
    assert_eq!(outcome.stderr.matches("Connection refused").count(), 1, "said once: {}", outcome.stderr);
}

#[test]
fn pes_of_different_sizes_are_told_so_on_both_sides() {
    let Some(_alone) = ready() else { return };
    let site = Site::new();
    let job = Job::new(&site, 2);
    for outcome in job.run(vec![job.pe(0, "-e 4M"), job.pe(1, "-e 8M")]) {
        let outcome = outcome.code(1);
        for part in ["do not fit together", "symmetric heap", "PE 0", "PE 1"] {
            assert!(outcome.stderr.contains(part), "{}", outcome.stderr);
        }
    }
}

#[test]
fn a_wrong_secret_does_not_get_in_and_both_sides_say_why() {
    let Some(_alone) = ready() else { return };
    let site = Site::new();
    let job = Job::new(&site, 2);
    let mut stranger = job.pe(1, "--join-timeout 6s");
    stranger.env("RAILTOP_JOB_SECRET", SECRET.replace("0f", "f0"));
    let [first, second] = job.run(vec![job.pe(0, "--join-timeout 6s"), stranger]).try_into().unwrap();
    let (first, second) = (first.code(1), second.code(1));
    assert!(second.stderr.contains("RAILTOP_JOB_SECRET"), "{}", second.stderr);
    assert!(first.stderr.contains("PE 1 did not join"), "{}", first.stderr);
    assert!(first.stderr.contains("refused a connection from 127.0.0.1"), "{}", first.stderr);
}

/// A connection to PE 0, once it listens.
fn knock(port: u16) -> TcpStream {
    eventually("PE 0 listens", || TcpStream::connect(("127.0.0.1", port)).ok())
}

#[test]
fn attacks_by_the_hundred_are_refused_and_said_once_per_kind() {
    let Some(_alone) = ready() else { return };
    let site = Site::new();
    let job = Job::new(&site, 2);
    let words = "-b 64K -e 64K -n 3 -w 1 --verify --format json --join-timeout 200s";
    let first = site.start(&mut job.pe(0, words));
    // Held open while the job comes together: more than there are places.
    let half_open: Vec<_> = (0..300).map(|_| knock(job.port())).collect();
    for round in 0..40_u32 {
        let _ = knock(job.port()).write_all(&round.to_be_bytes().repeat(250_000));
        let _ = knock(job.port()).write_all(b"\x2b\0\0\0\x01railtop");
        let _ = knock(job.port()).write_all(b"SSH-2.0-OpenSSH_9.2p1\r\n");
    }
    let mut stranger = job.pe(1, "");
    stranger.env("RAILTOP_JOB_SECRET", SECRET.replace("0f", "f0"));
    let stranger = site.run(&mut stranger).code(1);
    assert!(stranger.stderr.contains("RAILTOP_JOB_SECRET"), "{}", stranger.stderr);
    let second = site.run(&mut job.pe(1, words)).code(0);
    let first = first.finish(SECONDS).code(0);
    drop(half_open);
    assert_eq!((second.stdout.as_str(), second.stderr.contains("refused")), ("", false), "{second:#?}");
    Results::of(&first).assert_exact();
    let said: Vec<_> = first.stderr.lines().filter(|line| line.contains("rendezvous:")).collect();
    for kind in ["not a handshake", "closed in mid-handshake", "too many at once"] {
        let lines =
            said.iter().filter(|line| line.contains(kind) && line.contains("refused a connection from"));
        assert_eq!(lines.count(), 1, "{kind}: {said:#?}");
    }
    let sums: Vec<_> = said.iter().filter(|line| line.contains("connections in all: ")).collect();
    assert_eq!(sums.len(), 1, "{said:#?}");
    let count = sums[0].split("in all: ").nth(1).unwrap().split(' ').next().unwrap();
    assert!(count.parse::<u32>().unwrap() >= 80, "garbage of two kinds, 40 times: {}", sums[0]);
    assert!(said.len() <= 6, "at most one line per kind and the sum: {said:#?}");
}

#[test]
fn a_put_between_three_is_usage_for_all() {
    let Some(_alone) = ready() else { return };
    let site = Site::new();
    let job = Job::new(&site, 3);
    for outcome in job.run((0..3).map(|rank| job.pe(rank, "")).collect()) {
        let outcome = outcome.code(2);
        assert!(outcome.stderr.contains("needs exactly 2 PEs, this job has 3"), "{}", outcome.stderr);
    }
}

#[test]
fn a_nic_that_is_not_there_is_named() {
    let Some(_alone) = ready() else { return };
    let site = Site::new();
    // From the block for documentation (RFC 5737): nobody's address.
    let job = Job::new(&site, 2);
    let mut lost = job.pe(1, "");
    lost.env("RAILTOP_NICS", "192.0.2.7");
    for outcome in job.run(vec![job.pe(0, ""), lost]) {
        let outcome = outcome.code(1);
        assert!(outcome.stderr.contains("192.0.2.7"), "{}", outcome.stderr);
    }
}
