//! A little of S3: buckets and objects at `/{bucket}/{key}`, as far as a claim check needs them.
//!
//! Rules and errors: S3 API, `PutObject`, `GetObject`, `DeleteObject`, `HeadObject`, `HeadBucket`, `CreateBucket`. Keys are compared as they
//! stand in the URL. Bodies in `aws-chunked` encoding are refused.

use std::collections::BTreeMap;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use super::api::Api;
use super::error::ServiceError;
use super::http::{Asked, Service, access_key, status};

/// The buckets.
#[derive(Debug, Default)]
pub(super) struct S3 {
    buckets: BTreeMap<String, BTreeMap<String, Bytes>>,
}

/// A request that is no `POST`.
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl S3 {
    pub(super) fn create_bucket(&mut self, name: &str) {
        self.buckets.entry(name.to_owned()).or_default();
    }

    pub(super) fn insert(&mut self, bucket: &str, key: &str, body: Bytes) {
        if let Some(objects) = self.buckets.get_mut(bucket) {
            objects.insert(key.to_owned(), body);
        }
    }

    pub(super) fn objects(&self, bucket: &str) -> BTreeMap<String, Vec<u8>> {
        let objects = self.buckets.get(bucket).into_iter().flatten();
        objects.map(|(key, body)| (key.clone(), body.to_vec())).collect()
    }

    fn perform(
        &mut self,
        action: &str,
        bucket: &str,
        key: &str,
        body: &Bytes,
    ) -> Result<Response, ServiceError> {
        if action == "CreateBucket" {
            self.create_bucket(bucket);
            return Ok(StatusCode::OK.into_response());
        }
        let Some(objects) = self.buckets.get_mut(bucket) else {
            return Err(ServiceError::new("NoSuchBucket", 404, "The specified bucket does not exist"));
        };
        Ok(match action {
            "PutObject" => {
                objects.insert(key.to_owned(), body.clone());
                StatusCode::OK.into_response()
            }
            "DeleteObject" => {
                objects.remove(key);
                StatusCode::NO_CONTENT.into_response()
            }
            "GetObject" | "HeadObject" => match objects.get(key) {
                Some(body) => Body::from(body.clone()).into_response(),
                None => return Err(ServiceError::new("NoSuchKey", 404, "The specified key does not exist.")),
            },
            _ => StatusCode::OK.into_response(),
        })
    }
}

/// Answers a request to a bucket or an object.
pub(super) async fn answer(service: &Service, request: &Request, request_id: &str) -> Response {
    let path = request.uri.path().trim_start_matches('/');
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    let result = match action(&request.method, key) {
        Some(action) => perform(service, request, action, bucket, key).await,
        None => Err(ServiceError::new("NotImplemented", 501, "This is not implemented by the emulator.")),
    };
    result.unwrap_or_else(|error| {
        let ServiceError { code, message, .. } = &error;
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message><RequestId>{request_id}</RequestId></Error>"
        );
        (status(&error), [(header::CONTENT_TYPE, "application/xml")], body).into_response()
    })
}

fn action(method: &Method, key: &str) -> Option<&'static str> {
    Some(match (method, key.is_empty()) {
        (&Method::PUT, false) => "PutObject",
        (&Method::PUT, true) => "CreateBucket",
        (&Method::GET, false) => "GetObject",
        (&Method::HEAD, false) => "HeadObject",
        (&Method::HEAD, true) => "HeadBucket",
        (&Method::DELETE, false) => "DeleteObject",
        _ => return None,
    })
}

async fn perform(
    service: &Service,
    request: &Request,
    action: &str,
    bucket: &str,
    key: &str,
) -> Result<Response, ServiceError> {
    let encoding = request.headers.get(header::CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| encoding.as_bytes().starts_with(b"aws-chunked")) {
        return Err(ServiceError::new(
            "NotImplemented",
            501,
            "aws-chunked is not implemented by the emulator.",
        ));
    }
    let access_key = access_key(&request.headers);
    let permission = match action {
        "HeadObject" => "s3:GetObject".to_owned(),
        "HeadBucket" => "s3:ListBucket".to_owned(),
        _ => format!("s3:{action}"),
    };
    let asked = Asked { access_key, api: Api::S3, action, permissions: vec![permission], resource: bucket };
    let result = service
        .perform(&asked, || async { service.account.state().s3.perform(action, bucket, key, &request.body) })
        .await;
    // who may not list a bucket is not told what is not in it (S3 API, GetObject, "Permissions")
    let list = ["s3:ListBucket".to_owned()];
    match (result, service.account.faults.denied(access_key, &list)) {
        (Err(error), Some(_)) if error.code == "NoSuchKey" => {
            Err(Api::S3.denied(access_key, &list[0], bucket))
        }
        (result, _) => result,
    }
}
