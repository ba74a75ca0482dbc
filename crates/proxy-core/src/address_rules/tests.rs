use proptest::prelude::*;

use super::*;

fn configured(patterns: &[&str]) -> AddressRules {
    let patterns: Vec<String> = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
    AddressRules::configured("worker.reply_allow", &patterns).unwrap()
}

fn neighbourhood(patterns: &[&str]) -> AddressRules {
    AddressRules::neighbourhood(patterns.iter().map(|&pattern| pattern.to_owned()).collect())
}

fn url(text: &str) -> ReplyAddress {
    ReplyAddress::Url(text.into())
}

fn sqs(text: &str) -> ReplyAddress {
    ReplyAddress::Sqs(text.into())
}

fn sns(text: &str) -> ReplyAddress {
    ReplyAddress::Sns(text.into())
}

#[test]
fn nothing_is_allowed_by_no_pattern() {
    let rules = configured(&[]);
    assert!(!rules.allow(&url("http://127.0.0.1:8080/hook")));
    assert!(!rules.allow(&sqs("https://sqs.eu-west-1.amazonaws.com/123456789012/q")));
}

#[test]
fn a_neighbourhood_is_its_queues_and_topics_and_this_machine() {
    let rules = neighbourhood(&[
        "https://sqs.eu-west-1.amazonaws.com/123456789012/*",
        "arn:aws:sns:eu-west-1:123456789012:*",
    ]);
    for allowed in [
        sqs("https://sqs.eu-west-1.amazonaws.com/123456789012/replies"),
        sqs("https://sqs.eu-west-1.amazonaws.com/123456789012/replies.fifo"),
        sqs("HTTPS://SQS.eu-west-1.AmazonAWS.com:443/123456789012/replies"),
        sns("arn:aws:sns:eu-west-1:123456789012:responses"),
        url("http://127.0.0.1:8080/webhook/response"),
        url("https://127.255.0.9/"),
        url("http://localhost:1/a?b=c"),
        url("http://LocalHost/a"),
        url("http://[::1]:9000/a"),
    ] {
        assert!(rules.allow(&allowed), "{allowed:?}");
    }
    for refused in [
        // another account, region, scheme or port
        sqs("https://sqs.eu-west-1.amazonaws.com/999999999999/replies"),
        sqs("https://sqs.us-east-1.amazonaws.com/123456789012/replies"),
        sqs("http://sqs.eu-west-1.amazonaws.com/123456789012/replies"),
        sqs("https://sqs.eu-west-1.amazonaws.com:444/123456789012/replies"),
        sns("arn:aws:sns:eu-west-1:999999999999:responses"),
        // AWS knows a queue by its path, wherever the URL says that it is
        sqs("http://127.0.0.1/999999999999/replies"),
        // kinds do not mix
        url("https://sqs.eu-west-1.amazonaws.com/123456789012/replies"),
        url("arn:aws:sns:eu-west-1:123456789012:responses"),
        sqs("arn:aws:sns:eu-west-1:123456789012:responses"),
        sns("https://sqs.eu-west-1.amazonaws.com/123456789012/replies"),
        // no queue and no topic
        sqs("https://sqs.eu-west-1.amazonaws.com/123456789012/"),
        sqs("https://sqs.eu-west-1.amazonaws.com/123456789012/a/b/c/d"),
        sqs("https://sqs.eu-west-1.amazonaws.com/123456789012/q?Action=SendMessage"),
        sqs("https://sqs.eu-west-1.amazonaws.com/123456789012/../999999999999/q"),
        sns("arn:aws:sns:eu-west-1:123456789012:responses:0f1e2d"),
        sns("arn:aws:sqs:eu-west-1:123456789012:responses"),
        sns("arn:aws:sns:eu-west-1:123456789012:"),
    ] {
        assert!(!rules.allow(&refused), "{refused:?}");
    }
}

#[test]
fn queues_may_be_on_this_machine_where_the_transports_own_are() {
    let rules = neighbourhood(&["http://127.0.0.1:4566/000000000000/*"]);
    assert!(rules.allow(&sqs("http://localhost:4566/000000000000/replies")));
    assert!(rules.allow(&sqs("http://127.0.0.1:4566/000000000000/replies")));
    assert!(!rules.allow(&sqs("http://127.0.0.1.example.com:4566/000000000000/replies")));
    assert!(!neighbourhood(&[]).allow(&sqs("http://localhost:4566/000000000000/replies")));
}

/// Addresses that look like those of this machine, or are it in disguise, by the WHATWG URL standard's own parser (section 3.5,
/// host parsing) or by careless ones.
const HOSTILE: &[&str] = &[
    "http://127.0.0.1.evil.com/",
    "http://127.0.0.1@evil.com/",
    "http://localhost@evil.com/",
    "http://localhost:80@evil.com/",
    "http://localhost:@evil.com/",
    "http://evil.com#@localhost/",
    "http://evil.com?@localhost/",
    "http://evil.com\\@localhost/",
    "http://localhost\\@evil.com/",
    "http://localhost\\.evil.com/",
    "http://localhost.evil.com/",
    "http://localhost./",
    "http://127.0.0.1./",
    "http://sub.localhost/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.0.0.1/",
    "http://0177.0.0.1/",
    "http://017700000001/",
    "http://127.1/",
    "http://127.0.1/",
    "http://127.000.000.001/",
    "http://127.0.0.0x1/",
    "http://127.0.0.256/",
    "http://0/",
    "http://0.0.0.0/",
    "http://128.0.0.1/",
    "http://%6cocalhost/",
    "http://127.0.0.1%2eevil.com/",
    "http://①②⑦.0.0.1/",
    "http://localhoſt/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::1%25lo]/",
    "http://[::1]evil.com/",
    "http://[::1].evil.com/",
    "http://[::1",
    "http://[::]/",
    "http://::1/",
    "http://local\thost/",
    "http://localhost\r\nHost: evil.com/",
    "http://localhost /",
    " http://localhost/",
    "http://localhost/\n",
    "http://localhost/a b",
    "http://localhost/\u{0}",
    "http://localhost/a\\..\\b",
    "http://localhost/a/../b",
    "http://localhost/a/%2E%2e/b",
    "http://localhost/a/.%2e",
    "http://localhost/a/..%2fb",
    "http://localhost/a/%2E.%5Cb",
    "http://localhost/a#b",
    "http://localhost?a",
    "http://localhost:0/",
    "http://localhost:080/",
    "http://localhost:65536/",
    "http://localhost:/",
    "http://localhost:80:80/",
    "http://localhost:+80/",
    "http://",
    "http:///localhost/",
    "http:/localhost/",
    "http:localhost/",
    "//localhost/",
    "localhost",
    "",
    "*",
    "ftp://localhost/",
    "file:///etc/passwd",
    "javascript://localhost/%0aalert(1)",
    "gopher://localhost:6379/_FLUSHALL",
    "https+unix://localhost/",
    "h\u{0}ttp://localhost/",
    "http://169.254.169.254/latest/meta-data/",
];

#[test]
fn what_only_looks_like_this_machine_is_refused() {
    let rules = neighbourhood(&["http://localhost:4566/000000000000/*"]);
    for address in HOSTILE {
        assert!(!rules.allow(&url(address)), "{address:?}");
        assert!(!rules.allow(&sqs(address)), "{address:?}");
        assert!(!rules.allow(&sns(address)), "{address:?}");
    }
}

#[test]
fn what_an_operator_wrote_holds_for_queues_and_webhooks() {
    let rules = configured(&[
        "https://*.hooks.example.com/mcp/*",
        "https://relay-*.example.com:*/in",
        "http://10.1.*.*:8080/hook",
        "http://[fd00::1]/hook",
        "https://sqs.*.amazonaws.com/123456789012/mcp-*",
        "arn:aws:sns:*:123456789012:mcp-*",
    ]);
    for allowed in [
        url("https://a.hooks.example.com/mcp/x"),
        url("https://a.b.hooks.example.com/mcp/x?y=z"),
        url("https://relay-7.example.com:9000/in"),
        url("https://relay-7.example.com/in"),
        url("http://10.1.2.3:8080/hook"),
        url("http://[fd00:0:0::1]/hook"),
        sqs("https://sqs.eu-west-1.amazonaws.com/123456789012/mcp-replies"),
        sns("arn:aws:sns:eu-west-1:123456789012:mcp-responses.fifo"),
    ] {
        assert!(rules.allow(&allowed), "{allowed:?}");
    }
    for refused in [
        url("http://a.hooks.example.com/mcp/x"),
        url("https://hooks.example.com/mcp/x"),
        url("https://a.hooks.example.com/other"),
        url("https://a.hooks.example.com/mcp/../other"),
        url("https://evil.com/.hooks.example.com/mcp/x"),
        url("https://evil.com?.hooks.example.com/mcp/x"),
        url("https://evil.com#.hooks.example.com/mcp/x"),
        url("https://user@a.hooks.example.com/mcp/x"),
        url("https://evil.com:443/.hooks.example.com/mcp/x"),
        url("https://relay-7.example.com:9000/in/x"),
        url("http://10.1.2.evil.com:8080/hook"),
        url("http://10.1.2.3.evil.com:8080/hook"),
        url("http://10.1.2:8080/hook"),
        url("http://localhost/hook"),
        sqs("https://sqs.evil.com/amazonaws.com/123456789012/mcp-replies"),
        sns("arn:aws:sns:eu-west-1:999999999999:123456789012:mcp-responses"),
    ] {
        assert!(!rules.allow(&refused), "{refused:?}");
    }
}

#[test]
fn patterns_that_match_nothing_or_everything_are_problems() {
    let wrong = [
        "",
        "*",
        "**",
        "*://*",
        "*://hooks.example.com/*",
        "http*://hooks.example.com/*",
        "https://*",
        "https://*/*",
        "https://*:*/*",
        "https://*:8080/hook",
        "https://hooks*",
        "https://hooks.*/a",
        "https://*example.com/a",
        "https://user@hooks.example.com/*",
        "https://*@hooks.example.com/*",
        "https://hooks.example.com:port/*",
        "https://hooks.example.com/a#b",
        "https://hooks.example.com/a b",
        "https://hooks.example.com/../*",
        "https://127.1/*",
        "https://[::*]/",
        "ftp://hooks.example.com/*",
        "hooks.example.com/*",
        "https:///*",
        "https://sqs.eu-west-1.amazonaws.com/*",
        "https://sqs.eu-west-1.amazonaws.com/*/replies",
        "https://sqs.*.amazonaws.com/*",
        "https://*.amazonaws.com/**/replies",
        "arn:*",
        "arn:aws:sns:eu-west-1:*:*",
        "arn:aws:*:eu-west-1:123456789012:*",
        "arn:aws:sqs:eu-west-1:123456789012:replies",
    ];
    let patterns = wrong.map(str::to_owned);
    let problems = AddressRules::configured("worker.reply_allow", &patterns).unwrap_err();
    let found: Vec<&str> = wrong
        .iter()
        .copied()
        .filter(|text| problems.iter().any(|problem| problem.what.contains(&format!("{text:?},"))))
        .collect();
    assert_eq!(found, wrong);
    assert!(problems.iter().all(|problem| problem.key == "worker.reply_allow"));
}

/// Globs as anyone would write them down: a star eats nothing, or one character and goes on.
fn glob_by_definition(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((b'*', rest)) => {
            glob_by_definition(rest, text) || (!text.is_empty() && glob_by_definition(pattern, &text[1..]))
        }
        Some((byte, rest)) => text.first() == Some(byte) && glob_by_definition(rest, &text[1..]),
    }
}

proptest! {
    #[test]
    fn globs_match_as_defined(pattern in "[ab*]{0,8}", text in "[ab]{0,10}") {
        prop_assert_eq!(glob::matches(&pattern, &text), glob_by_definition(pattern.as_bytes(), text.as_bytes()));
    }

    #[test]
    fn whatever_stands_in_a_hosts_star_stays_in_the_domain(inserted in "[a-z0-9./:@?#\\\\%*\\[\\]-]{0,12}") {
        let rules = configured(&["https://*.example.com/in"]);
        let address = format!("https://{inserted}.example.com/in");
        if rules.allow(&url(&address)) {
            prop_assert!(inserted.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-')));
        }
    }

    #[test]
    fn only_addresses_of_this_machine_are_loopback(octets: [u8; 4], port in 1u16..) {
        let rules = neighbourhood(&[]);
        let [a, b, c, d] = octets;
        prop_assert_eq!(rules.allow(&url(&format!("http://{a}.{b}.{c}.{d}:{port}/x"))), a == 127);
    }

    #[test]
    fn no_text_is_too_odd_to_be_judged(text in ".{0,60}") {
        let rules = configured(&["https://*.example.com/*", "arn:aws:sns:*:123456789012:*"]);
        prop_assert!(!rules.allow(&url(&text)));
        prop_assert!(!rules.allow(&sqs(&text)));
        prop_assert!(!rules.allow(&sns(&text)));
        drop(AddressRules::configured("key", &[text]));
    }
}
