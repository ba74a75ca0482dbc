use std::collections::BTreeMap;

use proxy_core::config::Secret;

use super::*;

fn settings(webhook_url: &str, share: bool) -> CallbackSettings<'_> {
    CallbackSettings { listen: default_listen(), share, webhook_url, max_message: DEFAULT_MAX_MESSAGE }
}

#[test]
fn a_callback_url_is_absolute_and_plain() {
    for url in [
        "https://proxy.example.com/callback",
        "https://proxy.example.com",
        "http://127.0.0.1:8090/",
        "http://[::1]:8090/a/b-c/",
    ] {
        assert_eq!(settings(url, false).problems(), [], "{url}");
    }
    for url in [
        "/callback",
        "proxy.example.com/callback",
        "ftp://proxy.example.com/",
        "https://name:hush@proxy.example.com/",
        "https://proxy.example.com/?hush=1",
        "https://proxy.example.com/#hush",
        "https://proxy.example.com/{a}",
        "https://proxy.example.com/a//b",
        "https://proxy.example.com/*",
    ] {
        let problems = settings(url, false).problems();
        assert_eq!(problems.len(), 1, "{url}: {problems:?}");
        assert!(!problems[0].to_string().contains("hush"), "{problems:?}");
    }
}

#[test]
fn the_callback_url_may_be_that_of_the_listener() {
    assert_eq!(settings("", false).problems(), []);
    assert_eq!(settings("", true).problems().len(), 1);
    let everywhere = CallbackSettings { listen: SocketAddr::from(([0; 4], 8090)), ..settings("", false) };
    assert_eq!(everywhere.problems().len(), 1);
}

#[test]
fn a_shared_port_needs_a_path_of_its_own() {
    assert_eq!(settings("https://proxy.example.com/callback", true).problems(), []);
    for url in ["https://proxy.example.com", "https://proxy.example.com/"] {
        assert_eq!(settings(url, true).problems().len(), 1, "{url}");
    }
}

#[test]
fn what_crosses_a_network_unencrypted_is_known() {
    for url in ["http://proxy.example.com/", "http://10.0.0.1:8000/"] {
        assert!(is_cleartext_elsewhere(url), "{url}");
    }
    for url in ["https://a.example/", "http://localhost:1/", "http://127.8.0.1/", "http://[::1]:2/"] {
        assert!(!is_cleartext_elsewhere(url), "{url}");
    }
}

#[test]
fn headers_must_be_the_operators_own() {
    let with = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), Secret::new(value))]);
    for (name, value) in [("x-team", "search"), ("Authorization", "Bearer hush"), ("x-empty", "")] {
        assert_eq!(header_problems(&with(name, value)), [], "{name}");
        let parsed = parsed_headers(&with(name, value));
        assert_eq!(parsed[name], value);
        assert!(!format!("{parsed:?}").contains("hush"));
    }
    for (name, value) in [
        ("X-Session-ID", "hush"),
        ("Mcp-Session-Id", "hush"),
        ("Host", "hush"),
        ("a b", "hush"),
        ("x-a", "hush\n"),
        ("x-a", "hush é"),
    ] {
        let problems = header_problems(&with(name, value));
        assert_eq!(problems.len(), 1, "{name}");
        assert!(!problems[0].to_string().contains("hush"), "{problems:?}");
        assert!(parsed_headers(&with(name, value)).is_empty());
    }
}

#[test]
fn a_timeout_and_a_client_id_have_bounds() {
    assert_eq!(timeout_problem(DEFAULT_TIMEOUT), None);
    for timeout in [Duration::ZERO, Duration::from_hours(2)] {
        assert!(timeout_problem(timeout).is_some());
    }
    assert_eq!(client_id_problem(None), None);
    assert_eq!(client_id_problem(Some("search-team")), None);
    for id in ["", "a b", "é", &"x".repeat(129)] {
        assert!(client_id_problem(Some(id)).is_some(), "{id}");
    }
}
