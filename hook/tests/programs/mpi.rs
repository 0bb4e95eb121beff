//! MPI over libfabric: an all-to-all of known size.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{HOOK, Page, Stage, Way, compile, libfabric2};

const RANKS: u64 = 4;
/// Rounds of an all-to-all, and bytes from each to each.
const ROUNDS: u64 = 20;
const BYTES: u64 = 1000;

/// Open MPI's library, where the dynamic loader knows it.
fn open_mpi() -> Option<PathBuf> {
    let output = Command::new("ldconfig").arg("-p").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find(|line| line.trim_start().starts_with("libmpi.so.40 "))?;
    Some(PathBuf::from(line.rsplit_once("=> ")?.1.trim()))
}

/// Of every rank: what is sent to others over the NIC is what they have received, and at least the payload of the rounds.
fn check(pages: &[Page]) {
    assert_eq!(pages.len() as u64, RANKS, "{pages:?}");
    let mut ranks: Vec<_> = pages.iter().map(|page| (page.identity.rank, page.identity.world)).collect();
    ranks.sort_unstable();
    assert_eq!(ranks, (0..4).map(|rank| (rank, 4)).collect::<Vec<_>>());
    let sum = |get: fn(&Page) -> u64| pages.iter().map(get).sum::<u64>();
    let payload = ROUNDS * BYTES * (RANKS - 1);
    for page in pages {
        let counts = page.nic().counts;
        assert_eq!(counts.tx_posted_ops, counts.tx_done_ops, "rank {}", page.identity.rank);
        assert!(counts.tx_done_bytes >= payload, "rank {}: {counts:?}", page.identity.rank);
        // What the library itself sends is little beside it.
        assert!(counts.tx_done_bytes < payload + payload / 4, "rank {}: {counts:?}", page.identity.rank);
    }
    assert_eq!(sum(|page| page.nic().counts.tx_done_bytes), sum(|page| page.nic().counts.seen_rx_bytes));
    assert_eq!(sum(|page| page.nic().counts.tx_done_ops), sum(|page| page.nic().counts.rx_ops));
}

#[test]
fn an_all_to_all_of_open_mpi_is_counted() {
    let Some(library) = open_mpi() else { return println!("skipped: no libmpi.so.40 (Open MPI)") };
    if Command::new("mpirun").arg("--version").output().is_err() {
        return println!("skipped: no mpirun (package openmpi-bin)");
    }
    let Some(program) = compile("alltoall.c", "alltoall-openmpi", &["-DOPEN_MPI", library.to_str().unwrap()])
    else {
        return;
    };
    for way in [HOOK, Way::Preload] {
        let stage = Stage::new();
        let mut command = stage.command("mpirun", way);
        command.args(["--allow-run-as-root", "--oversubscribe", "-n", "4"]);
        command.args([
            "--mca",
            "pml",
            "cm",
            "--mca",
            "mtl",
            "ofi",
            "--mca",
            "mtl_ofi_provider_include",
            "tcp;ofi_rxm",
        ]);
        // Every name that the pages depend on reaches the ranks, which are children of this very environment.
        command
            .env("OMPI_MCA_plm_rsh_agent", "false")
            .arg(&program)
            .args([ROUNDS.to_string(), BYTES.to_string()]);
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        if !output.status.success() && text.contains("PML cm cannot be selected") {
            return println!("skipped: Open MPI without mtl ofi");
        }
        assert!(output.status.success(), "{text}");
        check(&stage.pages());
    }
}

#[test]
fn an_all_to_all_of_mpich_is_counted() {
    let Some(libfabric) = libfabric2() else { return };
    let lib = libfabric.parent().and_then(Path::parent).unwrap();
    let root = lib.parent().unwrap();
    let include = format!("-I{}", root.join("include").display());
    let library = lib.join("libmpi.so.12");
    let paths = [lib, &lib.join("mpich")].map(|path| path.display().to_string()).join(":");
    let link = format!("-Wl,-rpath,{paths},-rpath-link,{paths}");
    let Some(program) =
        compile("alltoall.c", "alltoall-mpich", &[&include, library.to_str().unwrap(), &link])
    else {
        return;
    };
    let stage = Stage::new();
    // Python's wheels do not keep the bit that lets a program run, so it is run by the dynamic loader's name.
    let launcher = root.join("bin/mpiexec.hydra");
    for name in ["mpiexec.hydra", "hydra_pmi_proxy"] {
        let file = root.join("bin").join(name);
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    let mut command = stage.command(launcher, HOOK);
    command.args(["-n", "4"]).arg(&program).args([ROUNDS.to_string(), BYTES.to_string()]);
    // Otherwise ranks of one node talk through shared memory.
    command.env("MPIR_CVAR_NOLOCAL", "1").env("MPIR_CVAR_CH4_OFI_ENABLE_HMEM", "0");
    command.env("MPICH_CH4_NETMOD", "ofi").env("MPIR_CVAR_CH4_NETMOD", "ofi").env("FI_PROVIDER", "tcp");
    command.env("LD_LIBRARY_PATH", &paths);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    check(&stage.pages());
}
