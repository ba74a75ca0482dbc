//! How servers begin.

use std::{
    collections::BTreeSet,
    io::Write as _,
    process::{Command, Stdio},
    time::Duration,
};

use futures_util::future::join_all;
use proxy_core::{
    backend::Backend as _,
    config::Secret,
    error::{Delivery, ErrorKind},
};
use worker::ServerConfig;

use crate::harness::{HELPER, Held, Rig, changed, launcher, server, shell};

#[tokio::test]
async fn each_session_has_a_server_of_its_own() {
    let rig = Rig::new(&server());
    let clients = join_all((0..32).map(|_| rig.open())).await;
    let answers = clients.iter().enumerate().map(|(number, client)| async move {
        let answer = client.call("echo", &format!("{{\"number\":{number}}}")).await.unwrap();
        assert_eq!(answer["result"]["number"], number);
    });
    join_all(answers).await;
    assert_eq!(rig.metric("mcp_worker_children").as_deref(), Some("32"));
    clients[0].close().await;
    assert_eq!(rig.metric("mcp_worker_children").as_deref(), Some("31"));
    assert_eq!(clients[0].send("echo", "{}").await.unwrap_err().kind(), ErrorKind::SessionGone);
    assert!(clients[1].call("echo", "{}").await.is_ok());
    rig.shut_down().await;
    assert_eq!(rig.metric("mcp_worker_children").as_deref(), Some("0"));
    let ended = |reason| rig.metric(&format!("mcp_worker_children_ended_total{{reason=\"{reason}\"}}"));
    assert_eq!(ended("session_ended").as_deref(), Some("1"));
    assert_eq!(ended("shutting_down").as_deref(), Some("31"));
}

#[tokio::test]
async fn a_server_gets_only_the_environment_that_it_is_to_have() {
    let config = changed(server(), |config| {
        config.env =
            [("GIVEN".to_owned(), Secret::new("a b")), ("TERM".to_owned(), Secret::new("dumb"))].into();
        // cargo sets it for every test
        config.pass_env = vec!["CARGO_PKG_NAME".to_owned(), "SURELY_NOT_SET".to_owned()];
        config.directory = Some("/".into());
    });
    let rig = Rig::new(&config);
    let client = rig.open().await;
    let answer = client.call("environment", "{}").await.unwrap();
    let variables: BTreeSet<&str> =
        answer["result"].as_array().unwrap().iter().filter_map(|variable| variable.as_str()).collect();
    for variable in ["GIVEN=a b", "TERM=dumb", "CARGO_PKG_NAME=worker"] {
        assert!(variables.contains(variable), "{variables:?}");
    }
    let allowed = ["HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER", "GIVEN", "CARGO_PKG_NAME"];
    let names = variables.iter().filter_map(|variable| Some(variable.split_once('=')?.0));
    let others: Vec<&str> = names.filter(|name| !allowed.contains(name)).collect();
    assert_eq!(others, [""; 0]);
    assert_eq!(client.call("directory", "{}").await.unwrap()["result"], "/");
    rig.shut_down().await;
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named_at_once() {
    let rig = Rig::new(&ServerConfig::new(["no-such-program", "secret-argument"]));
    let check = rig.children.check().await.unwrap_err();
    let client = rig.client();
    let sent = client.send("initialize", "{}").await.unwrap_err();
    for error in [check, sent] {
        assert_eq!((error.kind(), error.delivery()), (ErrorKind::Config, Delivery::NotSent));
        assert_eq!(
            error.to_string(),
            "the server program \"no-such-program\" is not on PATH, or not executable"
        );
    }
    let later = client.send("ping", "{}").await.unwrap_err();
    assert_eq!(later.kind(), ErrorKind::Config);
    client.close().await;
    rig.shut_down().await;
}

#[tokio::test]
async fn a_program_that_cannot_be_started_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("program");
    std::fs::write(&program, "#!/no/such/interpreter\n").unwrap();
    assert!(Command::new("chmod").arg("+x").arg(&program).status().unwrap().success());
    let rig = Rig::new(&ServerConfig::new([program.to_str().unwrap()]));
    let client = rig.client();
    let error = match client.send("initialize", "{}").await {
        Ok(()) => client.failure().await.1,
        Err(error) => error,
    };
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    let text = error.to_string();
    assert!(text.contains("(exit code 127) before it answered initialize"), "{text}");
    assert!(text.contains("its last words: \"cannot start "), "{text}");
    rig.shut_down().await;
}

#[tokio::test]
async fn a_server_that_ends_before_its_answer_says_how() {
    let rig = Rig::new(&shell("echo no key >&2; exit 4"));
    let client = rig.client();
    let error = match client.send("initialize", "{}").await {
        Ok(()) => client.failure().await.1,
        Err(error) => error,
    };
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(
        error.to_string(),
        "the server process ended (exit code 4) before it answered initialize; its last words: \"no key\""
    );
    rig.shut_down().await;
}

#[tokio::test]
async fn a_program_that_speaks_something_else_is_said_to() {
    let rig = Rig::new(&shell("echo Welcome; echo to me; exit 4"));
    let client = rig.client();
    let error = match client.send("initialize", "{}").await {
        Ok(()) => client.failure().await.1,
        Err(error) => error,
    };
    assert_eq!(
        error.to_string(),
        "the server process ended (exit code 4) before it answered initialize; what it wrote to its output was no MCP message"
    );
    rig.shut_down().await;
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_given_up() {
    let silent = ServerConfig::new([HELPER, "serve", "--silent"]);
    let config = changed(silent, |config| config.start_timeout = Duration::from_millis(300));
    let rig = Rig::new(&config);
    let client = rig.client();
    client.send("initialize", "{}").await.unwrap();
    let (wire, error) = client.failure().await;
    assert_eq!((wire, error.kind()), (None, ErrorKind::Unavailable));
    assert_eq!(
        error.to_string(),
        "the server process was given up after the 300ms of start_timeout before it answered initialize"
    );
    client.close().await;
    assert_eq!(rig.metric("mcp_worker_children").as_deref(), Some("0"));
    rig.shut_down().await;
}

#[tokio::test]
async fn a_session_may_end_before_its_server_has_started() {
    let rig = Rig::new(&server());
    let client = rig.client();
    let outbound = client.outbound("initialize", "{}");
    let (sent, ()) = tokio::join!(rig.children.send(outbound), client.close());
    if let Err(error) = sent {
        assert_eq!(error.kind(), ErrorKind::SessionGone);
    }
    assert_eq!(rig.metric("mcp_worker_children").as_deref(), Some("0"));
    rig.shut_down().await;
}

#[tokio::test]
async fn without_a_watchdog_nothing_is_started() {
    let mut held = Held::new();
    let launcher = worker::children::Launcher { program: "/no/such/program".into(), ..launcher() };
    let rig = Rig::with(&shell(&format!("echo started > {}", held.path().display())), launcher);
    let client = rig.client();
    let error = client.send("initialize", "{}").await.unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Unavailable, Delivery::NotSent));
    assert!(held.has_ended());
    rig.shut_down().await;
    // the pipe works, all the same
    std::fs::OpenOptions::new().write(true).open(held.path()).unwrap().write_all(b"x").unwrap();
    held.written().await;
}

#[test]
fn a_server_whose_worker_died_before_go_never_begins() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    let mark = format!("echo started > {}", file.display());
    for told in ["", "g", "go"] {
        let mut child =
            Command::new(HELPER).args(["launch", "sh", "-c", &mark]).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(told.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
        assert!(!file.exists(), "after {told:?}");
    }
    let mut child = Command::new(HELPER)
        .args([
            "launch",
            "sh",
            "-c",
            "read line; test \"$line\" = first && read line && test \"$line\" = second",
        ])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"go\nfirst\nsecond\n").unwrap();
    assert!(child.wait().unwrap().success(), "what follows the line is the server's, all of it");
}
