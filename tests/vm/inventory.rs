//! `railtop list` against sysfs and `rdma link`.

use serde_json::Value;

use crate::machine::Machine;
use crate::report::json;

/// The one entry of a device.
fn entry<'a>(list: &'a Value, device: &str) -> &'a Value {
    let nics = list["nics"].as_array().expect("nics");
    let mut found = nics.iter().filter(|nic| nic["dev"] == device);
    let entry = found.next().unwrap_or_else(|| panic!("{device} is not listed: {list}"));
    assert!(found.next().is_none(), "{device} is listed twice");
    entry
}

pub fn devices_are_listed_as_the_kernel_has_them(machine: &mut Machine) {
    machine.ok("use_mock rdmap16s27:efa,mlx5_0:mlx5,erdma_0:erdma,bare0:bare");
    machine.ok("echo 1 >$mock/mlx5_0/state; echo 3 >$mock/mlx5_0/phys_state");
    // A busy host can make a device's answer late, which the list says; here it has to be there.
    let answered =
        |list: &Value| list["nics"].as_array().is_some_and(|n| n.iter().all(|n| n["state"].is_string()));
    let list =
        (0..5).map(|_| json(machine, "railtop list --format json")).find(answered).expect("a full list");
    let witness = json(machine, "rdma -j link");
    let witness = witness.as_array().expect("links");
    assert_eq!(list["nics"].as_array().map(Vec::len), Some(witness.len()), "{list}");
    for link in witness {
        let device = link["ifname"].as_str().expect("a name");
        let entry = entry(&list, device);
        assert_eq!(entry["port"], link["port"]);
        assert_eq!(entry["state"], link["state"], "{device}");
        assert_eq!(entry["netdev"], link["netdev"], "{device}");
        // `rate` is `100 Gb/sec (4X EDR)`, and with a fraction at 2.5.
        let port = format!("/sys/class/infiniband/{device}/ports/1");
        let files = machine.ok(&format!("cat {port}/rate {port}/link_layer"));
        let (rate, layer) = files.split_once('\n').expect("two lines");
        let gigabits: f64 = rate.split(' ').next().and_then(|n| n.parse().ok()).expect("a rate");
        assert_eq!(entry["rate_bps"].as_f64(), Some(gigabits * 1e9), "{device}");
        assert_eq!(entry["link_layer"], layer.trim(), "{device}");
    }
    for (device, driver) in
        [("rdmap16s27", "efa"), ("mlx5_0", "mlx5_core"), ("erdma_0", "erdma"), ("bare0", "bare_rdma")]
    {
        assert_eq!(entry(&list, device)["driver"], driver);
    }
    assert_eq!(entry(&list, "rdmap16s27")["fw_ver"], "1.2.3");
    // Nothing is missing from a device with every counter; the one without any says why.
    assert_eq!(entry(&list, "rdmap16s27")["missing"], Value::Null);
    let missing = entry(&list, "bare0")["missing"].to_string();
    assert!(missing.contains("tx_bytes") && missing.contains("reason"), "{missing}");
    machine.ok("use_mock ''");
}
