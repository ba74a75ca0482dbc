//! The server's one task: it receives, answers what needs no waiting, and keeps the tasks of what does.

use std::{collections::HashMap, sync::Arc};

use proxy_core::{
    ProtocolVersion,
    backend::Outbound,
    id::RouteKey,
    message::{Message, Notification, Request, Response},
};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::{
    sync::{oneshot, watch},
    task::{AbortHandle, JoinSet},
};

use super::{Shared, answer::Answers, tools};
use crate::memory::{FarEnd, ReturnPath};

/// How many messages are taken off the channel at once.
const BATCH: usize = 64;

const METHOD_NOT_FOUND: i64 = -32601;

/// What the server keeps for one session.
#[derive(Debug, Default)]
pub(super) struct Session {
    /// Ids of server requests start at 0 in every session, as asyncmcp's do.
    next_request: u64,
    /// Server requests that wait for the client, by their id's JSON text.
    asked: HashMap<String, oneshot::Sender<Response>>,
    /// Calls that can be cancelled, by their id's JSON text.
    running: HashMap<String, AbortHandle>,
}

impl Session {
    /// Takes the next id for a request to the client, and where its answer will come.
    pub(super) fn ask(&mut self) -> (u64, oneshot::Receiver<Response>) {
        let id = self.next_request;
        self.next_request += 1;
        let (answered, answer) = oneshot::channel();
        self.asked.insert(id.to_string(), answered);
        (id, answer)
    }
}

struct Server {
    shared: Arc<Shared>,
    return_path: ReturnPath,
    sessions: HashMap<RouteKey, Session>,
    /// Aborted with the server.
    calls: JoinSet<()>,
    restarts: watch::Receiver<usize>,
}

/// Serves until the far end has no backend any more.
pub(super) async fn serve(mut far_end: FarEnd, shared: Arc<Shared>) {
    let mut server = Server {
        return_path: far_end.return_path(),
        sessions: HashMap::new(),
        calls: JoinSet::new(),
        restarts: shared.restarts.subscribe(),
        shared,
    };
    let mut batch = Vec::with_capacity(BATCH);
    while far_end.receive_many(&mut batch, BATCH).await > 0 {
        while server.calls.try_join_next().is_some() {}
        for outbound in batch.drain(..) {
            server.take(outbound);
        }
    }
}

impl Server {
    fn take(&mut self, outbound: Outbound) {
        if self.restarts.has_changed().unwrap_or_default() {
            self.restarts.mark_unchanged();
            self.sessions.clear();
            self.calls.abort_all();
        }
        let message = match &self.shared.received {
            None => outbound.message,
            Some(received) => {
                let message = outbound.message.clone();
                received.send_modify(|received| received.push(outbound.clone()));
                message
            }
        };
        let route = outbound.remote.route;
        match message {
            Message::Request(request) => self.take_request(route, &request),
            Message::Notification(notification) => self.take_notification(&route, &notification),
            Message::Response(response) => self.take_response(&route, response),
        }
    }

    fn take_request(&mut self, route: RouteKey, request: &Request) {
        let method = request.method();
        if method == "initialize" {
            self.sessions.entry(route.clone()).or_default();
        }
        let Some(session) = self.sessions.get_mut(&route) else { return };
        let answers = Answers::new(self.return_path.clone(), route, request.id().to_json());
        match method {
            "initialize" => answers.result(&initialize_result(request)),
            "ping" | "logging/setLevel" => answers.result("{}"),
            "tools/list" => answers.result(tools::LIST),
            "tools/call" => {
                let id = request.id().to_json();
                if let Some(call) = tools::call(session, &self.shared, answers, request.params()) {
                    session.running.retain(|_, running| !running.is_finished());
                    session.running.insert(id, self.calls.spawn(call));
                }
            }
            _ => answers.error(METHOD_NOT_FOUND, "Method not found"),
        }
    }

    fn take_notification(&mut self, route: &RouteKey, notification: &Notification) {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Cancelled<'text> {
            #[serde(borrow)]
            request_id: &'text RawValue,
        }
        if notification.method() != "notifications/cancelled" {
            return;
        }
        let cancelled =
            notification.params().and_then(|text| serde_json::from_str::<Cancelled<'_>>(text).ok());
        let session = self.sessions.get_mut(route);
        if let (Some(cancelled), Some(session)) = (cancelled, session)
            && let Some(running) = session.running.remove(cancelled.request_id.get())
        {
            running.abort();
        }
    }

    fn take_response(&mut self, route: &RouteKey, response: Response) {
        let Some(id) = response.id().map(proxy_core::message::RequestId::to_json) else { return };
        let asked = self.sessions.get_mut(route).and_then(|session| session.asked.remove(&id));
        // The call may have been cancelled meanwhile.
        asked.map(|asked| asked.send(response).ok());
    }
}

/// The revision that the client asks for where it is a known one, else the newest (2025-11-25, basic/lifecycle, version negotiation).
fn initialize_result(request: &Request) -> String {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Params<'text> {
        protocol_version: &'text str,
    }
    let version = request
        .params()
        .and_then(|text| serde_json::from_str::<Params<'_>>(text).ok())
        .and_then(|params| ProtocolVersion::parse(params.protocol_version))
        .unwrap_or(ProtocolVersion::LATEST);
    format!(
        r#"{{"protocolVersion":"{version}","capabilities":{{"logging":{{}},"tools":{{}}}},"serverInfo":{{"name":"scripted","version":"1.0.0"}}}}"#
    )
}
