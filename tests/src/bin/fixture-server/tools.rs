//! All tools: their list, and who runs them.

use rmcp::{ErrorData, RoleServer, model::CallToolResponse, service::RequestContext};
use serde_json::{Value, json};

use crate::{
    conformance_tools, own_tools,
    server::{Fixture, invalid, typed},
};

/// What a tool returns: its contents, or why it failed, which is a result too.
pub(crate) type Outcome = Result<Vec<Value>, Failure>;

/// How a tool fails.
#[derive(Debug)]
pub(crate) enum Failure {
    /// As tools do: by a result that says so.
    Result(String),
    /// As no tool should: by a JSON-RPC error.
    Error(ErrorData),
}

impl From<ErrorData> for Failure {
    fn from(error: ErrorData) -> Self {
        Self::Error(error)
    }
}

/// The tools, as they are listed.
pub(crate) fn listed() -> Vec<Value> {
    conformance_tools::listed().into_iter().chain(own_tools::listed()).collect()
}

/// Runs a tool.
pub(crate) async fn call(
    fixture: &Fixture,
    name: &str,
    arguments: &Value,
    context: &RequestContext<RoleServer>,
) -> Result<CallToolResponse, ErrorData> {
    let outcome = match conformance_tools::call(name, arguments, context).await {
        Some(outcome) => outcome,
        None => match own_tools::call(fixture, name, arguments, context).await {
            Some(outcome) => outcome,
            None => return Err(invalid(format!("Unknown tool: {name}"))),
        },
    };
    let result = match outcome {
        Ok(said) => json!({"content": said, "isError": false}),
        Err(Failure::Result(problem)) => {
            json!({"content": [crate::contents::text(problem)], "isError": true})
        }
        Err(Failure::Error(error)) => return Err(error),
    };
    Ok(CallToolResponse::Complete(typed(result)?))
}

/// A tool as it is listed. Properties without a default are required.
#[expect(clippy::needless_pass_by_value, reason = "the callers write the values in place")]
pub(crate) fn tool(name: &str, description: &str, properties: Value) -> Value {
    let required: Vec<_> = properties
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, property)| property.get("default").is_none())
        .map(|(name, _)| name.clone())
        .collect();
    let schema = json!({"type": "object", "properties": properties, "required": required});
    json!({"name": name, "description": description, "inputSchema": schema})
}

/// An argument that is a text; empty where it is missing.
pub(crate) fn text_of<'arguments>(arguments: &'arguments Value, name: &str) -> &'arguments str {
    arguments[name].as_str().unwrap_or_default()
}
