//! Puts with and without signals.

use super::{KNOWN, Landing, Planner, SHORT, SOURCE_BYTES, SOURCES, Step, Unsettled, WORDS, number};
use crate::transport::ring::{Command, Put};
use crate::transport::signal::{Signal, SignalOp};

/// Some bytes of the caller's heap.
struct Source {
    /// Where they begin.
    local: u64,
    content: Vec<u8>,
    /// What is to be overwritten when they have arrived.
    room: Option<Landing>,
}

impl Planner<'_> {
    /// A put to a place of its own.
    pub(super) fn put_somewhere(&mut self, dst: usize, signalled: bool) {
        let len = self.any_len();
        let landing = self.landing(dst, len);
        if signalled {
            self.put_signal(dst, landing, Vec::new());
        } else {
            self.put(dst, landing, None);
        }
    }

    /// A put, whose bytes it gives.
    pub(super) fn put(&mut self, dst: usize, landing: Landing, signal: Option<Signal>) -> Vec<u8> {
        let Landing { offset: remote, len } = landing;
        let Source { local, content, room } = self.source(len);
        self.judge.expect_bytes(dst, landing, &content);
        self.overwrite(dst, landing, &content);
        self.unsettled.push(Unsettled {
            with: dst,
            source: room,
            there: Some((dst, landing, content.clone())),
            word: signal.map(|signal| signal.offset),
        });
        self.post(Command::Put(Put { dst: number(dst), local, remote, len, signal }));
        content
    }

    /// A put whose signal comes behind `before`, too.
    pub(super) fn put_signal(&mut self, dst: usize, landing: Landing, mut before: Vec<(Landing, Vec<u8>)>) {
        let signal = self.signal(dst);
        let content = self.put(dst, landing, Some(signal));
        before.push((landing, content));
        self.judge.expect_signal(dst, signal.offset, signal.value, before);
    }

    /// A signal in a word of its own.
    pub(super) fn signal(&mut self, dst: usize) -> Signal {
        let offset = self.next_word[dst];
        self.next_word[dst] += 8;
        assert!((WORDS..KNOWN).contains(&offset), "the plan needs more words");
        let op = if self.rng.chance(50) { SignalOp::Set } else { SignalOp::Add };
        Signal { offset, op, value: self.rng.below(u64::MAX - 1) + 1 }
    }

    /// Bytes to send, which start anywhere.
    fn source(&mut self, len: u64) -> Source {
        if len > SHORT {
            let skew = self.rng.below(64);
            let start = usize::try_from(skew).unwrap();
            let content = self.known[self.me][start..][..usize::try_from(len).unwrap()].to_vec();
            return Source { local: KNOWN + skew, content, room: None };
        }
        let room = (len + 8).next_multiple_of(8);
        if self.used + room > SOURCE_BYTES {
            self.quiet();
        }
        let (offset, skew) = (SOURCES + self.used, self.rng.below(8));
        self.used += room;
        let filled = self.rng.bytes(room);
        let start = usize::try_from(skew).unwrap();
        let content = filled[start..][..usize::try_from(len).unwrap()].to_vec();
        self.steps.push(Step::Fill(offset, filled));
        Source { local: offset + skew, content, room: Some(Landing { offset, len: room }) }
    }

    /// What was put to this place before, behind a fence, will not be there any more.
    fn overwrite(&mut self, dst: usize, landing: Landing, content: &[u8]) {
        let end = landing.offset + landing.len;
        for earlier in &mut self.unsettled {
            let Some((pe, place, there)) = &mut earlier.there else { continue };
            let common = place.offset.max(landing.offset)..end.min(place.offset + place.len);
            if *pe == dst && !common.is_empty() {
                let from = |start| usize::try_from(common.start - start).unwrap();
                let len = usize::try_from(common.end - common.start).unwrap();
                let new = &content[from(landing.offset)..][..len];
                there[from(place.offset)..][..len].copy_from_slice(new);
            }
        }
    }
}
