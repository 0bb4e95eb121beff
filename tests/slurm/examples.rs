//! Each job, from submission to report.

use crate::cluster::{Cluster, NICS};
use crate::job::{Results, code, launch, results, succeeds};

const POLICIES: [&str; 4] = ["single", "round-robin", "round-robin-offset", "pair-seq"];

/// Every node's recording has bytes of its own PEs, and the report speaks of all of it.
#[track_caller]
fn assert_recorded(cluster: &Cluster, results: &Results, receivers: &[u16]) {
    let report = results.report();
    for node in 0..cluster.nodes() {
        let ticks = results.recorded(node);
        let host = format!("node{node}");
        let rows: Vec<_> = ticks.iter().filter(|line| line["host"] == host.as_str()).collect();
        let moved = ["tx_bytes", "rx_bytes"].map(|key| rows.iter().filter_map(|row| row[key].as_u64()).max());
        assert!(moved.iter().any(|bytes| *bytes > Some(0)), "{host}: {} rows", rows.len());
        if receivers.contains(&node) {
            assert!(report.contains(&format!("{host}.rec: {host} PE")), "{report}");
        }
    }
    for policy in POLICIES {
        assert!(report.contains(policy), "{policy}: {report}");
    }
}

#[test]
fn alltoall_submitted_from_elsewhere_measures_each_policy_and_records_each_node() {
    let Some(cluster) = Cluster::start(2) else { return };
    let mut command = launch(
        &cluster,
        "sbatch",
        "--parsable --ntasks-per-node=2",
        "nvshmem/alltoall.sbatch",
        "-b 1M -e 2M -n 4 -w 1 --verify",
    );
    succeeds(&cluster, command.env("TASKS_PER_NODE", "2"));
    let results = results(&cluster, "alltoall");
    for policy in POLICIES {
        let rows = results.of_type(policy, "row");
        let sizes: Vec<_> = rows.iter().map(|row| row["size"].as_u64().unwrap()).collect();
        assert_eq!(sizes, [1 << 20, 2 << 20], "{policy}");
        assert!(rows.iter().all(|row| row["verified"] == true && row["bench"] == "alltoall"), "{rows:#?}");
        // 2 nodes of 2 PEs share 4 NICs each.
        results.assert_exact(policy, 8);
        let nodes: Vec<_> = results.of_type(policy, "nic").iter().map(|nic| nic["node"].clone()).collect();
        assert_eq!(nodes.iter().filter(|node| *node == "node1").count(), 4, "{nodes:?}");
    }
    // 2 remote peers are a multiple of 2 NICs: what the article is about.
    assert_eq!(results.balance("single", "tx"), (2.0, 1));
    assert_eq!(results.balance("round-robin", "tx"), (1.0, 2));
    assert_eq!(results.balance("round-robin", "rx"), (2.0, 1));
    for policy in ["round-robin-offset", "pair-seq"] {
        assert_eq!(results.balance(policy, "rx"), (1.0, 2), "{policy}");
    }
    assert_recorded(&cluster, &results, &[0, 1]);
    // The monitors have ended by themselves, nothing of the job is left, and its text says what was run.
    assert!(!cluster.logs().contains("a monitor ended with status"), "{}", cluster.logs());
    assert!(!results.dir.join("monitor.step").exists());
    assert_eq!(cluster.processes("railtop"), Vec::<String>::new());
    let command = &results.of_type("pair-seq", "run")[0]["command"];
    assert!(command.to_string().contains("alltoall"), "{command}");
}

#[test]
fn put_runs_inside_of_an_allocation_too() {
    let Some(cluster) = Cluster::start(2) else { return };
    let mut command = launch(
        &cluster,
        "salloc",
        "-N 2 --ntasks-per-node=1 bash",
        "nvshmem/put.sbatch",
        "-b 2M -e 2M -n 8 -w 1 --verify",
    );
    let output = cluster.run(&mut command);
    code(&cluster, &output, 0);
    let results = results(&cluster, "put");
    for policy in POLICIES {
        let rows = results.of_type(policy, "row");
        assert_eq!(rows.len(), 1, "{policy}");
        assert!(rows[0]["verified"] == true && rows[0]["bw_gb_per_s"].as_f64() > Some(0.0), "{rows:#?}");
        results.assert_exact(policy, 2 * usize::from(NICS));
    }
    assert_eq!(results.balance("single", "rx"), (4.0, 1));
    assert_eq!(results.balance("pair-seq", "rx"), (1.0, 4));
    assert_recorded(&cluster, &results, &[1]);
}

#[test]
fn moe_runs_with_railtops_generator() {
    let Some(cluster) = Cluster::start(2) else { return };
    let flags = "--config e64 --tokens 1,4 -n 2 -w 1 --verify";
    let mut command = launch(&cluster, "sbatch", "--parsable --ntasks-per-node=2", "pplx/moe.sbatch", flags);
    succeeds(&cluster, command.env("TASKS_PER_NODE", "2"));
    let results = results(&cluster, "moe");
    for policy in POLICIES {
        let rows = results.of_type(policy, "row");
        assert_eq!(rows.len(), 6, "{policy}: 2 numbers of tokens in 3 phases");
        assert!(rows.iter().all(|row| row["verified"] == true && row["bench"] == "moe"), "{rows:#?}");
        for phase in ["dispatch", "combine", "alltoall"] {
            let of: Vec<_> = rows.iter().filter(|row| row["phase"] == phase).collect();
            let tokens: Vec<_> = of.iter().map(|row| row["tokens"].as_u64().unwrap()).collect();
            assert_eq!(tokens, [1, 4], "{policy}, {phase}");
        }
        results.assert_exact(policy, 2 * usize::from(NICS));
    }
    assert_recorded(&cluster, &results, &[0, 1]);
}
