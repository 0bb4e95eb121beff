//! `srun railtop bench …` without a script, a variable for the rendezvous or a flag: Slurm says all that is needed.

use crate::cluster::Cluster;
use crate::job::{code, script};

/// A job secret; a constant, since nobody else is on these nodes.
const SECRET: &str = "00112233445566778899aabbccddeeff";

/// Runs a verified all-to-all by `srun` with these arguments, and gives back its rows.
#[track_caller]
fn alltoall(cluster: &Cluster, srun: &str) -> Vec<serde_json::Value> {
    let task = script("slurm/task.sh");
    let words: Vec<&str> = srun.split_whitespace().collect();
    let bench = "bench alltoall -b 16K -e 16K -n 4 -w 1 --verify --format json".split_whitespace();
    let mut args: Vec<&str> = words;
    args.extend([task.as_str(), crate::cluster::RAILTOP]);
    args.extend(bench);
    let mut command = cluster.command("srun", &args);
    let output =
        cluster.run(command.env("RAILTOP_JOB_SECRET", SECRET).env("NODE_NICS", "nic0,nic1,nic2,nic3"));
    code(cluster, &output, 0);
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[track_caller]
fn assert_verified(lines: &[serde_json::Value], pes: usize, nics: usize) {
    let rows: Vec<_> = lines.iter().filter(|line| line["type"] == "row").collect();
    assert!(rows.len() == 1 && rows[0]["verified"] == true, "{rows:#?}");
    let ports: Vec<_> = lines.iter().filter(|line| line["type"] == "nic").collect();
    assert_eq!(ports.len(), pes * nics);
    assert!(ports.iter().all(|nic| nic["rx_bytes"] == nic["sent_to_bytes"]), "{ports:#?}");
}

#[test]
fn srun_alone_is_enough() {
    let Some(cluster) = Cluster::start(3) else { return };
    assert_verified(&alltoall(&cluster, "--mpi=none -N 2 --ntasks-per-node=2"), 4, 2);
    // Task 0 is on the step's first node, which is not the job's, and on which srun does not run.
    assert_verified(&alltoall(&cluster, "--mpi=none -N 2 --ntasks-per-node=2 -w node[1-2]"), 4, 2);
    assert_verified(&alltoall(&cluster, "--mpi=none -N 3 --ntasks-per-node=1 -m cyclic"), 3, 4);
    // One node needs no name.
    assert_verified(&alltoall(&cluster, "--mpi=none -N 1 -n 2"), 2, 2);
}

#[test]
fn srun_with_pmix_is_the_same() {
    let Some(cluster) = Cluster::start(2) else { return };
    // Debian's plugin opens libpmix.so, which only libpmix-dev brings.
    let tried =
        cluster.run(&mut cluster.command("srun", &["--mpi=pmix", "-N", "2", "sh", "-c", "echo $PMIX_RANK"]));
    if !tried.status.success() {
        eprintln!("skipped: Slurm's PMIx does not load here (package libpmix-dev)");
        return;
    }
    let mut ranks: Vec<String> =
        String::from_utf8(tried.stdout).unwrap().lines().map(ToOwned::to_owned).collect();
    ranks.sort();
    assert_eq!(ranks, ["0", "1"]);
    assert_verified(&alltoall(&cluster, "--mpi=pmix -N 2 --ntasks-per-node=2"), 4, 2);
}
