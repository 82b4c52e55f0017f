//! `cargo xtask fuzz` runs this.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use soak::fuzz::{TARGETS, corpus, corpus_dir, fuzz};

#[derive(Parser)]
struct Cli {
    /// How long each target is fuzzed
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Where all randomness comes from; a random one if not given. It is printed
    #[arg(long)]
    seed: Option<u64>,
    /// Only the targets whose name contains this
    #[arg(default_value = "")]
    target: String,
}

fn main() -> Result<ExitCode> {
    let cli = Cli::parse();
    let seed = cli.seed.unwrap_or_else(|| fastrand::u64(..));
    // Panics are what is looked for; they are told of once, at the end.
    std::panic::set_hook(Box::new(|_| {}));
    let mut code = ExitCode::SUCCESS;
    println!("--seed {seed}");
    for target in TARGETS.iter().filter(|target| target.name.contains(&cli.target)) {
        let known = corpus(target.name).context("cannot read the corpus")?;
        let outcome = fuzz(target, &known, Duration::from_secs(cli.seconds), seed);
        println!("{:<10} {:>9} inputs, {:>6} shapes", target.name, outcome.runs, outcome.shapes);
        if let Some((input, what)) = outcome.failure {
            let dir = corpus_dir(target.name);
            std::fs::create_dir_all(&dir)?;
            let file = dir.join(format!("{seed:016x}"));
            std::fs::write(&file, &input)?;
            println!(
                "  FAILED: {what:.500}\n  by {:.300?}\n  kept as {}",
                String::from_utf8_lossy(&input),
                file.display()
            );
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}
