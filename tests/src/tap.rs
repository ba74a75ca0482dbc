//! A relay that keeps what a client sends through it.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Result;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// What each connection has sent so far.
type Sent = Arc<Mutex<Vec<Vec<u8>>>>;

/// A running relay on 127.0.0.1. It ends, with its connections, when it is dropped.
#[derive(Debug)]
pub struct Tap {
    address: SocketAddr,
    sent: Sent,
    _tasks: JoinSet<()>,
}

impl Tap {
    /// Starts it on a free port in front of `target`.
    pub async fn start(target: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let sent = Sent::default();
        let kept = Arc::clone(&sent);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(relay(client, target, Arc::clone(&kept)));
            }
        });
        Ok(Self { address, sent, _tasks: tasks })
    }

    /// `http://` and the address, as clients' `endpoint_url`.
    pub fn endpoint_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Everything that was sent, connection by connection.
    pub fn sent(&self) -> String {
        let sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.iter().map(|bytes| String::from_utf8_lossy(bytes) + "\n").collect()
    }
}

/// Relays one connection until both sides have ended it.
async fn relay(client: TcpStream, target: SocketAddr, sent: Sent) -> io::Result<()> {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = TcpStream::connect(target).await?.into_split();
    let connection = {
        let mut sent = sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.push(Vec::new());
        sent.len() - 1
    };
    let outwards = async {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let count = from_client.read(&mut buffer).await?;
            if count == 0 {
                return to_server.shutdown().await;
            }
            sent.lock().unwrap_or_else(PoisonError::into_inner)[connection]
                .extend_from_slice(&buffer[..count]);
            to_server.write_all(&buffer[..count]).await?;
        }
    };
    let back = async {
        tokio::io::copy(&mut from_server, &mut to_client).await?;
        to_client.shutdown().await
    };
    tokio::try_join!(outwards, back).map(drop)
}
