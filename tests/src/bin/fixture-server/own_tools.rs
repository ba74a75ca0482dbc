//! The tools of our own end-to-end tests: who got what, how often something ran, what happens while it runs, and how a server
//! misbehaves that is a child process.

use std::{fs::OpenOptions, io::Write as _, process::Stdio, time::Duration};

use rmcp::{ErrorData, RoleServer, service::RequestContext};
use serde_json::{Value, json};
use tokio::{
    process::Command,
    time::{Instant, sleep, sleep_until},
};

use crate::{
    asking::{ask, elicit, elicited, log, progress, sample, tell},
    contents::text,
    server::{Fixture, count, counted, invalid},
    tools::{Failure, Outcome, text_of, tool},
};

pub(crate) fn listed() -> Vec<Value> {
    let (string, number) = (json!({"type": "string"}), json!({"type": "number"}));
    let seconds = json!({"type": "number", "default": 0});
    let listed = [
        ("echo", "Says it back", json!({"text": string})),
        ("whoami", "Names this MCP session: every session of the server has a name of its own", json!({})),
        (
            "slow",
            "Takes its time; reports progress every so many seconds (0: never). A key counts its start, end and cancellation",
            json!({"seconds": number, "progress_every": seconds, "key": {"type": "string", "default": ""}}),
        ),
        (
            "count",
            "Counts how often it ran with this key, in this process, and says the new count",
            json!({"key": string}),
        ),
        ("read_count", "Says a count without changing it", json!({"key": string})),
        ("fail_rpc", "Answers with a JSON-RPC error, after so many seconds", json!({"after": seconds})),
        ("big", "Returns a text of that many bytes", json!({"bytes": {"type": "integer"}})),
        (
            "log_and_progress",
            "Sends n log messages and n progress notifications, in turn",
            json!({"n": {"type": "integer"}}),
        ),
        ("ask_sampling", "Asks the client's model", json!({"prompt": string})),
        ("ask_elicitation", "Asks the user", json!({"message": string})),
        (
            "mixed",
            "Does everything at once for one owner, naming the owner in every message: a log message, progress, sampling and elicitation",
            json!({"owner": string}),
        ),
        ("list_roots", "Lists the client's roots", json!({})),
        (
            "touch",
            "Pretends that a resource changed: its subscriber, this session, is told",
            json!({"uri": string}),
        ),
        (
            "record",
            "Writes this key into the ledger, a line for each time that it runs, and takes its time then",
            json!({"key": string, "seconds": seconds}),
        ),
        ("process", "Says the id of its process", json!({})),
        ("leave_child", "Starts a process that outlives it, and says its id", json!({})),
        ("variables", "Lists the names of its environment variables", json!({})),
        ("folder", "Says in which folder it runs", json!({})),
        (
            "crash",
            "Says this on standard error and ends its process in mid-call",
            json!({"last_words": string}),
        ),
        ("hang", "Never answers, not even a cancellation", json!({})),
        ("hoard", "Takes so much memory, and keeps it", json!({"bytes": {"type": "integer"}})),
    ];
    listed.into_iter().map(|(name, description, properties)| tool(name, description, properties)).collect()
}

/// Runs one of these; `None` where it is none.
pub(crate) async fn call(
    fixture: &Fixture,
    name: &str,
    arguments: &Value,
    context: &RequestContext<RoleServer>,
) -> Option<Outcome> {
    let given = |name| text_of(arguments, name);
    let number = |name: &str| arguments[name].as_u64().unwrap_or_default();
    Some(match name {
        "echo" => said(given("text")),
        "whoami" => said(&fixture.name),
        "slow" => slow(arguments, context).await,
        "count" => said(count(given("key")).to_string()),
        "read_count" => said(counted(given("key")).to_string()),
        "fail_rpc" => fail_rpc(seconds(arguments, "after")).await,
        "big" => {
            let bytes = usize::try_from(number("bytes")).unwrap_or_default();
            said("0123456789abcdef".chars().cycle().take(bytes).collect::<String>())
        }
        "log_and_progress" => log_and_progress(fixture, number("n"), context).await,
        "ask_sampling" => sampled(context, given("prompt")).await,
        "ask_elicitation" => asked(context, given("message")).await,
        "mixed" => mixed(fixture, given("owner"), context).await,
        "list_roots" => list_roots(context).await,
        "touch" => touch(fixture, given("uri"), context).await,
        "record" => record(fixture, given("key"), seconds(arguments, "seconds")).await,
        "process" => said(std::process::id().to_string()),
        "leave_child" => leave_child(),
        "variables" => {
            let mut names: Vec<_> =
                std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned()).collect();
            names.sort();
            said(names.join(","))
        }
        "folder" => said(std::env::current_dir().unwrap_or_default().to_string_lossy()),
        "crash" => crash(given("last_words")),
        "hang" => std::future::pending().await,
        "hoard" => hoard(usize::try_from(number("bytes")).unwrap_or_default()),
        _ => return None,
    })
}

#[expect(clippy::unnecessary_wraps, reason = "what a tool returns that cannot fail")]
fn said(answer: impl Into<String>) -> Outcome {
    Ok(vec![text(answer)])
}

fn seconds(arguments: &Value, name: &str) -> Duration {
    Duration::from_secs_f64(arguments[name].as_f64().unwrap_or_default())
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::Result(error.to_string())
}

async fn slow(arguments: &Value, context: &RequestContext<RoleServer>) -> Outcome {
    let (all, every) = (seconds(arguments, "seconds"), seconds(arguments, "progress_every"));
    let key = text_of(arguments, "key");
    count(&format!("{key}:started"));
    let begin = Instant::now();
    let run = async {
        while begin.elapsed() < all {
            let next = if every.is_zero() { all } else { begin.elapsed() + every };
            sleep_until(begin + next.min(all)).await;
            if !every.is_zero() {
                progress(context, begin.elapsed().as_secs_f64(), Some(all.as_secs_f64()), None).await?;
            }
        }
        Ok::<_, ErrorData>(())
    };
    tokio::select! {
        ended = run => ended?,
        () = context.ct.cancelled() => {
            count(&format!("{key}:cancelled"));
            return Err(failed("cancelled"));
        }
    }
    count(&format!("{key}:finished"));
    said(format!("slept {} s", all.as_secs_f64()))
}

async fn fail_rpc(after: Duration) -> Outcome {
    sleep(after).await; // allowed: what the tool does
    Err(ErrorData::invalid_params("This call always fails", Some(json!({"why": "test"}))).into())
}

async fn log_and_progress(fixture: &Fixture, n: u64, context: &RequestContext<RoleServer>) -> Outcome {
    let total = u32::try_from(n).map_err(failed)?;
    for number in 1..=total {
        log(context, json!({"number": number, "session": fixture.name})).await?;
        let message = format!("{number} of {n}");
        progress(context, f64::from(number), Some(f64::from(total)), Some(&message)).await?;
    }
    said(format!("{n} of each"))
}

async fn sampled(context: &RequestContext<RoleServer>, prompt: &str) -> Outcome {
    said(sample(context, prompt).await?)
}

async fn asked(context: &RequestContext<RoleServer>, message: &str) -> Outcome {
    said(elicited(&elicit(context, message, json!({"answer": {"type": "string"}}), &["answer"]).await?))
}

async fn mixed(fixture: &Fixture, owner: &str, context: &RequestContext<RoleServer>) -> Outcome {
    log(context, json!({"owner": owner})).await?;
    progress(context, 1.0, Some(3.0), Some(owner)).await?;
    let sampled = sample(context, owner).await?;
    progress(context, 2.0, Some(3.0), Some(owner)).await?;
    let answer = elicit(context, owner, json!({"answer": {"type": "string"}}), &["answer"]).await?;
    progress(context, 3.0, Some(3.0), Some(owner)).await?;
    let given = answer.pointer("/content/answer").and_then(Value::as_str).unwrap_or("None");
    said([&fixture.name, owner, &sampled, given].join("|"))
}

async fn list_roots(context: &RequestContext<RoleServer>) -> Outcome {
    let roots = ask(context, "roots/list", json!({})).await?;
    let roots = roots["roots"].as_array().into_iter().flatten();
    said(roots.filter_map(|root| root["uri"].as_str()).collect::<Vec<_>>().join(","))
}

async fn touch(fixture: &Fixture, uri: &str, context: &RequestContext<RoleServer>) -> Outcome {
    if !fixture.is_subscribed(uri) {
        return said("not subscribed");
    }
    tell(context, "notifications/resources/updated", json!({"uri": uri})).await?;
    said("told")
}

/// The line is there before anything else happens, so that a second run is seen however this one ends.
async fn record(fixture: &Fixture, key: &str, takes: Duration) -> Outcome {
    let ledger = fixture.ledger.as_ref().ok_or_else(|| invalid("there is no ledger"))?;
    let mut file = OpenOptions::new().append(true).create(true).open(ledger).map_err(failed)?;
    file.write_all(format!("{key}\n").as_bytes()).map_err(failed)?;
    sleep(takes).await; // allowed: what the tool does
    said(key)
}

fn leave_child() -> Outcome {
    let mut command = Command::new("sleep");
    command.arg("1000").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let child = command.kill_on_drop(false).spawn().map_err(failed)?;
    said(child.id().unwrap_or_default().to_string())
}

#[expect(clippy::print_stderr, clippy::exit, reason = "this is how a server dies")]
fn crash(last_words: &str) -> Outcome {
    eprintln!("{last_words}");
    std::process::exit(3)
}

fn hoard(bytes: usize) -> Outcome {
    // touched, or it would not be taken
    let hoard: &'static mut [u8] = vec![1_u8; bytes].leak();
    said(hoard.len().to_string())
}
