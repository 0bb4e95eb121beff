//! The other generator's plumbing: NVSHMEM's and pplx's programs need GPUs and EFA, so shell scripts stand in for them, which
//! say what environment they have and print what the programs print.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::cluster::Cluster;
use crate::job::{end, launch, results, succeeds};

/// As `perftest/device/pt-to-pt/shmem_put_bw.cu` prints it (formats of perftest/common/utils.cu), after the banner of each PE.
const PUT: &str = r#"#!/bin/bash
printf '%s CUDA_VISIBLE_DEVICES=%s %s\n' "$SLURM_PROCID" "$CUDA_VISIBLE_DEVICES" "$(env | grep -E '^(NVSHMEM|FI_)' | sort | tr '\n' ' ')" >>"$ENVIRONMENTS"
printf '%s\n' "$LD_LIBRARY_PATH $*" >>"$ENVIRONMENTS"
echo 'Runtime options after parsing command line arguments '
echo "mype: $SLURM_PROCID mype_node: 0 device name: stand-in bus id: 0 "
[ "$SLURM_PROCID" = 0 ] || exit 0
printf '#shmem_put_bw_uni\n%-10s  %-8s  %-16s\n' 'size(B)' scope 'BW (GB/sec)'
printf '%-10lu  %-8s  %-16.6f\n' 1048576 None 12.250000 134217728 None 48.875000
"#;

/// As `alltoall_latency.cu` does: two of its six tables.
const ALLTOALL: &str = r#"#!/bin/bash
[ "$SLURM_PROCID" = 0 ] || exit 0
for bits in 32 64; do
    printf '#alltoall_device\n%-10s  %-8s  %-8s  %-8s  %-16s  %-12s  %-12s\n' 'size(B)' count type scope 'latency(us)' 'algbw(GB/s)' 'busbw(GB/s)'
    printf '%-10lu  %-8lu  %-8s  %-8s  %-16.6f  %-12.3f  %-12.3f\n' 4194304 $((4194304 * 8 / bits)) $bits-bit block 368.143000 11.393 11.037
done
"#;

fn program(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn perftest_gets_its_environment_and_its_tables_become_rows() {
    let Some(cluster) = Cluster::start(2) else { return };
    let (root, environments) = (cluster.path("nvshmem"), cluster.path("environments"));
    for version in ["3.5.21", "3.6.5"] {
        let perftest = root.join(version).join("bin/perftest/device");
        program(&perftest.join("pt-to-pt/shmem_put_bw"), PUT);
        program(&perftest.join("coll/alltoall_latency"), ALLTOALL);
    }
    let job = |name: &str, flags: &str| {
        let mut command = launch(&cluster, "sbatch", "--parsable", &format!("nvshmem/{name}.sbatch"), flags);
        command
            .env("GENERATOR", "nvshmem")
            .env("VARIANTS", "3.5.21 3.6.5")
            .env("MPI", "none")
            .env("NVSHMEM_ROOT", &root)
            .env("ENVIRONMENTS", &environments)
            .env("TASKS_PER_NODE", "2");
        if name == "alltoall" {
            command.env("SBATCH_NTASKS_PER_NODE", "2");
        }
        succeeds(&cluster, &mut command);
        results(&cluster, name)
    };

    let put = job("put", "-b 1M -e 128M");
    for version in ["3.5.21", "3.6.5"] {
        let rows = put.of_type(version, "row");
        let figures: Vec<_> = rows
            .iter()
            .map(|row| (row["size"].as_u64().unwrap(), row["bw_gb_per_s"].as_f64().unwrap()))
            .collect();
        assert_eq!(figures, [(1 << 20, 12.25), (128 << 20, 48.875)], "{version}");
        let run = &put.of_type(version, "run")[0];
        assert_eq!((run["nodes"].as_u64(), run["pes"].as_u64()), (Some(2), Some(2)));
        let raw = fs::read_to_string(put.dir.join(format!("{version}.txt"))).unwrap();
        assert!(raw.contains("#shmem_put_bw_uni"), "what the program printed is kept: {raw}");
    }
    let report = put.report();
    assert!(report.contains("NVSHMEM 3.5.21") && report.contains("48.9"), "{report}");
    // One task per node, whatever the variable says: shmem_put_bw is for 2 PEs.
    let said = fs::read_to_string(&environments).unwrap();
    let expected = "CUDA_VISIBLE_DEVICES=0 FI_EFA_ENABLE_SHM_TRANSFER=0 FI_EFA_FORK_SAFE=1 FI_EFA_USE_DEVICE_RDMA=1 FI_PROVIDER=efa \
        NVSHMEMTEST_USE_MPI_LAUNCHER=1 NVSHMEM_DISABLE_CUDA_VMM=1 NVSHMEM_LIBFABRIC_PROVIDER=efa \
        NVSHMEM_REMOTE_TRANSPORT=libfabric";
    for rank in 0..2 {
        let tasks = said.lines().filter(|line| line.starts_with(&format!("{rank} {expected}"))).count();
        assert_eq!(tasks, 2, "PE {rank} of 2 versions: {said}");
    }
    let library = format!("{}/lib:", root.join("3.6.5").display());
    assert!(said.lines().any(|line| line.starts_with(&library) && line.ends_with("-b 1M -e 128M")), "{said}");

    let alltoall = job("alltoall", "-b 4M -e 4M");
    let rows = alltoall.of_type("3.6.5", "row");
    assert_eq!(rows.iter().map(|row| row["bits"].as_u64().unwrap()).collect::<Vec<_>>(), [32, 64]);
    assert_eq!(rows[0]["latency_us"].as_f64(), Some(368.143));
    assert_eq!(
        (rows[0]["busbw_gb_per_s"].as_f64(), rows[0]["scope"].as_str()),
        (Some(11.037), Some("block"))
    );
    assert_eq!(alltoall.of_type("3.6.5", "run")[0]["pes"].as_u64(), Some(4));
}

#[test]
fn a_program_that_prints_no_row_has_not_succeeded() {
    let Some(cluster) = Cluster::start(2) else { return };
    let root = cluster.path("nvshmem");
    for (version, text) in [("silent", "#!/bin/bash\necho 'mype: 0'\n"), ("3.6.5", PUT)] {
        program(&root.join(version).join("bin/perftest/device/pt-to-pt/shmem_put_bw"), text);
    }
    let mut command = launch(&cluster, "sbatch", "--parsable", "nvshmem/put.sbatch", "");
    command
        .env("GENERATOR", "nvshmem")
        .env("VARIANTS", "silent 3.6.5")
        .env("MPI", "none")
        .env("NVSHMEM_ROOT", &root)
        .env("ENVIRONMENTS", cluster.path("environments"));
    let (state, code) = end(&cluster, &mut command);
    assert_eq!((state.as_str(), code.as_str()), ("FAILED", "1:0"), "{}", cluster.logs());
    assert!(cluster.logs().contains("silent: no rows in "), "{}", cluster.logs());
    let put = results(&cluster, "put");
    assert_eq!((put.of_type("silent", "row").len(), put.of_type("3.6.5", "row").len()), (0, 2));
}

/// `bench_all_to_all.py`: a process per GPU is started by it, not by Slurm. The table as pplx-kernels writes it.
const BENCH: &str = r#"import os
num_repeat = 20
names = ["WORLD_SIZE", "WORLD_LOCAL_SIZE", "NODE_RANK", "MASTER_ADDR", "MASTER_PORT", "NVSHMEM_SYMMETRIC_SIZE"]
with open(os.environ["ENVIRONMENTS"], "a") as file:
    file.write(" ".join([os.environ[name] for name in names] + [str(num_repeat)]) + "\n")
if os.environ["NODE_RANK"] == "0":
    print("EP=4 DP=4")
    heads = [f"{name}_{what}" for name in ["Dispatch", "Combine", "Torch", "NVSHMEM"] for what in ["lat", "bw", "bytes"]]
    print("\t".join(["E", "E/tok", "tok", "dim"] + heads))
    row = [256, 8, 128, 7168]
    for us, bytes in [(6100.5, 7569408), (5700.0, 14680064), (9000.1, 242221056), (8035.1, 242221056)]:
        row += [f"{us:4.1f}μs ± {2.5:4.1f}μs", f"{bytes / us / 1e3:2.3f}GB/s", bytes]
    print("\t".join(map(str, row)))
"#;

#[test]
fn pplx_gets_its_environment_and_its_table_becomes_rows() {
    let Some(cluster) = Cluster::start(2) else { return };
    let (root, environments) = (cluster.path("pplx"), cluster.path("environments"));
    let tests = root.join("3.6.5/tests");
    program(&tests.join("bench_all_to_all.py"), BENCH);
    let mut command = launch(&cluster, "sbatch", "--parsable --ntasks-per-node=2", "pplx/moe.sbatch", "");
    command
        .env("GENERATOR", "pplx")
        .env("VARIANTS", "3.6.5")
        .env("PPLX_ROOT", &root)
        .env("TASKS_PER_NODE", "2")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("ENVIRONMENTS", &environments);
    succeeds(&cluster, &mut command);
    let results = results(&cluster, "moe");
    let rows = results.of_type("3.6.5", "row");
    let phases: Vec<_> = rows.iter().map(|row| row["phase"].as_str().unwrap().to_owned()).collect();
    assert_eq!(phases, ["dispatch", "combine", "torch", "alltoall"]);
    assert_eq!(rows[0]["latency_us"].as_f64(), Some(6100.5));
    assert_eq!((rows[0]["experts"].as_u64(), rows[0]["size"].as_u64()), (Some(256), Some(7_569_408)));
    assert_eq!(rows[3]["bw_gb_per_s"].as_f64(), Some(30.145));
    let mut said: Vec<String> =
        fs::read_to_string(&environments).unwrap().lines().map(ToOwned::to_owned).collect();
    said.sort();
    let task = |node: u32| format!("4 2 {node} 10.76.0.1 29500 4294967296 256");
    assert_eq!(said, [task(0), task(1)], "a task per node, 2 processes each");
    let source = fs::read_to_string(tests.join("bench_all_to_all.py")).unwrap();
    assert!(source.contains("num_repeat = 20"), "the source is left as it is");
}
