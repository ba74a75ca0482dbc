//! POST: what a client sends, and what it gets for it (2025-11-25, basic/transports, sending messages to the server).

use axum::{
    body::Body as HttpBody,
    http::{HeaderMap, HeaderValue, Response, StatusCode},
};
use proxy_core::{
    Media, Opened, Pending, Principal, Reply,
    id::SessionId,
    message::{Body, Message, Request, RequestId},
    method_label,
};

use super::{
    MODERN_VERSION, Refused, check_version, empty, json, session_id, session_version, stateless, stream,
};
use crate::{
    app::Shared,
    body,
    header::{MCP_PROTOCOL_VERSION, MCP_SESSION_ID},
    media,
    rejection::Rejection,
};

pub(super) async fn post(
    shared: &Shared,
    headers: &HeaderMap,
    body: &mut HttpBody,
    caller: &Principal,
) -> Result<Response<HttpBody>, Refused> {
    let media = media::for_post(headers, shared.strict_accept)?;
    media::check_content_type(headers)?;
    let bytes = body::read(body, shared.max_body).await?;
    let body = Body::parse(bytes).map_err(Rejection::from)?;
    let id = request_id(&body);
    take(shared, headers, caller, body, media).await.map_err(|rejection| Refused { rejection, id })
}

/// Takes what the body holds, now that it can be read.
async fn take(
    shared: &Shared,
    headers: &HeaderMap,
    caller: &Principal,
    body: Body,
    media: Media,
) -> Result<Response<HttpBody>, Rejection> {
    if claims_modern_era(headers, &body) {
        return Err(Rejection::ModernEra);
    }
    check_version(headers)?;
    if shared.stateless {
        return stateless::call(shared, headers, caller, body, media).await;
    }
    let session = session_id(headers)?;
    let messages = match (&session, body) {
        (None, Body::Single(Message::Request(request))) if is_initialize(&request) => {
            record_method(request.method());
            return open(shared, caller, request, media).await;
        }
        (_, Body::Batch(messages)) if messages.iter().any(contains_initialize) => {
            return Err(Rejection::InitializeInBatch);
        }
        (Some(session), Body::Batch(messages)) => {
            if !shared.proxy.version(session, caller)?.has_batches() {
                return Err(Rejection::BatchNotSupported);
            }
            return forward(shared, session, caller, messages, media, Shape::Array).await;
        }
        (_, Body::Single(message)) => {
            message.method().into_iter().for_each(record_method);
            vec![message]
        }
        (None, Body::Batch(_)) => return Err(Rejection::SessionRequired),
    };
    let session = session.ok_or(Rejection::SessionRequired)?;
    forward(shared, &session, caller, messages, media, Shape::Object).await
}

/// How a reply that is JSON is written.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    Object,
    Array,
}

async fn open(
    shared: &Shared,
    caller: &Principal,
    initialize: Request,
    media: Media,
) -> Result<Response<HttpBody>, Rejection> {
    let asked = initialize.requested_version();
    let Opened { session, pending } = shared.proxy.open(caller, initialize, media)?;
    let mut response = match pending.reply(shared.sse_after).await {
        // What the version will be is not known yet: it is what was asked for, or an older one.
        Reply::Stream(events) => stream(shared, events, asked),
        // The session ended with its handshake.
        Reply::Whole(answers) if answers.iter().any(|answer| is_error(answer)) => {
            return Ok(whole(answers, Shape::Object));
        }
        Reply::Whole(answers) => whole(answers, Shape::Object),
    };
    if let Ok(value) = HeaderValue::from_str(session.expose()) {
        response.headers_mut().insert(MCP_SESSION_ID, value);
    }
    Ok(response)
}

async fn forward(
    shared: &Shared,
    session: &SessionId,
    caller: &Principal,
    messages: Vec<Message>,
    media: Media,
    shape: Shape,
) -> Result<Response<HttpBody>, Rejection> {
    let pending: Option<Pending> = shared.proxy.forward(session, caller, messages, media)?;
    let Some(pending) = pending else { return Ok(empty(StatusCode::ACCEPTED)) };
    Ok(match pending.reply(shared.sse_after).await {
        Reply::Whole(answers) => whole(answers, shape),
        Reply::Stream(events) => stream(shared, events, session_version(shared, session, caller)),
    })
}

/// The answers as a JSON body. A request that its client cancelled has none, and 202 is what clients read no body from.
pub(super) fn whole(mut answers: Vec<String>, shape: Shape) -> Response<HttpBody> {
    match (shape, answers.len()) {
        (_, 0) => empty(StatusCode::ACCEPTED),
        (Shape::Object, 1) => json(answers.swap_remove(0)),
        _ => json(format!("[{}]", answers.join(","))),
    }
}

/// Whether a client of the 2026-07-28 era tries its luck, which it also does to find out what era this server is of.
fn claims_modern_era(headers: &HeaderMap, body: &Body) -> bool {
    let claims = |message: &Message| match message {
        Message::Request(request) => request.claims_modern_era(),
        Message::Notification(notification) => notification.claims_modern_era(),
        Message::Response(_) => false,
    };
    headers.get(MCP_PROTOCOL_VERSION).is_some_and(|value| value == MODERN_VERSION)
        || match body {
            Body::Single(message) => claims(message),
            Body::Batch(messages) => messages.iter().any(claims),
        }
}

fn is_initialize(request: &Request) -> bool {
    request.method() == "initialize"
}

pub(super) fn contains_initialize(message: &Message) -> bool {
    matches!(message, Message::Request(request) if is_initialize(request))
}

fn is_error(answer: &str) -> bool {
    matches!(Message::parse(answer), Ok(Message::Response(response)) if response.is_error())
}

fn request_id(body: &Body) -> Option<RequestId> {
    match body {
        Body::Single(Message::Request(request)) => Some(request.id().clone()),
        Body::Single(_) | Body::Batch(_) => None,
    }
}

pub(super) fn record_method(method: &str) {
    tracing::Span::current().record("mcp.method.name", method_label(method));
}
