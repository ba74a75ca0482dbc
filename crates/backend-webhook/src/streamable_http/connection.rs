//! One HTTP/1.1 connection, driven by whoever reads from it.
//!
//! The usual way, a task of its own for each connection, costs a call two wake-ups of other tasks. Here the task that waits for
//! an answer is the one that the socket wakes.

use std::{
    fmt,
    future::poll_fn,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use hyper::{
    body::Incoming,
    client::conn::{TrySendError, http1},
};
use hyper_rustls::MaybeHttpsStream;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::pool::Pool;

/// What a connection is made over.
pub(super) type Io = MaybeHttpsStream<TokioIo<TcpStream>>;

/// A request on its way out; cheap to clone.
pub(super) type Outgoing = Request<Full<Bytes>>;

/// What reads and writes.
type Driver = Pin<Box<http1::Connection<Io, Full<Bytes>>>>;

/// A connection that carries one exchange at a time.
pub(super) struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    /// Does the reading and writing when it is polled; `None` once the connection has ended.
    driver: Option<Driver>,
}

impl Connection {
    pub(super) async fn new(io: Io) -> Result<Self, hyper::Error> {
        let (sender, driver) = http1::handshake(io).await?;
        let mut connection = Self { sender, driver: Some(Box::pin(driver)) };
        connection.look();
        Ok(connection)
    }

    /// Whether another request can go out on it: it is idle, and the server has not closed it.
    pub(super) fn is_usable(&mut self) -> bool {
        self.look();
        self.driver.is_some() && self.sender.is_ready()
    }

    /// Sends a request and waits for the head of its response. An error that still holds the request says that nothing of it was
    /// written.
    pub(super) async fn exchange(
        mut self,
        request: Outgoing,
        pool: &Arc<Pool>,
    ) -> Result<Response<ResponseBody>, TrySendError<Outgoing>> {
        let mut answered = pin!(self.sender.try_send_request(request));
        let driver = &mut self.driver;
        let response = poll_fn(|context| {
            drive(driver, context);
            answered.as_mut().poll(context)
        })
        .await?;
        Ok(response.map(|incoming| {
            let mut body = ResponseBody { incoming, connection: Some(self), pool: Arc::clone(pool) };
            if body.incoming.is_end_stream() {
                body.give_back();
            }
            body
        }))
    }

    /// Drives it as far as it goes without waiting.
    fn look(&mut self) {
        drive(&mut self.driver, &mut Context::from_waker(Waker::noop()));
    }
}

fn drive(driver: &mut Option<Driver>, context: &mut Context<'_>) {
    if let Some(connection) = driver
        && let Poll::Ready(ended) = connection.as_mut().poll(context)
    {
        if let Err(error) = ended {
            tracing::trace!(%error, "a connection to the server ended");
        }
        *driver = None;
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Connection").field("ended", &self.driver.is_none()).finish_non_exhaustive()
    }
}

/// A response's body, and the connection it comes over, which goes back into the pool once the body has been read to its end.
/// Dropping it earlier closes the connection, which is how a server learns that nobody reads any more.
#[derive(Debug)]
pub(super) struct ResponseBody {
    incoming: Incoming,
    connection: Option<Connection>,
    pool: Arc<Pool>,
}

impl ResponseBody {
    fn give_back(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.pool.put(connection);
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        let mut frame = Pin::new(&mut this.incoming).poll_frame(context);
        if frame.is_pending()
            && let Some(connection) = &mut this.connection
        {
            drive(&mut connection.driver, context);
            frame = Pin::new(&mut this.incoming).poll_frame(context);
        }
        let frame = ready!(frame);
        if frame.is_none() || this.incoming.is_end_stream() {
            this.give_back();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
