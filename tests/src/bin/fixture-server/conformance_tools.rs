//! The tools of the official conformance suite, 2025 era: names, arguments and texts are the suite's.

use std::time::Duration;

use rmcp::{RoleServer, service::RequestContext};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    asking::{elicit, elicited, log, progress, sample},
    contents::{embedded, image, sound, text},
    tools::{Failure, Outcome, text_of, tool},
};

/// Between the notifications of one call, as the suite describes its tools.
const STEP: Duration = Duration::from_millis(50);

pub(crate) fn listed() -> Vec<Value> {
    let plain = [
        ("test_simple_text", "Returns plain text"),
        ("test_image_content", "Returns an image"),
        ("test_audio_content", "Returns a sound"),
        ("test_embedded_resource", "Returns an embedded resource"),
        ("test_multiple_content_types", "Returns text, an image and a resource"),
        ("test_error_handling", "Always fails"),
        ("test_tool_with_progress", "Reports progress"),
        ("test_tool_with_logging", "Writes log messages"),
        ("test_elicitation_sep1034_defaults", "Asks the user with defaults (SEP-1034)"),
        ("test_elicitation_sep1330_enums", "Asks the user to choose (SEP-1330)"),
        ("test_reconnection", "Takes a while"),
    ];
    let mut listed: Vec<_> =
        plain.into_iter().map(|(name, description)| tool(name, description, json!({}))).collect();
    let string = json!({"type": "string"});
    listed.push(tool("test_sampling", "Asks the client's model", json!({"prompt": string})));
    listed.push(tool("test_elicitation", "Asks the user", json!({"message": string})));
    listed.push(json!({
        "name": "json_schema_2020_12_tool",
        "description": "Tool with JSON Schema 2020-12 features",
        "inputSchema": json_schema(),
    }));
    listed
}

/// Runs one of these; `None` where it is none.
pub(crate) async fn call(
    name: &str,
    arguments: &Value,
    context: &RequestContext<RoleServer>,
) -> Option<Outcome> {
    Some(match name {
        "test_simple_text" => Ok(vec![text("This is a simple text response for testing.")]),
        "test_image_content" => Ok(vec![image()]),
        "test_audio_content" => Ok(vec![sound()]),
        "test_embedded_resource" => Ok(vec![embedded(
            "test://embedded-resource",
            "text/plain",
            "This is an embedded resource content.",
        )]),
        "test_multiple_content_types" => Ok(vec![
            text("Multiple content types test:"),
            image(),
            embedded("test://mixed-content-resource", "application/json", r#"{"test":"data","value":123}"#),
        ]),
        "test_error_handling" => {
            Err(Failure::Result("This tool intentionally returns an error for testing".to_owned()))
        }
        "test_tool_with_progress" => with_progress(context).await,
        "test_tool_with_logging" => with_logging(context).await,
        "test_sampling" => sampling(context, text_of(arguments, "prompt")).await,
        "test_elicitation" => elicitation(context, text_of(arguments, "message")).await,
        "test_elicitation_sep1034_defaults" => defaults(context).await,
        "test_elicitation_sep1330_enums" => enums(context).await,
        "test_reconnection" => reconnection().await,
        "json_schema_2020_12_tool" => {
            Ok(vec![text(format!("JSON Schema 2020-12 tool called with: {arguments}"))])
        }
        _ => return None,
    })
}

async fn with_progress(context: &RequestContext<RoleServer>) -> Outcome {
    for done in [0.0, 50.0, 100.0] {
        progress(context, done, Some(100.0), None).await?;
        sleep(STEP).await; // allowed: the suite describes its tools so
    }
    Ok(vec![text("Tool with progress executed successfully")])
}

async fn with_logging(context: &RequestContext<RoleServer>) -> Outcome {
    for message in ["Tool execution started", "Tool processing data", "Tool execution completed"] {
        log(context, json!(message)).await?;
        sleep(STEP).await; // allowed: the suite describes its tools so
    }
    Ok(vec![text("Tool with logging executed successfully")])
}

async fn sampling(context: &RequestContext<RoleServer>, prompt: &str) -> Outcome {
    Ok(vec![text(format!("LLM response: {}", sample(context, prompt).await?))])
}

async fn elicitation(context: &RequestContext<RoleServer>, message: &str) -> Outcome {
    let properties = json!({
        "username": {"type": "string", "description": "User's response"},
        "email": {"type": "string", "description": "User's email address"},
    });
    let answer = elicit(context, message, properties, &["username", "email"]).await?;
    Ok(vec![text(format!("User response: {}", elicited(&answer)))])
}

async fn defaults(context: &RequestContext<RoleServer>) -> Outcome {
    let properties = json!({
        "name": {"type": "string", "description": "User name", "default": "John Doe"},
        "age": {"type": "integer", "description": "User age", "default": 30},
        "score": {"type": "number", "description": "User score", "default": 95.5},
        "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        "verified": {"type": "boolean", "description": "Verification status", "default": true},
    });
    let answer = elicit(context, "Please review the defaults", properties, &[]).await?;
    Ok(vec![text(format!("Elicitation completed: {}", elicited(&answer)))])
}

async fn enums(context: &RequestContext<RoleServer>) -> Outcome {
    let options = json!(["option1", "option2", "option3"]);
    let titled = json!([
        {"const": "value1", "title": "First"},
        {"const": "value2", "title": "Second"},
        {"const": "value3", "title": "Third"},
    ]);
    let properties = json!({
        "untitledSingle": {"type": "string", "enum": options},
        "titledSingle": {"type": "string", "oneOf": titled},
        "legacyEnum": {
            "type": "string",
            "enum": ["opt1", "opt2", "opt3"],
            "enumNames": ["Option One", "Option Two", "Option Three"],
        },
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": options}},
        "titledMulti": {"type": "array", "items": {"anyOf": titled}},
    });
    let answer = elicit(context, "Please choose", properties, &[]).await?;
    Ok(vec![text(format!("Elicitation completed: {}", elicited(&answer)))])
}

/// rmcp does not let a tool close the stream that its answer comes on, so the call goes on as any other.
async fn reconnection() -> Outcome {
    // Longer than the proxy waits before it answers by a stream.
    sleep(10 * STEP).await; // allowed: what the tool does
    Ok(vec![text("Reconnection test completed")])
}

fn json_schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {
            "address": {
                "$anchor": "addressDef",
                "type": "object",
                "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
            },
        },
        "properties": {
            "name": {"type": "string"},
            "address": {"$ref": "#/$defs/address"},
            "contactMethod": {"type": "string", "enum": ["phone", "email"]},
            "phone": {"type": "string"},
            "email": {"type": "string"},
        },
        "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
        "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
        "then": {"required": ["phone"]},
        "else": {"required": ["email"]},
        "additionalProperties": false,
    })
}
