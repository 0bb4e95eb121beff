//! What becomes of a page that was made when an endpoint was enabled and that nobody has seen yet.
#![expect(unsafe_code, reason = "plays a provider of a C library, closes descriptors and forks")]
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]
#![expect(clippy::undocumented_unsafe_blocks, reason = "calls on objects of the fake, all of them live")]

#[path = "fake/alone.rs"]
mod alone;
#[path = "fake/provider.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod provider;

use std::fs::{self, File};
use std::os::fd::AsRawFd;

use alone::{alone, child_ends, sent};
use libfabric_sys::consts::FI_CQ_FORMAT_MSG;
use libfabric_sys::cq::fid_cq;
use libfabric_sys::ep::fid_ep;
use libfabric_sys::fid::fid_domain;
use provider::{Fake, fi_close, fi_send};

struct Enabled {
    fake: Fake,
    domain: *mut fid_domain,
    cq: *mut fid_cq,
    ep: *mut fid_ep,
}

fn enable() -> Enabled {
    let fake = Fake::new();
    unsafe { railtop_hook::hook_fabric(fake.fabric) };
    let domain = fake.domain();
    let cq = Fake::queue(domain, FI_CQ_FORMAT_MSG);
    let ep = fake.endpoint(domain, cq);
    assert_eq!(sent(), None, "nobody sees it before the program communicates");
    Enabled { fake, domain, cq, ep }
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn its_directory_may_be_removed() {
    alone("its_directory_may_be_removed", "", || {
        let Enabled { ep, .. } = enable();
        fs::remove_dir_all(std::env::var_os("RAILTOP_PAGE_DIR").unwrap()).unwrap();
        assert_eq!(fi_send(ep, 10), 0);
        assert_eq!(sent(), Some(10));
    });
}

#[test]
fn its_descriptors_may_be_closed() {
    alone("its_descriptors_may_be_closed", "", || {
        let Enabled { ep, .. } = enable();
        let most = i32::try_from(descriptors()).unwrap() + 16;
        for fd in 3..most {
            unsafe { libc::close(fd) };
        }
        // The program's own have the same numbers now.
        let own: Vec<_> = (0..8).map(|_| File::open("/proc/self/stat").unwrap()).collect();
        assert_eq!(fi_send(ep, 10), 0);
        assert_eq!(sent(), Some(10));
        let there = |file: &File| fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).unwrap();
        assert!(own.iter().all(|file| there(file).ends_with("stat")), "none of them has been closed");
    });
}

#[test]
fn a_child_makes_its_own() {
    alone("a_child_makes_its_own", "", || {
        let Enabled { ep, .. } = enable();
        // SAFETY: the child is over, with all that is done at the end of a process.
        let ended = child_ends(
            |rc| unsafe { libc::exit(rc) },
            || sent().is_none() && fi_send(ep, 7) == 0 && sent() == Some(7),
        );
        assert!(ended);
        assert_eq!(sent(), None, "it is the child that has communicated");
        assert_eq!(fi_send(ep, 10), 0);
        assert_eq!(sent(), Some(10));
    });
}

#[test]
fn it_goes_with_the_last_endpoint() {
    alone("it_goes_with_the_last_endpoint", "", || {
        let before = descriptors();
        let Enabled { fake, domain, cq, ep } = enable();
        let second = fake.endpoint(domain, cq);
        assert_eq!(descriptors(), before + 2, "the page and its directory");
        assert_eq!(fi_close(ep.cast()), 0);
        assert_eq!(descriptors(), before + 2, "there is another endpoint");
        assert_eq!(fi_close(second.cast()), 0);
        assert_eq!(descriptors(), before);
        let again = fake.endpoint(domain, cq);
        assert_eq!(descriptors(), before + 2);
        assert_eq!(fi_send(again, 10), 0);
        assert_eq!(fi_close(again.cast()), 0);
        assert_eq!(sent(), Some(10), "a page that is seen stays to the end");
    });
}
