//! The StreamableHTTP+webhook intake.

mod contract;
mod door;
mod operator;
mod responses;
mod sessions;
mod webhooks;

use std::{sync::Arc, time::Duration};

use backend_webhook::{StreamableHttpIntake, StreamableHttpIntakeConfig, StreamableHttpIntakeParts};
use prometheus_client::registry::Registry;
use proxy_core::{
    error::BackendError,
    id::InstanceId,
    intake::{Arrival, Intake, Reply, ReplyTo, Stopping},
    message::Message,
};
use reqwest::{Client, RequestBuilder, Response};
use tokio::{net::TcpListener, task::JoinSet, time::Instant};

use crate::desk::{Arrivals, PATIENCE, ScriptedDesk, client, in_time, next, session};

pub(crate) const CALL: &str = r#"{"jsonrpc":"2.0","id":"w:2","method":"tools/call","params":{"name":"add"}}"#;
pub(crate) const ANSWER: &str = r#"{"jsonrpc":"2.0","id":"w:2","result":{}}"#;
pub(crate) const INITIALIZED: &str =
    r#"{"jsonrpc":"2.0","id":"w:1","result":{"protocolVersion":"2025-06-18"}}"#;
pub(crate) const LOGGED: &str =
    r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info"}}"#;
pub(crate) const ASKED: &str = r#"{"jsonrpc":"2.0","id":7,"method":"elicitation/create","params":{}}"#;

/// The session that the desk names.
pub(crate) const SESSION: &str = "made-up";

pub(crate) struct World {
    pub(crate) intake: Arc<StreamableHttpIntake>,
    pub(crate) desk: Arc<ScriptedDesk>,
    pub(crate) arrivals: Arrivals,
    pub(crate) client: Client,
    pub(crate) url: String,
    pub(crate) stopping: Stopping,
    running: JoinSet<Result<(), BackendError>>,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::with(StreamableHttpIntakeConfig::default()).await
    }

    pub(crate) async fn with(config: StreamableHttpIntakeConfig) -> Self {
        let path = config.path.clone();
        let parts = StreamableHttpIntakeParts {
            instance: InstanceId::random(),
            request_timeout_max: Duration::from_mins(1),
            registry: &mut Registry::default(),
            listener: Some(TcpListener::bind("127.0.0.1:0").await.unwrap()),
            client: None,
        };
        let intake = Arc::new(StreamableHttpIntake::connect(config, parts).await.unwrap());
        let (desk, arrivals) = ScriptedDesk::new();
        let stopping = Stopping::default();
        let mut running = JoinSet::new();
        running.spawn({
            let (intake, desk, stopping) = (Arc::clone(&intake), Arc::clone(&desk), stopping.clone());
            async move { intake.run(desk, stopping).await }
        });
        let url = format!("http://{}{path}", intake.address());
        Self { intake, desk, arrivals, client: client(), url, stopping, running }
    }

    /// A POST as every MCP client makes it.
    pub(crate) fn post(&self, body: &str) -> RequestBuilder {
        let request = self.client.post(&self.url).header("accept", "application/json, text/event-stream");
        request.header("content-type", "application/json").body(body.to_owned()).timeout(PATIENCE)
    }

    /// The same in the session.
    pub(crate) fn post_in(&self, body: &str) -> RequestBuilder {
        self.post(body).header("mcp-session-id", SESSION).header("mcp-protocol-version", "2025-06-18")
    }

    /// Begins the session, with this webhook where there is one, and returns its `initialize`.
    pub(crate) async fn open(&mut self, webhook: Option<&str>) -> Arrival {
        let responding = Responding::to(self.post(&initialize(webhook)));
        let arrival = next(&mut self.arrivals).await;
        self.reply(reply(&arrival, &arrival, INITIALIZED)).await.unwrap();
        let response = responding.response().await;
        assert_eq!(
            (response.status().as_u16(), &response.headers()["mcp-session-id"]),
            (200, &SESSION.parse().unwrap())
        );
        arrival
    }

    /// Sends a call, and returns its response and the call as it arrived.
    pub(crate) async fn call(&mut self, body: &str) -> (Events, Arrival) {
        let response = in_time(self.post_in(body).send()).await.unwrap();
        assert_eq!(response.status().as_u16(), 200);
        (Events::of(response), next(&mut self.arrivals).await)
    }

    /// Opens the standalone stream.
    pub(crate) async fn listen(&self) -> Response {
        let request = self.client.get(&self.url).header("accept", "text/event-stream");
        in_time(request.header("mcp-session-id", SESSION).send()).await.unwrap()
    }

    pub(crate) async fn reply(&self, reply: Reply) -> Result<(), BackendError> {
        in_time(self.intake.reply(reply)).await
    }

    /// Waits until the intake has stopped.
    pub(crate) async fn stopped(&mut self) -> Result<(), BackendError> {
        in_time(self.running.join_next()).await.unwrap().unwrap()
    }
}

pub(crate) fn configured(change: impl FnOnce(&mut StreamableHttpIntakeConfig)) -> StreamableHttpIntakeConfig {
    let mut config = StreamableHttpIntakeConfig::default();
    change(&mut config);
    config
}

pub(crate) fn initialize(webhook: Option<&str>) -> String {
    let meta = webhook.map(|url| format!(r#","_meta":{{"webhookUrl":"{url}"}}"#)).unwrap_or_default();
    format!(
        r#"{{"jsonrpc":"2.0","id":"w:1","method":"initialize","params":{{"protocolVersion":"2025-06-18"{meta}}}}}"#
    )
}

/// What belongs to a request of the session that this `initialize` began, as a worker replies it.
pub(crate) fn reply(initialize: &Arrival, request: &Arrival, text: &str) -> Reply {
    Reply { request: request.reply.clone(), ..unrelated(initialize, text) }
}

/// What belongs to no request.
pub(crate) fn unrelated(initialize: &Arrival, text: &str) -> Reply {
    Reply {
        session: Some(session(SESSION)),
        to: initialize.reply.clone().unwrap_or(ReplyTo::Response(0)),
        request: None,
        context: None,
        payloads: None,
        deadline: Instant::now() + PATIENCE,
        message: Message::parse(text).unwrap(),
    }
}

/// The response to a request that is under way.
pub(crate) struct Responding(JoinSet<reqwest::Result<Response>>);

impl Responding {
    pub(crate) fn to(request: RequestBuilder) -> Self {
        let mut sending = JoinSet::new();
        sending.spawn(request.send());
        Self(sending)
    }

    pub(crate) async fn response(mut self) -> Response {
        in_time(self.0.join_next()).await.unwrap().unwrap().unwrap()
    }
}

/// The events of a response.
#[derive(Debug)]
pub(crate) struct Events {
    response: Response,
    unread: String,
}

impl Events {
    pub(crate) fn of(response: Response) -> Self {
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-cache, no-transform");
        Self { response, unread: String::new() }
    }

    /// The message of the next event; `None` once the response has ended.
    pub(crate) async fn next(&mut self) -> Option<String> {
        loop {
            while let Some((event, rest)) = self.unread.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.unread = rest;
                if let Some(data) = event.strip_prefix("event: message\ndata: ") {
                    return Some(data.to_owned());
                }
            }
            let chunk = in_time(self.response.chunk()).await.unwrap()?;
            self.unread.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }
}

impl Events {
    /// Waits for a comment, which comes before any message.
    pub(crate) async fn comment(&mut self) {
        assert_eq!(in_time(self.response.chunk()).await.unwrap().as_deref(), Some(&b":\n\n"[..]));
    }
}

/// Status and JSON of a response.
pub(crate) async fn said(response: Response) -> (u16, serde_json::Value) {
    let status = response.status().as_u16();
    (status, serde_json::from_str(&response.text().await.unwrap()).unwrap())
}
