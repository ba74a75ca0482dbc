//! Request timeouts (2025-11-25, basic/lifecycle, timeouts) and idle sessions.

use super::*;
use crate::config::ToolTimeouts;

fn config() -> SessionConfig {
    SessionConfig {
        request_timeout: seconds(100),
        request_timeout_max: seconds(250),
        ..SessionConfig::default()
    }
}

#[test]
fn silence_ends_a_request_and_tells_the_server() {
    let mut rig = Rig::with(config(), usize::MAX);
    let client = rig.open();
    let (stream, wire) = rig.call(&client, "1");
    rig.advance(Duration::from_millis(99_999));
    assert_eq!(stream.decide(false, None), Poll::Pending);
    rig.advance(Duration::from_millis(1));
    let [text] = whole(&stream).try_into().unwrap();
    assert_eq!(reason(&text).as_deref(), Some("timeout"));
    let [told, asked] = rig.texts().try_into().unwrap();
    assert!(told.contains("notifications/cancelled") && told.contains(&wire.to_string()), "{told}");
    assert!(asked.contains(r#""method":"ping""#), "{asked}");
}

/// A session with a request that ended in silence, and the wire id of the `ping` that asked about it.
fn silenced(rig: &mut Rig) -> (Client, WireId) {
    let client = rig.open();
    rig.call(&client, "1");
    rig.advance(seconds(100));
    let outbound = rig.send_all().pop().unwrap();
    assert_eq!(outbound.message.method(), Some("ping"));
    (client, outbound.about.unwrap())
}

#[test]
fn a_session_of_which_nothing_comes_any_more_is_given_up() {
    let mut rig = Rig::with(config(), usize::MAX);
    let (client, _) = silenced(&mut rig);
    rig.advance(Duration::from_millis(99_999));
    assert_eq!(rig.state.session_count(), 1);
    rig.advance(Duration::from_millis(1));
    assert_eq!(rig.state.session_count(), 0);
    assert_eq!(rig.forward(&client, &call("2"), Media::Any).err(), Some(Refusal::SessionNotFound));
}

#[test]
fn any_sign_of_life_keeps_a_session() {
    for sign in ["answer", "error", "log"] {
        let mut rig = Rig::with(config(), usize::MAX);
        let (client, ping) = silenced(&mut rig);
        let disposition = match sign {
            "answer" => rig.answer(&ping, r#""result":{}"#),
            "error" => rig.answer(&ping, r#""error":{"code":-32601,"message":"no ping here"}"#),
            _ => rig.server_says(&client, &log("still here")),
        };
        assert_eq!(disposition, Disposition::Accepted, "{sign}");
        rig.advance(seconds(150));
        assert_eq!(rig.state.session_count(), 1, "{sign}");
    }
}

#[test]
fn a_far_end_that_may_be_busy_is_not_given_up() {
    let tool =
        ToolTimeouts { request_timeout: Some(seconds(1_000)), request_timeout_max: Some(seconds(1_000)) };
    let config = SessionConfig { tools: [("work".to_owned(), tool)].into(), ..config() };
    let mut rig = Rig::with(config, usize::MAX);
    let client = rig.open();
    rig.call(&client, "1");
    rig.forward(&client, &request("2", "tools/list"), Media::Any).unwrap();
    rig.send_all();
    rig.advance(seconds(900));
    assert_eq!((rig.state.session_count(), rig.state.exchange_count()), (1, 1), "the long call goes on");
}

#[test]
fn a_question_that_could_not_be_sent_says_nothing_about_the_session() {
    let mut rig = Rig::with(config(), usize::MAX);
    let client = rig.open();
    rig.call(&client, "1");
    rig.advance(seconds(100));
    for outgoing in rig.state.take_outbox() {
        let Outgoing::Send { session, receipt, .. } = outgoing else { panic!("nothing closes") };
        rig.state.sent(session, receipt, Err(failure(Delivery::NotSent)), rig.now);
    }
    rig.advance(seconds(150));
    assert!(rig.state.version(&client.id, &client.principal).is_ok());
}

#[test]
fn progress_and_messages_push_silence_back_up_to_the_absolute_limit() {
    let mut rig = Rig::with(config(), usize::MAX);
    let client = rig.open();
    let (stream, wire) = rig.call_as(&client, "1", Media::EventStream);
    rig.advance(seconds(90));
    rig.deliver(&client.route, &progress(&wire, 1), None, None);
    rig.advance(seconds(90));
    rig.related(&wire, &log("a"), None);
    rig.advance(seconds(69));
    assert_eq!(rig.state.exchange_count(), 1);
    rig.advance(seconds(1));
    let (texts, ended) = Reader::of(&client, &stream).read();
    assert!(ended && texts[2].contains("250 s"), "{texts:?}");
}

#[test]
fn the_time_that_the_client_is_asked_is_not_the_servers_silence() {
    for ended_by in ["answer", "cancellation", "timeout"] {
        let config = SessionConfig { request_timeout_max: seconds(1_000), ..config() };
        let mut rig = Rig::with(config, usize::MAX);
        let client = rig.open();
        let (stream, wire) = rig.call_as(&client, "1", Media::EventStream);
        rig.advance(seconds(50));
        rig.related(&wire, &request("0", "sampling/createMessage"), None);
        if ended_by != "timeout" {
            assert_eq!(Reader::of(&client, &stream).read().0.len(), 1);
        }
        // Asked at 50 s; unread until its deadline at 150 s, or read and answered at 190 s.
        rig.advance(seconds(100));
        match ended_by {
            "answer" => {
                rig.advance(seconds(40));
                rig.tell(&client, &result("0"));
            }
            "cancellation" => {
                rig.advance(seconds(40));
                rig.server_says(&client, &cancelled("0"));
            }
            _ => assert_eq!(reason(&rig.texts()[0]).as_deref(), Some("client_timeout")),
        }
        rig.send_all();
        rig.advance(seconds(99));
        assert_eq!(rig.state.exchange_count(), 1, "{ended_by}");
        rig.advance(seconds(1));
        assert_eq!(rig.state.exchange_count(), 0, "{ended_by}");
    }
}

#[test]
fn a_tool_may_have_its_own_limits() {
    let mut config = config();
    let own = ToolTimeouts { request_timeout: Some(seconds(10)), ..ToolTimeouts::default() };
    config.tools.insert("work".into(), own);
    let mut rig = Rig::with(config, usize::MAX);
    let client = rig.open();
    let (stream, _) = rig.call(&client, "1");
    rig.forward(&client, &request("2", "tools/list"), Media::Any).unwrap();
    rig.asked();
    rig.advance(seconds(10));
    assert!(whole(&stream)[0].contains("10 s"));
    assert_eq!(rig.state.exchange_count(), 1);
}

#[test]
fn a_request_whose_send_hangs_ends_in_time_too() {
    let mut rig = Rig::with(config(), usize::MAX);
    let client = rig.open();
    let stream = rig.forward(&client, &call("1"), Media::Any).unwrap().unwrap();
    rig.state.take_outbox();
    rig.advance(seconds(100));
    assert_eq!(reason(&whole(&stream)[0]).as_deref(), Some("timeout"));
    assert!(rig.state.take_outbox().is_empty(), "the cancellation waits for the send");
}

#[test]
fn an_idle_session_ends_and_an_active_one_does_not() {
    let config = SessionConfig { session_timeout: seconds(60), request_timeout: seconds(240), ..config() };
    let mut rig = Rig::with(config, usize::MAX);
    let client = rig.open();
    let (_, wire) = rig.call(&client, "1");
    rig.advance(seconds(200));
    assert_eq!(rig.state.session_count(), 1, "an exchange is activity");
    rig.answer(&wire, r#""result":{}"#);
    let reader = rig.listen(&client).unwrap();
    rig.advance(seconds(200));
    assert_eq!(rig.state.session_count(), 1, "a stream is activity");
    rig.leave(&reader);
    rig.advance(seconds(59));
    assert_eq!(rig.state.session_count(), 1);
    rig.tell(&client, &log("x"));
    rig.send_all();
    rig.advance(seconds(59));
    assert_eq!(rig.state.session_count(), 1, "a message is activity");
    rig.advance(seconds(1));
    assert_eq!(rig.listen(&client).err(), Some(Refusal::SessionNotFound));
    rig.send_all();
    drop(reader);
    rig.assert_empty();
}

#[test]
fn a_session_timeout_beyond_all_time_is_no_overflow() {
    let config = SessionConfig { session_timeout: Duration::MAX, ..SessionConfig::default() };
    Rig::with(config, usize::MAX).open();
}

#[test]
fn expiring_always_moves_the_next_deadline_on() {
    let config = SessionConfig { session_timeout: seconds(10), ..config() };
    let mut rig = Rig::with(config, usize::MAX);
    let client = rig.open();
    let reader = rig.listen(&client).unwrap();
    rig.call_as(&client, "1", Media::EventStream);
    rig.server_says(&client, &request("0", "roots/list"));
    for _ in 0..100 {
        let Some(deadline) = rig.state.next_deadline() else { break };
        rig.now = deadline;
        rig.state.expire(deadline);
        assert!(rig.state.next_deadline().is_none_or(|next| next > deadline));
    }
    rig.leave(&reader);
}

#[test]
fn the_exchange_that_asks_is_the_related_one_whichever_stream_carries_the_question() {
    let mut rig = Rig::with(config(), usize::MAX);
    let client = rig.open();
    let (_, asking) = rig.call_as(&client, "1", Media::Json);
    let (stream, other) = rig.call_as(&client, "2", Media::EventStream);
    rig.related(&asking, &request("0", "roots/list"), None);
    let mut reader = Reader::of(&client, &stream);
    assert_eq!(reader.read().0, [request("0", "roots/list")]);
    rig.advance(seconds(100));
    let exchanges = &rig.state.sessions[&client.key].exchanges;
    assert!(exchanges.contains_key(&asking.number()), "its client is being asked");
    assert!(!exchanges.contains_key(&other.number()), "nobody asks for this one");
}
