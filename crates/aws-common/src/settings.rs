//! What is wrong with the settings that all AWS backends have.

mod queue_url;

use std::time::Duration;

use proxy_core::config::{Problem, duration};

pub use self::queue_url::{QueueKind, dead_letter_problem, endpoint_problem, queue_url_problem};

/// The longest long poll (SQS `ReceiveMessage`, `WaitTimeSeconds`).
pub const LONGEST_WAIT: Duration = Duration::from_secs(20);
/// The largest batch (SQS `ReceiveMessage`, `MaxNumberOfMessages`).
pub const LARGEST_BATCH: u8 = 10;
/// The longest that a message may stay hidden (SQS `VisibilityTimeout`).
const LONGEST_VISIBILITY: Duration = Duration::from_hours(12);
/// What a created queue's name has room for before the dash and the 22 characters of the instance id: SQS names have at most
/// 80.
const LONGEST_PREFIX: usize = 57;

/// What is wrong with `client_id`.
pub fn client_id_problem(id: &str) -> Option<Problem> {
    if !(1..=256).contains(&id.len()) {
        Some(Problem::new(
            "client_id",
            format!("has {} characters, where 1 to 256 are possible", id.len()),
            "write a short name, or leave it out to have a random one",
        ))
    } else if !id.bytes().all(|byte| (0x21..=0x7e).contains(&byte)) {
        Some(Problem::new(
            "client_id",
            format!("is {id:?}, which is not all visible ASCII"),
            "write it in visible ASCII characters without spaces",
        ))
    } else {
        None
    }
}

/// What is wrong with `region`.
pub fn region_problem(region: &str) -> Option<Problem> {
    let is_region = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (region.is_empty() || !region.bytes().all(is_region)).then(|| {
        Problem::new(
            "region",
            format!("is {region:?}, which is no AWS region"),
            "write one such as region = \"eu-central-1\", or leave it out",
        )
    })
}

/// What is wrong with the prefix under `key` of the names of queues that are created.
pub fn prefix_problem(key: &str, prefix: &str) -> Option<Problem> {
    let good = (1..=LONGEST_PREFIX).contains(&prefix.len()) && queue_url::is_name_part(prefix);
    (!good).then(|| {
        Problem::new(
            key,
            format!("is {prefix:?}, which the name of a queue cannot begin with"),
            format!("write 1 to {LONGEST_PREFIX} letters, digits, dashes and underscores"),
        )
    })
}

/// What is wrong with `wait_time`, `visibility_timeout` and `max_messages`.
pub fn receive_problems(wait_time: Duration, visibility_timeout: Duration, max_messages: u8) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (key, value, least, most) in [
        ("wait_time", wait_time, Duration::ZERO, LONGEST_WAIT),
        ("visibility_timeout", visibility_timeout, Duration::from_secs(1), LONGEST_VISIBILITY),
    ] {
        if value < least || value > most || value.subsec_nanos() != 0 {
            let (least, most) = (duration::format(least), duration::format(most));
            problems.push(Problem::new(
                key,
                format!("is {}, which SQS does not take", duration::format(value)),
                format!("write whole seconds from {least} to {most}"),
            ));
        }
    }
    if !(1..=LARGEST_BATCH).contains(&max_messages) {
        problems.push(Problem::new(
            "max_messages",
            format!("is {max_messages}, which SQS does not take"),
            format!("write a number from 1 to {LARGEST_BATCH}"),
        ));
    }
    problems
}
