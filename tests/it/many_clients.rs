//! Many clients at once: every message at its owner, none elsewhere.

use anyhow::Result;
use e2e::{fixtures, kind::Kind, process::PATIENCE, proxy::Proxy, stories, world::World};

stories! {
    fifty_clients_share_one_way_back: all, worker;
}

/// All clients use the same ids and progress tokens, and progress, logs, sampling and elicitation run in every call. The client
/// checks each message that it gets. A client makes 20 calls, or as many as `CLIENT_CALLS` says.
async fn fifty_clients_share_one_way_back(kind: Kind) -> Result<()> {
    let each = std::env::var("CLIENT_CALLS").ok().and_then(|text| text.parse::<u64>().ok()).unwrap_or(20);
    let world = World::with(kind, "[session]\nmax_sessions = 50\n").await?;
    let arguments = ["--clients", "50", "--calls", &each.to_string()];
    let seen = fixtures::python_client("many", &world.proxy.url(), &arguments).await?;
    assert_eq!(seen["sessions"], 50);
    assert_eq!(seen["calls"], 50 * each);
    assert_eq!(seen["logs"], 50 * each);
    assert_eq!(seen["progress"], 150 * each);
    Ok(())
}

/// Replicas that take each other's messages give them back. No answer and no server request is lost; progress and logs may come
/// too late, and are counted then.
#[tokio::test]
async fn two_proxies_on_one_reply_queue_lose_no_answer() -> Result<()> {
    let world = World::of(Kind::Sqs).await?;
    let other = Proxy::start(world.far_end.settings("")).await?;
    let (one, two) = (world.proxy.url(), other.url());
    let arguments = ["--clients", "3", "--calls", "4", "--parallel", "2", "--lenient"];
    let (one, two) = tokio::join!(
        fixtures::python_client("many", &one, &arguments),
        fixtures::python_client("many", &two, &arguments)
    );
    let mut missing = 0;
    for seen in [one?, two?] {
        assert_eq!(seen["calls"], 12);
        let sent = 12 + 3 * 12;
        missing +=
            sent - seen["logs"].as_u64().unwrap_or_default() - seen["progress"].as_u64().unwrap_or_default();
    }
    // Once the queue is empty, what came too late has been counted.
    let emulator = world.far_end.emulator()?;
    tokio::time::timeout(PATIENCE, async {
        while emulator.depth("responses").is_some_and(|depth| depth.visible + depth.in_flight > 0) {
            tokio::task::yield_now().await;
        }
    })
    .await?;
    let mut too_late = 0.0;
    for proxy in [&world.proxy, &other] {
        for reason in ["late_progress", "unknown_session"] {
            too_late += proxy.metric("mcp_proxy_discarded_messages_total", reason).await?;
        }
        let given_back = proxy.metric("mcp_proxy_backend_deliveries_total", "foreign").await?;
        assert!(given_back > 0.0, "the proxies did not get each other's messages");
    }
    assert!(
        too_late >= f64::from(u32::try_from(missing)?),
        "{missing} messages are missing, {too_late} were counted"
    );
    for proxy in [world.proxy, other] {
        let log = proxy.stop().await?;
        assert!(log.contains("not alone"), "it does not say that it is not alone:\n{log}");
    }
    Ok(())
}
