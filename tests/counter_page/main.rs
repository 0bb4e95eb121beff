//! The counter page from both ends, through its public interface.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod directory;
mod hostile;
mod life;
mod values;

use std::{
    path::Path,
    process::{Command, Stdio},
};

use railtop::counters::{NicIdentity, PAGE_DIR_ENV, PageDir, PageSpec, RxSource};
use tempfile::TempDir;

fn spec(nics: usize, threads: u16) -> PageSpec {
    PageSpec {
        host: "host-a".into(),
        node: "n0".into(),
        job: "42".into(),
        command: "bench alltoall".into(),
        provider: "tcp;ofi_rxm".into(),
        library_version: "1.17".into(),
        rank: 3,
        world: 8,
        local_rank: 1,
        policy: "pair-seq".into(),
        rx_source: RxSource::Ledger,
        gpu: "0000:4e:00.0".into(),
        nics: (0..nics)
            .map(|i| NicIdentity {
                domain: format!("rdmap{i}s0-rdm"),
                device: format!("rdmap{i}s0"),
                netdev: String::new(),
                pci: format!("0000:4f:0{i}.0"),
                numa: (i > 0).then_some(1),
                port: 1,
                link_bits_per_s: (i > 0).then_some(200_000_000_000),
                rail: u16::try_from(i).unwrap(),
            })
            .collect(),
        threads,
        uncounted: Vec::new(),
        onlooker: false,
    }
}

/// A directory of pages for one test.
fn page_dir() -> (TempDir, PageDir) {
    let tmp = tempfile::tempdir_in("/dev/shm").unwrap();
    let dir = PageDir::create(&tmp.path().join("pages")).unwrap();
    (tmp, dir)
}

/// Tells a test of this binary, run as a child, that it is a helper and where its directory is.
const HELPER: &str = "RAILTOP_TEST_HELPER";

fn helper(name: &str, dir: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--nocapture"]);
    command.env(HELPER, dir).env(PAGE_DIR_ENV, dir).stderr(Stdio::null());
    command
}
