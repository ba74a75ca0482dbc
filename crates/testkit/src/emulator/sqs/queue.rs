//! One queue: its messages, who sees which of them when, and its order.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::message::{Draft, Stored, hexadecimal, unix_millis};
use super::settings::Settings;
use crate::emulator::error::ServiceError;
use sha2::{Digest as _, Sha256};

/// How long a FIFO queue remembers a deduplication id (AWS: five minutes).
const DEDUPLICATION: Duration = Duration::from_mins(5);

/// A queue and its messages. Pure but for `changed`: the time is an argument.
#[derive(Debug)]
pub(in crate::emulator) struct Queue {
    pub(in crate::emulator) name: String,
    pub(in crate::emulator) settings: Settings,
    pub(in crate::emulator) tags: BTreeMap<String, String>,
    /// Unix seconds.
    pub(in crate::emulator) created: u128,
    /// Unix seconds at which the settings last changed.
    pub(in crate::emulator) modified: u128,
    pub(in crate::emulator) purged: Option<Instant>,
    /// Rung when a message may have become visible; waiting receives look again.
    pub(in crate::emulator) changed: Arc<Notify>,
    messages: HashMap<u64, Stored>,
    /// Visible messages, oldest first.
    visible: BTreeSet<u64>,
    /// Delayed messages and those in flight, by the time that they become visible.
    hidden: BTreeSet<(Instant, u64)>,
    hidden_until: HashMap<u64, Instant>,
    sent: u64,
    /// By message group, empty where ids are the queue's, and id.
    deduplication: HashMap<(String, String), (Instant, Receipt)>,
}

/// What a send is answered with.
#[derive(Clone, Debug)]
pub(in crate::emulator) struct Receipt {
    pub(in crate::emulator) message_id: String,
    pub(in crate::emulator) sequence_number: Option<String>,
}

/// A message given out: its receipt handle and its content at that time.
pub(in crate::emulator) type Delivery = (String, Stored);

/// How many messages a queue holds, as `GetQueueAttributes` counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// `ApproximateNumberOfMessages`: those that a receive could get now.
    pub visible: usize,
    /// `ApproximateNumberOfMessagesNotVisible`: those in flight.
    pub in_flight: usize,
    /// `ApproximateNumberOfMessagesDelayed`: those sent with a delay and not yet visible.
    pub delayed: usize,
}

impl Queue {
    pub(in crate::emulator) fn new(name: String, settings: Settings, tags: BTreeMap<String, String>) -> Self {
        Self {
            name,
            settings,
            tags,
            created: unix_millis() / 1000,
            modified: unix_millis() / 1000,
            purged: None,
            changed: Arc::new(Notify::new()),
            messages: HashMap::new(),
            visible: BTreeSet::new(),
            hidden: BTreeSet::new(),
            hidden_until: HashMap::new(),
            sent: 0,
            deduplication: HashMap::new(),
        }
    }

    pub(in crate::emulator) fn is_fifo(&self) -> bool {
        self.settings.is_fifo()
    }

    /// Takes a message in, under the given id unless it repeats an earlier one.
    pub(in crate::emulator) fn send(
        &mut self,
        now: Instant,
        message_id: String,
        mut draft: Draft,
    ) -> Result<Receipt, ServiceError> {
        draft.message_deduplication_id = self.deduplication_id(&draft)?;
        let scope = draft.message_group_id.as_deref().filter(|_| self.settings.deduplicates_by_group());
        let key = draft.message_deduplication_id.as_ref();
        let key = key.map(|id| (scope.unwrap_or_default().to_owned(), id.clone()));
        self.deduplication.retain(|_, (until, _)| *until > now);
        if let Some((_, earlier)) = key.as_ref().and_then(|key| self.deduplication.get(key)) {
            return Ok(earlier.clone());
        }
        let number = self.sent + 1;
        let receipt =
            Receipt { message_id, sequence_number: self.is_fifo().then(|| format!("{number:020}")) };
        if let Some(key) = key {
            self.deduplication.insert(key, (now + DEDUPLICATION, receipt.clone()));
        }
        let delay = draft.delay_seconds.map_or(self.settings.delay(), seconds);
        self.put(
            now,
            delay,
            Stored {
                id: receipt.message_id.clone(),
                draft,
                sequence_number: receipt.sequence_number.clone(),
                sent: now,
                sent_millis: unix_millis(),
                first_received_millis: None,
                receive_count: 0,
                dead_letter_source: None,
            },
        );
        Ok(receipt)
    }

    /// Puts a message in as it is: a dead letter, or one just sent.
    pub(in crate::emulator) fn put(&mut self, now: Instant, delay: Duration, stored: Stored) {
        self.sent += 1;
        self.messages.insert(self.sent, stored);
        self.hide(now, self.sent, delay);
        self.changed.notify_waiters();
    }

    /// Gives out up to `limit` visible messages, and those that go to the dead-letter queue instead.
    pub(in crate::emulator) fn receive(
        &mut self,
        now: Instant,
        limit: usize,
        visibility: Duration,
    ) -> (Vec<Delivery>, Vec<Stored>) {
        self.show_due(now);
        let retention = self.settings.retention();
        let most_receives = self.settings.redrive().map_or(u64::MAX, |policy| policy.max_receive_count);
        let is_fifo = self.is_fifo();
        let mut locked = self.groups_in_flight();
        let (mut deliveries, mut dead) = (Vec::new(), Vec::new());
        let mut after = 0;
        while deliveries.len() < limit {
            let Some(&number) = self.visible.range(after + 1..).next() else { break };
            after = number;
            let Some(stored) = self.messages.get_mut(&number) else { continue };
            let group = stored.draft.message_group_id.clone().unwrap_or_default();
            if locked.contains(&group) {
                continue;
            }
            if now.duration_since(stored.sent) > retention {
                self.remove(number);
            } else if stored.receive_count >= most_receives {
                dead.extend(self.remove(number));
            } else {
                stored.receive_count += 1;
                stored.first_received_millis.get_or_insert_with(unix_millis);
                deliveries.push((format!("{number}-{}", stored.receive_count), stored.clone()));
                // A group whose message stays visible must not overtake itself within one receive.
                if is_fifo && visibility.is_zero() {
                    locked.insert(group);
                }
                self.hide(now, number, visibility);
            }
        }
        (deliveries, dead)
    }

    /// Deletes the message of the handle; an old handle deletes nothing and is no error.
    pub(in crate::emulator) fn delete(&mut self, handle: &str) -> Result<(), ServiceError> {
        let (number, receive) = parse(handle)?;
        if self.messages.get(&number).is_some_and(|stored| stored.receive_count == receive) {
            self.remove(number);
            self.changed.notify_waiters();
        }
        Ok(())
    }

    /// Hides the message of the handle for another while, or shows it again at zero.
    pub(in crate::emulator) fn change_visibility(
        &mut self,
        now: Instant,
        handle: &str,
        visibility: Duration,
    ) -> Result<(), ServiceError> {
        let (number, receive) = parse(handle)?;
        self.show_due(now);
        let stored = self.messages.get(&number).ok_or_else(|| {
            ServiceError::invalid_parameter(format!(
                "Value {handle} for parameter ReceiptHandle is invalid. Reason: Message does not exist \
                 or is not available for visibility timeout change."
            ))
        })?;
        if stored.receive_count != receive || !self.hidden_until.contains_key(&number) {
            let message = "The specified message isn't in flight.";
            return Err(ServiceError::modelled("MessageNotInflight", message));
        }
        self.hide(now, number, visibility);
        self.changed.notify_waiters();
        Ok(())
    }

    /// Removes every message; at most once in 60 s (AWS, `PurgeQueue`).
    pub(in crate::emulator) fn purge(&mut self, now: Instant) -> Result<(), ServiceError> {
        if self.purged.is_some_and(|at| now.duration_since(at) < Duration::from_mins(1)) {
            let message =
                format!("Only one PurgeQueue operation on {} is allowed every 60 seconds.", self.name);
            return Err(ServiceError {
                status: 403,
                ..ServiceError::modelled("PurgeQueueInProgress", message)
            });
        }
        self.purged = Some(now);
        self.messages.clear();
        self.visible.clear();
        self.hidden.clear();
        self.hidden_until.clear();
        Ok(())
    }

    /// When the next hidden message becomes visible.
    pub(in crate::emulator) fn next_visible(&self) -> Option<Instant> {
        self.hidden.first().map(|(until, _)| *until)
    }

    /// Gives out again at once what is in flight, as a standard queue may.
    pub(in crate::emulator) fn redeliver(&mut self, now: Instant) {
        for number in self.hidden_until.keys().copied().collect::<Vec<_>>() {
            self.hide(now, number, Duration::ZERO);
        }
        self.changed.notify_waiters();
    }

    pub(in crate::emulator) fn depth(&mut self, now: Instant) -> Depth {
        self.show_due(now);
        let received =
            |number: &&u64| self.messages.get(number).is_some_and(|stored| stored.receive_count > 0);
        let in_flight = self.hidden_until.keys().filter(received).count();
        Depth { visible: self.visible.len(), in_flight, delayed: self.hidden_until.len() - in_flight }
    }

    fn deduplication_id(&self, draft: &Draft) -> Result<Option<String>, ServiceError> {
        if !self.is_fifo() {
            return Ok(None);
        }
        if draft.message_group_id.is_none() {
            return Err(ServiceError::missing_parameter("MessageGroupId"));
        }
        match &draft.message_deduplication_id {
            Some(id) => Ok(Some(id.clone())),
            None if self.settings.is_content_deduplicated() => {
                Ok(Some(hexadecimal(&Sha256::digest(&draft.message_body))))
            }
            None => Err(ServiceError::invalid_parameter(
                "The queue should either have ContentBasedDeduplication enabled or \
                 MessageDeduplicationId provided explicitly",
            )),
        }
    }

    /// The FIFO groups that give out nothing more while one of their messages is in flight.
    fn groups_in_flight(&self) -> BTreeSet<String> {
        if !self.is_fifo() {
            return BTreeSet::new();
        }
        let stored = self.hidden_until.keys().filter_map(|number| self.messages.get(number));
        stored
            .filter(|stored| stored.receive_count > 0)
            .filter_map(|stored| stored.draft.message_group_id.clone())
            .collect()
    }

    fn hide(&mut self, now: Instant, number: u64, duration: Duration) {
        if let Some(until) = self.hidden_until.remove(&number) {
            self.hidden.remove(&(until, number));
        }
        if duration.is_zero() {
            self.visible.insert(number);
        } else {
            self.visible.remove(&number);
            self.hidden.insert((now + duration, number));
            self.hidden_until.insert(number, now + duration);
        }
    }

    fn show_due(&mut self, now: Instant) {
        while let Some(&(until, number)) = self.hidden.first().filter(|(until, _)| *until <= now) {
            self.hidden.remove(&(until, number));
            self.hidden_until.remove(&number);
            self.visible.insert(number);
        }
    }

    fn remove(&mut self, number: u64) -> Option<Stored> {
        self.visible.remove(&number);
        if let Some(until) = self.hidden_until.remove(&number) {
            self.hidden.remove(&(until, number));
        }
        self.messages.remove(&number)
    }
}

/// A duration of whole seconds; negative ones are refused before they come here.
pub(in crate::emulator) fn seconds(value: i64) -> Duration {
    Duration::from_secs(u64::try_from(value).unwrap_or(0))
}

/// A receipt handle: the message's number and its receive's.
fn parse(handle: &str) -> Result<(u64, u64), ServiceError> {
    let parts = handle
        .split_once('-')
        .and_then(|(number, receive)| Some((number.parse().ok()?, receive.parse().ok()?)));
    parts.ok_or_else(|| {
        let message = format!("The input receipt handle \"{handle}\" is not a valid receipt handle.");
        ServiceError::new("ReceiptHandleIsInvalid", 404, message)
    })
}
