//! What a tick costs: the system calls of all threads together, counted by strace.

#![expect(clippy::unwrap_used, reason = "a helper of a test that fails, fails the test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use railtop::monitor::sample::Needs;
use railtop::monitor::source::sysfs::SysfsSource;

const NICS: usize = 32;
/// Tells the entry point below what to do: root, ticks, whether all counters are read.
const TASK: &str = "RAILTOP_TEST_SYSFS_COST";

/// 32 EFA NICs with all counters of the newest driver; no file of it is ever replaced, as on the kernel's own sysfs.
fn tree(root: &Path) {
    const COUNTERS: [&str; 23] = [
        "tx_bytes",
        "tx_pkts",
        "rx_bytes",
        "rx_pkts",
        "rx_drops",
        "send_bytes",
        "send_wrs",
        "recv_bytes",
        "recv_wrs",
        "rdma_read_wrs",
        "rdma_read_bytes",
        "rdma_read_wr_err",
        "rdma_read_resp_bytes",
        "rdma_write_wrs",
        "rdma_write_bytes",
        "rdma_write_wr_err",
        "rdma_write_recv_bytes",
        "retrans_bytes",
        "retrans_pkts",
        "retrans_timeout_events",
        "unresponsive_remote_events",
        "impaired_remote_conn_events",
        "lifespan",
    ];
    for nic in 0..NICS {
        let device = root.join(format!("class/infiniband/rdmap{nic}s0"));
        let port = device.join("ports/1");
        fs::create_dir_all(port.join("hw_counters")).unwrap();
        fs::create_dir_all(device.join("device")).unwrap();
        fs::write(device.join("device/uevent"), "DRIVER=efa\n").unwrap();
        fs::write(port.join("state"), "4: ACTIVE\n").unwrap();
        fs::write(port.join("phys_state"), "5: LinkUp\n").unwrap();
        fs::write(port.join("rate"), "100 Gb/sec (4X EDR)\n").unwrap();
        for name in COUNTERS {
            fs::write(port.join("hw_counters").join(name), "12\n").unwrap();
        }
    }
    fs::write(root.join(".stable"), "").unwrap();
}

/// Started by the test below, under strace.
#[test]
#[ignore = "an entry point that a test starts as a process"]
fn ticks() {
    let Ok(task) = std::env::var(TASK) else { return };
    let mut words = task.splitn(3, ' ');
    let (count, all): (u32, bool) = (words.next().unwrap().parse().unwrap(), words.next().unwrap() == "all");
    let mut source = SysfsSource::new(PathBuf::from(words.next().unwrap()), None, Vec::new());
    source.set_needs(if all { Needs::everything() } else { Needs::list() });
    for _ in 0..count {
        let sample = source.read(Duration::from_secs(60));
        assert_eq!(sample.ports.len(), NICS);
        assert!(
            sample.ports.iter().all(|p| p.reading.as_ref().is_ok_and(|r| r.traffic.tx_bytes == Some(12)))
        );
        // Threads shall be asleep when they are asked, as they are at an interval that a person uses.
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// System calls of a whole run of so many ticks.
fn calls(root: &Path, count: u32, needs: &str) -> u64 {
    let summary = root.join("summary");
    let status = Command::new("strace")
        .args(["-f", "-c", "-o"])
        .arg(&summary)
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "ticks", "-q"])
        .env(TASK, format!("{count} {needs} {}", root.display()))
        .output()
        .unwrap();
    assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stdout));
    let text = fs::read_to_string(&summary).unwrap();
    eprintln!("{text}");
    let total = text.lines().find(|l| l.trim_end().ends_with("total")).unwrap();
    // % time, seconds, usecs/call, calls, (errors,) total
    let number = |word: &str| word.parse::<u64>().ok();
    total.split_whitespace().skip(2).filter_map(number).max().unwrap()
}

fn can_trace() -> bool {
    Command::new("strace")
        .args(["-f", "-c", "-o", "/dev/null", "true"])
        .output()
        .is_ok_and(|o| o.status.success())
}

#[test]
fn reading_32_nics_costs_at_most_170_system_calls_a_tick() {
    if !can_trace() {
        eprintln!("skipped: strace is missing or may not trace");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    tree(dir.path());
    let (few, many) = (20, 420);
    let grown = calls(dir.path(), many, "list") - calls(dir.path(), few, "list");
    // One of each tick is the sleep of the entry point.
    let per_tick = grown as f64 / f64::from(many - few) - 1.0;
    eprintln!("{per_tick:.1} system calls a tick");
    // So that with the screen it is at most 200, which tests/vm counts.
    assert!(per_tick <= 170.0, "{per_tick:.1}");
    // Each NIC: two of bytes, drops, retransmits, timeouts. Less would be a check that fails.
    assert!(per_tick > 32.0 * 5.0, "{per_tick:.1}");
}
