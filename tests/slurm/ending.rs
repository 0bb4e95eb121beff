//! Jobs that do not end well leave nothing running, nothing in shared memory, and what they had measured.

use crate::cluster::{Cluster, RAILTOP, processes};
use crate::job::{code, end, launch, results, submit};

#[test]
fn a_cancelled_job_leaves_no_recorder_and_no_page() {
    let Some(cluster) = Cluster::start(2) else { return };
    let mut command = launch(
        &cluster,
        "sbatch",
        "--parsable --ntasks-per-node=2",
        "nvshmem/alltoall.sbatch",
        "-b 64K -e 64K --duration 100s",
    );
    let job = submit(&cluster, command.env("TASKS_PER_NODE", "2").env("VARIANTS", "pair-seq single"));
    cluster.eventually("both nodes have the pages of 2 PEs", || {
        (0..2).all(|node| cluster.pages(node).len() >= 2).then_some(())
    });
    // Pages are there before the first byte is sent: a job that is cancelled then has nothing to report.
    let results = results(&cluster, "alltoall");
    cluster.eventually("both recorders have seen traffic", || {
        (0..2).all(|node| results.has_traffic(node)).then_some(())
    });
    let recorders = || cluster.processes("railtop").iter().filter(|line| line.contains("--record")).count();
    assert_eq!(recorders(), 2);
    let cancelled = cluster.run(&mut cluster.command("scancel", &[&job]));
    code(&cluster, &cancelled, 0);
    cluster.eventually("the job is gone", || {
        let queue = cluster.command("squeue", &["-h", "-o", "%i"]).output().unwrap();
        // A controller that does not answer in time leaves the list empty as well.
        (queue.status.success() && queue.stdout.is_empty()).then_some(())
    });
    // Between the recorders and the report there is none for a moment.
    cluster.eventually("the report", || results.dir.join("report.txt").is_file().then_some(()));
    cluster.eventually("no process of it", || cluster.processes("railtop").is_empty().then_some(()));
    for node in 0..2 {
        assert_eq!(cluster.pages(node), Vec::<String>::new(), "node{node}");
    }
    // Not cut off by SIGKILL: the recordings and the report are whole, and the second variant never began.
    for node in 0..2 {
        assert!(results.has_traffic(node), "node{node}");
    }
    assert!(results.report().contains("pair-seq"));
    assert!(!results.dir.join("single.jsonl").exists());
}

#[test]
fn a_variant_that_fails_fails_the_job_and_does_not_hide_the_others() {
    let Some(cluster) = Cluster::start(2) else { return };
    let mut command =
        launch(&cluster, "sbatch", "--parsable", "nvshmem/put.sbatch", "-b 64K -e 64K -n 4 -w 1");
    let (state, _) = end(&cluster, command.env("VARIANTS", "by-chance pair-seq"));
    assert_eq!(state, "FAILED");
    let results = results(&cluster, "put");
    assert_eq!(results.of_type("pair-seq", "row").len(), 1);
    assert_eq!(results.lines("by-chance").len(), 0);
    assert!(results.report().contains("pair-seq"));
}

#[test]
fn scripts_say_what_they_miss() {
    let Some(cluster) = Cluster::start(1) else { return };
    for (name, value, text) in [
        ("GENERATOR", "mpi", "GENERATOR=mpi is neither"),
        ("RAILTOP", "/nowhere/railtop", "no railtop at /nowhere/railtop"),
    ] {
        let mut command = launch(&cluster, "salloc", "-N 1 bash", "nvshmem/put.sbatch", "");
        let output = cluster.run(command.env(name, value));
        code(&cluster, &output, 2);
        assert!(String::from_utf8_lossy(&output.stderr).contains(text), "{output:?}");
    }
    // A script without srun has a rank, and would wait for tasks that nobody starts.
    let wrapped = format!("{RAILTOP} bench put");
    let (state, exit) =
        end(&cluster, &mut cluster.command("sbatch", &["--parsable", "-n", "2", "--wrap", &wrapped]));
    assert_eq!((state.as_str(), exit.as_str()), ("FAILED", "2:0"));
    assert!(
        cluster.logs().contains("needs MASTER_PORT: or start the PEs as the tasks of a job step: `srun"),
        "{}",
        cluster.logs()
    );
    let outside = cluster.run(
        cluster.command("bash", &[&crate::job::script("nvshmem/put.sbatch")]).env_remove("SLURM_JOB_ID"),
    );
    code(&cluster, &outside, 2);
    assert!(String::from_utf8_lossy(&outside.stderr).contains("not in a Slurm job"), "{outside:?}");
}

#[test]
fn a_cluster_that_is_dropped_leaves_nothing() {
    let Some(cluster) = Cluster::start(2) else { return };
    let dir = cluster.path("");
    let dir = dir.parent().unwrap().join(dir.file_name().unwrap());
    assert!(!processes(&dir, "slurmd").is_empty());
    drop(cluster);
    assert_eq!(processes(&dir, ""), Vec::<String>::new());
}
