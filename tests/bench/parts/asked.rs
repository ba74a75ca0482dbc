//! What a part is asked: one JSON text a line on standard input.

use std::io;

use anyhow::Result;
use serde::de::DeserializeOwned;
use tokio::{sync::mpsc, task::JoinSet};

/// The requests of the process that started this part.
#[derive(Debug)]
pub(super) struct Asked {
    lines: mpsc::Receiver<String>,
    _reader: JoinSet<()>,
}

impl Asked {
    /// Begins to read. A thread of its own blocks on it: it costs nothing while nothing is asked.
    pub(super) fn listen() -> Self {
        let (sender, lines) = mpsc::channel(1);
        let mut reader = JoinSet::new();
        reader.spawn_blocking(move || {
            for line in io::stdin().lines().map_while(Result::ok) {
                if sender.blocking_send(line).is_err() {
                    break;
                }
            }
        });
        Self { lines, _reader: reader }
    }

    /// The next request; `None` once the process that asks has gone.
    pub(super) async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>> {
        Ok(match self.lines.recv().await {
            Some(line) => Some(serde_json::from_str(&line)?),
            None => None,
        })
    }

    /// Waits until the process that asks has gone, for parts that are asked nothing.
    pub(super) async fn closed(&mut self) {
        while self.lines.recv().await.is_some() {}
    }
}
