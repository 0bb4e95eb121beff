//! The rules for dependencies can fail. That they hold, `make lint` checks.

use std::fs;

use crate::{command, root, said};

/// What `scripts/deny.sh` says of rules in which one line is another: exit code, and all its output.
fn deny(line: &str, replacement: &str) -> Option<(bool, String)> {
    let fetched = command("scripts/fetch-cargo-deny.sh").output().unwrap();
    if !fetched.status.success() {
        eprintln!("skipped: no cargo-deny: {}", said(&fetched));
        return None;
    }
    let rules = fs::read_to_string(root().join("deny.toml")).unwrap();
    assert_eq!(rules.matches(line).count(), 1, "deny.toml has changed");
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("deny.toml");
    fs::write(&config, rules.replace(line, replacement)).unwrap();
    let output = command("scripts/deny.sh").arg(&config).env_remove("RAILTOP_ADVISORIES").output().unwrap();
    Some((output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned() + &said(&output)))
}

#[test]
fn a_licence_that_is_not_allowed_is_an_error() {
    if let Some((passed, said)) = deny("\"ISC\", ", "") {
        assert!(!passed && said.contains("license = \"ISC\"") && said.contains("licenses FAILED"), "{said}");
    }
}

#[test]
fn a_registry_that_is_not_known_is_an_error() {
    let only = "[sources]\nallow-registry = [\"https://registry.invalid/index\"]\n";
    if let Some((passed, said)) = deny("[sources]\n", only) {
        assert!(!passed && said.contains("sources FAILED"), "{said}");
    }
}
