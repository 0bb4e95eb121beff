//! What a writer publishes is what a reader sees, also while it publishes.

use std::sync::atomic::{AtomicBool, Ordering};

use railtop::counters::{
    Liveness, NicCounts, PageError, PageReader, PageState, PageWriter, PeCounts, RxSource, monotonic_ns,
};

use crate::{page_dir, spec};

#[test]
fn a_reader_sees_what_the_writer_published() {
    let (_tmp, dir) = page_dir();
    let mut writer = PageWriter::create(&dir, &spec(2, 2)).unwrap();
    let mut reader = PageReader::open(writer.path()).unwrap();

    let id = reader.identity().clone();
    assert_eq!((id.rank, id.world, id.local_rank, id.threads), (3, 8, 1, 2));
    assert_eq!((id.host.as_str(), id.command.as_str()), ("host-a", "bench alltoall"));
    assert_eq!((id.gpu.as_str(), id.provider.as_str()), ("0000:4e:00.0", "tcp;ofi_rxm"));
    assert_eq!(id.nics, spec(2, 2).nics);
    assert_eq!(id.pid, std::process::id());
    assert!(id.start_ticks.is_some() && id.boot_id.is_some() && id.net_ns.is_some());

    let first = reader.read().unwrap();
    assert_eq!((first.state, first.liveness), (PageState::Init, Liveness::Live));
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
    process.publish(monotonic_ns(), &PeCounts { barriers: 5, ..PeCounts::default() });
    writer.set_state(PageState::Running);
    writer.set_rx_source(RxSource::ImmLen);
    writer.set_policy("round-robin");

    let now = reader.read().unwrap();
    assert_eq!(now.nics[0].counts, NicCounts::default());
    assert_eq!(now.nics[1].counts, counts + counts);
    assert!(!now.nics[1].torn && !now.process_torn && now.nics[1].extras.is_empty());
    assert_eq!((now.state, now.rx_source), (PageState::Running, RxSource::ImmLen));
    assert_eq!((now.policy.as_str(), now.policy_epoch), ("round-robin", 1));
    assert_eq!(now.process.barriers, 5);
}

#[test]
fn long_and_hostile_texts_are_cut_and_cleaned() {
    let (_tmp, dir) = page_dir();
    let mut spec = spec(1, 1);
    spec.host = "é".repeat(100);
    spec.command = "\u{1b}]0;title\u{7}ls\n".into();
    let mut writer = PageWriter::create(&dir, &spec).unwrap();
    writer.set_policy(&"p".repeat(1000));
    let mut reader = PageReader::open(writer.path()).unwrap();
    assert_eq!(reader.identity().host, "é".repeat(32));
    assert_eq!(reader.identity().command, "]0;titlels");
    assert_eq!(reader.read().unwrap().policy, "p".repeat(32));
}

#[test]
fn a_spec_without_or_with_too_many_nics_is_refused() {
    let (_tmp, dir) = page_dir();
    for (nics, threads) in [(0, 1), (65, 1), (1, 0), (1, 65)] {
        let error = PageWriter::create(&dir, &spec(nics, threads)).unwrap_err();
        assert!(matches!(error, PageError::TooMany { .. }), "{error}");
    }
    assert!(PageWriter::create(&dir, &spec(64, 64)).is_ok());
}

/// Ends the writer also when an assertion of the reader fails.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_busy_writer_never_shows_more_done_than_posted() {
    let (_tmp, dir) = page_dir();
    let mut writer = PageWriter::create(&dir, &spec(2, 1)).unwrap();
    let mut reader = PageReader::open(writer.path()).unwrap();
    let mut fast = writer.nic_block(0, 0).unwrap();
    let mut slow = writer.nic_block(0, 1).unwrap();
    let stop = AtomicBool::new(false);
    let mut last = [NicCounts::default(); 2];
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut i = 0_u64;
            while !stop.load(Ordering::Relaxed) {
                i += 1;
                // Every field follows from i, and in flight swings between 0 and 63.
                let done = i * 64 + (i % 64);
                let mut values = [i; NicCounts::LEN];
                values[..4].copy_from_slice(&[i * 64 + 63, done, done, i * 64]);
                fast.publish(i, &NicCounts::from_array(values));
                if i.is_multiple_of(4096) {
                    slow.publish(i, &NicCounts::from_array(values));
                }
            }
        });
        let _guard = StopOnDrop(&stop);
        while reader.read().unwrap().nics[0].published_ns == 0 {
            std::thread::yield_now();
        }
        for _ in 0..3000 {
            let snapshot = reader.read().unwrap();
            for (nic, before) in snapshot.nics.iter().zip(&mut last) {
                let now = nic.counts;
                assert!(now.tx_posted_ops >= now.tx_done_ops, "{nic:?}");
                assert!(now.tx_posted_bytes >= now.tx_done_bytes, "{nic:?}");
                for (was, is) in before.to_array().into_iter().zip(now.to_array()) {
                    assert!(is >= was, "a counter went back: {was} to {is}");
                }
                if !nic.torn && now.rx_ops > 0 {
                    assert_eq!(now.tx_posted_ops, now.rx_ops * 64 + 63, "{nic:?}");
                    assert_eq!(nic.published_ns, now.rx_ops);
                    assert!(now.to_array()[4..].iter().all(|&v| v == now.rx_ops), "{nic:?}");
                }
                *before = now;
            }
        }
    });
    assert!(reader.read().unwrap().nics.iter().all(|nic| !nic.torn));
}
