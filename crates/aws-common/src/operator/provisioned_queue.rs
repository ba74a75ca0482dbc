//! Queues that an operator has created, kept as they should be, and removed.

use aws_sdk_sqs::{Client, types::QueueAttributeName};
use proxy_core::{
    error::{BackendError, ErrorKind},
    operator::{Change, Mode, Report, Step},
};
use serde_json::{Value, json};

use super::queue_arn;
use crate::{
    attributes::is_fifo, client::region_of, error::Call, queue::QueueAttributes, redrive::RedrivePolicy,
};

/// How often a request may be received and not deleted before it goes to the dead-letter queue. A server deletes what it took, so
/// that many have died over it.
const MAX_RECEIVE_COUNT: u32 = 5;

/// The most that a redrive policy takes (AWS, `maxReceiveCount`).
const MOST_RECEIVES: u32 = 1000;

/// How long messages are kept, in seconds: an hour longer than the longest request by default. Older ones nobody waits for.
const RETENTION: &str = "7200";

/// The longest retention, in seconds (AWS, `MessageRetentionPeriod`): dead letters wait for a human being.
const LONGEST_RETENTION: &str = "1209600";

/// The tag of the queues and topics that provisioning created. Those that were there before are the operator's: they are not removed, and only what
/// does not do is changed.
pub const PROVISIONED_TAG: &str = "mcp-proxy-provisioned";

/// A queue as it should be.
#[derive(Debug, Clone)]
pub struct ProvisionedQueue {
    url: String,
    attributes: Vec<(QueueAttributeName, String)>,
}

impl ProvisionedQueue {
    /// The queue at `url`: messages of up to 1 MiB that are kept for two hours, hidden for 30 s by default, encrypted with SQS's own keys
    /// (where no KMS key was set); a FIFO queue with a throughput a group.
    pub fn new(url: &str) -> Self {
        let mut attributes = vec![
            (QueueAttributeName::MaximumMessageSize, "1048576".to_owned()),
            (QueueAttributeName::MessageRetentionPeriod, RETENTION.to_owned()),
            (QueueAttributeName::VisibilityTimeout, "30".to_owned()),
            (QueueAttributeName::SqsManagedSseEnabled, "true".to_owned()),
        ];
        if is_fifo(url) {
            attributes.push((QueueAttributeName::FifoQueue, "true".to_owned()));
            attributes.push((QueueAttributeName::DeduplicationScope, "messageGroup".to_owned()));
            attributes.push((QueueAttributeName::FifoThroughputLimit, "perMessageGroupId".to_owned()));
        }
        Self { url: url.to_owned(), attributes }
    }

    /// Sets an attribute, in the place of the usual value if there is one.
    #[must_use]
    pub fn with(mut self, name: QueueAttributeName, value: impl Into<String>) -> Self {
        self.attributes.retain(|(other, _)| *other != name);
        self.attributes.push((name, value.into()));
        self
    }

    fn name(&self) -> &str {
        self.url.rsplit('/').next().unwrap_or_default()
    }
}

/// A queue as it is.
struct Found {
    attributes: QueueAttributes,
    is_ours: bool,
}

/// The URL of the dead-letter queue of the queue at `url`: its name with `-dead-letters`.
pub fn dead_letters_url(url: &str) -> String {
    match url.strip_suffix(".fifo") {
        Some(stem) => format!("{stem}-dead-letters.fifo"),
        None => format!("{url}-dead-letters"),
    }
}

/// A request queue and its dead-letter queue as they should be.
#[derive(Debug, Clone)]
pub struct RequestQueuePlan {
    url: String,
    letters_url: String,
    max_receive_count: u32,
}

impl RequestQueuePlan {
    /// As a proxy wants them: the far end deletes what it took.
    pub fn for_proxy(url: &str) -> Self {
        let letters_url = dead_letters_url(url);
        Self { url: url.to_owned(), letters_url, max_receive_count: MAX_RECEIVE_COUNT }
    }

    /// As a worker wants them that gives a request up after `max_receives`, which it says itself before SQS takes it away. Its dead letters
    /// go to the queue at `letters_url` where that is given.
    pub fn for_worker(url: &str, letters_url: Option<&str>, max_receives: u32) -> Self {
        let letters_url = letters_url.map_or_else(|| dead_letters_url(url), str::to_owned);
        // one receive more to give it up, and one to put it with the dead letters
        let max_receive_count = max_receives.saturating_add(2).clamp(MAX_RECEIVE_COUNT, MOST_RECEIVES);
        Self { url: url.to_owned(), letters_url, max_receive_count }
    }
}

/// Creates, updates or removes a proxy's request queue and its dead-letter queue.
///
/// # Errors
/// Those of the calls, which name the missing permission.
pub async fn provision_request_queue(
    client: &Client,
    url: &str,
    mode: Mode,
    report: Report<'_, Step>,
) -> Result<(), BackendError> {
    provision_request_queue_for(client, &RequestQueuePlan::for_proxy(url), mode, report).await
}

/// Creates, updates or removes a request queue and its dead-letter queue.
///
/// # Errors
/// Those of the calls, which name the missing permission.
pub async fn provision_request_queue_for(
    client: &Client,
    plan: &RequestQueuePlan,
    mode: Mode,
    report: Report<'_, Step>,
) -> Result<(), BackendError> {
    let letters = ProvisionedQueue::new(&plan.letters_url)
        .with(QueueAttributeName::MessageRetentionPeriod, LONGEST_RETENTION);
    let requests = ProvisionedQueue::new(&plan.url);
    if mode == Mode::Destroy {
        forget_dead_letters(client, &requests, &letters, report).await?;
        provision_queue(client, &requests, mode, report).await?;
        return provision_queue(client, &letters, mode, report).await;
    }
    provision_queue(client, &letters, mode, report).await?;
    let found = existing(client, &letters).await?;
    // in a dry run it may not be there yet
    let arn = found.and_then(|mut found| found.attributes.remove(&QueueAttributeName::QueueArn));
    let region = client.config().region().map(AsRef::as_ref);
    let arn = arn.unwrap_or_else(|| queue_arn(&letters.url, region));
    let redrive =
        json!({ "deadLetterTargetArn": arn, "maxReceiveCount": plan.max_receive_count.to_string() });
    let requests = requests.with(QueueAttributeName::RedrivePolicy, redrive.to_string());
    provision_queue(client, &requests, mode, report).await
}

/// A request queue that stays must not send its dead letters to a queue that goes: SQS would deliver such a message for ever.
async fn forget_dead_letters(
    client: &Client,
    requests: &ProvisionedQueue,
    letters: &ProvisionedQueue,
    report: Report<'_, Step>,
) -> Result<(), BackendError> {
    let (Some(stays), Some(goes)) = (existing(client, requests).await?, existing(client, letters).await?)
    else {
        return Ok(());
    };
    let target = RedrivePolicy::of(&stays.attributes).map(|policy| policy.target_arn);
    let arn = goes.attributes.get(&QueueAttributeName::QueueArn);
    if stays.is_ours || !goes.is_ours || target.is_none() || target.as_ref() != arn {
        return Ok(());
    }
    let request = client.set_queue_attributes().queue_url(&requests.url);
    let sent = request.attributes(QueueAttributeName::RedrivePolicy, "").send().await;
    sent.map_err(|error| call("sqs:SetQueueAttributes", requests.name()).failed(&error))?;
    report(Step::new(Change::Updated, "queue", requests.name()).with_detail("without its redrive policy"));
    Ok(())
}

/// Creates, updates or removes a queue, and reports which. One that was there before provisioning is not removed, and keeps a longer
/// retention, a longer visibility timeout and a redrive policy of its own.
///
/// # Errors
/// Those of the calls, which name the missing permission; `Config` when the queue's URL turns out to be another.
pub async fn provision_queue(
    client: &Client,
    wanted: &ProvisionedQueue,
    mode: Mode,
    report: Report<'_, Step>,
) -> Result<(), BackendError> {
    let step = |change| Step::new(change, "queue", wanted.name());
    check_region(client, wanted)?;
    let Some(found) = existing(client, wanted).await? else {
        match mode {
            Mode::Apply => create(client, wanted).await?,
            Mode::DryRun => {}
            Mode::Destroy => {
                report(step(Change::Absent));
                return Ok(());
            }
        }
        report(step(Change::Created));
        return Ok(());
    };
    if mode == Mode::Destroy {
        if !found.is_ours {
            report(step(Change::ByHand).with_detail("it was there before provision: remove it yourself"));
            return Ok(());
        }
        destroy(client, wanted).await?;
        report(step(Change::Deleted));
        return Ok(());
    }
    let changes = differences(wanted, &found);
    if changes.is_empty() {
        report(step(Change::Kept));
        return Ok(());
    }
    if mode == Mode::Apply {
        let request = client.set_queue_attributes().queue_url(&wanted.url);
        let attributes = changes.iter().map(|(name, value)| ((*name).clone(), (*value).clone())).collect();
        let sent = request.set_attributes(Some(attributes)).send().await;
        sent.map_err(|error| call("sqs:SetQueueAttributes", wanted.name()).failed(&error))?;
    }
    report(step(Change::Updated).with_detail(described(&changes, &found.attributes)));
    Ok(())
}

/// The client speaks with one region alone, where a queue of the same account and name is another queue.
fn check_region(client: &Client, wanted: &ProvisionedQueue) -> Result<(), BackendError> {
    let (named, used) = (region_of(&wanted.url), client.config().region().map(AsRef::as_ref));
    if named.is_none() || named == used {
        return Ok(());
    }
    let message = format!(
        "{} is in another region than {}, which is set: write region = {:?}, or leave it out",
        wanted.url,
        used.unwrap_or("none"),
        named.unwrap_or_default()
    );
    Err(BackendError::new(ErrorKind::Config, "provision", message))
}

/// All attributes of the queue, and whether it was created here, if it exists.
async fn existing(client: &Client, wanted: &ProvisionedQueue) -> Result<Option<Found>, BackendError> {
    let (url, name) = (&wanted.url, wanted.name());
    let found = client.get_queue_attributes().queue_url(url).attribute_names(QueueAttributeName::All);
    let found = found.send().await.map_err(|error| call("sqs:GetQueueAttributes", name).failed(&error));
    let attributes = match found {
        Ok(found) => found.attributes.unwrap_or_default(),
        Err(error) if error.kind() == ErrorKind::Config => return Ok(None),
        Err(error) => return Err(error),
    };
    let tags = client.list_queue_tags().queue_url(url).send().await;
    let tags = tags.map_err(|error| call("sqs:ListQueueTags", name).failed(&error))?;
    let is_ours = tags.tags.is_some_and(|tags| tags.contains_key(PROVISIONED_TAG));
    Ok(Some(Found { attributes, is_ours }))
}

/// Whether the queue at `url` is there and provisioning created it.
///
/// # Errors
/// Those of the calls, which name the missing permission.
pub async fn is_provisioned(client: &Client, url: &str) -> Result<bool, BackendError> {
    Ok(existing(client, &ProvisionedQueue::new(url)).await?.is_some_and(|found| found.is_ours))
}

async fn create(client: &Client, wanted: &ProvisionedQueue) -> Result<(), BackendError> {
    let request = client.create_queue().queue_name(wanted.name()).tags(PROVISIONED_TAG, "true");
    let sent = request.set_attributes(Some(wanted.attributes.iter().cloned().collect())).send().await;
    let permission = "sqs:CreateQueue and sqs:TagQueue";
    let created = sent.map_err(|error| call(permission, wanted.name()).failed(&error))?;
    let url = created.queue_url.unwrap_or_default();
    if path(&url) == path(&wanted.url) {
        return Ok(());
    }
    let message = format!("the queue was created as {url}, not as {}: correct the setting", wanted.url);
    Err(BackendError::new(ErrorKind::Config, "provision", message))
}

async fn destroy(client: &Client, wanted: &ProvisionedQueue) -> Result<(), BackendError> {
    let sent = client.delete_queue().queue_url(&wanted.url).send().await;
    match sent.map_err(|error| call("sqs:DeleteQueue", wanted.name()).failed(&error)) {
        Err(error) if error.kind() != ErrorKind::Config => Err(error),
        _ => Ok(()),
    }
}

/// The wanted attributes that are different, as far as they have to be the same.
fn differences<'wanted>(
    wanted: &'wanted ProvisionedQueue,
    found: &Found,
) -> Vec<(&'wanted QueueAttributeName, &'wanted String)> {
    let own_key = found.attributes.contains_key(&QueueAttributeName::KmsMasterKeyId);
    let differs = |(name, value): &(QueueAttributeName, String)| match name {
        // the operator's own key is the better encryption, and both cannot be
        QueueAttributeName::SqsManagedSseEnabled if own_key => false,
        // set at creation only, and said by the name
        QueueAttributeName::FifoQueue => false,
        name => found.attributes.get(name).is_none_or(|is| {
            let does = is_same(is, value) || !found.is_ours && does_as_well(name, is, value);
            !does
        }),
    };
    wanted
        .attributes
        .iter()
        .filter(|attribute| differs(attribute))
        .map(|(name, value)| (name, value))
        .collect()
}

/// Whether what an operator has chosen for a queue of his own does as well: a shorter retention, say, would delete messages.
fn does_as_well(name: &QueueAttributeName, chosen: &str, wanted: &str) -> bool {
    match name {
        QueueAttributeName::MessageRetentionPeriod | QueueAttributeName::VisibilityTimeout => {
            let seconds = |text: &str| text.parse::<u64>().unwrap_or_default();
            seconds(chosen) >= seconds(wanted)
        }
        QueueAttributeName::RedrivePolicy => true,
        _ => false,
    }
}

/// Whether two values mean the same: those that are JSON as JSON, numbers in it also as text (SQS takes and gives either).
fn is_same(one: &str, other: &str) -> bool {
    match (serde_json::from_str::<Value>(one), serde_json::from_str::<Value>(other)) {
        (Ok(Value::Object(one)), Ok(Value::Object(other))) => {
            let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            one.len() == other.len()
                && one
                    .iter()
                    .all(|(key, value)| other.get(key).is_some_and(|other| text(value) == text(other)))
        }
        _ => one == other,
    }
}

fn described(changes: &[(&QueueAttributeName, &String)], found: &QueueAttributes) -> String {
    let one = |(name, value): &(&QueueAttributeName, &String)| match found.get(name) {
        Some(found) => format!("{name}: {found} → {value}"),
        None => format!("{name}: {value}"),
    };
    changes.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn path(url: &str) -> &str {
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    after_scheme.split_once('/').map_or("", |(_, path)| path)
}

fn call<'name>(permission: &'static str, name: &'name str) -> Call<'name> {
    Call { operation: "provision", permission, target: name, sends: false }
}

#[cfg(test)]
mod tests {
    use aws_sdk_sqs::config::{BehaviorVersion, Config, Region};

    use super::*;

    #[test]
    fn a_dead_letter_queue_is_of_the_same_kind() {
        assert_eq!(dead_letters_url("https://q/1/a"), "https://q/1/a-dead-letters");
        assert_eq!(dead_letters_url("https://q/1/a.fifo"), "https://q/1/a-dead-letters.fifo");
    }

    #[test]
    fn a_queue_is_provisioned_in_its_region_or_not_at_all() {
        let client = |region: &'static str| {
            let config = Config::builder().behavior_version(BehaviorVersion::latest());
            Client::from_conf(config.region(Region::new(region)).build())
        };
        let of = |region, url| check_region(&client(region), &ProvisionedQueue::new(url));
        let url = "https://sqs.eu-west-1.amazonaws.com/123456789012/requests";
        assert!(of("eu-west-1", url).is_ok());
        assert!(of("us-east-1", "http://127.0.0.1:4566/000000000000/requests").is_ok());
        let error = of("us-east-1", url).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("region = \"eu-west-1\""), "{error}");
    }

    #[test]
    fn a_redrive_policy_is_the_same_with_its_count_as_a_number_or_as_text() {
        let number = r#"{"maxReceiveCount":5,"deadLetterTargetArn":"a"}"#;
        assert!(is_same(number, r#"{"deadLetterTargetArn":"a","maxReceiveCount":"5"}"#));
        assert!(!is_same(number, r#"{"deadLetterTargetArn":"a","maxReceiveCount":"4"}"#));
        assert!(!is_same(number, r#"{"deadLetterTargetArn":"a"}"#));
    }

    #[test]
    fn a_key_of_the_operators_own_stays() {
        let wanted = ProvisionedQueue::new("https://q/1/a");
        let mut found = Found { attributes: wanted.attributes.iter().cloned().collect(), is_ours: true };
        found.attributes.insert(QueueAttributeName::SqsManagedSseEnabled, "false".to_owned());
        assert_eq!(differences(&wanted, &found).len(), 1);
        found.attributes.insert(QueueAttributeName::KmsMasterKeyId, "alias/ours".to_owned());
        assert_eq!(differences(&wanted, &found).len(), 0);
    }
}
