//! What is opened and what not, on trees made by the test.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::mpsc;

use super::port::PortReader;
use super::*;
use crate::monitor::clock;
use crate::monitor::model::track::{Rates, Tracks};
use crate::monitor::model::view::{Mark, SourceKind};
use crate::monitor::sample::Reading;

struct Tree(tempfile::TempDir);

impl Tree {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Counters of a directory of the device's only port.
    fn counters(&self, device: &str, dir: &str, values: &[(&str, u64)]) {
        for (name, value) in values {
            self.write(&format!("class/infiniband/{device}/ports/1/{dir}/{name}"), &value.to_string());
        }
    }

    fn driver(&self, device: &str, driver: &str) {
        self.write(&format!("class/infiniband/{device}/device/uevent"), &format!("DRIVER={driver}\n"));
    }

    /// One reader for one device, so that the test sees what it touches.
    fn reader(&self, device: &str) -> (DeviceReader, Arc<Root>) {
        let root = Arc::new(Root::new(self.0.path().to_owned()));
        let machine = Arc::new(Machine::of(&root, Vec::new()));
        (DeviceReader::new(Arc::clone(&root), machine, device.to_owned()), root)
    }

    fn read(&self, device: &str) -> PortSample {
        self.reader(device).0.read(Needs::everything()).remove(0)
    }
}

fn values(port: &PortSample) -> BTreeMap<&str, u64> {
    port.reading.as_ref().unwrap().counters.iter().map(|c| (c.name(), c.value)).collect()
}

/// What was opened or listed of the device's own counters.
fn device_counters_touched(root: &Root, device: &str) -> usize {
    let dir = Path::new(CLASS).join(device).join("hw_counters");
    root.touched.lock().unwrap().iter().filter(|p| p.starts_with(&dir)).count()
}

const EFA: &[(&str, u64)] = &[("tx_bytes", 10), ("rx_bytes", 20), ("tx_pkts", 1), ("rx_pkts", 2)];

#[test]
fn the_devices_own_counters_are_detail_where_the_port_has_some() {
    let tree = Tree::new();
    tree.driver("efa_0", "efa");
    tree.counters("efa_0", "hw_counters", EFA);
    tree.write("class/infiniband/efa_0/hw_counters/submitted_cmds", "77");
    assert_eq!(values(&tree.read("efa_0"))["submitted_cmds"], 77);
}

#[test]
fn a_stand_in_of_another_namespace_never_has_its_own_counters_opened() {
    let tree = Tree::new();
    for driver in ["efa", "mana", "mlx5_core", "bnxt_re", "nobody_knows"] {
        tree.driver(driver, driver);
        tree.write(&format!("class/infiniband/{driver}/ports/1/state"), "4: ACTIVE\n");
        // As in the kernel: the directory is there and opening what it holds is fatal.
        tree.write(&format!("class/infiniband/{driver}/hw_counters/submitted_cmds"), "1");
        let (mut reader, root) = tree.reader(driver);
        for _ in 0..3 {
            let port = reader.read(Needs::everything()).remove(0);
            let reading = port.reading.unwrap();
            assert!(reading.counters.is_empty() && reading.traffic.is_unknown());
            assert!(
                reading.missing.iter().all(|m| m.reason.contains("inside a container")),
                "{:?}",
                reading.missing
            );
        }
        assert_eq!(device_counters_touched(&root, driver), 0, "{driver}");
    }
}

#[test]
fn only_drivers_that_want_them_have_their_own_counters_opened() {
    let tree = Tree::new();
    tree.driver("mlx5_0", "mlx5_core");
    tree.counters("mlx5_0", "hw_counters", &[("np_cnp_sent", 1)]);
    tree.write("class/infiniband/mlx5_0/hw_counters/something", "1");
    let (mut reader, root) = tree.reader("mlx5_0");
    reader.read(Needs::everything());
    assert_eq!(device_counters_touched(&root, "mlx5_0"), 0);
}

#[test]
fn chelsio_counts_per_device_alone() {
    let tree = Tree::new();
    tree.driver("cxgb4_0", "cxgb4");
    tree.write("class/infiniband/cxgb4_0/ports/1/state", "4: ACTIVE\n");
    tree.write("class/infiniband/cxgb4_0/hw_counters/ip4OutSegs", "5");
    tree.write("class/infiniband/cxgb4_0/hw_counters/ip6OutSegs", "6");
    tree.write("class/infiniband/cxgb4_0/hw_counters/ip4InSegs", "7");
    let traffic = tree.read("cxgb4_0").reading.unwrap().traffic;
    assert_eq!((traffic.tx_ops, traffic.rx_ops, traffic.tx_bytes), (Some(11), Some(7), None));
}

#[test]
fn what_lies_on_the_kernels_sysfs_may_be_a_stand_in_unless_it_is_ours_and_in_the_first_namespace() {
    if !Root::new("/sys".into()).is_kernels() {
        eprintln!("skipped: no sysfs here");
        return;
    }
    // As from a container into which somebody mounted this.
    assert!(Root::new("/sys/class".into()).may_be_stand_in(Path::new("net")));
    let tree = Tree::new();
    tree.write("class/infiniband/cxgb4_0/ports/1/state", "4: ACTIVE\n");
    let root = Root::new(tree.0.path().to_owned());
    assert!(!root.may_be_stand_in(Path::new("class/infiniband/cxgb4_0")));
    let first = Path::new("/proc/sys/net/core/netdev_budget").exists();
    assert_eq!(Root::new("/sys".into()).may_be_stand_in(Path::new("class")), !first);
}

/// An interface's statistics.
fn interface(tree: &Tree, name: &str) {
    for (file, value) in
        [("tx_bytes", 1000), ("rx_bytes", 2000), ("tx_packets", 10), ("rx_packets", 20), ("rx_dropped", 3)]
    {
        tree.write(&format!("class/net/{name}/statistics/{file}"), &format!("{value}\n"));
    }
}

#[test]
fn rxe_has_its_own_packets_and_its_interfaces_bytes() {
    let tree = Tree::new();
    interface(&tree, "v0a");
    tree.write("class/infiniband/rxe0/node_desc", "rxe\n");
    tree.write("class/infiniband/rxe0/parent", "v0a\n");
    tree.counters("rxe0", "hw_counters", &[("sent_pkts", 5), ("rcvd_pkts", 6), ("completer_retry_err", 2)]);
    let port = tree.read("rxe0");
    assert_eq!((port.source, port.facts.driver.as_deref()), (SourceKind::Netdev, Some("rxe")));
    assert_eq!(port.facts.netdev.as_deref(), Some("v0a"));
    let traffic = port.reading.as_ref().unwrap().traffic;
    assert_eq!((traffic.tx_bytes, traffic.rx_bytes), (Some(1000), Some(2000)));
    assert_eq!((traffic.tx_ops, traffic.rx_ops), (Some(5), Some(6)));
    assert_eq!(values(&port)["completer_retry_err"], 2);

    // The newest kernels count bytes themselves.
    tree.counters("rxe0", "hw_counters", &[("sent_bytes", 50), ("rcvd_bytes", 60)]);
    let port = tree.read("rxe0");
    assert_eq!(port.source, SourceKind::Sysfs);
    assert_eq!(port.reading.unwrap().traffic.tx_bytes, Some(50));
}

#[test]
fn siw_has_nothing_but_its_interface() {
    let tree = Tree::new();
    interface(&tree, "eth7");
    tree.write("class/infiniband/siw0/node_desc", "Software iWARP stack\n");
    tree.write("class/infiniband/siw0/ports/1/gid_attrs/ndevs/0", "eth7\n");
    let port = tree.read("siw0");
    assert_eq!((port.source, port.facts.driver.as_deref()), (SourceKind::Netdev, Some("siw")));
    let reading = port.reading.as_ref().unwrap();
    assert_eq!((reading.traffic.tx_bytes, reading.traffic.rx_ops), (Some(1000), Some(20)));
    assert_eq!(values(&port)["rx_dropped"], 3);
}

#[test]
fn a_hardware_driver_never_takes_its_interfaces_bytes() {
    let tree = Tree::new();
    interface(&tree, "eth0");
    let drivers =
        ["efa", "mlx5_core", "mlx4_core", "bnxt_en", "irdma", "erdma", "mana", "ionic", "hns3", "qedr", "x"];
    for driver in drivers {
        tree.driver(driver, driver);
        tree.write(&format!("class/infiniband/{driver}/device/net/eth0/address"), "");
        tree.write(&format!("class/infiniband/{driver}/ports/1/gid_attrs/ndevs/0"), "eth0\n");
        let port = tree.read(driver);
        assert_eq!(
            (port.source, port.facts.netdev.as_deref()),
            (SourceKind::Sysfs, Some("eth0")),
            "{driver}"
        );
        assert!(port.reading.unwrap().traffic.is_unknown(), "{driver}");
    }
}

#[test]
fn a_name_that_leads_out_of_its_directory_is_no_interface() {
    let tree = Tree::new();
    tree.write("class/infiniband/rxe0/node_desc", "rxe\n");
    tree.write("class/infiniband/rxe0/parent", "../../../etc\n");
    tree.write("class/infiniband/rxe0/ports/1/state", "4: ACTIVE\n");
    assert_eq!(tree.read("rxe0").facts.netdev, None);
}

#[test]
fn counters_tell_the_driver_of_a_device_that_nothing_else_names() {
    let tree = Tree::new();
    tree.write("class/infiniband/rdmap16s27/node_desc", "fakerdma\n");
    tree.counters("rdmap16s27", "hw_counters", EFA);
    tree.counters("rdmap16s27", "hw_counters", &[("rdma_read_bytes", 0)]);
    assert_eq!(tree.read("rdmap16s27").facts.driver.as_deref(), Some("efa"));
    tree.counters("rdmap32s27", "counters", &[("port_xmit_data", 9)]);
    tree.counters("rdmap32s27", "hw_counters", &[("np_cnp_sent", 9)]);
    let port = tree.read("rdmap32s27");
    assert_eq!(port.facts.driver.as_deref(), Some("mlx5_core"));
    assert_eq!(port.reading.unwrap().traffic.tx_bytes, Some(36));
}

#[test]
fn the_list_reads_bytes_and_health_and_no_more() {
    let tree = Tree::new();
    tree.driver("efa_0", "efa");
    tree.counters("efa_0", "hw_counters", EFA);
    tree.counters("efa_0", "hw_counters", &[("rx_drops", 1), ("retrans_pkts", 2), ("send_bytes", 3)]);
    let (mut reader, _) = tree.reader("efa_0");
    let mut names = |needs| -> Vec<String> {
        let port = reader.read(needs).remove(0);
        assert_eq!(port.reading.as_ref().unwrap().missing, []);
        values(&port).into_keys().map(str::to_owned).collect()
    };
    assert_eq!(names(Needs::list()), ["retrans_pkts", "rx_bytes", "rx_drops", "tx_bytes"]);
    assert_eq!(names(Needs { packets: true, ..Needs::list() }).len(), 6);
    assert_eq!(names(Needs::everything()).len(), 7);
}

#[test]
fn a_sum_of_other_counters_begins_anew() {
    let tree = Tree::new();
    tree.driver("irdma0", "irdma");
    tree.counters(
        "irdma0",
        "hw_counters",
        &[("ip4OutOctets", 5), ("ip6OutOctets", 1000), ("ip4InOctets", 1)],
    );
    let (mut reader, _) = tree.reader("irdma0");
    let mut read = || reader.read(Needs::everything()).remove(0).reading.unwrap();
    let first = read();
    assert_eq!(first.traffic.tx_bytes, Some(1005));
    tree.counters("irdma0", "hw_counters", &[("ip4OutOctets", 6)]);
    assert_eq!(read().incarnation, first.incarnation);
    let ip6 = "class/infiniband/irdma0/ports/1/hw_counters/ip6OutOctets";
    tree.write(ip6, "N/A");
    let half = read();
    assert_eq!(half.traffic.tx_bytes, None, "6 bytes would be a wrong number");
    assert!(half.missing.iter().any(|m| m.counter == "tx_bytes" && m.reason.contains("N/A")), "{half:?}");
    fs::remove_file(tree.0.path().join(ip6)).unwrap();
    let without = read();
    assert_eq!(without.traffic.tx_bytes, Some(6));
    assert_ne!(
        without.incarnation, first.incarnation,
        "no reset of the device, and no spike when it comes back"
    );
}

/// Reads a port whose `tx_bytes` are the clock's microseconds: 1 MB/s. The read hangs for `hang`, and has the value at its end.
fn read_held(tree: &Tree, port: &mut PortReader, root: &Root, hang: Duration) -> Reading {
    // Whoever opens a file of the tree waits for this.
    let held = root.touched.lock().unwrap();
    let (tell, told) = mpsc::channel();
    std::thread::scope(|scope| {
        let read = scope.spawn(move || {
            tell.send(nix::unistd::gettid()).unwrap();
            port.read(root, Needs::list()).reading.unwrap()
        });
        let stat = format!("/proc/self/task/{}/stat", told.recv().unwrap());
        let sleeps = || fs::read_to_string(&stat).unwrap().rsplit_once(") ").unwrap().1.starts_with('S');
        while !sleeps() {
            std::thread::yield_now();
        }
        std::thread::sleep(hang);
        tree.counters("efa_0", "hw_counters", &[("tx_bytes", clock::mono_ns() / 1000)]);
        drop(held);
        read.join().unwrap()
    })
}

#[test]
fn a_read_that_hangs_says_so_and_no_rate_is_further_off_than_promised_around_it() {
    let tree = Tree::new();
    tree.driver("efa_0", "efa");
    tree.counters("efa_0", "hw_counters", EFA);
    let root = Root::new(tree.0.path().to_owned());
    let facts = Arc::new(tree.read("efa_0").facts.as_ref().clone());
    let mut port = PortReader::new(Path::new(CLASS).join("efa_0"), Arc::clone(&facts));
    port.look(&root, facts);
    let mut tracks = Tracks::default();
    let mut at_once = |hang: Duration| {
        std::thread::sleep(Duration::from_millis(100));
        let before = clock::mono_ns();
        let reading = read_held(&tree, &mut port, &root, hang);
        let (begin, end) = (reading.mono_ns - reading.span_ns / 2, reading.mono_ns + reading.span_ns / 2 + 1);
        assert!(before <= begin && end <= clock::mono_ns() + 1, "{before} {reading:?}");
        let value_ns = reading.traffic.tx_bytes.unwrap() * 1000;
        assert!(begin <= value_ns + 999 && value_ns <= end, "it is of some moment of the read: {reading:?}");
        tracks.begin(Duration::from_secs(3600));
        let rates = tracks.good("efa_0/1", &reading);
        if let Some(rate) = rates.tx.bytes_per_s {
            assert!((rate - 1e6).abs() <= 0.051e6, "{rate} B/s of 1 MB/s over {:?}", rates.dt);
        }
        rates
    };
    // One is enough, but on a machine that is busy any read may take long.
    let until_a_rate = |at_once: &mut dyn FnMut(Duration) -> Rates| {
        assert!((0..200).any(|_| at_once(Duration::ZERO).tx.bytes_per_s.is_some()), "no rate at all");
    };
    until_a_rate(&mut at_once);
    // Longer than it is since the read before.
    let hung = at_once(Duration::from_millis(300));
    assert_eq!((hung.tx.bytes_per_s, hung.marks.as_slice()), (None, &[Mark::Unsure][..]));
    assert!(hung.tx.bytes.is_some(), "the value is right");
    until_a_rate(&mut at_once);
}

#[test]
fn descriptions_are_shared_between_ticks() {
    let tree = Tree::new();
    tree.driver("efa_0", "efa");
    tree.counters("efa_0", "hw_counters", EFA);
    tree.counters("efa_0", "hw_counters", &[("nobody_knows", 1)]);
    let (mut reader, _) = tree.reader("efa_0");
    let (a, b) = (reader.read(Needs::everything()).remove(0), reader.read(Needs::everything()).remove(0));
    for (a, b) in a.reading.unwrap().counters.iter().zip(&b.reading.unwrap().counters) {
        assert!(Arc::ptr_eq(&a.desc, &b.desc), "{}", a.name());
    }
}

#[test]
fn four_nics_of_p5_share_a_gpu_and_one_of_p4d_has_two() {
    let tree = Tree::new();
    let pci = |path: &str, vendor: &str| {
        tree.write(&format!("devices/{path}/vendor"), vendor);
        tree.write(&format!("devices/{path}/class"), "0x030200");
        let address = path.rsplit('/').next().unwrap();
        let link = tree.0.path().join(format!("bus/pci/devices/{address}"));
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(format!("../../../devices/{path}"), link).unwrap();
    };
    for bus in ["10", "20"] {
        pci(&format!("pci0000:{bus}/0000:{bus}:1c.0"), "0x10de");
        pci(&format!("pci0000:{bus}/0000:{bus}:1d.0"), "0x10de");
        pci(&format!("pci0000:{bus}/0000:{bus}:1b.0"), "0x1d0f");
        let device = format!("rdmap{bus}s27");
        tree.counters(&device, "hw_counters", EFA);
        symlink(
            format!("../../../devices/pci0000:{bus}/0000:{bus}:1b.0"),
            tree.0.path().join(format!("class/infiniband/{device}/device")),
        )
        .unwrap();
    }
    assert_eq!(tree.read("rdmap20s27").facts.gpus, ["0000:20:1c.0", "0000:20:1d.0"]);
    assert_eq!(tree.read("rdmap20s27").facts.gpus_in_all, 4);
}
