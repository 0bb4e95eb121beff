//! What the hook adds to an operation, around a provider that does nothing.
//!
//! `cargo bench -p railtop-hook`: nanoseconds, bare and hooked in turns, the median of many. The budget is 15 ns per operation.
//! With `count bare|hooked send|poll|done N`: does that and nothing else, for a tool that counts instructions (`tests/overhead.rs`).
#![expect(unsafe_code, reason = "plays a provider of a C library")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be set up is none")]

#[path = "../tests/fake/provider.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod provider;

use std::hint::black_box;
use std::time::Instant;

use libfabric_sys::consts::FI_CQ_FORMAT_MSG;
use libfabric_sys::cq::{fi_cq_msg_entry, fid_cq};
use libfabric_sys::ep::fid_ep;
use provider::{Fake, NOW, RECEIVED, fi_cq_read, fi_send};

struct Scene {
    ep: *mut fid_ep,
    cq: *mut fid_cq,
}

impl Scene {
    fn new(hooked: bool) -> Self {
        let fake = Fake::new();
        if hooked {
            // SAFETY: a live fabric that nobody else uses.
            unsafe { railtop_hook::hook_fabric(fake.fabric) };
        }
        let domain = fake.domain();
        let cq = fake.queue(domain, FI_CQ_FORMAT_MSG);
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
        railtop_hook::finish();
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
    railtop_hook::finish();
}
