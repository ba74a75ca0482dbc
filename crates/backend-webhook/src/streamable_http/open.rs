//! Opening a stream by GET: the standalone one, or one that goes on after an event.

use std::time::Duration;

use http::StatusCode;
use proxy_core::error::{BackendError, ErrorKind};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    events::Events,
    refusal::{Refusal, Refused, gone},
    requests::Address,
    server::{Server, is_media},
};

/// What became of an attempt to open a stream.
#[derive(Debug)]
pub(super) enum Opening {
    /// It is open.
    Opened(Box<Events>),
    /// The server has no such stream, and never will.
    Absent(StatusCode),
    /// The server does not know the session.
    Gone(BackendError),
    /// It may work later, perhaps after the time that the server asks for.
    Later(BackendError, Option<Duration>),
    /// Nobody wants it any more.
    Over,
}

impl Server {
    /// Opens a stream. Connecting is tried until `deadline`; the head is waited for as long as it takes, since some servers send it
    /// with the first event.
    pub(super) async fn open(
        &self,
        address: &Address,
        after: Option<&str>,
        deadline: Instant,
        over: &CancellationToken,
    ) -> Opening {
        let request = self.requests.get(address, after);
        let response = tokio::select! {
            biased;
            () = over.cancelled() => return Opening::Over,
            () = self.stop.cancelled() => return Opening::Over,
            response = self.send("GET", request, deadline) => response,
        };
        let (head, body) = match response {
            Ok(response) => response.into_parts(),
            Err(error) => return Opening::Later(error, None),
        };
        if head.status.is_success() {
            if is_media(&head.headers, "text/event-stream") {
                return Opening::Opened(Box::new(Events::new(body, self.max_message)));
            }
            return Opening::Absent(head.status);
        }
        let in_session = address.session.is_some();
        let body = tokio::select! {
            biased;
            () = over.cancelled() => return Opening::Over,
            () = self.stop.cancelled() => return Opening::Over,
            body = self.read_refusal(body) => body,
        };
        let refused =
            Refused { status: head.status, headers: &head.headers, body: &body, in_session, wire: None };
        if refused.is_gone() {
            return Opening::Gone(gone());
        }
        match head.status {
            StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_FOUND | StatusCode::NOT_IMPLEMENTED => {
                Opening::Absent(head.status)
            }
            // one stream a session, and the server has not noticed yet that the last one broke
            StatusCode::CONFLICT => {
                Opening::Later(refused.error(ErrorKind::Unavailable, "the server has a stream already"), None)
            }
            _ => match refused.refusal() {
                Refusal::Later(error, asked) => Opening::Later(error, asked),
                Refusal::Final(error) => Opening::Later(error, None),
                Refusal::Answer(_) => Opening::Absent(head.status),
            },
        }
    }
}
