//! In: order, dispositions, duplicates, strangers.

use crate::harness::{REPLIES, World, answer};
use proxy_core::backend::Event;

#[tokio::test]
async fn an_answer_is_delivered_and_deleted() {
    let mut world = World::start().await;
    let route = world.route();
    world.reply(Some(route.as_str()), &answer(1)).await;
    let inbound = world.delivered().await;
    assert_eq!(inbound.route, Some(route));
    assert!(matches!(inbound.event, Event::Message(message) if message.as_str() == answer(1)));
    world.emptied(REPLIES).await;
    world.stop().await;
}
