//! `railtop bench` in a lab: the article's ratios, the contract's JSON, and every byte where it belongs.

use std::fs;

use crate::support::{RAILTOP, Results, Shape, Site, has_libfabric, lab_machine, one_at_a_time, sum};

/// Rates as low that NICs are what is waited for, also where others need the processor: it is ratios of bandwidths that are held.
const PUT: Shape = Shape { nodes: 2, pes_per_node: 1, nics_per_pe: 4, nic_rate: "50mbit" };
const ALL_TO_ALL: Shape = Shape { nodes: 2, pes_per_node: 4, nics_per_pe: 4, nic_rate: "10mbit" };

#[test]
fn put_over_four_nics_is_nearly_four_times_one() {
    let Some(_alone) = lab_machine() else { return };
    let site = Site::new();
    let words = "put --policy single,round-robin,pair-seq -b 64K -e 4M -f 8 -n 4 -w 1 --verify --format json";
    let outcome = site.run(&mut site.bench_in_lab(PUT, words)).code(0);
    let results = Results::of(&outcome);
    results.assert_exact();
    for (policy, active) in [("single", 1), ("round-robin", 4), ("pair-seq", 4)] {
        let rows = results.of_type(policy, "row");
        let sizes: Vec<_> = rows.iter().map(|row| row["size"].as_u64().unwrap()).collect();
        assert_eq!(sizes, [64 << 10, 512 << 10, 4 << 20]);
        for row in rows {
            assert_eq!(
                (&row["bench"], &row["iters"], &row["verified"]),
                (&"put".into(), &4.into(), &true.into())
            );
            assert!(row.get("latency_us").is_none() && row["bw_gb_per_s"].as_f64().unwrap() > 0.0, "{row}");
        }
        let nics = results.of_type(policy, "nic");
        let places: Vec<_> =
            nics.iter().map(|nic| (nic["pe"].as_u64().unwrap(), nic["nic"].as_str().unwrap())).collect();
        let names = ["nic0", "nic1", "nic2", "nic3"];
        assert_eq!(places, [0, 1].map(|pe| names.map(|nic| (pe, nic))).concat());
        // The timed part: 4 iterations of each size, all of it from PE 0 to PE 1.
        let payload = 4 * ((64 << 10) + (512 << 10) + (4 << 20));
        assert_eq!((sum(&nics[..4], "tx_bytes"), sum(&nics[4..], "tx_bytes")), (payload, 0));
        assert_eq!((sum(&nics[..4], "rx_bytes"), sum(&nics[4..], "rx_bytes")), (0, payload));
        for direction in ["tx", "rx"] {
            let balance = results.balance(policy, direction);
            assert_eq!((&balance["active_nics"], &balance["nics"]), (&active.into(), &4.into()), "{balance}");
            let ratio = balance["max_over_mean"].as_f64().unwrap();
            let even = 4.0 / f64::from(active);
            assert!((ratio - even).abs() <= 0.05 * even, "{policy}: {balance}");
        }
    }
    let single = results.of_largest("single", "bw_gb_per_s");
    for policy in ["round-robin", "pair-seq"] {
        let ratio = results.of_largest(policy, "bw_gb_per_s") / single;
        eprintln!("put: {policy} {ratio:.2} times single");
        assert!(ratio >= 3.3, "{policy} is {ratio} times single");
    }
}

#[test]
fn round_robin_piles_an_all_to_all_onto_one_nic_and_its_fixes_do_not() {
    let Some(_alone) = lab_machine() else { return };
    let site = Site::new();
    let words = "alltoall --policy round-robin,round-robin-offset,pair-seq -b 2M -e 2M -n 4 -w 1 --verify --format json";
    let outcome = site.run(&mut site.bench_in_lab(ALL_TO_ALL, words)).code(0);
    let results = Results::of(&outcome);
    results.assert_exact();
    for policy in ["round-robin", "round-robin-offset", "pair-seq"] {
        let nics = results.of_type(policy, "nic");
        assert_eq!(nics.len(), 8 * 4);
        // 4 iterations to the 4 PEs of the other node, a quarter of a MiB each; the 3 of the same node need no NIC.
        assert_eq!(sum(&nics, "tx_bytes"), 8 * 4 * 4 * (256 << 10));
        for direction in ["tx", "rx"] {
            let balance = results.balance(policy, direction);
            assert_eq!(balance["window_ms"], 10.0);
            assert!(
                (1.0..=4.001).contains(&balance["p99_window_max_over_mean"].as_f64().unwrap()),
                "{balance}"
            );
        }
        let ratio = |direction| results.balance(policy, direction)["max_over_mean"].as_f64().unwrap();
        eprintln!("all-to-all: {policy} tx {:.2} rx {:.2}", ratio("tx"), ratio("rx"));
        assert!(ratio("tx") <= 1.05, "{policy}");
        if policy == "round-robin" { assert!(ratio("rx") >= 3.5) } else { assert!(ratio("rx") <= 1.05) }
    }
    let windows = results.balance("round-robin", "rx")["p99_window_max_over_mean"].as_f64().unwrap();
    assert!(windows >= 3.5, "no window of round-robin is better than the whole: {windows}");
    for policy in ["round-robin-offset", "pair-seq"] {
        let bandwidth = |policy| results.of_largest(policy, "busbw_gb_per_s");
        let ratio = bandwidth(policy) / bandwidth("round-robin");
        eprintln!("all-to-all: {policy} {ratio:.2} times round-robin");
        assert!(ratio >= 2.5, "{policy} is {ratio} times round-robin");
    }
}

/// Nothing here is a power of two: 3 nodes, 6 PEs, 3 NICs, and blocks down to one element.
/// One put to the one peer keeps one NIC busy; in chunks it keeps all four.
#[test]
fn chunks_use_every_nic_where_peers_are_few() {
    let Some(_alone) = lab_machine() else { return };
    let site = Site::new();
    let run = |chunk: &str| {
        let words = format!("alltoall -b 4M -e 4M -n 4 -w 1 {chunk} --verify --format json");
        let results = Results::of(&site.run(&mut site.bench_in_lab(PUT, &words)).code(0));
        results.assert_exact();
        let nics = results.of_type("pair-seq", "nic");
        // 2 MiB from each of the 2 PEs in each of the 4 iterations.
        assert_eq!(sum(&nics, "tx_bytes"), 2 * 4 * (2 << 20));
        (results.of_largest("pair-seq", "busbw_gb_per_s"), sum(&nics, "tx_ops"))
    };
    let ((whole, whole_puts), (chunked, puts)) = (run(""), run("--chunk 300K"));
    assert_eq!((whole_puts, puts), (2 * 4, 2 * 4 * 7));
    assert!(chunked >= 2.5 * whole, "{chunked} against {whole} GB/s");
}

#[test]
fn an_odd_cluster_verifies_from_one_element_up() {
    let Some(_alone) = lab_machine() else { return };
    let site = Site::new();
    let shape = Shape { nodes: 3, pes_per_node: 2, nics_per_pe: 3, nic_rate: "none" };
    let words = "alltoall --policy single,round-robin,round-robin-offset,pair-seq -b 4 -e 300K -f 4 -n 5 -w 2 --verify --format json";
    let outcome = site.run(&mut site.bench_in_lab(shape, words)).code(0);
    let results = Results::of(&outcome);
    results.assert_exact();
    let rows = results.of_type("pair-seq", "row");
    assert_eq!(rows[0]["size"], 24, "one element of 4 bytes for each of 6 PEs");
    assert!(rows.iter().all(|row| row["verified"] == true && row["size"].as_u64().unwrap() % 24 == 0));
    assert!(rows.is_sorted_by(|a, b| a["size"].as_u64() < b["size"].as_u64()), "no size twice");
}

/// However the received bytes are known, they are the bytes that were sent.
#[test]
fn every_rx_source_is_exact() {
    let Some(_alone) = lab_machine() else { return };
    let site = Site::new();
    let shape = Shape { nodes: 2, pes_per_node: 1, nics_per_pe: 3, nic_rate: "none" };
    let words = "alltoall --policy pair-seq -b 4 -e 64K -f 16 -n 7 -w 1 --verify --format json";
    for (source, name) in [("ledger", "LEDGER"), ("imm-len", "IMM_LEN"), ("cqe-len", "CQE_LEN")] {
        let outcome = site.run(site.bench_in_lab(shape, words).env("RAILTOP_RX_SOURCE", source));
        if source != "ledger" && outcome.status.code() != Some(0) {
            // Not every provider can; then it says so at the start instead of counting wrong.
            assert!(outcome.stderr.contains(&format!("{name} was asked for")), "{outcome:#?}");
            assert!(outcome.stdout.is_empty(), "{outcome:#?}");
            eprintln!("skipped: {source}: {}", outcome.stderr.trim());
            continue;
        }
        let outcome = outcome.code(0);
        let results = Results::of(&outcome);
        results.assert_exact();
        let nics = results.of_type("pair-seq", "nic");
        assert!(nics.iter().all(|nic| nic["rx_source"] == name), "{nics:#?}");
    }
}

/// The kernel's bytes on the wire are the payload and little beside it.
#[test]
fn the_kernel_agrees_within_five_percent() {
    let Some(_alone) = lab_machine() else { return };
    let site = Site::new();
    // Each PE writes down what the kernel has counted on its node when all is done. Without warm-up, all payload is
    // in the timed part.
    let script = r#""$0" bench alltoall --policy pair-seq -b 1M -e 1M -n 10 -w 0 --format json &&
        cat /proc/net/dev > "$1.$RANK""#;
    let shape = Shape { nodes: 2, pes_per_node: 2, nics_per_pe: 2, nic_rate: "none" };
    let outcome = site.run(site.lab(shape).args(["sh", "-c", script, RAILTOP]).arg(site.path("dev"))).code(0);
    let results = Results::of(&outcome);
    results.assert_exact();
    for nic in results.of_type("pair-seq", "nic") {
        let seen = fs::read_to_string(site.path(&format!("dev.{}", nic["pe"]))).unwrap();
        let name = format!("{}:", nic["nic"].as_str().unwrap());
        let line = seen.lines().find_map(|line| line.trim().strip_prefix(&name)).unwrap();
        let fields: Vec<u64> = line.split_whitespace().map(|field| field.parse().unwrap()).collect();
        for (direction, kernel) in [("rx_bytes", fields[0]), ("tx_bytes", fields[8])] {
            let payload = nic[direction].as_u64().unwrap();
            assert!(payload >= 2 << 20, "{nic}");
            let above = kernel as f64 / payload as f64;
            assert!(
                (1.0..1.05).contains(&above),
                "{direction} {nic}: the kernel says {kernel}, {above} times as much"
            );
        }
    }
}

#[test]
fn the_text_is_nvshmem_s_table_and_says_what_moves_no_data() {
    let Some(_alone) = lab_machine() else { return };
    let site = Site::new();
    let shape = Shape { nodes: 2, pes_per_node: 1, nics_per_pe: 2, nic_rate: "none" };
    let outcome = site.run(&mut site.bench_in_lab(shape, "put -b 64 -e 64K -f 32 -n 3 -w 1")).code(0);
    let head = "#shmem_put_bw_uni\nsize(B)     scope     BW (GB/sec)     ";
    assert!(outcome.stdout.contains(head), "{}", outcome.stdout);
    // 64 bytes over 32 puts are less than a word each: the row has no bandwidth, and stderr says why.
    let row = |size: &str| {
        let mut lines = outcome.stdout.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        lines.find(|line| line.first() == Some(&size)).unwrap()
    };
    assert_eq!(row("64")[..3], ["64", "None", "-"]);
    assert!(row("65536")[2].parse::<f64>().unwrap() > 0.0);
    assert!(outcome.stderr.contains("sizes up to 64 move no data"), "{}", outcome.stderr);
    assert!(
        outcome.stdout.contains("# Rx: balanced, max/mean 1.00, 2 of 2 NICs active"),
        "{}",
        outcome.stdout
    );

    let outcome = site.run(&mut site.bench_in_lab(shape, "put -b 64 -e 64 -n 3 -w 1 --format json")).code(0);
    let results = Results::of(&outcome);
    assert!(results.of_type("pair-seq", "row")[0].get("bw_gb_per_s").is_none(), "missing is an absent key");
    let balance = results.balance("pair-seq", "rx");
    assert!(balance.get("max_over_mean").is_none() && balance["active_nics"] == 0, "{balance}");

    let outcome = site.run(&mut site.bench_in_lab(shape, "alltoall -b 1K -e 1K -n 3 -w 1")).code(0);
    let head = "size(B)     count     type      scope     latency(us)       algbw(GB/s)   busbw(GB/s) ";
    assert!(outcome.stdout.contains(head), "{}", outcome.stdout);
}

/// `--bidir` sends both ways; on one node nothing needs a NIC, which is said.
#[test]
fn both_ways_and_on_one_node() {
    let Some(_alone) = lab_machine() else { return };
    let site = Site::new();
    let shape = Shape { nodes: 2, pes_per_node: 1, nics_per_pe: 2, nic_rate: "none" };
    let words = "put --bidir -b 64K -e 64K -n 5 -w 1 --verify --format json";
    let outcome = site.run(&mut site.bench_in_lab(shape, words)).code(0);
    let results = Results::of(&outcome);
    results.assert_exact();
    let nics = results.of_type("pair-seq", "nic");
    assert!(nics.iter().all(|nic| nic["tx_bytes"] == nic["rx_bytes"] && nic["tx_bytes"] != 0), "{nics:#?}");

    let shape = Shape { nodes: 1, pes_per_node: 2, ..shape };
    let outcome = site.run(&mut site.bench_in_lab(shape, words)).code(0);
    let results = Results::of(&outcome);
    assert_eq!(sum(&results.of_type("pair-seq", "nic"), "tx_bytes"), 0);
    assert!(outcome.stderr.contains("no NIC carries anything"), "{}", outcome.stderr);
}

/// Where no namespaces are allowed, the lab still runs, on addresses of loopback.
#[test]
fn a_lab_on_loopback_verifies_too() {
    let _alone = one_at_a_time();
    if !has_libfabric() {
        return;
    }
    let site = Site::new();
    let mut command = site.railtop();
    command.args([
        "lab",
        "--loopback",
        "--nodes",
        "2",
        "--pes-per-node",
        "2",
        "--nics-per-pe",
        "2",
        "--",
        RAILTOP,
    ]);
    command.args("bench alltoall -b 64K -e 64K -n 5 -w 1 --verify --format json".split(' '));
    let outcome = site.run(&mut command).code(0);
    Results::of(&outcome).assert_exact();
    assert!(outcome.stderr.contains("loopback"), "{}", outcome.stderr);
}
