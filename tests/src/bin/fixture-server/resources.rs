//! The resources that the conformance suite reads.

use rmcp::ErrorData;
use serde_json::{Value, json};

use crate::contents::PNG;

/// URI, name, MIME type and text; without a text it is a picture.
const RESOURCES: [(&str, &str, &str, Option<&str>); 3] = [
    (
        "test://static-text",
        "Static text",
        "text/plain",
        Some("This is the content of the static text resource."),
    ),
    ("test://static-binary", "Static binary", "image/png", None),
    (
        "test://watched-resource",
        "Watched resource",
        "text/plain",
        Some("This resource can be subscribed to."),
    ),
];

/// What stands around the id in the URIs of the template.
const TEMPLATE: (&str, &str) = ("test://template/", "/data");

pub(crate) fn listed() -> Vec<Value> {
    let listed = RESOURCES.iter().map(|(uri, name, mime_type, _)| {
        json!({"uri": uri, "name": name, "mimeType": mime_type, "description": format!("{name} for tests")})
    });
    listed.collect()
}

pub(crate) fn templates() -> Vec<Value> {
    let (before, after) = TEMPLATE;
    vec![
        json!({"uriTemplate": format!("{before}{{id}}{after}"), "name": "Template", "mimeType": "application/json"}),
    ]
}

pub(crate) fn read(uri: &str) -> Result<Value, ErrorData> {
    if let Some((_, _, mime_type, text)) = RESOURCES.iter().find(|(known, ..)| *known == uri) {
        return Ok(match text {
            Some(text) => json!({"uri": uri, "mimeType": mime_type, "text": text}),
            None => json!({"uri": uri, "mimeType": mime_type, "blob": PNG}),
        });
    }
    let (before, after) = TEMPLATE;
    let id = uri
        .strip_prefix(before)
        .and_then(|rest| rest.strip_suffix(after))
        .ok_or_else(|| ErrorData::resource_not_found("Resource not found", Some(json!({"uri": uri}))))?;
    let text = json!({"id": id, "templateTest": true, "data": format!("Data for ID: {id}")}).to_string();
    Ok(json!({"uri": uri, "mimeType": "application/json", "text": text}))
}
