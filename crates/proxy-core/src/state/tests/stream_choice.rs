//! DESIGN, "Which stream a server's message goes to"; 2025-11-25, basic/transports: exactly one stream gets a message.

use super::*;

#[test]
fn a_related_message_goes_to_its_exchange_whatever_else_is_open() {
    let mut rig = Rig::new();
    let client = rig.open();
    let mut standalone = rig.listen(&client).unwrap();
    let (first, wire) = rig.call(&client, "1");
    let (second, _) = rig.call(&client, "2");
    assert_eq!(rig.related(&wire, &log("a"), None), Disposition::Accepted);
    assert_eq!(Reader::of(&client, &first).read(), (vec![log("a")], false));
    assert_eq!(Reader::of(&client, &second).read().0, [""; 0]);
    assert_eq!(standalone.read().0, [""; 0]);
}

#[test]
fn an_unrelated_message_goes_to_the_only_exchange_before_the_standalone_stream() {
    let mut rig = Rig::new();
    let client = rig.open();
    let mut standalone = rig.listen(&client).unwrap();
    let (stream, _) = rig.call(&client, "1");
    rig.server_says(&client, &log("a"));
    assert_eq!(Reader::of(&client, &stream).read().0, [log("a")]);
    assert_eq!(standalone.read().0, [""; 0]);
}

#[test]
fn with_several_exchanges_it_goes_to_the_open_standalone_stream() {
    let mut rig = Rig::new();
    let client = rig.open();
    let mut standalone = rig.listen(&client).unwrap();
    let (first, _) = rig.call(&client, "1");
    let (second, _) = rig.call(&client, "2");
    rig.server_says(&client, &log("a"));
    assert_eq!(standalone.read().0, [log("a")]);
    assert!(!first.has_unread() && !second.has_unread());
}

#[test]
fn without_a_standalone_stream_it_goes_to_the_newest_exchange_that_can_carry_it() {
    let mut rig = Rig::new();
    let client = rig.open();
    let (first, _) = rig.call(&client, "1");
    let (second, _) = rig.call(&client, "2");
    rig.call_as(&client, "3", Media::Json);
    rig.server_says(&client, &log("a"));
    assert!(!first.has_unread());
    assert_eq!(Reader::of(&client, &second).read().0, [log("a")]);
}

#[test]
fn without_any_stream_it_waits_for_the_next_standalone_one() {
    let mut rig = Rig::new();
    let client = rig.open();
    rig.server_says(&client, &log("a"));
    rig.server_says(&client, &log("b"));
    assert_eq!(rig.listen(&client).unwrap().read().0, [log("a"), log("b")]);
}

#[test]
fn what_waits_leaves_on_the_next_request_and_on_no_other_stream() {
    let mut rig = Rig::new();
    let client = rig.open();
    rig.server_says(&client, &log("a"));
    let (stream, wire) = rig.call(&client, "1");
    rig.answer(&wire, r#""result":{}"#);
    assert_eq!(Reader::of(&client, &stream).read(), (vec![log("a"), result("1")], true));
    assert_eq!(rig.listen(&client).unwrap().read().0, [""; 0]);
}

#[test]
fn a_client_that_takes_json_alone_gets_its_answer_alone() {
    let mut rig = Rig::new();
    let client = rig.open();
    let (stream, wire) = rig.call_as(&client, "1", Media::Json);
    rig.deliver(&client.route, &progress(&wire, 1), None, None);
    rig.related(&wire, &log("a"), None);
    assert_eq!(stream.decide(true, None), Poll::Pending, "JSON waits for the answer");
    rig.answer(&wire, r#""result":{}"#);
    assert_eq!(whole(&stream), [result("1")]);
    assert_eq!(rig.listen(&client).unwrap().read().0, [log("a")], "the log message waited");
    assert_eq!(rig.resume(&client, &format!("{}-0", stream.number())).err(), Some(Refusal::UnknownEvent));
}

#[test]
fn a_json_stream_cannot_be_resumed_while_its_answer_is_awaited() {
    let mut rig = Rig::new();
    let client = rig.open();
    let (stream, wire) = rig.call_as(&client, "1", Media::Json);
    assert_eq!(rig.resume(&client, &format!("{}-0", stream.number())).err(), Some(Refusal::UnknownEvent));
    rig.answer(&wire, r#""result":{}"#);
    assert_eq!(whole(&stream), [result("1")], "or its own reader would wait for ever");
}

#[test]
fn a_message_related_to_another_sessions_exchange_stays_in_the_session_of_its_envelope() {
    let mut rig = Rig::new();
    let (alice, bob) = (rig.open(), rig.open_as("bob", LATEST, "{}"));
    let (stream, wire) = rig.call(&alice, "1");
    rig.deliver(&bob.route, &log("a"), Some(&wire), None);
    assert!(!stream.has_unread());
    assert_eq!(rig.listen(&bob).unwrap().read().0, [log("a")]);
}

#[test]
fn an_unread_message_makes_the_reply_a_stream_and_an_answer_alone_does_not() {
    let mut rig = Rig::new();
    let client = rig.open();
    let (stream, wire) = rig.call(&client, "1");
    assert_eq!(stream.decide(false, None), Poll::Pending);
    rig.answer(&wire, r#""result":{}"#);
    assert_eq!(whole(&stream), [result("1")]);
    let (stream, wire) = rig.call(&client, "2");
    rig.deliver(&client.route, &progress(&wire, 1), None, None);
    rig.answer(&wire, r#""result":{}"#);
    assert_eq!(stream.decide(false, None), Poll::Ready(Decision::Stream));
}
