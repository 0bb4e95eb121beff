//! What the hook adds to an operation, around a provider that does nothing.
//!
//! `cargo bench -p railtop-hook`: nanoseconds, bare and hooked in turns, the median of many. The budget is 15 ns per operation.
//! With `count bare|hooked send|poll|done N`: does that and nothing else, for a tool that counts instructions (`tests/overhead.rs`).
#![expect(unsafe_code, reason = "plays a provider of a C library")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be set up is none")]

#[path = "../tests/fake/provider.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod provider;

use std::ffi::CString;
use std::hint::black_box;
use std::os::unix::ffi::OsStrExt as _;
use std::time::Instant;

use libfabric_sys::consts::FI_CQ_FORMAT_MSG;
use libfabric_sys::cq::{fi_cq_msg_entry, fid_cq};
use libfabric_sys::ep::fid_ep;
use libfabric_sys::fid::fid_fabric;
use libfabric_sys::info::fi_fabric_attr;
use libfabric_sys::provider::fi_provider;
use provider::{Fake, NOW, RECEIVED, fi_cq_read, fi_send};

struct Scene {
    ep: *mut fid_ep,
    cq: *mut fid_cq,
}

/// Hooks a fabric as libfabric does: through the library, where reaching a thread's data takes a call that it does not take in
/// a program of one piece.
fn hook(fabric: *mut fid_fabric) {
    let deps = std::env::current_exe().unwrap();
    let library = deps.parent().unwrap().join("librailtop_hook.so");
    let path = CString::new(library.as_os_str().as_bytes()).unwrap();
    // SAFETY: the library and its entry are ours, of this very build; a live fabric that nobody else uses.
    unsafe {
        let handle = libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL);
        assert!(!handle.is_null(), "{} cannot be loaded", library.display());
        let entry = libc::dlsym(handle, c"fi_prov_ini".as_ptr());
        let entry: extern "C" fn() -> *mut fi_provider = std::mem::transmute(entry);
        let mut attr: fi_fabric_attr = std::mem::zeroed();
        attr.fabric = fabric;
        let mut out = std::ptr::null_mut();
        let rc = ((*entry()).fabric.unwrap())(&raw mut attr, &raw mut out, std::ptr::null_mut());
        assert_eq!((rc, out), (0, fabric));
    }
}

impl Scene {
    fn new(hooked: bool) -> Self {
        let fake = Fake::new();
        if hooked {
            hook(fake.fabric);
        }
        let domain = fake.domain();
        let cq = Fake::queue(domain, FI_CQ_FORMAT_MSG);
        Self { ep: fake.endpoint(domain, cq), cq }
    }

    /// The work of one kind, `count` times.
    fn work(&self, kind: &str, count: u64) {
        let mut entries = [fi_cq_msg_entry { op_context: std::ptr::null_mut(), flags: 0, len: 0 }; 1];
        match kind {
            "send" => {
                for _ in 0..count {
                    black_box(fi_send(black_box(self.ep), 8));
                }
            }
            "poll" => {
                NOW.with(|now| now.ready.set(0));
                for _ in 0..count {
                    black_box(fi_cq_read(black_box(self.cq), &mut entries));
                }
            }
            "done" => {
                NOW.with(|now| {
                    now.ready.set(usize::try_from(count).unwrap());
                    now.flags.set(RECEIVED);
                });
                for _ in 0..count {
                    black_box(fi_cq_read(black_box(self.cq), &mut entries));
                }
            }
            other => unreachable!("no work of kind {other}"),
        }
    }
}

const KINDS: [(&str, &str); 3] =
    [("send", "fi_send"), ("poll", "fi_cq_read, nothing there"), ("done", "fi_cq_read, one completion")];
const ROUNDS: usize = 101;
const PER_ROUND: u64 = 100_000;

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let pages = tempfile::tempdir_in("/dev/shm").unwrap();
    // SAFETY: no other thread yet.
    unsafe { std::env::set_var("RAILTOP_PAGE_DIR", pages.path()) };
    let words: Vec<_> = std::env::args().collect();
    if let [_, count, way, kind, n] = &words[..]
        && count == "count"
    {
        let scene = Scene::new(way == "hooked");
        scene.work(kind, n.parse().unwrap());
        return;
    }
    let (bare, hooked) = (Scene::new(false), Scene::new(true));
    println!("{:30} {:>8} {:>8} {:>8}", "ns, median", "bare", "hooked", "added");
    for (kind, name) in KINDS {
        let (mut without, mut with) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            for (scene, times) in [(&bare, &mut without), (&hooked, &mut with)] {
                let begun = Instant::now();
                scene.work(kind, PER_ROUND);
                times.push(begun.elapsed().as_secs_f64() * 1e9 / PER_ROUND as f64);
            }
        }
        let (without, with) = (median(without), median(with));
        println!("{name:30} {without:8.1} {with:8.1} {:8.1}", with - without);
    }
}
