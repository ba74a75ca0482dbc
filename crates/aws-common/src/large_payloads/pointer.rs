//! What stands in a message in the place of its payload.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What the Extended Client Libraries write since their version 2 for Java, and all versions for Python.
const CLASS: &str = "software.amazon.payloadoffloading.PayloadS3Pointer";

/// What older ones wrote, and newer ones where they are told to.
const OLDER_CLASS: &str = "com.amazon.sqs.javamessaging.MessageS3Pointer";

/// The longest key (S3, "Naming Amazon S3 objects").
const LONGEST_KEY: usize = 1024;

/// Where a message's payload is: `["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":"…","s3Key":"…"}]`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pointer {
    #[serde(rename = "s3BucketName")]
    bucket: Box<str>,
    #[serde(rename = "s3Key")]
    key: Box<str>,
}

impl Pointer {
    pub(super) fn new(bucket: &str, key: String) -> Self {
        Self { bucket: bucket.into(), key: key.into() }
    }

    /// Reads a message's body; `None` for one that is no pointer. No JSON-RPC message is: they are objects.
    pub(crate) fn parse(body: &str) -> Option<Self> {
        if !body.trim_start().starts_with('[') {
            return None;
        }
        let (class, pointer): (String, Self) = serde_json::from_str(body).ok()?;
        [CLASS, OLDER_CLASS].contains(&&*class).then_some(pointer)
    }

    /// The message's body.
    pub(crate) fn to_body(&self) -> String {
        // two texts: serializing cannot fail
        serde_json::to_string(&(CLASS, self)).unwrap_or_default()
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// Whether it is in this bucket, under this prefix, and by a key that means the same to everything on the way to S3.
    pub(super) fn is_within(&self, bucket: &str, prefix: &str) -> bool {
        let plain = self.key.split('/').all(|part| !matches!(part, "." | ".."))
            && !self.key.contains(char::is_control)
            && self.key.len() <= LONGEST_KEY;
        *self.bucket == *bucket && self.key.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty()) && plain
    }
}

impl fmt::Debug for Pointer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // the key opens the payload to whoever may read the bucket
        formatter.debug_struct("Pointer").field("bucket", &self.bucket).finish_non_exhaustive()
    }
}
