//! What a person has set: flags before environment before file before default, merged in one place.
//!
//! ```text
//! flags, environment (clap) ──────────────────────────┐
//! place::find ─▶ read ─▶ file::File, with lines ──────┼─▶ settings::Settings ─▶ top, log, check, list, demo
//! defaults, as template::TEMPLATE shows them ─────────┘          ▲
//!                       keep::ConfigKeeper ◀── what was changed on the screen
//! ```

mod error;
mod file;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod keep;
mod place;
mod read;
mod settings;
mod template;
mod value;

pub use self::error::ConfigError;
pub use self::file::GlyphSet;
pub use self::settings::{Given, Settings};
pub use self::template::template;

#[cfg(test)]
mod tests;
