//! Children that are forked while another thread opens and closes: no lock of the hook's is held in them for ever.
//!
//! Around a provider without locks, so that whatever a child waits for is ours.
#![expect(unsafe_code, reason = "plays a provider of a C library, and forks")]
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]
#![expect(clippy::undocumented_unsafe_blocks, reason = "calls on objects of the fake, all of them live")]

#[path = "fake/alone.rs"]
mod alone;
#[path = "fake/provider.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod provider;

use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering::Relaxed};

use alone::{PATIENCE, alone, child_ends, sent};
use libc::c_int;
use libfabric_sys::consts::{FI_CQ_FORMAT_CONTEXT, FI_CQ_FORMAT_MSG};
use libfabric_sys::fid::fid_domain;
use provider::{Fake, fi_close, fi_send};

const CHILDREN: usize = 300;
/// What the other thread opens and closes around a fork: it may not run away, since what the fake has closed stays in memory.
const ROUNDS: u64 = 100;
/// Something that libfabric's objects have no trait for: they are for all threads.
struct Shared<T>(T);

unsafe impl<T> Sync for Shared<T> {}

#[test]
fn a_child_closes_what_its_parent_has_opened() {
    alone("a_child_closes_what_its_parent_has_opened", "", || {
        // SAFETY: the child is over.
        closing_children(|rc| unsafe { libc::_exit(rc) });
    });
}

#[test]
fn a_child_ends_also_when_counting_ends_in_the_midst_of_it() {
    alone("a_child_ends_also_when_counting_ends_in_the_midst_of_it", "25000", || {
        // SAFETY: as above, with all that the program and this library do at the end of a process.
        closing_children(|rc| unsafe { libc::exit(rc) });
    });
}

/// Forks children while another thread opens and closes. They close what there is, and end by `exit`.
fn closing_children(exit: fn(c_int) -> !) {
    let fake = Fake::new();
    unsafe { railtop_hook::hook_fabric(fake.fabric) };
    let domain = fake.domain();
    let cq = Fake::queue(domain, FI_CQ_FORMAT_MSG);
    let ep = fake.endpoint(domain, cq);
    // So that this thread has something of the hook's when it ends.
    assert_eq!(fi_send(ep, 1), 0);
    let shared = Shared((fake, domain, cq));
    let (ended, rounds, most) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let shared = &shared;
        let (ended, rounds, most) = (&ended, &rounds, &most);
        // In the same domain: each of these takes its locks and gives them back.
        scope.spawn(move || {
            let Shared((fake, domain, cq)) = shared;
            while !ended.load(Relaxed) {
                if rounds.load(Relaxed) == most.load(Relaxed) {
                    std::thread::yield_now();
                    continue;
                }
                fi_close(fake.endpoint(*domain, *cq).cast());
                rounds.fetch_add(1, Relaxed);
            }
        });
        let mut stuck = 0;
        for _ in 0..CHILDREN {
            let before = rounds.load(Relaxed);
            most.store(before + ROUNDS, Relaxed);
            while rounds.load(Relaxed) == before {
                std::thread::yield_now();
            }
            stuck += usize::from(!child_ends(exit, || {
                fi_close(ep.cast()) == 0 && fi_close(cq.cast()) == 0 && fi_close(domain.cast()) == 0
            }));
            if stuck > 0 {
                break;
            }
        }
        ended.store(true, Relaxed);
        assert_eq!(stuck, 0, "a child waits for a thread that it does not have");
    });
}

/// What the handlers of [`handlers_of_the_program_may_use_its_objects`] use.
static HANDLED: AtomicPtr<(Fake, *mut fid_domain)> = AtomicPtr::new(std::ptr::null_mut());
/// The handlers that have run.
static HANDLERS: AtomicU64 = AtomicU64::new(0);

/// Opens, binds, enables, uses and closes all there is.
unsafe extern "C" fn handler() {
    let handled = HANDLED.load(Relaxed);
    let Some((fake, domain)) = (unsafe { handled.as_ref() }) else { return };
    for format in [FI_CQ_FORMAT_MSG, FI_CQ_FORMAT_CONTEXT] {
        let cq = Fake::queue(*domain, format);
        let ep = fake.endpoint(*domain, cq);
        assert_eq!(fi_send(ep, 10), 0);
        assert_eq!(fi_close(ep.cast()), 0);
        assert_eq!(fi_close(cq.cast()), 0);
    }
    HANDLERS.fetch_add(1, Relaxed);
}

#[test]
fn handlers_of_the_program_may_use_its_objects() {
    alone("handlers_of_the_program_may_use_its_objects", "", || {
        // SAFETY: ends this process, should it wait for itself. The handlers are functions; before ours, so that ours runs first, and last.
        unsafe {
            libc::alarm(PATIENCE);
            assert_eq!(libc::pthread_atfork(Some(handler), Some(handler), Some(handler)), 0);
        }
        let fake = Fake::new();
        unsafe { railtop_hook::hook_fabric(fake.fabric) };
        let domain = fake.domain();
        HANDLED.store(Box::into_raw(Box::new((fake, domain))), Relaxed);
        // Once before the program communicates, and then, in a thread that has counted, once after it.
        for _ in 0..2 {
            // SAFETY: the child is over.
            let ended = child_ends(
                |rc| unsafe { libc::exit(rc) },
                || unsafe {
                    handler();
                    HANDLERS.load(Relaxed).is_multiple_of(3) && sent() == Some(20)
                },
            );
            assert!(
                ended,
                "a child whose handlers open and close counts what it does after them, and nothing else"
            );
            unsafe { handler() };
        }
        assert_eq!(HANDLERS.load(Relaxed), 2 * 3);
        assert_eq!(sent(), Some(6 * 20));
    });
}
