use super::*;

/// A worker's configuration that needs nothing else.
const WORKER: &str = "[intake.sqs]\nqueue_url = \"https://sqs.eu-central-1.amazonaws.com/1/requests\"\n\
                      [worker.server]\ncommand = [\"cat\"]\n";

#[test]
fn a_file_is_a_workers_where_it_has_no_backend() {
    assert_eq!(loaded(SQS, &[], &[]).role, Role::Proxy);
    assert_eq!(loaded(WORKER, &[], &[]).role, Role::Worker);
    let both = format!("{SQS}{WORKER}");
    let of_both = loaded(&both, &[], &[]);
    assert_eq!(of_both.role, Role::Proxy);
    assert_eq!(of_both.config.choose_intake().unwrap().name(), "sqs");
    // Nothing at all is a proxy's that lacks its backend.
    assert!(refused("", &[])[0].starts_with("backend is missing"));
}

#[test]
fn a_role_that_is_asked_for_needs_its_own_tables() {
    let folder = Folder::new();
    let as_role = |text: &str, role| {
        let inputs = Inputs { role: Some(role), file: Some(folder.file(text)), ..Inputs::default() };
        load(&inputs).map(|loaded| loaded.role).map_err(|refused| {
            refused.problems.iter().map(|finding| finding.problem.to_string()).collect::<Vec<_>>()
        })
    };
    assert_eq!(as_role(WORKER, Role::Worker), Ok(Role::Worker));
    assert!(as_role(WORKER, Role::Proxy).unwrap_err()[0].starts_with("backend is missing"));
    let problems = as_role(SQS, Role::Worker).unwrap_err();
    assert!(problems.iter().any(|problem| problem.starts_with("intake is missing")), "{problems:?}");
    assert!(
        problems.iter().any(|problem| problem.starts_with("worker.server.command is missing")),
        "{problems:?}"
    );
    // Where the proxy listens is no concern of the worker's.
    let open = format!("[server]\nhost = \"0.0.0.0\"\n{WORKER}");
    assert_eq!(as_role(&open, Role::Worker), Ok(Role::Worker));
}

#[test]
fn every_setting_of_the_worker_can_be_given_by_a_variable() {
    let loaded = loaded(
        WORKER,
        &[
            ("MCP_PROXY_WORKER__SOLE", "true"),
            ("MCP_PROXY_WORKER__REPLY_ALLOW", "https://a.example/*, https://b.example/*"),
            ("MCP_PROXY_WORKER__SERVER__MAX_MEMORY", "1MiB"),
            ("MCP_PROXY_WORKER__SERVER__ENV", r#"{"API_KEY": "0123"}"#),
            ("MCP_PROXY_WORKER__SERVER__COMMAND", r#"["npx", "-y", "server"]"#),
            ("MCP_PROXY_INTAKE__SQS__WAIT_TIME_SECONDS", "5"),
            ("MCP_PROXY_ADMIN__LISTEN", "127.0.0.1:9090"),
        ],
        &[],
    );
    let worker = loaded.config.worker.clone().unwrap();
    assert!(worker.sole);
    assert_eq!(worker.reply_allow, ["https://a.example/*", "https://b.example/*"]);
    assert_eq!(worker.server.max_memory, Some(1 << 20));
    assert_eq!(worker.server.env["API_KEY"].expose(), "0123");
    assert_eq!(worker.server.command, ["npx", "-y", "server"]);
    assert_eq!(loaded.config.intake.sqs.clone().unwrap().wait_time, Duration::from_secs(5));
    assert_eq!(loaded.config.admin.listen.unwrap().port(), 9090);
    assert_eq!(loaded.warnings, Vec::<String>::new());
    let shown: Vec<String> = loaded.settings.iter().map(ToString::to_string).collect();
    assert!(!shown.join("\n").contains("0123"), "{shown:?}");
}

#[test]
fn a_worker_is_told_everything_at_once() {
    let file =
        "sole = 1\n[worker]\nsoel = true\nserver = [\"npx\"]\n[intake.sqs]\nqueue = \"x\"\n[intake.kafka]\n";
    let problems = refused(file, &[]);
    for expected in [
        "worker.soel is not a known setting; did you mean worker.sole?",
        "worker.server is a list; write a table of settings",
        "intake.sqs.queue is not a known setting",
        "intake.sqs.queue_url is missing",
        "intake.kafka asks for the backend \"kafka\"",
        "sole is not a known setting; did you mean worker.sole?",
    ] {
        assert!(
            problems.iter().any(|problem| problem.starts_with(expected)),
            "{expected:?} in {problems:#?}"
        );
    }
    // A value under `env` may be a secret.
    let problems = refused(&format!("{WORKER}env = {{ KEY = [\"hush\"] }}\n"), &[]);
    assert!(!problems.join(" ").contains("hush"), "{problems:?}");
}

#[test]
#[cfg(feature = "snssqs")]
fn a_flag_without_a_table_means_the_intake_that_is_used() {
    let url = "https://sqs.eu-central-1.amazonaws.com/1/others";
    let read = loaded(WORKER, &[], &[("intake.*.queue", url)]);
    assert_eq!(read.config.intake.sqs.clone().unwrap().queue_url, url);
    let both = format!("backend_transport = \"sns_sqs\"\n[intake.sns-sqs]\nqueue_url = \"{url}\"\n{WORKER}");
    let read = loaded(&both, &[], &[("intake.*.queue", &format!("{url}-2"))]);
    assert!(read.config.intake.snssqs.clone().unwrap().queue_url.ends_with("others-2"));
    let refused = super::read(WORKER, &[], &[("intake.*.listen", "127.0.0.1:0")]).unwrap_err();
    assert!(refused.problems[0].to_string().contains("--queue URL"), "{:?}", refused.problems);
}

#[test]
#[cfg(not(feature = "streamable-http-webhook"))]
fn a_build_without_an_http_client_says_so() {
    let file = WORKER.replace("command = [\"cat\"]", "url = \"http://127.0.0.1:3000/mcp\"");
    let problems = refused(&file, &[]);
    assert!(
        problems[0].contains("worker.server.url") && problems[0].contains("streamable-http-webhook"),
        "{problems:?}"
    );
}
