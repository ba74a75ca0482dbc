//! The end: nothing is lost, nothing stays hidden, nothing is left behind.

use std::time::Duration;

use testkit::emulator::Depth;
use tokio::time::{Instant, timeout};

use crate::harness::{PATIENCE, PROXY, REPLIES, Setup, World, answer, emulator};

#[tokio::test]
async fn a_long_poll_is_woken_and_nothing_stays_in_the_queue() {
    let mut world = World::start().await;
    world.polling().await;
    let started = Instant::now();
    world.stop().await;
    assert!(started.elapsed() < Duration::from_secs(5), "{:?} of 20 s", started.elapsed());
    assert_eq!(world.emulator.depth(REPLIES), Some(Depth::default()));
    assert!(world.received.try_recv().is_err(), "the message to ourselves is not delivered");
}

#[tokio::test]
async fn a_poll_that_cannot_be_woken_is_waited_out() {
    let setup = Setup { change: |config| config.wait_time = Duration::from_secs(2), ..Setup::default() };
    let mut world = World::with(emulator().await, setup).await;
    world.polling().await;
    world.emulator.deny_to(PROXY, "SendMessage");
    world.stop().await;
    assert_eq!(world.emulator.depth(REPLIES), Some(Depth::default()));
}

#[tokio::test]
async fn what_comes_in_the_last_moment_is_handed_out_or_left_visible() {
    let mut world = World::start().await;
    world.polling().await;
    for id in 0..25 {
        world.reply(None, &answer(id)).await;
    }
    world.shutdown.cancel();
    for id in 25..30 {
        world.reply(None, &answer(id)).await;
    }
    timeout(PATIENCE, world.running.join_next()).await.unwrap().unwrap().unwrap().unwrap();
    let depth = world.emulator.depth(REPLIES).unwrap();
    assert_eq!(depth.in_flight, 0, "nothing is hidden");
    let delivered = std::iter::from_fn(|| world.received.try_recv().ok()).count();
    assert_eq!(delivered + depth.visible, 30);
}

#[tokio::test]
async fn a_shutdown_in_an_outage_ends_in_time() {
    let emulator = emulator().await;
    let relay = testkit::relay::Relay::start(emulator.local_addr()).await.unwrap();
    let setup = Setup { endpoint: Some(relay.endpoint_url()), ..Setup::default() };
    let mut world = World::with(emulator, setup).await;
    world.polling().await;
    relay.refuse().await.unwrap();
    world.stop().await;
}
