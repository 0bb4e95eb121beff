//! What users get in place of a checkout: the Debian package, the crates, and what the program prints for shells and `man`.

#![expect(clippy::unwrap_used, reason = "a helper of a test that fails, fails the test")]

mod crates;
mod deb;
mod dependencies;
mod licences;
mod manual;
mod recipes;

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The checkout.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A program that works in the checkout.
fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root()).stdin(Stdio::null());
    command
}

/// The program under test, which no setting of the machine reaches.
fn railtop(args: &[&str]) -> Output {
    let mut railtop = command(env!("CARGO_BIN_EXE_railtop"));
    let ours = std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("RAILTOP_"));
    for (name, _) in ours {
        railtop.env_remove(name);
    }
    railtop.args(args).output().unwrap()
}

/// What a command printed, once it has ended well.
#[track_caller]
fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{}: {}", output.status, said(output));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What a command said on stderr.
fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim().to_owned()
}

/// Whether a program is there at all.
fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").stdin(Stdio::null()).output().is_ok()
}
