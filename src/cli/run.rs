//! `railtop run`: any program, with a counter page for its libfabric traffic.

use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use anyhow::Context as _;

use super::{exit, hook};
use crate::counters::PageDir;

/// The name under which libfabric finds our library (`hook/src/provider.rs`).
const HOOK: &str = "railtop";

/// Run a command whose libfabric traffic is counted: per process and NIC, for `railtop` to show.
///
/// Works with unmodified programs: NVSHMEM, NCCL, NIXL and MPI over libfabric. The command takes this process's place; its
/// exit code is what there is. Under a launcher, put it in front of the program rather than the launcher:
/// `mpirun -n 8 railtop run -- ./program`.
///
/// What it sets can as well be set by hand: FI_HOOK and FI_PROVIDER_PATH, or LD_PRELOAD. RAILTOP_HOOK names the library,
/// RAILTOP_HOOK_OFF=1 turns it off, RAILTOP_HOOK_KEEP=1 keeps the counter page for 30 s after the end.
#[expect(clippy::doc_markdown, reason = "this text is the help in a terminal")]
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct RunArgs {
    /// Through libfabric's own hooks (the default)
    #[arg(long, conflicts_with = "preload")]
    pub hook: bool,

    /// By a library that is preloaded: where libfabric loads no providers from files, or the program clears FI_HOOK
    #[arg(long)]
    pub preload: bool,

    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

/// Becomes the command. Returns only if that fails.
///
/// # Errors
/// When there is no library, or the command cannot be started.
pub fn run(args: &RunArgs) -> anyhow::Result<ExitCode> {
    let file = hook::find()?;
    let (program, arguments) = args.command.split_first().context("no command")?;
    let mut command = Command::new(program);
    command.args(arguments);
    if args.preload {
        let file = hook::preloaded(&file)?;
        command.env("LD_PRELOAD", hook::in_front(file.as_os_str(), env::var_os("LD_PRELOAD").as_deref()));
    } else {
        let dir = hook::provider_dir(&file)?;
        // The variable replaces libfabric's own directory, which has providers in some builds.
        let others = env::var_os("FI_PROVIDER_PATH").filter(|path| !path.is_empty());
        let others = others.or_else(|| hook::default_provider_dir().map(Into::into));
        if others.is_none() {
            exit::say(
                "railtop: no libfabric here says where its own providers are; if the program finds none, name their directory \
                 in FI_PROVIDER_PATH, or use --preload",
            );
        }
        command.env("FI_PROVIDER_PATH", hook::in_front(dir.as_os_str(), others.as_deref()));
        command.env("FI_HOOK", with_ours(env::var_os("FI_HOOK").as_deref()));
    }
    // The program runs all the same, so this is said here, where somebody reads it.
    if let Err(error) = PageDir::create(&PageDir::default_path()) {
        exit::say(&format!("railtop: no counter page, the monitor will not see this program: {error}"));
    }
    let error = command.exec();
    Err(error).with_context(|| format!("cannot run {}", program.display()))
}

/// `FI_HOOK` with our hook among the others.
fn with_ours(others: Option<&OsStr>) -> OsString {
    let Some(others) = others.filter(|others| !others.is_empty()) else { return HOOK.into() };
    if others.as_encoded_bytes().split(|byte| *byte == b';').any(|name| name == HOOK.as_bytes()) {
        return others.to_owned();
    }
    let mut list = OsString::from(HOOK);
    list.push(";");
    list.push(others);
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hook_joins_others_once() {
        assert_eq!(with_ours(None), "railtop");
        assert_eq!(with_ours(Some(OsStr::new("perf"))), "railtop;perf");
        assert_eq!(with_ours(Some(OsStr::new("noop;railtop"))), "noop;railtop");
    }
}
