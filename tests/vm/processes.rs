//! Who holds queue pairs, against `rdma resource`.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::machine::Machine;
use crate::report::{count, lines};

/// Queue pairs by device, of one process.
type Qps = BTreeMap<String, u64>;

/// A line per process with its number, user, queue pairs in all and by device, and command; and how many there are.
fn are_on_the_screen(held: &BTreeMap<u64, Qps>, kernels: usize, seen: &[&str]) {
    let table = seen.iter().skip_while(|line| !line.contains(" PID user ")).skip(1);
    let rows: Vec<Vec<&str>> = table
        .map(|line| line.trim_start_matches('▶').split_whitespace().collect::<Vec<_>>())
        .take_while(|words| !words.is_empty())
        .collect();
    assert_eq!(rows.len(), held.len(), "{seen:#?}");
    for (pid, qps) in held {
        let row = rows.iter().find(|words| words[0] == pid.to_string());
        let row = row.unwrap_or_else(|| panic!("no row of process {pid}: {seen:#?}"));
        let total: u64 = qps.values().sum();
        assert_eq!(row[1..3], ["root", &total.to_string()], "user and queue pairs: {row:?}");
        let (device, count) = qps.first_key_value().expect("one device each");
        let shown = row.join(" ");
        assert!(shown.contains(&format!(" {device} {count} ib_write_bw -d {device} -x 1 ")), "{shown}");
    }
    let total: u64 = held.values().flat_map(BTreeMap::values).sum();
    let sum = format!("{} processes, {total} queue pairs; the kernel itself has {kernels} ", held.len());
    assert!(seen.iter().any(|line| line.contains(&sum)), "{sum}: {seen:#?}");
}

/// Two programs write to each other with three queue pairs each, longer than is looked.
pub fn queue_pairs_are_counted_by_process_and_device(machine: &mut Machine) {
    let said =
        machine.ok("ib_write_bw -d rxe1 -x 1 -q 3 -D 60 -s 4096 -t 1 -F >/tmp/server.log 2>&1 & server=$!
         until_true 120 sh -c 'ss -Htln sport = 18515 | grep .'
         ib_write_bw -d rxe0 -x 1 -q 3 -D 60 -s 4096 -t 1 -F 10.0.0.2 >/tmp/client.log 2>&1 & client=$!
         both() { [ $(rdma resource show qp | grep -c 'state RT[RS].*comm ib_write_bw') = 6 ]; }
         until_true 120 both || exit
         log_begin --processes -i 500ms || exit
         log_until '\"type\":\"process\".*\"rxe0\":3'
         rdma -j resource show qp >/tmp/witness
         log_end >/tmp/lines || exit
         screen_begin -i 500ms || exit
         screen_until '1 NICs' && screen send-keys 3
         screen_until ' rxe0 3 ' && screen_until ' rxe1 3 ' || exit
         screen capture-pane -p >/tmp/seen; screen kill-server
         both || { echo 'it has ended meanwhile' >&2; exit 1; }
         kill $server $client; wait
         tr -d '\\n' </tmp/witness; echo; cat /tmp/lines /tmp/seen");
    let (witness, rest) = said.split_once('\n').expect("two parts");
    let (log, seen): (Vec<&str>, Vec<&str>) = rest.lines().partition(|line| line.starts_with('{'));
    let witness: Value = serde_json::from_str(witness).expect("JSON of rdma");
    let mut held: BTreeMap<u64, Qps> = BTreeMap::new();
    for qp in witness.as_array().expect("queue pairs") {
        // The kernel's own have no process.
        let Some(pid) = qp["pid"].as_u64() else { continue };
        let device = qp["ifname"].as_str().expect("a device").to_owned();
        *held.entry(pid).or_default().entry(device).or_default() += 1;
    }
    assert_eq!(held.len(), 2, "a server and a client: {witness}");
    let kernels = witness.as_array().expect("queue pairs").iter().filter(|qp| qp["pid"].is_null()).count();
    are_on_the_screen(&held, kernels, &seen);
    let log = lines(&log.join("\n"));
    for (pid, wanted) in &held {
        let found = log.iter().rfind(|line| line["type"] == "process" && count(line, "pid") == *pid);
        let line = found.unwrap_or_else(|| panic!("no line of process {pid}"));
        let ours: Qps = serde_json::from_value(line["qps"].clone()).expect("counts by device");
        assert_eq!(&ours, wanted, "{line}");
        assert_eq!(ours.values().sum::<u64>(), 3, "{line}");
        assert!(line["command"].as_str().is_some_and(|c| c.contains("ib_write_bw")), "{line}");
        assert_eq!(line["user"], "root", "{line}");
        assert!(count(line, "resident_bytes") > 100_000 && count(line, "threads") >= 1, "{line}");
    }
    let others = log.iter().filter(|l| l["type"] == "process" && !held.contains_key(&count(l, "pid")));
    assert_eq!(others.count(), 0, "processes that hold none");
}
