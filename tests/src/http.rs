//! An MCP client of nothing but HTTP, for what no SDK would send.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

/// An HTTP client, which speaks to nobody over TLS. It needs a cryptography all the same: where backends and tests are built together,
/// their `reqwest` is one without a default.
///
/// # Panics
/// Never: these settings make a client.
pub fn client() -> reqwest::Client {
    // Another test of this process may have done so.
    rustls::crypto::ring::default_provider().install_default().ok();
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_mins(2)).build();
    client.unwrap_or_else(|error| panic!("no HTTP client can be built: {error}"))
}

/// GETs this URL, which has to be there.
pub async fn get(url: &str) -> Result<Response> {
    Ok(client().get(url).send().await?.error_for_status()?)
}

/// The value of a metric at this URL, summed over its labels that contain `labels`.
pub async fn metric(url: &str, name: &str, labels: &str) -> Result<f64> {
    let text = get(url).await?.text().await?;
    let matching = text.lines().filter(|line| line.starts_with(name) && line.contains(labels));
    Ok(matching.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
}

/// A session that was opened by hand.
#[derive(Debug, Clone)]
pub struct Session {
    http: reqwest::Client,
    url: String,
    id: String,
}

impl Session {
    /// Opens a session of this revision, handshake included.
    pub async fn open(url: &str, version: &str) -> Result<Self> {
        let http = client();
        let initialize = json!({
            "jsonrpc": "2.0", "id": 0, "method": "initialize",
            "params": {
                "protocolVersion": version,
                "capabilities": {"sampling": {}, "elicitation": {}, "roots": {}},
                "clientInfo": {"name": "by-hand", "version": "1"},
            },
        });
        let response = post(&http, url).json(&initialize).send().await?;
        let status = response.status();
        let id = response.headers().get("mcp-session-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
        let answers = messages(response).await?;
        ensure!(status == StatusCode::OK, "initialize got {status}: {answers:?}");
        let id = id.with_context(|| format!("initialize gave no session id: {answers:?}"))?;
        let session = Self { http, url: url.to_owned(), id };
        ensure!(
            answers.iter().any(|answer| answer.get("result").is_some()),
            "initialize failed: {answers:?}"
        );
        let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        let response = session.post().json(&initialized).send().await?;
        ensure!(response.status() == StatusCode::ACCEPTED, "initialized got {}", response.status());
        Ok(session)
    }

    /// A POST with the session's headers.
    pub fn post(&self) -> RequestBuilder {
        post(&self.http, &self.url).header("mcp-session-id", &self.id)
    }

    /// A GET with the session's headers.
    pub fn get(&self) -> RequestBuilder {
        self.http.get(&self.url).header("accept", "text/event-stream").header("mcp-session-id", &self.id)
    }

    /// A DELETE with the session's headers.
    pub fn delete(&self) -> RequestBuilder {
        self.http.delete(&self.url).header("mcp-session-id", &self.id)
    }

    /// Calls a tool, and gives everything that came back on the response.
    pub async fn call(&self, id: Value, tool: &str, arguments: Value) -> Result<Vec<Value>> {
        messages(self.post().json(&call(id, tool, arguments)).send().await?.error_for_status()?).await
    }

    /// Calls a tool, and gives the answer alone.
    pub async fn answer(&self, id: Value, tool: &str, arguments: Value) -> Result<Value> {
        let mut messages = self.call(id.clone(), tool, arguments).await?;
        let answer = messages.pop().context("nothing came back")?;
        ensure!(answer["id"] == id, "expected the answer to {id}, got {answer}");
        Ok(answer)
    }
}

/// A `tools/call` request.
#[expect(clippy::needless_pass_by_value, reason = "the callers write the values in place")]
pub fn call(id: Value, tool: &str, arguments: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": tool, "arguments": arguments}})
}

/// The text of a tool's result.
pub fn text(answer: &Value) -> Option<&str> {
    answer["result"]["content"][0]["text"].as_str()
}

/// A POST that names no session.
pub fn stateless_post(url: &str) -> RequestBuilder {
    post(&client(), url)
}

fn post(http: &reqwest::Client, url: &str) -> RequestBuilder {
    http.post(url).header("accept", "application/json, text/event-stream")
}

/// The messages of a whole response, JSON or server-sent events.
pub async fn messages(response: Response) -> Result<Vec<Value>> {
    let is_stream = response.headers().get("content-type").is_some_and(|value| value == "text/event-stream");
    let body = response.text().await?;
    if !is_stream {
        return match serde_json::from_str(&body).with_context(|| format!("no JSON: {body}"))? {
            Value::Array(messages) => Ok(messages),
            message => Ok(vec![message]),
        };
    }
    let data = body
        .lines()
        .filter_map(|line| line.strip_prefix("data:"))
        .map(str::trim)
        .filter(|data| !data.is_empty());
    data.map(|data| serde_json::from_str(data).with_context(|| format!("no JSON: {data}"))).collect()
}
