//! Every operation of a PE over real libfabric, between nodes and within one, for sizes from nothing to more than a piece.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

#[expect(dead_code, reason = "other files use the rest")]
mod support;

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use railtop::transport::atomic::{Atomic, AtomicOp, Width};
use railtop::transport::error::TransportError;
use railtop::transport::heap::Heap;
use railtop::transport::pe::Pe;
use railtop::transport::select::PolicyKind;
use railtop::transport::signal::{Signal, SignalOp, Until};
use support::{Job, providers};

/// Bytes that tell who wrote them and where; fewer are the first of more.
fn bytes(seed: u32, len: u64) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(len).unwrap()];
    for (at, chunk) in (0..).zip(bytes.chunks_mut(8)) {
        let word = (u64::from(seed) << 32 | at).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        chunk.copy_from_slice(&(word ^ word >> 29).to_le_bytes()[..chunk.len()]);
    }
    bytes
}

fn read(pe: &Pe, offset: u64, len: u64) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(len).unwrap()];
    pe.heap().read(offset, &mut bytes).unwrap();
    bytes
}

/// Jobs in which PE 1 is on PE 0's node and PE 2 is not: one with the default policy, and one with stripes over different numbers of
/// NICs. Over soft-RoCE, which has an emulated machine, only the latter, with fewer: each takes a second to start there.
fn jobs() -> Vec<Job> {
    let job = |provider: &str| Job { pes: 3, pes_per_node: 2, nics: 2, ..Job::new(provider) };
    let stripes = |provider: &str| Job { policy: PolicyKind::Stripe, uneven: true, ..job(provider) };
    let of = |provider: &String| match provider.as_str() {
        "verbs;ofi_rxm" => vec![Job { nics: 1, ..stripes(provider) }],
        _ => vec![job(provider), stripes(provider)],
    };
    providers().iter().flat_map(of).collect()
}

const SIZES: [u64; 8] = [0, 1, 7, 1024, 1025, 4096, 131_072, 700_001];

#[test]
fn gets_bring_what_is_there() {
    for job in jobs() {
        job.run(|pe| {
            let (me, world) = (pe.rank(), pe.world());
            let most = SIZES[SIZES.len() - 1];
            let (source, target) = (pe.allocate(most).unwrap(), pe.allocate(most + 8).unwrap());
            pe.heap().write(source, &bytes(me, most)).unwrap();
            pe.barrier().unwrap();
            for size in SIZES {
                for from in 0..world {
                    pe.get(from, source, target + 3, size).unwrap();
                    assert!(read(pe, target + 3, size) == bytes(from, size), "{size} bytes of PE {from}");
                }
            }
            // Many at once, gathered by a quiet.
            for from in 0..world {
                for word in 0..2000 {
                    pe.get_nbi(from, source + 8 * word, target + 8 * word, 8).unwrap();
                }
                pe.quiet_with(from).unwrap();
                assert!(read(pe, target, 16_000) == bytes(from, 16_000), "in parts from PE {from}");
            }
            pe.barrier().unwrap();
        });
    }
}

/// One message of the NIC is 8 MiB at most (`MAX_PIECE`): this is two and some bytes.
#[test]
fn an_operation_longer_than_two_of_the_longest_messages_arrives_whole() {
    const LONG: u64 = (16 << 20) + 13;
    for provider in providers() {
        Job { nics: 3, heap_bytes: 40 << 20, ..Job::new(&provider) }.run(|pe| {
            let (me, other) = (pe.rank(), 1 - pe.rank());
            let (source, target) = (pe.allocate(LONG).unwrap(), pe.allocate(LONG).unwrap());
            let at = pe.allocate(8).unwrap();
            let content = bytes(me, LONG);
            pe.heap().write(source, &content).unwrap();
            pe.barrier().unwrap();
            if me == 0 {
                let signal = Signal { offset: at, op: SignalOp::Set, value: 1 };
                pe.put_signal(1, source, target, LONG, signal).unwrap();
                pe.quiet().unwrap();
            } else {
                pe.wait_until(at, Until::AtLeast(1)).unwrap();
                assert!(read(pe, target, LONG) == bytes(other, LONG), "put");
            }
            pe.barrier().unwrap();
            if me == 0 {
                pe.get(1, source, target, LONG).unwrap();
                assert!(read(pe, target, LONG) == bytes(other, LONG), "got");
            }
            pe.barrier().unwrap();
        });
    }
}

#[test]
fn memory_outside_of_the_heap_can_be_sent_and_received() {
    for job in jobs() {
        job.run(|pe| {
            let (me, world) = (pe.rank(), pe.world());
            let most = SIZES[SIZES.len() - 1];
            let target = pe.allocate(most).unwrap();
            let at = pe.allocate(8).unwrap();
            for (round, size) in (1..).zip(SIZES) {
                let mut content = bytes(me, size);
                let signal = Signal { offset: at, op: SignalOp::Add, value: 1 };
                pe.put_bytes((me + 1) % world, &content, target, Some(signal)).unwrap();
                // They are the caller's again at once.
                content.fill(0xee);
                pe.wait_until(at, Until::AtLeast(round)).unwrap();
                let before = (me + world - 1) % world;
                assert!(read(pe, target, size) == bytes(before, size), "{size} bytes from PE {before}");
                pe.barrier().unwrap();
                let mut back = vec![0; usize::try_from(size).unwrap()];
                pe.get_bytes((me + 1) % world, target, &mut back).unwrap();
                assert!(back == bytes(me, size), "{size} bytes back");
                pe.barrier().unwrap();
            }
        });
    }
}

#[test]
fn atomics_of_all_pes_add_up_and_fetch_each_value_once() {
    const EACH: u64 = 300;
    for job in jobs() {
        let seen = job.run(|pe| {
            let word = pe.allocate(8).unwrap();
            let half = pe.allocate(8).unwrap() + 4;
            let lock = pe.allocate(8).unwrap();
            pe.barrier().unwrap();
            let mut seen = Vec::new();
            for _ in 0..EACH {
                seen.push(pe.fetch_add(0, word, 1).unwrap());
                let add =
                    Atomic { offset: half, width: Width::Half, op: AtomicOp::Add, operand: 3, compare: 0 };
                pe.atomic(0, add).unwrap();
            }
            // Answers may be waited for in any order.
            let asked: Vec<_> = (0..50)
                .map(|_| {
                    let op = AtomicOp::Add;
                    pe.fetch_nbi(0, Atomic { offset: word, width: Width::Word, op, operand: 1, compare: 0 })
                        .unwrap()
                })
                .collect();
            for pending in asked.into_iter().rev() {
                seen.push(pe.answer(pending).unwrap());
            }
            // A lock that one PE at a time holds.
            let mine = u64::from(pe.rank()) + 1;
            while pe.compare_swap(0, lock, 0, mine).unwrap() != 0 {}
            assert_eq!(pe.fetch_add(0, lock, 0).unwrap(), mine, "somebody else took a lock that was held");
            assert_eq!(pe.compare_swap(0, lock, mine, 0).unwrap(), mine);
            pe.barrier().unwrap();
            if pe.rank() == 0 {
                let count = pe.heap().half_word(half).unwrap().load(Ordering::Acquire);
                assert_eq!(u64::from(count), 3 * EACH * u64::from(pe.world()));
                assert_eq!(pe.heap().half_word(half - 4).unwrap().load(Ordering::Acquire), 0);
            }
            seen
        });
        let mut all: Vec<_> = seen.into_iter().flatten().collect();
        all.sort_unstable();
        assert!(all.iter().copied().eq(0..3 * (EACH + 50)), "each value was fetched once");
    }
}

#[test]
fn a_fence_orders_puts_to_one_place() {
    for job in jobs() {
        job.run(|pe| {
            let (me, world) = (pe.rank(), pe.world());
            let (source, target) = (pe.allocate(8 * 64).unwrap(), pe.allocate(64).unwrap());
            for value in 0..64 {
                pe.heap().word(source + 8 * value).unwrap().store(value, Ordering::Relaxed);
            }
            pe.barrier().unwrap();
            let dst = (me + 1) % world;
            for value in 0..64 {
                pe.put(dst, source + 8 * value, target, 8).unwrap();
                pe.fence().unwrap();
            }
            pe.barrier().unwrap();
            assert_eq!(pe.test(target).unwrap(), 63, "the last one put is the last one there");
        });
    }
}

/// Long puts go in pieces over several NICs, which nothing but the fence orders.
#[test]
fn a_fence_orders_pieces_on_all_nics() {
    const LENGTHS: [u64; 3] = [1025, 131_072, 700_001];
    for job in jobs() {
        Job { heap_bytes: 8 << 20, ..job }.run(|pe| {
            let (me, world) = (pe.rank(), pe.world());
            let (dst, src) = ((me + 1) % world, (me + world - 1) % world);
            let most = LENGTHS[LENGTHS.len() - 1];
            let sources = [pe.allocate(most).unwrap(), pe.allocate(most).unwrap()];
            let (target, short) = (pe.allocate(most).unwrap(), pe.allocate(64).unwrap());
            let at = pe.allocate(8).unwrap();
            for (source, seed) in sources.into_iter().zip([me, me + 100]) {
                pe.heap().write(source, &bytes(seed, most)).unwrap();
            }
            pe.barrier().unwrap();
            for (round, len) in (1..).zip(LENGTHS.into_iter().cycle().take(2 * LENGTHS.len())) {
                // Every other time the second is short: it goes in a frame, which would overtake pieces.
                let second = if round % 2 == 0 { len } else { 64 };
                pe.put(dst, sources[0], target, len).unwrap();
                pe.put(dst, sources[0], short, 64).unwrap();
                pe.fence().unwrap();
                pe.put(dst, sources[1], target, second).unwrap();
                pe.fence().unwrap();
                pe.signal(dst, Signal { offset: at, op: SignalOp::Add, value: 1 }).unwrap();
                pe.wait_until(at, Until::AtLeast(round)).unwrap();
                let mut expected = bytes(src, len);
                let second = usize::try_from(second).unwrap();
                expected[..second].copy_from_slice(&bytes(src + 100, second as u64));
                assert!(read(pe, target, len) == expected, "round {round}: {len} bytes, then {second}");
                assert!(read(pe, short, 64) == bytes(src, 64), "round {round}: what else was put");
                pe.barrier().unwrap();
            }
        });
    }
}

/// What every PE's heap holds can be seen here, since all are in this process: whoever has waited looks there.
#[test]
fn puts_have_landed_when_a_wait_about_their_pe_ends() {
    for job in jobs() {
        let heaps = Arc::new(Mutex::new(HashMap::<u32, Arc<Heap>>::new()));
        job.run(move |pe| {
            let (me, world) = (pe.rank(), pe.world());
            heaps.lock().unwrap().insert(me, Arc::clone(pe.heap()));
            let most = SIZES[SIZES.len() - 1];
            let source = pe.allocate(most).unwrap();
            let targets: Vec<_> = (0..world).map(|_| pe.allocate(most).unwrap()).collect();
            let target = targets[usize::try_from(me).unwrap()];
            pe.barrier().unwrap();
            for (round, size) in (0..).zip(SIZES.into_iter().cycle().take(2 * SIZES.len())) {
                for dst in (0..world).filter(|&dst| dst != me) {
                    let there = Arc::clone(&heaps.lock().unwrap()[&dst]);
                    let holds = |content: &[u8], what: &str| {
                        let mut seen = vec![0; content.len()];
                        there.read(target, &mut seen).unwrap();
                        assert!(seen == content, "{what}: {size} bytes from PE {me} to PE {dst}");
                    };
                    // Others are written to as well, and not waited for.
                    let other = (0..world).find(|&pe| pe != me && pe != dst).unwrap();
                    let content = bytes(1000 * round + dst, size);
                    pe.heap().write(source, &content).unwrap();
                    pe.put(other, source, target, size).unwrap();
                    pe.put(dst, source, target, size).unwrap();
                    pe.quiet_with(dst).unwrap();
                    holds(&content, "quiet_with");
                    pe.quiet_with(other).unwrap();

                    let content = bytes(1000 * round + 500 + dst, size);
                    pe.heap().write(source, &content).unwrap();
                    pe.put_blocking(dst, source, target, size).unwrap();
                    holds(&content, "put_blocking");
                }
            }
            pe.barrier().unwrap();
        });
    }
}

#[test]
fn words_of_32_bits_are_fetched_added_to_and_swapped() {
    const EACH: u32 = 100;
    /// It runs over soon, and must not run into its neighbour.
    const BEGIN: u32 = u32::MAX - 50;
    for job in jobs() {
        let seen = job.run(|pe| {
            let at = pe.allocate(16).unwrap();
            let (sum, neighbour, lock) = (at, at + 4, at + 12);
            let half = |offset, op, operand: u32, compare: u32| Atomic {
                offset,
                width: Width::Half,
                op,
                operand: operand.into(),
                compare: compare.into(),
            };
            if pe.rank() == 0 {
                pe.heap().half_word(sum).unwrap().store(BEGIN, Ordering::Release);
                pe.heap().half_word(neighbour).unwrap().store(7, Ordering::Release);
            }
            pe.barrier().unwrap();
            let mut seen = Vec::new();
            for _ in 0..EACH {
                seen.push(pe.fetch(0, half(sum, AtomicOp::Add, 1, 0)).unwrap());
            }
            let mine = pe.rank() + 1;
            for _ in 0..10 {
                while pe.fetch(0, half(lock, AtomicOp::CompareSwap, mine, 0)).unwrap() != 0 {}
                let holder = pe.fetch(0, half(lock, AtomicOp::Add, 0, 0)).unwrap();
                assert_eq!(holder, u64::from(mine), "somebody else took a lock that was held");
                // Not what is there: nothing changes.
                let there = pe.fetch(0, half(lock, AtomicOp::CompareSwap, 99, mine + 1)).unwrap();
                assert_eq!(there, u64::from(mine));
                assert_eq!(pe.fetch(0, half(lock, AtomicOp::CompareSwap, 0, mine)).unwrap(), there);
            }
            pe.barrier().unwrap();
            if pe.rank() == 0 {
                let word = |offset| pe.heap().half_word(offset).unwrap().load(Ordering::Acquire);
                let left = [sum, neighbour, lock - 4, lock].map(word);
                assert_eq!(left, [BEGIN.wrapping_add(EACH * pe.world()), 7, 0, 0]);
            }
            seen
        });
        let mut steps: Vec<_> =
            seen.into_iter().flatten().map(|old| u32::try_from(old).unwrap().wrapping_sub(BEGIN)).collect();
        steps.sort_unstable();
        assert!(steps.into_iter().eq(0..3 * EACH), "each value was fetched once");
    }
}

#[test]
fn broadcast_and_all_to_all_reach_everybody() {
    for provider in providers() {
        for pes in [1, 2, 5] {
            let job =
                Job { pes, pes_per_node: 2, nics: 2, policy: PolicyKind::Stripe, ..Job::new(&provider) };
            job.run(|pe| {
                let (me, world) = (pe.rank(), pe.world());
                let len = 150_000;
                let place = pe.allocate(len).unwrap();
                for root in (0..world).chain([0, 0]) {
                    if me == root {
                        pe.heap().write(place, &bytes(root + 77, len)).unwrap();
                    }
                    pe.broadcast(root, place, len).unwrap();
                    assert!(read(pe, place, len) == bytes(root + 77, len), "from PE {root} of {world}");
                    pe.barrier().unwrap();
                }
                let block = 1000;
                let send = pe.allocate(block * u64::from(world)).unwrap();
                let receive = pe.allocate(block * u64::from(world)).unwrap();
                for dst in 0..world {
                    let content = bytes(me * 100 + dst, block);
                    pe.heap().write(send + block * u64::from(dst), &content).unwrap();
                }
                pe.all_to_all(send, receive, block).unwrap();
                for src in 0..world {
                    let got = read(pe, receive + block * u64::from(src), block);
                    assert!(got == bytes(src * 100 + me, block), "the block from PE {src}");
                }
                pe.barrier().unwrap();
            });
        }
    }
}

#[test]
fn what_cannot_be_done_is_refused() {
    for provider in providers() {
        let job = Job { nics: 1, ..Job::new(&provider) };
        job.run(|pe| {
            let end = pe.heap().len();
            let other = 1 - pe.rank();
            let at = |offset, width| Atomic { offset, width, op: AtomicOp::Set, operand: 1, compare: 0 };
            assert!(pe.get(9, 4096, 4096, 8).is_err(), "no such PE");
            assert!(pe.get(other, end - 4, 4096, 8).is_err(), "behind the end there");
            assert!(pe.get(other, 4096, end - 4, 8).is_err(), "behind the end here");
            assert!(pe.put_bytes(other, &[0; 16], end - 8, None).is_err());
            assert!(pe.put_bytes(7, &[0; 16], 4096, None).is_err());
            assert!(pe.get_bytes(other, u64::MAX - 3, &mut [0; 16]).is_err());
            assert!(pe.fetch(other, at(4100, Width::Word)).is_err(), "not aligned");
            assert!(pe.atomic(other, at(4098, Width::Half)).is_err(), "not aligned");
            assert!(pe.fetch(5, at(4096, Width::Word)).is_err(), "no such PE");
            assert!(pe.quiet_with(5).is_err() && pe.broadcast(5, 4096, 8).is_err());
            let none = pe.put(5, 4096, 4096, 8).unwrap_err();
            assert!(matches!(none, TransportError::NoSuchPe { pe: 5, world: 2 }), "{none}");
            pe.barrier().unwrap();
        });
    }
}

#[test]
fn too_many_answers_at_a_time_are_refused_and_others_come_later() {
    let Some(provider) = providers().pop() else { return };
    Job { nics: 1, ..Job::new(&provider) }.run(|pe| {
        let place = pe.allocate(8).unwrap();
        pe.barrier().unwrap();
        let get = Atomic { offset: place, width: Width::Word, op: AtomicOp::Add, operand: 0, compare: 0 };
        let mut pending = Vec::new();
        let refused = loop {
            match pe.fetch_nbi(1 - pe.rank(), get) {
                Ok(answer) => pending.push(answer),
                Err(error) => break error,
            }
        };
        assert!(matches!(refused, TransportError::TooManyPending { most } if most == pending.len()));
        for answer in pending {
            assert_eq!(pe.answer(answer).unwrap(), 0);
        }
        assert_eq!(pe.fetch(1 - pe.rank(), get).unwrap(), 0);
        pe.barrier().unwrap();
    });
}

#[test]
fn nothing_is_taken_any_more_once_the_job_has_failed() {
    let Some(provider) = providers().pop() else { return };
    // PE 1 is on PE 0's node, and PE 2 is not.
    Job { pes: 3, pes_per_node: 2, nics: 1, ..Job::new(&provider) }.run_each(|mut pe| {
        let place = pe.allocate(8).unwrap();
        // Another PE may have ended the job before this one is through.
        let _ = pe.barrier();
        pe.fault().raise("enough");
        let signal = Signal { offset: place, op: SignalOp::Add, value: 1 };
        for dst in 0..3 {
            for ended in [pe.put(dst, place, place, 8), pe.signal(dst, signal), pe.fence(), pe.quiet()] {
                let error = ended.unwrap_err();
                // Another PE may have been the first to say so.
                assert!(matches!(&error, TransportError::Failed(_)), "{error:?}");
                assert!(error.to_string().contains("enough"), "{error}");
            }
        }
    });
}

/// Those that wait for a PE of their node look at this word of its heap (docs/transport.md).
#[test]
fn signals_and_atomics_on_a_node_show_life() {
    const LIFE: u64 = 576;
    let Some(provider) = providers().pop() else { return };
    Job { pes_per_node: 2, nics: 1, ..Job::new(&provider) }.run(|pe| {
        let place = pe.allocate(8).unwrap();
        pe.barrier().unwrap();
        let life = |pe: &Pe| pe.test(LIFE).unwrap();
        let (before, other) = (life(pe), 1 - pe.rank());
        pe.signal(other, Signal { offset: place, op: SignalOp::Add, value: 1 }).unwrap();
        assert_eq!(life(pe), before + 1);
        pe.fetch_add(other, place, 1).unwrap();
        assert_eq!(life(pe), before + 2);
        pe.barrier().unwrap();
    });
}
