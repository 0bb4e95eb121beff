//! What a shell and a reader need: completions and man pages, made from the same flags as the help.

use std::io::{self, Write as _};
use std::process::ExitCode;

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
#[command(after_help = "To read it: railtop man log | man -l -")]
pub struct ManArgs {
    /// Of this command; without, of railtop itself
    pub command: Option<String>,
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
pub fn man(args: &ManArgs, mut program: clap::Command) -> anyhow::Result<ExitCode> {
    program.build();
    let page = match &args.command {
        None => program,
        Some(name) => {
            let Some(command) = program.find_subcommand(name) else {
                let names: Vec<&str> = program.get_subcommands().map(clap::Command::get_name).collect();
                let text = format!("there is no command {name:?}; there are {}", names.join(", "));
                return Err(ExitError::Usage(text).into());
            };
            // The page's name is what one types, and its file's: railtop-log.
            command.clone().name(format!("railtop-{name}")).bin_name(format!("railtop {name}"))
        }
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(page).render(&mut text)?;
    print(&text)
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
