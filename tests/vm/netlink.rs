//! RDMA netlink beside sysfs: the same values, also where sysfs hides them.

use serde_json::{Map, Value};

use crate::machine::Machine;
use crate::report::{assert_near, count, lines, median_rate, of, watch};

/// A device of EFA whose counters all differ, one that grows, and one of mlx5, whose bytes are not among those that
/// netlink has.
const DEVICES: &str = "use_mock efa_0:efa,efa_1:efa,mlx5_0:mlx5
    n=0
    for file in $mock/efa_0/port/*; do
        [ \"${file%.per_s}\" != \"$file\" ] || echo $((9007199254740993 + 1000003 * n++)) >$file
    done
    echo 1000000000 >$mock/efa_1/port/tx_bytes.per_s
    echo 1000 >$mock/mlx5_0/pma/port_xmit_data; echo 77 >$mock/mlx5_0/port/out_of_buffer";

/// What was set: the values of `efa_0` by name.
fn set_values(machine: &mut Machine) -> Map<String, Value> {
    let text = machine.ok("cd $mock/efa_0/port; grep -H . $(ls | grep -v per_s)");
    let pairs = text.lines().map(|line| line.split_once(':').expect("NAME:VALUE"));
    pairs.map(|(name, value)| (name.to_owned(), value.parse::<u64>().expect("a number").into())).collect()
}

/// The last record of a device.
fn last<'a>(log: &'a [Value], device: &str, source: &str) -> &'a Value {
    of(log, device, source).last().unwrap_or_else(|| panic!("no record of {device} by {source}"))
}

/// The values by netlink are those that were set, and those of sysfs.
fn are_the_set_values(record: &Value, set: &Map<String, Value>) {
    assert_eq!(set.len(), 22, "the counters of efa: {set:?}");
    for (name, value) in set {
        assert_eq!(&record["counters"][name], value, "{name}: {record}");
    }
    for (quantity, name) in [
        ("tx_bytes", "tx_bytes"),
        ("rx_bytes", "rx_bytes"),
        ("tx_pkts", "tx_pkts"),
        ("rx_pkts", "rx_pkts"),
        ("drops", "rx_drops"),
        ("retransmits", "retrans_pkts"),
        ("timeouts", "retrans_timeout_events"),
    ] {
        assert_eq!(record[quantity], set[name], "{quantity}: {record}");
    }
}

pub fn both_sources_say_the_same(machine: &mut Machine) {
    machine.ok(DEVICES);
    machine.ok("ping -q -c 5 -i 0.01 -I 10.0.0.1 10.0.0.2 >/dev/null");
    let set = set_values(machine);
    let by_sysfs = watch(machine, "--source sysfs -i 250ms", "log_ticks 4");
    let by_netlink = watch(machine, "--source netlink -i 250ms", "log_ticks 4");
    for (log, source) in [(&by_sysfs, "sysfs"), (&by_netlink, "netlink")] {
        are_the_set_values(last(log, "efa_0", source), &set);
        assert_near(source, median_rate(&of(log, "efa_1", source), "tx_bytes_per_s"), 1e9, 0.002);
        assert_eq!(count(&last(log, "mlx5_0", source)["counters"], "out_of_buffer"), 77);
    }
    // Netlink has no other counters than sysfs, and what it has of rxe are packets.
    for device in ["rxe0", "rxe1", "rxe2", "rxe3"] {
        let (ours, theirs) = (last(&by_netlink, device, "netlink"), last(&by_sysfs, device, "netdev"));
        let counters = ours["counters"].as_object().expect("counters");
        assert!(counters.contains_key("sent_pkts") && counters.contains_key("rcvd_pkts"), "{ours}");
        for (name, value) in counters {
            assert_eq!(value, &theirs["counters"][name], "{device} {name}");
        }
        assert_eq!(ours["tx_pkts"], theirs["counters"]["sent_pkts"], "{device}");
        let witness = machine.ok(&format!("hw {device} sent_pkts"));
        assert_eq!(ours["tx_pkts"].to_string(), witness.trim(), "{device}");
    }
    // 4 bytes a word by sysfs; by netlink not known, which is not 0, and it is said where it is.
    assert_eq!(last(&by_sysfs, "mlx5_0", "sysfs")["tx_bytes"], 4000);
    let without = last(&by_netlink, "mlx5_0", "netlink");
    assert_eq!([&without["tx_bytes"], &without["tx_bytes_per_s"]], [&Value::Null; 2], "{without}");
    let reason = without["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("counters/port_xmit_data") && reason.contains("only sysfs"), "{reason}");
    machine.ok("use_mock ''");
}

/// In a container's network namespace the kernel hides the ports' counters, and reading the device's own crashes some
/// versions of it. What counts is over netlink there, and the others are not even opened.
pub fn a_network_namespace_has_netlink_and_leaves_the_device_counters_alone(machine: &mut Machine) {
    machine.ok(DEVICES);
    let set = set_values(machine);
    let hidden = machine.run(
        "unshare -n -m sh -c 'mount -t sysfs sysfs /sys && ls -d /sys/class/infiniband/efa_0/ports/1/hw_counters'",
    );
    assert_ne!(hidden.status, 0, "the kernel hides nothing: {}", hidden.out);
    // What `log_begin` starts. strace is a grandchild, so that the process that is ended is railtop, and stops it at
    // nothing but opening.
    let log = lines(&machine.ok(
        "railtop() {
            exec unshare -n -m sh -c 'mount -t sysfs sysfs /sys &&
                exec strace -D -f --seccomp-bpf -e trace=open,openat,openat2 -o /tmp/opened railtop \"$@\"' sh \"$@\"
         }
         log_begin -i 1s && log_until '\"dev\":\"efa_0\".*\"source\":\"netlink\"' &&
         log_until '\"dev\":\"efa_1\".*\"source\":\"netlink\".*\"tx_bytes_per_s\"' && log_ticks 5 && log_end",
    ));
    are_the_set_values(last(&log, "efa_0", "netlink"), &set);
    assert_near("efa_1", median_rate(&of(&log, "efa_1", "netlink"), "tx_bytes_per_s"), 1e9, 0.002);
    assert_eq!(count(&last(&log, "mlx5_0", "netlink")["counters"], "out_of_buffer"), 77);
    let opened = machine.ok("grep -o '\"/[^\"]*hw_counters' /tmp/opened | sort -u");
    let opened: Vec<&str> = opened.lines().collect();
    assert!(opened.iter().any(|path| path.contains("/ports/1/")), "nothing was looked for: {opened:?}");
    let of_devices: Vec<_> = opened.iter().filter(|path| !path.contains("/ports/")).collect();
    assert!(of_devices.is_empty(), "{of_devices:?}");
    machine.ok("use_mock ''");
}
