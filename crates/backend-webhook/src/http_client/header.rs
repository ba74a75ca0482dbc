//! Headers whose values come from messages.

use proxy_core::ProxyContext;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

/// What our two ends tell each other.
pub(crate) const X_PROXY_CONTEXT: HeaderName = HeaderName::from_static("x-proxy-context");
/// The method of a request or notification, as asyncmcp has it beside the message.
pub(crate) const X_METHOD: HeaderName = HeaderName::from_static("x-method");
/// The id of a request, as asyncmcp has it beside the message.
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest value that is taken from a message into a header: requests with large heads are refused as a whole.
const LONGEST_VALUE: usize = 256;

/// What the peer says beside a message; `None` from one that knows none of our extensions.
pub(crate) fn context_of(headers: &HeaderMap) -> Option<ProxyContext> {
    ProxyContext::parse(headers.get(X_PROXY_CONTEXT)?.to_str().ok()?)
}

/// A value that a header cannot carry is left out.
pub(crate) fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if !value.is_empty()
        && value.trim() == value
        && value.bytes().all(|byte| (0x20..=0x7e).contains(&byte))
        && let Ok(value) = HeaderValue::from_str(value)
    {
        headers.insert(name, value);
    }
}

/// The same for a method or an id, which is of whatever length its sender chose.
pub(crate) fn put_short(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if value.len() <= LONGEST_VALUE {
        put(headers, name, value);
    }
}
