//! list
use super::GlobalArgs;
use std::process::ExitCode;
/// list
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct ListArgs {}
/// # Errors
pub fn run(_: &ListArgs, _: &GlobalArgs) -> anyhow::Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
