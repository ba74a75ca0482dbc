//! Many clients at once: every message at its owner, none elsewhere.

use anyhow::Result;
use e2e::{fixtures, proxy::Proxy, world::World};

/// All clients use the same ids and progress tokens, and progress, logs, sampling and elicitation run in every call. The client
/// checks each message that it gets.
#[tokio::test]
async fn fifty_clients_share_one_reply_queue() -> Result<()> {
    let world = World::with("[session]\nmax_sessions = 50\n").await?;
    let seen =
        fixtures::python_client("many", &world.proxy.url(), &["--clients", "50", "--calls", "20"]).await?;
    assert_eq!(seen["sessions"], 50);
    assert_eq!(seen["calls"], 1000);
    assert_eq!(seen["logs"], 1000);
    Ok(())
}

/// Replicas that take each other's messages give them back. No answer and no server request is lost; progress and logs may come
/// too late, and are counted then.
#[tokio::test]
async fn two_proxies_on_one_reply_queue_lose_no_answer() -> Result<()> {
    let world = World::start().await?;
    let other = Proxy::start(world.settings("")).await?;
    let (one, two) = (world.proxy.url(), other.url());
    let arguments = ["--clients", "3", "--calls", "4", "--parallel", "2", "--lenient"];
    let (one, two) = tokio::join!(
        fixtures::python_client("many", &one, &arguments),
        fixtures::python_client("many", &two, &arguments)
    );
    assert_eq!(one?["calls"], 12);
    assert_eq!(two?["calls"], 12);
    for proxy in [world.proxy, other] {
        let log = proxy.stop().await?;
        assert!(log.contains("not alone"), "it does not say that it is not alone:\n{log}");
    }
    Ok(())
}
