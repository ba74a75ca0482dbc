//! Resuming, and who may read (checklist 28, 31, 32, 35).

use super::*;

#[test]
fn a_newer_standalone_stream_takes_over_at_most_once_in_30_seconds() {
    let mut rig = Rig::new();
    let client = rig.open();
    let mut first = rig.listen(&client).unwrap();
    let mut second = rig.listen(&client).unwrap();
    assert_eq!((first.read().1, second.read().1), (true, false));
    rig.leave(&first);
    rig.advance(seconds(29));
    let refused = rig.listen(&client).err();
    assert_eq!(refused, Some(Refusal::StreamTakenOver { retry_after: seconds(1) }));
    assert_eq!(rig.resume(&client, "0-0").err(), refused, "resuming it is the same");
    rig.advance(seconds(1));
    let third = rig.listen(&client).unwrap();
    assert!(second.read().1);
    rig.leave(&third);
    assert!(rig.listen(&client).is_ok(), "nothing to take over");
}

#[test]
fn a_stream_is_resumed_after_the_named_event_and_goes_on() {
    let mut rig = Rig::new();
    let client = rig.open();
    let (stream, wire) = rig.call_as(&client, "1", Media::EventStream);
    let (other, other_wire) = rig.call_as(&client, "2", Media::EventStream);
    let mut reader = Reader::of(&client, &stream);
    let start = reader.position();
    rig.related(&wire, &log("a"), None);
    rig.related(&other_wire, &log("other"), None);
    assert_eq!(reader.read().0, [log("a")]);
    let after_a = reader.position();
    rig.leave(&reader);
    rig.related(&wire, &log("b"), None);
    let mut resumed = rig.resume(&client, &after_a).unwrap().unwrap();
    assert_eq!(resumed.read(), (vec![log("b")], false));
    rig.answer(&wire, r#""result":{}"#);
    assert_eq!(resumed.read(), (vec![result("1")], true));
    let mut again = rig.resume(&client, &start).unwrap().unwrap();
    assert_eq!(again.read(), (vec![log("a"), log("b"), result("1")], true));
    assert!(other.has_unread());
}

#[test]
fn an_answer_that_came_while_the_client_was_away_is_there_when_it_comes_back() {
    let mut rig = Rig::new();
    let client = rig.open();
    let (stream, wire) = rig.call_as(&client, "1", Media::EventStream);
    let reader = Reader::of(&client, &stream);
    let start = reader.position();
    rig.leave(&reader);
    rig.answer(&wire, r#""result":{}"#);
    rig.advance(seconds(250));
    let mut resumed = rig.resume(&client, &start).unwrap().unwrap();
    assert_eq!(resumed.read(), (vec![result("1")], true));
}

#[test]
fn an_answer_right_behind_its_first_notification_can_be_resumed_too() {
    let mut rig = Rig::new();
    let client = rig.open();
    let (stream, wire) = rig.call(&client, "1");
    rig.related(&wire, &log("a"), None);
    rig.answer(&wire, r#""result":{}"#);
    assert_eq!(stream.decide(false, None), Poll::Ready(Decision::Stream));
    let reader = Reader::of(&client, &stream);
    let start = reader.position();
    rig.leave(&reader);
    let mut resumed = rig.resume(&client, &start).unwrap().unwrap();
    assert_eq!(resumed.read(), (vec![log("a"), result("1")], true));
}

#[test]
fn what_was_read_to_the_end_can_be_replayed_for_a_minute_after_its_reader_left() {
    let mut rig = Rig::new();
    let client = rig.open();
    let (stream, wire) = rig.call_as(&client, "1", Media::EventStream);
    rig.answer(&wire, r#""result":{}"#);
    let mut reader = Reader::of(&client, &stream);
    let start = reader.position();
    rig.advance(seconds(59));
    assert!(reader.read().1);
    rig.advance(seconds(2));
    rig.leave(&reader);
    rig.advance(seconds(59));
    let resumed = rig.resume(&client, &start).unwrap().unwrap();
    rig.leave(&resumed);
    rig.advance(seconds(60));
    assert_eq!(rig.resume(&client, &start).err(), Some(Refusal::UnknownEvent));
    drop((stream, reader, resumed));
    assert_eq!(rig.memory.used(), 0);
}

#[test]
fn a_complete_stream_of_which_the_client_has_all_is_over() {
    let mut rig = Rig::new();
    let client = rig.open();
    let (stream, wire) = rig.call_as(&client, "1", Media::EventStream);
    rig.answer(&wire, r#""result":{}"#);
    let mut reader = Reader::of(&client, &stream);
    reader.read();
    let end = reader.position();
    rig.leave(&reader);
    assert!(rig.resume(&client, &end).unwrap().is_none());
}

#[test]
fn an_event_id_of_nothing_is_refused() {
    let mut rig = Rig::new();
    let (alice, bob) = (rig.open(), rig.open());
    let (stream, _) = rig.call_as(&alice, "1", Media::EventStream);
    for event in ["", "x", "1", "99-0", "01-0", &format!("{}-99", stream.number())] {
        assert_eq!(rig.resume(&alice, event).err(), Some(Refusal::UnknownEvent), "{event}");
    }
    let number = stream.number();
    assert!(rig.resume(&alice, &format!("{number}-0")).is_ok());
    assert_eq!(rig.resume(&bob, &format!("{number}-0")).err(), Some(Refusal::UnknownEvent), "not theirs");
}

#[test]
fn a_new_reader_of_the_standalone_stream_gets_what_nobody_was_given_and_no_more() {
    let mut rig = Rig::new();
    let client = rig.open();
    let mut first = rig.listen(&client).unwrap();
    rig.server_says(&client, &log("a"));
    assert_eq!(first.read().0, [log("a")]);
    rig.leave(&first);
    rig.server_says(&client, &log("b"));
    let mut second = rig.listen(&client).unwrap();
    assert_eq!(second.read().0, [log("b")]);
    rig.leave(&second);
    let mut third = rig.resume(&client, "0-0").unwrap().unwrap();
    assert_eq!(third.read().0, [log("a"), log("b")], "unless it asks");
}
