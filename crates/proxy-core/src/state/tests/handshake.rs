//! How a session begins (2025-11-25, basic/lifecycle).

use super::*;

const CONFIRM: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

#[test]
fn requests_wait_until_initialized_was_sent() {
    let mut rig = Rig::new();
    let (client, _) = rig.initialize("alice", LATEST, "{}");
    assert!(matches!(rig.forward(&client, &call("1"), Media::Any), Err(Refusal::InvalidRequest(_))));
    assert!(rig.forward(&client, &request("1", "ping"), Media::Any).is_ok(), "pings may come at any time");
    let wire = rig.asked().remove(0).wire;
    rig.answer(&wire, r#""result":{"protocolVersion":"2025-06-18"}"#);
    let version = rig.state.version(&client.id, &client.principal).unwrap();
    assert_eq!(version.as_str(), "2025-06-18");
    rig.tell(&client, CONFIRM);
    let (session, receipt, _) = rig.sending();
    rig.forward(&client, &call("1"), Media::Any).unwrap();
    rig.forward(&client, &call("2"), Media::Any).unwrap();
    rig.tell(&client, &cancelled("1"));
    assert!(rig.state.take_outbox().is_empty(), "nothing overtakes initialized");
    rig.state.sent(session, receipt, Ok(Sent::default()), rig.now);
    let asked = rig.asked();
    assert_eq!(asked.len(), 1, "what was cancelled before it was sent is never sent");
    assert!(asked[0].text.contains("tools/call"));
}

#[test]
fn a_held_request_that_ends_is_never_sent() {
    let mut rig = Rig::new();
    let (client, _) = rig.initialize("alice", LATEST, "{}");
    let wire = rig.asked().remove(0).wire;
    rig.answer(&wire, r#""result":{"protocolVersion":"2025-11-25"}"#);
    rig.tell(&client, CONFIRM);
    let (session, receipt, _) = rig.sending();
    rig.forward(&client, &call("1"), Media::Any).unwrap();
    let event = Event::ExchangeFailed(None, failure(Delivery::NotSent));
    rig.deliver_event(Some(&client.route), event, None, None);
    rig.state.sent(session, receipt, Ok(Sent::default()), rig.now);
    assert_eq!(rig.texts(), [""; 0]);
}

#[test]
fn a_handshake_that_cannot_be_finished_ends_the_session() {
    let mut rig = Rig::new();
    let (client, _) = rig.initialize("alice", LATEST, "{}");
    let wire = rig.asked().remove(0).wire;
    rig.answer(&wire, r#""result":{"protocolVersion":"2025-11-25"}"#);
    rig.tell(&client, CONFIRM);
    let (session, receipt, _) = rig.sending();
    let stream = rig.forward(&client, &call("1"), Media::Any).unwrap().unwrap();
    rig.state.sent(session, receipt, Err(failure(Delivery::NotSent)), rig.now);
    assert_eq!(reason(&whole(&stream)[0]).as_deref(), Some("handshake_failed"));
    assert_eq!(rig.forward(&client, &call("2"), Media::Any).err(), Some(Refusal::SessionNotFound));
    assert_eq!(rig.texts(), [""; 0]);
    rig.assert_empty();
}

#[test]
fn a_refused_initialize_leaves_nothing() {
    let cases = [
        (r#""error":{"code":-32602,"message":"no"}"#, None),
        (r#""result":{"protocolVersion":"2026-07-28"}"#, Some("unsupported_version")),
    ];
    for (outcome, expected) in cases {
        let mut rig = Rig::new();
        let (_client, stream) = rig.initialize("alice", LATEST, "{}");
        let wire = rig.asked().remove(0).wire;
        rig.answer(&wire, outcome);
        let [text] = whole(&stream).try_into().unwrap();
        assert!(text.contains(r#""error""#));
        assert_eq!(reason(&text).as_deref(), expected);
        rig.send_all();
        rig.assert_empty();
    }
}

#[test]
fn a_far_end_that_never_answers_initialize_leaves_nothing() {
    let mut rig = Rig::new();
    let (_client, stream) = rig.initialize("alice", LATEST, "{}");
    rig.asked();
    rig.advance(SessionConfig::default().request_timeout);
    assert_eq!(reason(&whole(&stream)[0]).as_deref(), Some("timeout"));
    assert_eq!(rig.texts(), [""; 0], "initialize is never cancelled");
    rig.assert_empty();
}

#[test]
fn an_unknown_revision_is_never_asked_for() {
    let mut rig = Rig::new();
    rig.initialize("alice", "2026-07-28", "{}");
    let [asked] = rig.asked().try_into().unwrap();
    assert!(asked.text.contains(r#""protocolVersion":"2025-11-25""#), "{}", asked.text);
}

#[test]
fn a_second_initialize_is_refused_and_a_second_initialized_ignored() {
    let mut rig = Rig::new();
    let client = rig.open();
    let again = r#"{"jsonrpc":"2.0","id":9,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}"#;
    assert!(matches!(rig.forward(&client, again, Media::Any), Err(Refusal::InvalidRequest(_))));
    rig.tell(&client, CONFIRM);
    assert_eq!(rig.texts(), [""; 0]);
}

#[test]
fn a_session_is_its_principals_alone() {
    let mut rig = Rig::new();
    let mut client = rig.open();
    client.principal = Principal::Named("mallory".into());
    assert_eq!(rig.forward(&client, &call("1"), Media::Any).err(), Some(Refusal::SessionNotFound));
    assert_eq!(rig.listen(&client).err(), Some(Refusal::SessionNotFound));
    assert_eq!(rig.resume(&client, "1-0").err(), Some(Refusal::SessionNotFound));
    assert_eq!(rig.state.end(&client.id, &client.principal, rig.now), Err(Refusal::SessionNotFound));
    assert!(rig.state.version(&client.id, &client.principal).is_err());
}
