//! The proxy as desktop clients start it, spoken to by lines.

use anyhow::Result;
use e2e::{
    http::{call, text},
    kind::Kind,
    stdio::StdioProxy,
    stories,
    world::FarEnd,
};
use serde_json::{Value, json};

stories! {
    the_end_of_input_drains: all;
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
