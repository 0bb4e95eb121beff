//! check
use super::GlobalArgs;
use std::process::ExitCode;
/// check
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct CheckArgs {}
/// # Errors
pub fn run(_: &CheckArgs, _: &GlobalArgs) -> anyhow::Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
