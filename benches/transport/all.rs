//! All-to-all by a bare loop of `fi_writedata`: what the NICs of a lab give to somebody who knows where everything goes. No signals,
//! no acknowledgements, no order, nothing that fails, and nothing for PEs of the same node.
//!
//! Each PE's NIC i writes to NIC i of the others. A round ends at a PE when it has everything and what it wrote has left, and the next
//! follows at once, as in `bench alltoall`.

use std::time::{Duration, Instant};

use clap::Parser;
use railtop::cli::pe::PeArgs;
use railtop::transport::bootstrap::Session;
use railtop::transport::fault::Fault;
use railtop::transport::select::PolicyKind;

use crate::bare::{Bare, SPINS};

/// Ends a hang.
const LIMIT: Duration = Duration::from_secs(60);

/// One PE.
#[derive(Debug, Parser)]
pub struct AllArgs {
    /// Bytes that a PE has for all, itself included.
    bytes: usize,
    /// Bytes of a put at most.
    chunk: usize,
    /// Rounds, after one that is not timed.
    rounds: u64,
    #[command(flatten)]
    pe: PeArgs,
}

/// Its NICs, and what it writes in a round.
struct Exchange {
    nics: Vec<Bare>,
    me: u32,
    /// PEs of other nodes, from the next on.
    others: Vec<u32>,
    /// Bytes of the puts for each of them.
    puts: Vec<usize>,
    rounds: u64,
}

/// Runs this PE's part; PE 0 prints the microseconds of a round, of the PE that took longest.
pub fn run(args: &[String]) {
    let args = AllArgs::parse_from(args);
    let ranks = args.pe.ranks().unwrap();
    let (me, world, per_node) = (ranks.rank, ranks.world, ranks.local_world.unwrap_or(1));
    let config = args.pe.config(ranks, 4096, PolicyKind::PairSeq).unwrap();
    let session = config.rendezvous.as_ref().unwrap().join(&Fault::default()).unwrap();
    let nics = config.nics.iter().map(|nic| {
        let address = nic.address.as_deref().unwrap();
        let mut nic = Bare::open(address, config.provider.as_deref(), args.chunk as u64, me);
        let cards = session.allgather(&nic.card(), LIMIT).unwrap();
        nic.connect(cards.iter().map(Vec::as_slice));
        nic
    });
    let nics = nics.collect();
    let others = (1..world).map(|distance| (me + distance) % world);
    let others = others.filter(|other| other / per_node != me / per_node).collect();
    let block = args.bytes / world as usize;
    let puts = (0..block).step_by(args.chunk).map(|at| args.chunk.min(block - at)).collect();
    let mut exchange = Exchange { nics, me, others, puts, rounds: 0 };
    exchange.rounds(&session, 1);
    let slowest = exchange.rounds(&session, args.rounds);
    if me == 0 {
        println!("{:.1}", slowest.as_secs_f64() * 1e6 / args.rounds as f64);
    }
    // Nobody closes an endpoint that another still writes to.
    session.allgather(b"done", LIMIT).unwrap();
}

impl Exchange {
    /// So many rounds; the time of the PE that took longest.
    fn rounds(&mut self, session: &Session, count: u64) -> Duration {
        session.allgather(b"go", LIMIT).unwrap();
        let begun = Instant::now();
        for _ in 0..count {
            self.round();
        }
        let own = u64::try_from(begun.elapsed().as_nanos()).unwrap().to_le_bytes();
        let all = session.allgather(&own, LIMIT).unwrap();
        let slowest = all.iter().map(|time| u64::from_le_bytes(time[..].try_into().unwrap())).max();
        Duration::from_nanos(slowest.unwrap())
    }

    fn round(&mut self) {
        self.rounds += 1;
        let Self { nics, me, others, puts, rounds } = self;
        for (at, &bytes) in puts.iter().enumerate() {
            for &other in &*others {
                // The puts of a pair take turns over the NICs, and the pairs of a PE do not begin with the same.
                let nic = (at + (*me + other) as usize) % nics.len();
                poll_until(nics, |nics| nics[nic].try_put(other, bytes));
            }
        }
        poll_until(nics, |nics| nics.iter().all(Bare::has_left));
        let all = *rounds * puts.len() as u64;
        for &other in &*others {
            poll_until(nics, |nics| nics.iter().map(|nic| nic.landed(other)).sum::<u64>() >= all);
        }
    }
}

/// Reads what has completed on the NICs until something holds.
fn poll_until(nics: &mut [Bare], mut holds: impl FnMut(&mut [Bare]) -> bool) {
    let mut empty = 0;
    while !holds(nics) {
        let found = nics.iter_mut().map(|nic| u32::from(nic.poll())).sum::<u32>();
        empty = if found > 0 { 0 } else { empty + 1 };
        if empty > SPINS {
            std::thread::yield_now();
        }
    }
}
