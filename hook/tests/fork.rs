//! Children that are forked while another thread opens and closes: no lock of the hook's is held in them for ever.
//!
//! Around a provider without locks, so that whatever a child waits for is ours.
#![expect(unsafe_code, reason = "plays a provider of a C library, and forks")]
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]
#![expect(clippy::undocumented_unsafe_blocks, reason = "calls on objects of the fake, all of them live")]

#[path = "fake/provider.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod provider;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use libfabric_sys::consts::FI_CQ_FORMAT_MSG;
use provider::{Fake, fi_close};

const CHILDREN: usize = 300;
/// How long a child may take, s. Then a signal ends it.
const PATIENCE: u32 = 10;

/// Something that libfabric's objects have no trait for: they are for all threads.
struct Shared<T>(T);

unsafe impl<T> Sync for Shared<T> {}

#[test]
fn a_child_closes_what_its_parent_has_opened() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    // SAFETY: no other thread of this process looks at the environment yet.
    unsafe { std::env::set_var("RAILTOP_PAGE_DIR", dir.path()) };
    let fake = Fake::new();
    unsafe { railtop_hook::hook_fabric(fake.fabric) };
    let domain = fake.domain();
    let cq = Fake::queue(domain, FI_CQ_FORMAT_MSG);
    let ep = fake.endpoint(domain, cq);
    let shared = Shared((fake, domain, cq));
    let (ended, rounds) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let shared = &shared;
        let (ended, rounds) = (&ended, &rounds);
        // In the same domain: each of these takes its locks and gives them back.
        scope.spawn(move || {
            let Shared((fake, domain, cq)) = shared;
            while !ended.load(Relaxed) {
                fi_close(fake.endpoint(*domain, *cq).cast());
                rounds.fetch_add(1, Relaxed);
            }
        });
        let mut stuck = 0;
        for _ in 0..CHILDREN {
            let before = rounds.load(Relaxed);
            while rounds.load(Relaxed) == before {
                std::hint::spin_loop();
            }
            stuck += usize::from(!child_ends(|| {
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

/// Whether a forked child does that, and ends well.
fn child_ends(work: impl FnOnce() -> bool) -> bool {
    unsafe {
        let pid = libc::fork();
        assert!(pid >= 0);
        if pid == 0 {
            libc::alarm(PATIENCE);
            libc::_exit(i32::from(!work()));
        }
        let mut status = 0;
        assert_eq!(libc::waitpid(pid, &raw mut status, 0), pid);
        status == 0
    }
}
