//! `check`, `log` and `list` beside a job that runs in a lab: the monitor says what the job's own results say.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::kill::records;
use crate::support::{LONG_RUN, Running, Shape, Site, eventually, lab_machine};

const SHAPE: Shape = Shape { nodes: 2, pes_per_node: 4, nics_per_pe: 4, nic_rate: "20mbit" };

/// Bytes per PE pair and iteration: small, so that a second holds many iterations.
const BLOCK: u64 = 64 << 10;

/// What is under way counts on one side only: a block from each of 4 peers, in both buffers of a socket.
const UNDER_WAY: f64 = 2.0 * 4.0 * BLOCK as f64;

/// Starts an all-to-all and waits until the monitor sees every PE carry payload.
fn traffic(site: &Site, policy: &str) -> Running {
    let words = format!("alltoall --policy {policy} -b 512K -e 512K -w 1 {LONG_RUN} --format json");
    let running = site.start(&mut site.bench_in_lab(SHAPE, &words));
    eventually("8 PEs carry payload", || {
        let outcome = site.run(site.railtop().args(["log", "-n", "1", "--source", "page"]));
        let lines = if outcome.status.success() { outcome.lines() } else { Vec::new() };
        let busy = lines.iter().filter(|line| line["rx_bytes"].as_u64().is_some_and(|bytes| bytes > BLOCK));
        let pes: std::collections::BTreeSet<_> = busy.map(|line| line["pe"].as_u64()).collect();
        (pes.len() == 8).then_some(())
    });
    running
}

/// `check --format json` for two seconds, which must end with this code.
fn groups(site: &Site, code: i32) -> (Value, Vec<Value>) {
    let words = ["check", "--duration", "2s", "--source", "page", "--format", "json"];
    let report = site.run(site.railtop().args(words)).code(code).json();
    let groups = report["groups"].as_array().unwrap().clone();
    assert_eq!(groups.len(), 16, "8 PEs, 2 directions");
    (report["verdict"].clone(), groups)
}

#[test]
fn check_finds_round_robin_skewed_while_it_runs() {
    let Some(_alone) = lab_machine() else { return };
    let site = Site::new();
    let _traffic = traffic(&site, "round-robin");
    let (verdict, groups) = groups(&site, 1);
    assert_eq!(verdict, "skewed");
    for group in &groups {
        let ratio = group["max_over_mean"].as_f64().unwrap();
        assert_eq!(group["nics"], 4);
        match group["direction"].as_str().unwrap() {
            "tx" => assert!(group["verdict"] == "balanced" && group["active_nics"] == 4, "{group}"),
            _ => {
                assert!(group["verdict"] == "skewed" && group["active_nics"] == 1 && ratio >= 3.5, "{group}");
            }
        }
    }
    // In one direction the load is even, and `check` can be asked for that one only.
    site.run(site.railtop().args(["check", "--duration", "2s", "--source", "page", "--direction", "tx"]))
        .code(0);
    let text = site.run(site.railtop().args(["check", "--duration", "500ms"])).code(1).stdout;
    assert!(text.contains("all is received by nic") && text.ends_with("skewed\n"), "{text}");
}

#[test]
fn check_log_and_list_agree_with_an_even_job() {
    let Some(_alone) = lab_machine() else { return };
    let site = Site::new();
    let _traffic = traffic(&site, "pair-seq");
    let (verdict, _) = groups(&site, 0);
    assert_eq!(verdict, "balanced");
    site.run(site.railtop().args(["check", "--duration", "2s"])).code(0);

    let inventory = site.run(site.railtop().args(["list", "--format", "json"])).code(0).json();
    let pes = inventory["pes"].as_array().unwrap();
    let seen: Vec<_> =
        pes.iter().map(|pe| (pe["pe"].as_u64().unwrap(), pe["node"].as_str().unwrap())).collect();
    let expected: Vec<_> = (0..8).map(|pe| (pe, if pe < 4 { "node0" } else { "node1" })).collect();
    assert_eq!(seen, expected);
    for pe in pes {
        assert_eq!((&pe["state"], &pe["policy"]), (&"alive".into(), &"pair-seq".into()));
        assert_eq!(pe["nics"].as_array().unwrap().len(), 4);
        assert!(pe["command"].as_str().unwrap().starts_with("bench alltoall"), "{pe}");
    }
    let text = site.run(site.railtop().arg("list")).code(0).stdout;
    assert_eq!(text.lines().filter(|line| line.contains("pair-seq") && line.contains("alive")).count(), 8);

    // Enough to be compared, however long that takes.
    eventually("every NIC has carried something", || {
        let lines = records(&site);
        let busy = lines.iter().filter(|line| {
            ["tx_bytes", "rx_bytes"].iter().all(|key| line[*key].as_f64() > Some(2.0 * UNDER_WAY))
        });
        (busy.count() == 32).then_some(())
    });
    let words = ["log", "-n", "3", "-i", "300ms", "--format", "jsonl"];
    let lines = site.run(site.railtop().args(words)).code(0).lines();
    assert_eq!(lines[0]["type"], "header");
    kernel_beside_transport(&lines[1..]);
}

/// Each of the 32 NICs of PEs is there by both sources in each tick, and they agree.
fn kernel_beside_transport(lines: &[Value]) {
    let mut ticks = BTreeMap::<_, BTreeMap<_, Vec<_>>>::new();
    for line in lines {
        let nic = (line["pe"].as_u64().unwrap(), line["dev"].as_str().unwrap());
        ticks.entry(line["ts"].as_str().unwrap()).or_default().entry(nic).or_default().push(line);
    }
    assert_eq!(ticks.len(), 3);
    for (index, nics) in ticks.values().enumerate() {
        assert_eq!(nics.len(), 32);
        for records in nics.values() {
            let [page, netdev] = records[..] else { panic!("not two sources: {records:#?}") };
            assert_eq!((&page["source"], &netdev["source"]), (&"page".into(), &"netdev".into()));
            assert_eq!((&page["rate_bps"], &netdev["rate_bps"]), (&20_000_000.into(), &20_000_000.into()));
            for record in [page, netdev] {
                assert_eq!(
                    record.get("rx_bytes_per_s").is_some(),
                    index > 0,
                    "a rate needs two reads: {record}"
                );
            }
            for direction in ["tx_bytes", "rx_bytes"] {
                let (payload, kernel) =
                    (page[direction].as_f64().unwrap(), netdev[direction].as_f64().unwrap());
                assert!(payload > 2.0 * UNDER_WAY, "too little to compare: {page}");
                assert!(
                    kernel >= payload - UNDER_WAY && kernel <= 1.05 * payload + UNDER_WAY,
                    "{direction}: payload {payload}, kernel {kernel}: {page} {netdev}"
                );
            }
        }
    }
}
