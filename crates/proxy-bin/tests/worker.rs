//! The built binary as a worker: started, asked through a proxy, ended by signals; over the emulator, around a server of a few lines of
//! shell.

#![cfg(all(unix, feature = "sqs"))]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "what a test's helper cannot do fails the test")]

use std::{
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;
use testkit::emulator::Emulator;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines},
    net::TcpStream,
    process::{Child, ChildStderr, Command},
    time::timeout,
};

/// How long anything here may take before the test fails.
const PATIENCE: Duration = Duration::from_mins(1);

/// An MCP server with one tool (2025-11-25, lifecycle and tools). It writes its process id beside itself, and what it finds in
/// `SECRET`.
const SERVER: &str = r#"
echo "$$ ${SECRET-unset} ${OTHER-unset}" >> "$1"
while read -r line; do
    id=$(printf %s "$line" | sed -n 's/.*"id":\("[^"]*"\|[0-9]*\).*/\1/p')
    case $line in
    *'"initialize"'*) result='{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"shell","version":"1"}}' ;;
    *'"tools/list"'*) result='{"tools":[{"name":"one","inputSchema":{"type":"object"}}]}' ;;
    *'"ping"'*) result='{}' ;;
    *) continue ;;
    esac
    printf '{"jsonrpc":"2.0","id":%s,"result":%s}\n' "$id" "$result"
done
"#;

/// What the server is started with and leaves behind, and the worker's state.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("server.sh"), SERVER).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    /// The command line of the server.
    fn server(&self) -> [String; 3] {
        ["sh".to_owned(), self.path("server.sh"), self.path("started")]
    }

    /// What the servers that were started wrote down: process id and variables.
    fn started(&self) -> Vec<Vec<String>> {
        let text = std::fs::read_to_string(self.path("started")).unwrap_or_default();
        text.lines().map(|line| line.split(' ').map(str::to_owned).collect()).collect()
    }

    fn ledgers(&self) -> Vec<PathBuf> {
        let found = std::fs::read_dir(self.0.path().join("mcp-proxy")).into_iter().flatten();
        found.map(|entry| entry.unwrap().path()).collect()
    }
}

fn command(emulator: &Emulator, folder: &Folder, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_proxy-bin"));
    command
        .args(arguments)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("XDG_STATE_HOME", folder.0.path())
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ENDPOINT_URL", emulator.endpoint_url())
        .env("SECRET", "hush")
        .env("OTHER", "not passed on")
        .kill_on_drop(true);
    command
}

async fn output(command: &mut Command) -> Output {
    timeout(PATIENCE, command.output()).await.expect("the process ends").unwrap()
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned()).concat()
}

/// A worker that runs, and its log.
struct Worker {
    process: Child,
    log: Lines<BufReader<ChildStderr>>,
}

impl Worker {
    async fn start(emulator: &Emulator, folder: &Folder, more: &[&str]) -> Self {
        let queue = emulator.queue_url("requests");
        let mut arguments = vec!["worker", "--backend", "sqs", "--queue", &queue];
        arguments.extend(["--set", "intake.sqs.wait_time=1s", "--pass-env", "SECRET"]);
        arguments.extend(more);
        arguments.push("--");
        let server = folder.server();
        arguments.extend(server.iter().map(String::as_str));
        let mut process = command(emulator, folder, &arguments).stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(process.stderr.take().unwrap()).lines();
        let mut worker = Self { process, log };
        let running = worker.logged("the worker is running").await;
        assert_eq!(running["requests"], queue.as_str());
        worker
    }

    /// Waits for a message in the log, which is JSON where there is no terminal.
    async fn logged(&mut self, message: &str) -> Value {
        loop {
            let line = timeout(PATIENCE, self.log.next_line()).await.expect(message).unwrap().expect(message);
            let entry: Value = serde_json::from_str(&line).expect(&line);
            if entry["message"].as_str().is_some_and(|text| text.starts_with(message)) {
                return entry;
            }
        }
    }

    fn signal(&self, name: &str) {
        let process = self.process.id().unwrap().to_string();
        assert!(std::process::Command::new("kill").args([name, &process]).status().unwrap().success());
    }

    async fn exit_code(&mut self) -> Option<i32> {
        timeout(PATIENCE, self.process.wait()).await.expect("the process ends").unwrap().code()
    }
}

/// What the doctor of a proxy finds behind the queue.
async fn look_through_a_proxy(emulator: &Emulator, folder: &Folder) -> String {
    let key = format!("backend.sqs.read_queue_url={}", emulator.queue_url("requests"));
    let output = output(&mut command(emulator, folder, &["doctor", "--set", &key])).await;
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    said(&output)
}

/// A proxy over HTTP in front of this queue, and the URL of its endpoint.
#[cfg(feature = "streamable-http-webhook")]
async fn serve(emulator: &Emulator, folder: &Folder, queue: &str) -> (Worker, String) {
    let key = format!("backend.sqs.read_queue_url={}", emulator.queue_url(queue));
    let arguments = ["serve", "--port", "0", "--set", &key];
    let mut process = command(emulator, folder, &arguments).stderr(Stdio::piped()).spawn().unwrap();
    let log = BufReader::new(process.stderr.take().unwrap()).lines();
    let mut proxy = Worker { process, log };
    let url = proxy.logged("listening").await["url"].as_str().unwrap().to_owned();
    (proxy, url)
}

fn emulator_queues(emulator: &Emulator) -> bool {
    emulator.depth("requests").is_some()
}

async fn other_queues(emulator: &Emulator) -> Vec<String> {
    let queues = emulator.client().list_queues().send().await.unwrap();
    queues.queue_urls().iter().filter(|url| !url.ends_with("/requests")).cloned().collect()
}

/// Waits until no process with this id is left.
async fn gone(process: &str) {
    let waiting = async {
        while Path::new("/proc").join(process).exists() {
            // allowed: nobody but its parent hears of another process's end
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, waiting).await.expect("the server ends");
}

async fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut response)).await.expect("a response").unwrap();
    response
}

#[tokio::test]
async fn a_worker_serves_a_command_and_leaves_nothing_behind() {
    let (emulator, folder) = (Emulator::start().await.unwrap(), Folder::new());
    emulator.create_queue("requests", &[]).unwrap();
    assert!(emulator_queues(&emulator));
    let mut worker =
        Worker::start(&emulator, &folder, &["--admin", "127.0.0.1:0", "--env", "OTHER=given"]).await;

    let found = look_through_a_proxy(&emulator, &folder).await;
    assert!(found.contains("\"shell\" 1 answered") && found.contains("1 tool"), "{found}");
    let [server] = <[Vec<String>; 1]>::try_from(folder.started()).unwrap();
    assert_eq!(server[1..], ["hush", "given"]);
    gone(&server[0]).await;
    assert_eq!(folder.ledgers().len(), 1);

    worker.signal("-TERM");
    assert_eq!(worker.exit_code().await, Some(0));
    assert_eq!(other_queues(&emulator).await, Vec::<String>::new());
}

/// One at a URL may still be starting.
#[tokio::test]
#[cfg(feature = "streamable-http-webhook")]
async fn a_worker_whose_url_nobody_serves_yet_says_so_before_a_client_asks() {
    let (emulator, folder) = (Emulator::start().await.unwrap(), Folder::new());
    emulator.create_queue("requests", &[]).unwrap();
    let queue = emulator.queue_url("requests");
    let arguments = ["worker", "--backend", "sqs", "--queue", &queue, "--upstream", "http://127.0.0.1:9/mcp"];
    let mut process = command(&emulator, &folder, &arguments).stderr(Stdio::piped()).spawn().unwrap();
    let log = BufReader::new(process.stderr.take().unwrap()).lines();
    let mut worker = Worker { process, log };
    worker.logged("the worker is running").await;
    let warning = worker.logged("the backend is not ready").await;
    assert_eq!(warning["level"], "WARN");
    assert!(warning["error"].as_str().unwrap().contains("127.0.0.1:9"), "{warning}");
    worker.signal("-TERM");
    assert_eq!(worker.exit_code().await, Some(0));
}

#[tokio::test]
async fn a_worker_can_be_looked_at() {
    let (emulator, folder) = (Emulator::start().await.unwrap(), Folder::new());
    emulator.create_queue("requests", &[]).unwrap();
    let queue = emulator.queue_url("requests");
    let server = folder.server();
    let mut arguments = vec!["worker", "--backend", "sqs", "--queue", &queue, "--admin", "127.0.0.1:0", "--"];
    arguments.extend(server.iter().map(String::as_str));
    let mut process = command(&emulator, &folder, &arguments).stderr(Stdio::piped()).spawn().unwrap();
    let log = BufReader::new(process.stderr.take().unwrap()).lines();
    let mut worker = Worker { process, log };
    let admin = worker.logged("health and metrics are served").await["address"].as_str().unwrap().to_owned();
    assert!(get(&admin, "/readyz").await.starts_with("HTTP/1.1 200"));
    let metrics = get(&admin, "/metrics").await;
    assert!(metrics.contains("mcp_proxy_build_info") && metrics.contains("mcp_worker_"), "{metrics}");
    assert!(get(&admin, "/mcp").await.starts_with("HTTP/1.1 404"));
    emulator.client().delete_queue().queue_url(&queue).send().await.unwrap();
    assert!(get(&admin, "/readyz").await.starts_with("HTTP/1.1 503"));
    worker.signal("-KILL");
}

#[tokio::test]
async fn a_killed_worker_takes_its_servers_along_and_comes_back_as_itself() {
    let (emulator, folder) = (Emulator::start().await.unwrap(), Folder::new());
    emulator.create_queue("requests", &[]).unwrap();
    let mut worker = Worker::start(&emulator, &folder, &[]).await;
    let own = other_queues(&emulator).await;
    assert_eq!(own.len(), 1, "{own:?}");
    // A client that stays.
    let key = format!("backend.sqs.read_queue_url={queue}", queue = emulator.queue_url("requests"));
    let mut client = command(&emulator, &folder, &["stdio", "--set", &key])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = client.stdin.take().unwrap();
    let mut answers = BufReader::new(client.stdout.take().unwrap()).lines();
    let initialize = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}"#;
    input.write_all(format!("{initialize}\n").as_bytes()).await.unwrap();
    let answer = timeout(PATIENCE, answers.next_line()).await.expect("an answer").unwrap().unwrap();
    assert!(answer.contains("\"shell\""), "{answer}");
    let [server] = <[Vec<String>; 1]>::try_from(folder.started()).unwrap();

    worker.signal("-KILL");
    assert_eq!(worker.exit_code().await, None);
    gone(&server[0]).await;

    let mut worker = Worker::start(&emulator, &folder, &[]).await;
    let with_proxy = other_queues(&emulator).await;
    assert!(with_proxy.contains(&own[0]), "{own:?} is taken over: {with_proxy:?}");
    assert_eq!(folder.ledgers().len(), 1);
    // What the client asks now is answered at once.
    let list = r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#;
    let initialized = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    input.write_all(format!("{initialized}\n{list}\n").as_bytes()).await.unwrap();
    let answer = timeout(PATIENCE, answers.next_line()).await.expect("an answer").unwrap().unwrap();
    assert!(answer.contains("session_gone"), "{answer}");
    worker.signal("-INT");
    assert_eq!(worker.exit_code().await, Some(0));
}

/// A worker over HTTP: what it runs is whatever a proxy before another worker serves.
#[tokio::test]
#[cfg(feature = "streamable-http-webhook")]
async fn a_worker_serves_a_url() {
    let (emulator, folder) = (Emulator::start().await.unwrap(), Folder::new());
    for queue in ["requests", "far-requests"] {
        emulator.create_queue(queue, &[]).unwrap();
    }
    let far = emulator.queue_url("far-requests");
    let server = folder.server();
    let mut arguments =
        vec!["worker", "--backend", "sqs", "--queue", &far, "--set", "intake.sqs.wait_time=1s", "--"];
    arguments.extend(server.iter().map(String::as_str));
    let _far = command(&emulator, &folder, &arguments).stderr(Stdio::null()).spawn().unwrap();
    let (_proxy, url) = serve(&emulator, &folder, "far-requests").await;

    let near = emulator.queue_url("requests");
    let arguments = [
        "worker",
        "--backend",
        "sqs",
        "--queue",
        &near,
        "--upstream",
        &url,
        "--set",
        "intake.sqs.wait_time=1s",
    ];
    let mut process = command(&emulator, &folder, &arguments).stderr(Stdio::piped()).spawn().unwrap();
    let log = BufReader::new(process.stderr.take().unwrap()).lines();
    let mut worker = Worker { process, log };
    assert_eq!(worker.logged("the worker is running").await["server"], url.as_str());
    let found = look_through_a_proxy(&emulator, &folder).await;
    assert!(found.contains("\"shell\" 1 answered") && found.contains("1 tool"), "{found}");
    assert_eq!(folder.ledgers().len(), 2);
    worker.signal("-TERM");
    assert_eq!(worker.exit_code().await, Some(0));
}

/// What there is to run is looked for as its sessions will do it, before anything is created.
#[tokio::test]
async fn a_worker_whose_server_is_not_there_does_not_start() {
    let (emulator, folder) = (Emulator::start().await.unwrap(), Folder::new());
    emulator.create_queue("requests", &[]).unwrap();
    let queue = emulator.queue_url("requests");
    let (script, nowhere) = (folder.path("server.sh"), folder.path("nowhere"));
    let directory = format!("worker.server.directory={nowhere}");
    let (hidden, path) = (format!("PATH={nowhere}"), std::env::var("PATH").unwrap());
    for (arguments, said_so) in [
        (
            vec!["--", "no-such-program", "sesame"],
            ["\"no-such-program\" is not on PATH", &*path, "worker.server.command"],
        ),
        (vec!["--env", &hidden, "--", "sh"], ["\"sh\" is not on PATH", &*nowhere, "worker.server.env"]),
        (vec!["--", &*script], ["is not executable", &*script, "worker.server.command"]),
        (vec!["--set", &*directory, "--", "sh"], ["does not exist", &*nowhere, "worker.server.directory"]),
    ] {
        let mut all = vec!["worker", "--backend", "sqs", "--queue", &queue];
        all.extend(&arguments);
        let output = output(&mut command(&emulator, &folder, &all)).await;
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        let log = said(&output);
        let last: Value = serde_json::from_str(log.lines().last().unwrap()).expect(&log);
        let error = last["error"].as_str().unwrap();
        for part in said_so {
            assert!(error.contains(part), "{part:?} in {error}");
        }
        assert!(!said(&output).contains("sesame"), "arguments may be secrets: {}", said(&output));
        assert_eq!(other_queues(&emulator).await, Vec::<String>::new());
    }
    // A file is looked at without the machine that it is for.
    let file = folder.path("worker.toml");
    let text =
        format!("[intake.sqs]\nqueue_url = {queue:?}\n[worker.server]\ncommand = [\"no-such-program\"]\n");
    std::fs::write(&file, text).unwrap();
    let checked =
        output(&mut command(&emulator, &folder, &["config", "check", "--worker", "--config", &file])).await;
    assert_eq!(checked.status.code(), Some(0), "{}", said(&checked));
}

#[tokio::test]
async fn the_doctor_looks_at_a_worker_before_there_is_one() {
    let (emulator, folder) = (Emulator::start().await.unwrap(), Folder::new());
    emulator.create_queue("requests", &[]).unwrap();
    let file = folder.path("worker.toml");
    let server = folder.server().map(|part| format!("{part:?}")).join(", ");
    let text = format!(
        "[intake.sqs]\nqueue_url = {:?}\n[worker.server]\ncommand = [{server}]\n",
        emulator.queue_url("requests")
    );
    std::fs::write(&file, &text).unwrap();
    let output_of = async |arguments: &[&str]| output(&mut command(&emulator, &folder, arguments)).await;
    let well = output_of(&["doctor", "--config", &file]).await;
    assert_eq!(well.status.code(), Some(0), "{}", said(&well));
    for line in ["valid, for a worker behind sqs", "ledger: ", "\"shell\" 1 answered", "tools/list: 1 tool"] {
        assert!(said(&well).contains(line), "{line:?} in {}", said(&well));
    }
    assert_eq!(folder.ledgers(), Vec::<PathBuf>::new());
    assert_eq!(other_queues(&emulator).await, Vec::<String>::new());

    std::fs::write(&file, text.replace("server.sh", "no-server.sh")).unwrap();
    let ill = output_of(&["doctor", "--config", &file, "--json"]).await;
    assert_eq!(ill.status.code(), Some(1), "{}", said(&ill));
    let report: Value = serde_json::from_slice(&ill.stdout).unwrap();
    let checks = report["checks"].as_array().unwrap();
    let initialize = checks.iter().find(|check| check["subject"] == "initialize").unwrap();
    assert_eq!(initialize["verdict"], "failed");
    assert!(initialize["remedy"].as_str().unwrap().contains("by hand"), "{initialize}");

    // A program that is not there, or a URL where nobody listens, is said to be at once.
    for (key, value, remedy) in [
        ("command", "[\"no-such-program\"]", "by hand"),
        #[cfg(feature = "streamable-http-webhook")]
        ("url", "\"http://127.0.0.1:1/mcp\"", "worker.server.url"),
    ] {
        let (before, _) = text.split_once("command").unwrap();
        std::fs::write(&file, format!("{before}{key} = {value}\n")).unwrap();
        let arguments = ["doctor", "--config", &file, "--json"];
        let ill =
            timeout(Duration::from_secs(20), output_of(&arguments)).await.expect("it is not waited for");
        let report: Value = serde_json::from_slice(&ill.stdout).unwrap();
        let checks = report["checks"].as_array().unwrap();
        let failed: Vec<&Value> = checks.iter().filter(|check| check["verdict"] == "failed").collect();
        assert_eq!(failed.len(), 1, "{report}");
        assert!(failed[0]["remedy"].as_str().unwrap().contains(remedy), "{report}");
    }
}

#[cfg(feature = "streamable-http-webhook")]
#[tokio::test]
async fn provision_makes_what_a_worker_needs() {
    let (emulator, folder) = (Emulator::start().await.unwrap(), Folder::new());
    let queue = format!("intake.sqs.queue_url={}", emulator.queue_url("requests"));
    let output = output(&mut command(
        &emulator,
        &folder,
        &["provision", "--worker", "--set", &queue, "--set", "worker.server.url=http://127.0.0.1:9/mcp"],
    ))
    .await;
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("The IAM policy of the worker"), "{}", said(&output));
    assert!(emulator_queues(&emulator));
}
