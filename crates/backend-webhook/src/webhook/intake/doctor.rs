//! Whether requests could come in here.

use proxy_core::operator::{Check, Report};
use reqwest::Client;

use super::config::WebhookIntakeConfig;
use crate::{doctor::check_configuration, intake::check_intake};

/// Looks at the configuration and the address that is to be listened on. `client` as for [`WebhookIntakeParts`].
///
/// [`WebhookIntakeParts`]: crate::WebhookIntakeParts
pub async fn intake_doctor(config: &WebhookIntakeConfig, client: Option<Client>, report: Report<'_, Check>) {
    if check_configuration(&config.validate(), report) {
        check_intake(&config.settings(), client, report).await;
    }
}
