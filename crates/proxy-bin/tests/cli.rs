//! The command line of the built binary, without any service.

#![cfg(all(feature = "snssqs", feature = "sqs", feature = "streamable-http-webhook", feature = "webhook"))]
#![expect(clippy::unwrap_used, reason = "what a test's helper cannot do fails the test")]

use std::{
    fs,
    path::PathBuf,
    process::{Command, Output},
};

const SQS: &str = "backend.sqs.read_queue_url=http://127.0.0.1:9/1/requests";

fn proxy_bin(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_proxy-bin"))
        .args(arguments)
        .env_clear()
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn example(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/examples").join(name);
    path.to_str().unwrap().to_owned()
}

#[test]
fn check_is_content_with_the_examples() {
    for name in [
        "snssqs.toml",
        "sqs-emulator.toml",
        "sqs-shared.toml",
        "sqs.toml",
        "stdio-desktop.toml",
        "streamable-http-webhook.toml",
        "webhook-local.toml",
        "webhook.toml",
    ] {
        let output = proxy_bin(&["config", "check", "--config", &example(name)], &[]);
        assert_eq!(output.status.code(), Some(0), "{name}: {}", stderr(&output));
        assert_eq!(stdout(&output), "The configuration is valid.\n");
    }
}

#[test]
fn the_file_may_be_named_by_a_variable() {
    let output = proxy_bin(&["config", "check"], &[("MCP_PROXY_CONFIG", &example("sqs.toml"))]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).is_empty());
}

#[test]
fn check_prints_every_problem_with_its_place_and_remedy() {
    let file = std::env::temp_dir().join(format!("proxy-bin-cli-{}.toml", std::process::id()));
    fs::write(&file, "[server]\nprot = 1\nhost = \"::\"\n[session]\nmax_sessions = 0\n").unwrap();
    let path = file.to_str().unwrap();
    let output = proxy_bin(
        &["config", "check", "--config", path, "--port", "x"],
        &[("MCP_PROXY_SESSION__REQUEST_TIMEOUT", "never"), ("MCP_PROXY_SERVR", "1")],
    );
    fs::remove_file(&file).unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    for line in [
        &format!("error: {path}: server.prot is not a known setting\n  did you mean server.port?\n"),
        "error: --port: server.port is the text \"x\"\n  write a whole number from 0 to 65535\n",
        "error: MCP_PROXY_SESSION__REQUEST_TIMEOUT: session.request_timeout is \"never\"\n  write a duration such as",
        &format!("error: {path}: session.max_sessions is 0"),
        "security.auth_tokens asks nobody for a token, but server.host = \"::\" lets other machines in\n",
        "error: backend is missing",
        "warning: MCP_PROXY_SERVR is ignored",
        "6 problems in the configuration\n",
    ] {
        assert!(text.contains(line), "{line:?} in {text}");
    }
}

#[test]
fn show_prints_what_is_in_force_and_where_it_comes_from() {
    let arguments =
        ["config", "show", "--config", &example("sqs-shared.toml"), "--port", "9000", "--auth-token", "hush"];
    let variables = [("MCP_PROXY_SESSION__MAX_SESSIONS", "7")];
    let output = proxy_bin(&arguments, &variables);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    for line in [
        "\n[server]\n",
        "\nport = 9000  # --port\n",
        "\nmax_sessions = 7  # MCP_PROXY_SESSION__MAX_SESSIONS\n",
        "\nmax_exchanges = 64  # default\n",
        "\nauth_token = \"***\"  # --auth-token\n",
        "\n# client_id is not set\n",
        "\n[backend.sqs.message_attributes]\nteam = \"search\"  # ",
        "\n[session.tools.train_model]\n",
    ] {
        assert!(text.contains(line), "{line:?} in {text}");
    }
    assert!(!text.contains("hush") && !text.contains("replace-me"), "{text}");

    let json = proxy_bin(&[&arguments[..], &["--json"]].concat(), &variables);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["server.port"], serde_json::json!({ "value": 9000, "from": "--port" }));
    assert_eq!(json["backend.sqs.client_id"], serde_json::json!({ "value": null, "from": "default" }));
    assert!(!json.to_string().contains("hush"));
}

#[test]
fn what_show_prints_is_a_configuration_again() {
    let first = proxy_bin(&["config", "show", "--config", &example("sqs-emulator.toml")], &[]);
    let file = std::env::temp_dir().join(format!("proxy-bin-show-{}.toml", std::process::id()));
    fs::write(&file, &first.stdout).unwrap();
    let second = proxy_bin(&["config", "show", "--config", file.to_str().unwrap()], &[]);
    fs::remove_file(&file).unwrap();
    let without_origins = |text: &str| {
        text.lines().map(|line| line.split("  # ").next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(without_origins(&stdout(&first)), without_origins(&stdout(&second)), "{}", stderr(&second));
}

#[test]
fn serve_refuses_to_let_other_machines_in_unasked() {
    let output = proxy_bin(&["serve", "--host", "0.0.0.0", "--set", SQS], &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("allow_unauthenticated"), "{}", stderr(&output));
}

#[test]
fn serve_refuses_what_it_cannot_do() {
    for (arguments, said) in [
        (&["serve"][..], "[backend.sqs]"),
        (&["serve", "--set", SQS, "--backend", "kafka"], "this build of proxy-bin does not have"),
        (&["serve", "--config", "/nowhere/proxy.toml"], "cannot be read"),
        (&["serve", "--set", "server.port"], "write KEY=VALUE"),
        (&["serve", "--prot", "1"], "--port"),
    ] {
        let output = proxy_bin(arguments, &[]);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(said), "{arguments:?}: {}", stderr(&output));
    }
}

#[test]
fn stdio_has_no_port_for_callbacks_to_share() {
    let output = proxy_bin(&["stdio", "--config", &example("streamable-http-webhook.toml")], &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("share = false"), "{}", stderr(&output));
}

#[test]
fn the_schema_and_completions_are_printed() {
    let schema = proxy_bin(&["config", "schema"], &[]);
    let schema: serde_json::Value = serde_json::from_slice(&schema.stdout).unwrap();
    assert_eq!(schema["properties"]["server"]["properties"]["port"]["default"], 8080);
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let output = proxy_bin(&["completions", shell], &[]);
        assert_eq!(output.status.code(), Some(0));
        assert!(stdout(&output).contains("request-timeout"), "{shell}");
    }
}

#[test]
fn every_example_names_its_schema_and_fits_what_desktop_clients_are_shown() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/examples");
    for entry in fs::read_dir(&folder).unwrap() {
        let file = entry.unwrap().path();
        if file.extension().is_some_and(|extension| extension == "toml") {
            let text = fs::read_to_string(&file).unwrap();
            assert!(text.starts_with("#:schema ../config.schema.json\n"), "{}", file.display());
        }
    }
    let desktop = fs::read_to_string(folder.join("claude_desktop_config.json")).unwrap();
    let desktop: serde_json::Value = serde_json::from_str(&desktop).unwrap();
    for (_, server) in desktop["mcpServers"].as_object().unwrap() {
        assert_eq!(server["args"][0], "stdio");
        let file = server["args"][2].as_str().unwrap().rsplit('/').next().unwrap();
        assert!(folder.join(file).exists(), "{file}");
    }
}

#[test]
fn without_its_file_nothing_else_is_wrong() {
    let output = proxy_bin(&["config", "check", "--config", "/nowhere/proxy.toml"], &[]);
    assert!(stderr(&output).ends_with("\n1 problem in the configuration\n"), "{}", stderr(&output));
}

#[test]
fn help_has_examples() {
    for arguments in [
        &["--help"][..],
        &["serve", "--help"],
        &["stdio", "--help"],
        &["worker", "--help"],
        &["provision", "--help"],
        &["doctor", "--help"],
        &["config", "check", "--help"],
        &["config", "show", "--help"],
        &["config", "schema", "--help"],
        &["config", "reference", "--help"],
        &["completions", "--help"],
    ] {
        let output = proxy_bin(arguments, &[]);
        assert_eq!(output.status.code(), Some(0));
        assert!(stdout(&output).contains("Example"), "{arguments:?}");
    }
}

#[cfg(not(feature = "demo"))]
#[test]
fn a_build_without_the_demo_says_how_to_have_it() {
    let output = proxy_bin(&["demo", "--backend", "sqs", "--once"], &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--features demo"), "{}", stderr(&output));
    assert!(!stdout(&proxy_bin(&["--help"], &[])).contains("demo"));
}

#[test]
fn a_service_that_is_not_there_is_a_failure_in_one_sentence() {
    let output = proxy_bin(
        &["serve", "--port", "0", "--set", SQS, "--set", "backend.sqs.endpoint_url=http://127.0.0.1:9"],
        &[("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test"), ("AWS_REGION", "us-east-1")],
    );
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let text = stderr(&output);
    let last: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(last["message"], "failed");
    assert!(last["error"].as_str().unwrap().contains("http://127.0.0.1:9/1/requests"), "{text}");
}

/// A worker's settings without any service.
fn worker(arguments: &[&str]) -> (Option<i32>, String) {
    let output = proxy_bin(&[&["worker"], arguments].concat(), &[("HOME", "/nowhere")]);
    (output.status.code(), stderr(&output))
}

#[test]
fn a_worker_says_what_it_lacks_and_what_to_write() {
    const QUEUE: &str = "http://127.0.0.1:9/000000000000/requests";
    for (arguments, lines) in [
        (
            &["--backend", "sqs", "--queue", QUEUE][..],
            &["worker.server.command is missing", "write command ="][..],
        ),
        (
            &["--backend", "sqs", "--queue", QUEUE, "--upstream", "http://127.0.0.1:9/mcp", "--", "cat"],
            &["--upstream: worker.server.url is set beside command", "write one of them"],
        ),
        (
            &["--backend", "webhook", "--queue", QUEUE, "--", "cat"],
            &["--queue names a queue, and the transport webhook has none", "--listen ADDRESS"],
        ),
        (
            &["--backend", "sqs", "--listen", "127.0.0.1:0", "--", "cat"],
            &["--listen is an address to listen on, and the transport sqs has none", "--queue URL"],
        ),
        (&["--", "cat"], &["intake is missing, so it is not known where requests come in", "--backend"]),
        (
            &["--listen", "127.0.0.1:0", "--", "cat"],
            &["--listen belongs to a transport over HTTP", "--backend webhook"],
        ),
        (&["--backend", "sqs", "--", "cat"], &["intake.sqs.queue_url is missing"]),
        (&["--backend", "kafka", "--", "cat"], &["which this build of proxy-bin does not have"]),
        (&["--backend", "webhook", "--reply-allow", "*", "--", "cat"], &["worker.reply_allow"]),
        (
            &["--backend", "webhook", "--admin", "0.0.0.0:9090", "--", "cat"],
            &["admin.listen is 0.0.0.0:9090, which lets other machines in", "security.auth_tokens"],
        ),
    ] {
        let (code, text) = worker(arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {text}");
        for line in lines {
            assert!(text.contains(line), "{line:?} in {text}");
        }
    }
    let (code, text) = worker(&["--backend", "sqs", "--queue", QUEUE, "--env", "NAME", "--", "cat"]);
    assert_eq!(code, Some(2));
    assert!(text.contains("--pass-env NAME"), "{text}");
}

#[test]
fn a_worker_without_a_place_for_its_ledger_says_so() {
    let queue = "http://127.0.0.1:9/000000000000/requests";
    let output = proxy_bin(&["worker", "--backend", "sqs", "--queue", queue, "--", "cat"], &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("--ledger FILE"), "{}", stderr(&output));
}

#[test]
fn a_worker_shows_its_settings_without_secrets() {
    let file = example("worker-streamable-http-webhook.toml");
    let output = proxy_bin(&["config", "show", "--config", &file], &[("MCP_PROXY_WORKER__SOLE", "true")]);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    for line in [
        "\n[worker]\n",
        "\nsole = true  # MCP_PROXY_WORKER__SOLE\n",
        "\n[worker.server]\n",
        "\n[intake.streamable_http_webhook]\n",
    ] {
        assert!(text.contains(line), "{line:?} in {text}");
    }
    assert!(!text.contains("a-token") && text.contains("\"***\""), "{text}");
    let output = proxy_bin(&["config", "check", "--config", &example("sqs.toml"), "--worker"], &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("intake.sqs"), "{}", stderr(&output));
}
