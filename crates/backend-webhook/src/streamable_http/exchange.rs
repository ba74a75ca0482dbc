//! One request and its answer: the POST, its head, and what comes on it.

use std::{pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Response, StatusCode};
use proxy_core::{
    Backoff,
    backend::{Peer, Sent},
    error::{BackendError, Delivery, ErrorKind},
};
use tokio::time::{Instant, sleep, timeout_at};

use super::{
    connection::{Outgoing, ResponseBody},
    delivery::Origin,
    events::{Events, ReadError},
    refusal::{Refusal, Refused},
    requests::{Address, MCP_SESSION_ID},
    resume,
    server::{Ended, Position, Server, finish, is_media, session_of},
    streams::Waiting,
};
use crate::http_client::context_of;

/// How long the head of a response is waited for before the request counts as accepted all the same. A server that answers in
/// JSON sends the head with the answer, and a cancellation must be able to overtake it: that goes out once `send` has returned.
const HEAD_PATIENCE: Duration = Duration::from_millis(250);

/// A request on its way.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) server: Arc<Server>,
    pub(super) address: Address,
    pub(super) request: Outgoing,
    pub(super) deadline: Instant,
    pub(super) is_initialize: bool,
    /// Its place among the open streams.
    pub(super) waiting: Waiting,
}

/// What follows once the head of a response is there: nothing where the answer came along with it.
type Rest = Option<BoxFuture<'static, ()>>;

/// Sends a request. Returns once the head of the response is there, or took so long that it may come with the answer only; what
/// follows is read in a task.
pub(super) async fn send(exchange: Exchange) -> Result<Sent, BackendError> {
    let server = Arc::clone(&exchange.server);
    let (route, wire) = (exchange.address.route.clone(), exchange.waiting.wire().clone());
    let mut beginning: Pin<Box<_>> = Box::pin(exchange.begin());
    tokio::select! {
        biased;
        begun = &mut beginning => {
            let (sent, rest) = begun?;
            if let Some(rest) = rest {
                server.readers.spawn(rest);
            }
            Ok(sent)
        }
        () = sleep(HEAD_PATIENCE) => {
            let reporting = Arc::clone(&server);
            server.readers.spawn(async move {
                match beginning.await {
                    Ok((_, Some(rest))) => rest.await,
                    Ok((_, None)) => {}
                    Err(error) if error.kind() == ErrorKind::SessionGone => {
                        reporting.delivery.gone(&route, error).await;
                    }
                    Err(error) if error.delivery() == Delivery::MaybeSent => {}
                    Err(error) => reporting.delivery.fail(&route, Some(wire), error).await,
                }
            });
            Ok(Sent::default())
        }
    }
}

impl Exchange {
    /// Sends the request, waits for the head, and reads what came with it.
    async fn begin(self) -> Result<(Sent, Rest), BackendError> {
        let server = Arc::clone(&self.server);
        let over = self.waiting.response.over.clone();
        let head = tokio::select! {
            biased;
            head = self.head() => head?,
            // the answer came by callback, or nobody waits for it any more
            () = over.cancelled() => return Ok((Sent::default(), None)),
            () = server.stop.cancelled() => return Ok((Sent::default(), None)),
        };
        let Some(response) = head else { return Ok((Sent::default(), None)) };
        let session = if self.is_initialize { session_of(response.headers()) } else { None };
        let sent = Sent { session };
        let mut rest: BoxFuture<'static, ()> = Box::pin(self.read(response));
        let mut ended = false;
        std::future::poll_fn(|context| {
            ended = rest.as_mut().poll(context).is_ready();
            std::task::Poll::Ready(())
        })
        .await;
        Ok((sent, (!ended).then_some(rest)))
    }

    /// The response, once its head is there; `None` where the exchange has ended with it.
    async fn head(&self) -> Result<Option<Response<ResponseBody>>, BackendError> {
        let mut backoff = backoff();
        loop {
            let sending = self.server.send("POST", self.request.clone(), self.deadline);
            let response = match timeout_at(self.deadline, sending).await {
                Ok(Ok(response)) => response,
                Ok(Err(error)) => return Err(self.lost(error).await),
                Err(_) => return Err(silent()),
            };
            if response.status().is_success() {
                return Ok(Some(response));
            }
            let (error, asked) = match self.refusal(response).await {
                Refusal::Answer(answer) => {
                    self.server.take(&answer, &self.origin(None), &self.waiting.response.over).await;
                    return Ok(None);
                }
                Refusal::Final(error) => {
                    // somebody has said no: only silence leaves it to a callback
                    self.report(&error).await;
                    return Err(error);
                }
                Refusal::Later(error, asked) => (error, asked),
            };
            let next = Instant::now() + asked.unwrap_or_else(|| backoff.next_delay());
            if next >= self.deadline {
                return Err(error);
            }
            tokio::time::sleep_until(next).await;
        }
    }

    async fn refusal(&self, response: Response<ResponseBody>) -> Refusal {
        let (head, body) = response.into_parts();
        let body = self.server.read_refusal(body).await;
        let refused = Refused {
            status: head.status,
            headers: &head.headers,
            body: &body,
            in_session: self.address.session.is_some(),
            wire: Some(self.waiting.wire()),
        };
        refused.refusal()
    }

    /// A request that may have arrived ends at once, unless its answer may still come by callback.
    async fn lost(&self, error: BackendError) -> BackendError {
        if !self.server.may_be_called_back() {
            self.report(&error).await;
        }
        error
    }

    /// Ends the exchange, where the error that `send` returns does not.
    async fn report(&self, error: &BackendError) {
        if error.delivery() == Delivery::MaybeSent {
            let told = BackendError::new(error.kind(), "receive", error.to_string());
            self.fail(told.with_delivery(Delivery::MaybeSent)).await;
        }
    }

    /// Reads the response, whatever form the answer has.
    async fn read(self, response: Response<ResponseBody>) {
        let (head, body) = response.into_parts();
        let names_session = self.is_initialize && head.headers.contains_key(MCP_SESSION_ID);
        if names_session && session_of(&head.headers).is_none() {
            let sentence = "the server's session id is not 1 to 1,024 visible ASCII characters";
            let error = BackendError::new(ErrorKind::Protocol, "receive", sentence);
            return self.fail(error.with_delivery(Delivery::MaybeSent)).await;
        }
        let origin = self.origin(self.is_initialize.then(|| peer_of(&head.headers)));
        if is_media(&head.headers, "text/event-stream") {
            let events = Events::new(body, self.server.max_message);
            return self.read_events(events, origin).await;
        }
        if is_media(&head.headers, "application/json") {
            return self.read_json(body, &origin).await;
        }
        if head.status == StatusCode::ACCEPTED && self.server.offers_callback {
            // taken, and the answer comes by callback
            return;
        }
        let sentence = format!(
            "the server answered with status {} and neither JSON nor an event stream",
            head.status.as_u16()
        );
        self.without_answer(ErrorKind::Protocol, sentence).await;
    }

    async fn read_json(self, body: ResponseBody, origin: &Origin) {
        let reading = timeout_at(self.deadline, self.server.read_whole(body));
        let whole = tokio::select! {
            biased;
            whole = reading => whole,
            () = self.waiting.response.over.cancelled() => return,
            () = self.server.stop.cancelled() => return,
        };
        match whole {
            Ok(Ok(bytes)) => self.take_json(&bytes, origin).await,
            Ok(Err(error)) => self.unread(&error).await,
            // the session's own timer has ended the exchange
            Err(_) => {}
        }
    }

    async fn take_json(&self, bytes: &Bytes, origin: &Origin) {
        let over = &self.waiting.response.over;
        let Ok(text) = std::str::from_utf8(bytes) else {
            return self.without_answer(ErrorKind::Protocol, "the server's answer is not UTF-8").await;
        };
        if !self.server.take(text, origin, over).await {
            self.without_answer(ErrorKind::Protocol, "the server's JSON does not answer the request").await;
        }
    }

    async fn read_events(self, mut events: Events, origin: Origin) {
        let mut position = Position::default();
        let until = Instant::now() + self.server.longest;
        let reading =
            self.server.read_events(&mut events, &origin, &mut position, &self.waiting.response.over);
        let Ok(ended) = timeout_at(until, reading).await else { return };
        match ended {
            Ended::Answered => {
                drop(self);
                finish(events).await;
            }
            Ended::Over => {}
            Ended::Broken(Some(error @ ReadError::TooLarge { .. })) => self.unread(&error).await,
            Ended::Broken(error) if position.last_event_id.is_some() => {
                drop(events);
                tracing::debug!(
                    error = error.as_ref().map(tracing::field::display),
                    "a response broke and is continued"
                );
                resume::resume(&self, &origin, position, until).await;
            }
            Ended::Broken(Some(error)) => self.unread(&error).await,
            Ended::Broken(None) => {
                self.without_answer(
                    ErrorKind::Unavailable,
                    "the server ended its response without an answer; the request may have run",
                )
                .await;
            }
        }
    }

    /// The response cannot be read to its end.
    pub(super) async fn unread(&self, error: &ReadError) {
        let (kind, sentence) = match error {
            ReadError::TooLarge { limit } => (
                ErrorKind::TooLarge,
                format!("the server's answer is larger than {limit} bytes: raise max_message"),
            ),
            ReadError::Broken(_) => (
                ErrorKind::Unavailable,
                "the connection to the server broke before the answer came; the request may have run"
                    .to_owned(),
            ),
            ReadError::Malformed(_) => (
                ErrorKind::Protocol,
                "the server's event stream cannot be read; the request may have run".to_owned(),
            ),
        };
        tracing::debug!(error = error as &dyn std::error::Error, "a response could not be read");
        self.without_answer(kind, sentence).await;
    }

    /// The response has no answer. Unless one may still come by callback, the exchange ends at once.
    pub(super) async fn without_answer(&self, kind: ErrorKind, sentence: impl Into<Box<str>>) {
        if kind == ErrorKind::TooLarge || !self.server.may_be_called_back() {
            self.fail(BackendError::new(kind, "receive", sentence).with_delivery(Delivery::MaybeSent)).await;
        }
    }

    async fn fail(&self, error: BackendError) {
        let wire = self.waiting.wire().clone();
        self.server.delivery.fail(&self.address.route, Some(wire), error).await;
    }

    fn origin(&self, peer: Option<Peer>) -> Origin {
        Origin {
            route: self.address.route.clone(),
            response: Some(Arc::clone(&self.waiting.response)),
            wire: Some(self.waiting.wire().clone()),
            peer,
        }
    }
}

/// The delays after which what the server certainly did not take is sent again.
pub(super) fn backoff() -> Backoff {
    Backoff::new(Duration::from_millis(250), Duration::from_secs(10))
}

/// What the server says of itself in the head of its answer to `initialize`.
fn peer_of(headers: &http::HeaderMap) -> Peer {
    let context = context_of(headers).unwrap_or_default();
    Peer { session: session_of(headers), owner: context.owner, eras: context.eras, ..Peer::default() }
}

/// No head came in time.
pub(super) fn silent() -> BackendError {
    BackendError::new(
        ErrorKind::Unavailable,
        "send",
        "the server did not answer in time; the request may have run",
    )
    .with_delivery(Delivery::MaybeSent)
}
