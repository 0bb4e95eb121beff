//! Rates of counters whose values and growth are known, because they were set: steady, reset, wrapped, in words.

use serde_json::Value;

use crate::machine::Machine;
use crate::report::{assert_near, assert_whole, count, flagged, lines, median_rate, number, of, watch};

/// Logs of the devices' own counters.
const LOG: &str = "--source sysfs -i 200ms --device '*_?'";

/// One log of many devices: what is set before it begins, and a reset in it.
pub fn what_was_set_is_what_is_logged(machine: &mut Machine) {
    machine.ok("use_mock $(seq -s , -f efa_%g:efa 0 6),mlx5_0:mlx5
        for d in 0 1 2 3; do echo 11250000000 >$mock/efa_$d/port/tx_bytes.per_s; done
        echo 5000000000000 >$mock/efa_4/port/tx_bytes; echo 1000000 >$mock/efa_4/port/tx_bytes.per_s
        echo 18446744073709551615 >$mock/efa_5/port/rx_bytes
        echo 9007199254740993 >$mock/efa_6/port/rx_bytes
        echo 1000000000 >$mock/mlx5_0/pma/port_xmit_data.per_s
        echo 250 >$mock/mlx5_0/pma/port_rcv_data");
    let log = watch(machine, LOG, "log_ticks 2; echo 7 >$mock/efa_4/port/tx_bytes; log_ticks 10");
    a_steady_source_is_shown_within_two_per_mille(&log);
    a_reset_is_marked_and_gives_no_rate(&log);
    the_largest_values_are_exact(&log);
    words_of_mlx5_become_bytes(&log);
    machine.ok("use_mock ''");
}

/// 90 Gb/s, by the kernel's own clock, is shown as that at 0.2 s: each device's rate comes from the time of its own read.
fn a_steady_source_is_shown_within_two_per_mille(log: &[Value]) {
    const BYTES_PER_S: f64 = 11_250_000_000.0;
    for device in ["efa_0", "efa_1", "efa_2", "efa_3"] {
        let records = of(log, device, "sysfs");
        assert_near(device, median_rate(&records, "tx_bytes_per_s"), BYTES_PER_S, 0.002);
        assert_whole(device, &records, BYTES_PER_S);
        assert!(median_rate(&records, "rx_bytes_per_s") < 1.0, "{device}");
    }
}

/// Lifetime totals are no rates: at first sight there is none.
pub fn a_first_sight_gives_no_rate(machine: &mut Machine) {
    machine.ok("use_mock efa_0:efa; echo 5000000000000 >$mock/efa_0/port/tx_bytes");
    let log = lines(&machine.ok("railtop log --source sysfs --format jsonl -i 200ms -n 8 --device efa_0"));
    let answered: Vec<_> =
        of(&log, "efa_0", "sysfs").into_iter().filter(|r| r["tx_bytes"].is_u64()).collect();
    assert!(flagged(answered[0], "new"), "{}", answered[0]);
    assert_eq!(answered[0]["tx_bytes_per_s"], Value::Null);
    let rates: Vec<f64> = answered.iter().filter_map(|r| r["tx_bytes_per_s"].as_f64()).collect();
    assert!(!rates.is_empty() && rates.iter().all(|&rate| rate < 1.0), "{rates:?}");
    machine.ok("use_mock ''");
}

/// A driver that is loaded anew begins at 0: a mark and no rate, and no rate near the counter's whole value.
fn a_reset_is_marked_and_gives_no_rate(log: &[Value]) {
    let records = of(log, "efa_4", "sysfs");
    let reset: Vec<_> = records.iter().filter(|r| flagged(r, "reset")).collect();
    assert_eq!(reset.len(), 1, "{records:?}");
    assert_eq!(reset[0]["tx_bytes_per_s"], Value::Null);
    for rate in records.iter().filter_map(|r| r["tx_bytes_per_s"].as_f64()) {
        assert!(rate < 2e6, "{rate} B/s of 1 MB/s");
    }
    assert_near("after the reset", median_rate(&records, "tx_bytes_per_s"), 1e6, 0.02);
}

/// The largest value there is comes out as it is, and so does one beyond what a double can hold.
fn the_largest_values_are_exact(log: &[Value]) {
    assert_eq!(count(of(log, "efa_5", "sysfs")[0], "rx_bytes"), u64::MAX);
    assert_eq!(count(of(log, "efa_6", "sysfs")[0], "rx_bytes"), (1 << 53) + 1);
}

/// `port_xmit_data` counts words of four bytes; it stays as it is under its own name.
fn words_of_mlx5_become_bytes(log: &[Value]) {
    let records = of(log, "mlx5_0", "sysfs");
    assert_near("4 bytes a word", median_rate(&records, "tx_bytes_per_s"), 4e9, 0.002);
    let last = records.last().expect("records");
    assert_eq!(count(last, "rx_bytes"), 1000);
    assert_eq!(count(&last["counters"], "port_rcv_data"), 250);
    assert_eq!(count(last, "tx_bytes"), 4 * count(&last["counters"], "port_xmit_data"));
}

/// Q counters of mlx5 have 32 bits: past 2^32 they go on from 0, and that is no reset.
pub fn a_counter_of_32_bits_wraps_without_a_mark(machine: &mut Machine) {
    machine.ok("use_mock mlx5_0:mlx5
        echo 1000000 >$mock/mlx5_0/pma/port_xmit_data.per_s
        echo 4294966000 >$mock/mlx5_0/port/out_of_buffer");
    let log = watch(
        machine,
        LOG,
        "log_ticks 1; echo 500 >$mock/mlx5_0/port/out_of_buffer.per_s
         until_true 120 eval '[ $(hw mlx5_0 out_of_buffer) -lt 1000000 ]'",
    );
    let records = of(&log, "mlx5_0", "sysfs");
    let read = records.iter().filter(|r| !flagged(r, "stale"));
    let values: Vec<u64> = read.map(|r| count(&r["counters"], "out_of_buffer")).collect();
    assert!(values[0] > 1 << 31 && values[values.len() - 1] < 1 << 31, "it wrapped meanwhile: {values:?}");
    assert!(records.iter().all(|r| !flagged(r, "reset")), "{records:?}");
    let sure = records.iter().filter(|r| !["stale", "new", "unsure"].iter().any(|flag| flagged(r, flag)));
    let rates: Vec<f64> = sure.map(|r| number(r, "drops_per_s")).collect();
    assert!(
        rates.iter().all(|rate| (0.0..600.0).contains(rate)),
        "500 a second, also over the wrap: {rates:?}"
    );
    machine.ok("use_mock ''");
}
