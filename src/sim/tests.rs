//! The model against what must be, whatever the parameters; and against what was published and measured.

mod laws;
mod published;
mod scale;

use std::ops::ControlFlow;

use super::engine::run;
use super::outcome::Outcome;
use super::scene::Scene;
use super::traffic::Traffic;
use crate::transport::select::PolicyKind;

/// A run that nobody ends.
fn go(scene: &Scene, traffic: &impl Traffic, policy: PolicyKind) -> Outcome {
    run(scene, traffic, policy, &mut |_| ControlFlow::Continue(())).unwrap()
}
