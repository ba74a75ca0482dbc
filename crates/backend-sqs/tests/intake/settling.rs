//! What becomes of requests in hand: kept, given up, lost with their worker.

use std::{sync::Arc, time::Duration};

use proxy_core::intake::Settled;
use testkit::emulator::{Emulator, Failure};

use crate::harness::{
    LETTERS, REQUESTS, Setup, WORKER, World, attribute, call, emulator, eventually, held, reason, take, text,
};

/// The counter of deliveries that became this.
fn deliveries(disposition: &str) -> String {
    format!(r#"mcp_worker_intake_deliveries_total{{backend="sqs",disposition="{disposition}"}}"#)
}

fn short() -> Setup {
    Setup { change: |config| config.visibility_timeout = Duration::from_secs(2), ..Setup::default() }
}

#[tokio::test]
async fn what_a_killed_worker_had_in_hand_comes_to_another_and_says_so() {
    let emulator = emulator().await;
    let mut killed = World::with(Arc::clone(&emulator), short()).await;
    let settle = killed.desk.settle_next_later();
    killed.put(REQUESTS, &call(1), &[]).await;
    let first = killed.taken().await;
    killed.kill().await;
    assert!(settle.is_closed(), "nobody waits for it any more");
    let mut other = World::with(emulator, short()).await;
    let again = other.taken().await;
    assert_eq!((first.delivery.receive_count, again.delivery.receive_count), (1, 2));
    assert_eq!(first.delivery.message_id, again.delivery.message_id);
    other.emptied(REQUESTS).await;
    other.stop().await;
}

#[tokio::test]
async fn a_second_delivery_while_the_first_is_in_hand_shares_its_settlement() {
    let mut world = World::with(emulator().await, short()).await;
    // so that it cannot be kept hidden
    world.emulator.deny_to(WORKER, "ChangeMessageVisibility");
    let settle = world.desk.settle_next_later();
    world.put(REQUESTS, &call(1), &[]).await;
    world.taken().await;
    eventually(|| world.count(&deliveries("duplicate")) > 0).await;
    assert!(world.nothing_taken(), "the desk has it already");
    settle.send(Settled::Done).unwrap();
    world.emptied(REQUESTS).await;
    world.stop().await;
}

#[tokio::test]
async fn what_is_given_up_late_is_put_with_the_dead_letters_too() {
    let mut world = World::start().await;
    let settle = world.desk.settle_next_later();
    world.put(REQUESTS, &call(1), &[("SessionId", "s"), ("team", "search")]).await;
    world.taken().await;
    settle.send(Settled::Dead("it ran out of receives".into())).unwrap();
    let letter = take(&world.emulator, LETTERS, 1).await.remove(0);
    assert_eq!(letter.body(), Some(&*call(1)));
    assert_eq!(reason(&letter).as_deref(), Some("it ran out of receives"));
    assert_eq!(attribute(&letter, "SessionId").as_deref(), Some("s"));
    assert_eq!(attribute(&letter, "team").as_deref(), Some("search"));
    world.emptied(REQUESTS).await;
    assert!(world.nothing_taken(), "it came again only to be put there");
    world.stop().await;
}

#[tokio::test]
async fn what_is_no_message_is_put_with_the_dead_letters() {
    let mut world = World::start().await;
    world.put(REQUESTS, "no message", &[]).await;
    let letter = take(&world.emulator, LETTERS, 1).await.remove(0);
    assert_eq!(letter.body(), Some("no message"));
    assert!(reason(&letter).unwrap().starts_with("malformed"), "{letter:?}");
    world.emptied(REQUESTS).await;
    assert_eq!(world.count(r#"mcp_worker_intake_malformed_messages_total{backend="sqs"}"#), 1);
    world.stop().await;
}

#[tokio::test]
async fn a_dead_letter_that_cannot_be_written_now_is_not_lost() {
    let mut world = World::with(emulator().await, short()).await;
    world.emulator.fail_next_of(WORKER, "SendMessage", Failure::Unavailable, 1);
    world.put(REQUESTS, "no message", &[]).await;
    take(&world.emulator, LETTERS, 1).await;
    world.emptied(REQUESTS).await;
    world.stop().await;
}

#[tokio::test]
async fn without_a_dead_letter_queue_it_is_deleted_and_counted() {
    let emulator = Emulator::start().await.unwrap();
    emulator.create_queue(REQUESTS, &[]).unwrap();
    let mut world = World::with(emulator.into(), Setup::default()).await;
    world.put(REQUESTS, "no message", &[]).await;
    eventually(|| world.count(&deliveries("dead")) == 1).await;
    world.emptied(REQUESTS).await;
    world.stop().await;
}

#[tokio::test]
async fn the_queue_that_is_named_takes_the_dead_letters() {
    let emulator = emulator().await;
    emulator.create_queue("named", &[]).unwrap();
    let change = |config: &mut backend_sqs::SqsIntakeConfig| {
        config.dead_letter_queue_url = Some(config.queue_url.replace(REQUESTS, "named"));
    };
    let mut world = World::with(emulator, Setup { change, ..Setup::default() }).await;
    world.put(REQUESTS, "no message", &[]).await;
    take(&world.emulator, "named", 1).await;
    assert_eq!(held(&world.emulator, LETTERS), 0);
    world.stop().await;
}

#[tokio::test]
async fn a_full_message_still_becomes_a_dead_letter() {
    let mut world = World::start().await;
    // with the reason beside it there would be more than SQS takes
    world.put(REQUESTS, &"x".repeat(1_048_576), &[]).await;
    let letter = take(&world.emulator, LETTERS, 1).await.remove(0);
    assert_eq!(letter.body().unwrap().len(), 1_048_576);
    world.emptied(REQUESTS).await;
    world.stop().await;
}

#[tokio::test]
async fn while_a_request_of_a_fifo_group_is_in_hand_the_next_waits_and_others_do_not() {
    let emulator = Emulator::start().await.unwrap();
    emulator.create_queue("requests.fifo", &[("FifoQueue", "true")]).unwrap();
    let setup = Setup { change: |config| config.queue_url.push_str(".fifo"), ..Setup::default() };
    let mut world = World::with(emulator.into(), setup).await;
    let settle = world.desk.settle_next_later();
    let url = world.emulator.queue_url("requests.fifo");
    for (number, group) in [(1, "a"), (2, "a"), (3, "b")] {
        let send = world.emulator.client().send_message().queue_url(&url).message_body(call(number));
        send.message_group_id(group).message_deduplication_id(number.to_string()).send().await.unwrap();
    }
    assert_eq!(text(&world.taken().await), call(1));
    assert_eq!(text(&world.taken().await), call(3));
    assert!(world.nothing_taken());
    settle.send(Settled::Done).unwrap();
    assert_eq!(text(&world.taken().await), call(2));
    world.emptied("requests.fifo").await;
    world.stop().await;
}
