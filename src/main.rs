fn main() -> std::process::ExitCode {
    railtop::cli::main()
}
