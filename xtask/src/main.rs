//! Development tasks: `cargo xtask --help` lists them.
#![expect(clippy::print_stdout, reason = "a task's report is what it is run for")]

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod bench;
mod features;
mod invocation;
mod setup;
mod test;
mod tidy;
mod workspace;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Development tasks of the MCP async transport proxy")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Measure speed and memory, and write target/bench.json
    Bench {
        /// A short run, to compare two builds by
        #[arg(long)]
        quick: bool,
        /// Only some of: http, hybrid, webhook, sqs, snssqs, worker, asyncmcp, memory, program
        #[arg(long, value_delimiter = ',')]
        only: Vec<String>,
        /// Write the figures of a whole run into docs/BENCHMARKS.md
        #[arg(long)]
        record: bool,
    },
    /// Install under target/ what the tests need: Python and Node packages, cargo-deny, cargo-hack
    Setup,
    /// Set up and run every check and test
    Test {
        /// Also run what is too long for CI
        #[arg(long)]
        full: bool,
    },
    /// Check the rules of this repository that no other tool knows
    Tidy,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().task {
        Task::Bench { quick, only, record } => bench::run(quick, &only, record),
        Task::Setup => setup::run(),
        Task::Test { full } => test::run(full),
        Task::Tidy => tidy::run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            println!("{problem:#}");
            ExitCode::FAILURE
        }
    }
}
