//! The multi-NIC transport: symmetric heap, one-sided puts with signals, a proxy that owns the NICs.
//!
//! Knows [`crate::counters`] and never [`crate::monitor`].

pub mod absent;
pub mod answers;
pub mod atomic;
pub mod bootstrap;
pub mod error;
pub mod event;
pub mod fabric;
pub mod fault;
pub mod gpu;
pub mod group;
pub mod heap;
pub mod incident;
pub mod nic;
mod on_node;
pub mod pe;
pub mod proxy;
pub mod ranks;
pub mod ring;
pub mod select;
pub mod signal;
pub mod silence;
pub mod wire;
