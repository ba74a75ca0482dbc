//! The operator's own headers for the server.

use std::collections::BTreeMap;

use proxy_core::config::{Problem, Secret};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

/// What HTTP and the protocols set themselves.
const RESERVED: [&str; 21] = [
    "accept",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "last-event-id",
    "mcp-protocol-version",
    "mcp-session-id",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-client-id",
    "x-method",
    "x-protocol-version",
    "x-proxy-context",
    "x-request-id",
    "x-session-id",
];

/// What is wrong with the setting `headers`. No value is repeated: it may be a secret.
pub(crate) fn header_problems(headers: &BTreeMap<String, Secret>) -> Vec<Problem> {
    headers.iter().filter_map(|(name, value)| header(name, value).err()).collect()
}

/// The headers to send, their values marked as what logs must not show. Those that have a problem are left out.
pub(crate) fn parsed_headers(headers: &BTreeMap<String, Secret>) -> HeaderMap {
    headers.iter().filter_map(|(name, value)| header(name, value).ok()).collect()
}

fn header(name: &str, value: &Secret) -> Result<(HeaderName, HeaderValue), Problem> {
    let key = format!("headers.{name}");
    let Ok(parsed) = name.parse::<HeaderName>() else {
        return Err(Problem::new(
            key,
            "is no name that a header can have",
            "write letters, digits and dashes",
        ));
    };
    if RESERVED.contains(&parsed.as_str()) {
        return Err(Problem::new(key, "is a header that the protocol uses itself", "write another name"));
    }
    let ascii = Some(value.expose()).filter(|text| text.is_ascii());
    let Some(mut value) = ascii.and_then(|text| HeaderValue::from_str(text).ok()) else {
        return Err(Problem::new(
            key,
            "has a value that a header cannot have",
            "write visible ASCII characters and spaces",
        ));
    };
    value.set_sensitive(true);
    Ok((parsed, value))
}
