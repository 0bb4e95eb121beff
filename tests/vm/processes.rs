//! Who holds queue pairs, against `rdma resource`.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::machine::Machine;
use crate::report::{count, lines};

/// Queue pairs by device, of one process.
type Qps = BTreeMap<String, u64>;

/// Two programs write to each other with three queue pairs each, longer than is looked.
pub fn queue_pairs_are_counted_by_process_and_device(machine: &mut Machine) {
    let said =
        machine.ok("ib_write_bw -d rxe1 -x 1 -q 3 -D 30 -s 4096 -t 1 -F >/tmp/server.log 2>&1 & server=$!
         until_true 10 sh -c 'ss -Htln sport = 18515 | grep .'
         ib_write_bw -d rxe0 -x 1 -q 3 -D 30 -s 4096 -t 1 -F 10.0.0.2 >/tmp/client.log 2>&1 & client=$!
         both() { [ $(rdma resource show qp | grep -c 'state RT[RS].*comm ib_write_bw') = 6 ]; }
         until_true 10 both || exit
         log_begin --processes -i 500ms || exit
         log_until '\"type\":\"process\".*\"rxe0\":3'
         rdma -j resource show qp >/tmp/witness
         log_end >/tmp/lines || exit
         both || { echo 'it has ended meanwhile' >&2; exit 1; }
         kill $server $client; wait
         tr -d '\\n' </tmp/witness; echo; cat /tmp/lines");
    let (witness, log) = said.split_once('\n').expect("two parts");
    let witness: Value = serde_json::from_str(witness).expect("JSON of rdma");
    let mut held: BTreeMap<u64, Qps> = BTreeMap::new();
    for qp in witness.as_array().expect("queue pairs") {
        // The kernel's own have no process.
        let Some(pid) = qp["pid"].as_u64() else { continue };
        let device = qp["ifname"].as_str().expect("a device").to_owned();
        *held.entry(pid).or_default().entry(device).or_default() += 1;
    }
    assert_eq!(held.len(), 2, "a server and a client: {witness}");
    let log = lines(log);
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
