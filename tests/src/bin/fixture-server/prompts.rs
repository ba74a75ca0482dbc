//! The prompts that the conformance suite gets.

use rmcp::ErrorData;
use serde_json::{Value, json};

use crate::{
    contents::{embedded, image, text},
    server::invalid,
};

const PROMPTS: [(&str, &[&str]); 4] = [
    ("test_simple_prompt", &[]),
    ("test_prompt_with_arguments", &["arg1", "arg2"]),
    ("test_prompt_with_embedded_resource", &["resourceUri"]),
    ("test_prompt_with_image", &[]),
];

pub(crate) fn listed() -> Vec<Value> {
    let listed = PROMPTS.iter().map(|(name, arguments)| {
        let arguments: Vec<_> =
            arguments.iter().map(|name| json!({"name": name, "required": true})).collect();
        json!({"name": name, "description": format!("{name} for tests"), "arguments": arguments})
    });
    listed.collect()
}

pub(crate) fn messages(name: &str, arguments: &Value) -> Result<Vec<Value>, ErrorData> {
    let (_, wanted) = PROMPTS
        .iter()
        .find(|(known, _)| *known == name)
        .ok_or_else(|| invalid(format!("Unknown prompt: {name}")))?;
    let missing: Vec<_> =
        wanted.iter().filter(|name| arguments[**name].as_str().is_none()).copied().collect();
    if !missing.is_empty() {
        return Err(invalid(format!("Missing arguments: {}", missing.join(", "))));
    }
    let given = |name: &str| arguments[name].as_str().unwrap_or_default();
    let contents = match name {
        "test_simple_prompt" => vec![text("This is a simple prompt for testing.")],
        "test_prompt_with_arguments" => {
            let (one, two) = (given("arg1"), given("arg2"));
            vec![text(format!("Prompt with arguments: arg1='{one}', arg2='{two}'"))]
        }
        "test_prompt_with_embedded_resource" => vec![
            embedded(given("resourceUri"), "text/plain", "Embedded resource content for testing."),
            text("Please process the embedded resource above."),
        ],
        _ => vec![image(), text("Please analyze the image above.")],
    };
    Ok(contents.into_iter().map(|content| json!({"role": "user", "content": content})).collect())
}
