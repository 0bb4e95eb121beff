//! A NIC that goes down in mid-run and comes back: the run goes on, its data are verified, and the NIC is used again.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use test_case::test_case;

use crate::kill::records;
use crate::support::{Outcome, Running, SECONDS, Shape, Site, in_a_run_of, lab_machine, processes_with};

const SHAPE: Shape = Shape { nodes: 2, pes_per_node: 1, nics_per_pe: 3, nic_rate: "50mbit" };

/// Runs `ip` in the network namespace of a process; `None` when that has ended.
fn ip_in(lab: &mut Running, pid: u32, words: &str) -> Option<()> {
    let status = Command::new("nsenter")
        .arg(format!("--net=/proc/{pid}/ns/net"))
        .arg("ip")
        .args(words.split_whitespace())
        .status()
        .unwrap();
    if lab.has_ended() {
        return None;
    }
    assert!(status.success(), "ip {words}");
    Some(())
}

/// What PE 1's nic1 says of `key`, where its page is there.
fn of_nic(lines: &[Value], key: &str) -> Option<u64> {
    let nic = lines.iter().find(|line| line["pe"] == 1 && line["dev"] == "nic1")?;
    nic["counters"][key].as_u64()
}

#[test_case("pair-seq")]
#[test_case("stripe"; "each put goes over the failed one, too")]
fn a_nic_that_goes_down_and_up_again_costs_no_byte(policy: &str) {
    let Some(_alone) = lab_machine() else { return };
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: entering the lab's namespaces needs root");
        return;
    }
    let outcome = in_a_run_of([12, 50, 400], |seconds| fail_over(policy, seconds)).code(0);
    let rows: Vec<_> = outcome.lines().into_iter().filter(|line| line["type"] == "row").collect();
    assert!(rows.len() == 1 && rows[0]["verified"] == true, "{rows:?}");
    for said in [
        "railtop: PE 1: NIC nic1: out of use, its work goes over the others: ",
        "railtop: PE 1: NIC nic1: in use again",
        "NIC nic1 of PE 1 failed during the run",
    ] {
        assert!(outcome.stderr.contains(said), "{said}\n{}", outcome.stderr);
    }
}

/// Takes PE 1's nic1 down and up again within a run of a policy and of so many seconds; `None` when that was over before.
fn fail_over(policy: &str, seconds: u32) -> Option<Outcome> {
    let site = Site::new();
    let words =
        format!("alltoall -b 1M -e 1M -w 1 --duration {seconds}s --verify --policy {policy} --format json");
    let mut bench = site.bench_in_lab(SHAPE, &words);
    bench.env("RAILTOP_NIC_TIMEOUT", "500ms");
    let mut lab = site.start(&mut bench);
    let look = |key: &str| of_nic(&records(&site), key);
    lab.meanwhile("traffic on PE 1's nic1", || (look("rx_bytes")? > 1 << 20).then_some(()))?;
    let job = records(&site).first()?["job"].as_str().unwrap().to_owned();
    let of_job = |pid: u32| processes_with("RAILTOP_JOB").contains(&(pid, job.clone()));
    let pid = processes_with("RANK").into_iter().find(|(pid, rank)| rank == "1" && of_job(*pid));
    if lab.has_ended() {
        return None;
    }
    let (pid, _) = pid.expect("PE 1's process");

    ip_in(&mut lab, pid, "link set nic1 down")?;
    lab.meanwhile("the page says so", || (look("down")? == 1).then_some(()))?;
    let total = || records(&site).iter().filter_map(|line| line["rx_bytes"].as_u64()).sum::<u64>();
    let before = total();
    lab.meanwhile("the others go on", || (total() > before + (8 << 20)).then_some(()))?;
    let down = look("down");
    if lab.has_ended() {
        return None;
    }
    assert_eq!(down, Some(1));

    // A link that goes down forgets its neighbours and its routes; the lab's addresses are numbered through.
    ip_in(&mut lab, pid, "link set nic1 up")?;
    ip_in(&mut lab, pid, "neigh replace 10.77.255.254 lladdr 02:00:00:20:00:05 dev nic1 nud permanent")?;
    ip_in(
        &mut lab,
        pid,
        "route replace 10.77.0.0/16 via 10.77.255.254 dev nic1 onlink src 10.77.0.5 table 1001",
    )?;
    lab.meanwhile("it is used again", || (look("down")? == 0).then_some(()))?;
    let sent = lab.meanwhile("its page", || look("tx_done_bytes"))?;
    lab.meanwhile("and carries traffic", || (look("tx_done_bytes")? > sent).then_some(()))?;
    Some(lab.finish(Duration::from_secs(u64::from(seconds)) + SECONDS))
}
