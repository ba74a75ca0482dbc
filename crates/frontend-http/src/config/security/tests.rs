use super::*;

fn security(text: &str) -> SecurityConfig {
    serde_json::from_str(text).unwrap()
}

fn open_to_all() -> ServerConfig {
    ServerConfig { host: "0.0.0.0".to_owned(), ..ServerConfig::default() }
}

fn problems(text: &str, server: &ServerConfig) -> Vec<String> {
    security(text).validate(server).into_iter().map(|problem| problem.key).collect()
}

#[test]
fn the_defaults_are_valid_for_this_machine_only() {
    assert_eq!(SecurityConfig::default().validate(&ServerConfig::default()), []);
    assert_eq!(problems("{}", &open_to_all()), ["auth_tokens"]);
}

#[test]
fn beyond_this_machine_a_token_is_needed_unless_it_is_said_otherwise() {
    for text in [
        r#"{"auth_token": "open-sesame"}"#,
        r#"{"auth_tokens": [{"name": "ci", "token": "open-sesame"}]}"#,
        r#"{"auth_tokens": [{"name": "ci", "token_file": "ci.token"}]}"#,
        r#"{"allow_unauthenticated": true}"#,
    ] {
        assert_eq!(problems(text, &open_to_all()), Vec::<String>::new(), "{text}");
    }
    let switched_off = r#"{"auth_enabled": false, "auth_token": "open-sesame"}"#;
    assert_eq!(problems(switched_off, &open_to_all()), ["auth_tokens"]);
    assert!(security(switched_off).tokens().is_empty());
}

#[test]
fn no_secret_is_printed() {
    let config = security(
        r#"{"auth_token": "hush-1", "auth_tokens": [{"name": "ci", "token": "hush-2"}, {"name": "ci", "token": "hush 3"}]}"#,
    );
    let mut shown = format!("{config:?}");
    shown.push_str(&serde_json::to_string(&config).unwrap());
    for problem in config.validate(&ServerConfig::default()) {
        shown.push_str(&problem.to_string());
    }
    assert!(!shown.contains("hush"), "{shown}");
}

#[test]
fn tokens_come_with_their_principals() {
    let config = security(r#"{"auth_token": "a", "auth_tokens": [{"name": "ci", "token": "b"}]}"#);
    let tokens: Vec<_> = config.tokens().into_iter().map(|(name, token)| (name, token.expose())).collect();
    assert_eq!(tokens, [("default", "a"), ("ci", "b")]);
}

#[test]
fn token_files_are_read_without_their_line_ends() {
    let folder = std::env::temp_dir().join(format!("frontend-http-tokens-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("ci.token"), "from-the-file\r\n").unwrap();
    fs::write(folder.join("empty.token"), "\n").unwrap();
    let mut config = security(
        r#"{"auth_tokens": [{"name": "ci", "token_file": "ci.token"}, {"name": "nobody", "token_file": "empty.token"},
                            {"name": "lost", "token_file": "missing.token"}]}"#,
    );
    let unreadable = config.read_token_files(&folder);
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!(config.tokens()[0].1.expose(), "from-the-file");
    assert_eq!(unreadable.len(), 1);
    assert_eq!(unreadable[0].key, "auth_tokens.2.token_file");
    let keys: Vec<_> =
        config.validate(&ServerConfig::default()).into_iter().map(|problem| problem.key).collect();
    assert_eq!(keys, ["auth_tokens.1.token"]);
}

#[test]
fn every_problem_is_reported_at_once() {
    let text = r#"{"auth_enabled": true, "cors_origins": ["*", "https://a.example/x", "http://localhost:3000", "app://pages"],
                   "allowed_hosts": ["mcp.example.com:8443", "http://mcp.example.com"], "max_body": 0, "max_memory": 0}"#;
    assert_eq!(
        problems(text, &ServerConfig::default()),
        ["cors_origins.0", "cors_origins.1", "allowed_hosts.1", "auth_enabled", "max_body"]
    );
    let text = r#"{"auth_token": "", "max_memory": "1KiB",
                   "auth_tokens": [{"token": "a"}, {"name": "default", "token": "a"}, {"name": "b"}]}"#;
    assert_eq!(
        problems(text, &ServerConfig::default()),
        [
            "auth_token",
            "auth_tokens.0.name",
            "auth_tokens.1.name",
            "auth_tokens.1.token",
            "auth_tokens.2",
            "max_memory"
        ]
    );
}

#[test]
fn origins_are_as_browsers_send_them() {
    for (origin, instead) in [
        ("http://localhost:3000", None),
        ("https://app.example.com", None),
        ("http://[::1]:8080", None),
        ("vscode-webview://abc123", None),
        ("https://App.Example.com", Some("\"https://app.example.com\"")),
        ("https://app.example.com:443", Some("\"https://app.example.com\"")),
        ("http://a.example:80", Some("\"http://a.example\"")),
        ("https://app.example.com/", Some("without a path")),
        ("app.example.com", Some("without a path")),
        ("null", Some("without a path")),
        ("https://*.example.com", Some("without a path")),
        ("https://app.example.com:x", Some("without a path")),
    ] {
        let config = SecurityConfig { cors_origins: vec![origin.to_owned()], ..SecurityConfig::default() };
        let problems = config.validate(&ServerConfig::default());
        assert_eq!(problems.len(), usize::from(instead.is_some()), "{origin}: {problems:?}");
        assert!(problems.iter().all(|problem| problem.instead.contains(instead.unwrap())), "{problems:?}");
    }
}

#[test]
fn hosts_are_names_or_addresses_with_or_without_a_port() {
    for (host, is_host) in [
        ("mcp.example.com", true),
        ("MCP.example.com.", true),
        ("mcp_1:8443", true),
        ("10.0.0.1", true),
        ("::1", true),
        ("[::1]:80", true),
        ("", false),
        ("*.example.com", false),
        ("mcp.example.com:", false),
        ("mcp.example.com:99999", false),
        ("mcp.example.com:+1", false),
        ("[mcp]", false),
        ("mcp.example.com/x", false),
    ] {
        let config = SecurityConfig { allowed_hosts: vec![host.to_owned()], ..SecurityConfig::default() };
        assert_eq!(config.validate(&ServerConfig::default()).is_empty(), is_host, "{host}");
    }
}
