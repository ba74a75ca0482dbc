//! A fast MCP server over webhooks: answers each POST with a receipt, and posts the answer to the session's URL.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Result;
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    routing::post,
};
use tokio::task::JoinSet;

use super::{
    asked::Asked,
    listening::Listening,
    message::Message,
    posts::{Posts, SESSION},
};
use crate::part::say;

type Receipt = ([(HeaderName, HeaderValue); 2], &'static str);

#[derive(Debug)]
struct Server {
    posts: Posts,
    /// Where each session's answers go.
    reply_urls: Mutex<HashMap<HeaderValue, Arc<str>>>,
    answering: Mutex<JoinSet<()>>,
}

pub(super) async fn run() -> Result<()> {
    let listening = Listening::bind().await?;
    say(&listening.address()?)?;
    let server = Server { posts: Posts::new(), reply_urls: Mutex::default(), answering: Mutex::default() };
    let methods = post(take).delete(|| async { StatusCode::OK });
    let router = Router::new().route("/mcp/request", methods).with_state(Arc::new(server));
    let mut asked = Asked::listen();
    tokio::select! {
        ended = listening.serve(router) => Ok(ended?),
        () = asked.closed() => Ok(()),
    }
}

async fn take(
    State(server): State<Arc<Server>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Receipt, StatusCode> {
    let message = Message::parse(&body).map_err(|_| StatusCode::BAD_REQUEST)?;
    let session = headers.get(SESSION).ok_or(StatusCode::BAD_REQUEST)?;
    let status = if let Some(url) = message.reply_to() {
        server.urls().insert(session.clone(), url.into());
        r#"{"status":"session_created"}"#
    } else {
        r#"{"status":"received"}"#
    };
    if let Some(answer) = message.answer() {
        let url = server.urls().get(session).map(Arc::clone).ok_or(StatusCode::BAD_REQUEST)?;
        server.answer(url, session.clone(), answer);
    }
    let json = HeaderValue::from_static("application/json");
    Ok(([(header::CONTENT_TYPE, json), (SESSION, session.clone())], status))
}

impl Server {
    fn urls(&self) -> std::sync::MutexGuard<'_, HashMap<HeaderValue, Arc<str>>> {
        self.reply_urls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Posts an answer, while the receipt goes out.
    fn answer(&self, url: Arc<str>, session: HeaderValue, answer: String) {
        let posts = self.posts.clone();
        let mut answering = self.answering.lock().unwrap_or_else(PoisonError::into_inner);
        while answering.try_join_next().is_some() {}
        answering.spawn(async move {
            let headers = HeaderMap::from_iter([(SESSION, session)]);
            // The load then misses an answer, and fails.
            if let Err(error) = posts.post(&url, headers, answer).await {
                tracing::error!(%error, "an answer could not be posted");
            }
        });
    }
}
