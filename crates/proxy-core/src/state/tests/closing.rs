//! How sessions end, and what is left of them.

use super::{super::Closing, *};

#[test]
fn ending_a_session_ends_its_requests_and_tells_the_far_end() {
    let mut rig = Rig::new();
    let client = rig.open();
    let (stream, wire) = rig.call(&client, "1");
    let mut reader = rig.listen(&client).unwrap();
    rig.server_says(&client, &request("0", "roots/list"));
    rig.state.end(&client.id, &client.principal, rig.now).unwrap();
    let (session, remote, farewells) = rig.closing();
    assert_eq!(remote.route, client.route);
    let told: Vec<&str> = farewells.iter().map(|farewell| farewell.message.as_str()).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("notifications/cancelled") && told[0].contains(&wire.to_string()), "{told:?}");
    assert_eq!(reason(told[1]).as_deref(), Some("session_closed"), "no server request is left unanswered");
    rig.state.closed(session, rig.now);
    let answers = Reader::of(&client, &stream).read();
    assert_eq!(reason(answers.0.last().unwrap()).as_deref(), Some("session_closed"));
    assert!(reader.read().1);
    assert_eq!(rig.forward(&client, &call("2"), Media::Any).err(), Some(Refusal::SessionNotFound));
    assert_eq!(rig.answer(&wire, r#""result":{}"#), Disposition::Unroutable);
    drop((stream, reader));
    rig.assert_empty();
}

#[test]
fn a_path_is_closed_only_after_everything_on_it_is_out() {
    let cases = [
        (Ok(Sent::default()), 1),
        (Err(failure(Delivery::MaybeSent)), 1),
        (Err(failure(Delivery::NotSent)), 0),
    ];
    for (outcome, expected) in cases {
        for cancelled_before in [false, true] {
            let mut rig = Rig::new();
            let client = rig.open();
            rig.forward(&client, &call("1"), Media::Any).unwrap();
            let (session, receipt, _) = rig.sending();
            if cancelled_before {
                rig.tell(&client, &cancelled("1"));
            }
            rig.state.end(&client.id, &client.principal, rig.now).unwrap();
            assert!(rig.state.take_outbox().is_empty(), "the request is still being sent");
            let outcome = match &outcome {
                Ok(_) => Ok(Sent::default()),
                Err(error) => Err(failure(error.delivery())),
            };
            rig.state.sent(session, receipt, outcome, rig.now);
            let (session, _, farewells) = rig.closing();
            assert_eq!(farewells.len(), expected, "cancelled before: {cancelled_before}");
            rig.state.closed(session, rig.now);
            rig.assert_empty();
        }
    }
}

#[test]
fn a_session_that_the_far_end_lost_ends_with_a_reason() {
    let mut rig = Rig::new();
    let client = rig.open();
    let (stream, _) = rig.call(&client, "1");
    let (other, _) = rig.call(&client, "2");
    let gone = BackendError::new(ErrorKind::SessionGone, "receive", "the server ended with: out of ideas");
    rig.deliver_event(Some(&client.route), Event::SessionGone(gone), None, None);
    for stream in [stream, other] {
        let ended = &whole(&stream)[0];
        assert_eq!(reason(ended).as_deref(), Some("session_gone"));
        assert!(ended.contains("out of ideas"), "what the far end says is what the client hears: {ended}");
    }
    assert_eq!(rig.texts(), [""; 0], "nobody is there to be told");
    rig.assert_empty();
}

#[test]
fn draining_takes_nothing_new_and_lets_the_rest_finish() {
    let mut rig = Rig::new();
    let client = rig.open();
    let mut standalone = rig.listen(&client).unwrap();
    let (stream, wire) = rig.call_as(&client, "1", Media::EventStream);
    rig.related(&wire, &request("0", "roots/list"), None);
    rig.state.drain();
    assert!(standalone.read().1);
    assert_eq!(rig.forward(&client, &call("2"), Media::Any).err(), Some(Refusal::Draining));
    assert_eq!(rig.listen(&client).err(), Some(Refusal::Draining));
    let mut reader = rig.resume(&client, &format!("{}-0", stream.number())).unwrap().unwrap();
    assert_eq!(reader.read().0.len(), 1);
    rig.tell(&client, &result("0"));
    assert_eq!(rig.texts(), [result("0")]);
    rig.answer(&wire, r#""result":{}"#);
    assert_eq!(reader.read(), (vec![result("1")], true));
    rig.state.close_all(Closing::ShuttingDown, rig.now);
    rig.send_all();
    drop((standalone, stream, reader));
    rig.assert_empty();
}

#[test]
fn no_timer_outlives_its_session() {
    let mut rig = Rig::new();
    let client = rig.open();
    let (_, wire) = rig.call_as(&client, "1", Media::EventStream);
    rig.call(&client, "2");
    rig.answer(&wire, r#""result":{}"#);
    rig.server_says(&client, &request("0", "roots/list"));
    rig.state.end(&client.id, &client.principal, rig.now).unwrap();
    rig.send_all();
    rig.assert_empty();
}
