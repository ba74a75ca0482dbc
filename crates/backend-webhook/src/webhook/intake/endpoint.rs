//! One request of a client: checked, handed to the desk, and answered with a receipt.

use std::{sync::Arc, time::SystemTime};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{Method, Response, request::Parts},
    routing::any,
};
use proxy_core::{
    ProtocolVersion, ReplyAddress,
    id::RemoteSession,
    intake::{Arrival, ArrivalEvent, Delivery, Receipt, ReplyTo},
    message::{Message, RequestId},
};

use super::receipt;
use crate::{
    http_client::context_of,
    http_server,
    intake::{Door, Reception, Refusal, single, without_webhook_url},
    webhook::request::name,
};

/// The methods that are taken, as asyncmcp says it.
const ALLOWED: &str = "POST, DELETE";

/// What takes requests.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) reception: Reception,
}

/// What was refused: with the receipt that asyncmcp's clients know, or as a JSON-RPC error about this request.
#[derive(Debug)]
pub(super) enum Refused {
    AsReceipt(Refusal),
    AsError(Refusal, Option<RequestId>),
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self::AsError(refusal, None)
    }
}

pub(super) fn router(endpoint: Endpoint, path: &str) -> Router {
    Router::new().route(path, any(take)).fallback(elsewhere).with_state(Arc::new(endpoint))
}

async fn take(State(endpoint): State<Arc<Endpoint>>, request: Request) -> Response<Body> {
    let (parts, mut body) = request.into_parts();
    match endpoint.take(&parts, &mut body).await {
        Ok(response) => response,
        Err(refused) => {
            http_server::discard(&mut body).await;
            let (Refused::AsReceipt(refusal) | Refused::AsError(refusal, _)) = &refused;
            endpoint.reception.refused(refusal);
            match refused {
                Refused::AsReceipt(refusal) => receipt::error(&refusal),
                Refused::AsError(refusal, id) => refusal.response(id),
            }
        }
    }
}

/// What comes to any other path.
async fn elsewhere(State(endpoint): State<Arc<Endpoint>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    endpoint.reception.elsewhere(&parts, body).await
}

impl Endpoint {
    async fn take(&self, parts: &Parts, body: &mut Body) -> Result<Response<Body>, Refused> {
        self.reception.door.check(parts)?;
        match parts.method {
            Method::POST => self.post(parts, body).await,
            Method::DELETE => self.delete(parts),
            _ => Err(Refusal::method(ALLOWED).into()),
        }
    }

    async fn post(&self, parts: &Parts, body: &mut Body) -> Result<Response<Body>, Refused> {
        Door::check_media(&parts.headers)?;
        let message = self.reception.door.read(body).await?;
        let id = match &message {
            Message::Request(request) => Some(request.id().clone()),
            Message::Notification(_) | Message::Response(_) => None,
        };
        let arrival = arrival(parts, message).map_err(|refusal| Refused::AsError(refusal, id.clone()))?;
        let method = match &arrival.event {
            ArrivalEvent::Message(message) => message.method().map(str::to_owned),
            ArrivalEvent::End => None,
        };
        match self.reception.hand_over(|desk| desk.take(arrival))? {
            Receipt::Opened(session) => Ok(receipt::created(&session)),
            Receipt::Accepted => Ok(receipt::accepted(method.as_deref())),
            Receipt::Ended => Ok(receipt::terminated()),
            Receipt::Refused(refused) => Err(receipt::refused(&refused, method.as_deref(), id)),
        }
    }

    fn delete(&self, parts: &Parts) -> Result<Response<Body>, Refused> {
        let missing = || Refusal::invalid("Missing X-Session-ID header");
        let session = session(parts)?.ok_or_else(missing)?;
        let arrival = Arrival { session: Some(session), ..empty(parts)? };
        match self.reception.hand_over(|desk| desk.take(arrival))? {
            Receipt::Opened(_) | Receipt::Accepted | Receipt::Ended => Ok(receipt::terminated()),
            Receipt::Refused(refused) => Err(receipt::not_ended(&refused)),
        }
    }
}

/// The message of a POST as the desk takes it.
fn arrival(parts: &Parts, message: Message) -> Result<Arrival, Refusal> {
    let mut arrival = empty(parts)?;
    arrival.session = session(parts)?;
    if arrival.client_id.is_none() {
        return Err(Refusal::invalid("Missing X-Client-ID header"));
    }
    let is_initialize = matches!(&message, Message::Request(request) if request.method() == "initialize");
    if let Some(version) = arrival.version.as_deref()
        && ProtocolVersion::parse(version).is_none()
    {
        return Err(Refusal::invalid(format!("Unsupported protocol version: {version:?}")));
    }
    if arrival.session.is_none() && message.method() == Some("notifications/initialized") {
        return Err(Refusal::invalid("Missing X-Session-ID header for initialized notification"));
    }
    let context = arrival.context.as_ref();
    if context.is_some_and(|context| context.end) {
        return Ok(arrival);
    }
    let announced = match context.and_then(|context| context.reply.clone()) {
        Some(ReplyAddress::Url(url)) => Some(url),
        Some(ReplyAddress::Sqs(_) | ReplyAddress::Sns(_)) | None => None,
    };
    let (message, url) = if is_initialize { without_webhook_url(message)? } else { (message, None) };
    let url = if is_initialize { url } else { announced };
    arrival.reply = url.map(|url| ReplyTo::Address(ReplyAddress::Url(url)));
    arrival.event = ArrivalEvent::Message(message);
    Ok(arrival)
}

/// What the envelope of a request says, as the end of a session.
fn empty(parts: &Parts) -> Result<Arrival, Refusal> {
    let headers = &parts.headers;
    Ok(Arrival {
        session: None,
        client_id: single(headers, &name::CLIENT_ID)?.filter(|id| !id.is_empty()).map(Into::into),
        version: single(headers, &name::PROTOCOL_VERSION)?.map(Into::into),
        reply: None,
        context: context_of(headers),
        delivery: Delivery { message_id: None, receive_count: 1, sent: SystemTime::now(), to_owner: false },
        event: ArrivalEvent::End,
    })
}

fn session(parts: &Parts) -> Result<Option<RemoteSession>, Refusal> {
    // an empty one is none to asyncmcp
    let text = single(&parts.headers, &name::SESSION_ID)?.filter(|text| !text.is_empty());
    let session = text.map(RemoteSession::parse).transpose();
    session.map_err(|_| Refusal::invalid("Invalid session ID format"))
}
