//! What benchmarks have printed, put together: a page to look at, the same as text, and a comparison of two.
//!
//! ```text
//!  DIR/*.jsonl   bench --format json ──▶ load ──▶ Run ──▶ tables ──▶ text
//!  DIR/*.rec     recordings          ──▶ course ─┘    └─▶ html (charts, tables)
//!                                                  └────▶ compare
//! ```
//!
//! Nothing here measures, and nothing knows who wrote a file: lines are read by their keys, and what is missing stays so.

mod compare;
mod course;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod html;
mod line;
mod load;
mod moe;
mod run;
mod tables;
mod text;

#[cfg(test)]
mod made;

pub use compare::{Comparison, Verdict, compare};
pub use html::page;
pub use load::{LoadError, Report};
pub use text::text;
