//! One NIC of four at half the rate, as a fluid: a NIC works off its queue at its rate, and a window of operations is
//! kept in flight.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "bytes of a fluid are rounded to whole ones"
)]

use test_case::test_case;

use super::tables::Random;
use super::*;

const RATES: [f64; 4] = [1.0, 1.0, 0.5, 1.0];

/// What the sender does.
#[derive(Debug, Clone, Copy)]
struct Load {
    /// Operations in flight at most.
    window: usize,
    /// Smallest and largest operation, bytes; sizes in between are drawn evenly over the powers of two.
    sizes: (u64, u64),
    /// Operations between two looks at the bytes in flight; 1: the figures are always right.
    lag: usize,
}

/// Bytes per time of 20,000 operations, over the sum of the rates.
fn share_of_the_rates(kind: PolicyKind, load: Load) -> f64 {
    let mut selector = Selector::new(kind, Place { me: 0, pes: 2, nics: 4 });
    let mut random = Random(42);
    let mut queues: [std::collections::VecDeque<f64>; 4] = Default::default();
    let mut in_flight = [0_u64; 4];
    let (mut moved, mut time, mut posted) = (0.0, 0.0, 0);
    while posted < 20_000 {
        if queues.iter().map(std::collections::VecDeque::len).sum::<usize>() >= load.window {
            // The next completion, and how far the other NICs come until then.
            let ends = queues.iter().zip(RATES).filter_map(|(queue, rate)| Some(queue.front()? / rate));
            let step = ends.fold(f64::INFINITY, f64::min);
            time += step;
            for (queue, rate) in queues.iter_mut().zip(RATES) {
                if let Some(front) = queue.front_mut() {
                    *front -= step * rate;
                    moved += step * rate;
                    if *front < 1e-6 {
                        queue.pop_front();
                    }
                }
            }
            continue;
        }
        if posted % load.lag == 0 {
            in_flight = std::array::from_fn(|nic| queues[nic].iter().sum::<f64>().ceil() as u64);
        }
        let powers = (load.sizes.1 as f64 / load.sizes.0 as f64).log2();
        let len = (load.sizes.0 as f64 * (random.unit() * powers).exp2()) as u64;
        for part in selector.next(Op { dst: 1, len, peer_nics: 4 }, &in_flight).parts(len) {
            queues[usize::from(part.route.local)].push_back(part.len as f64);
        }
        posted += 1;
    }
    moved / time / RATES.iter().sum::<f64>()
}

#[test_case(Load { window: 16, sizes: (1 << 20, 1 << 20), lag: 1 }; "equal sizes")]
#[test_case(Load { window: 64, sizes: (64, 64), lag: 1 }; "small ones")]
#[test_case(Load { window: 64, sizes: (4 << 10, 4 << 20), lag: 1 }; "mixed sizes")]
#[test_case(Load { window: 64, sizes: (1 << 20, 1 << 20), lag: 8 }; "figures that lag")]
#[test_case(Load { window: 256, sizes: (4 << 10, 4 << 20), lag: 16 }; "figures that lag, mixed sizes")]
fn least_loaded_uses_what_a_slow_nic_leaves(load: Load) {
    let (ours, pair) =
        (share_of_the_rates(PolicyKind::LeastLoaded, load), share_of_the_rates(PolicyKind::PairSeq, load));
    assert!(ours >= 0.95, "{load:?}: {ours} of the rates");
    assert!(ours >= 1.6 * pair, "{load:?}: {ours} and pair-seq {pair}");
}
