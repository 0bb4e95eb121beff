//! What a shell and a reader need: completions and man pages, made from the same flags as the help.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap_complete::Shell;

use super::exit::{self, ExitError};

/// Print a completion script for a shell
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::Args)]
#[command(
    after_help = "For bash: railtop completions bash > ~/.local/share/bash-completion/completions/railtop"
)]
pub struct CompletionsArgs {
    /// Which shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Print a man page
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
#[command(after_help = "To read it: railtop man bench put | man -l -
All of them as files: railtop --generate-man=DIR")]
pub struct ManArgs {
    /// Of this command; without, of railtop itself
    pub command: Vec<String>,
}

/// Prints the script.
///
/// # Errors
/// When it cannot be written.
pub fn completions(args: CompletionsArgs, mut program: clap::Command) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut program, "railtop", &mut script);
    print(&script)
}

/// Prints the page.
///
/// # Errors
/// When there is no such command, or the page cannot be written.
pub fn man(args: &ManArgs, program: clap::Command) -> anyhow::Result<ExitCode> {
    let mut command = &built(program);
    for name in &args.command {
        command = command.find_subcommand(name).ok_or_else(|| no_such_command(command, name))?;
    }
    print(&page(command)?)
}

/// Writes the pages of the program and of all its commands into a directory that is there, each under the name by which `man` finds
/// it; without a directory, prints the program's.
///
/// # Errors
/// When a page cannot be written; says which.
pub fn all_pages(dir: Option<&Path>, program: clap::Command) -> anyhow::Result<ExitCode> {
    let program = built(program);
    let Some(dir) = dir else { return print(&page(&program)?) };
    let mut commands = vec![&program];
    while let Some(command) = commands.pop() {
        let path = dir.join(format!("{}.1", page_name(command)));
        fs::write(&path, page(command)?)
            .with_context(|| format!("cannot write the man page {}", path.display()))?;
        commands.extend(command.get_subcommands());
    }
    Ok(ExitCode::SUCCESS)
}

/// The command with all that clap adds to it, but without `help`, which has no page.
fn built(program: clap::Command) -> clap::Command {
    let mut program = program.disable_help_subcommand(true);
    program.build();
    program
}

/// What one types after `man`, and what the file is called: `railtop-bench-put`.
fn page_name(command: &clap::Command) -> String {
    command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned()
}

fn page(command: &clap::Command) -> anyhow::Result<Vec<u8>> {
    let mut text = Vec::new();
    clap_mangen::Man::new(command.clone().name(page_name(command)))
        .source(concat!("railtop ", env!("CARGO_PKG_VERSION")))
        .manual("railtop")
        .render(&mut text)?;
    Ok(text)
}

fn no_such_command(of: &clap::Command, name: &str) -> ExitError {
    let names: Vec<&str> = of.get_subcommands().map(clap::Command::get_name).collect();
    let whose = of.get_bin_name().unwrap_or_else(|| of.get_name());
    ExitError::Usage(if names.is_empty() {
        format!("{whose} has no commands, so there is no {name:?}")
    } else {
        format!("there is no command {name:?} of {whose}; there are {}", names.join(", "))
    })
}

/// Writes to standard output; a reader that has enough is no error.
///
/// # Errors
/// When it cannot be written otherwise.
pub fn print(bytes: &[u8]) -> anyhow::Result<ExitCode> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(exit::output_error)?;
    Ok(ExitCode::SUCCESS)
}
