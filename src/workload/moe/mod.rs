//! `moe`: dispatch and combine of a mixture of experts, as pplx-kernels' `bench_all_to_all`, and beside it the plain
//! all-to-all of as many bytes as there is room for tokens.
//!
//! ```text
//!   routing ─▶ itinerary ─▶ case ─▶ dispatch ─▶ incoming ─▶ answers ─▶ combine
//!   who         where        all of    rows to     what has   what an     answers back,
//!               to           a PE      experts     come       expert says added up
//! ```
//!
//! Everything up to the case is decided before anything moves, and from the seed alone.

mod announce;
mod batch;
mod case;
mod check;
mod combine;
mod device;
mod dispatch;
mod fp8;
mod incoming;
pub mod itinerary;
mod layout;
mod memory;
mod options;
pub mod route;
mod row;
mod run;
mod shape;
mod sums;
pub mod token;
mod traffic;

pub use batch::Batch;
pub use layout::Layout;
pub(super) use memory::Memory;
pub use options::{MoeOptions, TOKENS};
pub use row::{Latency, MoeRow, Phase, PhaseRow};
pub use run::run;
pub use shape::{MOST_TOKENS, Shape};
pub use traffic::Traffic;
