//! The transport over `verbs;ofi_rxm`: a put from rxe0 to rxe1 through the kernel's RDMA.

use crate::machine::Machine;
use crate::report::count;

/// Puts of 64 KiB, the timed ones.
const PUTS: u64 = 20;

pub fn puts_over_verbs_arrive_whole(machine: &mut Machine) {
    if machine.run("ls /usr/lib/*/libfabric.so.1").status != 0 {
        println!("not run: libfabric is not installed");
        return;
    }
    // Its queues for 256 peers would be longer than rxe's may be.
    let script = format!(
        "export FI_UNIVERSE_SIZE=16 RAILTOP_PROVIDER='verbs;ofi_rxm' RAILTOP_JOB_SECRET=$(printf '5a%.0s' {{1..32}})
         export WORLD_SIZE=2 LOCAL_RANK=0 LOCAL_WORLD_SIZE=1 MASTER_ADDR=127.0.0.1 MASTER_PORT=29400
         words='put -b 64K -e 64K -n {PUTS} -w 1 --verify --format json'
         before=$(hw rxe0 sent_pkts)
         RANK=1 RAILTOP_NODE=b railtop bench $words --nics rxe1=10.0.0.2 >/tmp/pe1.log 2>&1 & other=$!
         RANK=0 RAILTOP_NODE=a railtop bench $words --nics rxe0=10.0.0.1 || {{ cat /tmp/pe1.log >&2; exit 1; }}
         wait $other || exit
         echo $(($(hw rxe0 sent_pkts) - before))"
    );
    let said = machine.ok(&script);
    let (records, packets) = said.trim_end().rsplit_once('\n').expect("records, then a number");
    let records: Vec<serde_json::Value> =
        records.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let of = |kind: &str| records.iter().filter(|record| record["type"] == kind).collect::<Vec<_>>();
    let rows = of("row");
    assert!(!rows.is_empty() && rows.iter().all(|row| row["verified"] == true), "{rows:?}");
    let nics = of("nic");
    assert_eq!(nics.len(), 2 * rows.len(), "{nics:?}");
    for pair in nics.chunks(2) {
        assert_eq!([count(pair[0], "tx_bytes"), count(pair[1], "rx_bytes")], [PUTS * 65_536; 2], "{pair:?}");
    }
    // They have really passed the device, in packets of at most 4 KiB.
    let packets: u64 = packets.parse().expect("a number");
    assert!(packets >= PUTS * 65_536 / 4096, "{packets} packets");
}
