//! The emulator, and an MCP server behind it that is as fast as SQS lets it be: it does nothing one message at a time.

mod server;

use std::{collections::BTreeMap, sync::Arc};

use anyhow::Result;
use serde::{Deserialize, Serialize};
use testkit::emulator::Emulator;
use tokio::task::JoinSet;

use self::server::Server;
use super::{asked::Asked, requests::SESSIONS};
use crate::part::say;

/// The access key that the server signs with, so that its calls are told apart.
const FAR_END_KEY: &str = "far-end";

/// How many receives the server has in flight: with one alone the processors would wait for it.
const RECEIVES: usize = 2;

/// What it says once it is ready.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ready {
    /// Where the emulator listens.
    pub(crate) endpoint: String,
    /// The URL of the queue that the server reads.
    pub(crate) requests: String,
    /// The ARN of the topic that this queue is subscribed to.
    pub(crate) request_topic: String,
    /// The ARN of the topic for answers.
    pub(crate) response_topic: String,
    /// The URL of the bare loop's own queue for answers, to which that topic's are filtered.
    pub(crate) bare_replies: String,
}

/// API calls so far: how often each action was called, by access key.
pub(crate) type ApiCalls = BTreeMap<String, BTreeMap<String, u64>>;

/// `is_served`: with the server; without it something else reads the queue.
pub(super) async fn run(is_served: bool) -> Result<()> {
    let emulator = Emulator::start().await?;
    let ready = set_up(&emulator)?;
    let server = Arc::new(Server::new(&ready.endpoint, FAR_END_KEY, &ready.requests));
    say(&ready)?;
    let mut tasks = JoinSet::new();
    for _ in 0..if is_served { RECEIVES } else { 0 } {
        tasks.spawn(Arc::clone(&server).run());
    }
    let mut asked = Asked::listen();
    loop {
        tokio::select! {
            Some(ended) = tasks.join_next() => return ended?,
            request = asked.next::<()>() => match request? {
                Some(()) => say(&api_calls(&emulator))?,
                None => return Ok(()),
            },
        }
    }
}

fn set_up(emulator: &Emulator) -> Result<Ready> {
    let requests = emulator.create_queue("requests", &[])?;
    let request_topic = emulator.create_topic("requests", &[])?;
    emulator.let_send(&[&request_topic], &requests)?;
    emulator.subscribe(&request_topic, &requests, true, None)?;
    let bare_replies = emulator.create_queue("bare-loop-replies", &[])?;
    let response_topic = emulator.create_topic("responses", &[])?;
    emulator.let_send(&[&response_topic], &bare_replies)?;
    let own = format!(r#"{{"SessionId":[{{"prefix":"{SESSIONS}"}}]}}"#);
    emulator.subscribe(&response_topic, &bare_replies, true, Some(&own))?;
    Ok(Ready { endpoint: emulator.endpoint_url(), requests, request_topic, response_topic, bare_replies })
}

fn api_calls(emulator: &Emulator) -> ApiCalls {
    let mut calls = ApiCalls::new();
    for (access_key, action, count) in emulator.calls().iter() {
        calls.entry(access_key.to_owned()).or_default().insert(action.to_owned(), count);
    }
    calls
}
