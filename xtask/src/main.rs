//! Development tasks: `cargo xtask --help` lists them.
#![expect(clippy::print_stdout, reason = "a task's report is what it is run for")]

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod bench;
mod demo;
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
        /// Only some of: http, hybrid, webhook, sqs, snssqs, memory, program
        #[arg(long, value_delimiter = ',')]
        only: Vec<String>,
        /// Write the figures of a whole run into docs/BENCHMARKS.md
        #[arg(long)]
        record: bool,
    },
    /// Start a real asyncmcp server and the proxy, and make a call through them
    Demo {
        /// What lies between them
        #[arg(long, value_enum, default_value_t = demo::Backend::Sqs)]
        backend: demo::Backend,
        /// Where the proxy listens on 127.0.0.1
        #[arg(long, default_value_t = 8080)]
        port: u16,
        /// End after the call
        #[arg(long)]
        once: bool,
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
        Task::Demo { backend, port, once } => demo::run(backend, port, once),
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
