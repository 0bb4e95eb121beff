//! railtop: a terminal RDMA traffic monitor with its own multi-NIC transport and workload generator.
//!
//! The rooms and which may know which are described in `ARCHITECTURE.md`:
//! `monitor` never imports `transport` and `transport` never imports `monitor`; both know
//! [`counters`], the shared-memory page that lies between them.

pub mod balance;
pub mod chance;
pub mod cli;
mod futex;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
pub mod lab;
pub mod monitor;
mod on_drop;
pub mod report;
pub mod sim;
pub mod skew;
pub mod stats;
mod sync;
pub mod text;
pub mod transport;
pub mod units;
#[cfg(test)]
mod vision;
pub mod windows;
pub mod workload;

pub use ::counters;
