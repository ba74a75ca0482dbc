//! The SQS emulator as a program, for the demo and for trying things out.

use std::{net::SocketAddr, process::ExitCode};

use clap::Parser;
use testkit::emulator::Emulator;

/// An SQS emulator in one process: it keeps nothing, takes any credentials, and listens until it is stopped.
#[derive(Debug, Parser)]
#[command(after_help = "Example:\n  sqs-emulator --listen 127.0.0.1:4566 --queue requests --queue responses")]
struct Arguments {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:4566")]
    listen: SocketAddr,
    /// A queue to create. Its URL is printed, one a line.
    #[arg(long = "queue", value_name = "NAME")]
    queues: Vec<String>,
}

#[tokio::main]
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "this is what a program prints on")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let emulator = match Emulator::bind(arguments.listen).await {
        Ok(emulator) => emulator,
        Err(error) => {
            eprintln!("cannot listen on {}: {error}: choose another address with --listen", arguments.listen);
            return ExitCode::FAILURE;
        }
    };
    for name in &arguments.queues {
        match emulator.create_queue(name, &[]) {
            Ok(url) => println!("{url}"),
            Err(error) => {
                eprintln!("cannot create the queue {name}: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    println!("ready");
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
    ExitCode::SUCCESS
}
