use std::{fmt::Write as _, fs, path::PathBuf, sync::atomic::AtomicUsize};

use super::*;

mod worker;

/// A configuration that needs nothing else.
const SQS: &str = "[backend.sqs]\nread_queue_url = \"https://sqs.eu-central-1.amazonaws.com/1/requests\"\n";

/// A folder that is removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("proxy-bin-config-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, text: &str) -> PathBuf {
        let path = self.0.join("proxy.toml");
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn read(file: &str, pairs: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Loaded, Box<Refused>> {
    let folder = Folder::new();
    let flags = flags.iter().map(|(key, value)| ("--set".to_owned(), (*key).to_owned(), (*value).to_owned()));
    load(&Inputs {
        role: None,
        file: Some(folder.file(file)),
        variables: variables(pairs),
        flags: flags.collect(),
        repeated_flags: Vec::new(),
    })
}

fn loaded(file: &str, pairs: &[(&str, &str)], flags: &[(&str, &str)]) -> Loaded {
    read(file, pairs, flags).unwrap_or_else(|refused| panic!("{:#?}", refused.problems))
}

fn refused(file: &str, pairs: &[(&str, &str)]) -> Vec<String> {
    let refused = read(file, pairs, &[]).unwrap_err();
    refused.problems.iter().map(|finding| finding.problem.to_string()).collect()
}

fn sqs(loaded: &Loaded) -> backend_sqs::SqsConfig {
    loaded.config.backend.sqs.clone().unwrap()
}

#[test]
fn later_layers_win() {
    let file = format!("[server]\nport = 1\nserver_path = \"/file\"\nhost = \"localhost\"\n{SQS}");
    let loaded = loaded(
        &file,
        &[("MCP_PROXY_SERVER__PORT", "2"), ("MCP_PROXY_SERVER__SERVER_PATH", "/variable"), ("OTHER", "x")],
        &[("server.port", "3")],
    );
    assert_eq!(loaded.config.server.port, 3);
    assert_eq!(loaded.config.server.server_path, "/variable");
    assert_eq!(loaded.config.server.host, "localhost");
    assert_eq!(loaded.warnings, Vec::<String>::new());
    let origin = |key: &str| {
        let setting = loaded.settings.iter().find(|setting| setting.key() == key).unwrap();
        setting.origin.clone().unwrap_or_default()
    };
    assert_eq!(origin("server.port"), "--set");
    assert_eq!(origin("server.server_path"), "MCP_PROXY_SERVER__SERVER_PATH");
    assert!(origin("server.host").ends_with("proxy.toml"));
    assert_eq!(origin("session.max_sessions"), "");
    assert_eq!(origin("backend.sqs.max_messages"), "");
}

#[test]
fn every_kind_of_setting_can_be_given_by_a_variable() {
    let loaded = loaded(
        SQS,
        &[
            ("MCP_PROXY_SERVER__PORT", "9090"),
            ("MCP_PROXY_SESSION__SESSION_TIMEOUT", "90"),
            ("MCP_PROXY_SESSION__REQUEST_TIMEOUT", "2m"),
            ("MCP_PROXY_SESSION__TOOLS__TRAIN__REQUEST_TIMEOUT", "10m"),
            ("MCP_PROXY_SECURITY__CORS_ORIGINS", "http://a.example, http://b.example"),
            ("MCP_PROXY_SECURITY__ALLOWED_HOSTS", r#"["a.example"]"#),
            ("MCP_PROXY_SECURITY__AUTH_TOKENS", r#"[{ name = "7", token = "0123" }]"#),
            ("MCP_PROXY_SECURITY__STRICT_ACCEPT", "true"),
            ("MCP_PROXY_SECURITY__MAX_BODY", "1MiB"),
            ("MCP_PROXY_BACKEND__SQS__MESSAGE_ATTRIBUTES", r#"{"Team": "0042"}"#),
        ],
        &[],
    );
    let config = &loaded.config;
    assert_eq!(config.server.port, 9090);
    assert_eq!(config.session.session_timeout, Duration::from_secs(90));
    assert_eq!(config.session.request_timeout, Duration::from_mins(2));
    assert_eq!(config.session.timeouts(Some("train")).silence, Duration::from_mins(10));
    assert_eq!(config.security.cors_origins, ["http://a.example", "http://b.example"]);
    assert_eq!(config.security.allowed_hosts, ["a.example"]);
    assert_eq!(config.security.tokens()[0].0, "7");
    assert_eq!(config.security.tokens()[0].1.expose(), "0123");
    assert!(config.security.strict_accept);
    assert_eq!(config.security.max_body, 1 << 20);
    assert_eq!(sqs(&loaded).message_attributes["Team"], "0042");
    assert_eq!(loaded.warnings, Vec::<String>::new());
}

#[test]
fn texts_that_look_like_something_else_stay_texts() {
    for text in ["0123", "123", "1e5", "true", "[x", r#""quoted""#, "{a}", "null"] {
        let loaded =
            loaded(SQS, &[("MCP_PROXY_SECURITY__AUTH_TOKEN", text)], &[("backend.sqs.client_id", text)]);
        assert_eq!(loaded.config.security.auth_token.as_ref().unwrap().expose(), text);
        assert_eq!(sqs(&loaded).client_id.as_deref(), Some(text));
    }
}

#[test]
fn a_table_in_a_variable_is_laid_over_that_of_the_file() {
    let file = format!("[server]\nport = 1\nserver_path = \"/file\"\n{SQS}");
    let loaded = loaded(&file, &[("MCP_PROXY_SERVER", "{ port = 2 }")], &[]);
    assert_eq!(loaded.config.server.port, 2);
    assert_eq!(loaded.config.server.server_path, "/file");
}

#[test]
fn the_names_of_the_python_proxy_are_taken() {
    let file = r#"
        host = "localhost"
        port = 9000
        server_path = "/python"
        backend_transport = "sqs"
        session_timeout = 60.0
        max_sessions = 5
        stateless = false
        connection_pool_size = 10
        backend_clients = {}
        request_timeout = 180.0
        cors_origins = ["http://localhost:3000"]
        auth_enabled = true
        auth_token = "open-sesame"
        [backend_config]
        read_queue_url = "http://127.0.0.1:4566/1/requests"
        response_queue_url = "http://127.0.0.1:4566/1/responses"
        client_id = "python"
        max_messages = 5
        wait_time_seconds = 10
        visibility_timeout_seconds = 45
        poll_interval_seconds = 5.0
        transport_timeout_seconds = 30.0
        message_attributes = { team = "search" }
    "#;
    let loaded = loaded(
        file,
        &[("MCP_PROXY_PORT", "9001"), ("MCP_PROXY_BACKEND_CONFIG__WAIT_TIME_SECONDS", "7")],
        &[],
    );
    let config = &loaded.config;
    assert_eq!((config.server.host.as_str(), config.server.port), ("localhost", 9001));
    assert_eq!(config.server.server_path, "/python");
    assert_eq!(config.session.session_timeout, Duration::from_mins(1));
    assert_eq!(config.session.max_sessions, 5);
    assert_eq!(config.session.request_timeout, Duration::from_mins(3));
    assert_eq!(config.security.cors_origins, ["http://localhost:3000"]);
    assert_eq!(config.security.tokens()[0].1.expose(), "open-sesame");
    let sqs = sqs(&loaded);
    assert_eq!(sqs.response_queue_url.as_deref(), Some("http://127.0.0.1:4566/1/responses"));
    assert_eq!(sqs.client_id.as_deref(), Some("python"));
    assert_eq!((sqs.max_messages, sqs.wait_time.as_secs(), sqs.visibility_timeout.as_secs()), (5, 7, 45));
    assert_eq!(sqs.message_attributes["team"], "search");
    let without_effect =
        ["backend_clients", "connection_pool_size", "poll_interval_seconds", "transport_timeout_seconds"];
    assert_eq!(loaded.warnings.len(), without_effect.len(), "{:?}", loaded.warnings);
    for name in without_effect {
        assert!(
            loaded.warnings.iter().any(|warning| warning.contains(name) && warning.contains("no effect"))
        );
    }
}

/// asyncmcp 0.2.1: `sns_sqs/utils.py`, `webhook/utils.py`, `streamable_http_webhook/utils.py`.
#[test]
#[cfg(all(feature = "snssqs", feature = "streamable-http-webhook", feature = "webhook"))]
fn the_python_names_of_the_other_transports_are_taken() {
    let webhook = r#"
        backend_transport = "webhook"
        [backend_config]
        server_url = "http://localhost:8000/mcp/request"
        timeout_seconds = 5.5
        max_retries = 0
        client_id = "python"
        transport_timeout_seconds = 30.0
    "#;
    let read = loaded(webhook, &[], &[]);
    let config = read.config.backend.webhook.unwrap();
    assert_eq!(config.timeout, Duration::from_millis(5500));
    assert_eq!(config.client_id.as_deref(), Some("python"));
    assert_eq!(read.warnings.len(), 2, "{:?}", read.warnings);

    let hybrid = webhook.replace("\"webhook\"", "\"streamable_http_webhook\"")
        + "webhook_url = \"http://localhost:8001/webhook\"\n";
    let read = loaded(&hybrid, &[("MCP_PROXY_BACKEND__STREAMABLE_HTTP_WEBHOOK__SHARE", "true")], &[]);
    let config = read.config.backend.streamable_http_webhook.clone().unwrap();
    assert_eq!(config.webhook_url.as_deref(), Some("http://localhost:8001/webhook"));
    assert!(config.share && read.config.choose_backend().unwrap().shares_port());

    let topics = r#"
        backend_transport = "sns_sqs"
        [backend_config]
        sns_topic_arn = "arn:aws:sns:us-east-1:000000000000:requests"
        sqs_queue_url = "http://127.0.0.1:4566/000000000000/answers"
        wait_time_seconds = 7
    "#;
    let key = "backend.sns_sqs.response_topic_arn";
    let read = loaded(topics, &[], &[(key, "arn:aws:sns:us-east-1:000000000000:responses")]);
    let config = read.config.backend.snssqs.unwrap();
    assert_eq!(config.wait_time, Duration::from_secs(7));
    assert!(config.response_topic_arn.ends_with(":responses"));
}

#[test]
#[cfg(feature = "streamable-http-webhook")]
fn a_backends_table_may_be_written_with_dashes() {
    let read =
        loaded("[backend.streamable-http-webhook]\nserver_url = \"http://localhost:8000/mcp\"\n", &[], &[]);
    assert!(read.config.backend.streamable_http_webhook.is_some());
    let problems = refused("[backend.streamable_http_webhook]\nheaders = { authorization = 5 }\n", &[]);
    assert!(
        problems.iter().any(|problem| problem
            .starts_with("backend.streamable_http_webhook.headers.authorization is a number")),
        "{problems:?}"
    );
    let problems = refused(
        "backend_transport = \"streamable-http-webhook\"\n[backend.sqs]\nread_queue_url = \"http://a/1/b\"\n",
        &[],
    );
    assert!(problems[0].starts_with("backend.streamable_http_webhook is missing"), "{problems:?}");
}

#[test]
fn a_setting_under_two_names_is_a_problem() {
    let problems =
        refused(&format!("port = 1\n[server]\nport = 2\n{SQS}wait_time = 1\nwait_time_seconds = 2\n"), &[]);
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems.iter().any(|problem| problem.contains("second name for server.port")), "{problems:?}");
    assert!(problems.iter().any(|problem| problem.contains("backend.sqs.wait_time")), "{problems:?}");
}

#[test]
fn backends_are_known_by_every_spelling() {
    for (name, canonical) in [
        ("sqs", "sqs"),
        ("SQS", "sqs"),
        ("sns_sqs", "snssqs"),
        ("sns-sqs", "snssqs"),
        ("streamable_http_webhook", "streamable-http-webhook"),
    ] {
        assert_eq!(canonical_backend(name), canonical);
    }
    let problems = refused(&format!("backend_transport = \"kafka\"\n{SQS}"), &[]);
    assert_eq!(problems.len(), 1);
    assert!(problems[0].contains("this build of proxy-bin does not have"), "{problems:?}");
    assert!(problems[0].contains("cargo feature"), "{problems:?}");
    let problems = refused("[backend.kafka]\ntopic = \"x\"\n", &[]);
    assert!(problems[0].starts_with("backend.kafka asks for the backend \"kafka\""), "{problems:?}");
    let problems = refused("", &[]);
    assert!(problems[0].contains("[backend.sqs]"), "{problems:?}");
    // What is wrong with a table is told even though another backend is asked for.
    let problems = refused("backend_transport = \"kafka\"\n[backend.sqs]\nwait_time = \"1h\"\n", &[]);
    for expected in ["backend_transport asks", "backend.sqs.read_queue_url is", "backend.sqs.wait_time is"] {
        assert!(
            problems.iter().any(|problem| problem.starts_with(expected)),
            "{expected:?} in {problems:#?}"
        );
    }
}

#[test]
fn every_problem_is_told_at_once() {
    let file = r#"
        sesion = 1
        [server]
        port = "x"
        prot = 80
        [session]
        max_sessions = -1
        session_timeout = "soon"
        max_body = "1MiB"
        [security]
        cors_origins = ["*", 5]
        auth_token = 5
        [backend.sqs]
        read_queue_url = 7
        wait_time = "1h"
    "#;
    let problems = refused(file, &[]);
    for expected in [
        "sesion is not a known setting; did you mean session?",
        "server.port is the text \"x\"; write a whole number from 0 to 65535",
        "server.prot is not a known setting; did you mean server.port?",
        "session.max_sessions is the number -1; write a whole number",
        "session.session_timeout is \"soon\"; write a duration such as \"300s\"",
        "session.max_body is not a known setting; did you mean security.max_body?",
        "security.cors_origins.1 is the number 5; write a text in quotes",
        "security.auth_token is a number; write a text in quotes",
        "backend.sqs.read_queue_url is the number 7; write a text in quotes",
        "backend.sqs.wait_time is 1h, which SQS does not take; write whole seconds from 0s to 20s",
    ] {
        assert!(
            problems.iter().any(|problem| problem.starts_with(expected)),
            "{expected:?} in {problems:#?}"
        );
    }
    assert_eq!(problems.len(), 10, "{problems:#?}");
}

#[test]
fn an_address_has_no_name() {
    let wanted = "write an IP address and a port in quotes, such as \"127.0.0.1:9090\"";
    for (written, what) in
        [("\"localhost:9090\"", "is no address with a port"), ("9090", "is the number 9090")]
    {
        let problems = refused(&format!("{SQS}[admin]\nlisten = {written}\n"), &[]);
        assert_eq!(problems, [format!("admin.listen {what}; {wanted}")]);
    }
}

#[test]
fn a_list_is_no_table() {
    let file = format!("server = [\"0.0.0.0\"]\n{SQS}[session.tools]\nslow = [\"1s\"]\n");
    let problems =
        refused(&file, &[("MCP_PROXY_SHUTDOWN", "9"), ("MCP_PROXY_SECURITY__AUTH_TOKENS", "[[\"ci\"]]")]);
    for expected in [
        "server is a list; write a table of settings",
        "session.tools.slow is a list; write a table of settings",
        "shutdown is the number 9; write a table of settings",
        "security.auth_tokens.0 is a list; write a table of settings",
    ] {
        assert!(problems.iter().any(|problem| problem == expected), "{expected:?} in {problems:#?}");
    }
    assert_eq!(problems.len(), 4, "{problems:#?}");
}

#[test]
fn a_problem_names_its_place() {
    let refused = read(
        &format!("[server]\nserver_path = \"mcp\"\n{SQS}"),
        &[("MCP_PROXY_SERVER__PORT", "99999"), ("MCP_PROXY_SESSION__MAX_SESSIONS", "many")],
        &[("session.request_timeout", "never")],
    )
    .unwrap_err();
    let shown: Vec<String> = refused.problems.iter().map(ToString::to_string).collect();
    for (origin, text) in [
        ("MCP_PROXY_SERVER__PORT: ", "server.port is the number 99999"),
        ("MCP_PROXY_SESSION__MAX_SESSIONS: ", "session.max_sessions is the text \"many\""),
        ("--set: ", "session.request_timeout is \"never\""),
        ("proxy.toml: ", "server.server_path is \"mcp\""),
    ] {
        let wanted = format!("{origin}{text}");
        assert!(shown.iter().any(|line| line.contains(&wanted)), "{wanted:?} in {shown:#?}");
    }
}

#[test]
fn an_unknown_variable_is_only_a_warning() {
    let loaded = loaded(SQS, &[("MCP_PROXY_SERVER__PROT", "1"), ("MCP_PROXY_SERVR__PORT", "1")], &[]);
    assert_eq!(loaded.warnings.len(), 2, "{:?}", loaded.warnings);
    assert!(
        loaded
            .warnings
            .iter()
            .any(|line| line.contains("MCP_PROXY_SERVER__PROT") && line.contains("server.port?"))
    );
    assert!(
        loaded.warnings.iter().any(|line| line.contains("MCP_PROXY_SERVR__PORT") && line.contains("server?"))
    );
}

#[test]
fn a_file_that_is_no_toml_is_told_with_its_line_and_without_its_text() {
    let problems = refused(
        "[server]\nport = 1\nauth_token = \"hush\" hush\n",
        &[("MCP_PROXY_BACKEND__SQS__READ_QUEUE_URL", "http://a/1/b")],
    );
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].contains("line 3"), "{problems:?}");
    assert!(!problems[0].contains("hush"), "{problems:?}");
}

#[test]
fn no_secret_is_shown() {
    let file = format!(
        "[security]\nauth_token = \"hush-1\"\nauth_tokens = [{{ name = \"ci\", token = \"hush-2\" }}]\n{SQS}"
    );
    let loaded = loaded(&file, &[], &[]);
    let mut shown = format!("{:?}", loaded.config);
    for setting in &loaded.settings {
        write!(shown, "{setting} {setting:?}").unwrap();
    }
    assert!(!shown.contains("hush"), "{shown}");
    assert!(shown.contains("auth_token = \"***\""), "{shown}");

    let problems = refused(
        "[security]\nauth_tokens = \"hush\"\nauth_token = [\"hush\"]\n",
        &[("MCP_PROXY_SECURITY__AUTH_TOKENS", "hush")],
    );
    assert!(!problems.join(" ").contains("hush"), "{problems:?}");
}

#[test]
fn token_files_are_beside_the_configuration_file() {
    let folder = Folder::new();
    fs::write(folder.0.join("ci.token"), "from-the-file\n").unwrap();
    let file = folder
        .file(&format!("[security]\nauth_tokens = [{{ name = \"ci\", token_file = \"ci.token\" }}]\n{SQS}"));
    let loaded = load(&Inputs { file: Some(file), ..Inputs::default() }).unwrap();
    assert_eq!(loaded.config.security.tokens()[0].1.expose(), "from-the-file");
}

#[test]
#[cfg(all(feature = "snssqs", feature = "streamable-http-webhook", feature = "webhook"))]
fn every_example_is_valid() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/examples");
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let file = entry.unwrap().path();
        if file.extension().is_some_and(|extension| extension == "toml") {
            let outcome = load(&Inputs { file: Some(file.clone()), ..Inputs::default() });
            assert!(outcome.is_ok(), "{}: {:#?}", file.display(), outcome.unwrap_err().problems);
            count += 1;
        }
    }
    assert!(count > 0);
}

#[test]
fn what_the_readme_shows_is_valid() {
    let readme = include_str!("../../../../README.md");
    let (_, rest) = readme.split_once("```toml\n").expect("a configuration in the README");
    let (shown, _) = rest.split_once("```").expect("its end");
    let loaded = loaded(shown, &[], &[]);
    assert!(sqs(&loaded).response_queue_url.is_some());
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
}
