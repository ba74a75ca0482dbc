//! A backend whose far end is the test: what the proxy sends can be taken, and anything can be sent back.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use proxy_core::{
    Router,
    backend::{Backend, Disposition, Event, Inbound, Inbox as _, Limits, Outbound, Remote, Sent, Settlement},
    error::{BackendError, ErrorKind},
    id::RouteKey,
    message::Message,
};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::http::within;

/// The proxy's side.
#[derive(Debug)]
pub(crate) struct ScriptedBackend {
    sent: mpsc::Sender<Outbound>,
    reachable: Arc<AtomicBool>,
}

/// The test's side.
pub(crate) struct FarEnd {
    sent: mpsc::Receiver<Outbound>,
    router: Arc<Router>,
    reachable: Arc<AtomicBool>,
}

impl FarEnd {
    pub(crate) fn new(router: Arc<Router>) -> (Self, ScriptedBackend) {
        let (sender, sent) = mpsc::channel(1024);
        let reachable = Arc::new(AtomicBool::new(true));
        let backend = ScriptedBackend { sent: sender, reachable: Arc::clone(&reachable) };
        (Self { sent, router, reachable }, backend)
    }

    pub(crate) fn become_unreachable(&self) {
        self.reachable.store(false, Ordering::SeqCst);
    }

    /// The next message that the proxy sent.
    pub(crate) async fn next(&mut self) -> Outbound {
        within(self.sent.recv()).await.unwrap()
    }

    /// The next message, which has this method.
    pub(crate) async fn expect(&mut self, method: &str) -> Outbound {
        let outbound = self.next().await;
        assert_eq!(outbound.message.method(), Some(method), "{}", outbound.message.as_str());
        outbound
    }

    /// Whether the proxy has sent nothing that was not taken yet.
    pub(crate) fn has_nothing(&mut self) -> bool {
        self.sent.try_recv().is_err()
    }

    pub(crate) fn answer(&self, request: &Outbound, result: &Value) {
        assert_eq!(self.try_answer(request, result), Disposition::Accepted);
    }

    /// An answer that may come too late.
    pub(crate) fn try_answer(&self, request: &Outbound, result: &Value) -> Disposition {
        let id = json_of(request)["id"].clone();
        self.say(&request.remote.route, Some(request), &json!({"jsonrpc": "2.0", "id": id, "result": result}))
    }

    pub(crate) fn fail(&self, request: &Outbound, code: i64, message: &str) {
        let id = json_of(request)["id"].clone();
        let error = json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}});
        assert_eq!(self.say(&request.remote.route, Some(request), &error), Disposition::Accepted);
    }

    /// Progress of a request that came with a token.
    pub(crate) fn progress(&self, request: &Outbound, progress: u32) {
        assert_eq!(self.try_progress(request, progress), Disposition::Accepted);
    }

    /// Progress that may come too late.
    pub(crate) fn try_progress(&self, request: &Outbound, progress: u32) -> Disposition {
        let token = json_of(request)["params"]["_meta"]["progressToken"].clone();
        assert!(!token.is_null(), "the request asks for progress");
        let params = json!({"progressToken": token, "progress": progress});
        let message = json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": params});
        self.say(&request.remote.route, None, &message)
    }

    /// A log message, of a request or of the session.
    pub(crate) fn log(&self, route: &RouteKey, related: Option<&Outbound>, text: &str) {
        let params = json!({"level": "info", "data": text});
        let message = json!({"jsonrpc": "2.0", "method": "notifications/message", "params": params});
        assert_eq!(self.say(route, related, &message), Disposition::Accepted);
    }

    /// A request of the server's.
    pub(crate) fn ask(&self, route: &RouteKey, related: Option<&Outbound>, id: &Value, method: &str) {
        let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": {}});
        assert_eq!(self.say(route, related, &message), Disposition::Accepted);
    }

    fn say(&self, route: &RouteKey, related: Option<&Outbound>, message: &Value) -> Disposition {
        let inbound = Inbound {
            route: Some(route.clone()),
            peer: None,
            related: related.and_then(|request| request.about.clone()),
            sequence: None,
            message_id: None,
            event: Event::Message(Message::parse(message.to_string()).unwrap()),
        };
        match self.router.deliver(inbound) {
            Settlement::Now(disposition) => disposition,
            Settlement::Later(_) => panic!("without a store everything is settled at once"),
        }
    }
}

/// What was sent, as JSON.
pub(crate) fn json_of(outbound: &Outbound) -> Value {
    serde_json::from_str(outbound.message.as_str()).unwrap()
}

#[async_trait]
impl Backend for ScriptedBackend {
    fn name(&self) -> &'static str {
        "scripted"
    }

    fn limits(&self) -> Limits {
        Limits { message_bytes: 1 << 20 }
    }

    async fn check(&self) -> Result<(), BackendError> {
        if self.reachable.load(Ordering::SeqCst) {
            Ok(())
        } else {
            Err(BackendError::new(ErrorKind::Unavailable, "check", "the transport cannot be reached"))
        }
    }

    async fn send(&self, outbound: Outbound) -> Result<Sent, BackendError> {
        let gone = |_| BackendError::new(ErrorKind::Unavailable, "send", "the test is over");
        self.sent.send(outbound).await.map_err(gone)?;
        Ok(Sent::default())
    }

    async fn run(&self, shutdown: CancellationToken) -> Result<(), BackendError> {
        shutdown.cancelled().await;
        Ok(())
    }

    async fn close(&self, _remote: &Remote) -> Result<(), BackendError> {
        Ok(())
    }
}
