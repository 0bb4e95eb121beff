//! `railtop top --nodes-from-slurm` within a job and from outside of it: the nodes' exporters, and `railtop log` by srun.

use std::path::Path;

use serde_json::Value;

use crate::cluster::{Cluster, RAILTOP};

/// Rows by node, in their order, and whether all of them have a group with the devices of the fixture.
fn nodes(text: &str) -> Vec<(String, String)> {
    let document: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let rows = document["rows"].as_array().unwrap();
    let mut nodes: Vec<(String, String)> = rows
        .iter()
        .map(|row| {
            let nics: Vec<&str> =
                row["nics"].as_array().unwrap().iter().map(|nic| nic["dev"].as_str().unwrap()).collect();
            (row["node"].as_str().unwrap().to_owned(), nics.join(","))
        })
        .collect();
    nodes.sort();
    nodes
}

#[test]
fn a_jobs_nodes_are_found_and_asked_in_both_ways() {
    const NICS: &str = "rdmap79s0,rdmap80s0,rdmap81s0,rdmap82s0";
    const OTHERS: &str = "rdmap96s0,rdmap97s0,rdmap98s0,rdmap99s0";
    let Some(cluster) = Cluster::start(3) else { return };
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/sys/efa-p5");
    let bin = Path::new(RAILTOP).parent().unwrap().display().to_string();
    // Not node 0, where salloc runs: its name is in the list only if the list is the job's.
    let job = "srun --overlap -N 2 --ntasks-per-node=1 railtop export --listen 0.0.0.0:9812 2>exporters.err &
        exporters=$!
        for try in $(seq 60); do [ $(grep -c 'metrics at' exporters.err) = 2 ] && break; sleep 1; done
        railtop top -i 200ms --nodes-from-slurm --once=json >inside.out 2>inside.err
        railtop top -i 200ms --nodes-from-slurm --via srun --once=json >by_srun.out 2>by_srun.err
        railtop top -i 200ms --nodes-from-slurm $SLURM_JOB_ID --once >outside.out 2>outside.err
        kill $exporters; wait $exporters";
    let salloc = ["-N", "2", "-w", "node[1-2]", "sh", "-c", job];
    let mut command = cluster.command("salloc", &salloc);
    let path = format!("{bin}:{}", std::env::var("PATH").unwrap());
    let output = cluster.run(command.env("PATH", path).env("RAILTOP_SYSFS_ROOT", fixture));
    let read = |name: &str| std::fs::read_to_string(cluster.jobs().join(name)).unwrap();
    let mut said = String::from_utf8_lossy(&output.stderr).into_owned();
    for name in ["inside.err", "by_srun.err", "outside.err"] {
        said.push_str(&read(name));
    }
    assert_eq!(read("exporters.err").matches("metrics at").count(), 2, "{said}");
    let pairs = |nics: &[&str]| -> Vec<(String, String)> {
        ["node1", "node2"]
            .iter()
            .flat_map(|node| nics.iter().map(|nics| ((*node).to_owned(), (*nics).to_owned())))
            .collect()
    };
    assert_eq!(nodes(&read("inside.out")), pairs(&[NICS, OTHERS]), "{said}");
    // The log knows no GPUs: a group is a node.
    assert_eq!(nodes(&read("by_srun.out")), pairs(&[&format!("{NICS},{OTHERS}")]), "{said}");
    let outside = read("outside.out");
    assert!(
        outside.contains("node1") && outside.contains("node2") && !outside.contains("node0"),
        "{outside}"
    );
}
