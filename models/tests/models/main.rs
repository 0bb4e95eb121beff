//! Every order in which the threads of each model can take their steps, and everything that the memory model then lets them see.
//!
//! A sleep that nobody ends is a deadlock here, which loom reports. What it does not know is a load that comes after a later
//! store of its thread ("load buffering").

#![expect(clippy::unwrap_used, reason = "a model that panics has failed")]

mod answers;
mod driver;
mod event;
mod gpu_ring;
mod page;
mod proxy;
mod ring;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Runs a model in every order with at most so many switches from a thread that could go on (`None`: any number), and says how many
/// executions that were.
///
/// The model's first thread only starts and joins others: loom lets nobody run between its last start and its next step.
#[track_caller]
fn check(preemptions: Option<usize>, model: impl Fn() + Send + Sync + 'static) {
    let executions = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&executions);
    let mut checker = loom::model::Builder::new();
    // Whoever wants more of it says so: `LOOM_MAX_PREEMPTIONS=4 cargo test -p railtop-models`.
    checker.preemption_bound = checker.preemption_bound.or(preemptions);
    checker.max_branches = 10_000;
    checker.check(move || {
        count.fetch_add(1, Ordering::Relaxed);
        model();
    });
    let name = std::thread::current().name().unwrap_or("a model").to_owned();
    println!("{name}: {} executions", executions.load(Ordering::Relaxed));
}
