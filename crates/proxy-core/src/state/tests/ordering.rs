//! Answers held for what was sent before them (WIRE, `seq`), and what comes twice or too late.

use super::*;

#[test]
fn an_answer_waits_for_the_messages_before_it() {
    let mut rig = Rig::new();
    let client = rig.open();
    let (stream, wire) = rig.call(&client, "1");
    assert_eq!(rig.answer_after(&wire, r#""result":{}"#, Some(2)), Disposition::Accepted);
    assert_eq!(rig.state.exchange_count(), 1);
    rig.related(&wire, &log("second"), Some(2));
    rig.deliver(&client.route, &progress(&wire, 1), None, Some(1));
    let read = Reader::of(&client, &stream).read();
    assert_eq!(read.0.len(), 3);
    assert_eq!((read.0[2].as_str(), read.1), (result("1").as_str(), true));
}

#[test]
fn an_answer_waits_a_second_at_most() {
    let mut rig = Rig::new();
    let client = rig.open();
    let (stream, wire) = rig.call(&client, "1");
    rig.answer_after(&wire, r#""result":{}"#, Some(1));
    rig.advance(Duration::from_millis(999));
    assert_eq!(stream.decide(false, None), Poll::Pending);
    rig.advance(Duration::from_millis(1));
    assert_eq!(whole(&stream), [result("1")]);
    let late = rig.deliver(&client.route, &progress(&wire, 1), None, Some(1));
    assert_eq!(late, Disposition::Unroutable, "progress never comes after the answer");
}

#[test]
fn whatever_came_for_the_exchange_counts_wherever_it_went() {
    let mut rig = Rig::new();
    let client = rig.open_as("alice", LATEST, "{}");
    let (stream, wire) = rig.call_as(&client, "1", Media::Json);
    rig.answer_after(&wire, r#""result":{}"#, Some(4));
    rig.related(&wire, &log("to the standalone stream"), Some(1));
    rig.related(&wire, &request("0", "ping"), Some(2));
    rig.related(&wire, &request("1", "roots/list"), Some(3));
    assert_eq!(stream.decide(false, None), Poll::Pending);
    rig.related(&wire, &cancelled("7"), Some(4));
    assert_eq!(whole(&stream), [result("1")]);
}

#[test]
fn progress_for_an_exchange_without_a_token_counts_and_goes_nowhere() {
    let mut rig = Rig::new();
    let client = rig.open();
    let stream = rig.forward(&client, &request("1", "tools/list"), Media::Any).unwrap().unwrap();
    let wire = rig.asked().remove(0).wire;
    rig.answer_after(&wire, r#""result":{}"#, Some(1));
    let disposition = rig.deliver(&client.route, &progress(&wire, 1), None, Some(1));
    assert_eq!(disposition, Disposition::Unroutable);
    assert_eq!(whole(&stream), [result("1")]);
}

#[test]
fn a_numbered_notification_that_comes_twice_is_passed_on_once() {
    let mut rig = Rig::new();
    let client = rig.open();
    let (stream, wire) = rig.call(&client, "1");
    for _ in 0..2 {
        assert_eq!(rig.related(&wire, &log("a"), Some(1)), Disposition::Accepted);
        assert_eq!(rig.deliver(&client.route, &progress(&wire, 1), None, Some(2)), Disposition::Accepted);
    }
    assert_eq!(Reader::of(&client, &stream).read().0.len(), 2);
}

#[test]
fn an_answer_that_is_held_is_handed_over_whatever_ends_the_waiting() {
    for ended_by in ["timeout", "failure", "close"] {
        let config =
            SessionConfig { request_timeout: Duration::from_millis(500), ..SessionConfig::default() };
        let mut rig = Rig::with(config, usize::MAX);
        let client = rig.open();
        let (stream, wire) = rig.call(&client, "1");
        rig.answer_after(&wire, r#""result":{}"#, Some(1));
        match ended_by {
            "timeout" => rig.advance(Duration::from_millis(500)),
            "failure" => {
                let event = Event::ExchangeFailed(None, failure(Delivery::MaybeSent));
                rig.deliver_event(Some(&client.route), event, None, None);
            }
            _ => rig.state.close_all(super::super::Closing::ShuttingDown, rig.now),
        }
        assert_eq!(whole(&stream), [result("1")], "{ended_by}");
        assert_eq!(rig.texts(), [""; 0], "{ended_by}: nothing to cancel");
    }
}

#[test]
fn the_numbers_of_a_long_exchange_take_no_room() {
    let mut rig = Rig::new();
    let client = rig.open();
    let (_stream, wire) = rig.call(&client, "1");
    // The first of them is lost.
    for number in 2..10_000 {
        rig.related(&wire, &log("a"), Some(number));
    }
    let heard = &rig.state.sessions[&client.key].exchanges[&wire.number()].heard;
    assert!(format!("{heard:?}").len() < 100, "{heard:?}");
}
