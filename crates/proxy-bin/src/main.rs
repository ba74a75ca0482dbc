//! The MCP proxy: standard MCP clients on one side, an MCP server behind an async transport on the other.

use std::process::ExitCode;

fn main() -> anyhow::Result<ExitCode> {
    if let Some(code) = proxy_app::helper(std::env::args_os()) {
        return Ok(code);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let code = runtime.block_on(proxy_app::run(std::env::args_os(), std::env::vars_os()));
    // Blocking work must not hold up the end: a name lookup, or the read of a standard input on which nothing comes.
    runtime.shutdown_background();
    Ok(code)
}
