//! The far end in the test's hands: what the proxy sends can be taken, and anything can be sent back.

use std::sync::Arc;

use proxy_core::{
    Router,
    backend::{Disposition, Event, Inbound, Inbox as _, Outbound, Settlement},
    id::RouteKey,
    message::Message,
};
use serde_json::{Value, json};
use testkit::memory::{self, MemoryBackend};

use crate::http::within;

pub(crate) struct FarEnd {
    /// Where failures are scripted.
    pub(crate) backend: Arc<MemoryBackend>,
    inner: memory::FarEnd,
    router: Arc<Router>,
}

impl FarEnd {
    pub(crate) fn new(router: Arc<Router>) -> Self {
        let inbox = Arc::clone(&router);
        let (backend, inner) = MemoryBackend::pair(inbox);
        Self { backend, inner, router }
    }

    /// The next message that the proxy sent.
    pub(crate) async fn next(&mut self) -> Outbound {
        within(self.inner.receive()).await.unwrap()
    }

    /// The next message, which has this method.
    pub(crate) async fn expect(&mut self, method: &str) -> Outbound {
        let outbound = self.next().await;
        assert_eq!(outbound.message.method(), Some(method), "{}", outbound.message.as_str());
        outbound
    }

    /// Whether the proxy has sent nothing that was not taken yet.
    pub(crate) fn has_nothing(&mut self) -> bool {
        self.inner.try_receive().is_none()
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
        let event = Event::Message(Message::parse(message.to_string()).unwrap());
        let related = related.and_then(|request| request.about.clone());
        let inbound = Inbound { related, ..memory::inbound(Some(route.clone()), event) };
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
