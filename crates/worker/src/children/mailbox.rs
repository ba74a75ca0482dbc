//! What waits to be written into a server's input, and what becomes of it.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use proxy_core::{error::Delivery, lines::framed};
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    sync::{mpsc, oneshot},
    time::{Instant, timeout_at},
};

/// How many messages wait for a server that reads slowly. Whoever has more waits with them, and the core counts their bytes.
const QUEUED: usize = 16;

/// Nobody has begun to write it.
const WAITING: u8 = 0;
/// It is being written, or was.
const BEGUN: u8 = 1;
/// Whoever sent it does not wait any more.
const WITHDRAWN: u8 = 2;

/// The way into one server's input.
#[derive(Debug)]
pub(super) struct Mailbox {
    letters: mpsc::Sender<Letter>,
}

/// The other end.
#[derive(Debug)]
pub(super) struct Letters(mpsc::Receiver<Letter>);

/// A message to be written.
#[derive(Debug)]
struct Letter {
    text: String,
    state: Arc<AtomicU8>,
    written: oneshot::Sender<()>,
}

/// Why a message was not written, and whether part of it may have been.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unwritten {
    /// The server did not read for too long.
    Late(Delivery),
    /// The server is gone.
    Gone(Delivery),
}

/// A mailbox and what comes out of it.
pub(super) fn mailbox() -> (Mailbox, Letters) {
    let (letters, received) = mpsc::channel(QUEUED);
    (Mailbox { letters }, Letters(received))
}

impl Mailbox {
    /// Has a message written; resolves when it is. Messages are written in the order of their first polls.
    pub(super) async fn send(&self, text: String, deadline: Instant) -> Result<(), Unwritten> {
        let state = Arc::new(AtomicU8::new(WAITING));
        let (written, result) = oneshot::channel();
        let letter = Letter { text, state: Arc::clone(&state), written };
        match timeout_at(deadline, self.letters.send(letter)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err(Unwritten::Gone(Delivery::NotSent)),
            Err(_) => return Err(Unwritten::Late(Delivery::NotSent)),
        }
        match timeout_at(deadline, result).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Unwritten::Gone(delivery_of(&state))),
            Err(_) => Err(Unwritten::Late(delivery_of(&state))),
        }
    }
}

/// Whether any of a message may have been written; from now on none is if none was.
fn delivery_of(state: &AtomicU8) -> Delivery {
    match state.compare_exchange(WAITING, WITHDRAWN, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => Delivery::NotSent,
        Err(_) => Delivery::MaybeSent,
    }
}

impl Letters {
    /// Writes whatever comes, until the input takes no more.
    pub(super) async fn write_to(&mut self, input: &mut (dyn AsyncWrite + Send + Unpin)) -> io::Error {
        while let Some(letter) = self.0.recv().await {
            let begun =
                letter.state.compare_exchange(WAITING, BEGUN, Ordering::AcqRel, Ordering::Acquire).is_ok();
            if !begun {
                continue;
            }
            let written = async {
                input.write_all(&framed(letter.text)).await?;
                input.flush().await
            };
            if let Err(error) = written.await {
                return error;
            }
            // whoever does not wait any more has been told that it may have arrived
            letter.written.send(()).ok();
        }
        // the mailbox lives as long as what reads it
        io::ErrorKind::BrokenPipe.into()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, duplex};

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(1)
    }

    #[tokio::test]
    async fn messages_are_written_in_order_as_lines() {
        let (mailbox, mut letters) = mailbox();
        let (mut input, mut server) = duplex(1024);
        let sending = async {
            let (first, second) =
                tokio::join!(mailbox.send("{\n}".to_owned(), soon()), mailbox.send("[]".to_owned(), soon()));
            assert_eq!((first, second), (Ok(()), Ok(())));
        };
        tokio::select! {
            () = sending => {}
            error = letters.write_to(&mut input) => panic!("{error}"),
        }
        drop(input);
        let mut written = String::new();
        server.read_to_string(&mut written).await.unwrap();
        assert_eq!(written, "{}\n[]\n");
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_does_not_read_gets_some_of_one_message_and_none_of_the_next() {
        let (mailbox, mut letters) = mailbox();
        let (mut input, mut server) = duplex(4);
        let sending = async {
            let (begun, waiting) =
                tokio::join!(mailbox.send("x".repeat(10), soon()), mailbox.send("y".repeat(10), soon()));
            assert_eq!(begun, Err(Unwritten::Late(Delivery::MaybeSent)));
            assert_eq!(waiting, Err(Unwritten::Late(Delivery::NotSent)));
            // it reads again: what was begun is completed, what was given up is not written
            let mut read = vec![0; 13];
            let (third, length) =
                tokio::join!(mailbox.send("z".to_owned(), soon()), server.read_exact(&mut read));
            assert_eq!((third, length.unwrap()), (Ok(()), 13));
            assert_eq!(read, b"xxxxxxxxxx\nz\n");
        };
        tokio::select! {
            () = sending => {}
            error = letters.write_to(&mut input) => panic!("{error}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_holds_its_senders_until_their_deadline() {
        let (mailbox, _letters) = mailbox();
        let sends = (0..=QUEUED).map(|_| mailbox.send("x".to_owned(), soon()));
        for result in futures_util::future::join_all(sends).await {
            assert_eq!(result, Err(Unwritten::Late(Delivery::NotSent)));
        }
    }

    #[tokio::test]
    async fn what_waits_for_a_server_that_goes_was_not_sent() {
        let (mailbox, letters) = mailbox();
        let sending = mailbox.send("x".to_owned(), soon());
        let going = async { drop(letters) };
        let (result, ()) = tokio::join!(sending, going);
        assert_eq!(result, Err(Unwritten::Gone(Delivery::NotSent)));
        let late = mailbox.send("x".to_owned(), soon()).await;
        assert_eq!(late, Err(Unwritten::Gone(Delivery::NotSent)));
    }
}
