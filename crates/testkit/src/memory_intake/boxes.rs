//! Where clients' answers go: one bounded box an address.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use proxy_core::{
    ReplyAddress,
    error::{BackendError, ErrorKind},
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use crate::intake_contract::Received;

/// What the addresses of clients begin with.
pub(super) const PREFIX: &str = "https://sqs.memory.test/000000000000/replies-";

/// How many messages wait for a client before `reply` waits for it.
const CAPACITY: usize = 10_000;

#[derive(Debug, Default)]
pub(super) struct Boxes {
    open: Mutex<BTreeMap<Box<str>, mpsc::Sender<Received>>>,
    is_down: AtomicBool,
}

impl Boxes {
    /// A box under an address of its own.
    pub(super) fn open(&self) -> (ReplyAddress, mpsc::Receiver<Received>) {
        let (sender, receiver) = mpsc::channel(CAPACITY);
        let mut open = self.lock();
        let url: Box<str> = format!("{PREFIX}{}", open.len()).into();
        open.insert(url.clone(), sender);
        (ReplyAddress::Sqs(url), receiver)
    }

    /// Puts a message into the box that it names.
    pub(super) async fn put(&self, received: Received, deadline: Instant) -> Result<(), BackendError> {
        if self.is_down.load(Ordering::Relaxed) {
            sleep_until(deadline).await;
            return Err(BackendError::new(ErrorKind::Unavailable, "reply", "the transport is down"));
        }
        let sender = match &received.place {
            Some(ReplyAddress::Sqs(url)) => self.lock().get(url).cloned(),
            _ => None,
        };
        let gone = || BackendError::new(ErrorKind::Config, "reply", "the reply queue does not exist");
        sender.ok_or_else(gone)?.send(received).await.map_err(|_| gone())
    }

    pub(super) fn go_down(&self) {
        self.is_down.store(true, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Box<str>, mpsc::Sender<Received>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
