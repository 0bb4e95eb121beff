//! The counter page: the seam between the transport, which writes, and the monitor, which reads.
//!
//! Every PE has one file in a directory of its user in shared memory. The PE's proxy thread stores
//! its counters there, a few nanoseconds per update; any number of readers look on and cannot
//! disturb it. The layout, and the rules for both sides, are in `docs/counter-page.md`.
//!
//! A crate of its own, because who writes a page (the library that counts another program's traffic is loaded into that
//! program) has no use for the rest of railtop.
//!
//! Writing: [`PageDir::create`], [`PageWriter::create`], [`PageWriter::nic_block`],
//! [`NicBlock::publish`]. Reading: [`PageDir::scan_all`], [`PageReader::open`], [`PageReader::read`].

mod block;
mod bytes;
mod column;
mod counts;
mod dir;
mod error;
mod fields;
#[cfg(any(fuzzing, feature = "fuzz"))]
#[doc(hidden)]
pub mod fuzz;
mod identity;
mod image;
mod layout;
mod mapping;
mod parse;
mod pread;
mod process_facts;
mod reader;
mod sequence;
mod snapshot;
mod sync;
mod window;
mod writer;

pub use block::{NicBlock, ProcessBlock};
pub use column::Column;
pub use counts::{Field, FieldKind, NicCounts, PeCounts};
pub use dir::{DEAD_PAGE_TTL, PAGE_DIR_ENV, PageDir, PageEntry, Scan};
pub use error::{PageError, ReadError};
pub use fields::ExtraField;
pub use identity::{NicIdentity, PageIdentity, PageSpec, PageState, RxSource};
pub use layout::{ABI_MAJOR, ABI_MINOR, MAX_NICS, MAX_PAGE_BYTES, MAX_THREADS};
pub use process_facts::monotonic_ns;
pub use reader::PageReader;
pub use snapshot::{Liveness, NicSnapshot, PageSnapshot, STALL_AFTER};
pub use writer::PageWriter;
