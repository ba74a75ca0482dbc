//! Whether the whole way to the server and back works.

use axum::http::HeaderValue;
use proxy_core::operator::{Check, Report};
use reqwest::{Client, Method, StatusCode, header::ACCEPT};
use tokio::time::Instant;

use super::{config::StreamableHttpConfig, requests::MCP_SESSION_ID};
use crate::{
    config::parsed_headers,
    doctor::{check_callback, check_configuration, check_server},
    http_client::HttpClient,
};

/// asyncmcp's default path.
const SERVER_PATH: &str = "/mcp";

/// The session that the server is asked about, which it does not know: to many servers a request without one begins a new session,
/// which nobody would end.
const NO_SESSION: HeaderValue = HeaderValue::from_static("mcp-proxy-doctor");

/// Looks at the configuration, the server, and, where `webhook_url` is set, the way of a callback to this machine. `client` is one of
/// the caller's own for these questions.
pub async fn doctor(config: &StreamableHttpConfig, client: Option<Client>, report: Report<'_, Check>) {
    if !check_configuration(&config.validate(), report) {
        return;
    }
    let mut headers = parsed_headers(&config.headers);
    headers.insert(MCP_SESSION_ID, NO_SESSION);
    match HttpClient::new(config.timeout, headers, client.clone()) {
        Ok(server) => {
            check_server(&server, &config.server_url, SERVER_PATH, report).await;
            check_stream(&server, &config.server_url, report).await;
        }
        Err(error) => report(Check::failed("server", error.to_string(), "see above")),
    }
    match config.callback() {
        Some(callback) => check_callback(&callback, &config.server_url, config.timeout, client, report).await,
        None => report(Check::skipped("callback", "webhook_url is not set, so the server is given none")),
    }
}

/// Whether the server has standalone streams, as far as that shows without a session.
async fn check_stream(server: &HttpClient, url: &str, report: Report<'_, Check>) {
    const SUBJECT: &str = "standalone stream";
    let request = || {
        let request = server.request(Method::GET, url).timeout(server.timeout());
        request.header(ACCEPT, "text/event-stream")
    };
    let Ok(response) = server.send("check", Instant::now(), request).await else {
        return report(Check::skipped(SUBJECT, "the server cannot be asked"));
    };
    report(match response.status() {
        StatusCode::METHOD_NOT_ALLOWED => Check::good(
            SUBJECT,
            "the server has none: what it sends of its own accord comes with answers only",
        ),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Check::failed(
            SUBJECT,
            format!("the server refuses the proxy: HTTP {}", response.status().as_u16()),
            "write the credentials that the server wants under headers",
        ),
        _ => Check::good(SUBJECT, "the server has one for each session, each a connection of its own"),
    });
}
