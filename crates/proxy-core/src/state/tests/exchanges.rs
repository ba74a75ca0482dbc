//! Ids, tokens, cancellations and failed sends (DIGEST §3.2, checklist 37, 76, 77, 79, 80).

use super::*;

#[test]
fn ids_and_tokens_come_back_with_value_and_type() {
    let mut rig = Rig::new();
    let client = rig.open();
    for id in ["1", r#""1""#, "9007199254740993", r#""é\"""#] {
        let (stream, wire) = rig.call(&client, id);
        rig.deliver(&client.route, &progress(&wire, 1), None, None);
        rig.answer(&wire, r#""result":{"big":9007199254740993,"text":"é"}"#);
        let (texts, ended) = Reader::of(&client, &stream).read();
        assert!(texts[0].contains(&format!(r#""progressToken":{id}"#)), "{texts:?}");
        let expected = r#""result":{"big":9007199254740993,"text":"é"}"#;
        assert_eq!((texts[1].clone(), ended), (format!(r#"{{"jsonrpc":"2.0","id":{id},{expected}}}"#), true));
    }
}

#[test]
fn the_same_id_as_number_and_as_string_may_be_in_flight_and_twice_the_same_may_not() {
    let mut rig = Rig::new();
    let client = rig.open();
    let (number, number_wire) = rig.call(&client, "1");
    let (string, string_wire) = rig.call(&client, r#""1""#);
    assert!(matches!(rig.forward(&client, &call("1"), Media::Any), Err(Refusal::InvalidRequest(_))));
    rig.answer(&string_wire, r#""result":{}"#);
    rig.answer(&number_wire, r#""result":{}"#);
    assert_eq!((whole(&number), whole(&string)), (vec![result("1")], vec![result(r#""1""#)]));
    assert!(rig.forward(&client, &call("1"), Media::Any).is_ok(), "it is over");
}

#[test]
fn an_answer_comes_once_and_only_from_the_path_of_its_session() {
    let mut rig = Rig::new();
    let (alice, bob) = (rig.open(), rig.open());
    let (stream, wire) = rig.call(&alice, "1");
    let text = format!(r#"{{"jsonrpc":"2.0","id":"{wire}","result":{{}}}}"#);
    assert_eq!(rig.deliver(&bob.route, &text, None, None), Disposition::Unroutable);
    assert_eq!(stream.decide(false, None), Poll::Pending);
    assert_eq!(rig.deliver(&alice.route, &text, None, None), Disposition::Accepted);
    assert_eq!(rig.deliver(&alice.route, &text, None, None), Disposition::Unroutable);
    assert_eq!(whole(&stream), [result("1")]);
}

#[test]
fn another_instances_messages_are_foreign_and_strangers_too() {
    let mut rig = Rig::new();
    rig.open();
    let stranger = RouteKey::random(&InstanceId::random());
    let wire = WireId::new(stranger.clone(), 0);
    let answer = format!(r#"{{"jsonrpc":"2.0","id":"{wire}","result":{{}}}}"#);
    for text in [&answer, &progress(&wire, 1), &log("a"), &request("0", "ping")] {
        assert_eq!(rig.deliver(&stranger, text, None, None), Disposition::Foreign, "{text}");
        let event = Event::Message(message(text));
        assert_eq!(rig.deliver_event(None, event, None, None), Disposition::Foreign, "{text}");
    }
    let ours = RouteKey::random(&rig.instance);
    assert_eq!(rig.deliver(&ours, &log("a"), None, None), Disposition::Unroutable, "ours, but gone");
}

#[test]
fn a_cancellation_travels_with_the_wire_id_and_the_client_gets_no_answer() {
    let mut rig = Rig::new();
    let client = rig.open();
    let (stream, wire) = rig.call(&client, r#""1""#);
    rig.tell(&client, &cancelled("1"));
    assert_eq!(rig.texts(), [""; 0], "that is another id");
    rig.tell(&client, &cancelled(r#""1""#));
    assert_eq!(rig.texts(), [cancelled(&format!("\"{wire}\""))]);
    assert_eq!(whole(&stream), [""; 0]);
    assert_eq!(rig.answer(&wire, r#""result":{}"#), Disposition::Unroutable);
}

#[test]
fn a_cancellation_follows_its_request_once_that_is_out() {
    for (outcome, expected) in [
        (Ok(Sent::default()), 1),
        (Err(failure(Delivery::MaybeSent)), 1),
        (Err(failure(Delivery::NotSent)), 0),
    ] {
        let mut rig = Rig::new();
        let client = rig.open();
        rig.forward(&client, &call("1"), Media::Any).unwrap();
        let (session, receipt, _) = rig.sending();
        rig.tell(&client, &cancelled("1"));
        assert!(rig.state.take_outbox().is_empty(), "not before its request");
        rig.state.sent(session, receipt, outcome, rig.now);
        assert_eq!(rig.texts().len(), expected);
    }
}

#[test]
fn initialize_cannot_be_cancelled() {
    let mut rig = Rig::new();
    let (client, stream) = rig.initialize("alice", LATEST, "{}");
    let wire = rig.asked().remove(0).wire;
    rig.tell(&client, &cancelled("0"));
    assert_eq!(rig.texts(), [""; 0]);
    rig.answer(&wire, r#""result":{"protocolVersion":"2025-11-25"}"#);
    assert_eq!(whole(&stream).len(), 1);
}

#[test]
fn what_was_not_sent_ends_at_once_and_what_may_have_been_waits_for_its_answer() {
    let mut rig = Rig::new();
    let client = rig.open();
    let mut streams = Vec::new();
    for (id, delivery) in [("1", Delivery::NotSent), ("2", Delivery::MaybeSent)] {
        streams.push(rig.forward(&client, &call(id), Media::Any).unwrap().unwrap());
        let (session, receipt, _) = rig.sending();
        rig.state.sent(session, receipt, Err(failure(delivery)), rig.now);
    }
    assert_eq!(reason(&whole(&streams[0])[0]).as_deref(), Some("unavailable"));
    assert_eq!(streams[1].decide(false, None), Poll::Pending);
    rig.advance(SessionConfig::default().request_timeout);
    let [text] = whole(&streams[1]).try_into().unwrap();
    assert!(text.contains("may have run"), "{text}");
    assert_eq!(reason(&text).as_deref(), Some("timeout"));
}

#[test]
fn an_answer_may_come_before_its_send_is_reported() {
    let mut rig = Rig::new();
    let client = rig.open();
    let stream = rig.forward(&client, &call("1"), Media::Any).unwrap().unwrap();
    let (session, receipt, outbound) = rig.sending();
    rig.answer(&outbound.about.unwrap(), r#""result":{}"#);
    rig.state.sent(session, receipt, Err(failure(Delivery::MaybeSent)), rig.now);
    assert_eq!(whole(&stream), [result("1")]);
    assert_eq!(rig.texts(), [""; 0]);
}

#[test]
fn a_batch_is_answered_on_one_stream_and_taken_whole_or_not_at_all() {
    let mut rig = Rig::new();
    let client = rig.open_as("alice", "2025-03-26", "{}");
    let refused = rig.forward_all(&client, &[&call("1"), &call("1")], Media::Any);
    assert!(matches!(refused, Err(Refusal::InvalidRequest(_))));
    assert_eq!(rig.texts(), [""; 0]);
    let texts = [&call("1"), &log("x"), &call(r#""1""#), &request("2", "ping")];
    let stream = rig.forward_all(&client, &texts.map(String::as_str), Media::Any).unwrap().unwrap();
    let asked = rig.asked();
    rig.answer(&asked[1].wire, r#""result":{}"#);
    assert_eq!(stream.decide(false, None), Poll::Pending);
    rig.answer(&asked[0].wire, r#""result":{}"#);
    assert_eq!(whole(&stream), [result("2"), result(r#""1""#), result("1")]);
    let newer = rig.open();
    assert!(matches!(
        rig.forward_all(&newer, &[&call("1"), &call("2")], Media::Any),
        Err(Refusal::InvalidRequest(_))
    ));
}

#[test]
fn a_ping_is_answered_here_on_every_kind_of_stream() {
    let mut rig = Rig::new();
    let client = rig.open();
    for media in [Media::Any, Media::Json] {
        let stream = rig.forward(&client, &request("7", "ping"), media).unwrap().unwrap();
        assert_eq!(whole(&stream), [result("7")]);
    }
    let stream = rig.forward(&client, &request("7", "ping"), Media::EventStream).unwrap().unwrap();
    let mut reader = Reader::of(&client, &stream);
    assert_eq!(reader.read(), (vec![result("7")], true));
    rig.leave(&reader);
    assert_eq!(rig.texts(), [""; 0], "the far end hears nothing of it");
    rig.advance(seconds(61));
    assert_eq!(rig.state.sessions[&client.key].streams.len(), 0, "and nothing stays");
}

#[test]
fn an_error_without_our_id_ends_the_only_exchange_and_none_of_several() {
    let mut rig = Rig::new();
    let client = rig.open();
    let stray = r#"{"jsonrpc":"2.0","id":"server-error","error":{"code":-32600,"message":"bad"}}"#;
    assert_eq!(rig.server_says(&client, stray), Disposition::Unroutable, "with none in flight");
    let (first, wire) = rig.call(&client, "1");
    let (second, _) = rig.call(&client, "2");
    assert_eq!(rig.server_says(&client, stray), Disposition::Unroutable);
    rig.answer(&wire, r#""result":{}"#);
    let result_of_nothing = r#"{"jsonrpc":"2.0","id":"server-error","result":{}}"#;
    assert_eq!(rig.server_says(&client, result_of_nothing), Disposition::Unroutable);
    assert_eq!(rig.server_says(&client, stray), Disposition::Accepted);
    assert_eq!(whole(&first), [result("1")]);
    assert_eq!(whole(&second), [r#"{"jsonrpc":"2.0","id":2,"error":{"code":-32600,"message":"bad"}}"#]);
}

#[test]
fn the_progress_of_a_task_outlives_the_answer_that_announced_it() {
    let mut rig = Rig::new();
    let client = rig.open();
    let task = call("1").replace(r#""name":"work""#, r#""name":"work","task":{"ttl":60000}"#);
    let announced = rig.forward(&client, &task, Media::Any).unwrap().unwrap();
    let wire = rig.asked().remove(0).wire;
    rig.answer(&wire, r#""result":{"task":{"taskId":"t","status":"working"}}"#);
    assert_eq!(whole(&announced).len(), 1);
    let mut listening = rig.listen(&client).unwrap();
    assert_eq!(rig.server_says(&client, &progress(&wire, 1)), Disposition::Accepted);
    let (texts, _) = listening.read();
    assert!(texts[0].contains(r#""progressToken":1,"#), "the client's own token: {texts:?}");

    let (plain, wire) = rig.call(&client, "2");
    rig.answer(&wire, r#""result":{}"#);
    assert_eq!(whole(&plain).len(), 1);
    assert_eq!(rig.server_says(&client, &progress(&wire, 1)), Disposition::Unroutable);
    let refused = task.replace(r#""id":1"#, r#""id":3"#);
    rig.forward(&client, &refused, Media::Any).unwrap();
    let wire = rig.asked().remove(0).wire;
    rig.answer(&wire, r#""error":{"code":-32601,"message":"no tasks"}"#);
    assert_eq!(rig.server_says(&client, &progress(&wire, 1)), Disposition::Unroutable);
}
