//! Recordings that were written, cut, damaged and made up.

use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::monitor::counter::{Class, Desc, Health, Kind, Unit};
use crate::monitor::log::Header;
use crate::monitor::model::view::{Notice, SourceKind};
use crate::monitor::sample::*;

const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn about(host: &str) -> About {
    About {
        log: Header {
            version: "0.0.0".to_owned(),
            host: host.to_owned(),
            boot_id: Some("b007".to_owned()),
            interval_ms: 1000,
            started_ns: 1_795_000_000_000_000_000,
        },
        source: None,
        device: None,
        mono_ns: (5_000_000_000, 6_000_000_000),
    }
}

/// A tick of `nics` EFA devices that move.
pub(crate) fn efa(tick: u64, nics: usize) -> Sample {
    const NAMES: [&str; 25] = [
        "tx_bytes",
        "rx_bytes",
        "tx_pkts",
        "rx_pkts",
        "send_bytes",
        "send_wrs",
        "recv_bytes",
        "recv_wrs",
        "rdma_read_bytes",
        "rdma_read_wrs",
        "rdma_read_resp_bytes",
        "rdma_write_bytes",
        "rdma_write_wrs",
        "rdma_write_recv_bytes",
        "rdma_read_wr_err",
        "rdma_write_wr_err",
        "rx_drops",
        "retrans_bytes",
        "retrans_pkts",
        "retrans_timeout_events",
        "impaired_remote_conn_events",
        "unresponsive_remote_events",
        "alloc_pd_err",
        "reg_mr_err",
        "submitted_cmds",
    ];
    let mono_ns = 5_000_000_000 + tick * 1_000_000_000;
    let port = |nic: usize| {
        let bytes = 4_000_000_000_000 + (tick + nic as u64) * 25_000_000_000;
        let value = |i: usize| match i {
            0..2 | 4 | 6 | 8 | 10 | 11 | 13 => bytes,
            2 | 3 | 5 | 7 | 9 | 12 => bytes / 8192,
            _ => 0,
        };
        let counters = (0..NAMES.len())
            .map(|i| RawCounter { desc: Arc::new(Desc::unknown(NAMES[i])), value: value(i) })
            .collect();
        PortSample {
            facts: Arc::new(PortFacts {
                device: format!("rdmap{nic}s0"),
                port: 1,
                driver: Some("efa".to_owned()),
                link_bits_per_s: Some(200_000_000_000),
                state: Some("ACTIVE".to_owned()),
                ..PortFacts::default()
            }),
            source: SourceKind::Sysfs,
            reading: Ok(Reading {
                mono_ns: mono_ns + 40_000 * nic as u64,
                span_ns: 150_000 + 1_000 * nic as u64,
                rest_ns: 400_000 + 1_000 * nic as u64,
                traffic: Traffic {
                    tx_bytes: Some(bytes),
                    rx_bytes: Some(bytes),
                    tx_ops: Some(bytes / 8192),
                    rx_ops: Some(bytes / 8192),
                },
                counters,
                ..Reading::default()
            }),
        }
    };
    Sample {
        realtime_ns: 1_795_000_000_000_000_000 + i128::from(tick) * 1_000_000_000,
        mono_ns,
        ports: (0..nics).map(port).collect(),
        nothing: vec!["no counter page in /dev/shm".to_owned()],
        ..Sample::default()
    }
}

fn record(path: &Path, host: &str, samples: impl IntoIterator<Item = Sample>) -> Status {
    let mut recorder = Recorder::open(path, &about(host)).unwrap();
    for (missed, sample) in (0..).zip(samples) {
        recorder.add(sample, SECOND, missed).unwrap();
    }
    recorder.status()
}

fn samples(recording: &mut Recording) -> Vec<Sample> {
    (0..recording.len()).map(|tick| recording.read(tick).unwrap().sample).collect()
}

#[test]
fn thirty_two_nics_take_less_than_six_kilobytes_a_tick() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.rec");
    let one = record(&path, "a", [efa(0, 32)]).bytes;
    let path = dir.path().join("b.rec");
    let many = record(&path, "a", (0..101).map(|tick| efa(tick, 32))).bytes;
    let per_tick = (many - one) / 100;
    println!("first tick {one} bytes, then {per_tick} bytes a tick");
    assert!(per_tick < 6000, "{per_tick}");
    assert_eq!(std::fs::metadata(&path).unwrap().len(), many);
}

#[test]
fn a_long_recording_has_parts_and_every_tick_can_be_read_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.rec");
    record(&path, "a", (0..1300).map(|tick| efa(tick, 2)));
    let mut recording = Recording::open(&path).unwrap();
    assert_eq!((recording.len(), recording.sessions().len()), (1300, 1));
    for tick in [1299, 0, 600, 599, 1200, 1] {
        let read = recording.read(tick).unwrap();
        assert_eq!((read.sample, read.missed), (efa(tick as u64, 2), tick as u64));
        assert_eq!(recording.realtime_ns(tick), efa(tick as u64, 0).realtime_ns);
    }
    assert!(recording.read(1300).is_err());
}

#[test]
fn cut_anywhere_it_gives_all_whole_ticks_before() {
    let dir = tempfile::tempdir().unwrap();
    let (path, cut) = (dir.path().join("a.rec"), dir.path().join("cut.rec"));
    let ends: Vec<u64> = (1..5)
        .map(|ticks| {
            std::fs::remove_file(&path).ok();
            record(&path, "a", (0..ticks).map(|tick| efa(tick, 2))).bytes
        })
        .collect();
    let bytes = std::fs::read(&path).unwrap();
    for length in 0..bytes.len() {
        std::fs::write(&cut, &bytes[..length]).unwrap();
        let whole = ends.iter().filter(|&&end| end <= length as u64).count();
        match Recording::open(&cut) {
            Ok(mut recording) => {
                let read = samples(&mut recording);
                assert_eq!(read, (0..whole as u64).map(|tick| efa(tick, 2)).collect::<Vec<_>>(), "{length}");
                let at_a_record = recording.damage().is_empty();
                assert!(!at_a_record || read.len() == whole);
                assert!(recording.damage().iter().all(|d| d.fault == Fault::Torn));
            }
            Err(ReadError::Empty { .. }) => assert_eq!(whole, 0, "{length}"),
            Err(other) => panic!("{length}: {other}"),
        }
    }
}

#[test]
fn a_flipped_byte_is_told_and_costs_nothing_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.rec");
    let first = record(&path, "a", [efa(0, 2)]).bytes;
    record(&path, "b", [efa(1, 2)]);
    let bytes = std::fs::read(&path).unwrap();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x41;
        let path = dir.path().join("damaged.rec");
        std::fs::write(&path, &damaged).unwrap();
        let in_first = (at as u64) < first;
        match Recording::open(&path) {
            Ok(mut recording) => {
                // The other of the two runs is whole, also behind the damage.
                let whole = efa(u64::from(in_first), 2);
                assert!(!recording.damage().is_empty(), "{at}");
                let read: Vec<_> = (0..recording.len()).map(|t| recording.read(t)).collect();
                assert!(read.iter().flatten().any(|tick| tick.sample == whole), "{at}");
                assert!(
                    read.iter().flatten().all(|tick| [efa(0, 2), efa(1, 2)].contains(&tick.sample)),
                    "{at}"
                );
            }
            Err(ReadError::NotARecording { .. }) => assert!(at < 15, "{at}"),
            // The byte of the version, in either run.
            Err(ReadError::Newer { .. }) => assert!(at == 15 || at as u64 == first + 15, "{at}"),
            Err(other) => panic!("{at}: {other}"),
        }
    }
}

#[test]
fn appending_begins_a_new_run_also_behind_a_torn_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.rec");
    record(&path, "a", (0..3).map(|tick| efa(tick, 1)));
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(file.metadata().unwrap().len() - 3).unwrap();
    record(&path, "b", (7..9).map(|tick| efa(tick, 1)));
    let mut recording = Recording::open(&path).unwrap();
    let hosts: Vec<_> = recording.sessions().iter().map(|s| s.log.host.clone()).collect();
    assert_eq!(hosts, ["a", "b"]);
    assert_eq!((0..4).map(|tick| recording.session_of(tick)).collect::<Vec<_>>(), [0, 0, 1, 1]);
    assert_eq!(samples(&mut recording), [0, 1, 7, 8].map(|tick| efa(tick, 1)));
    assert_eq!(recording.damage().len(), 1);
}

#[test]
fn other_files_are_neither_read_nor_appended_to() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notes.txt");
    std::fs::write(&path, "dear diary").unwrap();
    for at in [path.as_path(), dir.path()] {
        assert!(matches!(Recorder::open(at, &about("a")), Err(RecordError::NotOurs { .. })));
        assert!(matches!(Recording::open(at), Err(ReadError::NotARecording { .. })));
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "dear diary");
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let error = Recorder::open(&link, &about("a")).unwrap_err().to_string();
    assert!(error.contains("symbolic link"), "{error}");
    let fifo = dir.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(matches!(Recorder::open(&fifo, &about("a")), Err(RecordError::NotOurs { .. })));
    assert!(matches!(Recording::open(&fifo), Err(ReadError::NotARecording { .. })));
}

#[test]
fn a_full_disk_is_an_error_with_the_files_name() {
    let mut recorder = Recorder::open(Path::new("/dev/full"), &about("a"));
    // A device is refused before anything is written.
    assert!(matches!(recorder, Err(RecordError::NotOurs { .. })));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.rec");
    recorder = Recorder::open(&path, &about("a"));
    let mut recorder = recorder.unwrap();
    recorder.redirect(std::fs::File::options().write(true).open("/dev/full").unwrap());
    let error = recorder.add(efa(0, 1), SECOND, 0).unwrap_err().to_string();
    assert!(error.contains("a.rec") && error.contains("No space left"), "{error}");
}

#[test]
fn a_newer_format_is_refused_and_unknown_records_are_skipped() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.rec");
    record(&path, "a", [efa(0, 1)]);
    let mut bytes = std::fs::read(&path).unwrap();
    frame::put_frame(&mut bytes, 9, b"from the future").unwrap();
    frame::put_frame(&mut bytes, 77, &[8, 99]).unwrap();
    std::fs::write(&path, &bytes).unwrap();
    let mut recording = Recording::open(&path).unwrap();
    assert_eq!(samples(&mut recording), [efa(0, 1)]);
    assert_eq!(recording.damage(), []);
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.write_at(&[frame::MAJOR + 1], 15).unwrap();
    let error = Recording::open(&path).unwrap_err().to_string();
    assert!(error.contains("made by a newer railtop"), "{error}");
}

#[test]
fn the_default_name_is_safe_for_a_file() {
    let name = default_name("../gpu 7", 1_795_000_000_123_456_789);
    assert_eq!(name.to_str(), Some("railtop-.._gpu_7-20261118T110640Z.rec"));
}

prop_compose! {
    fn desc()(name in text(), kind in 0..5, bits in 1_u8..=64, class in 0..5_usize, unit in 0..6_usize, feeds in option::of(0..4_usize), help in text()) -> Arc<Desc> {
        Arc::new(Desc {
            name: name.into(),
            kind: match kind {
                0 => Kind::Monotonic64,
                1 => Kind::Wrap32,
                2 => Kind::Saturating(bits),
                3 => Kind::Gauge,
                _ => Kind::Setting,
            },
            class: [Class::Traffic, Class::Congestion, Class::Loss, Class::Error, Class::Neutral][class],
            unit: [Unit::Bytes, Unit::Words, Unit::Packets, Unit::Operations, Unit::Milliseconds, Unit::Count][unit],
            feeds: feeds.map(|i| Health::ALL[i]),
            help: help.into(),
        })
    }
}

fn text() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9 _/:.-]{0,9}"
}

fn some_text() -> impl Strategy<Value = Option<String>> {
    option::of(text())
}

prop_compose! {
    fn reading()(mono_ns in any::<u64>(), [span_ns, rest_ns] in any::<[u64; 2]>(), incarnation in any::<u64>(), late in any::<bool>(), t in any::<[Option<u64>; 4]>(),
                 counters in vec((desc(), any::<u64>()), 0..4), missing in vec((text(), some_text(), text()), 0..3)) -> Reading {
        Reading {
            mono_ns,
            span_ns,
            rest_ns,
            incarnation,
            late,
            traffic: Traffic { tx_bytes: t[0], rx_bytes: t[1], tx_ops: t[2], rx_ops: t[3] },
            counters: counters.into_iter().map(|(desc, value)| RawCounter { desc, value }).collect(),
            missing: missing.into_iter().map(|(counter, place, reason)| Missing { counter, place, reason }).collect(),
        }
    }
}

prop_compose! {
    fn port()(device in text(), texts in vec(some_text(), 7), port in any::<u8>(), numa in any::<Option<u16>>(),
              link in any::<Option<u64>>(), overridden in any::<bool>(), gpus in vec(text(), 0..3), in_all in any::<u32>(),
              source in 0..4_usize, reading in prop::result::maybe_err(reading(), text())) -> PortSample {
        let mut texts = texts.into_iter();
        let mut next = || texts.next().flatten();
        PortSample {
            facts: Arc::new(PortFacts {
                device,
                port,
                driver: next(),
                netdev: next(),
                pci: next(),
                numa,
                link_bits_per_s: link,
                link_overridden: overridden,
                link_layer: next(),
                state: next(),
                phys_state: next(),
                fw_ver: next(),
                gpus,
                gpus_in_all: in_all as usize,
            }),
            source: [SourceKind::Page, SourceKind::Sysfs, SourceKind::Netlink, SourceKind::Netdev][source],
            reading,
        }
    }
}

prop_compose! {
    fn page_nic()(index in any::<u32>(), device in text(), port in any::<u8>(), pci in some_text(), numa in any::<Option<u16>>(),
                  netdev in some_text(), link in any::<Option<u64>>(), reading in reading(), in_flight in any::<Option<u64>>(),
                  torn in any::<bool>(), netdev_reading in option::of(prop::result::maybe_err(reading(), text())),
                  windows in option::of((any::<u64>(), any::<u64>(), vec(any::<Option<u64>>(), 0..5)))) -> PageNic {
        let windows = windows.map(|(window_ns, end_mono_ns, bytes)| Windows { window_ns, end_mono_ns, bytes });
        PageNic {
            index: index as usize,
            device,
            port,
            pci,
            numa,
            netdev,
            link_bits_per_s: link,
            reading,
            in_flight_bytes: in_flight,
            torn,
            netdev_reading,
            rx_windows: windows,
        }
    }
}

prop_compose! {
    fn page()(texts in vec(text(), 5), optional in vec(some_text(), 3), pe in any::<u32>(), pid in any::<u32>(),
              own in option::of(reading()), state in 0..4_usize, nics in vec(page_nic(), 0..3)) -> PageSample {
        PageSample {
            key: texts[0].clone(),
            job: texts[1].clone(),
            node: texts[2].clone(),
            pe,
            pid,
            gpu: optional[0].clone(),
            command: texts[3].clone(),
            provider: texts[4].clone(),
            policy: optional[1].clone(),
            rx_source: optional[2].clone(),
            state: [PageState::Alive, PageState::Stalled, PageState::Closed, PageState::Dead][state],
            own,
            nics,
        }
    }
}

prop_compose! {
    fn processes()(mono_ns in any::<u64>(), kernel in qps(), hidden in qps(), pages in qps(), reason in some_text(),
                   list in vec((any::<u32>(), some_text(), any::<Option<u32>>(), text(), any::<Option<u64>>(), any::<Option<u32>>(), qps()), 0..3)) -> Processes {
        let process = |(pid, user, uid, command, resident_bytes, threads, qps)| {
            ProcessSample { pid, user, uid, command, resident_bytes, threads, qps }
        };
        Processes { mono_ns, processes: list.into_iter().map(process).collect(), kernel_qps: kernel, hidden_qps: hidden, pages, reason }
    }
}

fn qps() -> impl Strategy<Value = std::collections::BTreeMap<String, u32>> {
    prop::collection::btree_map(text(), any::<u32>(), 0..3)
}

prop_compose! {
    fn gpu()(index in any::<u32>(), t in vec(some_text(), 3), [mono_ns, span_ns] in any::<[u64; 2]>(), n in any::<[Option<u32>; 3]>(),
             memory in any::<[Option<u64>; 2]>(), links in vec((any::<u32>(), any::<bool>(), any::<Option<u64>>(), any::<Option<u64>>(), some_text()), 0..3)) -> GpuSample {
        let link = |(link, active, tx_bytes, rx_bytes, remote)| NvLinkSample { link, active, tx_bytes, rx_bytes, remote };
        GpuSample {
            index,
            name: t[0].clone(),
            pci: t[1].clone(),
            mono_ns,
            span_ns,
            busy_percent: n[0],
            memory_used_bytes: memory[0],
            memory_total_bytes: memory[1],
            celsius: n[1],
            milliwatts: n[2],
            nvlinks: links.into_iter().map(link).collect(),
            reason: t[2].clone(),
        }
    }
}

fn change() -> impl Strategy<Value = DeviceChange> {
    prop_oneof![
        text().prop_map(DeviceChange::Added),
        text().prop_map(DeviceChange::Removed),
        (text(), text()).prop_map(|(from, to)| DeviceChange::Renamed { from, to }),
    ]
}

prop_compose! {
    fn sample()(realtime in any::<i64>(), mono_ns in any::<u64>(), ports in vec(port(), 0..3), pages in vec(page(), 0..2),
                processes in option::of(processes()), gpus in option::of((vec(gpu(), 0..2), some_text())),
                changes in vec(change(), 0..3), notices in vec((text(), text()), 0..3), nothing in vec(text(), 0..2)) -> Sample {
        Sample {
            realtime_ns: realtime.into(),
            mono_ns,
            ports,
            pages,
            processes,
            gpus: gpus.map(|(gpus, nothing)| Gpus { gpus, nothing }),
            changes,
            notices: notices.into_iter().map(|(subject, text)| Notice { subject, text }).collect(),
            nothing,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_sample_comes_back_as_it_was(all in vec(sample(), 1..4)) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.rec");
        record(&path, "a", all.clone());
        let mut recording = Recording::open(&path).unwrap();
        prop_assert_eq!(samples(&mut recording), all);
    }

    /// Good frames with any content: errors, not panics.
    #[test]
    fn nonsense_in_good_frames_is_an_error(frames in vec((prop_oneof![1..3_u32, 16..24_u32], vec(any::<u8>(), 0..40)), 1..8)) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.rec");
        record(&path, "a", [efa(0, 1)]);
        let mut bytes = std::fs::read(&path).unwrap();
        for (kind, payload) in &frames {
            frame::put_frame(&mut bytes, *kind, payload).unwrap();
        }
        std::fs::write(&path, &bytes).unwrap();
        if let Ok(mut recording) = Recording::open(&path) {
            for tick in 0..recording.len() {
                let _ = recording.read(tick);
            }
        }
    }
}

#[test]
fn a_definition_named_a_million_times_does_not_fill_the_memory() {
    use prost::Message as _;
    let mut dictionary = decode::Dictionary::default();
    let reason = "x".repeat(500_000);
    let missing = wire::Missing {
        counters: vec![wire::MissingCounter { counter: String::new(), place: None, reason }],
    };
    let define = wire::Define { id: 1, body: missing.encode_to_vec() };
    dictionary.define(wire::kind::MISSING, &define.encode_to_vec()).unwrap();
    let facts = wire::Define { id: 2, body: Vec::new() };
    dictionary.define(wire::kind::PORT, &facts.encode_to_vec()).unwrap();
    let reading = wire::Reading { missing: 1, ..wire::Reading::default() };
    let port = wire::Port { facts: 2, source: 2, reading: Some(reading), error: None };
    let tick = wire::Tick { ports: vec![port; 10_000], ..wire::Tick::default() };
    assert_eq!(dictionary.tick(&tick.encode_to_vec()), Err(Nonsense::TooMuch));
}
