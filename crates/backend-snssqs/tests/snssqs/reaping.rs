//! What dead proxies left behind.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proxy_core::id::InstanceId;

use crate::harness::{PREFIX, Topics, World, eventually, pass};

/// Creates what a proxy creates, whose owner lived until so many minutes ago. Returns the queue's name.
pub(crate) async fn left_behind(topics: &Topics, prefix: &str, minutes: u64) -> String {
    let instance = InstanceId::random();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let name = format!("{prefix}-{}", instance.as_str());
    let create = topics
        .emulator
        .client()
        .create_queue()
        .queue_name(&name)
        .tags("mcp-proxy-instance", instance.as_str())
        .tags("mcp-proxy-alive-until", (now - minutes * 60).to_string());
    let url = create.send().await.unwrap().queue_url.unwrap();
    let filter = format!(r#"{{"SessionId":[{{"prefix":"{}."}}]}}"#, instance.as_str());
    topics.emulator.subscribe(&topics.responses, &url, true, Some(&filter)).unwrap();
    name
}

async fn subscribed(topics: &Topics) -> Vec<String> {
    let queues = topics.subscriptions().await.into_iter();
    queues.map(|(_, queue)| queue.rsplit(':').next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_dead_proxys_queue_goes_with_its_subscription() {
    let topics = Topics::start().await;
    let dead = left_behind(&topics, PREFIX, 16).await;
    let resting = left_behind(&topics, PREFIX, 14).await;
    let others = left_behind(&topics, "other-responses", 600).await;
    let config = topics.config();
    let mut world = World::with(topics, config).await;
    eventually(|| world.emulator().depth(&dead).is_none()).await;
    let own = Topics::queue_of(&world.instance);
    let mut left = subscribed(&world.topics).await;
    left.sort();
    let mut expected = [resting, others, own];
    expected.sort();
    assert_eq!(left, expected);
    world.stop().await;
}

#[tokio::test]
async fn a_subscription_whose_queue_is_gone_for_longer_than_it_takes_to_make_it_again_is_removed() {
    let topics = Topics::start().await;
    let orphan = left_behind(&topics, PREFIX, 0).await;
    let theirs = left_behind(&topics, "other-responses", 0).await;
    for name in [&orphan, &theirs] {
        let far = topics.emulator.client();
        far.delete_queue().queue_url(topics.emulator.queue_url(name)).send().await.unwrap();
    }
    let config = topics.config();
    let mut world = World::with(topics, config).await;
    world.ready().await;
    eventually(|| world.calls("ListSubscriptionsByTopic") > 0).await;
    assert_eq!(world.calls("Unsubscribe"), 0, "its owner may be about to make it again");
    while world.calls("Unsubscribe") == 0 {
        pass(Duration::from_secs(30)).await;
        let calls = world.emulator().calls().total();
        eventually(|| world.calls("Unsubscribe") > 0 || world.emulator().calls().total() > calls).await;
    }
    world.stop().await;
    assert_eq!(subscribed(&world.topics).await, [theirs]);
}
