//! The jobs of `examples/` under a real Slurm, whose nodes are those of a lab, with NICs of their own and a limited rate.
//!
//! What runs on GPUs is not here: for NVSHMEM's programs something stands in that prints what they print.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod cluster;
mod ending;
mod examples;
mod fleet;
mod job;
mod nvshmem;
mod steps;
