//! `railtop log`, `check`, `list` and `export` as a user runs them, on trees in `tests/fixtures/sys` and on trees the test drives.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a helper of a test that fails, fails the test")]

mod check;
mod events;
mod export;
#[path = "../support/exporters.rs"]
mod exporters;
#[path = "../support/fault.rs"]
mod fault;
mod fleet;
#[path = "../support/http.rs"]
mod http;
mod list;
#[path = "../support/look.rs"]
mod look;
mod output;
mod pages;
mod panics;
#[path = "../support/port.rs"]
mod port;
#[path = "../support/program.rs"]
mod program;
mod support;
mod usage;
mod values;
