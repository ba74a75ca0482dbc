//! In: order, dispositions, duplicates, strangers.

use std::{sync::Arc, time::Duration};

use proxy_core::{
    backend::{Backend, Disposition, Event, Settlement},
    id::{InstanceId, RouteKey},
};
use testkit::emulator::Failure;
use tokio::{sync::oneshot, time::timeout};

use crate::harness::{Otherwise, PATIENCE, PROXY, REPLIES, Setup, World, answer, call, emulator, reply};

/// The counter of deliveries with this disposition.
fn deliveries(disposition: &str) -> String {
    format!(r#"mcp_proxy_backend_deliveries_total{{backend="sqs",disposition="{disposition}"}}"#)
}

#[tokio::test]
async fn an_answer_is_delivered_and_deleted() {
    let mut world = World::start().await;
    let route = world.route();
    world.reply(Some(route.as_str()), &answer(1)).await;
    let inbound = world.delivered().await;
    assert_eq!(inbound.route, Some(route));
    assert!(matches!(inbound.event, Event::Message(message) if message.as_str() == answer(1)));
    world.emptied(REPLIES).await;
    world.counted(&deliveries("accepted"), 1).await;
    world.stop().await;
}

#[tokio::test]
async fn messages_come_in_the_order_in_which_they_were_sent() {
    let mut world = World::start().await;
    let route = world.route();
    for id in 0..30 {
        world.reply(Some(route.as_str()), &answer(id)).await;
    }
    for id in 0..30 {
        let inbound = world.delivered().await;
        assert!(matches!(inbound.event, Event::Message(message) if message.as_str() == answer(id)), "{id}");
    }
    world.stop().await;
}

#[tokio::test]
async fn a_receive_that_answers_late_is_not_overtaken_by_the_next() {
    let emulator = emulator().await;
    let (instance, total) = (InstanceId::random(), 150);
    let (far, replies) = (emulator.client(), emulator.queue_url(REPLIES));
    for id in 0..total {
        reply(&far, &replies, Some(RouteKey::random(&instance).as_str()), &answer(id), &[]).await;
    }
    let mut world = World::with(Arc::clone(&emulator), Setup { instance, ..Setup::default() }).await;
    // every other one, so that of two at a time the one that took the older messages is late
    for _ in 0..total / 10 / 2 {
        emulator.fail_next_of(PROXY, "ReceiveMessage", Failure::SlowAnswer(Duration::from_millis(100)), 1);
        emulator.fail_next_of(PROXY, "ReceiveMessage", Failure::Slow(Duration::ZERO), 1);
    }
    for id in 0..total {
        let inbound = world.delivered().await;
        assert!(matches!(inbound.event, Event::Message(message) if message.as_str() == answer(id)), "{id}");
    }
    assert!(world.calls("ReceiveMessage") > 15, "two at a time");
    world.stop().await;
}

#[tokio::test]
async fn what_nobody_waits_for_is_deleted_and_counted() {
    let mut world = World::start().await;
    world.inbox.settle_next([Settlement::Now(Disposition::Unroutable)]);
    world.reply(None, &answer(1)).await;
    world.delivered().await;
    world.emptied(REPLIES).await;
    world.counted(&deliveries("unroutable"), 1).await;
    world.stop().await;
}

#[tokio::test]
async fn what_there_is_no_memory_for_comes_again() {
    let mut world = World::start().await;
    world.inbox.settle_next([Settlement::Now(Disposition::Busy)]);
    world.reply(None, &call(1)).await;
    let first = world.delivered().await;
    let again = world.delivered().await;
    assert_eq!(first.message_id, again.message_id);
    world.counted(&deliveries("busy"), 1).await;
    world.emptied(REPLIES).await;
    world.stop().await;
}

#[tokio::test]
async fn what_is_another_instances_is_given_back_until_it_is_orphaned() {
    let otherwise = Otherwise::Always(Disposition::Foreign);
    let setup = Setup { otherwise, request_timeout_max: Duration::from_secs(2), ..Setup::default() };
    let mut world = World::with(emulator().await, setup).await;
    let stranger = RouteKey::random(&InstanceId::random());
    world.reply(Some(stranger.as_str()), &answer(1)).await;
    world.delivered().await;
    world.delivered().await;
    world.counted(&deliveries("orphaned"), 1).await;
    world.emptied(REPLIES).await;
    assert_eq!(world.count(&deliveries("foreign")), 2, "given back for 1 s, then for 2 s");
    world.stop().await;
}

#[tokio::test]
async fn what_does_not_parse_is_deleted_and_stops_nothing() {
    let mut world = World::start().await;
    for body in ["x", "{}", "[]", r#"{"jsonrpc":"2.0"}"#] {
        world.reply(Some("a.b"), body).await;
    }
    world.reply(None, &answer(1)).await;
    world.delivered().await;
    world.counted(r#"mcp_proxy_backend_malformed_messages_total{backend="sqs"}"#, 4).await;
    world.emptied(REPLIES).await;
    world.stop().await;
}

#[tokio::test]
async fn a_message_whose_delete_failed_is_not_delivered_twice() {
    let setup =
        Setup { change: |config| config.visibility_timeout = Duration::from_secs(2), ..Setup::default() };
    let mut world = World::with(emulator().await, setup).await;
    world.polling().await;
    world.emulator.deny_to(PROXY, "DeleteMessage");
    world.reply(None, &answer(1)).await;
    world.delivered().await;
    world.counted(&deliveries("duplicate"), 1).await;
    world.emulator.allow("DeleteMessage");
    world.emptied(REPLIES).await;
    assert!(world.received.try_recv().is_err());
    world.stop().await;
}

#[tokio::test]
async fn a_message_is_deleted_before_it_comes_again() {
    let setup =
        Setup { change: |config| config.visibility_timeout = Duration::from_secs(1), ..Setup::default() };
    let mut world = World::with(emulator().await, setup).await;
    world.reply(None, &answer(1)).await;
    world.delivered().await;
    world.emptied(REPLIES).await;
    assert_eq!(world.count(&deliveries("duplicate")), 0);
    world.stop().await;
}

#[tokio::test]
async fn a_duplicate_shares_the_settlement_of_what_is_still_being_stored() {
    let setup =
        Setup { change: |config| config.visibility_timeout = Duration::from_secs(1), ..Setup::default() };
    let mut world = World::with(emulator().await, setup).await;
    let (stored, storing) = oneshot::channel();
    world.inbox.settle_next([Settlement::Later(Box::pin(async move { storing.await.unwrap() }))]);
    world.reply(None, &answer(1)).await;
    world.delivered().await;
    // what comes meanwhile does not wait for the store
    world.reply(None, &answer(2)).await;
    world.delivered().await;
    world.counted(&deliveries("duplicate"), 1).await;
    stored.send(Disposition::Accepted).unwrap();
    world.emptied(REPLIES).await;
    assert!(world.received.try_recv().is_err());
    world.stop().await;
}

#[tokio::test]
async fn a_message_whose_settlement_panics_comes_again() {
    let setup =
        Setup { change: |config| config.visibility_timeout = Duration::from_secs(1), ..Setup::default() };
    let mut world = World::with(emulator().await, setup).await;
    world.inbox.settle_next([Settlement::Later(Box::pin(async { panic!("a store that is broken") }))]);
    world.reply(None, &answer(1)).await;
    let first = world.delivered().await;
    let again = world.delivered().await;
    assert_eq!(first.message_id, again.message_id);
    world.emptied(REPLIES).await;
    world.stop().await;
}

#[tokio::test]
async fn failed_receives_and_deletes_are_tried_again() {
    let mut world = World::start().await;
    world.polling().await;
    world.emulator.fail_next("ReceiveMessage", Failure::Throttled, 2);
    world.emulator.fail_next("DeleteMessageBatch", Failure::Unavailable, 2);
    for id in 0..3 {
        world.reply(None, &answer(id)).await;
        world.delivered().await;
    }
    world.emptied(REPLIES).await;
    world.stop().await;
}

#[tokio::test]
async fn two_proxies_on_one_queue_lose_nothing() {
    let emulator = emulator().await;
    let setup = || {
        let instance = InstanceId::random();
        Setup { otherwise: Otherwise::OwnOnly(instance.clone()), instance, ..Setup::default() }
    };
    let mut worlds = [
        World::with(Arc::clone(&emulator), setup()).await,
        World::with(Arc::clone(&emulator), setup()).await,
    ];
    for id in 0..10 {
        for world in &worlds {
            world.reply(Some(world.route().as_str()), &answer(id)).await;
        }
    }
    for world in &mut worlds {
        for _ in 0..10 {
            // it may go to the other one five times, and be hidden for 5 s each time
            let inbound = timeout(3 * PATIENCE, world.received.recv()).await.expect("a delivery in time");
            assert!(inbound.expect("an inbox").route.unwrap().belongs_to(&world.instance));
        }
    }
    worlds[0].emptied(REPLIES).await;
    // either may get the message that ends the other's poll
    for world in &mut worlds {
        world.stop().await;
    }
}

#[tokio::test]
async fn closing_a_session_needs_nothing() {
    let mut world = World::start().await;
    let remote = crate::harness::outbound(&world.route(), &call(1)).remote;
    let before = world.emulator.calls().by(PROXY);
    world.backend.close(&remote).await.unwrap();
    assert!(world.emulator.calls().by(PROXY) <= before + 1, "at most a poll");
    world.stop().await;
}

#[tokio::test]
async fn a_reply_with_a_context_is_understood() {
    let mut world = World::start().await;
    let route = world.route();
    let context = [("ProxyContext", r#"{"v":1,"eras":["legacy"],"seq":4}"#)];
    reply(&world.far, &world.emulator.queue_url(REPLIES), Some(route.as_str()), &answer(1), &context).await;
    let inbound = world.delivered().await;
    assert_eq!((inbound.sequence, inbound.peer.unwrap().eras), (Some(4), vec!["legacy".into()]));
    world.stop().await;
}
