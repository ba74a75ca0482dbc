//! The HTTP client of the far end and of the bare loop: hyper-util's, with its pool, and nothing around it.

use anyhow::{Result, ensure};
use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header},
};
use http_body_util::BodyExt as _;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

pub(super) const SESSION: HeaderName = HeaderName::from_static("x-session-id");

/// Posts JSON over connections that are kept.
#[derive(Debug, Clone)]
pub(super) struct Posts(Client<HttpConnector, Body>);

impl Posts {
    pub(super) fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self(Client::builder(TokioExecutor::new()).build(connector))
    }

    /// Posts this and reads what comes of it.
    pub(super) async fn post(&self, url: &str, headers: HeaderMap, body: String) -> Result<Response<Bytes>> {
        let mut request = Request::post(url).body(Body::from(body))?;
        *request.headers_mut() = headers;
        request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let response = self.0.request(request).await?;
        let status = response.status();
        ensure!(status.is_success(), "{url} answered with {status}");
        let (head, body) = response.into_parts();
        Ok(Response::from_parts(head, body.collect().await?.to_bytes()))
    }
}
