//! Nothing here grows without a bound.

use super::*;

#[test]
fn a_session_has_so_many_requests_in_flight_and_no_more() {
    let config = SessionConfig { max_exchanges: 2, ..SessionConfig::default() };
    let mut rig = Rig::with(config, usize::MAX);
    let client = rig.open();
    let (_, wire) = rig.call(&client, "1");
    rig.call(&client, "2");
    assert_eq!(rig.forward(&client, &call("3"), Media::Any).err(), Some(Refusal::TooManyExchanges));
    rig.answer(&wire, r#""result":{}"#);
    assert!(rig.forward(&client, &call("3"), Media::Any).is_ok());
}

#[test]
fn a_cancelled_request_keeps_its_place_until_its_send_is_over() {
    let config = SessionConfig { max_exchanges: 1, ..SessionConfig::default() };
    let mut rig = Rig::with(config, usize::MAX);
    let client = rig.open();
    rig.forward(&client, &call("1"), Media::Any).unwrap();
    let outgoing = rig.state.take_outbox();
    rig.tell(&client, &cancelled("1"));
    assert_eq!(rig.forward(&client, &call("2"), Media::Any).err(), Some(Refusal::TooManyExchanges));
    let Outgoing::Send { session, receipt, .. } = &outgoing[0] else { panic!("no send") };
    rig.state.sent(*session, *receipt, Ok(Sent::default()), rig.now);
    assert!(rig.forward(&client, &call("2"), Media::Any).is_ok());
}

#[test]
fn what_the_transport_has_not_taken_counts_as_memory() {
    let mut rig = Rig::with(SessionConfig::default(), 1_000);
    let client = rig.open();
    let large =
        call("1").replace("\"params\":{", &format!("\"params\":{{\"padding\":\"{}\",", "x".repeat(1_000)));
    rig.forward(&client, &large, Media::Any).unwrap();
    let sending = rig.state.take_outbox();
    assert_eq!(rig.forward(&client, &call("2"), Media::Any).err(), Some(Refusal::OutOfMemory));
    drop(sending);
    assert!(rig.forward(&client, &call("2"), Media::Any).is_ok());
}

#[test]
fn there_are_so_many_sessions_and_no_more() {
    let config = SessionConfig { max_sessions: 1, ..SessionConfig::default() };
    let mut rig = Rig::with(config, usize::MAX);
    let client = rig.open();
    let Message::Request(initialize) = message(
        r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}"#,
    ) else {
        panic!("no request")
    };
    let refused = rig.state.open(&client.principal, initialize.clone(), Media::Any, rig.now);
    assert_eq!(refused.err(), Some(Refusal::TooManySessions));
    rig.state.end(&client.id, &client.principal, rig.now).unwrap();
    assert!(rig.state.open(&client.principal, initialize, Media::Any, rig.now).is_ok());
}

#[test]
fn a_stream_that_nobody_reads_keeps_the_newest_messages_and_every_request_and_answer() {
    let mut rig = Rig::new();
    let client = rig.open();
    let (stream, wire) = rig.call_as(&client, "1", Media::EventStream);
    rig.related(&wire, &request("0", "roots/list"), None);
    for number in 0..2_000 {
        rig.related(&wire, &log(&number.to_string()), None);
    }
    rig.answer(&wire, r#""result":{}"#);
    let (texts, ended) = Reader::of(&client, &stream).read();
    assert!(ended && texts.len() == 512, "{}", texts.len());
    assert_eq!(texts[0], request("0", "roots/list"));
    assert_eq!(texts[1], log("1490"), "the oldest went first");
    assert_eq!(texts[511], result("1"));
}

#[test]
fn a_stream_keeps_a_mebibyte_and_a_larger_answer_alone() {
    let mut rig = Rig::new();
    let client = rig.open();
    let (stream, wire) = rig.call_as(&client, "1", Media::EventStream);
    for _ in 0..5 {
        rig.related(&wire, &log(&"x".repeat(300_000)), None);
        assert!(rig.memory.used() <= 1024 * 1024);
    }
    let large = format!(r#""result":{{"text":"{}"}}"#, "x".repeat(2_000_000));
    rig.answer(&wire, &large);
    let (texts, ended) = Reader::of(&client, &stream).read();
    assert!(ended);
    assert_eq!((texts.len(), texts[0].contains(&large)), (1, true));
}

#[test]
fn at_the_memory_limit_new_requests_and_messages_wait_but_no_answer_does() {
    let mut rig = Rig::with(SessionConfig::default(), 1_000);
    let client = rig.open();
    let (_stream, wire) = rig.call_as(&client, "1", Media::EventStream);
    rig.related(&wire, &log(&"x".repeat(1_000)), None);
    assert_eq!(rig.forward(&client, &call("2"), Media::Any).err(), Some(Refusal::OutOfMemory));
    assert_eq!(rig.related(&wire, &log("a"), None), Disposition::Busy);
    assert_eq!(rig.related(&wire, &request("0", "roots/list"), None), Disposition::Busy);
    assert_eq!(rig.deliver(&client.route, &progress(&wire, 1), None, None), Disposition::Busy);
    assert_eq!(rig.answer(&wire, r#""result":{}"#), Disposition::Accepted);
}

#[test]
fn what_is_only_kept_for_replay_gives_way_at_the_memory_limit() {
    let mut rig = Rig::with(SessionConfig::default(), 1_000);
    let client = rig.open();
    let mut standalone = rig.listen(&client).unwrap();
    rig.server_says(&client, &log(&"x".repeat(1_000)));
    assert_eq!(rig.server_says(&client, &log("a")), Disposition::Busy, "the client has not read it yet");
    standalone.read();
    rig.advance(seconds(1));
    assert_eq!(rig.server_says(&client, &log("a")), Disposition::Accepted);
    assert!(rig.forward(&client, &call("2"), Media::Any).is_ok());
}

#[test]
fn messages_of_the_proxys_own_are_bounded_while_nothing_can_be_sent() {
    let mut rig = Rig::new();
    let client = rig.open();
    let mut taken = 0;
    for id in 0..20_000 {
        match rig.server_says(&client, &request(&id.to_string(), "ping")) {
            Disposition::Accepted => taken += 1,
            disposition => assert_eq!(disposition, Disposition::Busy),
        }
        // The caller takes them and cannot send them.
        rig.state.outbox.take();
    }
    assert_eq!(taken, 10_000);
    assert_eq!(rig.forward(&client, &call("2"), Media::Any).err(), Some(Refusal::OutOfMemory));
}

#[test]
fn a_session_keeps_so_many_answered_streams_and_no_timer_for_more() {
    let mut rig = Rig::new();
    let client = rig.open();
    for id in 0..200 {
        let (_, wire) = rig.call_as(&client, &id.to_string(), Media::EventStream);
        rig.answer(&wire, r#""result":{}"#);
    }
    assert_eq!(rig.state.sessions[&client.key].streams.len(), 64);
    assert_eq!(rig.state.timers.len(), 65);
}
