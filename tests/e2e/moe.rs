//! `railtop bench moe` in a lab: every row and result compared, and exactly the bytes on the NICs that the routing says.

use railtop::skew::Skew;
use railtop::transport::select::PolicyKind;
use railtop::workload::moe::Shape as Layer;
use railtop::workload::moe::itinerary::Itinerary;
use railtop::workload::moe::route::Routing;
use serde_json::Value;

use crate::support::{Results, Shape, Site, has_libfabric, lab_machine, one_at_a_time, sum};

const LAB: Shape = Shape { nodes: 2, pes_per_node: 2, nics_per_pe: 3, nic_rate: "none" };
const WORLD: u32 = 4;
const ITERS: u64 = 2;

/// Bytes of dispatch and of combine that leave each PE's node in one iteration, by the routing; `together`: rows for a PE share
/// puts.
fn leaving(layer: Layer, tokens: u32, skew: Skew, together: bool) -> [Vec<u64>; 2] {
    let mut there = vec![0; WORLD as usize];
    let mut back = vec![0; WORLD as usize];
    for src in 0..WORLD {
        let itinerary = Itinerary::of(&Routing::of(layer, tokens, skew, 1, src), layer, WORLD);
        for dst in (0..WORLD).filter(|dst| dst / 2 != src / 2) {
            let rows = itinerary.answers_of(dst);
            there[src as usize] += if together {
                layer.header_bytes(WORLD)
                    + itinerary.travellers(dst).count() as u64 * layer.record_bytes(WORLD)
            } else {
                rows * layer.slot_bytes()
            };
            back[dst as usize] += rows * layer.expert_row_bytes();
        }
    }
    [there, back]
}

fn number(value: &Value, key: &str) -> u64 {
    value[key].as_u64().unwrap_or_else(|| panic!("no {key} in {value}"))
}

#[test]
fn every_row_and_result_is_right_and_nics_carry_what_the_routing_says() {
    let Some(_alone) = lab_machine() else { return };
    let site = Site::new();
    for (batch, skew) in [("off", "uniform"), ("off", "zipf:1.2"), ("auto", "uniform"), ("auto", "zipf:1.2")]
    {
        let words = format!(
            "moe --tokens 1,3 --batch {batch} --skew {skew} --policy round-robin,pair-seq -n {ITERS} -w 1 --verify --format json"
        );
        let results = Results::of(&site.run(&mut site.bench_in_lab(LAB, &words)).code(0));
        results.assert_exact();
        for policy in [PolicyKind::RoundRobin, PolicyKind::PairSeq] {
            let rows = results.of_type(policy.name(), "row");
            let mut rows = rows.into_iter();
            let mut payload = 0;
            for layer in [Layer::E64, Layer::E256] {
                for tokens in [1, 3] {
                    // One token goes to an expert or two of each PE: at least two rows for each are worth a batch.
                    let rows_for_each = tokens * layer.topk / WORLD;
                    let together = batch == "auto" && rows_for_each >= 2;
                    let [there, back] = leaving(layer, tokens, skew.parse().unwrap(), together);
                    let block = layer.alltoall_bytes(tokens) / u64::from(WORLD);
                    let phases = [
                        ("dispatch", layer.dispatch_bytes(tokens), there),
                        ("combine", layer.combine_bytes(tokens), back),
                        ("alltoall", layer.alltoall_bytes(tokens), vec![2 * block; WORLD as usize]),
                    ];
                    for (phase, size, leaving) in phases {
                        let row = rows.next().unwrap();
                        assert_eq!((&row["bench"], &row["phase"]), (&"moe".into(), &phase.into()));
                        let wanted = [
                            ("experts", u64::from(layer.experts)),
                            ("topk", u64::from(layer.topk)),
                            ("dim", u64::from(layer.dim)),
                            ("tokens", u64::from(tokens)),
                            ("size", size),
                            ("iters", ITERS),
                            ("seed", 1),
                            ("wire_bytes", *leaving.iter().max().unwrap()),
                        ];
                        for (key, value) in wanted {
                            assert_eq!(number(row, key), value, "{key} of {row}");
                        }
                        assert_eq!((&row["batch"], &row["verified"]), (&batch.into(), &true.into()));
                        let said = row.get("skew").and_then(Value::as_str).unwrap_or("uniform");
                        assert_eq!(said, skew);
                        let of = |key: &str| row[key].as_f64().unwrap();
                        let gb = size as f64 / of("latency_us") / 1e3;
                        assert!((of("bw_gb_per_s") / gb - 1.0).abs() < 1e-9, "{row}");
                        assert!(
                            of("latency_min_us") <= of("latency_median_us")
                                && of("latency_median_us") <= of("latency_max_us")
                        );
                        payload += leaving.iter().sum::<u64>();
                    }
                }
            }
            assert!(rows.next().is_none());
            let nics = results.of_type(policy.name(), "nic");
            assert_eq!(nics.len(), 4 * 3);
            assert_eq!(sum(&nics, "tx_bytes"), ITERS * payload, "{batch} {skew} {}", policy.name());
            assert_eq!(sum(&nics, "rx_bytes"), ITERS * payload);
            for direction in ["tx", "rx"] {
                let ratio = results.balance(policy.name(), direction)["max_over_mean"].as_f64().unwrap();
                let worst = worst_ratio(&nics, &format!("{direction}_bytes"));
                assert!((ratio - worst).abs() < 1e-9, "{direction} {ratio}, of the NICs' lines {worst}");
            }
        }
    }
}

/// The most uneven PE's busiest NIC over the mean of its NICs.
fn worst_ratio(nics: &[&Value], key: &str) -> f64 {
    let of = |pe: u64| {
        let bytes: Vec<f64> =
            nics.iter().filter(|nic| nic["pe"] == pe).map(|nic| nic[key].as_f64().unwrap()).collect();
        bytes.iter().copied().fold(0.0, f64::max) / (bytes.iter().sum::<f64>() / bytes.len() as f64)
    };
    (0..4).map(of).fold(0.0, f64::max)
}

/// Fewer puts for the same rows, and a token for two experts of a PE travels once.
#[test]
fn rows_that_travel_together_take_few_puts() {
    let Some(_alone) = lab_machine() else { return };
    let site = Site::new();
    let shape = Shape { pes_per_node: 1, ..LAB };
    let rows = |batch: &str| {
        let words = format!(
            "moe --config e64 --tokens 64 --no-alltoall --batch {batch} -n 1 -w 0 --verify --format json"
        );
        let results = Results::of(&site.run(&mut site.bench_in_lab(shape, &words)).code(0));
        results.assert_exact();
        let rows = results.of_type("pair-seq", "row");
        assert_eq!(rows.len(), 2, "the all-to-all is left out");
        [0, 1].map(|row| (number(rows[row], "puts"), number(rows[row], "wire_bytes")))
    };
    let ([there, back], [there_together, back_together]) = (rows("off"), rows("auto"));
    // About half of the 64 * 6 rows leave, each by itself.
    assert!((150..250).contains(&there.0) && (150..250).contains(&back.0), "{there:?} {back:?}");
    assert!(there_together.0 <= 5 && back_together.0 <= 15, "{there_together:?} {back_together:?}");
    // Three experts of a PE on average want a token: a third of the bytes is enough.
    assert!(there_together.1 * 2 < there.1, "{there_together:?} {there:?}");
    assert_eq!(back_together.1, back.1);
}

#[test]
fn the_text_has_pplx_s_columns_and_any_layer_can_be_asked_for() {
    let _alone = one_at_a_time();
    if !has_libfabric() {
        return;
    }
    let site = Site::new();
    let mut command = site.railtop();
    command
        .args("lab --loopback --nodes 2 --pes-per-node 1 --nics-per-pe 2 --".split(' '))
        .arg(crate::support::RAILTOP);
    command.args("bench moe --experts 10 --topk 3 --dim 48 --tokens 7 -n 2 -w 1 --verify".split(' '));
    let outcome = site.run(&mut command).code(0);
    let mut lines = outcome.stdout.lines();
    let columns = [
        "E",
        "E/tok",
        "tok",
        "dim",
        "Dispatch_lat",
        "Dispatch_bw",
        "Dispatch_bytes",
        "Combine_lat",
        "Combine_bw",
        "Combine_bytes",
        "Alltoall_lat",
        "Alltoall_bw",
        "Alltoall_bytes",
    ];
    lines.find(|line| line.split_whitespace().eq(columns)).unwrap_or_else(|| panic!("{outcome:#?}"));
    let row: Vec<_> = lines.next().unwrap().split_whitespace().collect();
    assert_eq!(row[..4], ["10", "3", "7", "48"]);
    // A latency is three words: 12.3μs ± 1.2μs. 48 values with a scale are 52 bytes.
    assert_eq!([row[8], row[13], row[18]], ["1092", "2016", "3640"]);
    assert!(
        row[4].ends_with("μs") && row[5] == "±" && row[6].ends_with("μs") && row[7].ends_with("GB/s"),
        "{row:?}"
    );
    assert!(outcome.stdout.contains("# Rx: "), "{outcome:#?}");
}

#[test]
fn what_cannot_be_run_is_said_before_anything_starts() {
    let site = Site::new();
    let refused = |words: &str, why: &str| {
        let mut command = site.railtop();
        command.args(["bench", "moe"]).args(words.split_whitespace());
        let outcome = site.run(&mut command).code(2);
        assert!(outcome.stderr.contains(why) && outcome.stdout.is_empty(), "{words}: {outcome:#?}");
    };
    refused("--config e65", "e64, e256, all");
    refused("--experts 8", "--topk");
    refused("--config e64 --experts 8 --topk 2 --dim 64", "cannot be used with");
    refused("--experts 8 --topk 9 --dim 64", "1 to 8 of 8 experts");
    refused("--experts 8 --topk 2 --dim 60", "a multiple of 16");
    refused("--tokens 0", "0 is not in");
    refused("--tokens 5000", "5000 is not in");
    refused("--skew pareto", "zipf:S");
    refused("--batch on", "off, auto");
    refused("--heap device", "--initiator gpu");
    refused("-b 4", "unexpected argument");
    if !has_libfabric() {
        return;
    }
    refused("--rank 0 --world-size 1", "at least 2 PEs");
    refused("--config e64 --rank 0 --world-size 65 --master-addr 127.0.0.1 --master-port 1", "too few");
    refused("--rank 1 --world-size 3 --master-addr 127.0.0.1 --master-port 1", "evenly");
}

/// Nine experts can be shared out among three PEs; 64 and 256 cannot, and so nothing is left to run.
#[test]
fn pes_that_are_no_power_of_two() {
    let Some(_alone) = lab_machine() else { return };
    let site = Site::new();
    let shape = Shape { nodes: 3, pes_per_node: 1, nics_per_pe: 1, nic_rate: "none" };
    let words = "moe --experts 9 --topk 2 --dim 32 --tokens 5 --batch auto -n 2 -w 1 --verify --format json";
    let results = Results::of(&site.run(&mut site.bench_in_lab(shape, words)).code(0));
    results.assert_exact();
    assert!(results.of_type("pair-seq", "row").iter().all(|row| row["verified"] == true));
    let outcome = site.run(&mut site.bench_in_lab(shape, "moe --tokens 2 -n 1 -w 0")).code(2);
    assert!(outcome.stderr.contains("no configuration to run: 64 experts cannot"), "{outcome:#?}");
}
