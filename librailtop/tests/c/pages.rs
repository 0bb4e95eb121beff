//! Counter pages of railtop's transport, as a program in C sees them.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use railtop::counters::{
    NicBlock, NicCounts, NicIdentity, PageDir, PageSpec, PageWriter, RxSource, monotonic_ns,
};
use serde_json::Value;

use crate::program::Program;
use crate::support::{fixture, output_of};

/// A PE of a job with two NICs, which has sent 1000 bytes over the first and 3000 over the second.
fn pe(pages: &PageDir, job: &str, rank: u32) -> (PageWriter, Vec<NicBlock>) {
    let spec = PageSpec {
        node: "node0".to_owned(),
        job: job.to_owned(),
        rank,
        rx_source: RxSource::ImmLen,
        nics: (0..2).map(|i| NicIdentity { device: format!("rail{i}"), ..NicIdentity::default() }).collect(),
        threads: 1,
        ..PageSpec::default()
    };
    let mut writer = PageWriter::create(pages, &spec).unwrap();
    let mut blocks: Vec<NicBlock> = (0..2).map(|nic| writer.nic_block(0, nic).unwrap()).collect();
    for (block, bytes) in blocks.iter_mut().zip([1000, 3000]) {
        let counts = NicCounts { tx_posted_bytes: bytes, tx_done_bytes: bytes, ..NicCounts::default() };
        block.publish(monotonic_ns(), &counts);
    }
    (writer, blocks)
}

#[test]
fn pes_of_a_node_have_their_own_nics_groups_and_tracks() {
    let Some(program) = Program::of_file("values") else { return };
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let pages = PageDir::create(dir.path()).unwrap();
    let _pes = [pe(&pages, "job", 0), pe(&pages, "job", 1)];
    let mut command = program.command();
    command.args(["page", "trace"]).env("RAILTOP_PAGE_DIR", dir.path());
    let printed = output_of(command.env("RAILTOP_SYSFS_ROOT", fixture("no-module")));
    let (lines, trace) = printed.split_once("{\"traceEvents\"").unwrap();
    for line in [
        "\ngroup 0 kind pe gpu (none) numa -1 pe 0\n",
        "\ngroup 1 kind pe gpu (none) numa -1 pe 1\n",
        "\nnic 3 rail1 port 1 driver (none) source page pci (none) netdev (none) numa -1 group 1 line rate unknown\n",
        "\nsample nic 2 tx 1000 rx 0 new no rate\n",
        "\nsample nic 3 tx 3000 rx 0 idle\n",
    ] {
        assert!(lines.contains(line), "no {line:?} in:\n{lines}");
    }
    assert_eq!(tracks(trace), expected(["node0 PE 0", "node0 PE 1"]));
}

#[test]
fn jobs_on_one_node_have_tracks_of_their_own() {
    let Some(program) = Program::of_file("values") else { return };
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let pages = PageDir::create(dir.path()).unwrap();
    let _pes = [pe(&pages, "17", 0), pe(&pages, "18", 0)];
    let mut command = program.command();
    command.args(["page", "trace"]).env("RAILTOP_PAGE_DIR", dir.path());
    let printed = output_of(command.env("RAILTOP_SYSFS_ROOT", fixture("no-module")));
    let (_, trace) = printed.split_once("{\"traceEvents\"").unwrap();
    assert_eq!(tracks(trace), expected(["node0 PE 0 of job 17", "node0 PE 0 of job 18"]));
}

/// The counter tracks of a trace, without its first word.
fn tracks(trace: &str) -> BTreeSet<String> {
    let trace: Value = serde_json::from_str(&format!("{{\"traceEvents\"{trace}")).unwrap();
    let events = trace["traceEvents"].as_array().unwrap().iter();
    events
        .filter(|event| event["ph"] == "C")
        .map(|event| event["name"].as_str().unwrap().to_owned())
        .collect()
}

/// The tracks of two PEs.
fn expected(pes: [&str; 2]) -> BTreeSet<String> {
    let mut expected = BTreeSet::new();
    for pe in pes {
        for direction in ["Tx", "Rx"] {
            expected.extend([
                format!("{pe} rail0 {direction}"),
                format!("{pe} rail1 {direction}"),
                format!("{pe} {direction} balance"),
            ]);
        }
    }
    expected
}
