//! The far end's own session ids (DESIGN, the backend contract; WIRE, webhook and hybrid), and sessions that it has lost.

use super::*;

fn known(rig: &Rig, client: &Client) -> Option<RemoteSession> {
    let peer = rig.state.sessions[&client.key].remote.peer.clone()?;
    peer.session.clone()
}

/// A session whose `initialize` is being sent.
fn opening(rig: &mut Rig) -> (Client, Key, Receipt, WireId) {
    let (client, _) = rig.initialize("alice", LATEST, ALL_CAPABILITIES);
    let (key, receipt, outbound) = rig.sending();
    (client, key, receipt, outbound.about.unwrap())
}

fn receipt_of(named: &str) -> Sent {
    Sent { session: Some(own(named)) }
}

#[test]
fn a_receipt_names_the_far_ends_session() {
    let mut rig = Rig::new();
    let (client, key, receipt, wire) = opening(&mut rig);
    rig.state.sent(key, receipt, Ok(receipt_of("theirs")), rig.now);
    assert_eq!(known(&rig, &client), Some(own("theirs")));
    rig.answer(&wire, r#""result":{"protocolVersion":"2025-11-25"}"#);
    assert_eq!(known(&rig, &client), Some(own("theirs")), "an answer that names none changes nothing");
    rig.tell(&client, r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    let (_, _, outbound) = rig.sending();
    assert_eq!(outbound.remote.peer.unwrap().session, Some(own("theirs")));
}

#[test]
fn a_callback_may_come_before_the_receipt_and_the_receipt_after_the_end() {
    let mut rig = Rig::new();
    let (client, key, receipt, wire) = opening(&mut rig);
    rig.answer(&wire, r#""result":{"protocolVersion":"2025-11-25"}"#);
    rig.tell(&client, r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    let (_, confirming, _) = rig.sending();
    rig.forward(&client, &call("1"), Media::Any).unwrap();
    rig.state.sent(key, receipt, Ok(receipt_of("theirs")), rig.now);
    assert_eq!(known(&rig, &client), Some(own("theirs")));
    rig.state.sent(key, confirming, Ok(Sent::default()), rig.now);
    let (_, _, held) = rig.sending();
    assert_eq!(held.remote.peer.unwrap().session, Some(own("theirs")), "what waited knows it too");

    let (client, key, receipt, _) = opening(&mut rig);
    rig.state.end(&client.id, &client.principal, rig.now).unwrap();
    assert!(rig.state.take_outbox().is_empty(), "its send is under way");
    rig.state.sent(key, receipt, Ok(receipt_of("late")), rig.now);
    let (_, remote, _) = rig.closing();
    assert_eq!(remote.peer.unwrap().session, Some(own("late")), "the far end is told under its own id");
}

#[test]
fn the_proposed_id_is_not_a_session_of_the_far_ends_own() {
    let mut rig = Rig::new();
    let (client, key, receipt, wire) = opening(&mut rig);
    let route = client.route.as_str().to_owned();
    rig.state.sent(key, receipt, Ok(receipt_of(&route)), rig.now);
    rig.naming = Some(own(&route));
    assert_eq!(rig.answer(&wire, r#""result":{"protocolVersion":"2025-11-25"}"#), Disposition::Accepted);
    assert_eq!(known(&rig, &client), None);
    rig.naming = Some(own(&route));
    assert_eq!(rig.server_says(&client, &log("mine")), Disposition::Accepted);
    rig.naming = Some(own("theirs"));
    assert_eq!(rig.server_says(&client, &log("not mine")), Disposition::Unroutable);
}

#[test]
fn what_names_another_session_of_the_far_ends_is_nobodys() {
    for (named, own_id) in [(Some("theirs"), "theirs"), (None, "proposed")] {
        let mut rig = Rig::new();
        let (client, key, receipt, initialize) = opening(&mut rig);
        rig.state.sent(key, receipt, Ok(Sent::default()), rig.now);
        rig.naming = named.map(own);
        rig.answer(&initialize, r#""result":{"protocolVersion":"2025-11-25"}"#);
        rig.tell(&client, r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        rig.send_all();
        let (stream, wire) = rig.call(&client, "1");
        for text in [
            format!(r#"{{"jsonrpc":"2.0","id":"{wire}","result":{{}}}}"#),
            progress(&wire, 1),
            log("x"),
            request("7", "roots/list"),
        ] {
            rig.naming = Some(own("another"));
            assert_eq!(rig.server_says(&client, &text), Disposition::Unroutable, "{own_id}: {text}");
        }
        for event in [
            Event::SessionGone(gone(Delivery::NotSent)),
            Event::ExchangeFailed(Some(wire.clone()), failure(Delivery::NotSent)),
        ] {
            rig.naming = Some(own("another"));
            let disposition = rig.deliver_event(Some(&client.route), event, None, None);
            assert_eq!(disposition, Disposition::Unroutable);
        }
        assert_eq!(stream.decide(false, None), Poll::Pending, "nothing of it reached the client");
        rig.naming = named.map(own);
        assert_eq!(rig.answer(&wire, r#""result":{}"#), Disposition::Accepted);
        assert_eq!(whole(&stream).len(), 1);
    }
}

#[test]
fn a_later_receipt_cannot_move_a_session() {
    let mut rig = Rig::new();
    let client = rig.open();
    rig.forward(&client, &call("1"), Media::Any).unwrap();
    let (key, receipt, _) = rig.sending();
    rig.state.sent(key, receipt, Ok(receipt_of("another")), rig.now);
    assert_eq!(known(&rig, &client), None);
}

#[test]
fn a_peer_over_a_queue_that_names_its_session_only_later_is_still_understood() {
    // Neither its answer to initialize nor a receipt said by which id it goes, so nothing that it says later contradicts.
    let mut rig = Rig::new();
    let (client, key, receipt, initialize) = opening(&mut rig);
    rig.state.sent(key, receipt, Ok(Sent::default()), rig.now);
    let text =
        format!(r#"{{"jsonrpc":"2.0","id":"{initialize}","result":{{"protocolVersion":"2025-11-25"}}}}"#);
    rig.deliver_event(None, Event::Message(message(&text)), None, None);
    rig.tell(&client, r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    rig.send_all();
    let (stream, wire) = rig.call(&client, "1");
    rig.naming = Some(own("theirs"));
    let text = format!(r#"{{"jsonrpc":"2.0","id":"{wire}","result":{{}}}}"#);
    let disposition = rig.deliver_event(None, Event::Message(message(&text)), None, None);
    assert_eq!(disposition, Disposition::Accepted);
    assert_eq!(whole(&stream).len(), 1);
}

#[test]
fn a_send_that_finds_the_session_gone_ends_its_exchange_with_that_error_and_the_session() {
    for delivery in [Delivery::NotSent, Delivery::MaybeSent] {
        let mut rig = Rig::new();
        let client = rig.open();
        let (other, _) = rig.call(&client, "1");
        let stream = rig.forward(&client, &call("2"), Media::Any).unwrap().unwrap();
        let (key, receipt, _) = rig.sending();
        rig.state.sent(key, receipt, Err(gone(delivery)), rig.now);
        let [text] = whole(&stream).try_into().unwrap();
        assert!(text.contains("No active session found"), "{text}");
        assert_eq!(reason(&text).as_deref(), Some("session_gone"));
        assert_eq!(reason(&whole(&other)[0]).as_deref(), Some("session_gone"));
        assert_eq!(rig.forward(&client, &call("3"), Media::Any).err(), Some(Refusal::SessionNotFound));
        assert_eq!(rig.texts(), [""; 0], "there is nobody to be told anything");
        rig.assert_empty();
    }
}

#[test]
fn whatever_send_finds_the_session_gone_ends_it() {
    let mut rig = Rig::new();
    let (client, key, receipt, wire) = opening(&mut rig);
    rig.state.sent(key, receipt, Ok(Sent::default()), rig.now);
    rig.answer(&wire, r#""result":{"protocolVersion":"2025-11-25"}"#);
    rig.tell(&client, r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    let (key, receipt, _) = rig.sending();
    rig.state.sent(key, receipt, Err(gone(Delivery::NotSent)), rig.now);
    assert_eq!(rig.listen(&client).err(), Some(Refusal::SessionNotFound));

    let client = rig.open();
    rig.tell(&client, r#"{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}"#);
    let Some(Outgoing::Send { session, receipt, .. }) = rig.state.take_outbox().pop() else { panic!() };
    rig.state.sent(session, receipt, Err(gone(Delivery::NotSent)), rig.now);
    assert_eq!(rig.listen(&client).err(), Some(Refusal::SessionNotFound));
}

#[test]
fn news_that_an_exchange_failed_since_its_session_is_gone_ends_the_session() {
    let mut rig = Rig::new();
    let client = rig.open();
    let (stream, wire) = rig.call(&client, "1");
    let event = Event::ExchangeFailed(Some(wire), gone(Delivery::MaybeSent));
    assert_eq!(rig.deliver_event(Some(&client.route), event, None, None), Disposition::Accepted);
    let [text] = whole(&stream).try_into().unwrap();
    assert!(text.contains("No active session found"), "{text}");
    assert_eq!(rig.listen(&client).err(), Some(Refusal::SessionNotFound));
    rig.send_all();
    rig.assert_empty();
}
