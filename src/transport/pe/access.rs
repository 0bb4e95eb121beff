//! Reading other PEs' memory, atomics, and memory outside of the heap.

use super::{Pe, signal_local};
use crate::transport::atomic::{Atomic, AtomicOp, Width};
use crate::transport::error::TransportError;
use crate::transport::event::Event;
use crate::transport::heap::Heap;
use crate::transport::ring::{Command, Put};
use crate::transport::signal::Signal;

/// An answer that has been asked for: to be waited for with [`Pe::answer`].
#[derive(Debug, PartialEq, Eq)]
#[must_use = "the answer takes a place until it is waited for"]
pub struct Pending(Answer);

#[derive(Debug, PartialEq, Eq)]
enum Answer {
    /// It was there at once, on this node.
    Known(u64),
    /// The proxy will fill it in.
    Tagged(u32),
}

impl Pe {
    /// Reads `len` bytes from offset `remote` of `src`'s heap into offset `local` of this one. Done after the next
    /// [`Self::quiet`] (or [`Self::quiet_with`]).
    ///
    /// # Errors
    /// When a range lies outside the heap or the job has failed.
    pub fn get_nbi(&mut self, src: u32, remote: u64, local: u64, len: u64) -> Result<(), TransportError> {
        if self.get_local(src, remote, local, len)? {
            return Ok(());
        }
        self.push(Command::Get { src, remote, local, len, tag: None })
    }

    /// As [`Self::get_nbi`], and waits for the bytes.
    ///
    /// # Errors
    /// As [`Self::get_nbi`], or when it takes longer than the wait limit.
    pub fn get(&mut self, src: u32, remote: u64, local: u64, len: u64) -> Result<(), TransportError> {
        if self.get_local(src, remote, local, len)? {
            return Ok(());
        }
        let tag = self.tag()?;
        self.push(Command::Get { src, remote, local, len, tag: Some(tag) })?;
        self.answer(Pending(Answer::Tagged(tag))).map(|_| ())
    }

    /// Reads from a PE of this node; `false` if `src` is none.
    fn get_local(&mut self, src: u32, remote: u64, local: u64, len: u64) -> Result<bool, TransportError> {
        self.heap.check(remote, len)?;
        self.heap.check(local, len)?;
        self.check_pe(src)?;
        let Some(source) = self.local(src) else { return Ok(false) };
        source.copy_to(remote, &self.heap, local, len)?;
        self.shared.count_local(len);
        Ok(true)
    }

    /// As [`Self::put`], and waits until the bytes have landed: the source may be used again at once.
    ///
    /// # Errors
    /// As [`Self::put`], or when it takes longer than the wait limit.
    pub fn put_blocking(
        &mut self,
        dst: u32,
        local: u64,
        remote: u64,
        len: u64,
    ) -> Result<(), TransportError> {
        self.put(dst, local, remote, len)?;
        if self.is_local(dst) { Ok(()) } else { self.quiet_with(dst) }
    }

    /// Writes `bytes`, which lie anywhere, to offset `remote` of `dst`'s heap, with or without a signal. They are copied
    /// into the heap's staging area first, so they may change as soon as this returns.
    ///
    /// # Errors
    /// As [`Self::put`].
    pub fn put_bytes(
        &mut self,
        dst: u32,
        bytes: &[u8],
        remote: u64,
        signal: Option<Signal>,
    ) -> Result<(), TransportError> {
        self.heap.check(remote, bytes.len() as u64)?;
        self.check_pe(dst)?;
        if let Some(signal) = signal {
            self.heap.word(signal.offset)?;
        }
        if let Some(target) = self.local(dst) {
            target.write(remote, bytes)?;
            if let Some(signal) = signal {
                signal_local(target, signal)?;
            }
            self.shared.count_local(bytes.len() as u64);
            return Ok(());
        }
        let chunks = bytes.chunks(usize::try_from(self.staging.chunk()).unwrap_or(1));
        let last = chunks.len().saturating_sub(1);
        let mut offset = remote;
        for (index, chunk) in chunks.enumerate() {
            let (len, last) = (chunk.len() as u64, index == last);
            if last && index > 0 && signal.is_some() {
                // The signal speaks of all the chunks before it, too.
                self.quiet_with(dst)?;
            }
            let local = self.stage(len)?;
            self.heap.write(local, chunk)?;
            self.transfer(Put { dst, local, remote: offset, len, signal: signal.filter(|_| last) })?;
            offset += len;
        }
        match signal {
            Some(signal) if bytes.is_empty() => self.signal(dst, signal),
            _ => Ok(()),
        }
    }

    /// Reads from offset `remote` of `src`'s heap into `bytes`, which lie anywhere, and waits for them.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub fn get_bytes(&mut self, src: u32, remote: u64, bytes: &mut [u8]) -> Result<(), TransportError> {
        self.heap.check(remote, bytes.len() as u64)?;
        self.check_pe(src)?;
        if let Some(source) = self.local(src) {
            source.read(remote, bytes)?;
            self.shared.count_local(bytes.len() as u64);
            return Ok(());
        }
        let mut offset = remote;
        for chunk in bytes.chunks_mut(usize::try_from(self.staging.chunk()).unwrap_or(1)) {
            let local = self.stage(chunk.len() as u64)?;
            self.get(src, offset, local, chunk.len() as u64)?;
            self.heap.read(local, chunk)?;
            offset += chunk.len() as u64;
        }
        Ok(())
    }

    /// Room in the staging area; waits for what still needs it when it is used up.
    fn stage(&mut self, len: u64) -> Result<u64, TransportError> {
        if let Some(offset) = self.staging.take(len) {
            return Ok(offset);
        }
        self.quiet()?;
        self.staging.reset();
        self.staging.take(len).ok_or_else(|| TransportError::Failed("the staging area is too small".into()))
    }

    /// Changes a word at `dst`. Done after the next [`Self::quiet`].
    ///
    /// # Errors
    /// When the word is not in the heap or the job has failed.
    pub fn atomic(&mut self, dst: u32, atomic: Atomic) -> Result<(), TransportError> {
        match self.atomic_local(dst, atomic)? {
            Some(_) => Ok(()),
            None => self.push(Command::Atomic { dst, atomic, tag: None }),
        }
    }

    /// Changes a word at `dst` and asks for what it was.
    ///
    /// # Errors
    /// As [`Self::atomic`].
    pub fn fetch_nbi(&mut self, dst: u32, atomic: Atomic) -> Result<Pending, TransportError> {
        if let Some(old) = self.atomic_local(dst, atomic)? {
            return Ok(Pending(Answer::Known(old)));
        }
        let tag = self.tag()?;
        self.push(Command::Atomic { dst, atomic, tag: Some(tag) })?;
        Ok(Pending(Answer::Tagged(tag)))
    }

    /// Changes a word at `dst` and returns what it was.
    ///
    /// # Errors
    /// As [`Self::atomic`], or when it takes longer than the wait limit.
    pub fn fetch(&mut self, dst: u32, atomic: Atomic) -> Result<u64, TransportError> {
        let pending = self.fetch_nbi(dst, atomic)?;
        self.answer(pending)
    }

    /// Adds to a 64-bit word at `dst` and returns what it was.
    ///
    /// # Errors
    /// As [`Self::fetch`].
    pub fn fetch_add(&mut self, dst: u32, offset: u64, value: u64) -> Result<u64, TransportError> {
        self.fetch(dst, Atomic { offset, width: Width::Word, op: AtomicOp::Add, operand: value, compare: 0 })
    }

    /// Sets a 64-bit word at `dst` to `value` if it is `compare`; returns what it was.
    ///
    /// # Errors
    /// As [`Self::fetch`].
    pub fn compare_swap(
        &mut self,
        dst: u32,
        offset: u64,
        compare: u64,
        value: u64,
    ) -> Result<u64, TransportError> {
        self.fetch(
            dst,
            Atomic { offset, width: Width::Word, op: AtomicOp::CompareSwap, operand: value, compare },
        )
    }

    /// Waits for an answer.
    ///
    /// # Errors
    /// When the job fails meanwhile, or it takes longer than the wait limit.
    #[expect(clippy::needless_pass_by_value, reason = "an answer is collected once")]
    pub fn answer(&mut self, pending: Pending) -> Result<u64, TransportError> {
        let tag = match pending.0 {
            Answer::Known(value) => return Ok(value),
            Answer::Tagged(tag) => tag,
        };
        let what = || format!("PE {}: the answer to a fetch or get", self.rank());
        self.wait(what, || self.shared.answers().is_done(tag))?;
        let gone = || TransportError::Failed("an answer was collected twice".into());
        self.shared.answers().collect(tag).ok_or_else(gone)
    }

    fn atomic_local(&self, dst: u32, atomic: Atomic) -> Result<Option<u64>, TransportError> {
        atomic.check(&self.heap)?;
        self.check_pe(dst)?;
        let Some(target) = self.local(dst) else { return Ok(None) };
        let old = atomic.apply(target)?;
        Event::of(target)?.notify();
        Ok(Some(old))
    }

    /// A free tag. There is always one but for who asks without ever collecting.
    fn tag(&self) -> Result<u32, TransportError> {
        self.shared.answers().take().ok_or_else(|| {
            let most = self.shared.answers().len();
            TransportError::Failed(format!(
                "{most} answers have been asked for and not collected; collect some first"
            ))
        })
    }
}

/// The part of the heap through which bytes go that lie elsewhere.
#[derive(Debug)]
pub(super) struct Staging {
    start: u64,
    len: u64,
    used: u64,
}

impl Staging {
    /// Bytes of the staging area of a heap of `heap` bytes: a small heap gives up little.
    pub(super) fn bytes(heap: u64) -> u64 {
        (heap / 16).clamp(4096, 4 << 20).next_multiple_of(4096)
    }

    /// The last `len` bytes of `heap`.
    pub(super) fn at_end_of(heap: &Heap, len: u64) -> Self {
        let len = len.min(heap.len());
        Self { start: heap.len() - len, len, used: 0 }
    }

    /// Most bytes that go through at once: some chunks are under way while the next is filled.
    pub(super) fn chunk(&self) -> u64 {
        (self.len / 4).max(1)
    }

    fn take(&mut self, len: u64) -> Option<u64> {
        let padded = len.next_multiple_of(64);
        let offset = self.start + self.used;
        (self.used + padded <= self.len).then(|| {
            self.used += padded;
            offset
        })
    }

    fn reset(&mut self) {
        self.used = 0;
    }
}
