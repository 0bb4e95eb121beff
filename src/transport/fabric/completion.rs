//! Reading the completion queue of a NIC.

use std::ffi::{CStr, c_void};
use std::ptr;

use libfabric_sys::cq::{fi_cq_data_entry, fi_cq_err_entry};
use libfabric_sys::errno::{FI_EAGAIN, FI_EAVAIL, FI_EOVERRUN};
use libfabric_sys::flags::{FI_REMOTE_WRITE, FI_SEND, FI_WRITE};
use libfabric_sys::inline::{fi_cq_read, fi_cq_readerr, fi_cq_strerror};

use super::endpoint::{FabricNic, describe};
use super::failing::MOST_IN_A_ROW;
use super::slots::Kind;
use crate::transport::nic::{Failed, NicError, PeerNic, Sink};

/// Completions taken at a time.
const CQ_BATCH: usize = 32;

/// Batches taken in one go: others must get their turn however fast more of them come.
const BATCHES: usize = 64;

/// Where completions are read to: made once, for a queue is asked millions of times a second and mostly empty.
pub(super) type Completions = Box<[fi_cq_data_entry; CQ_BATCH]>;

pub(super) fn completions() -> Completions {
    let empty =
        fi_cq_data_entry { op_context: ptr::null_mut(), flags: 0, len: 0, buf: ptr::null_mut(), data: 0 };
    Box::new([empty; CQ_BATCH])
}

impl FabricNic {
    /// Takes what the queue has, good and bad, up to a bound, and reports it; returns how many things that were.
    pub(super) fn take_completions(&mut self, sink: &mut impl Sink) -> Result<usize, NicError> {
        let mut total = 0;
        for _ in 0..BATCHES {
            let entries = self.completions.as_mut_ptr().cast::<c_void>();
            // SAFETY: a live queue of FI_CQ_FORMAT_DATA; the buffer holds CQ_BATCH such entries.
            let got = unsafe { fi_cq_read(self.cq, entries, CQ_BATCH) };
            if got == -(FI_EAGAIN as isize) {
                return Ok(total);
            }
            if got == -(FI_EAVAIL as isize) {
                if !self.take_failure(sink)? {
                    return Ok(total);
                }
                total += 1;
                continue;
            }
            let Ok(got) = usize::try_from(got) else {
                return Err(self.error("reading completions", i32::try_from(got).unwrap_or(i32::MIN)));
            };
            for index in 0..got {
                let Some(&entry) = self.completions.get(index) else { break };
                self.complete(&entry, sink);
            }
            total += got;
            if got < CQ_BATCH {
                break;
            }
        }
        Ok(total)
    }

    fn complete(&mut self, entry: &fi_cq_data_entry, sink: &mut impl Sink) {
        // Bits are tested, never compared for equality: 1.17 and 2.6 set different ones beside this.
        if entry.flags & FI_REMOTE_WRITE != 0 {
            self.receiver.failing.received();
            sink.landed(entry.data, entry.len as u64);
            return;
        }
        match self.slots.find(entry.op_context) {
            Some((index, Kind::Piece { bytes, to, path })) => {
                self.ended(index, path);
                sink.piece_done(to, bytes);
            }
            Some((index, Kind::Frame { to, path })) => {
                self.ended(index, path);
                sink.frame_done(to);
            }
            Some((index, Kind::Receive)) => {
                self.receiver.failing.received();
                if let Some(buffer) = self.frames.get(index) {
                    sink.frame(buffer.get(..entry.len).unwrap_or(&[]));
                }
                self.receive_ended(index);
            }
            Some((index, Kind::GivenUp { path })) => self.given_up_ended(index, path),
            Some((_, Kind::Free | Kind::Idle)) | None => {}
        }
    }

    /// Takes one failed completion; `false` when there is none after all.
    fn take_failure(&mut self, sink: &mut impl Sink) -> Result<bool, NicError> {
        let mut entry = fi_cq_err_entry::zeroed();
        // SAFETY: a live queue; the entry is the newest size.
        let got = unsafe { fi_cq_readerr(self.cq, &raw mut entry, 0) };
        if got == 0 || got == -(FI_EAGAIN as isize) {
            return Ok(false);
        }
        if got < 0 {
            let code = i32::try_from(got).unwrap_or(i32::MIN);
            return Err(self.error("reading a failed completion", code));
        }
        if entry.err == FI_EOVERRUN {
            // Completions are lost, nobody knows whose.
            return Err(self.error("keeping up with completions", entry.err));
        }
        match self.slots.find(entry.op_context) {
            Some((index, Kind::Piece { bytes, to, path })) => {
                self.ended(index, path);
                self.report(sink, to, Some(bytes), &entry);
            }
            Some((index, Kind::Frame { to, path })) => {
                self.ended(index, path);
                self.report(sink, to, None, &entry);
            }
            Some((index, Kind::GivenUp { path })) => self.given_up_ended(index, path),
            Some((index, Kind::Receive)) => {
                self.receive_ended(index);
                self.receive_failed(sink, &entry)?;
            }
            // What another PE had under way when its connection broke, or a frame of ours that was injected.
            Some((_, Kind::Free | Kind::Idle)) | None if self.receiver.ep.is_null() => {}
            Some((_, Kind::Free | Kind::Idle)) | None => {
                if entry.flags & (FI_SEND | FI_WRITE) == 0 {
                    sink.receive_failed();
                }
            }
        }
        Ok(true)
    }

    /// A posted receive has failed: its message broke off with the connection, it was flushed with its endpoint, or the NIC cannot
    /// receive any more. The code does not tell the last two apart (`FI_ECANCELED`), but whether this side has closed the endpoint does.
    fn receive_failed(&mut self, sink: &mut impl Sink, entry: &fi_cq_err_entry) -> Result<(), NicError> {
        if self.receiver.ep.is_null() {
            return Ok(());
        }
        sink.receive_failed();
        if self.receiver.failing.failed() {
            let why = format!("{MOST_IN_A_ROW} receives in a row failed: {}", self.lib.strerror(entry.err));
            return Err(self.refusal("receiving".into(), why));
        }
        Ok(())
    }

    fn report(&self, sink: &mut impl Sink, to: PeerNic, bytes: Option<u64>, entry: &fi_cq_err_entry) {
        let mut text = [0_u8; 160];
        // SAFETY: the buffer is as long as said; err_data belongs to the entry just read.
        let detail = unsafe {
            fi_cq_strerror(self.cq, entry.prov_errno, entry.err_data, text.as_mut_ptr().cast(), text.len())
        };
        let mut why = self.lib.strerror(entry.err);
        if !detail.is_null() {
            // SAFETY: not null, so a string of the provider that ends in NUL; copied at once.
            let detail = unsafe { CStr::from_ptr(detail) }.to_string_lossy();
            let detail = crate::text::printable(&detail);
            if !detail.is_empty() && detail != why {
                why = format!("{why} ({detail})");
            }
        }
        sink.failed(Failed { to, bytes, error: self.refusal(describe(to, bytes), why) });
    }

    fn ended(&mut self, index: usize, path: super::peers::PathId) {
        self.slots.release(index);
        self.in_flight = self.in_flight.saturating_sub(1);
        self.peers.ended(path);
    }

    fn given_up_ended(&mut self, index: usize, path: super::peers::PathId) {
        self.slots.release(index);
        self.given_up = self.given_up.saturating_sub(1);
        self.peers.ended(path);
    }
}
