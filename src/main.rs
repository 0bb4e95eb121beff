//! The `railtop` program; everything is in the library.

fn main() -> std::process::ExitCode {
    railtop::cli::main()
}
