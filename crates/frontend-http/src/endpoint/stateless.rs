//! POST without a session (`stateless = true`): each request is served by itself.
//!
//! As the official SDK servers have it: no session id is given out, and one that comes along is ignored, since nothing depends on it
//! and a client that still has one from before would otherwise be sent to initialize for nothing. The revision is what the version
//! header says (2025-06-18, basic/transports, protocol version header). A stream has no event ids: there is nowhere to resume it.

use axum::{
    body::Body as HttpBody,
    http::{HeaderMap, Response, StatusCode},
};
use proxy_core::{Media, Principal, ProtocolVersion, Reply, message::Body};

use super::{
    empty,
    post::{Shape, contains_initialize, record_method, whole},
};
use crate::{
    app::Shared,
    header::MCP_PROTOCOL_VERSION,
    rejection::Rejection,
    sse::{self, Opening},
};

/// Takes what the body holds, once its version header was checked.
pub(super) async fn call(
    shared: &Shared,
    headers: &HeaderMap,
    caller: &Principal,
    body: Body,
    media: Media,
) -> Result<Response<HttpBody>, Rejection> {
    let version = version(headers);
    let (messages, shape) = match body {
        Body::Single(message) => {
            message.method().into_iter().for_each(record_method);
            (vec![message], Shape::Object)
        }
        Body::Batch(messages) if messages.iter().any(contains_initialize) => {
            return Err(Rejection::InitializeInBatch);
        }
        Body::Batch(_) if !version.has_batches() => return Err(Rejection::BatchNotSupported),
        Body::Batch(messages) => (messages, Shape::Array),
    };
    let pending = shared.proxy.call(caller, version, messages, media)?;
    let Some(pending) = pending else { return Ok(empty(StatusCode::ACCEPTED)) };
    Ok(match pending.reply(shared.sse_after).await {
        Reply::Whole(answers) => whole(answers, shape),
        Reply::Stream(events) => sse::response(events, Opening::Anonymous, shared.metrics.open_stream()),
    })
}

/// The revision that the client speaks.
fn version(headers: &HeaderMap) -> ProtocolVersion {
    let named = headers.get(MCP_PROTOCOL_VERSION).and_then(|value| value.to_str().ok());
    named.and_then(ProtocolVersion::parse).unwrap_or(ProtocolVersion::ASSUMED)
}
