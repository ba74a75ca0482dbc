//! The protocols over HTTP: `POST`, with SQS's action in `x-amz-target` and JSON both ways, and with SNS's and STS's
//! in a form that is answered in XML.
//!
//! Any path is taken, since clients differ in whether they post to the endpoint or to the queue's address. What is no `POST` is for S3.
//! Signatures are not verified; the access key id in them tells callers apart.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::account::Account;
use super::api::Api;
use super::call::{Answer, Call};
use super::calls::Recorder;
use super::error::ServiceError;
use super::faults::Failure;
use super::{query, s3};

/// The largest request body: ten messages of 1 MiB and room for JSON's escapes.
const BODY_LIMIT: usize = 64 * 1024 * 1024;
/// What SQS answers with.
const JSON: &str = "application/x-amz-json-1.0";
/// What SNS and STS answer with.
const XML: &str = "text/xml";

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

async fn answer(
    State(service): State<Arc<Service>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let number = service.answered.fetch_add(1, Ordering::Relaxed);
    let request_id = format!("00000000-0000-4000-8000-{number:012x}");
    if method != Method::POST {
        return s3::answer(&service, &s3::Request { method, uri, headers, body }, &request_id).await;
    }
    let (api, action, result) = match Call::parse(&headers, &body) {
        Ok(call) => (call.api, call.action.clone(), service.call(&call, &headers).await),
        Err(error) => (Api::Sqs, String::new(), Err(error)),
    };
    let (content_type, mut response) = match (api, result) {
        (_, Ok(Answer::Json(answer))) => (JSON, answer.to_string().into_response()),
        (_, Ok(Answer::Xml(answer))) => {
            (XML, query::answer(&action, api.namespace(), &request_id, &answer).into_response())
        }
        (Api::Sqs, Err(error)) => (JSON, refuse(&error)),
        (_, Err(error)) => {
            (XML, (status(&error), query::error(&error, api.namespace(), &request_id)).into_response())
        }
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    if let Ok(id) = request_id.parse() {
        headers.insert("x-amzn-requestid", id);
    }
    response
}

impl Service {
    async fn call(&self, call: &Call, headers: &HeaderMap) -> Result<Answer, ServiceError> {
        let access_key = access_key(headers);
        let asked = Asked {
            access_key,
            api: call.api,
            action: &call.action,
            permissions: call.permissions(),
            resource: call.resource(),
        };
        self.perform(&asked, || call.perform(&self.account, access_key)).await
    }

    /// Records the call, and performs it unless it is denied or meant to fail.
    pub(super) async fn perform<T, F>(
        &self,
        asked: &Asked<'_>,
        perform: impl Fn() -> F,
    ) -> Result<T, ServiceError>
    where
        F: Future<Output = Result<T, ServiceError>>,
    {
        let Asked { access_key, api, action, permissions, resource } = asked;
        self.recorder.record(access_key, action, permissions, resource);
        if let Some(permission) = self.account.faults.denied(access_key, permissions) {
            return Err(api.denied(access_key, permission, resource));
        }
        match self.account.faults.take(access_key, action) {
            None => perform().await,
            Some(Failure::AccessDenied) => {
                Err(api.denied(access_key, &format!("{}:{action}", api.prefix()), resource))
            }
            Some(Failure::Throttled) => Err(api.throttled()),
            Some(Failure::Internal) => Err(api.internal()),
            Some(Failure::Unavailable) => Err(ServiceError::unavailable()),
            Some(Failure::Error(error)) => Err(error),
            Some(Failure::AfterEffect) => {
                perform().await?;
                Err(api.internal())
            }
            Some(Failure::Slow(duration)) => {
                tokio::time::sleep(duration).await;
                perform().await
            }
            Some(Failure::SlowAnswer(duration)) => {
                let answer = perform().await;
                tokio::time::sleep(duration).await;
                answer
            }
        }
    }
}

/// A call, as far as counters, denials and faults know it.
pub(super) struct Asked<'call> {
    pub(super) access_key: &'call str,
    pub(super) api: Api,
    pub(super) action: &'call str,
    pub(super) permissions: Vec<String>,
    pub(super) resource: &'call str,
}

fn refuse(error: &ServiceError) -> Response {
    let body = json!({ "__type": error.shape, "message": error.message }).to_string();
    let mut response = (status(error), body).into_response();
    if let Ok(code) = error.query_header().parse() {
        response.headers_mut().insert("x-amzn-query-error", code);
    }
    response
}

pub(super) fn status(error: &ServiceError) -> StatusCode {
    StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The access key id in a signature of version 4, empty without one.
pub(super) fn access_key(headers: &HeaderMap) -> &str {
    let authorization = text(headers, header::AUTHORIZATION.as_str());
    let credential = authorization.split_once("Credential=").map_or("", |(_, rest)| rest);
    credential.split('/').next().unwrap_or_default()
}
