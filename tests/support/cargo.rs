//! Cargo, as a test calls it.

use std::process::Command;

/// Cargo without what it has told this test of its package.
///
/// Build scripts look at some of that (ring's does), and cargo runs them again where it differs: then everything that depends on
/// them is built anew, by this command and once more by whoever calls cargo next without it.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env!("CARGO"));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if ["CARGO_MANIFEST_", "CARGO_PKG_"].iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    command
}
