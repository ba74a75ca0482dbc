//! `worker`: runs an MCP server behind an async transport until a signal.

use super::{WRONG_USAGE, serve};
use crate::{
    app::{WorkerApp, state_directory},
    config::Inputs,
};

/// Runs the worker.
pub(super) async fn worker(inputs: &Inputs) -> anyhow::Result<u8> {
    let Some(config) = serve::begin(inputs)? else { return Ok(WRONG_USAGE) };
    let state = state_directory(&inputs.variables);
    let building = Box::pin(WorkerApp::build(&config, state.as_deref()));
    serve::until_signalled(building, config.shutdown.grace, |app: WorkerApp, shutdown| {
        if !shutdown.is_cancelled() {
            app.announce();
        }
        Box::pin(app.run(shutdown))
    })
    .await
}
