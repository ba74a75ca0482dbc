//! What a tool says to its client, and asks of it, while it runs.

use rmcp::{
    ErrorData, RoleServer,
    model::{ServerNotification, ServerRequest},
    service::{RequestContext, ServiceError},
};
use serde_json::{Value, json};

use crate::server::typed;

/// Reports progress under the caller's token; without a token there is nothing to say.
pub(crate) async fn progress(
    context: &RequestContext<RoleServer>,
    done: f64,
    total: Option<f64>,
    message: Option<&str>,
) -> Result<(), ErrorData> {
    let Some(token) = context.meta.get_progress_token() else { return Ok(()) };
    let mut params = json!({"progressToken": token, "progress": done});
    if let Some(total) = total {
        params["total"] = json!(total);
    }
    if let Some(message) = message {
        params["message"] = json!(message);
    }
    tell(context, "notifications/progress", params).await
}

/// Writes to the client's log.
pub(crate) async fn log(context: &RequestContext<RoleServer>, data: Value) -> Result<(), ErrorData> {
    tell(context, "notifications/message", json!({"level": "info", "logger": "fixture", "data": data})).await
}

/// Asks the client's model.
pub(crate) async fn sample(context: &RequestContext<RoleServer>, prompt: &str) -> Result<String, ErrorData> {
    let message = json!({"role": "user", "content": {"type": "text", "text": prompt}});
    let params = json!({"messages": [message], "maxTokens": 100});
    let answer = ask(context, "sampling/createMessage", params).await?;
    let text = answer.pointer("/content/text").or_else(|| answer.pointer("/content/0/text"));
    Ok(text.and_then(Value::as_str).unwrap_or_default().to_owned())
}

/// Asks the user, and gives what the client made of it.
pub(crate) async fn elicit(
    context: &RequestContext<RoleServer>,
    message: &str,
    properties: Value,
    required: &[&str],
) -> Result<Value, ErrorData> {
    let schema = json!({"type": "object", "properties": properties, "required": required});
    let params = json!({"mode": "form", "message": message, "requestedSchema": schema});
    ask(context, "elicitation/create", params).await
}

/// What the user said, in a line.
pub(crate) fn elicited(answer: &Value) -> String {
    let content = &answer["content"];
    // as Python writes it, so that clients need not know which fixture they talk to
    let content = content.to_string().replace("\":", "\": ").replace(",\"", ", \"");
    format!("action={}, content={content}", answer["action"].as_str().unwrap_or_default())
}

/// Notifies the client.
pub(crate) async fn tell(
    context: &RequestContext<RoleServer>,
    method: &str,
    params: Value,
) -> Result<(), ErrorData> {
    let notification: ServerNotification = typed(json!({"method": method, "params": params}))?;
    context.peer.send_notification(notification).await.map_err(|error| failed(&error))
}

/// Asks the client, and gives its result.
pub(crate) async fn ask(
    context: &RequestContext<RoleServer>,
    method: &str,
    params: Value,
) -> Result<Value, ErrorData> {
    let request: ServerRequest = typed(json!({"method": method, "params": params}))?;
    let result = context.peer.send_request(request).await.map_err(|error| failed(&error))?;
    serde_json::to_value(result).map_err(|error| ErrorData::internal_error(error.to_string(), None))
}

fn failed(error: &ServiceError) -> ErrorData {
    ErrorData::internal_error(error.to_string(), None)
}
