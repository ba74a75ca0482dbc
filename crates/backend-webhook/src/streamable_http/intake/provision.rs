//! What the intake needs to be there.

use proxy_core::{
    error::BackendError,
    operator::{Mode, Policy, Report, Step},
};

use super::config::StreamableHttpIntakeConfig;
use crate::intake::by_hand;

/// Says what is the operator's to do: there is nothing to create, and no policy.
///
/// # Errors
/// None.
pub async fn intake_provision(
    config: &StreamableHttpIntakeConfig,
    mode: Mode,
    report: Report<'_, Step>,
) -> Result<Vec<Policy>, BackendError> {
    by_hand(&config.settings(), mode, report);
    Ok(Vec::new())
}
