//! MPI over libfabric: an all-to-all of known size.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use counters::RxSource;

use crate::support::{HOOK, Page, Stage, Way, compile, libfabric2, run};

const RANKS: u64 = 4;
/// Rounds of an all-to-all, and bytes from each to each.
const ROUNDS: u64 = 20;
const BYTES: u64 = 1000;

/// Open MPI's library, where the dynamic loader knows it.
fn open_mpi() -> Option<PathBuf> {
    let version = Command::new("mpirun").arg("--version").output().ok()?;
    String::from_utf8_lossy(&version.stdout).contains("Open MPI").then_some(())?;
    let output = Command::new("ldconfig").arg("-p").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find(|line| line.trim_start().starts_with("libmpi.so.40 "))?;
    Some(PathBuf::from(line.rsplit_once("=> ")?.1.trim()))
}

/// What every rank has sent and received: bytes by NIC, in the order of ranks.
fn traffic(pages: &[Page]) -> Vec<(u64, u64)> {
    assert_eq!(pages.len() as u64, RANKS, "{pages:?}");
    let mut ranks: Vec<_> = pages
        .iter()
        .map(|page| {
            let [(_, sent), (_, received)] = page.totals();
            assert_eq!(page.identity.world, 4);
            (page.identity.rank, sent, received)
        })
        .collect();
    ranks.sort_unstable();
    assert_eq!(ranks.iter().map(|rank| rank.0).collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert_eq!(ranks.iter().map(|rank| rank.1).sum::<u64>(), ranks.iter().map(|rank| rank.2).sum::<u64>());
    ranks.into_iter().map(|(_, sent, received)| (sent, received)).collect()
}

/// What a library sends to begin and to end is its own affair. Twice the rounds are exactly that much more.
fn check(mut run: impl FnMut(u64) -> Vec<Page>) {
    let (once, twice) = (traffic(&run(ROUNDS)), traffic(&run(2 * ROUNDS)));
    let payload = ROUNDS * BYTES * (RANKS - 1);
    for (rank, (once, twice)) in once.into_iter().zip(twice).enumerate() {
        assert_eq!((twice.0 - once.0, twice.1 - once.1), (payload, payload), "rank {rank}");
    }
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
        check(|rounds| {
            let stage = Stage::new();
            run(mpirun(&stage, way).arg(&program).args([rounds, BYTES].map(|n| n.to_string())));
            stage.pages()
        });
    }
    // A look for a message tells of it twice: so what has arrived is not known any more, and what was sent is.
    let stage = Stage::new();
    run(mpirun(&stage, HOOK).arg(&program).args(["1", "1000", "probe"]));
    let pages = stage.pages();
    assert_eq!(pages.len() as u64, RANKS);
    for page in pages {
        assert_eq!(page.snapshot.rx_source, RxSource::None);
        let counts = page.nic().counts;
        assert!(counts.tx_done_bytes >= BYTES * RANKS && counts.tx_done_bytes == counts.tx_posted_bytes);
    }
}

/// Open MPI's launcher of all ranks, over libfabric.
fn mpirun(stage: &Stage, way: Way) -> Command {
    let mut command = stage.command("mpirun", way);
    command.args(["--allow-run-as-root", "--oversubscribe", "-n", "4"]);
    command.args(["--mca", "pml", "cm", "--mca", "mtl", "ofi"]);
    command.args(["--mca", "mtl_ofi_provider_include", "tcp;ofi_rxm"]).env("OMPI_MCA_plm_rsh_agent", "false");
    command
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
    // Python's wheels do not keep the bit that lets a program run.
    for name in ["mpiexec.hydra", "hydra_pmi_proxy"] {
        let file = root.join("bin").join(name);
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).unwrap();
    }
    check(|rounds| {
        let stage = Stage::new();
        let mut command = stage.command(root.join("bin/mpiexec.hydra"), HOOK);
        command.args(["-n", "4"]).arg(&program).args([rounds, BYTES].map(|n| n.to_string()));
        // Otherwise ranks of one node talk through shared memory.
        command.env("MPIR_CVAR_NOLOCAL", "1").env("MPIR_CVAR_CH4_NETMOD", "ofi").env("FI_PROVIDER", "tcp");
        command.env("LD_LIBRARY_PATH", &paths);
        run(&mut command);
        stage.pages()
    });
}
