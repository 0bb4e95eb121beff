//! Rates and balance, derived from samples.

pub mod view;
