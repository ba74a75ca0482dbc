//! The queue and the subscription of the backend's own making.

use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName;
use proxy_core::{
    backend::{Backend, Event},
    error::{Delivery, ErrorKind},
    id::{InstanceId, RouteKey},
};
use serde_json::{Value, json};
use testkit::emulator::Failure;
use tokio::time::Instant;

use crate::harness::{PROXY, Topics, World, answer, call, eventually, outbound, pass};

#[tokio::test]
async fn all_of_it_is_created_used_and_removed() {
    let mut world = World::start().await;
    world.ready().await;
    let name = Topics::queue_of(&world.instance);
    let url = world.emulator().queue_url(&name);
    assert_eq!(world.backend.reply_queue_url(), url);
    let far = world.emulator().client();
    let attributes = far.get_queue_attributes().queue_url(&url).attribute_names(QueueAttributeName::All);
    let attributes = attributes.send().await.unwrap().attributes.unwrap();
    let policy: Value = serde_json::from_str(&attributes[&QueueAttributeName::Policy]).unwrap();
    // SNS developer guide, "Subscribing an Amazon SQS queue to an Amazon SNS topic", step 2
    let statement = &policy["Statement"][0];
    assert_eq!(policy["Statement"].as_array().unwrap().len(), 1);
    assert_eq!(statement["Principal"], json!({"Service": "sns.amazonaws.com"}));
    assert_eq!(statement["Action"], "sqs:SendMessage");
    assert_eq!(statement["Resource"], attributes[&QueueAttributeName::QueueArn]);
    assert_eq!(statement["Condition"], json!({"ArnEquals": {"aws:SourceArn": world.topics.responses}}));

    let [(subscription, queue)] = &world.topics.subscriptions().await[..] else { panic!("one subscription") };
    assert_eq!(*queue, attributes[&QueueAttributeName::QueueArn]);
    let sns = world.emulator().sns_client();
    let found = sns.get_subscription_attributes().subscription_arn(subscription).send().await.unwrap();
    let found = found.attributes.unwrap();
    assert_eq!(found["RawMessageDelivery"], "true");
    let filter: Value = serde_json::from_str(&found["FilterPolicy"]).unwrap();
    assert_eq!(filter, json!({"SessionId": [{"prefix": format!("{}.", world.instance.as_str())}]}));

    let route = world.route();
    world.topics.publish(route.as_str(), &answer(1)).await;
    assert_eq!(world.delivered().await.route, Some(route));
    world.stop().await;
    assert_eq!(world.emulator().depth(&name), None);
    assert_eq!(world.topics.subscriptions().await, []);
}

#[tokio::test]
async fn each_replica_is_sent_its_own_answers_only_and_no_probe_is_delivered() {
    let mut world = World::start().await;
    world.ready().await;
    let stranger = RouteKey::random(&InstanceId::random());
    world.topics.publish(stranger.as_str(), &answer(1)).await;
    world.topics.publish(world.route().as_str(), &answer(2)).await;
    let inbound = world.delivered().await;
    assert!(matches!(inbound.event, Event::Message(message) if message.as_str() == answer(2)));
    world.stop().await;
    assert!(world.received.try_recv().is_err(), "neither the stranger's answer nor the probe");
    assert_eq!(world.calls("Publish"), 1, "one probe");
}

#[tokio::test]
async fn strangers_copies_are_deleted_until_a_late_filter_takes_effect() {
    let topics = Topics::start().await;
    topics.emulator.hold_filters();
    let config = topics.config();
    let mut world = World::with(topics, config).await;
    world.ready().await;
    let name = Topics::queue_of(&world.instance);
    let stranger = RouteKey::random(&InstanceId::random());
    world.topics.publish(stranger.as_str(), &answer(1)).await;
    assert_eq!(world.delivered().await.route, Some(stranger.clone()), "the inbox says whose it is");
    eventually(|| world.emulator().depth(&name).is_some_and(|depth| depth.visible + depth.in_flight == 0))
        .await;
    world.emulator().release_filters();
    world.topics.publish(stranger.as_str(), &answer(2)).await;
    world.topics.publish(world.route().as_str(), &answer(3)).await;
    let inbound = world.delivered().await;
    assert!(matches!(inbound.event, Event::Message(message) if message.as_str() == answer(3)));
    world.stop().await;
}

#[tokio::test]
async fn envelopes_are_delivered_where_they_are_asked_for() {
    let topics = Topics::start().await;
    let mut config = topics.config();
    config.raw_message_delivery = false;
    let mut world = World::with(topics, config).await;
    world.ready().await;
    let (subscription, _) = world.topics.subscriptions().await.remove(0);
    let sns = world.emulator().sns_client();
    let found = sns.get_subscription_attributes().subscription_arn(subscription).send().await.unwrap();
    assert_eq!(found.attributes.unwrap()["RawMessageDelivery"], "false");
    let route = world.route();
    world.topics.publish(route.as_str(), &answer(1)).await;
    assert_eq!(world.delivered().await.route, Some(route));
    world.stop().await;
}

#[tokio::test]
async fn it_is_ready_once_a_probe_has_come_back_and_what_is_sent_meanwhile_waits() {
    let topics = Topics::start().await;
    // none gets through, as before a subscription takes effect
    topics.emulator.fail_next_of(PROXY, "Publish", Failure::Unavailable, 2);
    let config = topics.config();
    let mut world = World::with(topics, config).await;
    eventually(|| world.calls("Publish") > 0).await;
    let error = world.backend.check().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");

    let mut late = outbound(&world.route(), &call(1));
    late.context.deadline = Instant::now() + Duration::from_millis(100);
    let error = world.backend.send(late).await.unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Unavailable, Delivery::NotSent));
    // the probes that follow get through
    world.backend.send(outbound(&world.route(), &call(2))).await.unwrap();
    let taken = world.topics.take(1).await;
    assert_eq!(taken[0].body(), Some(&*call(2)), "what came too late was not sent");
    world.ready().await;
    world.stop().await;
}

#[tokio::test]
async fn a_probe_that_may_not_be_published_is_named() {
    let topics = Topics::start().await;
    let config = topics.config();
    let denied = testkit::emulator::ServiceError::new("AuthorizationError", 403, "denied");
    topics.emulator.fail_next_of(PROXY, "Publish", Failure::Error(denied), 1);
    let mut world = World::with(topics, config).await;
    eventually(|| world.calls("Publish") > 0).await;
    let error = world.backend.check().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    assert!(error.to_string().contains("sns:Publish"), "{error}");
    world.ready().await;
    world.stop().await;
}

#[tokio::test]
async fn a_queue_that_is_lost_is_made_again_with_policy_and_subscription() {
    let mut world = World::start().await;
    world.ready().await;
    let name = Topics::queue_of(&world.instance);
    let url = world.emulator().queue_url(&name);
    let (subscription, _) = world.topics.subscriptions().await.remove(0);
    let far = world.emulator().client();
    far.delete_queue().queue_url(&url).send().await.unwrap();
    world.emulator().sns_client().unsubscribe().subscription_arn(subscription).send().await.unwrap();
    let probes = world.calls("Publish");
    // AWS does not take a deleted name for 60 s
    let tries = world.calls("CreateQueue");
    eventually(|| world.calls("CreateQueue") > tries).await;
    assert!(world.backend.check().await.is_err());
    pass(Duration::from_mins(1)).await;
    eventually(|| world.calls("Publish") > probes).await;
    world.ready().await;
    let route = world.route();
    world.topics.publish(route.as_str(), &answer(1)).await;
    assert_eq!(world.delivered().await.route, Some(route));
    world.stop().await;
    assert_eq!(world.emulator().depth(&name), None);
    assert_eq!(world.topics.subscriptions().await, []);
}

#[tokio::test]
async fn a_subscription_that_is_lost_is_made_again() {
    let mut world = World::start().await;
    world.ready().await;
    let (subscription, _) = world.topics.subscriptions().await.remove(0);
    world.emulator().sns_client().unsubscribe().subscription_arn(subscription).send().await.unwrap();
    let probes = world.calls("Publish");
    pass(Duration::from_mins(6)).await;
    eventually(|| world.calls("Publish") > probes).await;
    world.ready().await;
    assert_eq!(world.topics.subscriptions().await.len(), 1);
    world.stop().await;
    assert_eq!(world.topics.subscriptions().await, []);
}
