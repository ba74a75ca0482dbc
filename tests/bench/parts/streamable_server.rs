//! A plain, fast Streamable HTTP server: sessions, a GET stream that says nothing, answers in JSON or in one event.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use anyhow::Result;
use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderValue, Response, StatusCode, header},
    routing::get,
};
use futures_util::stream;

use super::{asked::Asked, listening::Listening, message::Message};
use crate::part::say;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");

#[derive(Debug)]
struct Server {
    answers_in_events: bool,
    sessions: AtomicUsize,
    streams: AtomicUsize,
}

/// Says where it listens; asked anything, it says how many GET streams were opened.
pub(super) async fn run(answers_in_events: bool) -> Result<()> {
    let listening = Listening::bind().await?;
    say(&listening.address()?)?;
    let server =
        Arc::new(Server { answers_in_events, sessions: AtomicUsize::new(0), streams: AtomicUsize::new(0) });
    let methods = get(listen).post(take).delete(|| async { StatusCode::OK });
    let router = Router::new().route("/mcp", methods).with_state(Arc::clone(&server));
    let mut asked = Asked::listen();
    let answering = async {
        while let Some(()) = asked.next().await? {
            say(&server.streams.load(Ordering::Relaxed))?;
        }
        anyhow::Ok(())
    };
    tokio::select! {
        ended = listening.serve(router) => Ok(ended?),
        answered = answering => answered,
    }
}

async fn take(State(server): State<Arc<Server>>, body: Bytes) -> Result<Response<Body>, StatusCode> {
    let message = Message::parse(&body).map_err(|_| StatusCode::BAD_REQUEST)?;
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    if message.is_initialize() {
        let number = server.sessions.fetch_add(1, Ordering::Relaxed);
        let session = HeaderValue::from_str(&format!("session-{number:024}"));
        headers.insert("mcp-session-id", session.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?);
    }
    let Some(answer) = message.answer() else {
        *response.status_mut() = StatusCode::ACCEPTED;
        return Ok(response);
    };
    if server.answers_in_events {
        headers.insert(header::CONTENT_TYPE, EVENTS);
        let event = ["event: message\ndata: ", &answer, "\n\n"].concat();
        *response.body_mut() = Body::from_stream(stream::iter([std::io::Result::Ok(event)]));
    } else {
        headers.insert(header::CONTENT_TYPE, JSON);
        *response.body_mut() = Body::from(answer);
    }
    Ok(response)
}

async fn listen(State(server): State<Arc<Server>>) -> Response<Body> {
    server.streams.fetch_add(1, Ordering::Relaxed);
    let silence = stream::pending::<std::io::Result<Bytes>>();
    let mut response = Response::new(Body::from_stream(silence));
    response.headers_mut().insert(header::CONTENT_TYPE, EVENTS);
    response
}
