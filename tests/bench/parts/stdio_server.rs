//! A fast MCP server on standard input and output: a line in, a line out, nothing else.

use std::io::{self, BufRead as _, Write as _};

use anyhow::Result;

use super::message::Message;

pub(super) fn run() -> Result<()> {
    let mut output = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        if let Some(answer) = Message::parse(line?.as_bytes())?.answer() {
            output.write_all((answer + "\n").as_bytes())?;
            output.flush()?;
        }
    }
    Ok(())
}
