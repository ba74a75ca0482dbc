//! What the backend needs to be there.

use proxy_core::{
    error::BackendError,
    operator::{Change, Mode, Policy, Report, Step},
};

use super::config::StreamableHttpConfig;
use crate::provision::by_hand;

/// Says what is the operator's to do: there is nothing to create, and no policy.
///
/// # Errors
/// None.
pub async fn provision(
    config: &StreamableHttpConfig,
    mode: Mode,
    report: Report<'_, Step>,
) -> Result<Vec<Policy>, BackendError> {
    if let Some(callback) = config.callback() {
        by_hand(&callback, &config.server_url, mode, report);
        return Ok(Vec::new());
    }
    let detail = match mode {
        Mode::Destroy => "nothing was created",
        Mode::Apply | Mode::DryRun => {
            "let this machine reach it; without webhook_url nothing comes the other way"
        }
    };
    report(Step::new(Change::ByHand, "server", config.server_url.as_str()).with_detail(detail));
    Ok(Vec::new())
}
