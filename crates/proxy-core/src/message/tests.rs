use super::*;

fn request(text: &str) -> Request {
    match Message::parse(text) {
        Ok(Message::Request(request)) => request,
        other => panic!("no request: {other:?}"),
    }
}

#[test]
fn kinds_are_told_apart() {
    assert!(matches!(Message::parse(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#), Ok(Message::Request(_))));
    assert!(matches!(Message::parse(r#"{"jsonrpc":"2.0","method":"a"}"#), Ok(Message::Notification(_))));
    assert!(matches!(
        Message::parse(r#"{"jsonrpc":"2.0","id":"x","result":null}"#),
        Ok(Message::Response(_))
    ));
    assert!(matches!(Message::parse(r#"{"jsonrpc":"2.0","id":null,"error":{}}"#), Ok(Message::Response(_))));
}

#[test]
fn what_is_no_message_is_refused_with_its_code() {
    for (text, code) in [
        ("", code::PARSE_ERROR),
        ("{", code::PARSE_ERROR),
        ("nonsense", code::PARSE_ERROR),
        ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\"} x", code::PARSE_ERROR),
        ("1", code::INVALID_REQUEST),
        ("{}", code::INVALID_REQUEST),
        (r#"{"jsonrpc":"1.0","id":1,"method":"a"}"#, code::INVALID_REQUEST),
        (r#"{"jsonrpc":"2.0","id":null,"method":"a"}"#, code::INVALID_REQUEST),
        (r#"{"jsonrpc":"2.0","id":{},"method":"a"}"#, code::INVALID_REQUEST),
        (r#"{"jsonrpc":"2.0","id":true,"method":"a"}"#, code::INVALID_REQUEST),
        (r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"a"}"#, code::INVALID_REQUEST),
        (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, code::INVALID_REQUEST),
        (r#"{"jsonrpc":"2.0","id":1,"method":"a","params":7}"#, code::INVALID_REQUEST),
        (r#"{"jsonrpc":"2.0","id":1,"method":"a","result":{}}"#, code::INVALID_REQUEST),
        (r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#, code::INVALID_REQUEST),
        (r#"{"jsonrpc":"2.0","result":{}}"#, code::INVALID_REQUEST),
        (r#"{"jsonrpc":"2.0","id":1}"#, code::INVALID_REQUEST),
        (r#"["2.0",1,null,null,{},null]"#, code::INVALID_REQUEST),
        (" [\"2.0\",1,null,null,{}, null]", code::INVALID_REQUEST),
    ] {
        assert_eq!(Message::parse(text).map_err(|error| error.code()).err(), Some(code), "{text}");
    }
    assert_eq!(Body::parse(vec![0xff, 0xfe]).err(), Some(MessageError::NotJson));
    for batch in ["[]", r#"[["2.0",1,null,null,{},null]]"#] {
        let refused = Body::parse(batch.into()).map_err(|error| error.code()).err();
        assert_eq!(refused, Some(code::INVALID_REQUEST), "{batch}");
    }
}

#[test]
fn ids_keep_value_and_type() {
    for id in ["1", r#""1""#, "-7", "12345678901234567890123", r#""ä\"""#, "1.50"] {
        let parsed = request(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"a"}}"#));
        assert_eq!(parsed.id().to_json(), id);
    }
    assert_ne!(RequestId::number(1), RequestId::string("1"));
}

#[test]
fn replacing_an_id_and_a_token_leaves_every_other_byte() {
    let text = "{ \"x\":1e3 ,\"params\":{\"a\":[1.0,\"\\u00e4\"], \"_meta\" : {\"progressToken\":  7,\"k\":null}},\n\"id\":\"a\",\"method\":\"tools/call\",\"jsonrpc\":\"2.0\",\"y\":{}}";
    let token = ProgressToken::from_json("\"wire\"").unwrap();
    let changed = request(text).readdressed(RequestId::string("wire"), Some(&token)).unwrap();
    let expected = text.replace("\"id\":\"a\"", "\"id\":\"wire\"").replace("  7,", "  \"wire\",");
    assert_eq!(changed.as_str(), expected);
    let again = request(changed.as_str());
    assert_eq!(again.params(), changed.params());
    assert_eq!(again.id(), changed.id());
    let back =
        changed.readdressed(RequestId::string("a"), Some(&ProgressToken::from_json("7").unwrap())).unwrap();
    assert_eq!(back.as_str(), text);
}

#[test]
fn members_are_added_or_replaced() {
    let plain = r#"{"jsonrpc":"2.0","id":1,"method":"initialize"}"#;
    let added = request(plain).with_param("reply", "\"u\"").unwrap().with_meta("replyTo", "\"u\"").unwrap();
    assert_eq!(
        added.as_str(),
        r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"_meta":{"replyTo":"u"},"reply":"u"}}"#
    );
    assert_eq!(added.params(), request(added.as_str()).params());
    let replaced = added.with_param("reply", "\"v\"").unwrap().with_meta("replyTo", "7").unwrap();
    assert_eq!(
        replaced.as_str(),
        r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"_meta":{"replyTo":7},"reply":"v"}}"#
    );
    let empty = request(r#"{"jsonrpc":"2.0","params":{},"id":1,"method":"m"}"#).with_meta("k", "1").unwrap();
    assert_eq!(empty.as_str(), r#"{"jsonrpc":"2.0","params":{"_meta":{"k":1}},"id":1,"method":"m"}"#);
    assert_eq!(empty.id_span, request(empty.as_str()).id_span);
}

#[test]
fn members_are_taken_out_and_every_other_byte_stays() {
    let taken_out = |params: &str, key: &str| {
        let text = |params: &str| {
            format!(r#"{{ "params" : {params} , "id":7,"jsonrpc":"2.0","method":"initialize"}}"#)
        };
        let rest = request(&text(params)).without_param(key).unwrap();
        assert_eq!(rest.id_span, request(rest.as_str()).id_span);
        assert_eq!(rest.params(), request(rest.as_str()).params());
        let rest = rest.as_str().strip_prefix(r#"{ "params" : "#).unwrap();
        rest.strip_suffix(r#" , "id":7,"jsonrpc":"2.0","method":"initialize"}"#).unwrap().to_owned()
    };
    for (params, rest) in [
        (r#"{"k":1}"#, "{}"),
        (r#"{ "k" : "a,b" }"#, "{}"),
        (r#"{"k":1,"k":[2],"\u006b":{}}"#, "{}"),
        (r#"{"k":1, "a":1.0}"#, r#"{"a":1.0}"#),
        (r#"{ "a":1.0 , "k":1 }"#, r#"{ "a":1.0 }"#),
        (r#"{"a":"k","k":{"k":"}"},"b":[ ]}"#, r#"{"a":"k","b":[ ]}"#),
        (r#"{"k":1,"k":2,"a":1,"k":3,"k":4,"b":2,"k":5}"#, r#"{"a":1,"b":2}"#),
        (r#"{"a":{"k":1},"kk":2}"#, r#"{"a":{"k":1},"kk":2}"#),
        ("{ }", "{ }"),
        (r#"["k",1]"#, r#"["k",1]"#),
    ] {
        assert_eq!(taken_out(params, "k"), rest, "{params}");
    }
    let none = r#"{"jsonrpc":"2.0","id":1,"method":"initialize"}"#;
    assert_eq!(request(none).without_param("k").unwrap().without_meta("k").unwrap().as_str(), none);
}

#[test]
fn members_of_meta_are_taken_out() {
    let text = |meta: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"initialize","params":{{"_meta":{meta},"x":1}}}}"#)
    };
    for (meta, rest) in [
        (r#"{"webhookUrl":"http://h/"}"#, "{}"),
        (r#"{"progressToken":1, "webhookUrl":"http://h/"}"#, r#"{"progressToken":1}"#),
        ("{}", "{}"),
        ("null", "null"),
    ] {
        assert_eq!(request(&text(meta)).without_meta("webhookUrl").unwrap().as_str(), text(rest));
    }
    let twice = r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":{},"_meta":{}}}"#;
    assert_eq!(request(twice).without_meta("k").err(), Some(InvalidParams));
}

#[test]
fn where_answers_go_is_read_only_where_it_is_a_text_once() {
    let named = request(
        r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"response_queue_url":"http:\/\/q","n":1,"t":"a","t":"a","_meta":{"responseQueueUrl":"http://r","u":null}}}"#,
    );
    assert_eq!(named.param_text("response_queue_url").as_deref(), Some("http://q"));
    assert_eq!(named.meta_text("responseQueueUrl").as_deref(), Some("http://r"));
    for absent in ["n", "t", "responseQueueUrl", "x"] {
        assert_eq!(named.param_text(absent), None, "{absent}");
    }
    assert_eq!(named.meta_text("u"), None);
    assert_eq!(request(r#"{"jsonrpc":"2.0","id":1,"method":"m","params":["a"]}"#).param_text("a"), None);
}

proptest::proptest! {
    #[test]
    fn without_a_member_the_rest_is_what_it_was(keys in proptest::collection::vec("[a-c]", 0..6), space in " {0,2}") {
        let object = |keep: &dyn Fn(&str) -> bool| {
            let members: Vec<String> = keys.iter().enumerate().filter(|(_, key)| keep(key)).map(|(n, key)| format!(r#""{key}"{space}:{n}.0"#)).collect();
            members.join(&format!("{space},"))
        };
        let text = |members: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"params":{{{members}}},"method":"m"}}"#);
        let rest = request(&text(&object(&|_| true))).without_param("a").unwrap();
        proptest::prop_assert_eq!(rest.as_str(), text(&object(&|key| key != "a")));
    }
}

#[test]
fn a_response_gets_the_clients_id_back() {
    let Ok(Message::Response(response)) =
        Message::parse(r#"{"jsonrpc":"2.0","id":"wire","result":{"a":1.0}}"#)
    else {
        panic!()
    };
    let restored = response.readdressed(&RequestId::number(5));
    assert_eq!(restored.as_str(), r#"{"jsonrpc":"2.0","id":5,"result":{"a":1.0}}"#);
    assert_eq!(restored.result(), Some(r#"{"a":1.0}"#));
}

#[test]
fn a_member_that_stands_twice_is_refused_where_it_matters() {
    let twice = request(
        r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":{"progressToken":1,"progressToken":2}}}"#,
    );
    assert_eq!(twice.progress_token(), Err(InvalidParams));
}

#[test]
fn capabilities_are_read_as_declared() {
    let declared = |capabilities: &str| {
        request(&format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"initialize","params":{{"protocolVersion":"2025-06-18","capabilities":{capabilities}}}}}"#
        ))
        .initialize_params()
        .unwrap()
        .capabilities
    };
    assert_eq!(declared("{}"), ClientCapabilities::default());
    assert!(declared(r#"{"elicitation":{}}"#).elicitation_form);
    assert!(!declared(r#"{"elicitation":{"url":{}}}"#).elicitation_form);
    assert!(declared(r#"{"elicitation":{"url":{}}}"#).elicitation_url);
    assert!(declared(r#"{"sampling":{},"roots":{"listChanged":true}}"#).sampling);
}

#[test]
fn the_modern_era_is_recognized() {
    assert!(request(r#"{"jsonrpc":"2.0","id":1,"method":"server/discover"}"#).claims_modern_era());
    assert!(
        request(r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#)
            .claims_modern_era()
    );
    assert!(!request(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#).claims_modern_era());
}

#[test]
fn messages_of_our_own_know_their_members() {
    let cancelled = Notification::cancelled(&RequestId::string("w"), "because");
    assert_eq!(cancelled.cancelled_request().unwrap().0, RequestId::string("w"));
    assert_eq!(cancelled.cancelled_id(), Some(RequestId::string("w")));
    let error = Response::error(
        Some(RequestId::number(1)),
        &ErrorObject::new(code::INTERNAL_ERROR, "gone", "timeout"),
    );
    assert_eq!(
        error.as_str(),
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"gone","data":{"reason":"timeout"}}}"#
    );
    let Ok(Message::Response(parsed)) = Message::parse(error.as_str()) else { panic!() };
    assert!(parsed.is_error() && error.is_error());
    assert_eq!(
        Response::empty_result(RequestId::string("a")).as_str(),
        r#"{"jsonrpc":"2.0","id":"a","result":{}}"#
    );
}
