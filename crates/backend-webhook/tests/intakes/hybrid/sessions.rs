//! The standalone stream, and how sessions end.

use proxy_core::{
    error::ErrorKind,
    intake::{ArrivalEvent, Intake as _, Receipt, Refused},
};

use super::{
    ANSWER, ASKED, CALL, Events, INITIALIZED, LOGGED, Responding, SESSION, World, initialize, reply, said,
    unrelated,
};
use crate::desk::{in_time, next, session};

#[tokio::test]
async fn what_belongs_to_no_request_comes_on_the_standalone_stream() {
    let mut world = World::start().await;
    let opened = world.open(None).await;
    // before there is one it waits
    world.reply(unrelated(&opened, ASKED)).await.unwrap();
    let mut events = Events::of(world.listen().await);
    assert_eq!(events.next().await.as_deref(), Some(ASKED));
    world.reply(unrelated(&opened, LOGGED)).await.unwrap();
    assert_eq!(events.next().await.as_deref(), Some(LOGGED));
    // an answer never does
    let error = world.reply(unrelated(&opened, ANSWER)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_session_has_one_standalone_stream_at_a_time() {
    let mut world = World::start().await;
    assert_eq!(said(world.listen().await).await.0, 404);
    world.open(None).await;
    let first = world.listen().await;
    assert_eq!(said(world.listen().await).await.0, 409);
    drop(first);
    // its connection's end is noticed some time
    while world.listen().await.status().as_u16() == 409 {}
}

#[tokio::test]
async fn a_client_ends_its_session() {
    let mut world = World::start().await;
    world.open(None).await;
    let mut events = Events::of(world.listen().await);
    let delete = || world.client.delete(&world.url).header("mcp-session-id", SESSION);
    assert_eq!(in_time(delete().send()).await.unwrap().status().as_u16(), 200);
    world.intake.close(&session(SESSION)).await;
    assert_eq!(events.next().await, None);
    assert_eq!(said(world.listen().await).await.0, 404);
    world.desk.answer_next(Receipt::Refused(Refused::UnknownSession));
    assert_eq!(said(in_time(delete().send()).await.unwrap()).await.0, 404);
    let end = next(&mut world.arrivals).await;
    assert!(matches!(end.event, ArrivalEvent::End) && end.session == Some(session(SESSION)));
}

#[tokio::test]
async fn another_client_does_not_get_a_sessions_stream() {
    let mut world = World::start().await;
    let responding = Responding::to(world.post(&initialize(None)).header("x-client-id", "one"));
    let opened = next(&mut world.arrivals).await;
    world.reply(reply(&opened, &opened, INITIALIZED)).await.unwrap();
    responding.response().await;
    let get = |client_id: Option<&str>| {
        let request = world.client.get(&world.url).header("accept", "text/event-stream");
        let request = request.header("mcp-session-id", SESSION);
        client_id.into_iter().fold(request, |request, id| request.header("x-client-id", id)).send()
    };
    for stranger in [None, Some("other")] {
        assert_eq!(said(in_time(get(stranger)).await.unwrap()).await.0, 404, "{stranger:?}");
    }
    assert_eq!(in_time(get(Some("one"))).await.unwrap().status().as_u16(), 200);
}

#[tokio::test]
async fn a_session_that_its_client_never_heard_of_is_ended() {
    let mut world = World::start().await;
    let request = world.post(&initialize(None)).header("x-client-id", "one");
    let responding = Responding::to(request);
    next(&mut world.arrivals).await;
    // the client goes away while its server starts
    drop(responding);
    let end = next(&mut world.arrivals).await;
    assert!(matches!(end.event, ArrivalEvent::End), "{end:?}");
    assert_eq!((end.session, end.client_id.as_deref()), (Some(session(SESSION)), Some("one")));
    // with a webhook the answer finds it all the same
    let responding = Responding::to(world.post(&initialize(Some("http://127.0.0.1:1/"))));
    next(&mut world.arrivals).await;
    drop(responding);
    world.open(None).await;
    assert!(world.arrivals.try_recv().is_err(), "a session that was answered lives on");
}

#[tokio::test]
async fn the_worker_ends_a_session_and_with_it_its_streams() {
    let mut world = World::start().await;
    world.open(None).await;
    let mut standalone = Events::of(world.listen().await);
    let (mut events, _) = world.call(CALL).await;
    world.intake.close(&session(SESSION)).await;
    assert_eq!((standalone.next().await, events.next().await), (None, None));
}

#[tokio::test]
async fn it_ends_when_told_to_with_every_stream() {
    let mut world = World::start().await;
    world.open(None).await;
    let mut standalone = Events::of(world.listen().await);
    let (mut events, _) = world.call(CALL).await;
    world.stopping.drain.cancel();
    assert!(world.intake.check().await.is_ok());
    world.stopping.stop.cancel();
    assert_eq!((standalone.next().await, events.next().await), (None, None));
    world.stopped().await.unwrap();
    assert!(world.intake.check().await.is_err());
}
