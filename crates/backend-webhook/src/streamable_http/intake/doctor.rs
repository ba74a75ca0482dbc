//! Whether requests could come in here.

use proxy_core::operator::{Check, Report};
use reqwest::Client;

use super::config::StreamableHttpIntakeConfig;
use crate::{doctor::check_configuration, intake::check_intake};

/// Looks at the configuration and the address that is to be listened on. `client` as for [`StreamableHttpIntakeParts`].
///
/// [`StreamableHttpIntakeParts`]: crate::StreamableHttpIntakeParts
pub async fn intake_doctor(
    config: &StreamableHttpIntakeConfig,
    client: Option<Client>,
    report: Report<'_, Check>,
) {
    if check_configuration(&config.validate(), report) {
        check_intake(&config.settings(), client, report).await;
        let subject = "webhook tools";
        report(match config.webhook_tools.len() {
            0 => Check::skipped(subject, "every answer comes on its response"),
            count => {
                Check::good(subject, format!("answers of {count} are posted to clients that name a webhook"))
            }
        });
    }
}
