//! The MCP proxy: standard MCP clients on one side, an MCP server behind an async transport on the other.

use std::{process::ExitCode, time::Duration};

/// How long blocking work, such as a name lookup, may hold up the end of the process.
const LAST_WAIT: Duration = Duration::from_secs(1);

fn main() -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let code = runtime.block_on(proxy_app::run(std::env::args_os(), std::env::vars_os()));
    runtime.shutdown_timeout(LAST_WAIT);
    Ok(code)
}
