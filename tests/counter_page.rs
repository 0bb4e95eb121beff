//! The counter page from both ends: what a writer publishes is what a reader sees.

use std::{
    fs,
    os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink},
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use railtop::counters::{
    Liveness, NicCounts, NicIdentity, PageDir, PageError, PageReader, PageSpec, PageState,
    PageWriter, PeCounts, ReadError, RxSource, STALL_AFTER, monotonic_ns,
};
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
    }
}

/// A directory of pages for one test. The temporary directory has mode 0700.
fn page_dir() -> (TempDir, PageDir) {
    let tmp = tempfile::tempdir_in("/dev/shm").unwrap();
    let dir = PageDir::create(&tmp.path().join("pages")).unwrap();
    (tmp, dir)
}

#[test]
fn a_reader_sees_what_the_writer_published() {
    let (_tmp, dir) = page_dir();
    let mut writer = PageWriter::create(&dir, &spec(2, 2)).unwrap();
    let mut reader = PageReader::open(writer.path()).unwrap();

    let id = reader.identity().clone();
    assert_eq!((id.rank, id.world, id.local_rank, id.threads), (3, 8, 1, 2));
    assert_eq!(
        (id.host.as_str(), id.command.as_str()),
        ("host-a", "bench alltoall")
    );
    assert_eq!(
        (id.gpu.as_str(), id.provider.as_str()),
        ("0000:4e:00.0", "tcp;ofi_rxm")
    );
    assert_eq!(id.nics, spec(2, 2).nics);
    assert_eq!(id.pid, std::process::id());
    assert!(id.start_ticks.is_some() && id.boot_id.is_some() && id.net_ns.is_some());

    let first = reader.read().unwrap();
    assert_eq!(
        (first.state, first.liveness),
        (PageState::Init, Liveness::Live)
    );
    assert_eq!((first.policy.as_str(), first.policy_epoch), ("pair-seq", 0));
    assert_eq!(first.nics[1].published_ns, 0);

    let mut block = writer.nic_block(0, 1).unwrap();
    let mut other = writer.nic_block(1, 1).unwrap();
    let mut process = writer.process_block().unwrap();
    assert!(writer.nic_block(0, 1).is_none() && writer.nic_block(0, 2).is_none());
    assert!(writer.nic_block(2, 0).is_none() && writer.process_block().is_none());
    let counts = NicCounts::from_array(std::array::from_fn(|i| i as u64 + 1));
    block.publish(monotonic_ns(), &counts);
    other.publish(77, &counts);
    process.publish(
        monotonic_ns(),
        &PeCounts {
            barriers: 5,
            ..PeCounts::default()
        },
    );
    writer.set_state(PageState::Running);
    writer.set_rx_source(RxSource::ImmLen);
    writer.set_policy("round-robin");

    let now = reader.read().unwrap();
    assert_eq!(now.nics[0].counts, NicCounts::default());
    assert_eq!(now.nics[1].counts, counts + counts);
    assert!(!now.nics[1].torn && !now.process_torn && now.nics[1].extras.is_empty());
    assert_eq!(
        (now.state, now.rx_source),
        (PageState::Running, RxSource::ImmLen)
    );
    assert_eq!((now.policy.as_str(), now.policy_epoch), ("round-robin", 1));
    assert_eq!(now.process.barriers, 5);
}
