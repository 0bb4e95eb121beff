//! The line of JSON that says how evenly one direction was shared (contract): of what ran, and of what was simulated.

use std::time::Duration;

use serde::Serialize;

use crate::balance::{Direction, Spread};

/// The line.
#[derive(Debug, Serialize)]
pub struct BalanceLine<'a> {
    r#type: &'static str,
    policy: &'a str,
    direction: Direction,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_over_mean: Option<f64>,
    active_nics: usize,
    nics: usize,
    window_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    p99_window_max_over_mean: Option<f64>,
}

impl<'a> BalanceLine<'a> {
    /// Of the `worst` PE, where anything moved, else of one with so many `nics`; in windows of a length the 99th percentile.
    #[must_use]
    pub fn of(
        policy: &'a str,
        direction: Direction,
        worst: Option<Spread>,
        nics: usize,
        window: Duration,
        window_p99: Option<f64>,
    ) -> Self {
        Self {
            r#type: "balance",
            policy,
            direction,
            max_over_mean: worst.and_then(|spread| spread.max_over_mean),
            active_nics: worst.map_or(0, |spread| spread.active_nics),
            nics: worst.map_or(nics, |spread| spread.nics),
            window_ms: window.as_secs_f64() * 1e3,
            p99_window_max_over_mean: window_p99,
        }
    }
}
