//! The monitor: sources read raw samples, the model derives rates and balance, screens and logs show them.
//!
//! Knows [`crate::counters`] and never [`crate::transport`].

pub mod model;
pub mod tui;
