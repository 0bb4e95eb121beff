//! What the benchmark is asked to do.

use std::time::Duration;

use super::batch::Batch;
use super::shape::Shape;
use crate::skew::Skew;
use crate::transport::select::PolicyKind;
use crate::workload::WorkloadError;
use crate::workload::options::Initiator;

/// The numbers of tokens of pplx-kernels' benchmark.
pub const TOKENS: [u32; 7] = [1, 4, 8, 16, 32, 64, 128];

/// A benchmark of dispatch and combine.
#[derive(Debug, Clone, PartialEq)]
pub struct MoeOptions {
    /// Layers, one after another.
    pub shapes: Vec<Shape>,
    /// Tokens of each PE, one number after another.
    pub tokens: Vec<u32>,
    /// How likely the experts are.
    pub skew: Skew,
    /// Where routing and content come from.
    pub seed: u64,
    /// Whether rows may travel together.
    pub batch: Batch,
    /// Whether the plain all-to-all is run, too.
    pub alltoall: bool,
    /// Compare every row and every result with the reference.
    pub verify: bool,
    /// Policies, one after another over the same connections.
    pub policies: Vec<PolicyKind>,
    /// How often they are gone through.
    pub rounds: usize,
    /// Timed iterations.
    pub iters: u64,
    /// Iterations before them.
    pub warmup: u64,
    /// Who posts.
    pub initiator: Initiator,
    /// Most blocks of a GPU's threads.
    pub ctas: u32,
    /// How often the meter looks, and the length of the windows in which balance is judged.
    pub window: Duration,
}

impl MoeOptions {
    /// Leaves out the layers that a job of `world` PEs cannot run; says why of each.
    ///
    /// # Errors
    /// When none is left, or there are too few PEs.
    pub fn fit(&mut self, world: u32) -> Result<Vec<String>, WorkloadError> {
        if world < 2 {
            let hint = "start it with `railtop lab -- railtop bench moe`, or any launcher that sets RANK and WORLD_SIZE";
            return Err(WorkloadError::Usage(format!("dispatch and combine need at least 2 PEs: {hint}")));
        }
        let mut reasons = Vec::new();
        self.shapes.retain(|shape| {
            let reason = shape.unfit(world);
            reasons.extend(reason.iter().cloned());
            reason.is_none()
        });
        if self.shapes.is_empty() {
            return Err(WorkloadError::Usage(format!("no configuration to run: {}", reasons.join("; "))));
        }
        Ok(reasons)
    }

    /// Whether kernels post.
    #[must_use]
    pub fn on_gpu(&self) -> bool {
        self.initiator != Initiator::Host
    }

    /// Most blocks of threads that have signal words of their own; 1 with the host.
    #[must_use]
    pub fn blocks(&self) -> u32 {
        if self.on_gpu() { self.ctas.max(1) } else { 1 }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Options of a small run.
    pub(crate) fn options() -> MoeOptions {
        MoeOptions {
            shapes: vec![Shape::E64, Shape::E256],
            tokens: vec![1, 4],
            skew: Skew::Uniform,
            seed: 1,
            batch: Batch::Off,
            alltoall: true,
            verify: true,
            policies: vec![PolicyKind::PairSeq],
            rounds: 1,
            iters: 3,
            warmup: 1,
            initiator: Initiator::Host,
            ctas: 1,
            window: Duration::from_millis(10),
        }
    }

    #[test]
    fn layers_that_a_job_cannot_run_are_left_out() {
        let mut both = options();
        assert_eq!(both.fit(64).unwrap(), Vec::<String>::new());
        assert_eq!(both.shapes.len(), 2);
        let reasons = both.fit(128).unwrap();
        assert!(
            reasons.len() == 1 && reasons[0].contains("64 experts are too few for 128 PEs"),
            "{reasons:?}"
        );
        assert_eq!(both.shapes, [Shape::E256]);
        let error = options().fit(3).unwrap_err().to_string();
        assert!(error.contains("no configuration") && error.contains("256 experts cannot"), "{error}");
        assert!(options().fit(1).unwrap_err().to_string().contains("at least 2 PEs"));
    }
}
