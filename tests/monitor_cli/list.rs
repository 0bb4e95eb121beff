//! `list`: where each NIC is, the GPUs, and who holds queue pairs.

use serde_json::Value;

use crate::support::{fixture, railtop, stdout_of};

#[test]
fn list_says_where_each_nic_is_and_why_a_counter_is_missing() {
    let list = |name: &str| stdout_of(railtop(&fixture(name)).arg("list"), 0);
    insta::assert_snapshot!("list@efa-p5", list("efa-p5"));
    insta::assert_snapshot!("list@mlx5-roce", list("mlx5-roce"));
    insta::assert_snapshot!("list@damage", list("damage"));
}

#[test]
fn list_as_json_has_no_key_for_what_is_missing() {
    let text = stdout_of(railtop(&fixture("efa-p5")).args(["list", "--format", "json"]), 0);
    let list: Value = serde_json::from_str(&text).unwrap();
    let nic = &list["nics"][4];
    assert_eq!((&nic["dev"], &nic["pci"]), (&"rdmap96s0".into(), &"0000:60:00.0".into()));
    assert_eq!((&nic["numa"], &nic["gpu"][0]), (&0.into(), &"0000:64:00.0".into()));
    assert_eq!((nic.get("netdev"), nic.get("missing")), (None, None));
    assert_eq!(nic["rate_bps"], 100_000_000_000_u64);
}

#[test]
fn list_tells_who_holds_queue_pairs_where_that_is_asked_for() {
    // A copied tree is not the kernel that could be asked, and that is said, not an empty list.
    let list = |args: &[&str]| stdout_of(railtop(&fixture("efa-p5")).arg("list").args(args), 0);
    let inventory: Value = serde_json::from_str(&list(&["--format", "json", "--processes"])).unwrap();
    assert_eq!(inventory["holders"]["processes"], Value::Array(Vec::new()));
    let reason = inventory["holders"]["reason"].as_str().unwrap();
    assert!(list(&["--processes"]).contains(&format!("processes: {reason}")));
    let without: Value = serde_json::from_str(&list(&["--format", "json"])).unwrap();
    assert!(without.get("holders").is_none());
}

#[test]
fn list_as_json_has_the_gpus_with_their_nearest_nics() {
    let text = stdout_of(railtop(&fixture("efa-p5")).args(["list", "--format", "json"]), 0);
    let list: Value = serde_json::from_str(&text).unwrap();
    let gpus = list["gpus"].as_array().unwrap();
    let gpu = gpus.iter().find(|gpu| gpu["pci"] == "0000:64:00.0").unwrap();
    assert!(gpu["nics"].as_array().unwrap().contains(&"rdmap96s0".into()), "{gpu}");
    // Without a driver: no name, no memory, and why.
    if gpu.get("index").is_none() {
        assert_eq!((gpu.get("name"), gpu.get("memory_total_bytes")), (None, None));
    }
    let text = stdout_of(railtop(&fixture("mlx5-roce")).args(["list", "--format", "json"]), 0);
    assert!(!text.contains("gpus_reason"), "nobody misses GPUs where there are none");
}
