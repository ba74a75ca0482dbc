//! Requests over a FIFO queue: what must come while something else is in flight does.

use std::collections::BTreeSet;

use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use proxy_core::{
    backend::{Backend, Outbound},
    id::{RouteKey, WireId},
};
use testkit::emulator::{Emulator, ServiceError};
use tokio::time::timeout;

use crate::harness::{PATIENCE, REPLIES, REQUESTS, Setup, World, outbound, take};

async fn fifo_world() -> World {
    let emulator = Emulator::start().await.unwrap();
    emulator.create_queue(&format!("{REQUESTS}.fifo"), &[("FifoQueue", "true")]).unwrap();
    emulator.create_queue(REPLIES, &[]).unwrap();
    let setup = Setup { change: |config| config.read_queue_url.push_str(".fifo"), ..Setup::default() };
    World::with(emulator.into(), setup).await
}

/// One client's session, as the core sends it.
struct Session<'world> {
    world: &'world World,
    route: RouteKey,
    sent: u64,
}

impl<'world> Session<'world> {
    fn new(world: &'world World) -> Self {
        Self { world, route: world.route(), sent: 0 }
    }

    async fn send(&mut self, about: Option<u64>, text: &str) {
        let about = about.map(|number| WireId::new(self.route.clone(), number));
        let outbound = Outbound { about, number: self.sent, ..outbound(&self.route, text) };
        self.sent += 1;
        self.world.backend.send(outbound).await.unwrap();
    }

    async fn call(&mut self, number: u64) {
        let id = WireId::new(self.route.clone(), number);
        let text =
            format!(r#"{{"jsonrpc":"2.0","id":"{id}","method":"tools/call","params":{{"name":"ask"}}}}"#);
        self.send(Some(number), &text).await;
    }
}

/// What the far end gets now, and holds.
async fn held(world: &World, count: usize) -> Vec<Message> {
    let mut held = Vec::new();
    while held.len() < count {
        let receive = world
            .far
            .receive_message()
            .queue_url(world.emulator.queue_url(&format!("{REQUESTS}.fifo")))
            .max_number_of_messages(1)
            .wait_time_seconds(20)
            .visibility_timeout(600)
            .message_system_attribute_names(MessageSystemAttributeName::All);
        let received = timeout(PATIENCE, receive.send()).await.expect("a message in time").unwrap();
        held.extend(received.messages.unwrap_or_default());
    }
    held
}

async fn nothing_more(world: &World) {
    let receive = world.far.receive_message().queue_url(world.emulator.queue_url("requests.fifo"));
    assert_eq!(receive.wait_time_seconds(0).send().await.unwrap().messages().len(), 0);
}

#[tokio::test]
async fn an_answer_to_a_tool_that_asks_comes_while_its_call_is_in_flight() {
    let mut world = fifo_world().await;
    let mut session = Session::new(&world);
    session.call(2).await;
    let call = held(&world, 1).await;
    session.send(Some(2), r#"{"jsonrpc":"2.0","id":0,"result":{"action":"accept"}}"#).await;
    let answer = held(&world, 1).await;
    assert!(call[0].body().unwrap().contains("tools/call"));
    assert!(answer[0].body().unwrap().contains("accept"));
    world.stop().await;
}

#[tokio::test]
async fn a_cancellation_overtakes_the_call_that_it_names_and_those_that_wait() {
    let mut world = fifo_world().await;
    let mut session = Session::new(&world);
    session.call(2).await;
    held(&world, 1).await;
    let id = WireId::new(session.route.clone(), 2);
    let cancelled =
        format!(r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":"{id}"}}}}"#);
    session.send(Some(2), &cancelled).await;
    assert!(held(&world, 1).await[0].body().unwrap().contains("cancelled"));
    world.stop().await;
}

#[tokio::test]
async fn calls_of_one_session_run_side_by_side() {
    let mut world = fifo_world().await;
    let mut session = Session::new(&world);
    for number in 2..14 {
        session.call(number).await;
    }
    let calls = held(&world, 12).await;
    let groups: BTreeSet<_> = calls
        .iter()
        .map(|call| call.attributes().unwrap()[&MessageSystemAttributeName::MessageGroupId].clone())
        .collect();
    assert_eq!(groups.len(), 12);
    world.stop().await;
}

#[tokio::test]
async fn the_handshake_stays_in_order() {
    let mut world = fifo_world().await;
    let mut session = Session::new(&world);
    session.send(Some(1), r#"{"jsonrpc":"2.0","id":"1","method":"initialize","params":{}}"#).await;
    let initialize = held(&world, 1).await;
    session.send(None, r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).await;
    nothing_more(&world).await;
    let url = world.emulator.queue_url("requests.fifo");
    let receipt = initialize[0].receipt_handle().unwrap();
    world.far.delete_message().queue_url(url).receipt_handle(receipt).send().await.unwrap();
    assert!(held(&world, 1).await[0].body().unwrap().contains("notifications/initialized"));
    world.stop().await;
}

#[tokio::test]
async fn a_message_that_is_tried_again_is_not_overtaken_by_the_next_of_its_group() {
    let mut world = fifo_world().await;
    let throttled = ServiceError::new("RequestThrottled", 403, "slow down");
    world.emulator.fail_next_entries(&throttled, 1);
    let route = world.route();
    let sent = |number: u64, text: &'static str| {
        let outbound = Outbound { number, ..outbound(&route, text) };
        world.backend.send(outbound)
    };
    let (first, second, other) = tokio::join!(
        sent(0, r#"{"jsonrpc":"2.0","id":"1","method":"initialize","params":{}}"#),
        sent(1, r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#),
        sent(2, r#"{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}"#),
    );
    first.and(second).and(other).unwrap();
    let methods: Vec<_> = take(&world.far, &world.emulator.queue_url("requests.fifo"), 3)
        .await
        .iter()
        .map(|message| message.message_attributes().unwrap()["Method"].string_value().unwrap().to_owned())
        .filter(|method| !method.contains("roots"))
        .collect();
    assert_eq!(methods, ["initialize", "notifications/initialized"]);
    world.stop().await;
}
