//! Whether the whole way to the server and back works.

use proxy_core::operator::{Check, Report};
use reqwest::Client;

use super::config::WebhookConfig;
use crate::{
    config::parsed_headers,
    doctor::{check_callback, check_configuration, check_server},
    http_client::HttpClient,
};

/// asyncmcp's default path.
const SERVER_PATH: &str = "/mcp/request";

/// Looks at the configuration, the server, and the way of a callback to this machine. `client` as for [`WebhookParts`].
///
/// [`WebhookParts`]: crate::WebhookParts
pub async fn doctor(config: &WebhookConfig, client: Option<Client>, report: Report<'_, Check>) {
    if !check_configuration(&config.validate(), report) {
        return;
    }
    match HttpClient::new(config.timeout, parsed_headers(&config.headers), client.clone()) {
        Ok(server) => check_server(&server, &config.server_url, SERVER_PATH, report).await,
        Err(error) => report(Check::failed("server", error.to_string(), "see above")),
    }
    check_callback(&config.callback(), &config.server_url, config.timeout, client, report).await;
}
