//! A message of a client, and the response that it gets.

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, Response, StatusCode, header, request::Parts},
};
use futures_util::FutureExt as _;
use proxy_core::{
    ReplyAddress,
    id::RemoteSession,
    intake::{Arrival, ArrivalEvent, Receipt, Refused, ReplyTo, Taken},
    message::{self, ErrorObject, Message, Request, RequestId, code},
};
use tokio::time::timeout;

use super::{
    endpoint::{Endpoint, Refusing, accepts, check_version, envelope, named, not_acceptable, refusal},
    sse,
    streams::{MOST, Outgoing, Reader},
};
use crate::{
    http_client::{X_PROXY_CONTEXT, put},
    intake::{Door, Refusal, without_webhook_url},
    streamable_http::requests::MCP_SESSION_ID,
};

impl Endpoint {
    /// Takes a POST (basic/transports, sending messages to the server).
    pub(super) async fn post(&self, parts: &Parts, body: &mut Body) -> Result<Response<Body>, Refusing> {
        let nameless = |refusal| (refusal, None);
        let headers = &parts.headers;
        if !accepts(headers, "application/json") || !accepts(headers, "text/event-stream") {
            let sentence = "Not Acceptable: Client must accept both application/json and text/event-stream";
            return Err(nameless(not_acceptable(sentence)));
        }
        Door::check_media(headers).map_err(nameless)?;
        match self.reception.door.read(body).await.map_err(nameless)? {
            Message::Request(request) => {
                let id = request.id().clone();
                self.request(parts, request).await.map_err(|refusal| (refusal, Some(id)))
            }
            other => self.other(parts, other).map_err(nameless),
        }
    }

    /// A notification, or an answer to a request of the server's.
    fn other(&self, parts: &Parts, message: Message) -> Result<Response<Body>, Refusal> {
        let session = named(parts)?;
        check_version(&parts.headers)?;
        let cancelled = match &message {
            Message::Notification(notification) => notification.cancelled_id(),
            Message::Request(_) | Message::Response(_) => None,
        };
        let arrival = Arrival {
            session: Some(session.clone()),
            event: ArrivalEvent::Message(message),
            ..envelope(&parts.headers)?
        };
        if let Receipt::Refused(refused) = self.reception.hand_over(|desk| desk.take(arrival))? {
            return Err(refusal(&refused));
        }
        if let Some(request) = cancelled {
            self.responses.cancel(&session, &request);
        }
        Ok(accepted())
    }

    async fn request(&self, parts: &Parts, request: Request) -> Result<Response<Body>, Refusal> {
        if request.method() == "initialize" {
            return self.initialize(&parts.headers, request).await;
        }
        let session = named(parts)?;
        check_version(&parts.headers)?;
        let id = request.id().clone();
        let Some(in_flight) = self.responses.begin(&session, &id) else {
            return Err(refusal(&Refused::Invalid("a request with this id is in flight already".into())));
        };
        let by_webhook = request.tool_name().is_some_and(|tool| self.manner.webhook_tools.contains(tool));
        let (number, reader) = self.responses.open(Some(session.clone()), id, by_webhook);
        let arrival = Arrival {
            session: Some(session),
            reply: Some(ReplyTo::Response(number)),
            event: ArrivalEvent::Message(request.into()),
            ..envelope(&parts.headers)?
        };
        let receipt = self.reception.hand_over(|desk| {
            let Taken { receipt, settled } = desk.take(arrival);
            Taken { receipt, settled: Box::pin(settled.inspect(move |_| drop(in_flight))) }
        })?;
        if let Receipt::Refused(refused) = receipt {
            return Err(refusal(&refused));
        }
        if self.manner.json {
            return Ok(self.json(reader).await);
        }
        Ok(sse::response(reader, self.manner.keep_alive, self.manner.longest))
    }

    /// Begins a session. Its response begins with the answer, whose head says what our own proxy has to know from the start.
    async fn initialize(&self, headers: &HeaderMap, request: Request) -> Result<Response<Body>, Refusal> {
        let id = request.id().clone();
        let (number, mut reader) = self.responses.open(None, id.clone(), false);
        let (message, url) = without_webhook_url(request.into())?;
        let has_webhook = url.is_some();
        let address = url.map(|url| ReplyTo::Address(ReplyAddress::Url(url)));
        let arrival = Arrival {
            reply: Some(address.unwrap_or(ReplyTo::Response(number))),
            event: ArrivalEvent::Message(message),
            ..envelope(headers)?
        };
        let end = envelope(headers)?;
        let client_id = end.client_id.clone();
        let receipt = self.reception.hand_over(|desk| {
            self.sessions.open(number, client_id, || {
                let taken = desk.take(arrival);
                if let Receipt::Opened(session) = &taken.receipt {
                    self.responses.belongs_to(number, session);
                }
                taken
            })
        })?;
        let session = match receipt {
            Receipt::Refused(refused) => return Err(refusal(&refused)),
            Receipt::Opened(session) => Some(session),
            Receipt::Accepted | Receipt::Ended => None,
        };
        let unheard = session.clone().filter(|_| !has_webhook);
        let mut unheard =
            Unheard { endpoint: self, end: unheard.map(|id| Arrival { session: Some(id), ..end }) };
        let messages = timeout(self.manner.longest, up_to_answer(&mut reader)).await.unwrap_or_default();
        unheard.end = None;
        Ok(match messages.last().filter(|last| last.is_answer) {
            Some(answer) => self.initialized(answer, &messages, session.as_ref()),
            None => ended_early(id),
        })
    }

    fn initialized(
        &self,
        answer: &Outgoing,
        messages: &[Outgoing],
        session: Option<&RemoteSession>,
    ) -> Response<Body> {
        let mut response = if self.manner.json {
            json(answer.text.clone())
        } else {
            sse::whole(messages.iter().map(|message| message.text.as_str()))
        };
        beside(response.headers_mut(), answer);
        if let Some(session) = session.filter(|_| !answer.is_error) {
            put(response.headers_mut(), MCP_SESSION_ID, session.as_str());
        }
        response
    }

    /// The answer in JSON. What is answered by webhook, or not at all, is said to be accepted.
    async fn json(&self, mut reader: Reader) -> Response<Body> {
        let messages = timeout(self.manner.longest, up_to_answer(&mut reader)).await.unwrap_or_default();
        let Some(answer) = messages.last().filter(|last| last.is_answer) else { return accepted() };
        let mut response = json(answer.text.clone());
        beside(response.headers_mut(), answer);
        response
    }
}

/// A session whose client does not know its id yet. It ends with the request that opened it: nobody else could ever use it.
struct Unheard<'endpoint> {
    endpoint: &'endpoint Endpoint,
    end: Option<Arrival>,
}

impl Drop for Unheard<'_> {
    fn drop(&mut self) {
        let Some(end) = self.end.take() else { return };
        // without a runtime nothing is left that could end
        if tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        tracing::debug!(session = ?end.session, "a client went away before its session had begun");
        if let Err(refusal) = self.endpoint.reception.hand_over(|desk| desk.take(end)) {
            tracing::debug!(reason = refusal.reason(), "the session lives until it is idle for too long");
        }
    }
}

/// What comes up to the answer, or to the end of the stream; of what comes before it only so much.
async fn up_to_answer(reader: &mut Reader) -> Vec<Outgoing> {
    let mut messages = Vec::new();
    while let Some(message) = reader.next().await {
        let is_answer = message.is_answer;
        if is_answer || messages.len() < MOST {
            messages.push(message);
        }
        if is_answer {
            break;
        }
    }
    messages
}

fn beside(headers: &mut HeaderMap, answer: &Outgoing) {
    if let Some(context) = &answer.context {
        put(headers, X_PROXY_CONTEXT, &context.to_json());
    }
}

fn json(text: String) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn accepted() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::ACCEPTED;
    response
}

/// The session ended before it had begun.
fn ended_early(id: RequestId) -> Response<Body> {
    let sentence = "the session ended before initialize was answered";
    let error = ErrorObject::new(code::INTERNAL_ERROR, sentence, "session_closed");
    json(message::Response::error(Some(id), &error).into_text())
}
