//! cli

pub mod top;

pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
