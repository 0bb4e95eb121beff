//! A NIC that goes down in mid-run and comes back: the run goes on, its data are verified, and the NIC is used again.

use std::process::Command;

use serde_json::Value;

use crate::kill::records;
use crate::support::{Shape, Site, eventually, lab_machine, processes_with};

const SHAPE: Shape = Shape { nodes: 2, pes_per_node: 1, nics_per_pe: 3, nic_rate: "50mbit" };

/// Runs `ip` in the network namespace of a process.
fn ip_in(pid: u32, words: &str) {
    let status = Command::new("nsenter")
        .arg(format!("--net=/proc/{pid}/ns/net"))
        .arg("ip")
        .args(words.split_whitespace())
        .status()
        .unwrap();
    assert!(status.success(), "ip {words}");
}

/// What PE 1's nic1 says of `key`, where its page is there.
fn of_nic(lines: &[Value], key: &str) -> Option<u64> {
    let nic = lines.iter().find(|line| line["pe"] == 1 && line["dev"] == "nic1")?;
    nic["counters"][key].as_u64()
}

#[test]
fn a_nic_that_goes_down_and_up_again_costs_no_byte() {
    let Some(_alone) = lab_machine() else { return };
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: entering the lab's namespaces needs root");
        return;
    }
    let site = Site::new();
    let words = "alltoall -b 1M -e 1M -w 1 --duration 25s --verify --policy pair-seq --format json";
    let mut bench = site.bench_in_lab(SHAPE, words);
    bench.env("RAILTOP_NIC_TIMEOUT", "500ms");
    let lab = site.start(&mut bench);
    eventually("traffic on PE 1's nic1", || (of_nic(&records(&site), "rx_bytes")? > 1 << 20).then_some(()));
    let job = records(&site)[0]["job"].as_str().unwrap().to_owned();
    let of_job = |pid: u32| processes_with("RAILTOP_JOB").contains(&(pid, job.clone()));
    let pid = processes_with("RANK")
        .into_iter()
        .find(|(pid, rank)| rank == "1" && of_job(*pid))
        .map(|(pid, _)| pid);
    let pid = pid.expect("PE 1's process");

    ip_in(pid, "link set nic1 down");
    eventually("the page says so", || (of_nic(&records(&site), "down")? == 1).then_some(()));
    let total = || records(&site).iter().filter_map(|line| line["rx_bytes"].as_u64()).sum::<u64>();
    let before = total();
    eventually("the others go on", || (total() > before + (8 << 20)).then_some(()));
    assert_eq!(of_nic(&records(&site), "down"), Some(1));

    // A link that goes down forgets its neighbours and its routes; the lab's addresses are numbered through.
    ip_in(pid, "link set nic1 up");
    ip_in(pid, "neigh replace 10.77.255.254 lladdr 02:00:00:20:00:05 dev nic1 nud permanent");
    ip_in(pid, "route replace 10.77.0.0/16 via 10.77.255.254 dev nic1 onlink src 10.77.0.5 table 1001");
    eventually("it is used again", || (of_nic(&records(&site), "down")? == 0).then_some(()));
    let sent = of_nic(&records(&site), "tx_done_bytes").unwrap();
    eventually("and carries traffic", || (of_nic(&records(&site), "tx_done_bytes")? > sent).then_some(()));

    let outcome = lab.finish(std::time::Duration::from_secs(50)).code(0);
    let rows: Vec<_> = outcome.lines().into_iter().filter(|line| line["type"] == "row").collect();
    assert!(rows.len() == 1 && rows[0]["verified"] == true, "{rows:?}");
    assert!(outcome.stderr.contains("NIC nic1 of PE 1 failed during the run"), "{}", outcome.stderr);
}
