//! railtop's monitor as a C library: the interface of `include/railtop.h`, which is the reference for everything here.
//!
//! ```text
//! calls (extern "C") ─▶ sampler (thread: Monitor, tick by tick) ─▶ store (what is kept) ─▶ trace (Chrome JSON)
//!   with guard: no panic, no fork                                    names: texts that C may hold on to
//! ```
//!
//! `unsafe` is in `calls` and `sized` alone: what a caller in C points to. All else is safe code that tests call directly.

pub mod abi;
pub mod calls;
mod course;
mod error;
mod guard;
mod labels;
mod names;
mod options;
mod sampler;
mod sized;
mod store;
mod trace;
