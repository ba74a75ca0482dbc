//! MCP servers that nobody here wrote, unchanged, behind each transport.

use anyhow::{Context as _, Result};
use e2e::{
    fixtures,
    http::{Session, messages, text},
    kind::Kind,
    proxy::Proxy,
    stories,
    worker::Server,
    world::FarEnd,
};
use serde_json::{Value, json};

stories! {
    server_everything: worker;
    server_filesystem: worker;
    mcp_server_time: worker;
}

/// A proxy in front of a worker around this server, and a session.
async fn around(kind: Kind, server: Server) -> Result<(FarEnd, Proxy, Session)> {
    let far_end = FarEnd::around(kind.transport(), server, "").await?;
    let proxy = Proxy::start(far_end.settings("")).await?;
    let session = Session::open(&proxy.url(), "2025-11-25").await?;
    Ok((far_end, proxy, session))
}

/// The result of a request that is no call.
async fn ask(session: &Session, id: u64, method: &str, params: Value) -> Result<Value> {
    let request = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
    let mut came = messages(session.post().json(&request).send().await?).await?;
    let answer = came.pop().with_context(|| format!("no answer to {method}"))?;
    assert_eq!(answer["id"], id, "{answer}");
    Ok(answer["result"].clone())
}

fn names<'result>(result: &'result Value, list: &str) -> Vec<&'result str> {
    result[list].as_array().into_iter().flatten().filter_map(|item| item["name"].as_str()).collect()
}

async fn server_everything(kind: Kind) -> Result<()> {
    let server = fixtures::node_server("server-everything", &["stdio"]);
    let (_far_end, proxy, session) = around(kind, server).await?;
    let tools = ask(&session, 1, "tools/list", json!({})).await?;
    assert!(names(&tools, "tools").contains(&"get-tiny-image"), "{tools}");
    let echo = session.answer(json!(2), "echo", json!({"message": "through a queue"})).await?;
    assert!(text(&echo).is_some_and(|text| text.contains("through a queue")), "{echo}");
    let image = session.answer(json!(3), "get-tiny-image", json!({})).await?;
    assert!(image["result"]["content"].to_string().contains("image/png"), "{image}");
    let long = json!({"jsonrpc": "2.0", "id": 4, "method": "tools/call", "params": {
        "name": "trigger-long-running-operation", "arguments": {"duration": 1, "steps": 4},
        "_meta": {"progressToken": "long"},
    }});
    let came = messages(session.post().json(&long).send().await?).await?;
    let progress = came.iter().filter(|message| message["method"] == "notifications/progress").count();
    assert_eq!(progress, 4, "{came:?}");
    assert!(came.last().and_then(text).is_some(), "{came:?}");
    let prompts = ask(&session, 5, "prompts/list", json!({})).await?;
    assert!(!names(&prompts, "prompts").is_empty(), "{prompts}");
    let resources = ask(&session, 6, "resources/list", json!({})).await?;
    let uri = resources["resources"][0]["uri"].clone();
    let read = ask(&session, 7, "resources/read", json!({"uri": uri})).await?;
    assert!(read["contents"].is_array(), "{read}");
    proxy.stop().await?;
    Ok(())
}

async fn server_filesystem(kind: Kind) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let root = folder.path().canonicalize()?;
    let at = |name: &str| root.join(name).to_string_lossy().into_owned();
    let server = fixtures::node_server("server-filesystem", &[&root.to_string_lossy()]);
    let (_far_end, proxy, session) = around(kind, server).await?;
    let content = "written through a queue\nin two lines";
    let written = json!({"path": at("note.txt"), "content": content});
    let written = session.answer(json!(1), "write_file", written).await?;
    assert!(text(&written).is_some(), "{written}");
    assert_eq!(std::fs::read_to_string(root.join("note.txt"))?, content);
    let read = session.answer(json!(2), "read_text_file", json!({"path": at("note.txt")})).await?;
    assert_eq!(text(&read), Some(content));
    let refused = session.answer(json!(3), "read_text_file", json!({"path": "/etc/hostname"})).await?;
    assert_eq!(refused["result"]["isError"], true, "{refused}");
    proxy.stop().await?;
    Ok(())
}

async fn mcp_server_time(kind: Kind) -> Result<()> {
    let (_far_end, proxy, session) = around(kind, fixtures::time_server()).await?;
    let tools = ask(&session, 1, "tools/list", json!({})).await?;
    assert_eq!(names(&tools, "tools"), ["get_current_time", "convert_time"]);
    let convert =
        json!({"source_timezone": "Europe/Berlin", "time": "12:30", "target_timezone": "Asia/Tokyo"});
    let converted = session.answer(json!(2), "convert_time", convert).await?;
    assert!(text(&converted).is_some_and(|text| text.contains("Asia/Tokyo")), "{converted}");
    proxy.stop().await?;
    Ok(())
}
