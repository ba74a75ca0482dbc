//! The bench: what a call through the proxy costs in time, memory and SQS API calls, beside the targets.
//!
//! `cargo xtask bench` builds and runs it. Whatever is measured runs as a process of its own, this program again under the name
//! of a part, so that memory and CPU time are those of the part alone.

mod figure;
mod machine;
mod measure;
mod part;
mod parts;
mod plan;
mod usage;

use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::Result;
use clap::Parser;

use self::{figure::Report, machine::Machine, measure::Measured, parts::Role, plan::Plan};

#[derive(Debug, Parser)]
#[command(name = "bench", about = "Measures the proxy")]
struct Arguments {
    /// A short run: fewer and shorter rounds, fewer sessions
    #[arg(long)]
    quick: bool,
    /// Measure only these: http, hybrid, webhook, sqs, snssqs, worker, asyncmcp, memory, program
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    only: Vec<Measured>,
    /// The release build of proxy-bin; without it only what needs none is measured
    #[arg(long, value_name = "FILE")]
    proxy: Option<PathBuf>,
    /// Where the figures are written as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Where the tables are written, as Markdown
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Be this part of a measurement, and end with standard input
    #[arg(long, hide = true)]
    part: Option<Role>,
    /// What `cargo bench` passes of its own accord
    #[arg(long, hide = true)]
    bench: bool,
    #[command(flatten)]
    of_part: parts::Arguments,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    match arguments.part {
        Some(role) => parts::run(role, &arguments.of_part),
        None => {
            tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(bench(&arguments))
        }
    }
}

async fn bench(arguments: &Arguments) -> Result<()> {
    let mut report = Report::new(Machine::look()?, arguments.quick);
    let plan = if arguments.quick { Plan::quick() } else { Plan::full() };
    for measured in Measured::ALL {
        if arguments.only.is_empty() || arguments.only.contains(&measured) {
            measured.run(&plan, arguments.proxy.as_deref(), &mut report).await?;
        }
    }
    let tables = report.to_markdown();
    write!(std::io::stdout(), "\n{tables}")?;
    if let Some(path) = &arguments.json {
        write_file(path, &report.to_json()?)?;
    }
    if let Some(path) = &arguments.markdown {
        write_file(path, &tables)?;
    }
    Ok(())
}

fn write_file(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text)?;
    writeln!(std::io::stdout(), "\nwritten to {}", path.display())?;
    Ok(())
}
