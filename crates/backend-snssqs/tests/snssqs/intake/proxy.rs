//! Our own proxy at the other end.

use std::sync::Arc;

use proxy_core::{
    ProxyContext, ReplyAddress,
    backend::{Backend, Event, Remote},
    id::{RemoteSession, WireId},
    intake::{ArrivalEvent, Intake, ReplyTo},
    message::Message,
};

use super::harness::{Worker, config, reply, topics};
use crate::harness::{World, call, outbound};

fn text(event: ArrivalEvent) -> String {
    match event {
        ArrivalEvent::Message(message) => message.into_text(),
        ArrivalEvent::End => panic!("a message"),
    }
}

#[tokio::test]
async fn a_session_goes_to_its_workers_queue_and_its_answers_through_the_proxys_filter() {
    for raw in [true, false] {
        let topics = topics(raw).await;
        let mut worker = Worker::start(&topics.emulator, config(&topics), false).await;
        let proxy = topics.config();
        let mut world = World::with(topics, proxy).await;
        world.ready().await;
        let route = world.route();
        let to = ReplyAddress::Sns(world.topics.responses.as_str().into());
        let wire = WireId::new(route.clone(), 0).to_string();
        let initialize = format!(
            r#"{{"jsonrpc":"2.0","id":"{wire}","method":"initialize","params":{{"_meta":{{"a":1}},"x":1}}}}"#
        );
        world.backend.send(outbound(&route, &initialize)).await.unwrap();
        let arrival = worker.arrival().await;
        assert_eq!(arrival.session.as_ref().map(RemoteSession::as_str), Some(route.as_str()));
        assert_eq!(arrival.reply, Some(ReplyTo::Address(to.clone())));
        assert!(!arrival.delivery.to_owner);
        let context = arrival.context.unwrap();
        assert_eq!(context.reply, Some(to.clone()));
        assert!(context.deadline.is_some());
        assert_eq!(text(arrival.event), initialize, "as its client wrote it");

        // the worker announces itself
        let mut answer = reply(
            to.clone(),
            Some(route.as_str()),
            &format!(r#"{{"jsonrpc":"2.0","id":"{wire}","result":{{}}}}"#),
        );
        answer.context = Some(ProxyContext {
            v: ProxyContext::VERSION,
            eras: vec!["legacy".into()],
            owner: worker.intake.owner().map(Into::into),
            ..ProxyContext::default()
        });
        worker.intake.reply(answer).await.unwrap();
        let peer = Arc::new(world.delivered().await.peer.unwrap());
        assert_eq!(peer.owner.as_deref(), worker.intake.owner());

        // from then on its queue is where the session is
        let mut next = outbound(&route, &call(1));
        next.remote = Remote { route: route.clone(), peer: Some(Arc::clone(&peer)) };
        world.backend.send(next).await.unwrap();
        let arrival = worker.arrival().await;
        assert!(arrival.delivery.to_owner);
        assert_eq!(arrival.reply, Some(ReplyTo::Address(to)));
        assert_eq!(text(arrival.event), call(1));
        world.backend.close(&Remote { route: route.clone(), peer: Some(peer) }).await.unwrap();
        let arrival = worker.arrival().await;
        assert!(matches!(arrival.event, ArrivalEvent::End) && arrival.delivery.to_owner);
        assert_eq!(arrival.session.as_ref().map(RemoteSession::as_str), Some(route.as_str()));
        world.stop().await;
        worker.stop().await;
    }
}

#[tokio::test]
async fn a_refusal_without_a_session_comes_through_the_proxys_filter_too() {
    let topics = topics(true).await;
    let mut worker = Worker::start(&topics.emulator, config(&topics), true).await;
    let proxy = topics.config();
    let mut world = World::with(topics, proxy).await;
    world.ready().await;
    let (route, to) = (world.route(), ReplyAddress::Sns(world.topics.responses.as_str().into()));
    let wire = WireId::new(route.clone(), 0).to_string();
    let refusal = format!(
        r#"{{"jsonrpc":"2.0","id":"{wire}","error":{{"code":-32600,"message":"initialize first"}}}}"#
    );
    worker.intake.reply(reply(to, None, &refusal)).await.unwrap();
    let inbound = world.delivered().await;
    assert_eq!(inbound.route, Some(route));
    assert!(matches!(inbound.event, Event::Message(Message::Response(_))));
    world.stop().await;
    worker.stop().await;
}
