//! The command line: parse, dispatch, exit code. Commands live in files of their own.

pub mod check;
mod columns;
pub mod exit;
pub mod global;
pub mod interrupt;
pub mod list;
pub mod log;
pub mod source;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use self::global::GlobalArgs;

/// Terminal RDMA traffic monitor for GPU nodes, with its own multi-NIC transport and workload generator.
#[derive(Debug, Parser)]
#[command(name = "railtop", version, max_term_width = 100, arg_required_else_help = false)]
struct Cli {
    #[command(flatten)]
    global: GlobalArgs,
    /// Without a command: top
    #[command(subcommand)]
    command: Option<Command>,
}

/// What it can do. A new command is a line here and a line in [`Cli::run`].
#[derive(Debug, Subcommand)]
enum Command {
    Log(log::LogArgs),
    Check(check::CheckArgs),
    List(list::ListArgs),
}

impl Cli {
    fn run(&self) -> anyhow::Result<ExitCode> {
        let global = &self.global;
        match &self.command {
            None => top(),
            Some(Command::Log(args)) => log::run(args, global),
            Some(Command::Check(args)) => check::run(args, global),
            Some(Command::List(args)) => list::run(args, global),
        }
    }
}

/// The screen.
fn top() -> anyhow::Result<ExitCode> {
    exit::require_terminal()?;
    anyhow::bail!("this build has no screen; use `railtop log`")
}

/// Runs the program with the process's arguments.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => {
            // Help for a closed pipe is no error either.
            let _closed = e.print();
            return ExitCode::from(if e.use_stderr() { exit::USAGE } else { exit::OK });
        }
    };
    cli.run().unwrap_or_else(|e| exit::report(&e))
}
