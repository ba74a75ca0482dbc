//! Requests without a session (`stateless = true`): what they are answered, and whose sessions they are served in.

use super::*;
use crate::version::ProtocolVersion;

const RESULT: &str = r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{"listChanged":true},"logging":{}},"serverInfo":{"name":"far end","version":"1"}}"#;

impl Rig {
    /// A client without a session sends this.
    pub(super) fn borrow(
        &mut self,
        name: &str,
        texts: &[&str],
        version: ProtocolVersion,
    ) -> Result<Option<Arc<Stream>>, Refusal> {
        let principal = Principal::Named(name.into());
        let messages = texts.iter().map(|text| message(text)).collect();
        self.state.call(&principal, version, messages, Media::Any, self.now)
    }

    /// A request of alice's in the newest revision.
    fn borrow_one(&mut self, text: &str) -> Arc<Stream> {
        self.borrow("alice", &[text], ProtocolVersion::LATEST).unwrap().unwrap()
    }

    /// The far end answers every handshake. Returns everything else that it was sent.
    pub(super) fn shake_hands(&mut self) -> Vec<Outbound> {
        let mut others = Vec::new();
        loop {
            let sent = self.send_all();
            if sent.is_empty() {
                return others;
            }
            for outbound in sent {
                match outbound.message.method() {
                    Some("initialize") => {
                        self.answer(&outbound.about.clone().unwrap(), &format!(r#""result":{RESULT}"#));
                    }
                    Some("notifications/initialized") => {}
                    _ => others.push(outbound),
                }
            }
        }
    }

    /// A call of alice's that the far end has.
    fn lent(&mut self, id: &str) -> (Arc<Stream>, WireId) {
        let stream = self.borrow_one(&call(id));
        let [outbound] = self.shake_hands().try_into().unwrap();
        (stream, outbound.about.unwrap())
    }
}

/// Nothing has come yet.
fn is_waiting(stream: &Stream) -> bool {
    !stream.has_unread()
}

#[test]
fn a_request_opens_a_session_of_the_proxys_own_and_is_sent_once_that_is_open() {
    let mut rig = Rig::new();
    let stream = rig.borrow_one(&call("1"));
    let [initialize] = rig.asked().try_into().unwrap();
    assert!(initialize.text.contains(r#""capabilities":{}"#), "{}", initialize.text);
    assert!(initialize.text.contains(r#""protocolVersion":"2025-11-25""#));
    rig.answer(&initialize.wire, &format!(r#""result":{RESULT}"#));
    let (key, receipt, confirmed) = rig.sending();
    assert_eq!(confirmed.message.method(), Some("notifications/initialized"));
    assert!(rig.state.take_outbox().is_empty(), "nothing overtakes initialized");
    rig.state.sent(key, receipt, Ok(Sent::default()), rig.now);
    let [asked] = rig.asked().try_into().unwrap();
    assert_eq!(asked.wire.route(), initialize.wire.route());
    rig.answer(&asked.wire, r#""result":{"x":1}"#);
    assert_eq!(whole(&stream), [r#"{"jsonrpc":"2.0","id":1,"result":{"x":1}}"#]);
}

#[test]
fn initialize_is_answered_from_the_proxys_own_without_what_needs_a_session() {
    let initialize = r#"{"jsonrpc":"2.0","id":"a","method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"sampling":{}}}}"#;
    let mut rig = Rig::new();
    let first = rig.borrow_one(initialize);
    let second = rig.borrow_one(&initialize.replace(r#""a""#, "7"));
    assert_eq!(rig.state.session_count(), 1, "one handshake answers both");
    assert!(rig.shake_hands().is_empty());
    let expected = RESULT.replace(r#"{"tools":{"listChanged":true},"logging":{}}"#, r#"{"tools":{}}"#);
    assert_eq!(whole(&first), [format!(r#"{{"jsonrpc":"2.0","id":"a","result":{expected}}}"#)]);
    assert_eq!(whole(&second), [format!(r#"{{"jsonrpc":"2.0","id":7,"result":{expected}}}"#)]);
    let third = rig.borrow_one(initialize);
    assert_eq!(whole(&third).len(), 1, "at once");
    let (_, wire) = rig.lent("1");
    assert_eq!(rig.state.session_count(), 1, "the same session serves the next request");
    rig.answer(&wire, r#""result":{}"#);
}

#[test]
fn what_needs_a_session_is_refused_and_what_needs_no_server_is_answered_here() {
    let mut rig = Rig::new();
    for method in ["resources/subscribe", "resources/unsubscribe", "logging/setLevel", "tasks/get"] {
        let stream = rig.borrow_one(&request("1", method));
        assert!(whole(&stream)[0].contains(r#""code":-32601"#), "{method}");
    }
    let ping = rig.borrow_one(&request("3", "ping"));
    assert_eq!(whole(&ping), [r#"{"jsonrpc":"2.0","id":3,"result":{}}"#]);
    for text in [
        r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#.to_owned(),
        cancelled("1"),
        result("1"),
        r#"{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}"#.to_owned(),
    ] {
        let taken = rig.borrow("alice", &[&text], ProtocolVersion::LATEST);
        assert!(taken.unwrap().is_none(), "{text}");
    }
    assert_eq!(rig.state.session_count(), 0);
    rig.assert_empty();
}

#[test]
fn a_cancellation_ends_nothing_since_other_clients_count_from_the_same_numbers() {
    let mut rig = Rig::new();
    let (stream, wire) = rig.lent("1");
    rig.borrow("alice", &[&cancelled("1")], ProtocolVersion::LATEST).unwrap();
    assert!(rig.texts().is_empty());
    rig.answer(&wire, r#""result":{}"#);
    assert_eq!(whole(&stream).len(), 1);
}

#[test]
fn a_session_serves_one_request_at_a_time_and_one_principal_and_revision_for_ever() {
    let mut rig = Rig::new();
    let (_, first) = rig.lent("1");
    let (_, second) = rig.lent("1");
    assert_ne!(first.route(), second.route(), "two at once, and the same id twice");
    rig.answer(&first, r#""result":{}"#);
    let (_, third) = rig.lent("2");
    assert_eq!(third.route(), first.route(), "the free one");
    rig.answer(&third, r#""result":{}"#);
    for (name, version) in [("bob", ProtocolVersion::LATEST), ("alice", ProtocolVersion::V2025_06_18)] {
        rig.borrow(name, &[&call("1")], version).unwrap();
        let [outbound] = rig.shake_hands().try_into().unwrap();
        let route = outbound.about.unwrap().route().clone();
        assert!(route != *first.route() && route != *second.route(), "{name} {version}");
    }
}

#[test]
fn a_late_message_of_one_borrowers_reaches_nobody() {
    let mut rig = Rig::new();
    let (stream, first) = rig.lent("1");
    assert_eq!(rig.related(&first, &log("mine"), None), Disposition::Accepted);
    rig.answer(&first, r#""result":{}"#);
    let mut reader = Reader { session: NO_SESSION, cursor: stream.read(None), stream };
    assert_eq!(reader.read().0.len(), 2, "its own log line and its answer");
    let (stream, second) = rig.lent("2");
    assert_eq!(second.route(), first.route());
    for (related, text) in [
        (None, log("nobody's")),
        (Some(&first), log("the first one's")),
        (None, progress(&first, 1)),
        (None, format!(r#"{{"jsonrpc":"2.0","id":"{first}","result":{{}}}}"#)),
        (None, r#"{"jsonrpc":"2.0","id":"server-error","error":{"code":1,"message":"m"}}"#.to_owned()),
        (None, r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#.to_owned()),
    ] {
        let disposition = rig.deliver(first.route(), &text, related, None);
        assert_eq!(disposition, Disposition::Unroutable, "{text}");
    }
    assert!(is_waiting(&stream));
    assert_eq!(rig.related(&second, &log("its own"), None), Disposition::Accepted);
    assert!(!is_waiting(&stream));
}

#[test]
fn a_server_that_asks_all_the_same_is_answered_here() {
    let mut rig = Rig::new();
    let (stream, wire) = rig.lent("1");
    for (id, method) in [("1", "sampling/createMessage"), ("2", "x/own")] {
        rig.related(&wire, &request(id, method), None);
        let [text] = rig.texts().try_into().unwrap();
        assert!(text.contains(r#""code":-32601"#), "{text}");
    }
    rig.related(&wire, &request("3", "ping"), None);
    assert_eq!(rig.texts(), [r#"{"jsonrpc":"2.0","id":3,"result":{}}"#]);
    assert!(is_waiting(&stream));
}

#[test]
fn a_session_whose_exchange_did_not_end_with_its_answer_is_not_lent_again() {
    let mut rig = Rig::new();
    let (_, first) = rig.lent("1");
    rig.advance(SessionConfig::default().request_timeout);
    assert_eq!(rig.texts().len(), 1, "the far end is told to stop");
    assert_eq!(rig.state.session_count(), 0);
    let (_, second) = rig.lent("2");
    assert_ne!(second.route(), first.route());

    rig.answer(&second, r#""result":{}"#);
    let stream = rig.borrow_one(&call("3"));
    for outgoing in rig.state.take_outbox() {
        let Outgoing::Send { session, outbound, receipt, .. } = outgoing else { continue };
        let failed = outbound.message.method() == Some("tools/call");
        let result = if failed { Err(failure(Delivery::NotSent)) } else { Ok(Sent::default()) };
        rig.state.sent(session, receipt, result, rig.now);
    }
    assert_eq!(reason(&whole(&stream)[0]).as_deref(), Some("unavailable"));
    assert!(!rig.state.routes().contains(second.route()));
    let (stream, fourth) = rig.lent("4");
    rig.answer(&fourth, r#""error":{"code":1,"message":"m"}"#);
    assert!(whole(&stream)[0].contains(r#""message":"m""#));
    let (_, fifth) = rig.lent("5");
    assert_eq!(fifth.route(), fourth.route(), "an error is an answer too");
}

#[test]
fn silence_casts_doubt_on_what_was_idle_before_it() {
    let mut rig = Rig::new();
    let (_, first) = rig.lent("1");
    let (_, second) = rig.lent("2");
    rig.answer(&first, r#""result":{}"#);
    rig.answer(&second, r#""result":{}"#);
    rig.advance(seconds(1));
    rig.lent("3");
    assert_eq!(rig.state.session_count(), 2);
    rig.advance(seconds(298));
    assert_eq!(rig.state.session_count(), 2);
    rig.advance(seconds(2));
    assert_eq!(rig.state.session_count(), 0, "the far end was perhaps restarted");
}

#[test]
fn a_request_whose_session_was_lost_before_it_was_sent_may_try_another() {
    let mut rig = Rig::new();
    let (_, first) = rig.lent("1");
    let (_, other) = rig.lent("2");
    rig.answer(&first, r#""result":{}"#);
    rig.answer(&other, r#""result":{}"#);
    let stream = rig.borrow_one(&call("3"));
    let (key, receipt, _) = rig.sending();
    rig.state.sent(key, receipt, Err(gone(Delivery::NotSent)), rig.now);
    assert!(is_waiting(&stream));
    let [outbound] = rig.shake_hands().try_into().unwrap();
    let wire = outbound.about.unwrap();
    assert!(wire.route() != first.route() && wire.route() != other.route(), "a fresh one");
    assert_eq!(rig.state.session_count(), 1, "nor is anybody lent what was lost with it");
    rig.answer(&wire, r#""result":{}"#);
    assert_eq!(whole(&stream).len(), 1);
}

#[test]
fn nothing_is_tried_twice_and_nothing_that_may_have_arrived() {
    let mut rig = Rig::new();
    let (_, wire) = rig.lent("1");
    rig.answer(&wire, r#""result":{}"#);
    let stream = rig.borrow_one(&call("2"));
    let (key, receipt, _) = rig.sending();
    rig.state.sent(key, receipt, Err(gone(Delivery::MaybeSent)), rig.now);
    assert_eq!(reason(&whole(&stream)[0]).as_deref(), Some("session_gone"));

    let (_, wire) = rig.lent("3");
    rig.answer(&wire, r#""result":{}"#);
    let stream = rig.borrow_one(&call("4"));
    let mut tries = 0;
    while is_waiting(&stream) {
        for outgoing in rig.state.take_outbox() {
            let Outgoing::Send { session, outbound, receipt, .. } = outgoing else { continue };
            let is_call = outbound.message.method() == Some("tools/call");
            tries += usize::from(is_call);
            let result = if is_call { Err(gone(Delivery::NotSent)) } else { Ok(Sent::default()) };
            rig.state.sent(session, receipt, result, rig.now);
            if outbound.message.method() == Some("initialize") {
                rig.answer(&outbound.about.unwrap(), &format!(r#""result":{RESULT}"#));
            }
        }
    }
    assert_eq!(tries, 2);
    assert_eq!(reason(&whole(&stream)[0]).as_deref(), Some("session_gone"));
}

#[test]
fn a_handshake_that_fails_is_reported_to_who_waits_for_it() {
    let initialize =
        r#"{"jsonrpc":"2.0","id":"a","method":"initialize","params":{"protocolVersion":"2025-11-25"}}"#;
    let cases = [
        (r#""error":{"code":-32602,"message":"no"}"#, None, "handshake_failed"),
        (
            r#""result":{"protocolVersion":"2026-07-28","capabilities":{}}"#,
            Some("unsupported_version"),
            "unsupported_version",
        ),
    ];
    for (outcome, to_initialize, to_call) in cases {
        let mut rig = Rig::new();
        let asking = rig.borrow_one(initialize);
        let calling = rig.borrow_one(&call("1"));
        let [asked] = rig.asked().try_into().unwrap();
        rig.answer(&asked.wire, outcome);
        let [text] = whole(&asking).try_into().unwrap();
        assert!(text.starts_with(r#"{"jsonrpc":"2.0","id":"a","error":{"#), "{text}");
        assert_eq!(reason(&text).as_deref(), to_initialize);
        assert_eq!(reason(&whole(&calling)[0]).as_deref(), Some(to_call));
        rig.send_all();
        rig.assert_empty();
    }
    let mut rig = Rig::new();
    let calling = rig.borrow_one(&call("1"));
    let (key, receipt, _) = rig.sending();
    rig.state.sent(key, receipt, Err(failure(Delivery::NotSent)), rig.now);
    assert_eq!(reason(&whole(&calling)[0]).as_deref(), Some("unavailable"));
    rig.send_all();
    rig.assert_empty();
}

#[test]
fn every_waiting_request_has_a_handshake_of_its_own_to_wait_for() {
    let mut rig = Rig::new();
    let streams: Vec<_> = ["1", "2", "3"].map(|id| rig.borrow_one(&call(id))).into();
    let asked = rig.asked();
    assert_eq!(asked.len(), 3);
    rig.answer(&asked[0].wire, r#""error":{"code":1,"message":"no"}"#);
    rig.answer(&asked[1].wire, &format!(r#""result":{RESULT}"#));
    rig.shake_hands();
    assert_eq!(streams.iter().filter(|stream| is_waiting(stream)).count(), 2, "one was refused");
    rig.answer(&asked[2].wire, &format!(r#""result":{RESULT}"#));
    assert_eq!(rig.shake_hands().len(), 1);
}

#[test]
fn where_all_sessions_are_lent_requests_wait_in_turn_and_no_longer_than_they_may() {
    let config = SessionConfig { max_sessions: 1, ..SessionConfig::default() };
    let mut rig = Rig::with(config, usize::MAX);
    let (_, wire) = rig.lent("1");
    let second = rig.borrow_one(&call("2"));
    let refused = rig.borrow("alice", &[&call("3")], ProtocolVersion::LATEST).err();
    assert_eq!(refused, Some(Refusal::TooManyWaiting), "as many wait as there may be sessions");
    assert_eq!(rig.state.exchange_count(), 2, "a drain waits for both");
    rig.answer(&wire, r#""result":{}"#);
    let [outbound] = rig.shake_hands().try_into().unwrap();
    assert!(outbound.message.as_str().contains("tools/call") && is_waiting(&second));

    rig.advance(seconds(299));
    let third = rig.borrow_one(&call("3"));
    rig.related(&outbound.about.clone().unwrap(), &log("a sign of life"), None);
    rig.advance(seconds(299));
    rig.related(&outbound.about.unwrap(), &log("a sign of life"), None);
    assert!(is_waiting(&third));
    rig.advance(seconds(1));
    let [text] = whole(&third).try_into().unwrap();
    assert_eq!(reason(&text).as_deref(), Some("timeout"));
    assert!(text.contains("was not sent"), "{text}");
}

#[test]
fn any_number_of_sessions_may_be_allowed() {
    let config = SessionConfig { max_sessions: usize::MAX, ..SessionConfig::default() };
    let mut rig = Rig::with(config, usize::MAX);
    rig.lent("1");
}

#[test]
fn a_pool_without_a_session_gets_the_place_of_an_idle_one() {
    let config = SessionConfig { max_sessions: 2, ..SessionConfig::default() };
    let mut rig = Rig::with(config, usize::MAX);
    let (_, first) = rig.lent("1");
    let (_, second) = rig.lent("2");
    rig.answer(&first, r#""result":{}"#);
    rig.advance(seconds(1));
    rig.answer(&second, r#""result":{}"#);
    let stream = rig.borrow("bob", &[&call("1")], ProtocolVersion::LATEST).unwrap().unwrap();
    let [outbound] = rig.shake_hands().try_into().unwrap();
    assert_eq!(rig.state.session_count(), 2);
    assert!(!rig.state.routes().contains(first.route()), "the one that was idle for longest");
    rig.answer(&outbound.about.unwrap(), r#""result":{}"#);
    assert_eq!(whole(&stream).len(), 1);
}

#[test]
fn nobody_waits_for_ever_behind_another_principals_requests() {
    let config = SessionConfig { max_sessions: 1, ..SessionConfig::default() };
    let mut rig = Rig::with(config, usize::MAX);
    let (_, wire) = rig.lent("1");
    let bob = rig.borrow("bob", &[&call("1")], ProtocolVersion::LATEST).unwrap().unwrap();
    rig.answer(&wire, r#""result":{}"#);
    let _alice = rig.borrow_one(&call("2"));
    let [outbound] = rig.shake_hands().try_into().unwrap();
    rig.answer(&outbound.about.unwrap(), r#""result":{"bob":1}"#);
    assert_eq!(whole(&bob).len(), 1);
    assert_eq!(rig.shake_hands().len(), 1, "then alice's");
}

#[test]
fn an_idle_session_ends_after_the_session_timeout() {
    let mut rig = Rig::new();
    let (_, wire) = rig.lent("1");
    rig.advance(seconds(200));
    rig.answer(&wire, r#""result":{}"#);
    rig.advance(seconds(299));
    assert_eq!(rig.state.session_count(), 1);
    rig.advance(seconds(2));
    rig.send_all();
    rig.assert_empty();
}

#[test]
fn a_drain_lets_what_waits_be_served_and_the_end_answers_the_rest() {
    let config = SessionConfig { max_sessions: 1, ..SessionConfig::default() };
    let mut rig = Rig::with(config, usize::MAX);
    let (_, wire) = rig.lent("1");
    let second = rig.borrow_one(&call("2"));
    rig.state.drain();
    assert_eq!(rig.borrow("alice", &[&call("3")], ProtocolVersion::LATEST).err(), Some(Refusal::Draining));
    rig.answer(&wire, r#""result":{}"#);
    let [outbound] = rig.shake_hands().try_into().unwrap();
    rig.answer(&outbound.about.unwrap(), r#""result":{}"#);
    assert_eq!(whole(&second).len(), 1);
    assert_eq!(rig.state.exchange_count(), 0);

    let mut rig = Rig::new();
    let first = rig.borrow_one(&call("1"));
    rig.state.drain();
    rig.state.close_all(super::super::Closing::ShuttingDown, rig.now);
    assert_eq!(reason(&whole(&first)[0]).as_deref(), Some("shutting_down"));
    rig.send_all();
    rig.assert_empty();
}

#[test]
fn each_request_of_a_batch_has_a_session_of_its_own() {
    let mut rig = Rig::new();
    let version = ProtocolVersion::V2025_03_26;
    let stream =
        rig.borrow("alice", &[&call("1"), &request("2", "ping"), &call("3")], version).unwrap().unwrap();
    let outbound = rig.shake_hands();
    let routes: Vec<_> = outbound.iter().map(|outbound| outbound.remote.route.clone()).collect();
    assert_eq!(routes.len(), 2);
    assert_ne!(routes[0], routes[1]);
    rig.answer(&outbound[0].about.clone().unwrap(), r#""result":{}"#);
    assert!(!stream.is_complete());
    rig.state.close_all(super::super::Closing::BackendFailed, rig.now);
    let answers = whole(&stream);
    assert_eq!(answers.len(), 3, "{answers:?}");
    for (texts, version) in
        [(["1", "1"], ProtocolVersion::V2025_03_26), (["1", "2"], ProtocolVersion::LATEST)]
    {
        let texts = texts.map(call);
        let refused = rig.borrow("alice", &[&texts[0], &texts[1]], version);
        assert!(matches!(refused, Err(Refusal::InvalidRequest(_))), "{version}");
    }
}

#[test]
fn parameters_that_do_not_fit_are_refused_before_anything_happens() {
    let mut rig = Rig::new();
    for text in [
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"_meta":{"progressToken":{}}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}"#,
    ] {
        let refused = rig.borrow("alice", &[text], ProtocolVersion::LATEST);
        assert!(matches!(refused, Err(Refusal::InvalidParams(_))), "{text}");
    }
    rig.assert_empty();
}
