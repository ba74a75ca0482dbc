//! An emulator of SQS, SNS and a little of STS and S3 in this process: on one port of 127.0.0.1, with AWS's limits and with
//! faults on demand.
//!
//! It speaks what the AWS SDKs and boto3 speak: JSON for SQS, the Query protocol for SNS (topics, subscriptions of queues,
//! publishing) and for STS's `GetCallerIdentity`, and REST for the objects of S3, by path. Rules and errors are those of AWS's documentation; the tests name the
//! pages.
//!
//! It differs from AWS
//!
//! - where AWS is distributed: messages come once and in order, queues and topics exist at once, attributes and policies
//!   change at once, and so do filter policies unless [`Emulator::hold_filters`] says otherwise;
//! - in what it has not: subscriptions of anything but queues, filters on the body, `$or` and IP addresses in filters, a
//!   subscription's own dead-letter queue and retries (a copy that a queue does not take is lost at once), archives of FIFO
//!   topics, encryption (a key is stored; that SNS cannot use `alias/aws/sqs` is known), other accounts and regions;
//! - in whom it believes: signatures are not verified, callers may do everything but what [`Emulator::deny`] denies, and
//!   a topic's policy is stored and not asked, a queue's is asked when SNS delivers;
//! - where AWS says nothing: a message with characters that SQS refuses is published, arrives in envelopes, which escape
//!   them, and is lost where delivery is raw; a message from a FIFO topic keeps its group in a standard queue; a dead letter
//!   whose queue is gone is lost.
//!
//! It is our own, small, because the crates that exist were in the way of the tests: rustack 0.12 takes no message over
//! 256 KiB (AWS: 1 MiB), no message group on a standard queue, no attributes on a topic with a raw subscription, loses
//! the tags of `CreateQueue`, does not know `prefix.*` attribute names, shows expired messages late, and answers
//! `VisibilityTimeout=-1` with a queue that is dead from then on; awsim counts receives and orders FIFO groups wrongly.
//! moto remains the second opinion, though it takes empty messages and batches, ids that are none, and policies that are
//! not JSON (by failing), and sends without the queue's leave.

mod account;
mod api;
mod call;
mod calls;
mod client;
mod error;
mod faults;
mod http;
mod query;
mod s3;
mod sns;
mod sqs;
mod sts;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::timeout;

use account::Account;
use calls::Recorder;
pub use calls::{Calls, Use};
pub use client::{client_for, sns_client_for};
pub use error::ServiceError;
pub use faults::Failure;
use http::Service;
pub use sqs::queue::Depth;

/// The access key id of [`Emulator::client`].
const TEST_ACCESS_KEY: &str = "test";

/// How long a stop waits for clients that are in the middle of a request.
const STOP_GRACE: Duration = Duration::from_secs(1);

/// A running emulator. It stops when it is dropped.
#[derive(Debug)]
pub struct Emulator {
    address: SocketAddr,
    service: Arc<Service>,
    tasks: JoinSet<io::Result<()>>,
}

impl Emulator {
    /// Starts on a free port of 127.0.0.1.
    ///
    /// # Errors
    ///
    /// When no port can be bound.
    pub async fn start() -> io::Result<Self> {
        Self::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await
    }

    /// Starts on the given address.
    ///
    /// # Errors
    ///
    /// When the address cannot be bound.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let seed = getrandom::u32().map_err(io::Error::other)?;
        let account = Account::new(format!("http://{address}"), seed);
        let service =
            Arc::new(Service { account, recorder: Recorder::default(), answered: AtomicU64::new(0) });
        let stopping = service.account.stopping.clone();
        let router = http::router(Arc::clone(&service));
        let listener = listener.tap_io(|connection| {
            if let Err(error) = connection.set_nodelay(true) {
                tracing::debug!(%error, "cannot turn off Nagle's algorithm");
            }
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            axum::serve(listener, router).with_graceful_shutdown(stopping.cancelled_owned()).await
        });
        Ok(Self { address, service, tasks })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens, as clients' `endpoint_url`.
    pub fn endpoint_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The URL of the queue of that name, whether it exists or not.
    pub fn queue_url(&self, name: &str) -> String {
        self.service.account.url(name)
    }

    /// Creates a queue with the given attributes and returns its URL. No call is counted.
    ///
    /// # Errors
    ///
    /// What `CreateQueue` is refused with.
    pub fn create_queue(&self, name: &str, attributes: &[(&str, &str)]) -> Result<String, ServiceError> {
        self.service.account.create_queue(name, attributes)
    }

    /// Creates a topic with the given attributes and returns its ARN. No call is counted.
    ///
    /// # Errors
    ///
    /// What `CreateTopic` is refused with.
    pub fn create_topic(&self, name: &str, attributes: &[(&str, &str)]) -> Result<String, ServiceError> {
        self.service.account.create_topic(name, attributes)
    }

    /// Subscribes a queue, raw or in envelopes, with a filter policy on attributes or none, and returns the
    /// subscription's ARN. The queue's policy must let the topic send besides. No call is counted.
    ///
    /// # Errors
    ///
    /// What `Subscribe` is refused with.
    pub fn subscribe(
        &self,
        topic_arn: &str,
        queue_url: &str,
        raw: bool,
        filter_policy: Option<&str>,
    ) -> Result<String, ServiceError> {
        self.service.account.subscribe(topic_arn, queue_url, raw, filter_policy)
    }

    /// Sets the queue's policy to the one that AWS documents for subscriptions: these topics alone may send. No call
    /// is counted.
    ///
    /// # Errors
    ///
    /// When there is no such queue.
    pub fn let_send(&self, topic_arns: &[&str], queue_url: &str) -> Result<(), ServiceError> {
        self.service.account.let_send(topic_arns, queue_url)
    }

    /// Creates a bucket, unless it is there. No call is counted.
    pub fn create_bucket(&self, name: &str) {
        self.service.account.state().s3.create_bucket(name);
    }

    /// Puts an object into a bucket that is there. No call is counted.
    pub fn put_object(&self, bucket: &str, key: &str, body: impl Into<Vec<u8>>) {
        self.service.account.state().s3.insert(bucket, key, body.into().into());
    }

    /// The objects of a bucket, by key. Keys are as they stood in URLs. No call is counted.
    pub fn objects(&self, bucket: &str) -> BTreeMap<String, Vec<u8>> {
        self.service.account.state().s3.objects(bucket)
    }

    /// Holds back every filter policy that is set from now on: its subscription stays as it is, a new one unfiltered,
    /// as on AWS for up to 15 minutes.
    pub fn hold_filters(&self) {
        self.service.account.state().sns.hold_filters();
    }

    /// Lets every filter policy take effect, now and from now on.
    pub fn release_filters(&self) {
        self.service.account.state().sns.release_filters();
    }

    /// Gives out again at once what is in flight in this queue, or delayed, as a standard queue may. No call is counted.
    pub fn redeliver(&self, name: &str) {
        self.service.account.redeliver(name);
    }

    /// How many messages the queue holds, none if there is no such queue. No call is counted.
    pub fn depth(&self, name: &str) -> Option<Depth> {
        self.service.account.depth(name)
    }

    /// How many long polls wait on the queue now.
    pub fn waiting(&self, name: &str) -> usize {
        self.service.account.waiting(name)
    }

    /// A client of this emulator with the access key id `test` and no retries.
    pub fn client(&self) -> aws_sdk_sqs::Client {
        client_for(&self.endpoint_url(), TEST_ACCESS_KEY)
    }

    /// A client of this emulator's SNS with the access key id `test` and no retries.
    pub fn sns_client(&self) -> aws_sdk_sns::Client {
        sns_client_for(&self.endpoint_url(), TEST_ACCESS_KEY)
    }

    /// The calls so far.
    pub fn calls(&self) -> Calls {
        self.service.recorder.calls()
    }

    /// The permissions that the calls so far needed, and on which queues and topics: the least policy that lets them pass.
    pub fn uses(&self) -> BTreeSet<Use> {
        self.service.recorder.uses()
    }

    /// Lets the next calls of an action, `SendMessageBatch` say, fail, whoever makes them.
    pub fn fail_next(&self, action: &str, failure: Failure, times: usize) {
        self.service.account.faults.fail_next(None, action, failure, times);
    }

    /// Lets the next calls of an action by one access key fail.
    pub fn fail_next_of(&self, access_key: &str, action: &str, failure: Failure, times: usize) {
        self.service.account.faults.fail_next(Some(access_key), action, failure, times);
    }

    /// Lets the next entries of batches fail with this error, while their batches succeed.
    pub fn fail_next_entries(&self, error: &ServiceError, times: usize) {
        self.service.account.faults.fail_next_entries(error, times);
    }

    /// Denies a permission, `sqs:SendMessage` or `SendMessage` say, which batches need too, to everyone.
    pub fn deny(&self, permission: &str) {
        self.service.account.faults.deny(None, permission);
    }

    /// Denies a permission to one access key.
    pub fn deny_to(&self, access_key: &str, permission: &str) {
        self.service.account.faults.deny(Some(access_key), permission);
    }

    /// Takes back every denial of a permission.
    pub fn allow(&self, permission: &str) {
        self.service.account.faults.allow(permission);
    }

    /// Stops: waiting receives are answered without a message, connections end, the port is free.
    ///
    /// A client that keeps a connection open in the middle of a request is waited for one second.
    ///
    /// # Errors
    ///
    /// When the listener had failed.
    pub async fn stop(mut self) -> io::Result<()> {
        self.service.account.stopping.cancel();
        match timeout(STOP_GRACE, self.tasks.join_next()).await {
            Ok(Some(ended)) => ended.map_err(io::Error::other)?,
            Ok(None) => Ok(()),
            Err(_) => {
                self.tasks.shutdown().await;
                Ok(())
            }
        }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.service.account.stopping.cancel();
    }
}
