use axum::http::Request;

use super::*;

const LOOPBACK: &str = "127.0.0.1";
const EVERYWHERE: &str = "0.0.0.0";
const LAN: &str = "192.168.1.5";

fn guard(listening: &str, hosts: &[&str], origins: &[&str]) -> Guard {
    let owned = |list: &[&str]| list.iter().map(|&entry| entry.to_owned()).collect::<Vec<_>>();
    let security = SecurityConfig {
        allowed_hosts: owned(hosts),
        cors_origins: owned(origins),
        ..SecurityConfig::default()
    };
    Guard::new(&ServerConfig::default(), &security).unwrap().listening(listening.parse().unwrap())
}

fn request(name: &header::HeaderName, values: &[&str]) -> Parts {
    let mut request = Request::get("/mcp");
    for value in values {
        request = request.header(name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn host(guard: &Guard, host: &str) -> Result<(), Rejection> {
    guard.check_host(&request(&header::HOST, &[host]))
}

fn allows_origin(guard: &Guard, origin: &str) -> bool {
    guard.origin(&request(&header::ORIGIN, &[origin])).is_ok()
}

#[test]
fn a_loopback_listener_is_reached_by_loopback_names() {
    let guard = guard(LOOPBACK, &[], &[]);
    for name in
        ["localhost", "LOCALHOST:8080", "localhost.", "127.0.0.1:1", "127.8.8.8", "[::1]:8080", "[::1]"]
    {
        assert_eq!(host(&guard, name), Ok(()), "{name}");
    }
    for name in ["evil.example.com", "localhost.evil.com", "10.0.0.1", "127.0.0.1.evil.com", "[::2]:80"] {
        assert_eq!(host(&guard, name), Err(Rejection::HostNotAllowed), "{name}");
    }
}

#[test]
fn a_host_that_cannot_be_read_is_refused() {
    let guard = guard(LOOPBACK, &[], &[]);
    for name in [
        "",
        "a b",
        "localhost:port",
        "localhost:+80",
        "[::1",
        "[::1]x",
        "localhost:99999",
        "a/b",
        "user@localhost",
    ] {
        assert_eq!(host(&guard, name), Err(Rejection::HostUnusable), "{name}");
    }
    assert_eq!(guard.check_host(&request(&header::HOST, &[])), Err(Rejection::HostUnusable));
    let twice = request(&header::HOST, &["localhost", "localhost"]);
    assert_eq!(guard.check_host(&twice), Err(Rejection::HostUnusable));
}

#[test]
fn a_target_in_absolute_form_is_checked_too() {
    let parts = Request::get("http://evil.example.com/mcp")
        .header("host", "localhost")
        .body(())
        .unwrap()
        .into_parts()
        .0;
    assert_eq!(guard(LOOPBACK, &[], &[]).check_host(&parts), Err(Rejection::HostNotAllowed));
}

#[test]
fn allowed_hosts_match_without_case_and_with_their_port_only_if_they_name_one() {
    let guard = guard(LOOPBACK, &["mcp.example.com", "other.example.com:8443", "tls.example.com:443"], &[]);
    for name in ["MCP.example.com", "mcp.example.com:9", "other.example.com:8443", "tls.example.com"] {
        assert_eq!(host(&guard, name), Ok(()), "{name}");
    }
    for name in ["other.example.com", "other.example.com:8080", "x.mcp.example.com"] {
        assert_eq!(host(&guard, name), Err(Rejection::HostNotAllowed), "{name}");
    }
}

#[test]
fn beyond_loopback_the_address_itself_passes_and_names_have_to_be_listed() {
    assert_eq!(host(&guard(LAN, &[], &[]), "192.168.1.5:8080"), Ok(()));
    assert_eq!(host(&guard(LAN, &[], &[]), "192.168.1.6"), Err(Rejection::HostNotAllowed));
    assert_eq!(host(&guard(EVERYWHERE, &[], &[]), "192.168.1.6:8080"), Ok(()));
    assert_eq!(host(&guard(EVERYWHERE, &[], &[]), "proxy.internal"), Err(Rejection::HostNotAllowed));
    assert_eq!(host(&guard(EVERYWHERE, &["proxy.internal"], &[]), "proxy.internal"), Ok(()));
}

#[test]
fn loopback_pages_reach_a_loopback_listener_only() {
    for origin in ["http://localhost:3000", "https://127.0.0.1", "http://[::1]:6274"] {
        assert!(allows_origin(&guard(LOOPBACK, &[], &[]), origin), "{origin}");
        assert!(!allows_origin(&guard(EVERYWHERE, &[], &[]), origin), "{origin}");
    }
    for origin in ["http://evil.example.com", "null", "ftp://localhost", "http://localhost.evil.com", ""] {
        assert!(!allows_origin(&guard(LOOPBACK, &[], &[]), origin), "{origin}");
    }
}

#[test]
fn listed_origins_match_exactly() {
    let guard = guard(EVERYWHERE, &[], &["https://app.example.com"]);
    assert!(allows_origin(&guard, "https://app.example.com"));
    for origin in
        ["https://app.example.com:8443", "http://app.example.com", "https://app.example.com.evil.com"]
    {
        assert!(!allows_origin(&guard, origin), "{origin}");
    }
    let twice = request(&header::ORIGIN, &["https://app.example.com", "https://app.example.com"]);
    assert_eq!(guard.origin(&twice), Err(Rejection::OriginNotAllowed));
    assert_eq!(guard.origin(&request(&header::ORIGIN, &[])), Ok(None));
}

#[test]
fn entries_that_can_never_match_are_problems() {
    let security = SecurityConfig {
        allowed_hosts: vec!["a.example.com".to_owned(), "a:b".to_owned()],
        cors_origins: vec!["https://a\n".to_owned()],
        ..SecurityConfig::default()
    };
    let problems = Guard::new(&ServerConfig::default(), &security).unwrap_err();
    let keys: Vec<_> = problems.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(keys, ["allowed_hosts.1", "cors_origins.0"]);
}
