//! The transport over `verbs;ofi_rxm`: through the kernel's RDMA, between rxe0 and rxe1, rxe2 and rxe3.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::cargo::cargo;
use crate::machine::Machine;
use crate::report::{count, lines};

/// Puts of 64 KiB, the timed ones.
const PUTS: u64 = 20;

/// Of the tests over real providers, by program: those that take few NICs, since each takes a second to open here; and how many
/// that is.
const OPERATIONS: [(&str, &str, usize); 2] = [
    ("operations", "^(a_fence_orders_pieces|gets_bring|words_of_32_bits)", 3),
    ("matrix", "^different_numbers_of_nics::.*verbs", 1),
];

/// Whether libfabric is there; says if not.
fn has_libfabric(machine: &mut Machine) -> bool {
    let has = machine.run("ls /usr/lib/*/libfabric.so.1").status == 0;
    if !has {
        println!("skipped: libfabric is not installed");
    }
    has
}

/// Runs `railtop bench` with two PEs, each with its NICs. Returns what PE 0 printed, and how many packets device
/// `counted` has sent meanwhile.
fn bench(machine: &mut Machine, words: &str, nics: [&str; 2], counted: &str) -> (Vec<Value>, u64) {
    let [first, second] = nics;
    // Its queues for 256 peers would be longer than rxe's may be.
    let script = format!(
        "export FI_UNIVERSE_SIZE=16 RAILTOP_PROVIDER='verbs;ofi_rxm' RAILTOP_JOB_SECRET=$(printf '5a%.0s' {{1..32}})
         export WORLD_SIZE=2 LOCAL_RANK=0 LOCAL_WORLD_SIZE=1 MASTER_ADDR=127.0.0.1 MASTER_PORT=29400
         words='{words} --verify --format json'
         before=$(hw {counted} sent_pkts)
         RANK=1 RAILTOP_NODE=b railtop bench $words --nics {second} >/tmp/pe1.log 2>&1 & other=$!
         RANK=0 RAILTOP_NODE=a railtop bench $words --nics {first} || {{ cat /tmp/pe1.log >&2; exit 1; }}
         wait $other || exit
         echo $(($(hw {counted} sent_pkts) - before))"
    );
    let said = machine.ok(&script);
    let (records, packets) = said.trim_end().rsplit_once('\n').expect("records, then a number");
    (lines(records), packets.parse().expect("a number"))
}

/// Records of a kind.
fn of_kind<'a>(records: &'a [Value], kind: &str) -> Vec<&'a Value> {
    records.iter().filter(|record| record["type"] == kind).collect()
}

pub fn puts_over_verbs_arrive_whole(machine: &mut Machine) {
    if !has_libfabric(machine) {
        return;
    }
    let words = format!("put -b 64K -e 64K -n {PUTS} -w 1");
    let (records, packets) = bench(machine, &words, ["rxe0=10.0.0.1", "rxe1=10.0.0.2"], "rxe0");
    let (rows, nics) = (of_kind(&records, "row"), of_kind(&records, "nic"));
    assert!(!rows.is_empty() && rows.iter().all(|row| row["verified"] == true), "{rows:?}");
    assert_eq!(nics.len(), 2 * rows.len(), "{nics:?}");
    for pair in nics.chunks(2) {
        assert_eq!([count(pair[0], "tx_bytes"), count(pair[1], "rx_bytes")], [PUTS * 65_536; 2], "{pair:?}");
    }
    // They have really passed the device, in packets of at most 4 KiB.
    assert!(packets >= PUTS * 65_536 / 4096, "{packets} packets");
}

pub fn an_all_to_all_over_verbs_takes_both_nics(machine: &mut Machine) {
    /// Bytes to the other PE, of both sizes: what `stripe` does not split, and what it does.
    const EACH: u64 = 4 * (2048 + 131_072);
    if !has_libfabric(machine) {
        return;
    }
    let policies = ["single", "pair-seq", "stripe", "least-loaded"];
    let words = format!("alltoall -b 4K -e 256K --step 64 -n 4 -w 1 --policy {}", policies.join(","));
    let nics = ["rxe0=10.0.0.1,rxe2=10.1.0.1", "rxe1=10.0.0.2,rxe3=10.1.0.2"];
    let (records, packets) = bench(machine, &words, nics, "rxe2");
    for policy in policies {
        let of = |kind| {
            let mut all = of_kind(&records, kind);
            all.retain(|record| record["policy"] == policy);
            all
        };
        let (rows, nics) = (of("row"), of("nic"));
        assert!(rows.len() == 2 && rows.iter().all(|row| row["verified"] == true), "{rows:?}");
        assert_eq!(nics.len(), 4, "{nics:?}");
        for pair in nics.chunks(2) {
            let bytes = |key| pair.iter().map(|nic| count(nic, key)).collect::<Vec<_>>();
            let (sent, received) = (bytes("tx_bytes"), bytes("rx_bytes"));
            assert_eq!([sent.iter().sum::<u64>(), received.iter().sum()], [EACH; 2], "{policy}: {pair:?}");
            match policy {
                "single" => assert_eq!((sent[1], received[1]), (0, 0), "{pair:?}"),
                // It looks at what is under way, so its numbers are not the same each time.
                "least-loaded" => {}
                _ => assert_eq!([sent, received], [[EACH / 2; 2]; 2], "{policy}: {pair:?}"),
            }
        }
    }
    assert!(packets >= 3 * EACH / 2 / 4096, "{packets} packets of the second NIC's device");
}

/// Test programs of this package run in the machine as they do here, over another provider.
pub fn operations_over_verbs_keep_their_promises(machine: &mut Machine) {
    if !has_libfabric(machine) {
        return;
    }
    for (name, pattern, count) in OPERATIONS {
        let program = machine.program(&built(name));
        let said = machine.ok(&format!(
            "export FI_UNIVERSE_SIZE=16 RAILTOP_TEST_PROVIDERS='verbs;ofi_rxm' RAILTOP_TEST_RDMA=rxe0
             tests=$({program} --list --format terse | sed -n 's/: test$//p' | grep -E '{pattern}')
             before=$(hw rxe0 sent_pkts)
             {program} --exact $tests --test-threads 1 --show-output 2>&1 || exit
             rm {program}
             echo \"packets $(($(hw rxe0 sent_pkts) - before))\""
        ));
        assert!(said.contains(&format!("{count} passed; 0 failed")), "{name}: {said}");
        assert!(!said.contains("skipped: "), "{name}: {said}");
        let packets = said.lines().find_map(|line| line.strip_prefix("packets ")?.parse::<u64>().ok());
        assert!(packets.is_some_and(|packets| packets > 100), "{name}: {packets:?} packets of the device");
    }
}

/// A test program of this package, in the build that this one is of. With the features that a test of the whole workspace has: others
/// would be another build of everything.
fn built(name: &str) -> PathBuf {
    let mut build = cargo();
    build.args(["test", "--locked", "--workspace", "--no-run", "--test", name, "--message-format", "json"]);
    if !cfg!(debug_assertions) {
        build.arg("--release");
    }
    let output = build.current_dir(Path::new(env!("CARGO_MANIFEST_DIR"))).output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    let messages = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    messages
        .filter(|message| message["target"]["name"] == name)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .expect("cargo names the program")
}
