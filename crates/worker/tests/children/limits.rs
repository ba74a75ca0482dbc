//! Servers that take too much.

use crate::harness::{Rig, changed, server};
use proxy_core::{backend::Event, error::ErrorKind};

#[tokio::test]
async fn too_many_processes_are_killed_all_of_them() {
    let rig = Rig::new(&changed(server(), |config| config.max_processes = 8));
    let (modest, greedy) = (rig.open().await, rig.open().await);
    modest.call("fork", "{\"count\":3}").await.unwrap();
    let mut held = greedy.spawn().await;
    greedy.send("fork", "{\"count\":30}").await.unwrap();
    let (wire, error) = loop {
        match greedy.event().await {
            // its answer may come before anybody has looked
            Event::Message(_) => {}
            Event::ExchangeFailed(wire, error) => break (wire, error),
            other @ Event::SessionGone(_) => panic!("{other:?}"),
        }
    };
    assert_eq!((wire, error.kind()), (None, ErrorKind::SessionGone));
    let text = error.to_string();
    assert!(text.starts_with("the server process was killed (it was "), "{text}");
    assert!(text.ends_with(" processes, more than the 8 of max_processes) during the call"), "{text}");
    held.ended().await;
    assert!(modest.call("echo", "{}").await.is_ok());
    rig.shut_down().await;
}

#[tokio::test]
async fn too_much_memory_is_named() {
    let rig = Rig::new(&changed(server(), |config| config.max_memory = Some(64 << 20)));
    let client = rig.open().await;
    client.send("allocate", &format!("{{\"count\":{}}}", 100 << 20)).await.unwrap();
    let (_, error) = client.failure().await;
    let text = error.to_string();
    assert!(text.contains("more than the 64MiB of max_memory) during the call"), "{text}");
    let ended = rig.metric("mcp_worker_children_ended_total{reason=\"max_memory\"}");
    assert_eq!(ended.as_deref(), Some("1"));
    rig.shut_down().await;
}
