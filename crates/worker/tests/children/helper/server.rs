//! A server that does what the method of each request says.

use std::{
    env,
    ffi::OsString,
    fs::File,
    io::{self, BufRead as _, Write},
    process::{Command, ExitCode, Stdio},
    thread,
};

use serde_json::{Value, json};

/// Answers the lines of the standard input. `--silent`: none of them.
pub(crate) fn serve(arguments: &[OsString]) -> ExitCode {
    let is_silent = arguments.iter().any(|argument| argument == "--silent");
    for line in io::stdin().lock().lines() {
        let Ok(line) = line else { return ExitCode::FAILURE };
        let Ok(request) = serde_json::from_str::<Value>(&line) else { return ExitCode::FAILURE };
        if is_silent {
            continue;
        }
        if let Err(error) = take(&request) {
            drop(writeln!(io::stderr(), "{error}"));
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn take(request: &Value) -> io::Result<()> {
    let (id, params) = (&request["id"], &request["params"]);
    let count = usize::try_from(params["count"].as_u64().unwrap_or_default()).unwrap_or_default();
    match request["method"].as_str().unwrap_or_default() {
        "initialize" => answer(
            id,
            &json!({
                "protocolVersion": "2025-11-25",
                "capabilities": { "tools": {} },
                "serverInfo": { "name": "helper", "version": "1" },
            }),
        ),
        "echo" | "ping" => answer(id, params),
        "environment" => {
            let variables: Vec<String> = env::vars().map(|(name, value)| format!("{name}={value}")).collect();
            answer(id, &json!(variables))
        }
        "directory" => answer(id, &json!(env::current_dir()?)),
        "spawn" => {
            let pipe = File::options().write(true).open(params["pipe"].as_str().unwrap_or_default())?;
            quiet("sleep", "1000").stdout(pipe).spawn()?;
            answer(id, &json!({}))
        }
        "fork" => {
            for _ in 0..count {
                quiet("sleep", "1000").spawn()?;
            }
            answer(id, &json!({}))
        }
        "exit" => {
            answer(id, params)?;
            exit(0)
        }
        "crash" => {
            writeln!(io::stderr(), "first words\n\u{1b}[31mout of \u{7}cheese\u{1b}[0m\n")?;
            exit(3)
        }
        "abort" => std::process::abort(),
        "allocate" => {
            let held = vec![1_u8; count];
            // what is held is used, or it would not be allocated
            write(&format!("{}\n", held.len()))?;
            wait_to_be_killed()
        }
        "deaf" => {
            answer(id, &json!({}))?;
            wait_to_be_killed()
        }
        "garbage" => {
            write("Welcome to the server!\n{\"jsonrpc\":\"2.0\"\n\u{fffd}\n\n[]\n")?;
            answer(id, &json!({}))
        }
        "batch" => write(&format!(
            "[{},{}]\n",
            json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": { "level": "info", "data": 1 } }),
            json!({ "jsonrpc": "2.0", "id": id, "result": {} }),
        )),
        "big" => answer(id, &json!("x".repeat(count))),
        "ask_much" => write(&format!(
            "{}\n",
            json!({ "jsonrpc": "2.0", "id": "much", "method": "roots/list", "params": { "x": "x".repeat(count) } })
        )),
        "" if request["id"] == "much" => {
            let told = json!({ "level": "info", "data": request["error"] });
            write(&format!(
                "{}\n",
                json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": told })
            ))
        }
        _ => Ok(()),
    }
}

#[expect(clippy::exit, reason = "this is what a server does that has had enough")]
fn exit(code: i32) -> io::Result<()> {
    std::process::exit(code)
}

fn wait_to_be_killed() -> ! {
    loop {
        thread::park();
    }
}

fn quiet(program: &str, argument: &str) -> Command {
    let mut command = Command::new(program);
    command.arg(argument).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn answer(id: &Value, result: &Value) -> io::Result<()> {
    write(&format!("{}\n", json!({ "jsonrpc": "2.0", "id": id, "result": result })))
}

fn write(text: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    output.write_all(text.as_bytes())?;
    output.flush()
}
