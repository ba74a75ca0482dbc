//! What a line from the client does.

use std::{sync::Arc, time::Duration};

use proxy_core::{
    EventStream, Media, Opened, Pending, Principal, Proxy, Refusal, Reply,
    id::SessionId,
    lines::{Line, Outline},
    message::{Body, Message, Request, RequestId, Response},
};
use tokio::{sync::mpsc, task::JoinSet};

use crate::rejection::Rejection;

/// An answer is not turned into a stream by waiting: only what comes before it does that.
const AS_LONG_AS_IT_TAKES: Duration = Duration::MAX;

/// How many messages and batches may wait for the answer to `initialize`.
const MAX_HELD: usize = 64;

/// The client's one session, and what is under way for it.
#[derive(Debug)]
pub(crate) struct Connection {
    proxy: Arc<Proxy>,
    /// Whoever started the process.
    caller: Principal,
    session: Option<SessionId>,
    /// The answer to `initialize` is on its way.
    is_opening: bool,
    /// What came meanwhile: a script writes all it has to say at once, and over a pipe messages have an order.
    held: Vec<Body>,
    output: mpsc::Sender<String>,
    /// The answers on their way.
    pub(crate) replies: JoinSet<Replied>,
    /// The standalone stream. It ends when the session does, or when the proxy drains.
    pub(crate) listening: JoinSet<()>,
}

/// What was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Replied {
    Initialize,
    Other,
}

/// How answers are written.
#[derive(Debug, Clone, Copy)]
enum Shape {
    Object,
    Array,
}

impl Connection {
    /// A client that has sent nothing yet.
    pub(crate) fn new(proxy: Arc<Proxy>, output: mpsc::Sender<String>) -> Self {
        Self {
            proxy,
            caller: Principal::Anonymous,
            session: None,
            is_opening: false,
            held: Vec::new(),
            output,
            replies: JoinSet::new(),
            listening: JoinSet::new(),
        }
    }

    /// Takes a line. Returns what there is to say to it at once.
    pub(crate) fn take(&mut self, line: Line, limit: usize) -> Option<String> {
        match line {
            Line::TooLong(outline) => Some(refuse(&Rejection::TooLarge { limit }, outline.request_id())),
            Line::Whole(bytes) => match Body::parse(bytes.to_vec()) {
                Ok(body) => self.take_body(body),
                Err(error) => {
                    let mut outline = Outline::default();
                    // What is not JSON has no members (JSON-RPC 2.0, section 5: the id is null where it cannot be told).
                    if matches!(error, proxy_core::message::MessageError::Invalid(_)) {
                        outline.feed(&bytes);
                    }
                    Some(refuse(&error.into(), outline.request_id()))
                }
            },
        }
    }

    /// Goes on after an answer.
    pub(crate) fn replied(&mut self, replied: Replied) {
        if replied == Replied::Initialize {
            self.is_opening = false;
            for body in std::mem::take(&mut self.held) {
                let refused = self.take_body(body);
                self.say(refused);
            }
        }
    }

    /// Ends the session, and with it what is in flight.
    pub(crate) fn end(&mut self) {
        for body in std::mem::take(&mut self.held) {
            self.say(refuse_body(&Rejection::NotInitialized, &body));
        }
        if let Some(session) = self.session.take()
            && let Err(refusal) = self.proxy.end(&session, &self.caller)
        {
            tracing::debug!(error.r#type = refusal.reason(), "the session had ended already");
        }
    }

    fn take_body(&mut self, body: Body) -> Option<String> {
        match body {
            Body::Single(message) => self.take_message(message),
            Body::Batch(messages) => self.take_batch(messages),
        }
    }

    /// Keeps what came before the answer to `initialize` until that is there.
    fn hold(&mut self, body: Body) -> Option<String> {
        if self.held.len() >= MAX_HELD {
            return refuse_body(&Rejection::NotInitialized, &body);
        }
        self.held.push(body);
        None
    }

    fn take_message(&mut self, message: Message) -> Option<String> {
        let id = request_id(&message).cloned();
        if claims_modern_era(&message) {
            return id.map(|id| refuse(&Rejection::ModernEra, Some(id)));
        }
        if self.is_opening && message.method() != Some("ping") {
            return self.hold(Body::Single(message));
        }
        let confirms = message.method() == Some("notifications/initialized");
        let forwarded = match &self.session {
            None => return self.take_first(message),
            Some(session) => {
                // Kept for the case that the session turns out to be none: rare, and only before it was confirmed.
                let kept = self.listening.is_empty().then(|| message.clone());
                let forwarded = self.proxy.forward(session, &self.caller, vec![message], Media::Any);
                match (forwarded, kept) {
                    (Err(Refusal::SessionNotFound), Some(message)) => {
                        // The handshake failed or was never completed. The client may begin anew.
                        self.session = None;
                        return self.take_first(message);
                    }
                    (forwarded, _) => forwarded,
                }
            }
        };
        match forwarded {
            Ok(pending) => {
                if let Some(pending) = pending {
                    self.reply(pending, Shape::Object, Replied::Other);
                }
                if confirms && self.listening.is_empty() {
                    self.listen();
                }
                None
            }
            Err(refusal) => refuse_request(&refusal.into(), id),
        }
    }

    /// Takes a message of a client that has no session.
    fn take_first(&mut self, message: Message) -> Option<String> {
        match message {
            Message::Request(request) if request.method() == "initialize" => self.open(request),
            // The one request that may come before (2025-11-25, basic/lifecycle, initialization).
            Message::Request(request) if request.method() == "ping" => {
                Some(Response::empty_result(request.id().clone()).into_text())
            }
            message => refuse_request(&Rejection::NotInitialized, request_id(&message).cloned()),
        }
    }

    fn open(&mut self, initialize: Request) -> Option<String> {
        let id = initialize.id().clone();
        match self.proxy.open(&self.caller, initialize, Media::Any) {
            Ok(Opened { session, pending }) => {
                self.session = Some(session);
                self.is_opening = true;
                self.reply(pending, Shape::Object, Replied::Initialize);
                None
            }
            Err(refusal) => refuse_request(&refusal.into(), Some(id)),
        }
    }

    fn take_batch(&mut self, messages: Vec<Message>) -> Option<String> {
        if messages.iter().any(claims_modern_era) {
            return Some(refuse(&Rejection::ModernEra, None));
        }
        if messages.iter().any(|message| message.method() == Some("initialize")) {
            return Some(refuse(&Rejection::InitializeInBatch, None));
        }
        if self.is_opening {
            return self.hold(Body::Batch(messages));
        }
        let Some(session) = &self.session else { return refuse_all(&Rejection::NotInitialized, &messages) };
        let version = match self.proxy.version(session, &self.caller) {
            Ok(version) => version,
            Err(refusal) => return refuse_all(&refusal.into(), &messages),
        };
        if !version.has_batches() {
            return Some(refuse(&Rejection::BatchNotSupported, None));
        }
        let kept = messages.clone();
        match self.proxy.forward(session, &self.caller, messages, Media::Any) {
            Ok(pending) => {
                if let Some(pending) = pending {
                    self.reply(pending, Shape::Array, Replied::Other);
                }
                None
            }
            Err(refusal) => refuse_all(&refusal.into(), &kept),
        }
    }

    /// Has the answers written when they come.
    fn reply(&mut self, pending: Pending, shape: Shape, replied: Replied) {
        let output = self.output.clone();
        self.replies.spawn(async move {
            match pending.reply(AS_LONG_AS_IT_TAKES).await {
                Reply::Stream(events) => write_all(events, &output).await,
                Reply::Whole(answers) => {
                    if let Some(text) = joined(answers, shape) {
                        write(text, &output).await;
                    }
                }
            }
            replied
        });
    }

    /// Has this written.
    fn say(&mut self, text: Option<String>) {
        let Some(text) = text else { return };
        let output = self.output.clone();
        self.replies.spawn(async move {
            write(text, &output).await;
            Replied::Other
        });
    }

    /// Has everything written that the server sends by itself.
    fn listen(&mut self) {
        let Some(session) = &self.session else { return };
        match self.proxy.listen(session, &self.caller) {
            Ok(events) => {
                let output = self.output.clone();
                self.listening.spawn(async move { write_all(events, &output).await });
            }
            Err(refusal) => {
                tracing::debug!(error.r#type = refusal.reason(), "the session has no stream of its own");
            }
        }
    }
}

async fn write_all(mut events: EventStream, output: &mpsc::Sender<String>) {
    while let Some(event) = events.next().await {
        if !write(event.text, output).await {
            return;
        }
    }
}

/// Whether there still is an output.
async fn write(text: String, output: &mpsc::Sender<String>) -> bool {
    output.send(text).await.is_ok()
}

/// The answers as one message. There is none for a request that its client cancelled.
fn joined(mut answers: Vec<String>, shape: Shape) -> Option<String> {
    match (shape, answers.len()) {
        (_, 0) => None,
        (Shape::Object, 1) => Some(answers.swap_remove(0)),
        _ => Some(format!("[{}]", answers.join(","))),
    }
}

fn refuse(rejection: &Rejection, id: Option<RequestId>) -> String {
    tracing::debug!(error.r#type = rejection.reason(), "message refused");
    rejection.answer(id)
}

/// The error for a request; what is none gets no answer (JSON-RPC 2.0, section 4.1).
fn refuse_request(rejection: &Rejection, id: Option<RequestId>) -> Option<String> {
    if id.is_none() {
        tracing::debug!(error.r#type = rejection.reason(), "message refused");
    }
    id.map(|id| refuse(rejection, Some(id)))
}

/// The error for each request of a batch (JSON-RPC 2.0, section 6).
fn refuse_all(rejection: &Rejection, messages: &[Message]) -> Option<String> {
    let ids = messages.iter().filter_map(request_id);
    joined(ids.map(|id| refuse(rejection, Some(id.clone()))).collect(), Shape::Array)
}

fn refuse_body(rejection: &Rejection, body: &Body) -> Option<String> {
    match body {
        Body::Single(message) => refuse_request(rejection, request_id(message).cloned()),
        Body::Batch(messages) => refuse_all(rejection, messages),
    }
}

fn request_id(message: &Message) -> Option<&RequestId> {
    match message {
        Message::Request(request) => Some(request.id()),
        Message::Notification(_) | Message::Response(_) => None,
    }
}

/// Whether a client of the 2026-07-28 era tries its luck, which it also does to find out what era this server is of.
fn claims_modern_era(message: &Message) -> bool {
    match message {
        Message::Request(request) => request.claims_modern_era(),
        Message::Notification(notification) => notification.claims_modern_era(),
        Message::Response(_) => false,
    }
}
