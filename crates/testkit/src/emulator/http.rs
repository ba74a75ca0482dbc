//! The JSON protocol over HTTP: `POST`, the action in `x-amz-target`, JSON both ways.
//!
//! Any path is taken, since clients differ in whether they post to the endpoint or to the queue's address.
//! Signatures are not verified; the access key id in them tells callers apart.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::account::Account;
use super::calls::{Recorder, permissions};
use super::error::ServiceError;
use super::faults::Failure;
use super::request::Request;

/// The largest request body: ten messages of 1 MiB and room for JSON's escapes.
const BODY_LIMIT: usize = 64 * 1024 * 1024;

/// What every request has at hand.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) account: Account,
    pub(super) recorder: Recorder,
    pub(super) answered: AtomicU64,
}

/// The router that serves the account.
pub(super) fn router(service: Arc<Service>) -> Router {
    Router::new().fallback(answer).layer(DefaultBodyLimit::max(BODY_LIMIT)).with_state(service)
}

async fn answer(State(service): State<Arc<Service>>, headers: HeaderMap, body: Bytes) -> Response {
    let number = service.answered.fetch_add(1, Ordering::Relaxed);
    let mut response = match service.call(&headers, &body).await {
        Ok(answer) => (StatusCode::OK, answer.to_string()).into_response(),
        Err(error) => refuse(&error),
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/x-amz-json-1.0"));
    if let Ok(id) = format!("00000000-0000-4000-8000-{number:012x}").parse() {
        headers.insert("x-amzn-requestid", id);
    }
    response
}

impl Service {
    async fn call(&self, headers: &HeaderMap, body: &[u8]) -> Result<Value, ServiceError> {
        let target = text(headers, "x-amz-target");
        let action = target.strip_prefix("AmazonSQS.").ok_or_else(|| ServiceError::unknown_action(target))?;
        let access_key = access_key(text(headers, header::AUTHORIZATION.as_str()));
        let request = Request::parse(body)?;
        let queue = request.queue().or_else(|_| request.queue_name()).unwrap_or("*");
        let permissions = permissions(action, !request.tags.is_empty());
        self.recorder.record(access_key, action, &permissions, queue);
        if let Some(permission) = self.account.faults.denied(access_key, &permissions) {
            return Err(ServiceError::access_denied(access_key, permission, queue));
        }
        match self.account.faults.take(access_key, action) {
            None => self.account.perform(action, &request).await,
            Some(Failure::AccessDenied) => Err(ServiceError::access_denied(access_key, action, queue)),
            Some(Failure::Throttled) => Err(ServiceError::throttled()),
            Some(Failure::Internal) => Err(ServiceError::internal()),
            Some(Failure::Unavailable) => Err(ServiceError::unavailable()),
            Some(Failure::Error(error)) => Err(error),
            Some(Failure::AfterEffect) => {
                self.account.perform(action, &request).await?;
                Err(ServiceError::internal())
            }
            Some(Failure::Slow(duration)) => {
                tokio::time::sleep(duration).await;
                self.account.perform(action, &request).await
            }
            Some(Failure::SlowAnswer(duration)) => {
                let answer = self.account.perform(action, &request).await;
                tokio::time::sleep(duration).await;
                answer
            }
        }
    }
}

fn refuse(error: &ServiceError) -> Response {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = json!({ "__type": error.shape, "message": error.message }).to_string();
    let mut response = (status, body).into_response();
    if let Ok(code) = error.query_header().parse() {
        response.headers_mut().insert("x-amzn-query-error", code);
    }
    response
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The access key id in a signature of version 4, empty without one.
fn access_key(authorization: &str) -> &str {
    let credential = authorization.split_once("Credential=").map_or("", |(_, rest)| rest);
    credential.split('/').next().unwrap_or_default()
}
