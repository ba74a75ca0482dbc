//! The client of a bare echo server: the bytes of an MCP call, without MCP.

use std::{net::SocketAddr, time::Duration};

use tokio::time::Instant;

use super::{
    LoadError,
    connection::Connection,
    mcp::{Template, write_call},
};

/// As long as a session id of the proxy, so that requests are of the same size.
const STAND_IN: &str = "0000000000000000000000";

/// One keep-alive connection to a server that answers with what it got.
#[derive(Debug)]
pub(super) struct EchoClient {
    connection: Connection,
    template: Template,
    sent: u64,
    body: Vec<u8>,
    request: Vec<u8>,
}

impl EchoClient {
    pub(super) async fn connect(address: SocketAddr) -> Result<Self, LoadError> {
        Ok(Self {
            connection: Connection::open(address).await?,
            template: Template::new(address, Some(STAND_IN)),
            sent: 0,
            body: Vec::new(),
            request: Vec::new(),
        })
    }

    pub(super) async fn call(&mut self) -> Result<Duration, LoadError> {
        self.sent += 1;
        write_call(&mut self.body, self.sent);
        self.template.post(&mut self.request, &self.body);
        let begin = Instant::now();
        let head = self.connection.exchange(&self.request).await?;
        let latency = begin.elapsed();
        self.connection.expect_status(&head, 200)?;
        if self.connection.body() == self.body {
            Ok(latency)
        } else {
            Err(LoadError::Answer("the echo is not what was sent".to_owned()))
        }
    }
}
