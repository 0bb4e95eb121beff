//! `railtop demo`: lab, all-to-all and monitor in one command.

use std::process::ExitCode;

use super::GlobalArgs;

/// Show the story: one NIC of four, then Rx piled onto one, then all even
#[derive(Debug, Clone, clap::Args)]
pub struct DemoArgs {}

/// Runs the demo.
///
/// # Errors
/// Not yet.
pub fn run(_args: &DemoArgs, _global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not built yet")
}
