//! Everything that the tests of child servers have running beside them: the worker's two helper commands, a server that misbehaves on
//! demand, and a worker to be killed.

mod server;

use std::{
    env,
    ffi::OsString,
    io::{self, Write as _},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use prometheus_client::registry::Registry;
use proxy_core::{
    backend::{Backend as _, Context, Disposition, Event, Inbound, Inbox, Outbound, Remote, Settlement},
    id::{InstanceId, RouteKey, WireId},
    message::Message,
};
use tokio::{sync::mpsc, time::Instant};
use worker::children::{Children, ChildrenParts, Launcher, ServerConfig, launch, watch};

fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1);
    match arguments.next().as_ref().and_then(|mode| mode.to_str()) {
        Some("launch") => launch(arguments),
        Some("watch") => watch(),
        Some("serve") => server::serve(&arguments.collect::<Vec<_>>()),
        Some("work") => work(arguments.next().unwrap_or_default()),
        _ => ExitCode::FAILURE,
    }
}

/// A worker with one session, whose server has started something that holds this pipe. Says so, and then waits to be killed.
fn work(pipe: OsString) -> ExitCode {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return ExitCode::FAILURE;
    };
    runtime.block_on(async {
        match start(pipe).await {
            Some(_children) => std::future::pending().await,
            None => ExitCode::FAILURE,
        }
    })
}

async fn start(pipe: OsString) -> Option<Children> {
    let program = env::current_exe().ok()?;
    let (deliver, mut delivered) = mpsc::channel(16);
    let parts = ChildrenParts {
        inbox: Arc::new(Answers(deliver)),
        launcher: Launcher::of_this_program(["launch"], ["watch"]).ok()?,
        registry: &mut Registry::default(),
    };
    let config = ServerConfig::new([program.to_str()?, "serve"]);
    let children = Children::new(&config, parts).ok()?;
    let route = RouteKey::random(&InstanceId::random());
    let pipe = serde_json::Value::from(pipe.to_str()?);
    for (number, method) in ["initialize", "spawn"].into_iter().enumerate() {
        let number = u64::try_from(number).ok()?;
        let about = WireId::new(route.clone(), number);
        let text =
            format!(r#"{{"jsonrpc":"2.0","id":"{about}","method":"{method}","params":{{"pipe":{pipe}}}}}"#);
        let outbound = Outbound {
            remote: Remote { route: route.clone(), peer: None },
            about: Some(about),
            number,
            context: Context { version: None, deadline: Instant::now() + Duration::from_secs(10) },
            message: Message::parse(text).ok()?,
        };
        children.send(outbound).await.ok()?;
        delivered.recv().await?;
    }
    writeln!(io::stdout(), "ready").ok()?;
    Some(children)
}

/// Notes that something came.
#[derive(Debug)]
struct Answers(mpsc::Sender<()>);

impl Inbox for Answers {
    fn deliver(&self, inbound: Inbound) -> Settlement {
        let accepted = matches!(inbound.event, Event::Message(_)) && self.0.try_send(()).is_ok();
        Settlement::Now(if accepted { Disposition::Accepted } else { Disposition::Unroutable })
    }
}
