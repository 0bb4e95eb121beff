//! Reading other PEs' memory, atomics, and memory outside of the heap.

use std::sync::Arc;

use super::Pe;
use crate::transport::atomic::{Atomic, AtomicOp, Width};
use crate::transport::error::TransportError;
use crate::transport::event::Event;
use crate::transport::heap::Heap;
use crate::transport::proxy::Shared;
use crate::transport::ring::{Command, Put};
use crate::transport::signal::Signal;

/// An answer that has been asked for: to be waited for with [`Pe::answer`]. Dropped before, it is given up, and what was
/// asked happens all the same.
#[derive(Debug)]
#[must_use = "the answer takes one of the places there are until it is waited for or dropped"]
pub struct Pending(Answer);

#[derive(Debug)]
enum Answer {
    /// It was there at once, on this node.
    Known(u64),
    /// The proxy will fill it in.
    Tagged(Tag),
}

/// A tag of the table of answers, given back when it is dropped.
#[derive(Debug)]
struct Tag {
    shared: Arc<Shared>,
    number: u32,
    stage: Stage,
}

#[derive(Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing has been asked under it.
    Taken,
    /// The proxy knows it.
    Asked,
    /// Its answer has been read, which has freed it.
    Collected,
}

impl Tag {
    /// A free tag.
    fn take(shared: &Arc<Shared>) -> Option<Self> {
        let number = shared.answers().take()?;
        Some(Self { shared: Arc::clone(shared), number, stage: Stage::Taken })
    }

    fn is_done(&self) -> bool {
        self.shared.answers().is_done(self.number)
    }

    /// The answer, if it is there.
    fn collect(mut self) -> Option<u64> {
        let value = self.shared.answers().collect(self.number)?;
        self.stage = Stage::Collected;
        Some(value)
    }
}

impl Drop for Tag {
    fn drop(&mut self) {
        if self.stage != Stage::Collected {
            self.shared.answers().abandon(self.number, self.stage == Stage::Asked);
        }
    }
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
        let pending = self.ask(|tag| Command::Get { src, remote, local, len, tag: Some(tag) })?;
        self.answer(pending).map(|_| ())
    }

    /// Reads from a PE of this node; `false` if `src` is none.
    fn get_local(&mut self, src: u32, remote: u64, local: u64, len: u64) -> Result<bool, TransportError> {
        self.heap.check(remote, len)?;
        self.heap.check(local, len)?;
        self.check_pe(src)?;
        let Some(source) = self.local(src) else { return Ok(false) };
        source.copy_to(remote, &self.heap, local, len)?;
        self.count_local(len)?;
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
                signal.apply(target)?;
            }
            self.count_local(bytes.len() as u64)?;
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
            self.count_local(bytes.len() as u64)?;
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
        self.ask(|tag| Command::Atomic { dst, atomic, tag: Some(tag) })
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
    pub fn answer(&mut self, pending: Pending) -> Result<u64, TransportError> {
        let tag = match pending.0 {
            Answer::Known(value) => return Ok(value),
            Answer::Tagged(tag) => tag,
        };
        let what = || format!("PE {}: the answer to a fetch or get", self.rank());
        self.wait(what, || tag.is_done())?;
        tag.collect().ok_or_else(|| TransportError::Failed("an answer was there and is no more".into()))
    }

    /// Asks for something to be answered.
    fn ask(&mut self, command: impl FnOnce(u32) -> Command) -> Result<Pending, TransportError> {
        let mut tag = self.tag()?;
        self.push(command(tag.number))?;
        tag.stage = Stage::Asked;
        Ok(Pending(Answer::Tagged(tag)))
    }

    fn atomic_local(&self, dst: u32, atomic: Atomic) -> Result<Option<u64>, TransportError> {
        atomic.check(&self.heap)?;
        self.check_pe(dst)?;
        let Some(target) = self.local(dst) else { return Ok(None) };
        let old = atomic.apply(target)?;
        Event::of(target)?.notify();
        self.get_on()?;
        Ok(Some(old))
    }

    /// A free tag. There is always one but for who asks without ever collecting.
    fn tag(&self) -> Result<Tag, TransportError> {
        Tag::take(&self.shared)
            .ok_or_else(|| TransportError::TooManyPending { most: self.shared.answers().len() })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_tag_is_given_back() {
        let shared = Arc::new(Shared::default());
        let take_all = || std::iter::from_fn(|| Tag::take(&shared)).collect::<Vec<_>>();
        let all = shared.answers().len();
        let mut tags = take_all();
        assert_eq!(tags.len(), all);
        drop(tags.pop());
        assert_eq!(take_all().len(), 1, "nothing was asked under it");

        drop(tags);
        tags = take_all();
        for tag in &mut tags {
            tag.stage = Stage::Asked;
        }
        let (first, second) = (tags[0].number, tags[1].number);
        assert!(shared.answers().fill(first, 7));
        assert_eq!(tags.remove(0).collect(), Some(7));
        drop(tags);
        assert_eq!(take_all().len(), 1, "the others wait for their answers");
        assert!(shared.answers().fill(second, 8));
        assert_eq!(take_all().len(), 2, "the answer that nobody waits for has come");
    }
}
