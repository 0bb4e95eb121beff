//! The hook around a provider that misbehaves: the program sees what it would see without, and nothing is counted that was not.
//!
//! In one process with one page, and so in one thread and one test after another.
#![expect(unsafe_code, reason = "plays a provider of a C library")]
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]
#![expect(clippy::undocumented_unsafe_blocks, reason = "calls on objects of the fake, all of them live")]

mod provider;

use std::ffi::c_void;
use std::path::Path;
use std::ptr::null_mut;
use std::time::{Duration, Instant};

use counters::{NicCounts, PageDir, PageReader};
use libfabric_sys::consts::{FI_CQ_FORMAT_CONTEXT, FI_CQ_FORMAT_MSG, FI_CQ_FORMAT_UNSPEC};
use libfabric_sys::cq::{fi_cq_attr, fi_cq_err_entry, fi_cq_msg_entry, fid_cq};
use libfabric_sys::ep::fid_ep;
use libfabric_sys::errno::{FI_EAGAIN, FI_EINVAL};
use libfabric_sys::fid::{fid_domain, fid_fabric};
use libfabric_sys::flags::{FI_PEER, FI_TRANSMIT};
use provider::{Fake, NOW, RECEIVED, SENT, fi_close, fi_cq_read, fi_send};

/// In memory that cannot be written.
struct Constant(fi_cq_attr);

// SAFETY: it has pointers in it, all of them null.
unsafe impl Sync for Constant {}

static ASKED: Constant = Constant(fi_cq_attr { format: FI_CQ_FORMAT_CONTEXT, ..fi_cq_attr::zeroed() });

/// What the page says now of its first NIC.
fn page(dir: &Path) -> NicCounts {
    nics(dir)[0].1
}

/// What the one page says now, with the names of the NICs.
fn nics(dir: &Path) -> Vec<(String, NicCounts)> {
    railtop_hook::publish_now();
    let entries = PageDir::open(dir).unwrap().scan().unwrap();
    assert_eq!(entries.len(), 1);
    let mut reader = PageReader::open(&entries[0].path).unwrap();
    let counts = reader.read().unwrap().nics.into_iter().map(|nic| nic.counts);
    reader.identity().nics.iter().map(|nic| nic.domain.clone()).zip(counts).collect()
}

#[test]
fn around_a_provider_that_does_as_it_likes() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    // SAFETY: no other thread of this process looks at the environment yet.
    unsafe { std::env::set_var("RAILTOP_PAGE_DIR", dir.path()) };

    // Nothing to hook, or nothing that looks like a fabric.
    unsafe {
        railtop_hook::hook_fabric(null_mut());
        let mut garbage: fid_fabric = std::mem::zeroed();
        railtop_hook::hook_fabric(&raw mut garbage);
        assert!(garbage.ops.is_null() && garbage.fid.ops.is_null());
    }

    let fake = Fake::new();
    let before = unsafe { (*fake.fabric).ops };
    unsafe {
        railtop_hook::hook_fabric(fake.fabric);
        let once = (*fake.fabric).ops;
        assert_ne!(once, before);
        railtop_hook::hook_fabric(fake.fabric);
        assert_eq!((*fake.fabric).ops, once, "hooked once, however often it is asked for");
    }
    let domain = fake.domain();
    let cq = Fake::queue(domain, FI_CQ_FORMAT_MSG);
    let ep = fake.endpoint(domain, cq);
    the_first_operation_has_little_to_do(ep, dir.path());
    NOW.with(|now| {
        assert_eq!(now.strangers.get(), 0, "bind, control and endpoint() find the provider's tables");
    });

    // Every call reaches the provider once, and comes back as it was answered.
    for answer in [0, 0, -(FI_EAGAIN as isize), -(FI_EINVAL as isize)] {
        NOW.with(|now| now.answer.set(answer));
        assert_eq!(fi_send(ep, 1000), answer);
    }
    NOW.with(|now| assert_eq!(now.posts.get(), 5));
    let counts = page(dir.path());
    assert_eq!((counts.tx_posted_ops, counts.tx_posted_bytes, counts.tx_done_ops), (2, 2000, 0));
    assert_eq!((counts.tx_eagain, counts.tx_errors), (2, 1));
    assert_eq!(counts.in_flight_bytes(), 2000);

    // A `read` that calls `readfrom` through the table is one read.
    NOW.with(|now| {
        now.answer.set(0);
        now.nests.set(true);
        now.flags.set(SENT);
        now.ready.set(1);
    });
    let mut entries = [fi_cq_msg_entry { op_context: null_mut(), flags: 0, len: 0 }; 4];
    assert_eq!(fi_cq_read(cq, &mut entries), 1);
    assert_eq!(entries[0].op_context as usize, 0x1000);
    NOW.with(|now| {
        now.flags.set(RECEIVED);
        now.len.set(77);
        now.ready.set(2);
    });
    assert_eq!(fi_cq_read(cq, &mut entries), 2);
    assert_eq!(fi_cq_read(cq, &mut entries), -(FI_EAGAIN as isize));
    let counts = page(dir.path());
    assert_eq!((counts.tx_done_ops, counts.tx_done_bytes), (1, 1000));
    assert_eq!((counts.rx_ops, counts.rx_bytes, counts.cq_polls, counts.cq_empty), (2, 154, 3, 1));

    // A failed send is over.
    NOW.with(|now| now.flags.set(SENT));
    let mut error = fi_cq_err_entry::zeroed();
    assert_eq!(unsafe { ((*(*cq).ops).readerr.unwrap())(cq, &raw mut error, 0) }, 1);
    let counts = page(dir.path());
    assert_eq!((counts.tx_done_ops, counts.tx_errors), (2, 2));

    contexts_alone(domain, dir.path());

    // A format that is not said is left alone.
    let unknown = Fake::queue(domain, FI_CQ_FORMAT_UNSPEC);
    NOW.with(|now| assert_eq!(now.format.get(), FI_CQ_FORMAT_UNSPEC));
    assert_eq!(unsafe { (*(*unknown).ops).read.map(|op| op as usize) }, unhooked_read(&fake));

    // The provider puts another table into the endpoint when it is enabled: that is the one that is hooked then.
    NOW.with(|now| now.replaces.set(true));
    let replaced = fake.endpoint(domain, cq);
    let posts = NOW.with(|now| now.posts.get());
    assert_eq!(fi_send(replaced, 5), 0);
    assert_eq!(NOW.with(|now| now.posts.get()), posts + 1);
    assert_eq!(page(dir.path()).tx_posted_bytes, 2005);
    NOW.with(|now| now.replaces.set(false));

    // Tables of absurd sizes are not copied, and work.
    for claimed in [1, 7, 4096, usize::MAX] {
        NOW.with(|now| now.claimed.set(claimed));
        let odd = fake.endpoint(domain, cq);
        assert_eq!(fi_send(odd, 5), 0);
        assert_eq!(fi_close(odd.cast()), 0);
    }
    NOW.with(|now| now.claimed.set(0));
    assert_eq!(page(dir.path()).tx_posted_bytes, 2005);

    contexts_of_an_endpoint(&fake, domain, cq, dir.path());
    never_completed(dir.path());
    another_nic(dir.path());

    for object in [ep.cast(), replaced.cast(), cq.cast(), unknown.cast(), domain.cast(), fake.fabric.cast()] {
        assert_eq!(fi_close(object), 0);
    }
    NOW.with(|now| assert_eq!(now.strangers.get(), 0, "close finds the provider's tables"));
    assert_eq!(unsafe { (*fake.fabric).ops }, before);

    railtop_hook::finish();
    assert!(PageDir::open(dir.path()).unwrap().scan().unwrap().is_empty(), "the page goes with the process");
}

/// Whatever takes time is done when the endpoint is enabled, but nobody sees a page before the program communicates.
fn the_first_operation_has_little_to_do(ep: *mut fid_ep, dir: &Path) {
    let count = |place| std::fs::read_dir(place).unwrap().count();
    let held = || ["/proc/self/fd", "/proc/self/task"].map(count);
    let visible = || PageDir::open(dir).unwrap().scan().unwrap().len();
    let before = held();
    assert_eq!(visible(), 0);
    NOW.with(|now| now.answer.set(-(FI_EAGAIN as isize)));
    assert_eq!(fi_send(ep, 1), -(FI_EAGAIN as isize));
    assert_eq!(visible(), 1);
    assert_eq!(held(), before, "the page's file and the thread were there");
    // The thread says so by itself.
    let path = PageDir::open(dir).unwrap().scan().unwrap()[0].path.clone();
    let mut reader = PageReader::open(&path).unwrap();
    let begun = Instant::now();
    while reader.read().unwrap().nics[0].counts.tx_eagain == 0 {
        assert!(begun.elapsed() < Duration::from_secs(60), "nothing is published");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn contexts_alone(domain: *mut fid_domain, dir: &Path) {
    // The program wants contexts only; the provider gives more, more than fit our buffer.
    let narrow = Fake::queue(domain, FI_CQ_FORMAT_CONTEXT);
    NOW.with(|now| {
        assert_eq!(now.format.get(), FI_CQ_FORMAT_MSG);
        now.flags.set(RECEIVED);
        now.len.set(10);
        now.ready.set(100);
    });
    let mut contexts = [0usize; 101];
    let first = fi_cq_read(narrow, &mut contexts[..100]);
    assert!(first > 0 && first <= 100);
    let rest = fi_cq_read(narrow, &mut contexts[usize::try_from(first).unwrap()..100]);
    assert_eq!(first + rest, 100);
    assert!(contexts[..100].iter().all(|context| (0x1000..0x1000 + 100).contains(context)));
    assert_eq!(contexts[100], 0, "nothing is written beyond the program's entries");
    assert_eq!(page(dir).rx_bytes, 154 + 1000);
    // Reading nothing, into nowhere, is what programs do to make progress.
    assert_eq!(unsafe { ((*(*narrow).ops).read.unwrap())(narrow, null_mut(), 0) }, -(FI_EAGAIN as isize));
    // A thread that waits for more than that gets as many as it waits for.
    NOW.with(|now| now.ready.set(100));
    let wait = unsafe { (*(*narrow).ops).sread.unwrap() };
    let answer = unsafe { wait(narrow, contexts.as_mut_ptr().cast(), 100, 100 as *const c_void, -1) };
    assert_eq!((answer, contexts[99], contexts[100]), (100, 0x1000 + 99, 0));
    assert_eq!(page(dir).rx_bytes, 154 + 2000);
    assert_eq!(fi_close(narrow.cast()), 0);

    // What the program asks with is only read: other threads may be looking at it.
    let mut constant = null_mut();
    let asked = (&raw const ASKED.0).cast_mut();
    assert_eq!(unsafe { (*(*domain).ops).cq_open.unwrap()(domain, asked, &raw mut constant, null_mut()) }, 0);
    NOW.with(|now| assert_eq!(now.format.get(), FI_CQ_FORMAT_MSG));
    assert_eq!(fi_close(constant.cast()), 0);

    // The queue of a peer's: its entries are between providers.
    let peer = Fake::queue_with(domain, FI_CQ_FORMAT_CONTEXT, FI_PEER);
    NOW.with(|now| {
        assert_eq!(now.format.get(), FI_CQ_FORMAT_CONTEXT);
        now.ready.set(1);
    });
    assert_eq!(fi_cq_read(peer, &mut contexts[..1]), 1);
    assert_eq!(page(dir).rx_bytes, 154 + 2000);
    assert_eq!(fi_close(peer.cast()), 0);
    NOW.with(|now| now.format.set(FI_CQ_FORMAT_MSG));
}

fn contexts_of_an_endpoint(fake: &Fake, domain: *mut fid_domain, cq: *mut fid_cq, dir: &Path) {
    let scalable = fake.endpoint(domain, cq);
    let before = page(dir);
    let mut context = null_mut();
    unsafe {
        let open = (*(*scalable).ops).tx_ctx.unwrap();
        assert_eq!(open(scalable, 0, null_mut(), &raw mut context, null_mut()), 0);
        assert_eq!(((*(*context).fid.ops).bind.unwrap())(context.cast(), cq.cast(), FI_TRANSMIT), 0);
    }
    assert_eq!(fi_send(context, 40), 0);
    let after = page(dir);
    assert_eq!(after.tx_posted_bytes - before.tx_posted_bytes, 40);
    assert_eq!(after.in_flight_ops() - before.in_flight_ops(), 1);
    for object in [context, scalable] {
        assert_eq!(fi_close(object.cast()), 0);
    }
}

/// What is under way when a NIC's last endpoint is closed: nobody will read its completion.
fn never_completed(dir: &Path) {
    let other = Fake::named(c"fake2");
    unsafe { railtop_hook::hook_fabric(other.fabric) };
    let domain = other.domain();
    let cq = Fake::queue(domain, FI_CQ_FORMAT_MSG);
    let eps = [other.endpoint(domain, cq), other.endpoint(domain, cq)];
    for ep in eps {
        assert_eq!(fi_send(ep, 70), 0);
    }
    let of_nic = || nics(dir).into_iter().find(|(name, _)| name == "fake2").unwrap().1;
    assert_eq!(of_nic().in_flight_ops(), 2);
    assert_eq!(fi_close(eps[0].cast()), 0);
    assert_eq!(of_nic().in_flight_bytes(), 140, "it may be the other's");
    assert_eq!(fi_close(eps[1].cast()), 0);
    let counts = of_nic();
    assert_eq!((counts.in_flight_ops(), counts.tx_done_ops, counts.tx_done_bytes), (0, 2, 140));
    assert_eq!(counts.tx_errors, 0);
    // Both are read after all, and before anybody looks there is an endpoint again: what it posts is under way.
    NOW.with(|now| {
        now.flags.set(SENT);
        now.ready.set(2);
    });
    let mut entries = [fi_cq_msg_entry { op_context: null_mut(), flags: 0, len: 0 }; 2];
    assert_eq!(fi_cq_read(cq, &mut entries), 2);
    let again = other.endpoint(domain, cq);
    assert_eq!(fi_send(again, 70), 0);
    assert_eq!(of_nic().in_flight_ops(), 1);
    NOW.with(|now| now.ready.set(1));
    assert_eq!(fi_cq_read(cq, &mut entries), 1);
    let counts = of_nic();
    assert_eq!((counts.in_flight_ops(), counts.tx_done_ops, counts.tx_done_bytes), (0, 3, 210));
    assert_eq!(fi_close(again.cast()), 0);
}

fn another_nic(dir: &Path) {
    // A NIC that is only looked at does not appear. One that is used does, in a page that goes on where the other was.
    let other = Fake::named(c"fake1");
    unsafe { railtop_hook::hook_fabric(other.fabric) };
    let second = other.domain();
    let second_cq = Fake::queue(second, FI_CQ_FORMAT_MSG);
    assert_eq!(nics(dir).len(), 2);
    let second_ep = other.endpoint(second, second_cq);
    assert_eq!(fi_send(second_ep, 3), 0);
    let all = nics(dir);
    assert_eq!(all.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["fake0", "fake2", "fake1"]);
    assert_eq!(all.iter().map(|(_, counts)| counts.tx_posted_bytes).collect::<Vec<_>>(), [2045, 210, 3]);
    assert_eq!(fi_close(second_ep.cast()), 0);
}

/// The `read` of a queue that has nothing to do with the hook.
fn unhooked_read(fake: &Fake) -> Option<usize> {
    let bare = Fake::new();
    let domain = bare.domain();
    assert_ne!(bare.fabric, fake.fabric);
    let cq = Fake::queue(domain, FI_CQ_FORMAT_MSG);
    unsafe { (*(*cq).ops).read.map(|op| op as usize) }
}
