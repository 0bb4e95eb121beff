//! Recordings: the samples of every tick in a file, from which everything else can be derived again.
//!
//! [`Recorder`] writes one, [`Recording`] reads it; the format is described in `docs/recording.md`. Only samples are
//! stored, no rates: a replay runs the same model over them and shows what a newer version makes of the same reads.

mod decode;
mod encode;
mod frame;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
pub mod names;
mod recorder;
mod recording;
mod wire;

#[cfg(test)]
pub(crate) mod tests;

pub use decode::Nonsense;
pub use encode::{Tick, TooLong};
pub use frame::Fault;
pub use recorder::{About, RecordError, Recorder, Status, default_name};
pub use recording::{Damage, ReadError, Recording, Session};
