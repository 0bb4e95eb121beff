//! Real RDMA writes from rxe0 to rxe1, held against the kernel's counters and perftest's own sums.

use crate::machine::Machine;
use crate::report::{assert_near, count, of, watch};

/// Writes of 64 KiB.
const WRITES: u64 = 300;
const PAYLOAD: u64 = WRITES * 65536;

pub fn bytes_and_packets_are_the_kernels(machine: &mut Machine) {
    let log = watch(
        machine,
        "-i 250ms --device 'rxe?'",
        &format!(
            "ib_write_bw -d rxe1 -x 1 -n {WRITES} -s 65536 -F >/tmp/server.log 2>&1 & server=$!
             until_true 120 sh -c 'ss -Htln sport = 18515 | grep .'
             ib_write_bw -d rxe0 -x 1 -n {WRITES} -s 65536 -F 10.0.0.2 >/tmp/client.log 2>&1
             wait $server"
        ),
    );
    // It is quiet again, so the last record has to be what the kernel says now.
    let witness = machine.ok("for d in rxe0 rxe1; do hw $d sent_pkts; hw $d rcvd_pkts; done
         for n in v0a v0b; do net $n tx_bytes; net $n rx_bytes; done");
    let now: Vec<u64> = witness.lines().map(|n| n.parse().expect("a counter")).collect();
    for (device, kernel) in
        [("rxe0", [now[0], now[1], now[4], now[5]]), ("rxe1", [now[2], now[3], now[6], now[7]])]
    {
        // rxe counts no bytes: those of its network interface stand in, and it is said.
        let records = of(&log, device, "netdev");
        let last = records.last().unwrap_or_else(|| panic!("no record of {device}"));
        assert_eq!(count(&last["counters"], "sent_pkts"), kernel[0], "{device}");
        assert_eq!(count(&last["counters"], "rcvd_pkts"), kernel[1], "{device}");
        assert_eq!([count(last, "tx_bytes"), count(last, "rx_bytes")], [kernel[2], kernel[3]], "{device}");
    }
    // What rates and times say was moved is what the counters moved, and that is the payload and its headers.
    for (device, key, total) in
        [("rxe0", "tx_bytes_per_s", "tx_bytes"), ("rxe1", "rx_bytes_per_s", "rx_bytes")]
    {
        let records = of(&log, device, "netdev");
        let by_rate: f64 = records.iter().filter_map(|r| Some(r[key].as_f64()? * r["dt_s"].as_f64()?)).sum();
        let by_count = count(records[records.len() - 1], total) - count(records[0], total);
        assert_near(device, by_rate, by_count as f64, 0.001);
        assert!(by_count >= PAYLOAD, "{device}: {by_count} of {PAYLOAD}");
        assert!(by_count < PAYLOAD + PAYLOAD / 8, "{device}: {by_count} for {PAYLOAD}");
    }
}
