//! A TCP relay in front of any address, whose way can be cut, restored and silenced at any moment.
//!
//! An outage is played here rather than by stopping what lies behind: that keeps its state, and clients see exactly
//! what a network does to them.

#[cfg(test)]
mod tests;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What the relay does to connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Bytes pass.
    Open,
    /// Connections are reset, and new ones reset as soon as they are accepted.
    Cut,
    /// Connections are reset, and new ones refused.
    Refused,
    /// Connections stay and are accepted, but no byte passes; what comes in is swallowed.
    Hung,
}

/// The relay's way, and how often it was cut: a connection belongs to the time before or after a cut.
#[derive(Clone, Copy, Debug)]
struct State {
    way: Way,
    cuts: usize,
}

/// A running relay on 127.0.0.1. It ends, with its connections, when it is dropped.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    state: watch::Sender<State>,
    is_listening: watch::Receiver<bool>,
    open: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Relay {
    /// Starts on a free port in front of `target`, with the way open.
    ///
    /// # Errors
    ///
    /// When no port can be bound.
    pub async fn start(target: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (state, watcher) = watch::channel(State { way: Way::Open, cuts: 0 });
        let (listening, is_listening) = watch::channel(true);
        let open = Arc::new(AtomicUsize::new(0));
        let port = Port { address, target, state: watcher, listening, open: Arc::clone(&open) };
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            if let Err(error) = port.run(listener).await {
                tracing::error!(%error, "relay has ended");
            }
        });
        Ok(Self { address, state, is_listening, open, _tasks: tasks })
    }

    /// Where clients connect to.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// `http://` and the address, as clients' `endpoint_url`.
    pub fn endpoint_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Cuts the way: connections are reset at once, and new ones as soon as they are made.
    ///
    /// A client cannot know whether what it sent has arrived.
    pub fn cut(&self) {
        self.state.send_modify(|state| *state = State { way: Way::Cut, cuts: state.cuts + 1 });
    }

    /// Cuts the way: connections are reset at once, and new ones refused, from when this returns.
    ///
    /// A client that is refused knows that nothing has arrived.
    ///
    /// # Errors
    ///
    /// When another process took the port in the meantime.
    pub async fn refuse(&self) -> io::Result<()> {
        self.state.send_modify(|state| *state = State { way: Way::Refused, cuts: state.cuts + 1 });
        self.wait_for_listening(false).await
    }

    /// Silences the way: connections stay open and new ones are accepted, but what they carry is swallowed.
    ///
    /// What was swallowed is gone, so [`Relay::restore`] resets the connections that were silenced.
    pub fn hang(&self) {
        self.state.send_modify(|state| state.way = Way::Hung);
    }

    /// Opens the way again, for new connections.
    ///
    /// # Errors
    ///
    /// When the relay could not listen again after [`Relay::refuse`].
    pub async fn restore(&self) -> io::Result<()> {
        self.state.send_modify(|state| {
            let cuts = state.cuts + usize::from(state.way == Way::Hung);
            *state = State { way: Way::Open, cuts };
        });
        self.wait_for_listening(true).await
    }

    /// How many connections are open through the relay now, silenced ones included.
    pub fn connections(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    async fn wait_for_listening(&self, wanted: bool) -> io::Result<()> {
        let mut is_listening = self.is_listening.clone();
        let result = is_listening.wait_for(|is_listening| *is_listening == wanted).await;
        result.map(drop).map_err(io::Error::other)
    }
}

/// The port that clients connect to.
struct Port {
    address: SocketAddr,
    target: SocketAddr,
    state: watch::Receiver<State>,
    listening: watch::Sender<bool>,
    open: Arc<AtomicUsize>,
}

impl Port {
    /// Listens, but for the times when connections are to be refused.
    async fn run(mut self, mut listener: TcpListener) -> io::Result<()> {
        let mut connections = JoinSet::new();
        loop {
            self.accept(&listener, &mut connections).await;
            drop(listener);
            // A bound socket that does not listen keeps the port and refuses connections.
            let reserved = TcpSocket::new_v4()?;
            reserved.set_reuseaddr(true)?;
            reserved.bind(self.address)?;
            self.listening.send_replace(false);
            if self.state.wait_for(|state| state.way != Way::Refused).await.is_err() {
                return Ok(());
            }
            listener = reserved.listen(1024)?;
            self.listening.send_replace(true);
        }
    }

    /// Accepts connections until they are to be refused.
    async fn accept(&self, listener: &TcpListener, connections: &mut JoinSet<()>) {
        let mut state = self.state.clone();
        loop {
            tokio::select! {
                _ = state.wait_for(|state| state.way == Way::Refused) => return,
                accepted = listener.accept() => match accepted {
                    Ok((client, _)) => {
                        let counted = Counted::new(Arc::clone(&self.open));
                        connections.spawn(relay(client, self.target, self.state.clone(), counted));
                    }
                    Err(error) => tracing::warn!(%error, "relay cannot accept a connection"),
                },
                Some(_) = connections.join_next() => {}
            }
        }
    }
}

/// Relays one connection until either side ends it or the way is cut.
async fn relay(client: TcpStream, target: SocketAddr, mut state: watch::Receiver<State>, _counted: Counted) {
    let State { way, cuts } = *state.borrow_and_update();
    if matches!(way, Way::Cut | Way::Refused) {
        return reset(&client);
    }
    let server = match TcpStream::connect(target).await {
        Ok(server) => server,
        Err(error) => {
            tracing::debug!(%error, "relay cannot reach its target");
            return reset(&client);
        }
    };
    for stream in [&client, &server] {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot turn off Nagle's algorithm");
        }
    }
    let (mut client, mut server) = (client, server);
    let cut = state.clone();
    let is_cut = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        tokio::select! {
            () = wait_for_cut(cut, cuts) => true,
            () = async {
                tokio::join!(
                    copy(from_client, to_server, state.clone()),
                    copy(from_server, to_client, state.clone()),
                );
            } => false,
        }
    };
    if is_cut {
        reset(&client);
        reset(&server);
    }
}

/// Resolves when the way was cut since the connection was made, or the relay is gone.
async fn wait_for_cut(mut state: watch::Receiver<State>, cuts: usize) {
    if state.wait_for(|state| state.cuts > cuts).await.is_err() {
        tracing::debug!("relay is gone");
    }
}

/// Copies one direction; bytes that arrive while the way is hung are swallowed.
async fn copy(
    mut from: impl tokio::io::AsyncRead + Unpin,
    mut to: impl tokio::io::AsyncWrite + Unpin,
    state: watch::Receiver<State>,
) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let count = match from.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(count) => count,
        };
        if state.borrow().way == Way::Open && to.write_all(&buffer[..count]).await.is_err() {
            break;
        }
    }
    if state.borrow().way == Way::Open && to.shutdown().await.is_err() {
        tracing::debug!("relayed connection was already closed");
    }
}

/// Lets the connection end, once it is dropped, with a reset instead of an orderly close.
fn reset(stream: &TcpStream) {
    if let Err(error) = stream.set_zero_linger() {
        tracing::debug!(%error, "cannot reset a connection, closing it instead");
    }
}

/// Counts a connection while it lives.
#[derive(Debug)]
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(open: Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::AcqRel);
        Self(open)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
