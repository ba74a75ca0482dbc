//! Requests of the server's (checklist 36, 39, 40).

use super::*;

#[test]
fn the_clients_answer_goes_back_with_the_servers_id_and_only_once() {
    let mut rig = Rig::new();
    let (alice, bob) = (rig.open(), rig.open());
    for client in [&alice, &bob] {
        let mut reader = rig.listen(client).unwrap();
        rig.server_says(client, &request("0", "roots/list"));
        assert_eq!(reader.read().0, [request("0", "roots/list")]);
    }
    rig.tell(&alice, &result("0"));
    rig.tell(&alice, &result("0"));
    rig.tell(&alice, &result(r#""0""#));
    let sent = rig.send_all();
    assert_eq!(sent.len(), 1);
    assert_eq!((sent[0].message.as_str(), &sent[0].remote.route), (result("0").as_str(), &alice.route));
}

#[test]
fn a_duplicate_reaches_nobody() {
    for (method, answers) in [("ping", 1), ("roots/list", 1), ("sampling/createMessage", 0)] {
        let mut rig = Rig::new();
        let client = rig.open_as("alice", LATEST, r#"{"sampling":{}}"#);
        let mut reader = rig.listen(&client).unwrap();
        for _ in 0..2 {
            assert_eq!(rig.server_says(&client, &request("0", method)), Disposition::Accepted);
        }
        assert_eq!((rig.texts().len(), reader.read().0.len()), (answers, 1 - answers), "{method}");
    }
}

#[test]
fn what_the_client_did_not_declare_is_refused_here() {
    let url = r#"{"jsonrpc":"2.0","id":5,"method":"elicitation/create","params":{"mode":"url"}}"#;
    let cases = [
        ("{}", request("5", "sampling/createMessage"), false),
        ("{}", request("5", "roots/list"), false),
        ("{}", request("5", "elicitation/create"), false),
        (r#"{"sampling":{}}"#, request("5", "sampling/createMessage"), true),
        (r#"{"roots":{}}"#, request("5", "roots/list"), true),
        (r#"{"elicitation":{}}"#, request("5", "elicitation/create"), true),
        (r#"{"elicitation":{}}"#, url.to_owned(), false),
        (r#"{"elicitation":{"form":{}}}"#, url.to_owned(), false),
        (r#"{"elicitation":{"url":{}}}"#, url.to_owned(), true),
        (r#"{"elicitation":{"url":{}}}"#, request("5", "elicitation/create"), false),
        ("{}", request("5", "x/unknown"), true),
    ];
    for (capabilities, text, passes) in cases {
        let mut rig = Rig::new();
        let client = rig.open_as("alice", LATEST, capabilities);
        let mut reader = rig.listen(&client).unwrap();
        rig.server_says(&client, &text);
        assert_eq!(reader.read().0.len(), usize::from(passes), "{capabilities} {text}");
        let told = rig.texts();
        assert_eq!(told.is_empty(), passes, "{capabilities} {text}");
        for told in told {
            assert_eq!(reason(&told).as_deref(), Some("undeclared_capability"));
            assert!(told.contains(r#""id":5"#) && told.contains("-32601"), "{told}");
        }
    }
}

#[test]
fn a_request_that_no_client_was_given_is_answered_at_its_deadline() {
    let mut rig = Rig::new();
    let client = rig.open();
    let other = rig.open();
    let reader = rig.listen(&other).unwrap();
    rig.server_says(&client, &request("0", "roots/list"));
    rig.call_as(&client, "1", Media::Json);
    rig.advance(SessionConfig::default().request_timeout);
    let refused = rig.texts().into_iter().find(|text| reason(text).is_some()).unwrap();
    assert_eq!(reason(&refused).as_deref(), Some("client_timeout"));
    assert!(refused.contains(r#""id":0"#));
    assert_eq!(rig.listen(&client).unwrap().read().0, [""; 0], "it is not asked for any more");
    rig.leave(&reader);
}

#[test]
fn a_request_that_a_client_was_given_has_until_the_absolute_limit() {
    let config = SessionConfig {
        request_timeout: seconds(100),
        request_timeout_max: seconds(1_000),
        ..SessionConfig::default()
    };
    let mut rig = Rig::with(config, usize::MAX);
    let client = rig.open();
    let mut reader = rig.listen(&client).unwrap();
    rig.server_says(&client, &request("0", "elicitation/create"));
    assert_eq!(reader.read().0.len(), 1);
    rig.advance(seconds(999));
    assert_eq!(rig.texts(), [""; 0]);
    rig.advance(seconds(1));
    assert_eq!(reason(&rig.texts()[0]).as_deref(), Some("client_timeout"));
    rig.tell(&client, &result("0"));
    assert_eq!(rig.texts(), [""; 0], "too late");
}

#[test]
fn a_withdrawn_request_disappears_or_its_cancellation_follows_it() {
    let mut rig = Rig::new();
    let client = rig.open();
    rig.server_says(&client, &request("0", "roots/list"));
    rig.server_says(&client, &cancelled("0"));
    let mut reader = rig.listen(&client).unwrap();
    assert_eq!(reader.read().0, [""; 0]);
    rig.server_says(&client, &request("1", "roots/list"));
    assert_eq!(reader.read().0.len(), 1);
    rig.server_says(&client, &cancelled("1"));
    assert_eq!(reader.read().0, [cancelled("1")]);
    assert_eq!(rig.server_says(&client, &cancelled("1")), Disposition::Unroutable);
    rig.tell(&client, &result("1"));
    assert_eq!(rig.texts(), [""; 0], "nobody waits for it");
}

#[test]
fn the_cancellation_of_a_request_on_a_finished_stream_takes_an_open_one() {
    let mut rig = Rig::new();
    let client = rig.open();
    let mut standalone = rig.listen(&client).unwrap();
    let (stream, wire) = rig.call(&client, "1");
    rig.related(&wire, &request("0", "roots/list"), None);
    rig.answer(&wire, r#""result":{}"#);
    assert_eq!(Reader::of(&client, &stream).read().0.len(), 2);
    rig.server_says(&client, &cancelled("0"));
    assert_eq!(standalone.read().0, [cancelled("0")]);
}

#[test]
fn only_what_moved_to_another_stream_is_looked_for_there() {
    let mut rig = Rig::new();
    let client = rig.open();
    let mut reader = rig.listen(&client).unwrap();
    rig.server_says(&client, &request("0", "roots/list"));
    assert_eq!(reader.read().0.len(), 1);
    rig.leave(&reader);
    rig.server_says(&client, &request("1", "roots/list"));
    let (stream, _) = rig.call(&client, "1");
    let asked = &rig.state.sessions[&client.key].server_requests;
    assert_eq!(asked[message(&request("0", "x")).id().unwrap()].stream, 0);
    assert_eq!(asked[message(&request("1", "x")).id().unwrap()].stream, stream.number());
}

#[test]
fn an_answer_to_a_request_that_was_never_given_out_takes_it_back() {
    let mut rig = Rig::new();
    let client = rig.open();
    for id in 0..100 {
        rig.server_says(&client, &request(&id.to_string(), "roots/list"));
        rig.tell(&client, &result(&id.to_string()));
        rig.send_all();
    }
    assert_eq!(rig.listen(&client).unwrap().read().0, [""; 0]);
    assert_eq!(rig.memory.used(), 0);
}

#[test]
fn more_than_the_client_may_have_are_refused() {
    let config = SessionConfig { max_exchanges: 3, ..SessionConfig::default() };
    let mut rig = Rig::with(config, usize::MAX);
    let client = rig.open();
    for id in 0..4 {
        rig.server_says(&client, &request(&id.to_string(), "roots/list"));
    }
    let [refused] = rig.texts().try_into().unwrap();
    assert_eq!(reason(&refused).as_deref(), Some("too_many_server_requests"));
}
