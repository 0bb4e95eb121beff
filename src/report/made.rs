//! Lines for tests, and reports of them.

use super::Report;

/// What these lines of one file make.
pub(super) fn report(lines: &[String]) -> Report {
    let mut report = Report::default();
    report.lines(lines.join("\n").as_bytes(), "a.jsonl").unwrap();
    report
}

/// A row; `figures` are more members of the object.
pub(super) fn row(bench: &str, policy: &str, size: u64, figures: &str) -> String {
    format!(
        "{{\"type\":\"row\",\"bench\":\"{bench}\",\"policy\":\"{policy}\",\"size\":{size},\"iters\":10,{figures}}}"
    )
}

/// A row of `bench moe`, of the larger configuration.
pub(super) fn moe_row(phase: &str, policy: &str, batch: &str, tokens: u64, gb_per_s: f64, us: f64) -> String {
    let more = format!(
        "\"phase\":\"{phase}\",\"experts\":256,\"topk\":8,\"dim\":7168,\"tokens\":{tokens},\"batch\":\"{batch}\",\
         \"bw_gb_per_s\":{gb_per_s:?},\"latency_us\":{us:?}"
    );
    row("moe", policy, tokens * 8 * 7392, &more)
}

/// A run's header.
pub(super) fn header(nodes: u64, pes: u64, nics: u64) -> String {
    format!(
        "{{\"type\":\"run\",\"started\":\"2026-11-29T18:00:00Z\",\"version\":\"0.1.0\",\"command\":[\"railtop\",\"bench\"],\
         \"host\":\"node-a\",\"kernel\":\"6.18.0\",\"cpu\":\"AMD EPYC\",\"cores\":2,\"provider\":\"net\",\
         \"libfabric\":\"1.17\",\"nodes\":{nodes},\"pes\":{pes},\"nics_per_pe\":{nics},\"nic_bits_per_s\":200000000}}"
    )
}

/// What a NIC moved.
pub(super) fn nic(policy: &str, pe: u64, nic: u64, tx: u64, rx: u64) -> String {
    format!(
        "{{\"type\":\"nic\",\"policy\":\"{policy}\",\"pe\":{pe},\"node\":\"node{pe}\",\"nic\":\"nic{nic}\",\"tx_bytes\":{tx},\
         \"rx_bytes\":{rx},\"tx_ops\":1,\"rx_ops\":1}}"
    )
}

/// How evenly a direction was shared.
pub(super) fn balance(policy: &str, direction: &str, ratio: f64, active: u64) -> String {
    format!(
        "{{\"type\":\"balance\",\"policy\":\"{policy}\",\"direction\":\"{direction}\",\"max_over_mean\":{ratio},\
         \"active_nics\":{active},\"nics\":4,\"window_ms\":10.0,\"p99_window_max_over_mean\":{ratio}}}"
    )
}
