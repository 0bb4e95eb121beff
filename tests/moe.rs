//! Dispatch and combine over real libfabric, with layers at every edge: one expert of a PE, all experts of a token, one token,
//! rows of some hundred bytes and of many KiB, PEs of one node and of several, PEs with different numbers of NICs. Every row and
//! result is compared.

#[expect(dead_code, reason = "other files use the rest")]
mod support;

use std::time::Duration;

use railtop::skew::Skew;
use railtop::transport::pe::IntraNode;
use railtop::transport::select::PolicyKind;
use railtop::workload::moe::{self, Batch, Layout, MoeOptions, Shape};
use railtop::workload::options::Initiator;
use railtop::workload::report::Json;
use support::{Job, providers};

fn options(skew: Skew, batch: Batch) -> MoeOptions {
    let shape = |experts, topk, dim| Shape { experts, topk, dim };
    MoeOptions {
        // One after another over the same words and slots.
        shapes: vec![
            shape(12, 12, 16),
            shape(24, 3, 512),
            shape(12, 5, 48),
            shape(12, 1, 4096),
            shape(36, 8, 272),
        ],
        tokens: vec![1, 29, 2],
        skew,
        seed: 11,
        batch,
        alltoall: false,
        verify: true,
        policies: vec![PolicyKind::PairSeq],
        rounds: 1,
        iters: 1,
        warmup: 1,
        initiator: Initiator::Host,
        ctas: 1,
        window: Duration::from_millis(10),
    }
}

#[test]
fn every_layer_comes_through_in_every_way() {
    let few = Job { pes: 3, uneven: true, nics: 1, ..Job::new("") };
    let mixed = Job { pes: 4, pes_per_node: 2, nics: 2, ..Job::new("") };
    let jobs = [few, mixed.clone(), Job { intra_node: IntraNode::Nic, ..mixed }];
    let skews = [Skew::Uniform, Skew::Zipf(3.0), Skew::Uniform];
    let Some(provider) = providers().pop() else { return };
    for (job, skew) in jobs.iter().zip(skews) {
        for batch in [Batch::Off, Batch::Auto] {
            let options = options(skew, batch);
            let heap_bytes = Layout::of(&options, job.pes).heap_bytes() + (1 << 20);
            let job = Job { provider: provider.clone(), heap_bytes, ..job.clone() };
            let outputs = job.run(move |pe| {
                let mut out = Vec::new();
                moe::run(pe, None, &options, &mut Json::new(&mut out)).unwrap();
                String::from_utf8(out).unwrap()
            });
            let lines = outputs[0].lines().map(|line| serde_json::from_str(line).unwrap());
            let rows: Vec<serde_json::Value> =
                lines.filter(|line: &serde_json::Value| line["type"] == "row").collect();
            // Five layers, three numbers of tokens, two phases.
            assert_eq!(rows.len(), 5 * 3 * 2, "{provider}");
            assert!(rows.iter().all(|row| row["verified"] == true));
            assert!(outputs[1..].iter().all(String::is_empty), "PE 0 alone reports");
        }
    }
}
