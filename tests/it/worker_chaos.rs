//! The worker, a server of it, or the proxy is killed in the middle of traffic, again and again: no call is answered twice, none runs
//! twice, none is left pending, and nothing stays behind.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use e2e::{
    http::{Session, call, messages, text},
    kind::Reached,
    process::{gone, kill},
    proxy::Proxy,
    worker::{Intake, Server, Settings, Worker},
    world,
};
use serde_json::json;
use tempfile::TempDir;
use testkit::emulator::Emulator;
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

/// What a request may take, which is what a message may stay hidden several times over.
const LIMITS: &str = "[session]\nrequest_timeout = 10\nrequest_timeout_max = 20\n";

/// When a call must have ended, however that is: its timeout, and what a busy machine takes.
const DEADLINE: Duration = Duration::from_secs(40);

/// Calls at once, in each of the sessions.
const CALLS: usize = 6;
const SESSIONS: usize = 2;

/// Who is killed.
#[derive(Debug, Clone, Copy)]
enum Victim {
    Worker,
    Server,
    Proxy,
}

struct Chaos {
    emulator: Emulator,
    worker: Worker,
    proxy: Proxy,
    folder: TempDir,
    random: fastrand::Rng,
    /// The servers that were started.
    servers: BTreeSet<String>,
    /// The calls that were answered by their result.
    answered: BTreeSet<String>,
}

/// 10 rounds, or as many as `WORKER_ROUNDS` says.
#[tokio::test]
async fn nothing_runs_twice_whoever_is_killed() -> Result<()> {
    let rounds = std::env::var("WORKER_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(10);
    let mut chaos = Chaos::start().await?;
    for round in 0..rounds {
        let victim = [Victim::Worker, Victim::Server, Victim::Proxy][round % 3];
        chaos = chaos.round(round, victim).await.with_context(|| format!("round {round}, {victim:?}"))?;
    }
    chaos.finish().await
}

impl Chaos {
    async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let emulator = Emulator::start().await?;
        let (requests, responses) = world::queues(&emulator)?;
        let ledger = folder.path().join("runs");
        std::fs::write(&ledger, "")?;
        let (server, _none) = Server::fixture_reached(Reached::Stdio, Some(&ledger)).await?;
        let intake = Intake::Sqs { endpoint: emulator.endpoint_url(), queue: requests.clone() };
        let settings = Settings {
            more_intake: "visibility_timeout = 2\n".to_owned(),
            more: format!("session_timeout = \"20s\"\n{LIMITS}"),
            ..Settings::new(intake, server)
        };
        let worker = Worker::start(&settings).await?;
        let proxy = Proxy::start(world::settings(&emulator, &requests, &responses, LIMITS)).await?;
        let seed = std::env::var("WORKER_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
        Ok(Self {
            emulator,
            worker,
            proxy,
            folder,
            random: fastrand::Rng::with_seed(seed),
            servers: BTreeSet::new(),
            answered: BTreeSet::new(),
        })
    }

    /// Calls under way, one killed, everyone's calls ended, and the dead one started again.
    async fn round(mut self, round: usize, victim: Victim) -> Result<Self> {
        let (url, mut sessions) = (self.proxy.url(), Vec::new());
        for _ in 0..SESSIONS {
            let opened = timeout(DEADLINE, Session::open(&url, "2025-11-25")).await;
            let opened = opened.map_err(anyhow::Error::from).flatten();
            sessions.push(opened.with_context(|| {
                format!("a session is not opened; the worker's log:\n{}", last_lines(&self.worker.log()))
            })?);
        }
        let mut servers = Vec::new();
        for session in &sessions {
            let answer = session.answer(json!("process"), "process", json!({})).await?;
            servers.push(text(&answer).with_context(|| format!("no id: {answer}"))?.to_owned());
        }
        self.servers.extend(servers.iter().cloned());
        let mut calls = JoinSet::new();
        for (index, session) in sessions.iter().enumerate() {
            for number in 0..CALLS {
                let (session, key) = (session.clone(), format!("{round}/{index}/{number}"));
                let seconds = self.random.f64() * 0.6;
                calls.spawn(async move {
                    let ended = timeout(DEADLINE, one_call(&session, &key, seconds)).await;
                    (key, ended)
                });
            }
        }
        sleep(Duration::from_millis(self.random.u64(0..700))).await; // allowed: a random point of time
        self = self.strike(victim, &servers[0]).await?;
        while let Some(ended) = calls.join_next().await {
            let (key, ended) = ended?;
            let was_answered = ended.with_context(|| format!("{key} is pending past its deadline"))??;
            if was_answered {
                self.answered.insert(key);
            }
        }
        self.nothing_ran_twice()?;
        for session in sessions {
            // one that is gone says so; the proxy forgets the others, and their servers end
            session.delete().send().await.ok();
        }
        Ok(self)
    }

    async fn strike(mut self, victim: Victim, server: &str) -> Result<Self> {
        match victim {
            Victim::Worker => {
                self.worker.kill().await?;
                self.worker = self.worker.start_again().await?;
            }
            Victim::Server => kill(server).await?,
            Victim::Proxy => self.proxy = self.proxy.crash_and_restart().await?,
        }
        Ok(self)
    }

    /// The tool's own ledger has a line for each time that it ran.
    fn nothing_ran_twice(&self) -> Result<()> {
        let ledger = std::fs::read_to_string(self.folder.path().join("runs"))?;
        let mut runs = BTreeMap::new();
        for key in ledger.lines() {
            *runs.entry(key).or_insert(0) += 1;
        }
        let twice: Vec<_> = runs.iter().filter(|(_, count)| **count > 1).collect();
        ensure!(twice.is_empty(), "these ran more than once: {twice:?}");
        let unheard: Vec<_> = self.answered.iter().filter(|key| !runs.contains_key(key.as_str())).collect();
        ensure!(unheard.is_empty(), "these were answered and never ran: {unheard:?}");
        Ok(())
    }

    async fn finish(self) -> Result<()> {
        self.nothing_ran_twice()?;
        self.proxy.stop().await?;
        self.worker.stop().await?;
        for server in &self.servers {
            gone(server).await?;
        }
        let queues = self.emulator.client().list_queues().send().await?;
        ensure!(queues.queue_urls().len() == 2, "queues are left over: {:?}", queues.queue_urls());
        ensure!(!self.answered.is_empty(), "no call was answered at all");
        Ok(())
    }
}

/// What is of interest of a log.
fn last_lines(log: &str) -> String {
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(60)..].join("\n")
}

/// Whether it was answered by its result. An error ends it too, and so does the end of the connection.
async fn one_call(session: &Session, key: &str, seconds: f64) -> Result<bool> {
    let request = call(json!(key), "record", json!({"key": key, "seconds": seconds}));
    let Ok(response) = session.post().json(&request).send().await else { return Ok(false) };
    if !response.status().is_success() {
        return Ok(false);
    }
    let Ok(came) = messages(response).await else { return Ok(false) };
    let answers: Vec<_> = came.iter().filter(|message| message["id"] == key).collect();
    ensure!(answers.len() <= 1, "{key} was answered more than once: {answers:?}");
    Ok(answers.iter().any(|answer| text(answer) == Some(key)))
}
