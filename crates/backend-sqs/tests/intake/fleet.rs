//! Several workers: queues of their own, those of the dead, and what is passed on.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use proxy_core::{
    ReplyAddress,
    error::ErrorKind,
    id::InstanceId,
    intake::{Intake as _, ReplyTo, Settled},
};
use testkit::emulator::Emulator;
use tokio::sync::oneshot;

use crate::harness::{
    PREFIX, REQUESTS, Setup, WORKER, World, call, emulator, eventually, held, own_name, put, text,
};

const CONTEXT: &str = r#"{"v":1,"reply":{"sqs":"http://127.0.0.1/000000000000/client"}}"#;

/// Creates a queue as a worker does, which lived until so many seconds ago, with one request in it.
pub(crate) async fn left_behind(emulator: &Emulator, instance: &InstanceId, seconds: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let name = own_name(instance);
    let create = emulator
        .client()
        .create_queue()
        .queue_name(&name)
        .tags("mcp-proxy-instance", instance.as_str())
        .tags("mcp-proxy-alive-until", (now - seconds).to_string());
    let url = create.send().await.unwrap().queue_url.unwrap();
    let attributes = [("SessionId", "theirs"), ("ProxyContext", CONTEXT)];
    put(&emulator.client(), &url, &call(1), &attributes).await;
    name
}

async fn tags(emulator: &Emulator, name: &str) -> HashMap<String, String> {
    let list = emulator.client().list_queue_tags().queue_url(emulator.queue_url(name));
    list.send().await.unwrap().tags.unwrap()
}

#[tokio::test]
async fn requests_in_a_dead_workers_queue_reach_the_desk_before_it_goes() {
    let emulator = emulator().await;
    let dead = left_behind(&emulator, &InstanceId::random(), 60).await;
    let mut world = World::with(emulator, Setup::default()).await;
    let arrival = world.taken().await;
    assert_eq!(text(&arrival), call(1));
    assert!(arrival.delivery.to_owner, "so that nobody passes it on");
    let client = ReplyAddress::Sqs("http://127.0.0.1/000000000000/client".into());
    assert_eq!(arrival.reply, Some(ReplyTo::Address(client)));
    eventually(|| world.emulator.depth(&dead).is_none()).await;
    assert!(world.nothing_taken());
    world.stop().await;
}

#[tokio::test]
async fn what_a_dead_worker_may_have_begun_is_not_taken_for_what_it_never_had() {
    let emulator = emulator().await;
    let dead = left_behind(&emulator, &InstanceId::random(), 60).await;
    let client = emulator.client();
    let receive = client.receive_message().queue_url(emulator.queue_url(&dead)).visibility_timeout(1);
    assert_eq!(receive.send().await.unwrap().messages().len(), 1);
    eventually(|| emulator.depth(&dead).unwrap().visible == 1).await;
    let mut world = World::with(emulator, Setup::default()).await;
    let delivery = world.taken().await.delivery;
    assert_eq!(delivery.receive_count, 2);
    assert_eq!(delivery.sent, UNIX_EPOCH, "before any ledger but the dead worker's");
    world.stop().await;
}

#[tokio::test]
async fn a_dead_workers_queue_stays_while_its_requests_cannot_be_settled() {
    let emulator = emulator().await;
    let dead = left_behind(&emulator, &InstanceId::random(), 60).await;
    let (settle, settled) = oneshot::channel();
    let settlements = VecDeque::from([settled]);
    let mut world = World::with(emulator, Setup { settlements, ..Setup::default() }).await;
    assert_eq!(text(&world.taken().await), call(1));
    settle.send(Settled::GiveBack(Duration::from_mins(1))).unwrap();
    let gives_back = "ChangeMessageVisibilityBatch";
    // the first is the probe at start
    eventually(|| world.emulator.calls().of(WORKER, gives_back) == 2).await;
    world.stop().await;
    assert_eq!(held(&world.emulator, &dead), 1, "it is looked at again later");
}

/// The second of two is reaped after the first.
fn two_in_order() -> [InstanceId; 2] {
    ["A", "B"].map(|letter| InstanceId::parse(&letter.repeat(22)).unwrap())
}

#[tokio::test]
async fn a_worker_that_wakes_while_its_queue_is_reaped_keeps_it() {
    let emulator = emulator().await;
    let [first, second] = two_in_order();
    let asleep = left_behind(&emulator, &first, 60).await;
    let dead = left_behind(&emulator, &second, 60).await;
    let (settle, settled) = oneshot::channel();
    let settlements = VecDeque::from([settled]);
    let mut world = World::with(emulator, Setup { settlements, ..Setup::default() }).await;
    world.taken().await;
    let soon = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 60;
    let wake = world.emulator.client().tag_queue().queue_url(world.emulator.queue_url(&asleep));
    wake.tags("mcp-proxy-alive-until", soon.to_string()).send().await.unwrap();
    settle.send(Settled::Done).unwrap();
    eventually(|| world.emulator.depth(&dead).is_none()).await;
    assert!(world.emulator.depth(&asleep).is_some(), "its worker reads it again");
    world.stop().await;
}

#[tokio::test]
async fn a_dead_workers_queue_stays_as_long_as_it_may_hide_what_its_worker_had_in_hand() {
    let emulator = emulator().await;
    let [first, second] = two_in_order();
    let hiding = left_behind(&emulator, &first, 60).await;
    let dead = left_behind(&emulator, &second, 600).await;
    let change = |config: &mut backend_sqs::SqsIntakeConfig| {
        config.visibility_timeout = Duration::from_mins(5);
    };
    let mut world = World::with(emulator, Setup { change, ..Setup::default() }).await;
    eventually(|| world.emulator.depth(&dead).is_none()).await;
    assert_eq!(held(&world.emulator, &hiding), 0, "what can be answered is");
    world.taken().await;
    assert!(world.emulator.depth(&hiding).is_some());
    world.stop().await;
}

#[tokio::test]
async fn a_dead_workers_queue_stays_while_a_request_in_it_is_no_dead_letter_yet() {
    let emulator = emulator().await;
    let [first, second] = two_in_order();
    let doomed = left_behind(&emulator, &first, 60).await;
    let dead = left_behind(&emulator, &second, 60).await;
    let (settle, settled) = oneshot::channel();
    let settlements = VecDeque::from([settled]);
    let mut world = World::with(emulator, Setup { settlements, ..Setup::default() }).await;
    world.taken().await;
    // so that it does not come again to be put there
    world.emulator.deny_to(WORKER, "ChangeMessageVisibility");
    settle.send(Settled::Dead("it ran out of receives".into())).unwrap();
    eventually(|| world.emulator.depth(&dead).is_none()).await;
    assert_eq!(held(&world.emulator, &doomed), 1);
    world.stop().await;
}

#[tokio::test]
async fn a_worker_that_lives_keeps_its_queue() {
    let emulator = emulator().await;
    let resting = left_behind(&emulator, &InstanceId::random(), 10).await;
    let mut other = World::with(Arc::clone(&emulator), Setup::default()).await;
    let mut world = World::with(emulator, Setup::default()).await;
    eventually(|| world.emulator.calls().of(WORKER, "ListQueueTags") >= 2).await;
    world.put(REQUESTS, &call(1), &[]).await;
    for name in [&resting, &other.own(), &world.own()] {
        assert!(world.emulator.depth(name).is_some(), "{name}");
    }
    let (ours, theirs) = (world.own(), other.own());
    other.stop().await;
    world.stop().await;
    for name in [&ours, &theirs] {
        assert!(world.emulator.depth(name).is_none(), "{name} goes with its worker");
    }
}

#[tokio::test]
async fn a_restarted_worker_takes_over_its_queue_and_what_is_in_it() {
    let emulator = emulator().await;
    let instance = InstanceId::random();
    let name = left_behind(&emulator, &instance, 600).await;
    let mut world = World::with(emulator, Setup { instance, ..Setup::default() }).await;
    let arrival = world.taken().await;
    assert!(arrival.delivery.to_owner);
    assert_eq!(text(&arrival), call(1));
    let until: u64 = tags(&world.emulator, &name).await["mcp-proxy-alive-until"].parse().unwrap();
    assert!(until > SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs(), "it lives again");
    world.stop().await;
}

#[tokio::test]
async fn while_it_drains_a_worker_reads_only_its_own_queue() {
    let mut world = World::start().await;
    eventually(|| world.emulator.waiting(REQUESTS) == 1).await;
    world.stopping.drain.cancel();
    eventually(|| held(&world.emulator, REQUESTS) == 0 && world.emulator.waiting(REQUESTS) == 0).await;
    world.put(REQUESTS, &call(1), &[]).await;
    world.put(&world.own(), &call(2), &[]).await;
    let arrival = world.taken().await;
    assert_eq!((text(&arrival), arrival.delivery.to_owner), (&*call(2), true));
    assert_eq!(held(&world.emulator, REQUESTS), 1, "another worker's");
    world.stop().await;
}

#[tokio::test]
async fn the_only_worker_has_no_queue_of_its_own_and_reads_on_while_it_drains() {
    let mut world = World::with(emulator().await, Setup { sole: true, ..Setup::default() }).await;
    assert_eq!(world.intake.owner(), None);
    assert_eq!(world.emulator.calls().of(WORKER, "CreateQueue"), 0);
    world.stopping.drain.cancel();
    world.put(REQUESTS, &call(1), &[]).await;
    assert_eq!(text(&world.taken().await), call(1));
    world.stop().await;
}

#[tokio::test]
async fn nothing_is_passed_on_to_what_is_no_workers_queue() {
    let mut world = World::start().await;
    let strangers = world.emulator.create_queue("strangers", &[]).unwrap();
    let like = format!("{PREFIX}-strangers");
    let alike = world.emulator.create_queue(&like, &[]).unwrap();
    world.put(REQUESTS, &call(1), &[]).await;
    let arrival = world.taken().await;
    for owner in [&strangers, &alike] {
        let error = world.intake.forward(owner, &arrival).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SessionGone, "{error}");
    }
    assert_eq!(held(&world.emulator, "strangers") + held(&world.emulator, &like), 0);
    world.stop().await;
}
