//! The mark by which a reader knows that a word of a descriptor is of this lap and not of an earlier one.

/// Bits of a word that carry something.
pub const PAYLOAD_BITS: u32 = 56;

/// Laps with marks of their own.
const MARKS: u64 = 128;

/// The mark of a lap: never 0, which is what fresh memory has.
#[must_use]
#[inline]
pub fn mark_of(lap: u64) -> u64 {
    lap % MARKS + 1
}

/// A word as it lies in memory; of `payload` the low [`PAYLOAD_BITS`] count.
#[must_use]
#[inline]
pub fn marked(payload: u64, mark: u64) -> u64 {
    payload << (64 - PAYLOAD_BITS) | mark
}

/// What a word carries, if it bears this mark.
#[must_use]
#[inline]
pub fn payload(word: u64, mark: u64) -> Option<u64> {
    (word & 0xff == mark).then_some(word >> (64 - PAYLOAD_BITS))
}
