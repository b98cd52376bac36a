fn main() -> std::process::ExitCode {
    tradepost::cli::run()
}
