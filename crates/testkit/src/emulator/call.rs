//! A call: which service, which action, with what, and the permissions that it needs.

use axum::http::HeaderMap;
use serde_json::Value;

use super::account::Account;
use super::api::Api;
use super::error::ServiceError;
use super::query::{Form, Xml};
use super::sqs::request::Request;
use super::sts;

/// What a client asks for.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) api: Api,
    pub(super) action: String,
    parameters: Parameters,
}

#[derive(Debug)]
enum Parameters {
    Json(Box<Request>),
    Form(Form),
}

/// What an action is answered with.
#[derive(Debug)]
pub(super) enum Answer {
    Json(Value),
    Xml(Vec<Xml>),
}

impl Call {
    /// SQS's actions come in the header `x-amz-target`, the others' in the form.
    pub(super) fn parse(headers: &HeaderMap, body: &[u8]) -> Result<Self, ServiceError> {
        if let Some(target) = headers.get("x-amz-target") {
            let target = target.to_str().unwrap_or_default();
            let action =
                target.strip_prefix("AmazonSQS.").ok_or_else(|| ServiceError::unknown_action(target))?;
            let parameters = Parameters::Json(Box::new(Request::parse(body)?));
            return Ok(Self { api: Api::Sqs, action: action.to_owned(), parameters });
        }
        let form = Form::parse(body);
        let action = form.get("Action").ok_or_else(|| ServiceError::unknown_action(""))?.to_owned();
        let api = if action == sts::GET_CALLER_IDENTITY { Api::Sts } else { Api::Sns };
        Ok(Self { api, action, parameters: Parameters::Form(form) })
    }

    /// The name of the queue or topic that it is about, or `*`.
    pub(super) fn resource(&self) -> &str {
        match &self.parameters {
            Parameters::Json(request) => request.queue().or_else(|_| request.queue_name()).unwrap_or("*"),
            Parameters::Form(form) => {
                let arn =
                    ["TopicArn", "TargetArn", "ResourceArn"].into_iter().find_map(|name| form.get(name));
                let name = arn.and_then(|arn| arn.rsplit(':').next());
                name.or_else(|| form.get("Name")).unwrap_or("*")
            }
        }
    }

    /// The permissions that it needs, with their service's prefix.
    ///
    /// AWS, "Amazon SQS API permissions" and the service authorization reference of SNS: a batch needs its single
    /// action's, tags at creation that of tagging. `GetCallerIdentity` needs none (STS API reference).
    pub(super) fn permissions(&self) -> Vec<String> {
        let prefix = self.api.prefix();
        let own = format!("{prefix}:{}", self.action.strip_suffix("Batch").unwrap_or(&self.action));
        let tags = match &self.parameters {
            _ if self.api == Api::Sts => return Vec::new(),
            Parameters::Json(request) if self.action == "CreateQueue" && !request.tags.is_empty() => {
                "TagQueue"
            }
            Parameters::Form(form)
                if self.action == "CreateTopic" && form.get("Tags.member.1.Key").is_some() =>
            {
                "TagResource"
            }
            _ => return vec![own],
        };
        vec![own, format!("{prefix}:{tags}")]
    }

    /// Does it.
    pub(super) async fn perform(&self, account: &Account, access_key: &str) -> Result<Answer, ServiceError> {
        match &self.parameters {
            Parameters::Json(request) => account.perform_sqs(&self.action, request).await.map(Answer::Json),
            Parameters::Form(_) if self.api == Api::Sts => Ok(Answer::Xml(sts::caller_identity(access_key))),
            Parameters::Form(form) => account.perform_sns(&self.action, form).map(Answer::Xml),
        }
    }
}
