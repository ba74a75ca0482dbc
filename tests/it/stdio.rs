//! The proxy as desktop clients start it, spoken to by lines.

use anyhow::Result;
use e2e::{
    fixtures,
    http::{call, text},
    kind::Kind,
    proxy::Settings,
    stdio::StdioProxy,
    stories,
    world::FarEnd,
};
use serde_json::{Value, json};

stories! {
    the_end_of_input_drains: all;
    what_desktop_clients_are_configured_with_works: all;
}

/// Items 71, 72 and 74 of the checklist: nothing but messages on standard output, one a line; what is in flight at the end of input is
/// answered; then the process ends by itself and leaves nothing behind.
async fn the_end_of_input_drains(kind: Kind) -> Result<()> {
    let far_end = FarEnd::start(kind).await?;
    let mut settings = far_end.settings("");
    settings.backend = settings.backend.with_created_queue();
    let mut proxy = StdioProxy::start(&settings)?;
    let mut before = Vec::new();
    let initialize = json!({
        "jsonrpc": "2.0", "id": "i", "method": "initialize",
        "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "by-hand", "version": "1"}},
    });
    let initialized = proxy.request(&initialize, &mut before).await?;
    assert_eq!(initialized["result"]["protocolVersion"], "2025-11-25", "{initialized}");
    proxy.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await?;
    proxy.send_line("nonsense").await?;
    let refused = proxy.receive().await?;
    assert_eq!(refused["error"]["code"], -32700, "{refused}");
    let said = "line\nbreak";
    let echoed = proxy.request(&call(json!(1), "echo", json!({"text": said})), &mut before).await?;
    assert_eq!(text(&echoed), Some(said));

    proxy.send(&call(json!(2), "slow", json!({"seconds": 0.3}))).await?;
    let (rest, log) = proxy.close().await?;
    let answers: Vec<&Value> = rest.iter().filter(|message| message["id"] == 2).collect();
    assert_eq!(answers.len(), 1, "{rest:?}");
    assert!(text(answers[0]).is_some(), "it was not answered: {rest:?}\n{log}");
    assert!(!log.is_empty(), "it logs on standard error");
    if let Ok(emulator) = far_end.emulator() {
        let left = emulator.client().list_queues().send().await?;
        assert!(left.queue_urls().len() <= 2, "its queue is still there: {:?}", left.queue_urls());
    }
    Ok(())
}

/// The example for desktop clients, read by the official Inspector, which takes the same file. Only where program and settings are is
/// another, and the credentials.
async fn what_desktop_clients_are_configured_with_works(kind: Kind) -> Result<()> {
    let far_end = FarEnd::start(kind).await?;
    let file = Settings::new(far_end.backend.clone().with_created_queue(), "").write()?;
    let command = file.command("stdio")?;
    let command = command.as_std();
    let text_of = |text: &std::ffi::OsStr| Value::from(text.to_string_lossy());
    let example = fixtures::root().join("docs/examples/claude_desktop_config.json");
    let mut configuration: Value = serde_json::from_str(&std::fs::read_to_string(example)?)?;
    let server = &mut configuration["mcpServers"]["search"];
    let arguments: Vec<Value> = command.get_args().map(text_of).collect();
    let shown = server["args"].as_array().map(|shown| shown[..shown.len() - 1].to_vec());
    assert_eq!(
        shown.as_deref(),
        Some(&arguments[..arguments.len() - 1]),
        "all but the last one, the file's path"
    );
    server["command"] = text_of(command.get_program());
    server["args"] = Value::from(arguments);
    let variables =
        command.get_envs().filter_map(|(name, value)| Some((name.to_string_lossy(), text_of(value?))));
    server["env"] = variables.map(|(name, value)| (name.into_owned(), value)).collect();
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("claude_desktop_config.json");
    std::fs::write(&path, configuration.to_string())?;

    let tools = fixtures::inspector(&path, "search", &["--method", "tools/list"]).await?;
    assert!(
        tools["tools"].as_array().is_some_and(|tools| tools.iter().any(|tool| tool["name"] == "echo")),
        "{tools}"
    );
    let arguments = ["--method", "tools/call", "--tool-name", "echo", "--tool-arg", "text=from the desktop"];
    let result = fixtures::inspector(&path, "search", &arguments).await?;
    assert_eq!(result["content"][0]["text"], "from the desktop", "{result}");
    Ok(())
}
