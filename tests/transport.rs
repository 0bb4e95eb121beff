//! The transport end to end over real libfabric: several PEs as threads of one process, NICs on loopback addresses.
//!
//! `RAILTOP_LIBFABRIC` picks the library; `RAILTOP_TEST_PROVIDERS` the providers (comma-separated). CI runs this file
//! with Debian's 1.17 (`tcp;ofi_rxm`, `net`) and with a 2.x (`tcp`).

mod support;

use std::sync::atomic::Ordering;
use std::time::Duration;

use railtop::counters::RxSource;
use railtop::transport::select::PolicyKind;
use railtop::transport::signal::{Signal, SignalOp, Until};
use support::{Job, providers};

/// A pattern that differs between any two (source, target, round, word).
fn pattern(src: u32, dst: u32, round: u64, word: u64) -> u64 {
    let seed = u64::from(src) << 48 | u64::from(dst) << 32 | round << 20 | word;
    seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31) ^ seed
}

const WORDS: u64 = 3000;

/// Every PE sends every other one a block with a signal, several rounds; every word is checked, and the receivers'
/// bytes per NIC are exactly what the senders put there.
#[test]
fn all_to_all_with_signals_arrives_whole_under_every_policy_and_every_rx_source() {
    for provider in providers() {
        for policy in PolicyKind::ALL {
            for rx_source in [None, Some(RxSource::Ledger)] {
                let job = Job { pes: 4, pes_per_node: 2, nics: 3, policy, rx_source, ..Job::new(&provider) };
                let outcomes = job.run(|pe| {
                    let (me, world) = (pe.rank(), pe.world());
                    let block = WORDS * 8;
                    let send = pe.allocate(block * u64::from(world)).unwrap();
                    let receive = pe.allocate(2 * block * u64::from(world)).unwrap();
                    let signals = pe.allocate(8 * u64::from(world)).unwrap();
                    for round in 0..6_u64 {
                        let half = (round % 2) * block * u64::from(world);
                        for step in 1..world {
                            let dst = (me + step) % world;
                            let local = send + u64::from(dst) * block;
                            for (word, cell) in (0..).zip(pe.heap().words(local, WORDS).unwrap()) {
                                cell.store(pattern(me, dst, round, word), Ordering::Relaxed);
                            }
                            let signal =
                                Signal { offset: signals + 8 * u64::from(me), op: SignalOp::Add, value: 1 };
                            pe.put_signal(dst, local, receive + half + u64::from(me) * block, block, signal)
                                .unwrap();
                        }
                        for src in (0..world).filter(|&src| src != me) {
                            pe.wait_until(signals + 8 * u64::from(src), Until::AtLeast(round + 1)).unwrap();
                            let words =
                                pe.heap().words(receive + half + u64::from(src) * block, WORDS).unwrap();
                            for (word, cell) in (0..).zip(words) {
                                let (got, want) =
                                    (cell.load(Ordering::Relaxed), pattern(src, me, round, word));
                                assert_eq!(got, want, "round {round}, word {word} from PE {src} at PE {me}");
                            }
                        }
                        pe.quiet().unwrap();
                    }
                    pe.barrier().unwrap();
                    (pe.totals().unwrap(), pe.rx_source())
                });
                for (pe, (totals, source)) in outcomes.iter().enumerate() {
                    if let Some(forced) = rx_source {
                        assert_eq!(*source, forced);
                    }
                    for (nic, counts) in totals.nics.iter().enumerate() {
                        let sent: u64 = outcomes.iter().map(|(other, _)| other.sent[pe][nic]).sum();
                        assert_eq!(
                            counts.rx_bytes, sent,
                            "{provider} {policy} {source:?}: PE {pe} NIC {nic}"
                        );
                        assert_eq!(counts.tx_posted_bytes, counts.tx_done_bytes);
                    }
                    // Two remote peers, six rounds; the PE of the same node needs no NIC.
                    let tx: u64 = totals.nics.iter().map(|counts| counts.tx_done_bytes).sum();
                    assert_eq!(tx, 2 * 6 * WORDS * 8);
                }
            }
        }
    }
}

/// Plain puts are all there after quiet and barrier, also when there are more than any window or queue holds.
#[test]
fn quiet_means_landed() {
    for provider in providers() {
        let job = Job { pes: 2, pes_per_node: 1, nics: 4, ..Job::new(&provider) };
        let sums = job.run(|pe| {
            const PUTS: u64 = 5000;
            let source = pe.allocate(PUTS * 8).unwrap();
            let target = pe.allocate(PUTS * 8).unwrap();
            for (value, cell) in (1..).zip(pe.heap().words(source, PUTS).unwrap()) {
                cell.store(value, Ordering::Relaxed);
            }
            pe.barrier().unwrap();
            if pe.rank() == 0 {
                for i in 0..PUTS {
                    pe.put(1, source + 8 * i, target + 8 * i, 8).unwrap();
                }
                pe.quiet().unwrap();
            }
            pe.allgather(b"").unwrap();
            pe.heap()
                .words(target, PUTS)
                .unwrap()
                .iter()
                .map(|cell| cell.load(Ordering::Acquire))
                .sum::<u64>()
        });
        assert_eq!(sums, [0, 5000 * 5001 / 2], "{provider}");
    }
}

/// Many small put-signals to one word: each counts once, and set-signals carry their value.
#[test]
fn signals_count_once() {
    for provider in providers() {
        let job = Job { pes: 3, pes_per_node: 1, nics: 2, ..Job::new(&provider) };
        job.run(|pe| {
            const EACH: u64 = 4000;
            let words = pe.allocate(64).unwrap();
            let data = pe.allocate(64).unwrap();
            let (me, world) = (pe.rank(), pe.world());
            for i in 0..EACH {
                for step in 1..world {
                    let signal = Signal { offset: words, op: SignalOp::Add, value: 3 };
                    // Every other one carries no data at all.
                    pe.put_signal((me + step) % world, data, data, 8 * (i % 2), signal).unwrap();
                }
            }
            pe.wait_until(words, Until::AtLeast(3 * EACH * u64::from(world - 1))).unwrap();
            pe.barrier().unwrap();
            assert_eq!(pe.test(words).unwrap(), 3 * EACH * u64::from(world - 1));
            let set = Signal { offset: words + 8, op: SignalOp::Set, value: u64::from(me) + 100 };
            pe.put_signal((me + 1) % world, data, data, 0, set).unwrap();
            let expected = u64::from((me + world - 1) % world) + 100;
            pe.wait_until(words + 8, Until::Equal(expected)).unwrap();
        });
    }
}

/// A plain put whose group stays open must not hold up the signalled ones behind it, however many there are.
#[test]
fn an_open_group_does_not_stop_the_window() {
    for provider in providers() {
        let job = Job { pes: 2, pes_per_node: 1, nics: 2, ..Job::new(&provider) };
        job.run(|pe| {
            let data = pe.allocate(64).unwrap();
            let word = pe.allocate(8).unwrap();
            let dst = 1 - pe.rank();
            for i in 0..5000_u64 {
                if i % 1500 == 0 {
                    pe.put(dst, data, data, 8).unwrap();
                }
                let signal = Signal { offset: word, op: SignalOp::Add, value: 1 };
                pe.put_signal(dst, data, data, 8, signal).unwrap();
            }
            pe.wait_until(word, Until::AtLeast(5000)).unwrap();
        });
    }
}

/// A wait that never ends is an error that says what was waited for, and a PE that leaves is named to the others.
#[test]
fn nothing_hangs() {
    for provider in providers() {
        let job = Job {
            pes: 2,
            pes_per_node: 1,
            nics: 1,
            // For exchanges too, which threads of a busy machine come to in their own time.
            wait_limit: Duration::from_secs(3),
            ..Job::new(&provider)
        };
        let errors = job.run_each(|mut pe| {
            let word = pe.allocate(8).unwrap();
            let error = pe.wait_until(word, Until::AtLeast(1)).unwrap_err().to_string();
            pe.allgather(b"").unwrap();
            if pe.rank() == 1 {
                drop(pe);
                return error;
            }
            let left = std::iter::repeat_with(|| pe.barrier()).find_map(Result::err).unwrap().to_string();
            assert!(left.contains("PE 1"), "{left}");
            error
        });
        for error in errors {
            assert!(error.contains("nothing moved on its NICs"), "{error}");
        }
    }
}

/// PEs that do not fit together all say so.
#[test]
fn different_heaps_are_an_error_everywhere() {
    for provider in providers() {
        let job = Job { pes: 2, pes_per_node: 1, nics: 1, ..Job::new(&provider) };
        let errors = job.start_each(|config| config.heap_bytes += 4096 * u64::from(config.ranks.rank));
        for error in errors {
            let text = error.unwrap_err().to_string();
            assert!(text.contains("symmetric heap"), "{text}");
        }
    }
}

/// Accesses outside the heap and PEs that do not exist are refused before anything is sent.
#[test]
fn bad_arguments_are_refused() {
    let Some(provider) = providers().into_iter().next() else { return };
    let job = Job { pes: 2, pes_per_node: 1, nics: 1, ..Job::new(&provider) };
    job.run(|pe| {
        let end = pe.heap().len();
        assert!(pe.put(1 - pe.rank(), end - 8, 4096, 16).is_err());
        assert!(pe.put(1 - pe.rank(), 4096, u64::MAX, 16).is_err());
        assert!(pe.put(2, 4096, 4096, 8).is_err());
        let unaligned = Signal { offset: 4097, op: SignalOp::Add, value: 1 };
        assert!(pe.put_signal(1 - pe.rank(), 4096, 4096, 8, unaligned).is_err());
        assert!(pe.allocate(end).is_err());
    });
}
