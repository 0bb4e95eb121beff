//! Completion queues: what has arrived, and what is done.

#![expect(unsafe_code, reason = "function pointers and objects of a C library")]

use std::mem::MaybeUninit;

use libc::{c_int, c_void, size_t, ssize_t};
use libfabric_sys::consts::{FI_CQ_FORMAT_CONTEXT, FI_CQ_FORMAT_DATA, FI_CQ_FORMAT_MSG, FI_CQ_FORMAT_TAGGED};
use libfabric_sys::cq::{
    fi_cq_attr, fi_cq_data_entry, fi_cq_err_entry, fi_cq_msg_entry, fi_cq_tagged_entry, fi_ops_cq, fid_cq,
};
use libfabric_sys::errno::{FI_EAGAIN, FI_ECANCELED, FI_ENOMSG, FI_ENOSYS};
use libfabric_sys::fid::{fi_ops, fid, fid_domain};
use libfabric_sys::flags::{
    FI_ATOMIC, FI_MULTI_RECV, FI_PEER, FI_READ, FI_RECV, FI_REMOTE_READ, FI_REMOTE_WRITE,
};

use crate::changes::Changing;
use crate::count::{Tally, Thread, Word};
use crate::domain::Domain;
use crate::guard::{Inside, always, guarded, stopped};
use crate::shadow::{Place, original, replace};

const NO_SUCH_OP: ssize_t = -(FI_ENOSYS as ssize_t);
const AGAIN: ssize_t = -(FI_EAGAIN as ssize_t);

/// What reading needs to know of a queue.
struct Reader {
    nic: usize,
    /// Bytes of an entry as the provider writes it.
    stride: usize,
    /// The program wants contexts only; the provider has been asked for flags and lengths as well.
    narrow: bool,
}

/// A queue that is hooked.
struct Queue {
    reader: Reader,
    cq: *mut fid_cq,
    places: Changing<Places>,
}

#[derive(Default)]
struct Places {
    fid: Place<fi_ops>,
    cq: Place<fi_ops_cq>,
}

/// Bytes of an entry of a format, if it has flags and length.
fn stride(format: u32) -> Option<usize> {
    match format {
        FI_CQ_FORMAT_MSG => Some(size_of::<fi_cq_msg_entry>()),
        FI_CQ_FORMAT_DATA => Some(size_of::<fi_cq_data_entry>()),
        FI_CQ_FORMAT_TAGGED => Some(size_of::<fi_cq_tagged_entry>()),
        _ => None,
    }
}

/// A provider's function that opens a queue.
type OpenCq = unsafe extern "C" fn(*mut fid_domain, *mut fi_cq_attr, *mut *mut fid_cq, *mut c_void) -> c_int;

/// A copy of what a queue is asked for with. Threads, and a child that is forked meanwhile, may look at the program's own.
#[repr(C)]
struct Copied {
    attr: fi_cq_attr,
    /// What a later libfabric may look for behind the fields that we know: as if the program had left it zero.
    beyond: [u64; 16],
}

/// Opens a queue through the provider's function and hooks it.
///
/// # Safety
/// As for `fi_cq_open(3)`; `domain` is the hooked state of the object `of`.
pub(crate) unsafe fn open(
    op: OpenCq,
    domain: &Domain,
    of: *mut fid_domain,
    attr: *mut fi_cq_attr,
    cq: *mut *mut fid_cq,
    context: *mut c_void,
) -> c_int {
    // SAFETY: what the program gives to the provider.
    unsafe {
        if Inside::is() || stopped().is_some() {
            // A queue of the provider's own; or none is hooked any more.
            return op(of, attr, cq, context);
        }
        let asked = attr.as_ref().map(|attr| (attr.format, attr.flags & FI_PEER != 0));
        let inside = Inside::enter();
        let (rc, format) = match asked {
            Some((FI_CQ_FORMAT_CONTEXT, false)) => {
                let mut copied = Copied { attr: attr.read(), beyond: [0; 16] };
                copied.attr.format = FI_CQ_FORMAT_MSG;
                // From the whole, so that the provider may look behind the fields.
                match op(of, (&raw mut copied).cast(), cq, context) {
                    0 => (0, Some((FI_CQ_FORMAT_MSG, true))),
                    // A provider that has no such queue, perhaps: then without us.
                    _ => (op(of, attr, cq, context), None),
                }
            }
            Some((format, false)) => (op(of, attr, cq, context), Some((format, false))),
            _ => (op(of, attr, cq, context), None),
        };
        drop(inside);
        if rc == 0 {
            let narrow = format.is_some_and(|(_, narrow)| narrow);
            let hooked = guarded(|| {
                let (format, narrow) = format?;
                let cq = cq.as_ref().copied().filter(|cq| !cq.is_null())?;
                hook(cq, domain.nic(), stride(format)?, narrow)
            });
            if hooked.flatten().is_none() && narrow {
                // The program would read entries of the wrong size. Give it what it asked for.
                return reopen(op, of, attr, cq, context);
            }
        }
        rc
    }
}

/// Replaces a queue that was opened wide for us, and cannot be hooked, by the one the program wants.
unsafe fn reopen(
    op: OpenCq,
    of: *mut fid_domain,
    attr: *mut fi_cq_attr,
    cq: *mut *mut fid_cq,
    context: *mut c_void,
) -> c_int {
    // SAFETY: the queue has just been opened and nobody else knows it.
    unsafe {
        let wide = (*cq).cast::<fid>();
        if let Some(close) = (*wide).ops.as_ref().and_then(|ops| ops.close) {
            close(wide);
        }
        op(of, attr, cq, context)
    }
}

unsafe fn hook(cq: *mut fid_cq, nic: usize, stride: usize, narrow: bool) -> Option<()> {
    // SAFETY: a queue that was just opened.
    unsafe {
        let ops = (*cq).ops.as_ref()?;
        (*cq).fid.ops.as_ref()?.close?;
        if narrow && (ops.read.is_none() || ops.readfrom.is_none()) {
            return None;
        }
        let queue = Box::into_raw(Box::new(Queue {
            reader: Reader { nic, stride, narrow },
            cq,
            places: Changing::default(),
        }));
        put(queue);
        // A table that could not be copied: not hooked at all.
        if (*(*cq).ops).read.map(|op| op as usize) != Some(read as *const () as usize) {
            back(queue);
            return None;
        }
        Some(())
    }
}

unsafe fn put(queue: *const Queue) {
    // SAFETY: a live queue; only one call that changes an object may run at a time.
    unsafe {
        let mut places = (*queue).places.lock();
        let cq = (*queue).cq;
        places.fid.put(&raw mut (*cq).fid.ops, queue, |table| {
            // Not `control`: it only hands out the wait object, while other threads may be reading.
            replace!(table, close => close);
        });
        places.cq.put(&raw mut (*cq).ops, &raw const (*queue).reader, |table| {
            replace!(
                table, read => read, readfrom => readfrom, readerr => readerr, sread => sread, sreadfrom => sreadfrom,
            );
        });
    }
}

unsafe fn back(queue: *const Queue) {
    // SAFETY: as in `put`.
    unsafe {
        let places = (*queue).places.lock();
        let cq = (*queue).cq;
        places.fid.back(&raw mut (*cq).fid.ops);
        places.cq.back(&raw mut (*cq).ops);
    }
}

/// Whether completions of this object are decoded.
///
/// # Safety
/// A live object.
pub(crate) unsafe fn is_hooked(object: *const fid) -> bool {
    // SAFETY: an object of class `FI_CLASS_CQ` is a `fid_cq`.
    unsafe {
        let ops = (*object.cast::<fid_cq>()).ops;
        ops.as_ref().and_then(|ops| ops.read).map(|op| op as usize) == Some(read as *const () as usize)
    }
}

unsafe extern "C" fn close(object: *mut fid) -> c_int {
    // SAFETY: a live object with a table of ours, or `original` calls on.
    unsafe {
        let (op, head) = original!((*object).ops, fi_ops, close, (object), -FI_ENOSYS);
        let queue: *const Queue = head.state::<Queue>();
        always(|| back(queue));
        let rc = op(object);
        if rc == 0 {
            drop(Box::from_raw(queue.cast_mut()));
        } else {
            guarded(|| put(queue));
        }
        rc
    }
}

/// Entries that fit on the stack at a time, when they must be narrowed.
const NARROW: usize = 64;
/// Entries that are made room for when a thread waits for more than that.
const MANY: usize = 1 << 16;

type Wide = MaybeUninit<fi_cq_msg_entry>;

/// Reads through the provider with room on the stack: a program that asks for more than fits gets the rest with its next read.
#[inline]
unsafe fn take_some(
    cq: *mut fid_cq,
    reader: &Reader,
    buf: *mut c_void,
    count: size_t,
    op: impl Fn(*mut c_void, size_t) -> ssize_t,
) -> ssize_t {
    let mut wide = [const { Wide::uninit() }; NARROW];
    // SAFETY: the caller's promise.
    unsafe { take(cq, reader, buf, count, &mut wide, op) }
}

/// Waits through the provider with room for all that the program asks for: it may be waiting for so many.
unsafe fn take_all(
    cq: *mut fid_cq,
    reader: &Reader,
    buf: *mut c_void,
    count: size_t,
    op: impl Fn(*mut c_void, size_t) -> ssize_t,
) -> ssize_t {
    let mut many: Vec<fi_cq_msg_entry> = Vec::new();
    let wanted = count.min(MANY);
    // SAFETY: the caller's promise.
    unsafe {
        if reader.narrow && wanted > NARROW && many.try_reserve_exact(wanted).is_ok() {
            take(cq, reader, buf, count, many.spare_capacity_mut(), op)
        } else {
            take_some(cq, reader, buf, count, op)
        }
    }
}

/// Reads through the provider, into the program's buffer or by way of ours, and counts.
#[inline]
unsafe fn take(
    cq: *mut fid_cq,
    reader: &Reader,
    buf: *mut c_void,
    count: size_t,
    wide: &mut [Wide],
    op: impl Fn(*mut c_void, size_t) -> ssize_t,
) -> ssize_t {
    Thread::with(|thread| {
        // A provider's `read` may call its own `readfrom` through the table: the buffer is the provider's or ours then.
        if thread.is_inside() && (!reader.narrow || thread.reading.get() == cq.cast_const()) {
            return op(buf, count);
        }
        let nested = thread.is_inside();
        let (nic, stride) = (reader.nic, reader.stride);
        let (narrow, nowhere) = (reader.narrow && !buf.is_null(), buf.is_null());
        let (entries, room) =
            if narrow { (wide.as_mut_ptr().cast(), count.min(wide.len())) } else { (buf, count) };

        thread.enter();
        let outer = thread.reading.replace(cq);
        let answer = op(entries, room);
        thread.reading.set(outer);
        thread.leave();

        let tally = (!nested).then(|| thread.tally(nic));
        if let Some(tally) = tally {
            tally.poll(answer == AGAIN);
        }
        // Most looks find nothing, and a program that waits does nothing else: nothing more is done for these.
        if answer <= 0 {
            return answer;
        }
        let filled = if nowhere { 0 } else { answer.unsigned_abs().min(room) };
        // SAFETY: the provider has filled so many entries, of the size it was asked for.
        unsafe {
            for (i, entry) in wide.iter().take(if narrow { filled } else { 0 }).enumerate() {
                buf.cast::<*mut c_void>().add(i).write(entry.assume_init_ref().op_context);
            }
            if let Some(tally) = tally {
                arrived(tally, entries.cast_const(), filled, stride);
            }
        }
        answer
    })
}

/// Counts completions.
#[inline]
unsafe fn arrived(tally: Tally, entries: *const c_void, count: usize, stride: usize) {
    let (mut rx, mut rx_bytes, mut tx, mut reads) = (0, 0, 0, 0);
    for i in 0..count {
        // SAFETY: the provider has filled `count` entries, which all begin like this one.
        let entry = unsafe { &*entries.byte_add(i * stride).cast::<fi_cq_msg_entry>() };
        match kind(entry.flags) {
            Kind::Arrival => {
                rx += 1;
                rx_bytes += entry.len as u64;
            }
            Kind::Tx => tx += 1,
            Kind::Read => reads += 1,
            Kind::Other => {}
        }
    }
    if tx > 0 {
        tally.add([(Word::TxCompletions, tx)]);
    }
    if rx > 0 {
        tally.add([(Word::RxOps, rx), (Word::RxBytes, rx_bytes)]);
    }
    if reads > 0 {
        tally.add([(Word::ReadCompletions, reads)]);
    }
}

enum Kind {
    Arrival,
    Tx,
    Read,
    /// A peer has read our memory, or a buffer for many messages is given back.
    Other,
}

/// What a completion is of. Providers differ in the bits beside the one that says it.
#[inline]
fn kind(flags: u64) -> Kind {
    if flags & (FI_RECV | FI_REMOTE_WRITE) != 0 {
        Kind::Arrival
    } else if flags & (FI_REMOTE_READ | FI_MULTI_RECV) != 0 {
        Kind::Other
    } else if flags & FI_READ != 0 && flags & FI_ATOMIC == 0 {
        Kind::Read
    } else {
        Kind::Tx
    }
}

unsafe extern "C" fn read(cq: *mut fid_cq, buf: *mut c_void, count: size_t) -> ssize_t {
    // SAFETY: a live queue with a table of ours, or `original` calls on; so in all that follow.
    unsafe {
        let (op, head) = original!((*cq).ops, fi_ops_cq, read, (cq, buf, count), NO_SUCH_OP);
        take_some(cq, head.state::<Reader>(), buf, count, |buf, count| op(cq, buf, count))
    }
}

unsafe extern "C" fn readfrom(cq: *mut fid_cq, buf: *mut c_void, count: size_t, from: *mut u64) -> ssize_t {
    // SAFETY: as in `read`.
    unsafe {
        let (op, head) = original!((*cq).ops, fi_ops_cq, readfrom, (cq, buf, count, from), NO_SUCH_OP);
        take_some(cq, head.state::<Reader>(), buf, count, |buf, count| op(cq, buf, count, from))
    }
}

unsafe extern "C" fn sread(
    cq: *mut fid_cq,
    buf: *mut c_void,
    count: size_t,
    cond: *const c_void,
    timeout: c_int,
) -> ssize_t {
    // SAFETY: as in `read`.
    unsafe {
        let (op, head) = original!((*cq).ops, fi_ops_cq, sread, (cq, buf, count, cond, timeout), NO_SUCH_OP);
        take_all(cq, head.state::<Reader>(), buf, count, |buf, count| op(cq, buf, count, cond, timeout))
    }
}

unsafe extern "C" fn sreadfrom(
    cq: *mut fid_cq,
    buf: *mut c_void,
    count: size_t,
    from: *mut u64,
    cond: *const c_void,
    timeout: c_int,
) -> ssize_t {
    // SAFETY: as in `read`.
    unsafe {
        let (op, head) =
            original!((*cq).ops, fi_ops_cq, sreadfrom, (cq, buf, count, from, cond, timeout), NO_SUCH_OP);
        take_all(cq, head.state::<Reader>(), buf, count, |buf, count| op(cq, buf, count, from, cond, timeout))
    }
}

unsafe extern "C" fn readerr(cq: *mut fid_cq, entry: *mut fi_cq_err_entry, flags: u64) -> ssize_t {
    // SAFETY: as in `read`; the provider has filled the entry if it says so.
    unsafe {
        let (op, head) = original!((*cq).ops, fi_ops_cq, readerr, (cq, entry, flags), NO_SUCH_OP);
        let nic = head.state::<Reader>().nic;
        let answer = op(cq, entry, flags);
        Thread::with(|thread| {
            if answer > 0 && !entry.is_null() && !thread.is_inside() {
                failed(thread.tally(nic), (*entry).flags, (*entry).err);
            }
        });
        answer
    }
}

/// Counts an operation that failed. What the program has cancelled is over, but no error, nor is a look for a message that is
/// not there.
#[cold]
fn failed(tally: Tally, flags: u64, err: c_int) {
    let error = u64::from(err != FI_ECANCELED && err != FI_ENOMSG);
    match kind(flags) {
        Kind::Arrival | Kind::Other => tally.add([(Word::RxErrors, error)]),
        Kind::Tx => tally.add([(Word::TxCompletions, 1), (Word::TxErrors, error)]),
        Kind::Read => tally.add([(Word::ReadCompletions, 1), (Word::TxErrors, error)]),
    }
}
