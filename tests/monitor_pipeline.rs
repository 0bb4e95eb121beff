//! The pipeline from files and counter pages to views, in this process, so that a tick happens when the test says so.

#![expect(clippy::unwrap_used, reason = "a helper of a test that fails, fails the test")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use railtop::balance::Direction;
use railtop::counters::{
    NicBlock, NicCounts, NicIdentity, PageDir, PageSpec, PageState, PageWriter, RxSource, monotonic_ns,
};
use railtop::monitor::check::{Tally, Word};
use railtop::monitor::model::view::{GroupKind, Mark, NicView, SourceKind, View};
use railtop::monitor::sample::Needs;
use railtop::monitor::{Config, Monitor, Sampler, Thresholds, Tick};

#[path = "support/tick.rs"]
#[expect(dead_code, reason = "other files use the rest")]
mod tick;

use tick::sure_tick;

struct Setup {
    dir: tempfile::TempDir,
}

impl Setup {
    fn new() -> Self {
        let setup = Self { dir: tempfile::tempdir().unwrap() };
        fs::create_dir_all(setup.dir.path().join("class/infiniband")).unwrap();
        setup
    }

    fn monitor(&self) -> Monitor {
        Monitor::new(self.config())
    }

    fn config(&self) -> Config {
        Config {
            sysfs_root: self.dir.path().to_owned(),
            page_dir: Some(self.pages()),
            host: "testhost".to_owned(),
            device: None,
            source: None,
            interval: Duration::from_secs(1),
            line_rates: Vec::new(),
            thresholds: Thresholds::default(),
        }
    }

    fn pages(&self) -> PathBuf {
        self.dir.path().join("pages")
    }

    fn device(&self, name: &str) -> PathBuf {
        self.dir.path().join("class/infiniband").join(name)
    }

    fn set(&self, name: &str, tx_bytes: u64) {
        let dir = self.device(name).join("ports/1/hw_counters");
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("tx_bytes"), tx_bytes.to_string()).unwrap();
        fs::write(dir.join("rx_bytes"), "0").unwrap();
    }

    fn pe(&self, rank: u32, nics: usize) -> (PageWriter, Vec<NicBlock>) {
        self.pe_on(rank, &(0..nics).map(|i| format!("nic{i}")).collect::<Vec<_>>())
    }

    fn pe_on(&self, rank: u32, netdevs: &[String]) -> (PageWriter, Vec<NicBlock>) {
        let spec = PageSpec {
            host: "testhost".to_owned(),
            node: "node0".to_owned(),
            job: "job1".to_owned(),
            command: "bench put".to_owned(),
            provider: "tcp;ofi_rxm".to_owned(),
            rank,
            world: 2,
            policy: "round-robin".to_owned(),
            rx_source: RxSource::Ledger,
            nics: netdevs
                .iter()
                .map(|netdev| NicIdentity {
                    netdev: netdev.clone(),
                    link_bits_per_s: Some(200_000_000),
                    ..NicIdentity::default()
                })
                .collect(),
            threads: 1,
            ..PageSpec::default()
        };
        let dir = PageDir::create(&self.pages()).unwrap();
        let mut writer = PageWriter::create(&dir, &spec).unwrap();
        let blocks =
            (0..netdevs.len()).map(|i| writer.nic_block(0, u16::try_from(i).unwrap()).unwrap()).collect();
        (writer, blocks)
    }
}

fn sent(bytes: u64) -> NicCounts {
    NicCounts {
        tx_posted_bytes: bytes + 10,
        tx_done_bytes: bytes,
        tx_done_ops: bytes / 100,
        rx_bytes: bytes / 2,
        ..NicCounts::default()
    }
}

fn nic<'a>(view: &'a View, device: &str) -> &'a NicView {
    view.groups.iter().flat_map(|g| &g.nics).find(|n| n.device == device).unwrap()
}

#[test]
fn a_device_that_goes_is_stale_and_begins_anew_when_it_returns() {
    let setup = Setup::new();
    setup.set("efa_0", 100);
    setup.set("efa_1", 100);
    let mut monitor = setup.monitor();
    assert_eq!(nic(&monitor.tick().view, "efa_1").marks, [Mark::New]);
    setup.set("efa_1", 300);
    let view = sure_tick(&mut monitor, |row| row.device == "efa_1").view;
    assert!(nic(&view, "efa_1").tx.bytes_per_s.unwrap() > 0.0);

    let away = setup.dir.path().join("away");
    fs::rename(setup.device("efa_1"), &away).unwrap();
    let view = sure_tick(&mut monitor, |row| row.device == "efa_0").view;
    let gone = nic(&view, "efa_1");
    assert_eq!(
        (gone.tx.bytes, gone.tx.bytes_per_s, gone.marks.as_slice()),
        (Some(300), None, &[Mark::Gone][..])
    );
    assert!(gone.reason.as_ref().unwrap().contains("is gone"));
    assert!(nic(&view, "efa_0").tx.bytes_per_s.is_some(), "the others go on");
    assert!(view.notices.iter().any(|n| n.subject == "efa_1"));

    fs::rename(&away, setup.device("efa_1")).unwrap();
    setup.set("efa_1", 1 << 40);
    let view = monitor.tick().view;
    assert_eq!(
        (nic(&view, "efa_1").tx.bytes_per_s, nic(&view, "efa_1").marks.as_slice()),
        (None, &[Mark::New][..])
    );
}

#[test]
fn a_device_whose_counters_fail_keeps_its_last_values_and_shows_no_rate() {
    let setup = Setup::new();
    setup.set("efa_0", 100);
    let mut monitor = setup.monitor();
    monitor.tick();
    for file in ["tx_bytes", "rx_bytes"] {
        fs::write(setup.device("efa_0").join("ports/1/hw_counters").join(file), "N/A").unwrap();
    }
    let view = monitor.tick().view;
    let row = nic(&view, "efa_0");
    assert_eq!(
        (row.tx.bytes, row.tx.bytes_per_s, row.marks.as_slice()),
        (Some(100), None, &[Mark::Stale][..])
    );
    assert!(row.reason.as_ref().unwrap().contains("the file says \"N/A\""));
}

#[test]
fn a_tree_with_the_kernels_own_links_gives_place_and_driver() {
    // As in a real /sys: the class entry is a link to a directory below the device, which links back up.
    let setup = Setup::new();
    let root = setup.dir.path();
    let bridge = root.join("devices/pci0000:44/0000:44:01.0");
    let port = bridge.join("0000:4f:00.0/infiniband/rdmap79s0/ports/1/hw_counters");
    fs::create_dir_all(&port).unwrap();
    fs::write(port.join("tx_bytes"), "5").unwrap();
    symlink("../..", bridge.join("0000:4f:00.0/infiniband/rdmap79s0/device")).unwrap();
    symlink("/sys/bus/pci/drivers/efa", bridge.join("0000:4f:00.0/driver")).unwrap();
    fs::create_dir_all(bridge.join("0000:53:00.0")).unwrap();
    fs::write(bridge.join("0000:53:00.0/vendor"), "0x10de\n").unwrap();
    fs::write(bridge.join("0000:53:00.0/class"), "0x030200\n").unwrap();
    fs::create_dir_all(root.join("bus/pci/devices")).unwrap();
    // An absolute link, as in a host's /sys that was copied or mounted elsewhere.
    let gpu = "/sys/devices/pci0000:44/0000:44:01.0/0000:53:00.0";
    symlink(gpu, root.join("bus/pci/devices/0000:53:00.0")).unwrap();
    let class = "../../devices/pci0000:44/0000:44:01.0/0000:4f:00.0/infiniband/rdmap79s0";
    symlink(class, root.join("class/infiniband/rdmap79s0")).unwrap();

    let view = setup.monitor().tick().view;
    let row = nic(&view, "rdmap79s0");
    assert_eq!(
        (row.driver.as_str(), row.pci.as_deref(), row.tx.bytes),
        ("efa", Some("0000:4f:00.0"), Some(5))
    );
    assert_eq!((view.groups[0].kind, view.groups[0].gpu.as_deref()), (GroupKind::Gpu, Some("0000:53:00.0")));
}

#[test]
fn a_counter_page_is_a_group_with_the_payload_of_its_nics() {
    let setup = Setup::new();
    let (_writer, mut blocks) = setup.pe(3, 4);
    let mut monitor = setup.monitor();
    monitor.tick();
    blocks[2].publish(monotonic_ns(), &sent(4000));
    let view = sure_tick(&mut monitor, |row| row.source == SourceKind::Page).view;
    let [group] = view.groups.as_slice() else { panic!("{view:?}") };
    assert_eq!((group.kind, group.key.as_str(), group.pe), (GroupKind::Pe, "job1/node0/3", Some(3)));
    assert_eq!((group.policy.as_deref(), group.rx_source.as_deref()), (Some("round-robin"), Some("LEDGER")));
    assert_eq!(group.pid, Some(std::process::id()));
    let row = &group.nics[2];
    assert_eq!((row.key.as_str(), row.source), ("job1/node0/3/nic2", SourceKind::Page));
    assert_eq!((row.tx.bytes, row.rx.bytes, row.in_flight_bytes), (Some(4000), Some(2000), Some(10)));
    assert!(row.tx.bytes_per_s.unwrap() > 0.0);
    assert_eq!((group.tx.spread.active_nics, group.tx.spread.nics), (1, 4));
    assert_eq!(group.tx.spread.max_over_mean, Some(4.0));
}

#[test]
fn a_pe_that_ends_well_is_counted_to_its_last_byte_and_then_gone() {
    let setup = Setup::new();
    let mut monitor = setup.monitor();
    let mut tally = Tally::new(None);
    let (writer, mut blocks) = setup.pe(0, 2);
    tally.add(&monitor.tick());
    blocks[0].publish(monotonic_ns(), &sent(1000));
    blocks[1].publish(monotonic_ns(), &sent(1000));
    drop((blocks, writer));
    let last: Tick = monitor.tick();
    assert_eq!(nic(&last.view, "nic0").tx.bytes, Some(1000));
    tally.add(&last);
    let after = monitor.tick();
    assert!(after.view.groups.is_empty(), "{after:?}");
    assert!(after.view.nothing.unwrap().contains("no counter page in"));
    let report = tally.judge(1.25, &[Direction::Tx]).unwrap();
    assert_eq!((report.verdict, report.groups[0].bytes), (Word::Balanced, 2000));
}

#[test]
fn a_look_too_short_to_tell_says_so_and_a_clear_case_is_judged() {
    let verdict = |operations: [u64; 4]| {
        let setup = Setup::new();
        let (mut monitor, mut tally) = (setup.monitor(), Tally::new(None));
        let (_writer, mut blocks) = setup.pe(0, 4);
        tally.add(&monitor.tick());
        for (block, count) in blocks.iter_mut().zip(operations) {
            block.publish(monotonic_ns(), &sent(100 * count));
        }
        tally.add(&monitor.tick());
        tally.judge(1.25, &[Direction::Tx]).map(|report| report.verdict)
    };
    // An all-to-all of a second, round-robin and pair-seq.
    assert_eq!(verdict([24, 0, 0, 0]), Ok(Word::Skewed));
    assert_eq!(verdict([7, 6, 6, 5]), Ok(Word::Balanced));
    for operations in [[1, 0, 0, 0], [3, 2, 1, 2], [8, 5, 5, 6]] {
        let why = verdict(operations).unwrap_err();
        assert!(why.contains("job1/node0/0: too little traffic to judge"), "{why}");
    }
    assert_eq!(verdict([80, 50, 50, 60]), Ok(Word::Skewed), "the same, ten times as long");
}

#[test]
fn a_device_that_moved_a_message_or_two_is_not_judged_by_what_check_reads() {
    let setup = Setup::new();
    let count = |device: &str, messages: u64| {
        setup.set(device, 1_000_000 * messages);
        let packets = setup.device(device).join("ports/1/hw_counters/tx_pkts");
        fs::write(packets, messages.to_string()).unwrap();
    };
    count("efa_0", 7);
    count("efa_1", 7);
    let (mut monitor, mut tally) = (setup.monitor(), Tally::new(None));
    monitor.set_needs(Tally::needs());
    tally.add(&monitor.tick());
    count("efa_0", 10);
    count("efa_1", 8);
    tally.add(&monitor.tick());
    let why = tally.judge(1.25, &[Direction::Tx]).unwrap_err();
    assert!(why.contains("too little traffic to judge"), "{why}");
}

#[test]
fn a_device_that_goes_while_check_looks_is_no_nic_that_carries_less() {
    let setup = Setup::new();
    let devices = ["efa_0", "efa_1", "efa_2", "efa_3"];
    let (mut monitor, mut tally) = (setup.monitor(), Tally::new(None));
    for device in devices {
        setup.set(device, 0);
    }
    tally.add(&monitor.tick());
    fs::rename(setup.device("efa_3"), setup.dir.path().join("away")).unwrap();
    for device in &devices[..3] {
        setup.set(device, 1 << 30);
    }
    tally.add(&monitor.tick());
    let why = tally.judge(1.25, &[Direction::Tx]).unwrap_err();
    assert!(why.contains("cannot read efa_3 of 4 NICs (efa_3: the device is gone"), "{why}");
}

#[test]
fn a_device_that_loses_a_counter_while_check_looks_is_not_read_in_that_direction() {
    let setup = Setup::new();
    let (mut monitor, mut tally) = (setup.monitor(), Tally::new(None));
    setup.set("efa_0", 0);
    setup.set("efa_1", 0);
    tally.add(&monitor.tick());
    setup.set("efa_0", 1 << 30);
    fs::write(setup.device("efa_1").join("ports/1/hw_counters/tx_bytes"), "N/A").unwrap();
    tally.add(&monitor.tick());
    let why = tally.judge(1.25, &[Direction::Tx]).unwrap_err();
    assert!(why.contains("cannot read efa_1 of 2 NICs"), "{why}");
    let received = tally.judge(1.25, &[Direction::Rx]).unwrap();
    assert_eq!((received.verdict, received.groups[0].unread_nics), (Word::Idle, 0));
}

#[test]
fn the_slow_nic_is_named_unless_one_operation_more_decides_it() {
    let slow = |operations: [u64; 4]| {
        let setup = Setup::new();
        let (mut monitor, mut tally) = (setup.monitor(), Tally::new(None));
        let (_writer, mut blocks) = setup.pe(0, 4);
        tally.add(&monitor.tick());
        for (block, count) in blocks.iter_mut().zip(operations) {
            block.publish(monotonic_ns(), &sent(100 * count));
        }
        tally.add(&monitor.tick());
        let report = tally.judge(1.25, &[Direction::Tx]).unwrap();
        (report.verdict, report.groups[0].slow.clone())
    };
    assert_eq!(slow([1000, 1000, 300, 1000]), (Word::Balanced, Some("nic2".to_owned())));
    assert_eq!(slow([1000, 1000, 900, 1000]), (Word::Balanced, None));
    assert_eq!(slow([3, 3, 2, 3]), (Word::Balanced, None), "one operation more");
    assert_eq!(slow([1000, 0, 0, 0]), (Word::Skewed, None), "one NIC for all is no slow NIC");
}

#[test]
fn short_windows_of_a_page_are_looked_at_while_they_are_asked_for() {
    let setup = Setup::new();
    let (_writer, mut blocks) = setup.pe(0, 2);
    let mut monitor = setup.monitor();
    let windows =
        |view: &View| view.groups[0].nics.iter().map(|nic| nic.rx_windows.clone()).collect::<Vec<_>>();
    assert_eq!(windows(&monitor.tick().view), [None, None], "nobody asked");
    monitor.set_needs(Needs { windows: true, ..Needs::default() });
    let deadline = Instant::now() + Duration::from_secs(30);
    let (mut published, mut seen, mut known) = (0, [0_u64; 2], true);
    // The other NIC receives nothing, which is another thing than not to know.
    while (seen[0] == 0 || published < 5) && Instant::now() < deadline {
        for (nic, windows) in windows(&monitor.tick().view).into_iter().enumerate() {
            let bytes = windows.map(|w| w.bytes).unwrap_or_default();
            known &= bytes.iter().all(Option::is_some);
            seen[nic] += bytes.iter().flatten().sum::<u64>();
            if nic == 0 && !bytes.is_empty() {
                published += 1;
                blocks[0].publish(monotonic_ns(), &sent(1000 * published));
            }
        }
    }
    assert!(seen[0] > 0 || !known, "something was received, in windows that were looked at in time");
    assert!(seen[0] <= 500 * published && seen[1] == 0, "{seen:?} of {published}");
    monitor.set_needs(Needs::default());
    assert_eq!(windows(&monitor.tick().view), [None, None]);
}

#[test]
fn a_pe_that_died_is_dead_without_rates_and_its_next_run_takes_its_place() {
    let setup = Setup::new();
    let mut monitor = setup.monitor();
    let (mut writer, mut blocks) = setup.pe(0, 2);
    blocks[0].publish(monotonic_ns(), &sent(5000));
    monitor.tick();
    writer.set_state(PageState::Aborted);
    drop((blocks, writer));
    let view = monitor.tick().view;
    let [group] = view.groups.as_slice() else { panic!("{view:?}") };
    assert_eq!(group.marks, [Mark::Dead]);
    assert_eq!((group.nics[0].tx.bytes, group.nics[0].tx.bytes_per_s), (Some(5000), None));

    let (_writer, mut blocks) = setup.pe(0, 2);
    blocks[0].publish(monotonic_ns(), &sent(9000));
    let view = monitor.tick().view;
    let [group] = view.groups.as_slice() else { panic!("{view:?}") };
    assert_eq!((group.key.as_str(), group.marks.as_slice()), ("job1/node0/0", &[][..]));
    // More than the run before had, and still no rate: these are other counters.
    assert_eq!((group.nics[0].tx.bytes_per_s, group.nics[0].marks.as_slice()), (None, &[Mark::New][..]));
}

#[test]
fn a_pe_that_stands_still_has_no_rate_until_it_has_moved_for_a_tick() {
    let setup = Setup::new();
    let mut monitor = setup.monitor();
    let (_writer, mut blocks) = setup.pe(0, 1);
    // Nothing published for a while, though not for as long as makes a page stalled by itself.
    let before = monotonic_ns() + 1;
    let mut tick = |at_ns: u64, bytes| {
        blocks[0].publish(at_ns, &sent(bytes));
        let row = nic(&sure_tick(&mut monitor, |row| row.device == "nic0").view, "nic0").clone();
        (row.tx.bytes, row.tx.bytes_per_s.is_some(), row.marks)
    };
    tick(before, 100);
    std::thread::sleep(Duration::from_millis(310));
    assert_eq!(tick(before, 100), (Some(100), false, vec![Mark::Stalled]));
    assert_eq!(tick(monotonic_ns(), 1 << 40), (Some(1 << 40), false, vec![Mark::New]));
    assert_eq!(tick(monotonic_ns(), 1 << 41), (Some(1 << 41), true, vec![]));
}

#[test]
fn a_file_that_is_no_page_is_a_notice_and_the_others_are_shown() {
    let setup = Setup::new();
    let (_writer, _blocks) = setup.pe(0, 1);
    fs::write(setup.pages().join("garbage"), [0x1b; 9000]).unwrap();
    let view = setup.monitor().tick().view;
    assert_eq!(view.groups.len(), 1);
    let [notice] = view.notices.iter().filter(|n| n.subject.ends_with("garbage")).collect::<Vec<_>>()[..]
    else {
        panic!("{:?}", view.notices)
    };
    assert!(notice.text.contains("not a counter page"));
}

#[test]
fn many_bad_files_are_one_notice_and_devices_come_first() {
    let setup = Setup::new();
    let (_writer, _blocks) = setup.pe(0, 1);
    for i in 0..20 {
        fs::write(setup.pages().join(format!("garbage{i:02}")), [0x1b; 9000]).unwrap();
    }
    setup.set("zzz_0", 1);
    fs::remove_file(setup.device("zzz_0").join("ports/1/hw_counters/rx_bytes")).unwrap();
    let notices = setup.monitor().tick().view.notices;
    let [device, pages] = notices.as_slice() else { panic!("{notices:?}") };
    assert_eq!(device.subject, "zzz_0");
    assert_eq!(pages.subject, setup.pages().to_string_lossy());
    assert!(pages.text.contains("20 files") && pages.text.contains("garbage00"), "{pages:?}");
}

#[test]
fn no_more_pages_are_opened_than_there_are_descriptors_for() {
    let setup = Setup::new();
    for rank in 0..513 {
        // Dead ones, so that the test itself needs no descriptors for them.
        let (mut writer, _blocks) = setup.pe(rank, 1);
        writer.set_state(PageState::Aborted);
    }
    let view = setup.monitor().tick().view;
    assert_eq!(view.groups.len(), 512);
    assert!(
        view.notices.iter().any(|n| n.text.contains("more than 512 counter pages")),
        "{:?}",
        view.notices
    );
}

#[test]
fn a_pages_nic_has_its_devices_counters_beside_it_and_the_device_no_row_of_its_own() {
    let setup = Setup::new();
    setup.set("nic0", 7000);
    setup.set("efa_9", 1);
    let (_writer, mut blocks) = setup.pe(0, 1);
    blocks[0].publish(monotonic_ns(), &sent(6800));
    let tick = setup.monitor().tick();
    let row = nic(&tick.view, "nic0");
    let kernel = row.kernel.as_ref().unwrap();
    assert_eq!((kernel.source, kernel.tx.bytes, row.tx.bytes), (SourceKind::Sysfs, Some(7000), Some(6800)));
    let kinds: Vec<GroupKind> = tick.view.groups.iter().map(|g| g.kind).collect();
    assert_eq!(kinds, [GroupKind::Pe, GroupKind::Node]);
    assert_eq!(tick.view.groups[1].nics.len(), 1);
    let [kernel_row] = tick.kernel_rows.as_slice() else { panic!("{tick:?}") };
    assert_eq!((kernel_row.key.as_str(), kernel_row.source), ("job1/node0/0/nic0", SourceKind::Sysfs));
}

#[test]
fn a_software_nic_has_its_network_interface_beside_it_unless_several_share_one() {
    let interfaces = fs::read_to_string("/proc/self/net/dev").unwrap();
    let names = interfaces.lines().filter_map(|l| Some(l.split_once(':')?.0.trim().to_owned()));
    let Some(interface) = names.into_iter().find(|n| n != "lo") else {
        eprintln!("skipped: this machine has no network interface but lo");
        return;
    };
    let setup = Setup::new();
    let (writer, blocks) = setup.pe_on(0, &[interface.clone(), "lo".to_owned(), "absent0".to_owned()]);
    let mut monitor = setup.monitor();
    let tick = monitor.tick();
    let kernel = nic(&tick.view, &interface).kernel.as_ref().unwrap();
    assert_eq!((kernel.source, kernel.tx.bytes.is_some()), (SourceKind::Netdev, true));
    assert_eq!(tick.kernel_rows[0].source, SourceKind::Netdev);
    // Loopback is everybody's, so it says nothing about this NIC; and no number is made up for what is not there.
    assert_eq!(nic(&tick.view, "lo").kernel, None);
    assert!(nic(&tick.view, "absent0").reason.as_ref().unwrap().contains("no interface absent0"));

    drop((writer, blocks));
    let _two =
        (setup.pe_on(0, std::slice::from_ref(&interface)), setup.pe_on(1, std::slice::from_ref(&interface)));
    monitor.tick();
    assert_eq!(nic(&monitor.tick().view, &interface).kernel, None);
}

#[test]
fn the_sampler_wakes_its_screen_and_ends_when_dropped() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sys/efa-p5");
    let setup = Setup::new();
    let config = Config { sysfs_root: root, interval: Duration::from_millis(20), ..setup.config() };
    let (tell, woken) = std::sync::mpsc::channel();
    let mut sampler = Sampler::start(config).unwrap();
    sampler.subscribe(move || {
        // The test may have stopped listening.
        let _deaf = tell.send(());
    });
    woken.recv_timeout(Duration::from_secs(30)).unwrap();
    let mut view = sampler.latest().unwrap();
    // The first look waits for nobody who is slow on a busy host, so what such a device is comes with the next.
    while view.groups.len() > 2 {
        let late = view.groups.iter().flat_map(|g| &g.nics).any(|n| n.marks.contains(&Mark::Stale));
        assert!(late, "{view:?}");
        woken.recv_timeout(Duration::from_secs(30)).unwrap();
        view = sampler.latest().unwrap_or(view);
    }
    assert_eq!(view.groups.len(), 2);
    sampler.set_interval(Duration::from_millis(10));
    let begin = Instant::now();
    while sampler.latest().is_none_or(|v| v.interval != Duration::from_millis(10)) {
        woken.recv_timeout(Duration::from_secs(30)).unwrap();
        assert!(begin.elapsed() < Duration::from_secs(30));
    }
    assert!(sampler.is_alive());
    drop(sampler);
    while woken.recv_timeout(Duration::from_secs(30)).is_ok() {}
}
