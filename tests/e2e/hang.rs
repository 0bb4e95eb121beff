//! PEs that stand still (SIGSTOP: nothing closes, nothing comes), for longer than the limit and for less.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::kill::{Victim, records};
use crate::rendezvous::{Job, ready};
use crate::support::{
    LONG_RUN, RAILTOP, Results, Running, SECONDS, Shape, Site, eventually, in_a_run_of, lab_machine,
    signal_pid,
};

/// Stops processes and waits until they stand still; false when one has ended.
fn stop(pids: &[u32]) -> bool {
    // Together: who goes on while others stand still could miss them.
    for &pid in pids {
        signal_pid(pid, Signal::SIGSTOP);
    }
    pids.iter().all(|pid| {
        eventually("the process has stopped", || {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            match stat.rsplit(')').next().unwrap_or_default().trim_start().chars().next() {
                Some('T') => Some(true),
                None | Some('Z' | 'X') => Some(false),
                Some(_) => None,
            }
        })
    })
}

fn go_on(pid: u32) {
    signal_pid(pid, Signal::SIGCONT);
}

/// These had ended before they could be stopped, or end now, both of them well.
fn over(pair: [Running; 2]) -> Option<()> {
    for pe in &pair {
        go_on(pe.pid());
    }
    for pe in pair {
        pe.finish(SECONDS).code(0);
    }
    None
}

#[test]
fn a_pe_that_stands_still_ends_the_job_and_is_named_by_all() {
    let Some(_alone) = lab_machine() else { return };
    for stopped in [2, 0] {
        let site = Site::new();
        let victim = Victim::start_with(&site, &format!("{LONG_RUN} --pe-timeout 4s")).expect("it runs on");
        assert!(stop(&[victim.pids[stopped]]));
        // The lab ends with the first survivor's code, and kills who does not even react to SIGTERM.
        let outcome = victim.end().code(1);
        for survivor in (0..4).filter(|&pe| pe != stopped) {
            let witness = if stopped == 0 { survivor } else { 0 };
            let said = format!(
                "[pe {survivor} node{}] railtop: PE {stopped} hangs or is cut off: PE {witness} heard nothing from it for",
                survivor / 2
            );
            assert!(outcome.stderr.contains(&said), "no {said:?} in {}", outcome.stderr);
        }
        assert!(outcome.stderr.contains("--pe-timeout is 4 s"), "{}", outcome.stderr);
        assert!(!outcome.stderr.contains("panicked"), "{}", outcome.stderr);
        // Those who left in good order took their pages along; the one that was killed in the end is dead to see.
        let left = records(&site);
        let pes: BTreeSet<_> = left.iter().map(|line| line["pe"].as_u64().unwrap()).collect();
        assert_eq!(pes, BTreeSet::from([stopped as u64]), "{left:#?}");
        let dead = |line: &serde_json::Value| line["flags"].as_array().unwrap().contains(&"dead".into());
        assert!(left.iter().all(dead), "{left:#?}");
    }
}

#[test]
fn a_pe_that_stands_still_for_less_than_the_limit_changes_nothing() {
    let Some(_alone) = lab_machine() else { return };
    in_a_run_of([4, 40, 400], |seconds| {
        let site = Site::new();
        // A sixtieth of the limit is a second.
        let words = format!("--duration {seconds}s --pe-timeout 60s --verify --format json");
        let victim = Victim::start_with(&site, &words)?;
        for stopped in [1, 0] {
            if !stop(&[victim.pids[stopped]]) {
                victim.end().code(0);
                return None;
            }
            std::thread::sleep(Duration::from_secs(1));
            go_on(victim.pids[stopped]);
        }
        let outcome = victim.end_within(Duration::from_secs(u64::from(seconds)) + SECONDS).code(0);
        Results::of(&outcome).assert_exact();
        assert!(!outcome.stderr.contains("hangs"), "{}", outcome.stderr);
        Some(())
    });
}

/// More PEs than cores, all of them busy, and a limit a fifth of the usual one.
#[test]
fn a_busy_machine_blames_nobody() {
    let Some(_alone) = lab_machine() else { return };
    let site = Site::new();
    let shape = Shape { nodes: 2, pes_per_node: 8, nics_per_pe: 1, nic_rate: "100mbit" };
    let mut command = site.bench_in_lab(shape, "alltoall -b 1M -e 1M -n 10 -w 1 --verify --format json");
    // Through the environment, as a launcher would.
    let outcome = site.run(command.env("RAILTOP_PE_TIMEOUT", "2s")).code(0);
    Results::of(&outcome).assert_exact();
    assert!(!outcome.stderr.contains("hangs"), "{}", outcome.stderr);
}

/// Two PEs started by hand, with traffic between them; `None` when they have ended meanwhile.
fn pair(site: &Site, words: &str) -> Option<[Running; 2]> {
    let job = Job::new(site, 2);
    let words = format!("-b 1M -e 1M -w 1 --verify {words}");
    let mut pair = [0, 1].map(|rank| site.start(&mut job.pe(rank, &words)));
    pair[0].meanwhile("2 PEs carry payload", || {
        let lines = records(site);
        lines.iter().any(|line| line["rx_bytes"].as_u64() > Some(1 << 20)).then_some(())
    })?;
    Some(pair)
}

#[test]
fn a_pe_that_wakes_up_finds_its_job_gone_says_so_and_ends() {
    let Some(_alone) = ready() else { return };
    for (stopped, found) in [
        (
            1,
            "PE 1, this one, stood still or was cut off, and the job has ended without it: PE 0 heard nothing",
        ),
        (0, "PE 1: PE 0 hangs or is cut off: PE 1 heard nothing from it for"),
    ] {
        let site = Site::new();
        let [first, second] = pair(&site, &format!("{LONG_RUN} --pe-timeout 3s")).expect("they run on");
        let (hung, other) = if stopped == 0 { (first, second) } else { (second, first) };
        assert!(stop(&[hung.pid()]));
        let other = other.finish(SECONDS).code(1);
        assert!(other.stderr.contains(&format!("PE {stopped} hangs or is cut off")), "{}", other.stderr);
        go_on(hung.pid());
        let hung = hung.finish(SECONDS).code(1);
        assert!(hung.stderr.contains(found), "{}", hung.stderr);
        assert_eq!(records(&site).len(), 0, "both left in good order");
    }
}

/// A suspended machine, a debugger on all of them: longer than any limit, and nobody is to blame.
#[test]
fn a_machine_that_stands_still_as_a_whole_blames_nobody() {
    let Some(_alone) = ready() else { return };
    in_a_run_of([5, 40, 400], |seconds| {
        let site = Site::new();
        let pair = pair(&site, &format!("--duration {seconds}s --pe-timeout 2s --timeout 3s"))?;
        if !stop(&[pair[0].pid(), pair[1].pid()]) {
            return over(pair);
        }
        std::thread::sleep(Duration::from_secs(5));
        for pe in &pair {
            go_on(pe.pid());
        }
        for pe in pair {
            let outcome = pe.finish(Duration::from_secs(u64::from(seconds)) + SECONDS).code(0);
            assert!(!outcome.stderr.contains("hangs"), "{}", outcome.stderr);
        }
        Some(())
    });
}

#[test]
fn without_a_limit_a_pe_may_stand_still_for_long() {
    let Some(_alone) = ready() else { return };
    in_a_run_of([5, 40, 400], |seconds| {
        let site = Site::new();
        let pair = pair(&site, &format!("--duration {seconds}s --pe-timeout 0"))?;
        if !stop(&[pair[1].pid()]) {
            return over(pair);
        }
        std::thread::sleep(Duration::from_secs(3));
        go_on(pair[1].pid());
        for pe in pair {
            pe.finish(Duration::from_secs(u64::from(seconds)) + SECONDS).code(0);
        }
        Some(())
    });
}

#[test]
fn a_limit_that_is_too_short_is_refused() {
    let site = Site::new();
    let mut command = site.railtop();
    let outcome = site.run(command.args(["bench", "put", "--pe-timeout", "5ms"])).code(2);
    assert!(outcome.stderr.contains("at least 100 ms, or 0"), "{}", outcome.stderr);
    // A lab passes the variable on.
    let mut command = site.railtop();
    command.args(["lab", "--loopback", "--pes-per-node", "1", "--", RAILTOP, "bench", "alltoall"]);
    let outcome = site.run(command.env("RAILTOP_PE_TIMEOUT", "5ms")).code(2);
    assert!(
        outcome.stderr.contains("RAILTOP_PE_TIMEOUT") || outcome.stderr.contains("--pe-timeout"),
        "{outcome:?}"
    );
}
