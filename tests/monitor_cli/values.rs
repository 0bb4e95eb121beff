//! What `log` says of a tree: every device with the kernel's own values, and the reason for what is missing.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::support::{Tree, fixture, json_lines, log_of, log_of_tree, railtop, stdout_of};

#[test]
fn an_efa_node_shows_every_nic_with_its_own_values() {
    let lines = log_of("efa-p5");
    assert_eq!(lines.len(), 16);
    let devices: Vec<&str> = lines[..8].iter().map(|l| l["dev"].as_str().unwrap()).collect();
    assert_eq!(
        devices,
        [
            "rdmap79s0",
            "rdmap80s0",
            "rdmap81s0",
            "rdmap82s0",
            "rdmap96s0",
            "rdmap97s0",
            "rdmap98s0",
            "rdmap99s0"
        ]
    );
    for (i, line) in lines.iter().enumerate() {
        let hw = fixture("efa-p5")
            .join("class/infiniband")
            .join(line["dev"].as_str().unwrap())
            .join("ports/1/hw_counters");
        // The device's own counters, which are not the port's, come along.
        let of_device = hw.join("../../../hw_counters");
        let place = |name: &str| if hw.join(name).exists() { hw.join(name) } else { of_device.join(name) };
        let file = |name: &str| fs::read_to_string(place(name)).unwrap().trim().parse::<u64>().unwrap();
        for name in ["tx_bytes", "rx_bytes", "tx_pkts", "rx_pkts"] {
            assert_eq!(line[name], file(name), "{name}");
        }
        let counters = line["counters"].as_object().unwrap();
        assert_eq!(counters.len(), 22 + of_device.read_dir().unwrap().count());
        assert!(counters.iter().all(|(name, value)| *value == file(name)));
        assert!(!counters.contains_key("lifespan"), "a setting is no counter");
        assert_eq!(
            (&line["driver"], &line["port"], &line["source"]),
            (&"efa".into(), &1.into(), &"sysfs".into())
        );
        assert_eq!(line["rate_bps"], 100_000_000_000_u64);
        assert_eq!(line["state"], "ACTIVE");
        // The first tick has no rate; the second has one, and nothing moves. On a machine with much to do a read may take too long
        // for it, which is said.
        if i >= 8 && line["flags"] == serde_json::json!(["unsure"]) {
            continue;
        }
        assert_eq!(line.get("tx_bytes_per_s").map(|v| v == 0.0), (i >= 8).then_some(true));
        assert_eq!(line.get("dt_s").is_some(), i >= 8);
        assert_eq!(line.get("flags").is_some(), i < 8);
    }
}

#[test]
fn connectx_counts_in_words_of_four_bytes() {
    let lines = log_of("mlx5-roce");
    let names: Vec<&str> = lines[..3].iter().map(|l| l["dev"].as_str().unwrap()).collect();
    assert_eq!(names, ["mlx5_0", "mlx5_2", "mlx5_10"]);
    let first = &lines[0];
    assert_eq!(
        (&first["tx_bytes"], &first["rx_bytes"]),
        (&8_000_000_000_u64.into(), &4_000_000_000_u64.into())
    );
    // Under the kernel's own name the value is the kernel's own.
    assert_eq!(first["counters"]["port_xmit_data"], 2_000_000_000_u64);
    assert_eq!(first["counters"]["np_cnp_sent"], 1234);
    assert_eq!(first["netdev"], "ens0f0np0");
    assert_eq!(lines[2]["tx_bytes"], 0, "zero is a number");
}

#[test]
fn what_cannot_be_read_is_absent_with_its_reason_and_the_rest_is_shown() {
    let lines = log_of("damage");
    let line = |dev: &str| lines.iter().find(|l| l["dev"] == dev).unwrap();
    let reason = |dev: &str| line(dev)["reason"].as_str().unwrap().to_owned();
    assert_eq!(lines.len(), 24);
    assert_eq!((&line("efa_0")["tx_bytes"], line("efa_0").get("reason")), (&1000.into(), None));
    for (dev, expected) in [
        ("efa_1", "tx_bytes: not a regular file"),
        ("efa_2", "tx_bytes: the file is empty"),
        ("efa_3", "rx_bytes, rx_pkts: the file does not exist"),
        ("efa_6", "the device shows no port"),
        ("efa_8", "there is no hw_counters directory"),
        ("mlx5_0", "the file says \"N/A (no PMA)\""),
        ("mlx5_1", "longer than 4 KiB"),
    ] {
        assert!(reason(dev).contains(expected), "{dev}: {}", reason(dev));
    }
    for dev in ["efa_1", "efa_2", "efa_4"] {
        assert_eq!(line(dev).get("tx_bytes"), None, "{dev}");
        assert_eq!(line(dev)["rx_pkts"], 20, "{dev}");
    }
    assert!(reason("efa_4").contains("does not fit into 64 bits"));
    assert_eq!(line("mlx5_1").get("tx_bytes"), None, "four times that is beyond 64 bits");
    assert_eq!(line("mlx5_1")["rx_bytes"], 100);
    // The driver comes from a link that leads nowhere, and that is enough.
    assert_eq!(line("efa_9")["driver"], "efa");
}

#[test]
fn a_name_in_both_directories_is_the_drivers_and_the_other_keeps_its_place() {
    let tree = Tree::new(&["efa_0"]);
    fs::create_dir_all(tree.path("efa_0", "ports/1/counters")).unwrap();
    fs::write(tree.path("efa_0", "ports/1/counters/tx_bytes"), "5\n").unwrap();
    tree.set("efa_0", 7, 0);
    let lines = log_of_tree(tree.dir.path(), &["-n", "1"]);
    let line = &lines[0];
    assert_eq!((&line["tx_bytes"], &line["counters"]["tx_bytes"]), (&7.into(), &7.into()));
    assert_eq!(line["counters"]["counters/tx_bytes"], 5);
}

#[test]
fn only_what_the_kernel_calls_a_port_is_one() {
    let tree = Tree::new(&["efa_0", "efa_1"]);
    for name in ["01", "+1", "256", "x"] {
        fs::create_dir_all(tree.path("efa_0", "ports").join(name)).unwrap();
    }
    fs::remove_dir_all(tree.path("efa_1", "ports")).unwrap();
    fs::write(tree.path("efa_1", "ports"), "").unwrap();
    let lines = log_of_tree(tree.dir.path(), &["-n", "1"]);
    assert_eq!(lines.len(), 2);
    assert_eq!((&lines[0]["port"], lines[0].get("tx_bytes").is_some()), (&1.into(), true));
    let reason = lines[1]["reason"].as_str().unwrap();
    assert!(reason.contains("cannot list the ports") && reason.contains("os error 20"), "{reason}");
}

#[test]
fn rates_are_the_exact_change_over_the_reported_time() {
    let tree = Tree::new(&["efa_0", "efa_1"]);
    let done = AtomicBool::new(false);
    let text = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut step = 0;
            while !done.load(Ordering::Relaxed) {
                step += 1;
                tree.set("efa_0", step * 1_000_003, step * 17);
                tree.set("efa_1", 1_u64 << 60, u64::MAX - 1000 + step.min(1000));
                std::thread::sleep(Duration::from_millis(3));
            }
        });
        let text = stdout_of(railtop(tree.dir.path()).args(["log", "-n", "8", "-i", "100ms"]), 0);
        done.store(true, Ordering::Relaxed);
        text
    });
    let lines = json_lines(&text);
    assert_eq!(lines.len(), 1 + 8 * 2);
    for dev in ["efa_0", "efa_1"] {
        // On a machine that stalls a read may come too late or after a gap; then there is no rate to check.
        let of: Vec<&Value> =
            lines.iter().filter(|l| l["dev"] == dev && l.get("tx_bytes").is_some()).collect();
        for pair in of.windows(2).filter(|pair| pair[1].get("dt_s").is_some()) {
            let number = |line: &Value, key: &str| line[key].as_u64().unwrap();
            let elapsed_ns = number(pair[1], "mono_ns") - number(pair[0], "mono_ns");
            let dt_s = pair[1]["dt_s"].as_f64().unwrap();
            assert!((dt_s - elapsed_ns as f64 / 1e9).abs() < 1e-12);
            for (total, rate) in [("tx_bytes", "tx_bytes_per_s"), ("rx_bytes", "rx_bytes_per_s")] {
                let delta = number(pair[1], total) - number(pair[0], total);
                let expected = delta as f64 / dt_s;
                let shown = pair[1][rate].as_f64().unwrap();
                assert!((shown - expected).abs() <= expected.abs() * 1e-12, "{shown} {expected}");
            }
        }
    }
    let moved = lines
        .iter()
        .filter(|l| l["dev"] == "efa_0")
        .filter_map(|l| l["tx_bytes"].as_u64())
        .next_back()
        .unwrap();
    assert!(moved > 0 && moved % 1_000_003 == 0, "the bytes are the counter's own: {moved}");
}
