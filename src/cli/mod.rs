//! The command line: parse, dispatch, exit code. Commands live in files of their own.

pub mod bench;
pub mod check;
mod columns;
pub mod config;
pub mod demo;
pub mod exit;
pub mod export;
mod files;
mod fleet;
pub mod global;
pub mod hook;
pub mod interrupt;
pub mod lab;
pub mod list;
pub mod log;
pub mod manual;
pub mod pe;
pub mod replay;
mod report;
pub mod run;
mod sim;
pub mod source;
pub mod top;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Args as _, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use self::config::{Given, Settings};
pub use self::global::GlobalArgs;
use crate::counters::PageDir;
use crate::monitor::Sampler;
use crate::monitor::record::Status;

/// Terminal RDMA traffic monitor for GPU nodes, with its own multi-NIC transport and workload generator.
#[derive(Debug, Parser)]
#[command(name = "railtop", version, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    global: GlobalArgs,
    /// Print the configuration file with all defaults, commented
    #[arg(long, conflicts_with = "print_keys")]
    print_config: bool,
    /// Print the commands of the screen with their keys, as the configuration file binds them
    #[arg(long)]
    print_keys: bool,
    /// Print a completion script for a shell, as `completions` does
    #[arg(long, value_name = "SHELL", conflicts_with_all = ["print_config", "print_keys", "generate_man"])]
    generate_completions: Option<clap_complete::Shell>,
    /// Print the man page of railtop; with a directory, write those of all commands into it
    #[arg(
        long,
        value_name = "DIR",
        num_args = 0..=1,
        require_equals = true,
        conflicts_with_all = ["print_config", "print_keys"]
    )]
    #[expect(clippy::option_option, reason = "clap's type of a flag whose value may be left out")]
    generate_man: Option<Option<PathBuf>>,
    /// Without a command, the flags of `top`.
    #[command(flatten)]
    top: TopCommand,
    /// Without a command: top
    #[command(subcommand)]
    command: Option<Command>,
}

/// What it can do. A new command is a line here and a line in [`Cli::run`].
#[derive(Debug, Subcommand)]
enum Command {
    Top(TopCommand),
    Log(log::LogArgs),
    Check(check::CheckArgs),
    List(list::ListArgs),
    Replay(replay::ReplayArgs),
    Export(export::ExportArgs),
    Bench(bench::BenchArgs),
    Lab(lab::LabArgs),
    Run(run::RunArgs),
    Demo(demo::DemoArgs),
    Report(report::ReportArgs),
    Compare(report::CompareArgs),
    Sim(sim::SimArgs),
    Completions(manual::CompletionsArgs),
    Man(manual::ManArgs),
}

/// Show the traffic of every NIC, live (the default)
#[derive(Debug, clap::Args)]
struct TopCommand {
    #[command(flatten)]
    screen: top::TopArgs,
    #[command(flatten)]
    selection: source::Selection,
    #[command(flatten)]
    fleet: fleet::FleetArgs,
    /// Record all that is read to this file, for `railtop replay` and `railtop export`
    #[arg(long, value_name = "FILE", conflicts_with_all = ["synthetic", "remote", "nodes_from_slurm"])]
    record: Option<PathBuf>,
}

impl Cli {
    fn run(self) -> anyhow::Result<ExitCode> {
        let global = &self.global;
        if self.print_config {
            return manual::print(config::template().as_bytes());
        }
        if self.print_keys {
            let settings = Settings::load(global, &Given::default())?;
            return manual::print(settings.keymap.listing().as_bytes());
        }
        if let Some(shell) = self.generate_completions {
            return manual::completions(manual::CompletionsArgs { shell }, Cli::command());
        }
        if let Some(dir) = &self.generate_man {
            return manual::all_pages(dir.as_deref(), Cli::command());
        }
        if let None | Some(Command::Top(_) | Command::Log(_) | Command::Check(_) | Command::List(_)) =
            self.command
        {
            files::allow_many();
        }
        match self.command {
            None => top(&self.top, global),
            Some(Command::Top(args)) => top(&args, global),
            Some(Command::Log(args)) => log::run(&args, global),
            Some(Command::Check(args)) => check::run(&args, global),
            Some(Command::List(args)) => list::run(&args, global),
            Some(Command::Replay(args)) => replay::run(&args, global),
            Some(Command::Export(args)) => export::run(&args, global),
            Some(Command::Bench(args)) => bench::run(&args),
            Some(Command::Lab(args)) => lab::run_with_page_dir(args, Some(PageDir::default_path())),
            Some(Command::Run(args)) => run::run(&args),
            Some(Command::Demo(args)) => demo::run(&args, global),
            Some(Command::Report(args)) => report::run(&args),
            Some(Command::Compare(args)) => report::compare(&args),
            Some(Command::Sim(args)) => sim::run(&args),
            Some(Command::Completions(args)) => manual::completions(args, Cli::command()),
            Some(Command::Man(args)) => manual::man(&args, Cli::command()),
        }
    }
}

/// The screen, fed by a sampler thread.
fn top(args: &TopCommand, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let given = Given { screen: args.screen.clone(), selection: args.selection.clone(), ..Given::default() };
    if args.fleet.is_wanted() {
        return fleet::run(&args.fleet, &Settings::load(global, &given)?);
    }
    if args.fleet.once.is_some() {
        let text = "--once goes with --remote or --nodes-from-slurm; of this machine `railtop log -n 2` says as much";
        return Err(exit::ExitError::Usage(text.to_owned()).into());
    }
    exit::require_terminal()?;
    let settings = Settings::load(global, &given)?;
    crate::monitor::tui::watch_panics();
    let mut sampler = Sampler::start(settings.monitor())?;
    if let Some(path) = &args.record {
        sampler.start_recording(path)?;
    }
    let code = top::run(&settings, args.screen.synthetic, &mut sampler)?;
    // The screen has told it as well, but it is gone. So may be the terminal, which is no reason to panic.
    if let Some(status) = sampler.recording() {
        let Status { path, bytes, ticks, error } = status;
        let text = match error {
            Some(error) => format!("{error}; the recording had ended"),
            None => format!("{ticks} ticks, {bytes} bytes recorded in {}", path.display()),
        };
        exit::say(&format!("railtop: {text}"));
    }
    Ok(code)
}

/// Runs the program with the process's arguments.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match parse() {
        Ok(cli) => cli,
        Err(e) => {
            // Help for a closed pipe is no error either.
            let _closed = e.print();
            return ExitCode::from(if e.use_stderr() { exit::USAGE } else { exit::OK });
        }
    };
    cli.run().unwrap_or_else(|e| exit::report(&e))
}

/// Reads the command line. Flags of the screen stand where a command could, so those in front of one are refused by hand.
fn parse() -> Result<Cli, clap::Error> {
    let matches = Cli::command().try_get_matches()?;
    if let Some(name) = matches.subcommand_name() {
        let screen = TopCommand::augment_args(clap::Command::new("top"));
        let given =
            |arg: &&clap::Arg| matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine);
        if let Some(arg) = screen.get_arguments().find(given) {
            let flag = arg.get_long().unwrap_or(arg.get_id().as_str());
            let text = format!(
                "--{flag} is a flag of `railtop top`; give the flags of `railtop {name}` behind its name\n"
            );
            return Err(Cli::command().error(ErrorKind::ArgumentConflict, text));
        }
    }
    Cli::from_arg_matches(&matches)
}
