//! What railtop printed, read as a program would.

use serde_json::Value;

use crate::machine::Machine;

/// The JSON that a command printed, which has to succeed.
pub fn json(machine: &mut Machine, command: &str) -> Value {
    let out = machine.ok(command);
    serde_json::from_str(&out).unwrap_or_else(|e| panic!("{command}: {e}\n{out}"))
}

/// Lines of JSON.
pub fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

/// What `railtop log` says while `script` runs, once every device is known and has a rate, until three ticks after it.
pub fn watch(machine: &mut Machine, arguments: &str, script: &str) -> Vec<Value> {
    lines(&machine.ok(&format!("log_begin {arguments} || exit\n{script}\nlog_ticks 3 && log_end")))
}

/// The records of a log about one device, in order; of one source, where several speak for it.
pub fn of<'a>(log: &'a [Value], device: &str, source: &str) -> Vec<&'a Value> {
    log.iter().filter(|line| line["dev"] == device && line["source"] == source).collect()
}

/// A number that has to be there.
pub fn number(value: &Value, key: &str) -> f64 {
    value[key].as_f64().unwrap_or_else(|| panic!("no number {key} in {value}"))
}

/// A count that has to be there.
pub fn count(value: &Value, key: &str) -> u64 {
    value[key].as_u64().unwrap_or_else(|| panic!("no count {key} in {value}"))
}

/// The middle one of the rates a device was shown with.
pub fn median_rate(records: &[&Value], key: &str) -> f64 {
    let mut rates: Vec<f64> = records.iter().filter_map(|r| r[key].as_f64()).collect();
    rates.sort_by(f64::total_cmp);
    *rates.get(rates.len() / 2).unwrap_or_else(|| panic!("no {key} in {records:?}"))
}

/// Whether a record carries a flag.
pub fn flagged(record: &Value, flag: &str) -> bool {
    record["flags"].as_array().is_some_and(|flags| flags.iter().any(|f| f == flag))
}

/// The records that have rates. Each of the others has to say why not: a read of it took so long that its moment is not known,
/// as on a host that gives the machine no turn; its time is then part of the next record's.
pub fn with_rates<'a>(records: &[&'a Value]) -> Vec<&'a Value> {
    let (with, without): (Vec<&Value>, Vec<&Value>) =
        records.iter().partition(|r| r["tx_bytes_per_s"].is_number());
    for record in without {
        assert!(flagged(record, "unsure"), "no rate, and no reason: {record}");
    }
    with
}

/// Fails unless the rates of a device that moves `per_s` say over all of their time what it moved: nothing is lost where one read took
/// long. What a single one is off by shows at the ends alone, and there it is known how long the reads took.
pub fn assert_whole(device: &str, records: &[&Value], per_s: f64) {
    let records = with_rates(records);
    let [first, rest @ .., last] = &records[..] else { panic!("{device}: too few rates: {records:?}") };
    let rest: Vec<_> = rest.iter().chain([last]).collect();
    let time: f64 = rest.iter().map(|r| number(r, "dt_s")).sum();
    let between = (count(last, "mono_ns") - count(first, "mono_ns")) as f64 / 1e9;
    // Where two reads one after the other took long, the time between them may be left out.
    let whole = (between - time).abs() < 1e-6;
    assert!(whole || (0.8 * between..between).contains(&time), "{device}: rates over {time} of {between} s");
    let moved: f64 = rest.iter().map(|r| number(r, "tx_bytes_per_s") * number(r, "dt_s")).sum();
    let unknown_s = (count(first, "span_ns") + count(last, "span_ns")) as f64 / 2e9;
    assert_near(device, moved / time, per_s, if whole { 0.001 + unknown_s / time } else { 0.05 });
}

/// Fails unless `value` is within `share` of `wanted`.
pub fn assert_near(what: &str, value: f64, wanted: f64, share: f64) {
    let off = (value - wanted).abs() / wanted.abs().max(f64::MIN_POSITIVE);
    assert!(off <= share, "{what}: {value}, not {wanted} (off by {:.3} %)", off * 100.0);
}
