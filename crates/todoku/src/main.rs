//! `todoku`: see `todoku --help`.

use std::process::ExitCode;

use clap::Parser;

/// Many small tasks allocate at once; the system's allocator keeps what they free.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    match todoku::run(todoku::cli::Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("todoku: {error:#}");
            ExitCode::FAILURE
        }
    }
}
