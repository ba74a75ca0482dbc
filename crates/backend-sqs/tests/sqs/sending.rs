//! Out: batches, failures, retries.

use crate::harness::{REQUESTS, World, call, take};

#[tokio::test]
async fn a_message_arrives_as_it_is() {
    let mut world = World::start().await;
    world.send(&call(1)).await.unwrap();
    let taken = take(&world.far, &world.emulator.queue_url(REQUESTS), 1).await;
    assert_eq!(taken[0].body(), Some(&*call(1)));
    world.stop().await;
}
