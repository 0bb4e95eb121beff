//! The same work over every libfabric provider that this machine has: a job in one process, a job of several processes,
//! and PEs with different numbers of NICs. What is not here says so. `make test` runs it with two versions of libfabric;
//! the VM, which has soft-RoCE, takes the job with different numbers of NICs from here (`tests/vm/transport.rs`).

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

#[expect(dead_code, reason = "other files use the rest")]
mod support;

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use libfabric_sys::Libfabric;
use railtop::transport::fabric::{Share, discover};
use railtop::transport::pe::{Pe, PeConfig};
use railtop::transport::select::PolicyKind;
use railtop::transport::signal::{Signal, SignalOp, Until};
use support::{Job, providers};
use test_case::test_case;

/// Whether the provider can be used here; says why not.
fn is_here(provider: &str) -> bool {
    let outcome = match Libfabric::load() {
        Ok(lib) => {
            let request = providers::nic(provider, 1, 0, 1);
            discover(&Arc::new(lib), Some(provider), &[request], Share::Alone, false)
                .map(drop)
                .map_err(|error| error.to_string())
        }
        Err(error) => Err(error.to_string()),
    };
    if let Err(why) = &outcome {
        println!("skipped: {provider}: {why}");
    }
    outcome.is_ok()
}

fn word(src: u32, dst: u32, len: u64, index: u64) -> u64 {
    (u64::from(src) << 40 | u64::from(dst) << 20 | len).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ index
}

/// Every PE puts blocks of many sizes to every other, with a signal and without, and looks at every word that arrives.
fn exchange(pe: &mut Pe) {
    const SIZES: [u64; 6] = [8, 64, 4096, 8200, 65_536, 512 << 10];
    let (me, world) = (pe.rank(), pe.world());
    let longest = 512 << 10;
    let source = pe.allocate(longest).unwrap();
    let target = pe.allocate(longest * u64::from(world)).unwrap();
    let signals = pe.allocate(8 * u64::from(world)).unwrap();
    let mut rounds = 0;
    for len in SIZES {
        for signalled in [true, false] {
            rounds += u64::from(signalled);
            for dst in (0..world).filter(|&dst| dst != me) {
                for (index, cell) in (0..).zip(pe.heap().words(source, len / 8).unwrap()) {
                    cell.store(word(me, dst, len, index), Ordering::Relaxed);
                }
                let remote = target + u64::from(me) * longest;
                if signalled {
                    let offset = signals + 8 * u64::from(me);
                    let signal = Signal { offset, op: SignalOp::Add, value: 1 };
                    pe.put_signal(dst, source, remote, len, signal).unwrap();
                } else {
                    pe.put(dst, source, remote, len).unwrap();
                }
                pe.quiet().unwrap();
            }
            for src in (0..world).filter(|&src| signalled && src != me) {
                pe.wait_until(signals + 8 * u64::from(src), Until::Equal(rounds)).unwrap();
            }
            pe.barrier().unwrap();
            for src in (0..world).filter(|&src| src != me) {
                let words = pe.heap().words(target + u64::from(src) * longest, len / 8).unwrap();
                for (index, cell) in (0..).zip(words) {
                    let got = cell.load(Ordering::Acquire);
                    assert_eq!(got, word(src, me, len, index), "word {index} of {len} bytes from PE {src}");
                }
            }
            pe.barrier().unwrap();
        }
    }
}

#[test_case("tcp")]
#[test_case("net")]
#[test_case("tcp;ofi_rxm")]
#[test_case("shm")]
#[test_case("verbs;ofi_rxm")]
#[test_case("efa")]
#[test_case("efa-direct")]
fn one_process(provider: &str) {
    if is_here(provider) {
        for (nics, policy) in [(1, PolicyKind::Single), (2, PolicyKind::PairSeq)] {
            let job = Job { pes: 3, nics, policy, ..Job::new(provider) };
            job.run(|pe| {
                exchange(pe);
                for counts in pe.totals().unwrap().nics {
                    assert!(counts.tx_done_bytes > 0 && counts.rx_bytes > 0, "{counts:?}");
                }
            });
        }
    }
}

#[test_case("tcp")]
#[test_case("net")]
#[test_case("tcp;ofi_rxm")]
#[test_case("shm")]
#[test_case("verbs;ofi_rxm")]
fn different_numbers_of_nics(provider: &str) {
    if is_here(provider) {
        let job = Job { pes: 3, nics: 1, uneven: true, ..Job::new(provider) };
        let outcomes = job.run(|pe| {
            exchange(pe);
            pe.totals().unwrap()
        });
        for (pe, totals) in outcomes.iter().enumerate() {
            assert_eq!(totals.nics.len(), pe + 1);
            for (nic, counts) in totals.nics.iter().enumerate() {
                let sent: u64 = outcomes.iter().map(|other| other.sent[pe][nic]).sum();
                assert_eq!(counts.rx_bytes, sent, "{provider}: PE {pe} NIC {nic}");
                assert!(counts.tx_done_bytes > 0, "{provider}: PE {pe} NIC {nic}");
            }
        }
    }
}

#[test_case("tcp")]
#[test_case("net")]
#[test_case("tcp;ofi_rxm")]
#[test_case("shm")]
#[test_case("verbs;ofi_rxm")]
fn several_processes(provider: &str) {
    if !is_here(provider) {
        return;
    }
    let configs = Job { pes: 2, nics: 2, ..Job::new(provider) }.configs();
    let port = configs[0].ranks.master_port.unwrap().to_string();
    let children: Vec<_> = (0..2)
        .map(|rank: u32| {
            Command::new(std::env::current_exe().unwrap())
                .args(["--ignored", "--exact", "a_pe_of_its_own_process", "--nocapture"])
                .env("MATRIX_PROVIDER", provider)
                .env("MATRIX_RANK", rank.to_string())
                .env("MATRIX_PORT", &port)
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{provider}: {}", String::from_utf8_lossy(&said));
    }
}

/// What `several_processes` starts.
#[test]
#[ignore = "started by several_processes"]
fn a_pe_of_its_own_process() {
    let variable = |name: &str| std::env::var(name).unwrap();
    let Ok(provider) = std::env::var("MATRIX_PROVIDER") else { return };
    let rank: usize = variable("MATRIX_RANK").parse().unwrap();
    let mut configs = Job { pes: 2, nics: 2, ..Job::new(&provider) }.configs();
    let config: &mut PeConfig = &mut configs[rank];
    let (port, secret) = (variable("MATRIX_PORT").parse().unwrap(), "5a".repeat(32));
    config.ranks.master_port = Some(port);
    let rendezvous = config.rendezvous.as_mut().unwrap();
    rendezvous.port = port;
    rendezvous.secret = railtop::transport::bootstrap::secret::Secret::from_hex(&secret).unwrap();
    let mut pe = Pe::start(config).unwrap();
    exchange(&mut pe);
    pe.finish().unwrap();
}
