//! What an intake's own tests have to bring.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use proxy_core::{ReplyAddress, id::InstanceId, intake::Intake};

/// Builds what the rules are tried on.
#[async_trait]
pub trait IntakeTarget: Send + Sync {
    /// An intake of this instance over a fresh transport, and the transport's other side. [`Intake::run`] is not called yet.
    async fn connect(&self, instance: InstanceId) -> IntakeConnection;

    /// Whether the transport keeps a message until it is acknowledged and gives it out again otherwise, as a queue does. Default
    /// `true`; `false` where a client is told at once and nothing is kept.
    fn keeps_messages(&self) -> bool {
        true
    }

    /// How long the transport hides a message that is in hand, where nobody extends it. Default 2 s, which the rule that holds one
    /// longer waits out; only asked where messages are kept.
    fn visibility(&self) -> Duration {
        Duration::from_secs(2)
    }

    /// Whether an `initialize` can propose the session's id. Default `true`.
    fn takes_proposals(&self) -> bool {
        true
    }

    /// Whether a request is answered by the response that it opened, so that no address is asked of it. Default `false`.
    fn answers_by_response(&self) -> bool {
        false
    }

    /// The largest message in bytes that both ways carry, where that is less than the intake's limit or the other side is the one
    /// that takes no more. Default 1 MiB; never more than the intake's own limit is tried.
    fn largest_message(&self) -> usize {
        1024 * 1024
    }
}

/// An intake, and the transport's other side.
pub struct IntakeConnection {
    /// The intake.
    pub intake: Arc<dyn Intake>,
    /// The other side.
    pub client_side: Box<dyn ClientSide>,
}

impl fmt::Debug for IntakeConnection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("IntakeConnection").field("intake", &self.intake).finish_non_exhaustive()
    }
}

/// The clients of a transport.
#[async_trait]
pub trait ClientSide: Send {
    /// An address that answers can be asked to.
    async fn address(&mut self, place: Place) -> ReplyAddress;

    /// Sends something as a client does. Returns when the transport has it, or once it is on its way: what is sent later arrives
    /// later. An `initialize` names [`Envelope::reply`] in its message where the transport's clients do that.
    async fn put(&mut self, envelope: Envelope);

    /// Waits for the next message that came back to any client, wherever, and takes it.
    async fn receive(&mut self) -> Received;

    /// Waits for what the transport's own response said to the next of the messages that were put and not yet asked about; `None`
    /// where nothing is said.
    async fn receipt(&mut self) -> Option<Told>;

    /// Ends a session, as our own proxy does. `false` where the transport cannot say that.
    async fn end(&mut self, session: &str) -> bool;

    /// How many messages are not acknowledged, those that are hidden for a while included; 0 where none are kept.
    async fn unacknowledged(&mut self) -> usize;

    /// What is in the dead-letter place; `None` where there is none.
    async fn dead_letters(&mut self) -> Option<Vec<DeadLetter>> {
        None
    }

    /// Gives out at once what is in hand, as a transport does that delivers at least once. `false` where that cannot be done.
    async fn redeliver(&mut self) -> bool {
        false
    }

    /// Another worker on the same transport, with an address of its own. `None` where a worker never has one.
    async fn another_worker(&mut self) -> Option<AnotherWorker> {
        None
    }

    /// The address of a worker that is no more. `None` where a worker never has one.
    async fn gone_owner(&mut self) -> Option<String> {
        None
    }

    /// Takes the transport down: from now on nothing can be sent back, and every attempt certainly sends nothing. `false` where
    /// that cannot be done.
    async fn go_down(&mut self) -> bool {
        false
    }
}

/// A place that answers can be asked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A client's.
    First,
    /// Another client's.
    Second,
    /// One that is not there any more. The other side does not read it.
    Vanished,
}

/// Something that a client sends.
#[derive(Debug, Clone, Default)]
pub struct Envelope {
    /// The address of the worker that it is for alone; `None`: the one that all read.
    pub owner: Option<String>,
    /// The session that the envelope names; on an `initialize` the proposed one.
    pub session: Option<String>,
    /// The client that the envelope names.
    pub client_id: Option<String>,
    /// The revision that the envelope names.
    pub version: Option<String>,
    /// Where an `initialize` asks its answers to, in the words of clients that know nothing of our extensions.
    pub reply: Option<ReplyAddress>,
    /// What stands where our own proxy puts what it says beside the message.
    pub context: Option<String>,
    /// What should be a JSON text.
    pub body: String,
}

/// What came back to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Where it came to; `None` where it came on a response that some request had opened.
    pub place: Option<ReplyAddress>,
    /// The session that the envelope names.
    pub session: Option<String>,
    /// What our own worker says beside it.
    pub context: Option<String>,
    /// The JSON text.
    pub body: String,
}

/// What a client was told at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// It was taken, under this session where one is named.
    Taken(Option<String>),
    /// It was not.
    Refused,
}

/// What is out of the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// What should be a JSON text.
    pub body: String,
    /// Why it is here.
    pub reason: Option<String>,
}

/// A worker beside the one under test.
#[derive(Debug)]
pub struct AnotherWorker {
    /// Its instance.
    pub instance: InstanceId,
    /// Its intake, which names an owner.
    pub intake: Arc<dyn Intake>,
}
