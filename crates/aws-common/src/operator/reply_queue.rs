//! The doctor's lines about a reply queue that is given.

use aws_sdk_sqs::{Client, types::QueueAttributeName};
use proxy_core::operator::{Check, Report, Verdict};

use super::{permission, readers::readers};
use crate::queue::{Queue, QueueAttributes, QueuePermission};

/// Why a queue with a redrive policy is not looked into: each look counts as a receive.
const TAKEN_AWAY: &str = "its redrive policy would take messages away that are looked at";

/// Reports the redrive policy that it should not have, each permission, and who else reads it. Returns why nothing may be tried on it,
/// if that is so.
pub async fn reply_queue(
    client: &Client,
    queue: &Queue,
    found: &QueueAttributes,
    report: Report<'_, Check>,
) -> Option<&'static str> {
    let has_redrive = found.contains_key(&QueueAttributeName::RedrivePolicy);
    report(no_redrive(has_redrive));
    let mut granted = true;
    for needed in
        [QueuePermission::Receive, QueuePermission::Delete, QueuePermission::Hide, QueuePermission::Send]
    {
        let check = permission(queue, needed).await;
        granted &= matches!(check.verdict, Verdict::Good(_));
        report(check);
    }
    let hindrance = match (has_redrive, granted) {
        (true, _) => Some(TAKEN_AWAY),
        (_, false) => Some("a permission is missing"),
        (false, true) => None,
    };
    report(match hindrance {
        None => Box::pin(readers(client, queue)).await,
        Some(why) => Check::skipped(format!("readers of {}", queue.name()), why),
    });
    hindrance
}

fn no_redrive(has_redrive: bool) -> Check {
    const SUBJECT: &str = "redrive policy of the reply queue";
    if has_redrive {
        Check::warning(
            SUBJECT,
            "there is one, so an answer that is given back a few times is taken away",
            "remove it: answers that nobody wants are deleted by the proxy",
        )
    } else {
        Check::good(SUBJECT, "there is none")
    }
}
