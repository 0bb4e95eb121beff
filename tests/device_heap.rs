//! A heap whose second part only NICs reach, over real libfabric: here memory of the host's that is not in the heap's mapping, so
//! that every byte has to go by the registration of its own. With a GPU's memory: `tests/gpu/run.sh … hmem`.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]
#![expect(unsafe_code, reason = "memory that NICs write is reached by its address")]

#[expect(dead_code, reason = "other files use the rest")]
mod support;

use std::sync::{Arc, Mutex, OnceLock};

use railtop::transport::error::TransportError;
use railtop::transport::heap::{DeviceKind, DevicePart, Flush, Heap};
use railtop::transport::pe::{IntraNode, Pe};
use railtop::transport::select::PolicyKind;
use railtop::transport::signal::{Signal, SignalOp, Until};
use support::{Job, providers};

/// Bytes of the second part.
const PART: usize = 3 << 20;

/// Memory that plays a device's.
#[derive(Debug, Clone)]
struct Played(Arc<Vec<u64>>);

impl Played {
    fn new(bytes: usize) -> Self {
        Self(Arc::new(vec![0; bytes / 8]))
    }

    fn part(&self) -> DevicePart {
        self.part_of(DeviceKind::Host, None)
    }

    fn part_of(&self, kind: DeviceKind, flush: Option<Flush>) -> DevicePart {
        let (address, len) = (self.0.as_ptr() as u64, 8 * self.0.len() as u64);
        // SAFETY: kept, and reached through raw pointers only. No device takes the host's memory for its own.
        unsafe { DevicePart::new(address, len, kind, flush, Arc::clone(&self.0) as _) }
    }

    /// Writes as the device does.
    fn write(&self, at: u64, bytes: &[u8]) {
        let at = usize::try_from(at).unwrap();
        assert!(at + bytes.len() <= 8 * self.0.len());
        // SAFETY: inside the memory; that NICs are at it meanwhile is what one-sided communication is.
        unsafe {
            std::ptr::copy(bytes.as_ptr(), self.0.as_ptr().cast_mut().cast::<u8>().add(at), bytes.len());
        };
    }

    /// Reads as the device does.
    fn read(&self, at: u64, len: u64) -> Vec<u8> {
        let (at, len) = (usize::try_from(at).unwrap(), usize::try_from(len).unwrap());
        assert!(at + len <= 8 * self.0.len());
        let mut bytes = vec![0; len];
        // SAFETY: as for `write`.
        unsafe { std::ptr::copy(self.0.as_ptr().cast::<u8>().add(at), bytes.as_mut_ptr(), len) };
        bytes
    }
}

fn bytes(seed: u64, len: u64) -> Vec<u8> {
    (0..len)
        .map(|at| (seed.wrapping_mul(0x9e37_79b9) ^ at.wrapping_mul(0x85eb_ca6b) ^ at >> 7).to_le_bytes()[0])
        .collect()
}

/// Sizes that would travel in a frame, if the CPU could copy them, and some that take several pieces' NICs.
const SIZES: [u64; 7] = [1, 8, 100, 1024, 1025, 70_000, 1 << 20];

/// Runs `work` on every PE of a job, each with a second part of its own.
fn run(job: &Job, work: impl Fn(&mut Pe, &Played) + Send + Sync + 'static) {
    Job::spawn(job.configs(), move |config| {
        let played = Played::new(PART);
        let mut pe = Pe::start_with(&config, |_| Ok(played.part())).unwrap();
        assert_eq!(pe.no_device(), None);
        work(&mut pe, &played);
        pe.finish().unwrap();
    });
}

/// PE 1 is on PE 0's node and PE 2 is not; all bytes go over NICs all the same, since no CPU reaches the second part.
#[test]
fn every_byte_comes_from_and_to_both_parts() {
    for provider in providers() {
        for policy in [PolicyKind::PairSeq, PolicyKind::Stripe] {
            let job =
                Job { pes: 3, pes_per_node: 2, nics: 3, policy, heap_bytes: 16 << 20, ..Job::new(&provider) };
            run(&job, |pe, played| {
                let (me, split) = (pe.rank(), pe.heap().len());
                let most = SIZES[SIZES.len() - 1];
                let on_device = [(); 2].map(|()| pe.allocate_on_device(most).unwrap());
                let on_host = [(); 2].map(|()| pe.allocate(most).unwrap());
                let word = pe.allocate(8 * u64::from(pe.world())).unwrap();
                pe.barrier().unwrap();
                let [send, receive] = [0, 1]
                    .map(|which| move |device: bool| if device { on_device[which] } else { on_host[which] });
                let write = |pe: &Pe, at: u64, bytes: &[u8]| match at.checked_sub(split) {
                    Some(at) => played.write(at, bytes),
                    None => pe.heap().write(at, bytes).unwrap(),
                };
                let read = |pe: &Pe, at: u64, len: u64| {
                    if let Some(at) = at.checked_sub(split) {
                        return played.read(at, len);
                    }
                    let mut bytes = vec![0; usize::try_from(len).unwrap()];
                    pe.heap().read(at, &mut bytes).unwrap();
                    bytes
                };
                let mut round = 0;
                for (from, to) in [(true, true), (false, true), (true, false), (false, false)] {
                    for size in SIZES {
                        round += 1;
                        // In a ring: to PE 1 of the same node, to PE 2 and from it of another one.
                        let (next, before) = ((me + 1) % 3, (me + 2) % 3);
                        write(pe, send(from), &bytes(u64::from(me) + round, size));
                        let signal =
                            Signal { offset: word + 8 * u64::from(me), op: SignalOp::Set, value: round };
                        pe.put_signal(next, send(from), receive(to), size, signal).unwrap();
                        pe.wait_until(word + 8 * u64::from(before), Until::AtLeast(round)).unwrap();
                        assert!(
                            read(pe, receive(to), size) == bytes(u64::from(before) + round, size),
                            "{size} bytes, from the device: {from}, to the device: {to}"
                        );
                        pe.barrier().unwrap();
                        // And read back from there.
                        pe.get(next, receive(to), send(!from), size).unwrap();
                        assert!(
                            read(pe, send(!from), size) == bytes(u64::from(me) + round, size),
                            "{size} bytes back"
                        );
                        pe.barrier().unwrap();
                    }
                }
            });
        }
    }
}

/// Plain puts and quiet, within one node over NICs.
#[test]
fn a_quiet_speaks_of_the_second_part_too() {
    let provider = providers().swap_remove(0);
    let job = Job { pes_per_node: 2, nics: 2, intra_node: IntraNode::Nic, ..Job::new(&provider) };
    run(&job, |pe, played| {
        let at = pe.allocate_on_device(64 << 10).unwrap();
        let (me, other) = (u64::from(pe.rank()), 1 - pe.rank());
        let inside = at - pe.heap().len();
        played.write(inside, &bytes(me, 32 << 10));
        pe.barrier().unwrap();
        for word in 0..4096 {
            pe.put(other, at + 8 * word, at + (32 << 10) + 8 * word, 8).unwrap();
        }
        pe.quiet().unwrap();
        pe.barrier().unwrap();
        assert!(played.read(inside + (32 << 10), 32 << 10) == bytes(u64::from(other), 32 << 10));
    });
}

/// To a PE of the node as to others: what has landed when a call returns, and what a fence orders.
#[test]
fn waiting_and_fences_know_of_puts_to_the_same_node() {
    let provider = providers().swap_remove(0);
    let job = Job { pes: 3, pes_per_node: 2, nics: 1, uneven: true, ..Job::new(&provider) };
    run(&job, |pe, played| {
        const LEN: u64 = 100_000;
        let split = pe.heap().len();
        let areas = [0; 3].map(|_: u8| pe.allocate_on_device(LEN).unwrap());
        let [send, receive, second] = areas;
        let (host, word) = (pe.allocate(LEN).unwrap(), pe.allocate(8).unwrap());
        let (me, next, before) = (u64::from(pe.rank()), (pe.rank() + 1) % 3, u64::from((pe.rank() + 2) % 3));
        pe.barrier().unwrap();
        for round in 0..20 {
            // The source is written again at once.
            played.write(send - split, &bytes(10 * round + me, LEN));
            pe.put_blocking(next, send, receive, LEN).unwrap();
            played.write(send - split, &bytes(1000 + me, LEN));
            // Memory outside of the heap.
            pe.put_bytes(next, &bytes(20 * round + me, 3000), second, None).unwrap();
            pe.quiet().unwrap();
            let mut back = vec![0; 3000];
            pe.get_bytes(next, second, &mut back).unwrap();
            assert!(back == bytes(20 * round + me, 3000), "round {round}");
            pe.barrier().unwrap();
            assert!(played.read(receive - split, LEN) == bytes(10 * round + before, LEN), "round {round}");
            pe.barrier().unwrap();
            // A signal behind a fence, which a CPU could apply at once.
            pe.put(next, send, receive, LEN).unwrap();
            pe.put(next, host, receive + 8, 8).unwrap();
            pe.fence().unwrap();
            pe.signal(next, Signal { offset: word, op: SignalOp::Add, value: 1 }).unwrap();
            pe.wait_until(word, Until::AtLeast(round + 1)).unwrap();
            let seen = played.read(receive - split + 16, LEN - 16);
            assert!(seen[..] == bytes(1000 + before, LEN)[16..], "round {round}: the fence has not held");
            pe.barrier().unwrap();
        }
    });
}

#[test]
fn what_the_cpu_cannot_do_is_refused_and_the_job_goes_on() {
    let provider = providers().swap_remove(0);
    run(&Job::new(&provider), |pe, _| {
        let (at, other) = (pe.allocate_on_device(4096).unwrap(), 1 - pe.rank());
        let refused = |result: Result<(), TransportError>| {
            let error = result.unwrap_err().to_string();
            assert!(error.contains("in the device's memory"), "{error}");
        };
        let signal = Signal { offset: at, op: SignalOp::Set, value: 1 };
        refused(pe.signal(other, signal));
        refused(pe.put_signal(other, at, at, 8, signal));
        refused(pe.wait_until(at, Until::AtLeast(1)).map(|_| ()));
        refused(pe.test(at).map(|_| ()));
        refused(pe.put(pe.rank(), at, at + 64, 8));
        let end = pe.heap().len();
        let across = pe.put(other, end - 4, end - 4, 8).unwrap_err().to_string();
        assert!(across.contains("is neither all in the host's memory"), "{across}");
        assert!(pe.allocate_on_device(PART as u64).is_err(), "no more than there is");
        pe.barrier().unwrap();
    });
}

/// What `device` gives on each PE; then the reason why none has a second part, or the error of the start.
fn started(
    job: &Job,
    device: impl Fn(u32) -> Result<DevicePart, String> + Send + Sync + 'static,
) -> Vec<Result<Option<String>, String>> {
    Job::spawn(job.configs(), move |config| {
        let pe = Pe::start_with(&config, |_| device(config.ranks.rank)).map_err(|error| error.to_string())?;
        let why = pe.no_device().map(ToOwned::to_owned);
        pe.finish().unwrap();
        Ok(why)
    })
}

#[test]
fn all_have_it_or_none_and_know_why() {
    let job = Job { pes: 3, ..Job::new(&providers().swap_remove(0)) };
    let one_has_none =
        started(&job, |pe| if pe == 1 { Err("no GPU\x1b[2J".into()) } else { Ok(Played::new(PART).part()) });
    for why in one_has_none {
        assert_eq!(why.unwrap().as_deref(), Some("PE 1: no GPU\u{fffd}[2J"));
    }
    // This libfabric knows nothing of GPUs, or there is none: the NIC says so, and everything else works.
    let no_gpus = started(&job, |_| Ok(Played::new(PART).part_of(DeviceKind::Cuda(0), None)));
    for why in no_gpus {
        let why = why.unwrap().unwrap();
        assert!(why.starts_with("PE 0: NIC "), "{why}");
    }
    let sizes = started(&job, |pe| Ok(Played::new(PART + 4096 * usize::from(pe == 2)).part()));
    for error in sizes {
        let error = error.unwrap_err();
        assert!(error.contains("bytes of heap in the GPU's memory"), "{error}");
    }
}

/// Before each signal that follows bytes from a NIC the device is made to see them, and for small things that pass the CPU never.
#[test]
fn what_nics_write_is_flushed_before_its_signal() {
    const ROUNDS: u64 = 50;
    let job = Job { nics: 2, ..Job::new(&providers().swap_remove(0)) };
    Job::spawn(job.configs(), |config| {
        let played = Played::new(PART);
        let (heap, seen) = (Arc::new(OnceLock::<(Arc<Heap>, u64)>::new()), Arc::new(Mutex::new(Vec::new())));
        let flush = {
            let (heap, seen) = (Arc::clone(&heap), Arc::clone(&seen));
            move || {
                if let Some((heap, word)) = heap.get() {
                    seen.lock()
                        .unwrap()
                        .push(heap.word(*word).unwrap().load(std::sync::atomic::Ordering::Acquire));
                }
                Ok(())
            }
        };
        let part = played.part_of(DeviceKind::Host, Some(Arc::new(flush)));
        let mut pe = Pe::start_with(&config, |_| Ok(part)).unwrap();
        let (at, word) = (pe.allocate_on_device(8192).unwrap(), pe.allocate(8).unwrap());
        let plain = pe.allocate(8).unwrap();
        heap.set((Arc::clone(pe.heap()), word)).unwrap();
        pe.barrier().unwrap();
        let (me, other) = (pe.rank(), 1 - pe.rank());
        for round in 1..=ROUNDS {
            let signal = Signal { offset: word, op: SignalOp::Set, value: round };
            if me == 0 {
                pe.put_signal(other, at, at + 4096, 64, signal).unwrap();
            }
            pe.wait_until(word, Until::AtLeast(round)).unwrap();
            if me == 1 {
                pe.put_signal(other, at, at + 4096, 64, signal).unwrap();
            }
        }
        pe.barrier().unwrap();
        let before = seen.lock().unwrap().len();
        for _ in 0..20 {
            pe.signal(other, Signal { offset: plain, op: SignalOp::Add, value: 1 }).unwrap();
        }
        pe.wait_until(plain, Until::AtLeast(20)).unwrap();
        pe.barrier().unwrap();
        let seen = seen.lock().unwrap().clone();
        assert_eq!(seen[..before], (0..ROUNDS).collect::<Vec<_>>(), "each before its own signal, and once");
        assert_eq!(seen.len(), before, "nothing to flush");
        pe.finish().unwrap();
    });
}
