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

/// Fails unless `value` is within `share` of `wanted`.
pub fn assert_near(what: &str, value: f64, wanted: f64, share: f64) {
    let off = (value - wanted).abs() / wanted.abs().max(f64::MIN_POSITIVE);
    assert!(off <= share, "{what}: {value}, not {wanted} (off by {:.3} %)", off * 100.0);
}
