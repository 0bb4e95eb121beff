//! Devices that go down, get another name, go away and come back while they are watched.

use serde_json::Value;

use crate::machine::Machine;
use crate::report::{flagged, watch};

/// Logs while `script` changes things.
fn log_during(machine: &mut Machine, script: &str) -> Vec<Value> {
    // Some traffic before: a monitor that takes a first value for a difference shows it as a rate.
    machine.ok("ping -q -c 40 -i 0.002 -s 8000 -I 10.1.0.1 10.1.0.2 >/dev/null");
    watch(machine, "-i 200ms", script)
}

fn of<'a>(log: &'a [Value], device: &str) -> Vec<&'a Value> {
    log.iter().filter(|line| line["dev"] == device).collect()
}

/// Nothing moves, so every rate is near 0; the bytes so far are some 700 kB.
fn no_spike(log: &[Value]) {
    for record in log {
        for key in ["tx_bytes_per_s", "rx_bytes_per_s"] {
            let rate = record[key].as_f64().unwrap_or(0.0);
            assert!(rate < 50_000.0, "a spike: {record}");
        }
    }
}

/// In the end there are rates again. The very last record may be of a read that took too long for one.
fn has_rates_again(records: &[&Value]) {
    let last = records.last().expect("records");
    let since = records.iter().rev().take_while(|r| !flagged(r, "new"));
    assert!(last["tx_bytes_per_s"].is_number() || flagged(last, "unsure"), "{last}");
    assert!(since.filter(|r| r["tx_bytes_per_s"].is_number()).count() > 0, "{records:?}");
}

pub fn a_link_that_goes_down_is_seen_and_comes_back(machine: &mut Machine) {
    // What a port says of itself is read again every 2 s, where the kernel does not tell of it.
    let log = log_during(
        machine,
        "ip link set v1a down; log_until '\"dev\":\"rxe2\".*DOWN'; ip link set v1a up; log_ticks 20",
    );
    let states: Vec<&str> = of(&log, "rxe2").iter().filter_map(|r| r["state"].as_str()).collect();
    let mut turns = states.clone();
    turns.dedup();
    assert_eq!(turns, ["ACTIVE", "DOWN", "ACTIVE"], "{states:?}");
    no_spike(&log);
    // Routes and neighbours went with the link.
    machine.ok("rxe_route 1");
}

pub fn a_renamed_device_goes_on_under_its_new_name(machine: &mut Machine) {
    let log = log_during(machine, "rdma dev set rxe3 name rdmap16s27; log_until rdmap16s27");
    let (before, after) = (of(&log, "rxe3"), of(&log, "rdmap16s27"));
    assert!(before.len() >= 2 && after.len() >= 2, "{} and {}", before.len(), after.len());
    has_rates_again(&after);
    no_spike(&log);
    machine.ok("rdma dev set rdmap16s27 name rxe3");
}

pub fn a_device_that_goes_and_comes_back_has_a_gap_and_no_spike(machine: &mut Machine) {
    let log = log_during(
        machine,
        "rdma link delete rxe3; log_until '\"gone\"'; rdma link add rxe3 type rxe netdev v1b; log_ticks 2",
    );
    let records = of(&log, "rxe3");
    let gone = records.iter().position(|r| flagged(r, "gone")).expect("a mark where it went");
    assert!(records[gone]["tx_bytes_per_s"].is_null() && records[gone]["tx_bytes"].is_null());
    let back = gone + records[gone..].iter().position(|r| !flagged(r, "gone")).expect("it came back");
    assert!(records[back]["tx_bytes_per_s"].is_null(), "a rate over the gap: {}", records[back]);
    has_rates_again(&records);
    no_spike(&log);
}

pub fn a_device_that_appears_is_found_while_running(machine: &mut Machine) {
    let log = log_during(
        machine,
        "ip link add v9a type veth peer name v9b; ip link set v9a up; ip link set v9b up
         rdma link add rxe9 type rxe netdev v9a; log_until rxe9",
    );
    let records = of(&log, "rxe9");
    assert!(flagged(records[0], "new") && records[0]["tx_bytes_per_s"].is_null(), "{}", records[0]);
    has_rates_again(&records);
    no_spike(&log);
    machine.ok("rdma link delete rxe9; ip link delete v9a");
}

/// Drivers go too, not only links: the kernel takes the device from under the open files.
pub fn a_driver_that_is_unbound_and_bound_again_is_followed(machine: &mut Machine) {
    machine.ok("use_mock efa_0:efa; echo 5000000000000 >$mock/efa_0/port/tx_bytes");
    let log = log_during(
        machine,
        "d=/sys/bus/platform/drivers/efa; echo efa.0 >$d/unbind; log_until '\"gone\"'; echo efa.0 >$d/bind; log_until '\"dev\":\"efa_0\".*\"tx_bytes\":0,'",
    );
    let records = of(&log, "efa_0");
    assert!(records.iter().any(|r| flagged(r, "gone")), "{records:?}");
    let last = records.last().expect("records");
    assert_eq!(last["tx_bytes"], 0);
    let rates =
        records.iter().rev().take_while(|r| !flagged(r, "new")).filter_map(|r| r["tx_bytes_per_s"].as_f64());
    assert_eq!(rates.collect::<Vec<_>>().first(), Some(&0.0), "{records:?}");
    no_spike(&log);
    machine.ok("use_mock ''");
}
