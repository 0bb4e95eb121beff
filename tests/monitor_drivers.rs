//! Every driver's counters, and every kind of damage, from files to what the monitor shows.

#![expect(clippy::unwrap_used, reason = "a helper of a test that fails, fails the test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use railtop::balance::Direction;
use railtop::monitor::check::Tally;
use railtop::monitor::counter::Health;
use railtop::monitor::log::records;
use railtop::monitor::model::view::{CounterView, GroupKind, Mark, NicView, SourceKind, View};
use railtop::monitor::sample::Needs;
use railtop::monitor::{Config, Monitor};
use test_case::test_case;

#[path = "support/tick.rs"]
mod tick;

use tick::{sure_tick, sure_tick_of_all};

/// A copy of a fixture that a test may change.
struct Tree(tempfile::TempDir);

impl Tree {
    fn of(fixture: &str) -> Self {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sys").join(fixture);
        let dir = tempfile::tempdir().unwrap();
        copy(&from, dir.path());
        Self(dir)
    }

    fn device(&self, name: &str) -> PathBuf {
        self.0.path().join("class/infiniband").join(name)
    }

    /// Puts a value into place the way that no reader can see half of it.
    fn set(&self, path: &str, value: u64) {
        let path = self.0.path().join(path);
        let new = path.with_extension("new");
        fs::write(&new, format!("{value}\n")).unwrap();
        fs::rename(new, path).unwrap();
    }

    fn counter(&self, device: &str, name: &str, value: u64) {
        self.set(&format!("class/infiniband/{device}/ports/1/{name}"), value);
    }

    fn monitor(&self) -> Monitor {
        self.monitor_of(SourceKind::Sysfs)
    }

    fn monitor_of(&self, source: SourceKind) -> Monitor {
        Monitor::new(Config {
            sysfs_root: self.0.path().to_owned(),
            page_dir: Some(self.0.path().join("pages")),
            host: "testhost".to_owned(),
            device: None,
            source: Some(source),
            interval: Duration::from_secs(1),
            thresholds: railtop::monitor::Thresholds::default(),
            line_rates: vec![("mlx4_*".parse().unwrap(), 40_000_000_000)],
        })
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in from.read_dir().unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn nics(view: &View) -> impl Iterator<Item = &NicView> {
    view.groups.iter().flat_map(|g| &g.nics)
}

fn nic<'a>(view: &'a View, device: &str, port: u8) -> &'a NicView {
    nics(view).find(|n| n.device == device && n.port == port).unwrap()
}

/// What the fixture's NICs have done when they count it.
const BYTES: (Option<u64>, Option<u64>) = (Some(4000), Some(8000));
const PACKETS: (Option<u64>, Option<u64>) = (Some(10), Some(20));
const NONE: (Option<u64>, Option<u64>) = (None, None);

/// `sent`: what to raise so that 4000 bytes more (or 10 packets more) were sent.
#[test_case("efa_0", "efa", BYTES, PACKETS, [Some(3), Some(4), Some(5), None], &[("hw_counters/tx_bytes", 8000)])]
#[test_case("mlx5_0", "mlx5_core", BYTES, PACKETS, [Some(7), Some(4), Some(5), Some(6)], &[("counters/port_xmit_data", 2000)])]
#[test_case("mlx4_0", "mlx4_core", BYTES, PACKETS, [Some(4), Some(4), Some(5), None], &[("counters/port_xmit_data", 2000)])]
#[test_case("bnxt_re0", "bnxt_en", BYTES, PACKETS, [Some(3), Some(4), Some(5), Some(6)], &[("hw_counters/tx_bytes", 8000)])]
#[test_case("irdma0", "ice", BYTES, PACKETS, [Some(3), Some(4), None, Some(6)], &[("hw_counters/ip4OutOctets", 4000), ("hw_counters/ip6OutOctets", 4000)])]
#[test_case("erdma_0", "erdma", BYTES, PACKETS, [Some(3), None, None, None], &[("hw_counters/tx_bytes_cnt", 8000)])]
#[test_case("erdma_1", "erdma", BYTES, PACKETS, [Some(3), None, None, None], &[("hw_counters/hw_tx_bytes_cnt", 8000)])]
#[test_case("mana_0", "mana", BYTES, PACKETS, [None, Some(4), Some(5), Some(6)], &[("hw_counters/tx_bytes", 8000)])]
#[test_case("ionic_0", "ionic", BYTES, PACKETS, [None, Some(4), Some(5), Some(6)], &[("hw_counters/tx_rdma_ucast_bytes", 8000)])]
#[test_case("hns_0", "hns3", NONE, PACKETS, [Some(3), None, None, Some(6)], &[("hw_counters/tx_pkt", 20)])]
#[test_case("cxgb4_0", "cxgb4", NONE, PACKETS, [None, Some(4), None, None], &[("../../hw_counters/ip4OutSegs", 16)])]
#[test_case("qedr0", "qedr", BYTES, PACKETS, [Some(3), None, None, None], &[("counters/port_xmit_data", 2000)])]
#[test_case("hfi1_0", "hfi1", BYTES, PACKETS, [Some(3), None, None, None], &[("counters/port_xmit_data", 2000)])]
#[test_case("rxe0", "rxe", BYTES, PACKETS, [Some(3), Some(4), None, None], &[("../../../../net/v0a/statistics/tx_bytes", 8000)])]
#[test_case("siw0", "siw", BYTES, PACKETS, [Some(3), None, None, None], &[("../../../../net/eth1/statistics/tx_bytes", 8000)])]
fn a_driver_is_read_right(
    device: &str,
    driver: &str,
    bytes: (Option<u64>, Option<u64>),
    packets: (Option<u64>, Option<u64>),
    health: [Option<u64>; 4],
    sent: &[(&str, u64)],
) {
    let tree = Tree::of("drivers");
    let mut monitor = tree.monitor();
    let view = monitor.tick().view;
    let row = nic(&view, device, 1);
    assert_eq!(row.driver, driver);
    assert_eq!((row.tx.bytes, row.rx.bytes), bytes);
    assert_eq!((row.tx.ops, row.rx.ops), packets);
    assert_eq!(Health::ALL.map(|quantity| row.health[quantity].total), health);
    assert_eq!(
        (row.tx.bytes_per_s, row.marks.as_slice()),
        (None, &[Mark::New][..]),
        "no rate at first sight"
    );
    let software = matches!(driver, "rxe" | "siw");
    assert_eq!(row.source, if software { SourceKind::Netdev } else { SourceKind::Sysfs });

    for &(file, value) in sent {
        tree.counter(device, file, value);
    }
    let view = sure_tick(&mut monitor, |row| row.device == device).view;
    let row = nic(&view, device, 1);
    let per_s = |grown: f64| grown / row.dt.unwrap().as_secs_f64();
    let (shown, grown) = match bytes {
        NONE => (row.tx.ops_per_s, 10.0),
        _ => (row.tx.bytes_per_s, 4000.0),
    };
    assert!((shown.unwrap() / per_s(grown) - 1.0).abs() < 1e-9, "{shown:?}");
    // What did not move has a rate of 0, and what is not counted has none.
    let view = sure_tick_of_all(&mut monitor, |row| row.device == device).view;
    let row = nic(&view, device, 1);
    assert_eq!(row.marks, []);
    assert_eq!(row.rx.bytes_per_s, bytes.1.map(|_| 0.0));
    assert_eq!(row.rx.ops_per_s, packets.1.map(|_| 0.0));
    let rates = Health::ALL.map(|quantity| row.health[quantity].per_s);
    assert_eq!(rates, health.map(|total| total.map(|_| 0.0)));
}

#[test]
fn every_driver_of_the_fixture_is_shown_and_an_odd_name_is_kept() {
    let tree = Tree::of("drivers");
    let view = tree.monitor().tick().view;
    assert_eq!(nics(&view).count(), 15);
    let odd = &nic(&view, "hfi1_0", 1).counters;
    assert!(odd.iter().any(|c| c.name() == "SwLinkUp,32" && c.value == 3));
    let mlx4 = nic(&view, "mlx4_0", 1);
    assert_eq!(
        (mlx4.link_bits_per_s, mlx4.link_overridden),
        (Some(40_000_000_000), true),
        "set by configuration"
    );
    assert!(!nic(&view, "mlx5_0", 1).link_overridden);
}

#[test]
fn software_rdma_is_there_for_who_asks_for_sysfs_and_for_who_asks_for_interfaces() {
    let tree = Tree::of("drivers");
    for (source, hardware) in [(SourceKind::Sysfs, true), (SourceKind::Netdev, false)] {
        let mut monitor = tree.monitor_of(source);
        let mut tally = Tally::new(Some(source));
        monitor.set_needs(Tally::needs());
        tally.add(&monitor.tick());
        tree.set("class/net/v0a/statistics/tx_bytes", 1 << 40);
        tree.set("class/net/eth1/statistics/tx_bytes", 1 << 40);
        let tick = monitor.tick();
        tally.add(&tick);
        let records = records(&tick, Some(source), 0);
        let has = |dev| records.iter().any(|r| r.dev == dev && r.tx_bytes.is_some());
        assert_eq!((has("rxe0"), has("siw0"), has("efa_0")), (true, true, hardware), "{}", source.name());
        if !hardware {
            let report = tally.judge(1.25, &[Direction::Tx]).unwrap();
            assert!(report.groups.iter().map(|g| g.bytes).sum::<u64>() > 1 << 40, "{report:?}");
        }
        tree.set("class/net/v0a/statistics/tx_bytes", 8000);
        tree.set("class/net/eth1/statistics/tx_bytes", 8000);
    }
}

#[test]
fn a_gauge_falls_without_a_reset_and_has_no_rate() {
    let tree = Tree::of("drivers");
    let mut monitor = tree.monitor();
    monitor.tick();
    tree.counter("bnxt_re0", "hw_counters/active_qps", 1);
    tree.counter("mana_0", "hw_counters/current_rate", 1);
    let view =
        sure_tick_of_all(&mut monitor, |row| ["bnxt_re0", "mana_0"].contains(&row.device.as_str())).view;
    for (device, name) in [("bnxt_re0", "active_qps"), ("mana_0", "current_rate")] {
        let row = nic(&view, device, 1);
        let gauge = row.counters.iter().find(|c| c.name() == name).unwrap();
        assert_eq!((gauge.value, gauge.per_s, row.marks.as_slice()), (1, None, &[][..]));
        assert_eq!(row.tx.bytes_per_s, Some(0.0));
    }
}

#[test_case("hns_0", "class/infiniband/hns_0/ports/1/hw_counters/tx_pkt")]
#[test_case("cxgb4_0", "class/infiniband/cxgb4_0/hw_counters/ip4OutSegs")]
fn a_driver_that_counts_no_bytes_stays_alive_where_only_the_list_is_shown(device: &str, packets: &str) {
    let tree = Tree::of("drivers");
    let mut monitor = tree.monitor();
    monitor.tick();
    monitor.set_needs(Needs::list());
    sure_tick(&mut monitor, |row| row.device == device);
    tree.set(packets, 1000);
    let view = sure_tick(&mut monitor, |row| row.device == device).view;
    let row = nic(&view, device, 1);
    assert!(row.tx.ops_per_s.is_some_and(|rate| rate > 0.0), "{row:?}");
    let view = sure_tick_of_all(&mut monitor, |row| row.device == device).view;
    let row = nic(&view, device, 1);
    assert_eq!((&row.marks[..], row.tx.bytes), (&[][..], None), "{:?}", row.reason);
}

#[test]
fn a_wrap_is_growth_and_a_reset_is_a_gap() {
    let tree = Tree::of("drivers");
    let wrap = |_| {
        tree.counter("mlx5_0", "hw_counters/np_cnp_sent", 4_294_967_290);
        let mut monitor = tree.monitor();
        monitor.tick();
        tree.counter("mlx5_0", "hw_counters/np_cnp_sent", 4);
        std::thread::sleep(Duration::from_millis(20));
        let view = monitor.tick().view;
        // Of a read that takes long there is no rate.
        (!nic(&view, "mlx5_0", 1).marks.contains(&Mark::Unsure)).then_some((monitor, view))
    };
    let (mut monitor, view) = (0..1000).find_map(wrap).expect("a read that does not take long");
    let wrapped = nic(&view, "mlx5_0", 1);
    let cnp = wrapped.counters.iter().find(|c| c.name() == "np_cnp_sent").unwrap();
    let grown = cnp.per_s.unwrap() * wrapped.dt.unwrap().as_secs_f64();
    assert!((grown - 10.0).abs() < 1e-6 && wrapped.marks.is_empty(), "{grown}");
    tree.counter("efa_0", "hw_counters/tx_bytes", 5);
    let view = monitor.tick().view;
    let reset = nic(&view, "efa_0", 1);
    assert_eq!(
        (reset.marks.as_slice(), reset.tx.bytes_per_s, reset.tx.bytes),
        (&[Mark::Reset][..], None, Some(5))
    );
    tree.counter("efa_0", "hw_counters/tx_bytes", 15);
    let view = sure_tick(&mut monitor, |row| row.device == "efa_0").view;
    let after = nic(&view, "efa_0", 1);
    assert!(after.tx.bytes_per_s.unwrap() * after.dt.unwrap().as_secs_f64() < 10.1);
}

#[test]
fn a_returned_or_renamed_nic_begins_anew() {
    let tree = Tree::of("drivers");
    let mut monitor = tree.monitor();
    monitor.tick();
    monitor.tick();
    fs::rename(tree.device("efa_0"), tree.device("rdmap79s0")).unwrap();
    let view = monitor.tick().view;
    assert_eq!(nic(&view, "efa_0", 1).marks, [Mark::Gone]);
    let renamed = nic(&view, "rdmap79s0", 1);
    assert_eq!((renamed.marks.as_slice(), renamed.tx.bytes_per_s), (&[Mark::New][..], None));
    fs::rename(tree.device("rdmap79s0"), tree.device("efa_0")).unwrap();
    tree.counter("efa_0", "hw_counters/tx_bytes", 1 << 50);
    let view = monitor.tick().view;
    assert_eq!(
        (nic(&view, "efa_0", 1).marks.as_slice(), nic(&view, "efa_0", 1).tx.bytes_per_s),
        (&[Mark::New][..], None)
    );
}

#[test]
fn what_is_damaged_is_missing_with_its_reason_and_the_rest_is_shown() {
    let tree = Tree::of("hostile");
    let view = tree.monitor().tick().view;
    let reason = |device| nic(&view, device, 1).reason.clone().unwrap_or_default();
    assert_eq!(nic(&view, "efa_0", 1).tx.bytes, Some(1));
    assert!(reason("efa_0").contains("does not fit into 64 bits"));
    assert_eq!((nic(&view, "efa_1", 1).tx.bytes, nic(&view, "efa_1", 1).rx.bytes), (None, Some(2)));
    assert!(reason("efa_1").contains("N/A (no PMA)"));
    assert!(reason("efa_2").contains("the file is empty"));
    assert_eq!(nic(&view, "efa_2", 1).health[Health::Drops].total, None, "missing is not zero");
    assert!(reason("efa_3").contains("inside a container") && nic(&view, "efa_3", 1).counters.is_empty());
    assert!(reason("efa_4").contains("not a regular file"));
    assert!(reason("qedr0").contains("N/A (no PMA)"));
    assert_eq!(nic(&view, "qedr0", 1).tx.bytes, None);
}

#[test]
fn each_port_of_a_device_has_its_own_row_and_rates() {
    let tree = Tree::of("hostile");
    let mut monitor = tree.monitor();
    let view = monitor.tick().view;
    assert_eq!((nic(&view, "mlx5_0", 1).tx.bytes, nic(&view, "mlx5_0", 2).tx.bytes), (Some(400), Some(3600)));
    assert_eq!(nic(&view, "mlx5_0", 2).state.as_deref(), Some("DOWN"));
    assert_eq!(nic(&view, "mlx5_0", 2).phys_state.as_deref(), Some("Disabled"));
    tree.set("class/infiniband/mlx5_0/ports/2/counters/port_xmit_data", 1900);
    let view = sure_tick(&mut monitor, |row| row.device == "mlx5_0" && row.port == 2).view;
    let two = nic(&view, "mlx5_0", 2);
    assert!((two.tx.bytes_per_s.unwrap() * two.dt.unwrap().as_secs_f64() - 4000.0).abs() < 1e-6);
    let view = sure_tick(&mut monitor, |row| row.device == "mlx5_0").view;
    assert_eq!(nic(&view, "mlx5_0", 1).tx.bytes_per_s, Some(0.0));
}

#[test]
fn a_counter_at_its_maximum_says_so_and_has_no_rate() {
    let tree = Tree::of("hostile");
    let mut monitor = tree.monitor();
    monitor.tick();
    let view = monitor.tick().view;
    let row = nic(&view, "mlx5_1", 1);
    let stuck: Vec<&str> = row.counters.iter().filter(|c| c.saturated).map(CounterView::name).collect();
    let names = [
        "link_downed",
        "local_link_integrity_errors",
        "port_xmit_discards",
        "port_xmit_wait",
        "symbol_error",
    ];
    assert_eq!(stuck, names);
    assert!(row.counters.iter().filter(|c| c.saturated).all(|c| c.per_s.is_none()));
    // out_of_buffer still counts.
    assert_eq!(row.health[Health::Drops].total, Some(65_535));
}

/// Old adapters have the narrow form of InfiniBand's counters alone: data that stops at 2^32 - 1 words.
#[test]
fn a_byte_counter_at_its_maximum_is_a_gap_with_its_reason_and_not_a_rate_of_zero() {
    let full = u64::from(u32::MAX);
    let tree = Tree::of("drivers");
    let sent = |value| tree.counter("mlx4_0", "counters/port_xmit_data", value);
    let received = |value| tree.counter("mlx4_0", "counters/port_rcv_data", value);
    sent(full - 100);
    let mut monitor = tree.monitor();
    monitor.tick();
    monitor.tick();
    sent(full);
    let is_meant = |row: &NicView| row.device == "mlx4_0";
    for _ in 0..2 {
        let view = sure_tick(&mut monitor, is_meant).view;
        let row = nic(&view, "mlx4_0", 1);
        assert_eq!((row.tx.bytes, row.tx.bytes_per_s), (None, None));
        assert_eq!(row.rx.bytes_per_s, Some(0.0), "the other direction counts on");
        let reason = row.reason.as_ref().unwrap();
        assert!(reason.contains("tx_bytes (counters/port_xmit_data): it stands at its maximum"), "{reason}");
        let counter = row.counters.iter().find(|c| c.name() == "port_xmit_data").unwrap();
        assert_eq!((counter.saturated, counter.per_s), (true, None));
        let told = view.events.iter().filter(|e| e.kind.name() == "saturated" && e.subject == "mlx4_0");
        assert_eq!(told.count(), 1);
    }
    // Both: the row is no older for it, and says why there is nothing.
    received(full);
    monitor.set_needs(Needs::list());
    let view = sure_tick_of_all(&mut monitor, is_meant).view;
    let row = nic(&view, "mlx4_0", 1);
    assert_eq!((row.tx.bytes, row.rx.bytes, &row.marks[..]), (None, None, &[][..]));
    // A wider form passes that value, and goes on.
    sent(full + 1);
    received(full + 1);
    sure_tick(&mut monitor, is_meant);
    received(full + 1001);
    let view = sure_tick(&mut monitor, is_meant).view;
    let row = nic(&view, "mlx4_0", 1);
    assert_eq!(row.tx.bytes, Some(4 * (full + 1)));
    assert!((row.rx.bytes_per_s.unwrap() * row.dt.unwrap().as_secs_f64() - 4000.0).abs() < 1e-6);
}

#[test]
fn pipes_unreadable_files_and_many_ports_hold_nobody() {
    let tree = Tree::of("hostile");
    let pipe = tree.device("efa_0").join("ports/1/hw_counters/rx_drops");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    fs::remove_file(tree.device("efa_1").join("ports/1/state")).unwrap();
    nix::unistd::mkfifo(&tree.device("efa_1").join("ports/1/state"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    for port in 2..=64 {
        let dir = tree.device("mlx5_1").join(format!("ports/{port}/counters"));
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("port_xmit_data"), port.to_string()).unwrap();
    }
    let view = tree.monitor().tick().view;
    assert!(nic(&view, "efa_0", 1).reason.as_ref().unwrap().contains("not a regular file"));
    assert_eq!(nic(&view, "efa_1", 1).state, None);
    assert_eq!(nics(&view).filter(|n| n.device == "mlx5_1").count(), 64);
    assert_eq!(nic(&view, "mlx5_1", 64).tx.bytes, Some(256));
}

#[test]
fn an_unreadable_counter_is_missing() {
    if nix::unistd::geteuid().is_root() {
        eprintln!("skipped: root can read everything");
        return;
    }
    let tree = Tree::of("hostile");
    let file = tree.device("efa_0").join("ports/1/hw_counters/tx_bytes");
    let locked = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o000);
    fs::set_permissions(file, locked).unwrap();
    let view = tree.monitor().tick().view;
    assert!(nic(&view, "efa_0", 1).reason.as_ref().unwrap().contains("no permission"));
}

#[test]
fn nics_without_gpus_are_grouped_by_numa_node() {
    let tree = Tree::of("drivers");
    for (device, node) in [("efa_0", "0\n"), ("mlx5_0", "0\n"), ("bnxt_re0", "1\n"), ("irdma0", "-1\n")] {
        fs::write(tree.device(device).join("device/numa_node"), node).unwrap();
    }
    let view = tree.monitor().tick().view;
    let group = |key: &str| view.groups.iter().find(|g| g.key == key).unwrap();
    assert_eq!(
        (group("numa:0").kind, group("numa:0").numa, group("numa:0").nics.len()),
        (GroupKind::Numa, Some(0), 2)
    );
    assert_eq!(group("numa:1").nics.len(), 1);
    assert_eq!(group("node:testhost").nics.len(), 12);
}

#[test]
fn a_machine_type_tells_what_an_old_efa_driver_does_not_know() {
    let tree = Tree::of("drivers");
    let dmi = tree.0.path().join("class/dmi/id");
    fs::create_dir_all(&dmi).unwrap();
    fs::write(dmi.join("product_name"), "p6-b200.48xlarge\n").unwrap();
    let view = tree.monitor().tick().view;
    let efa = nic(&view, "efa_0", 1);
    assert_eq!((efa.link_bits_per_s, efa.link_overridden), (Some(400_000_000_000), true));
    assert!(!nic(&view, "bnxt_re0", 1).link_overridden);
}
