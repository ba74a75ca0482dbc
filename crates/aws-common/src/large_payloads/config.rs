//! The settings of large payloads.

use proxy_core::config::{Problem, byte_size};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::settings::{endpoint_problem, region_problem};

/// The longest prefix: what is added has 36 characters, and keys have at most 1,024 (S3, "Naming Amazon S3 objects").
const LONGEST_PREFIX: usize = 512;

/// The largest payload that can be asked for: one message is in memory as a whole.
const LARGEST_MESSAGE: usize = 256 << 20;

/// The table `large_payloads`: messages over the transport's limit go by way of S3, in the format of the AWS Extended Client Library.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct LargePayloadsConfig {
    /// The bucket. Required; one for this alone, since all that is under `prefix` is read when a message names it.
    pub bucket: String,
    /// What the keys of the objects begin with, ending with a slash. Nothing else of the bucket is read, whatever a message names.
    /// Left out: the whole bucket, which the Extended Client Libraries use where they are not told otherwise.
    pub prefix: String,
    /// The size over which a message goes by way of S3, as a size such as `"256KiB"`, attributes included. Left out: what the transport takes.
    #[serde(with = "byte_size::option")]
    #[schemars(with = "Option<byte_size::Schema>")]
    pub threshold: Option<usize>,
    /// The largest payload that is stored or read, as a size such as `"16MiB"`; at most 256 MiB. Default 16 MiB.
    #[serde(with = "byte_size")]
    #[schemars(with = "byte_size::Schema")]
    pub max_message: usize,
    /// Where S3 is reached, for an emulator or a private endpoint. Left out: AWS's own for the region.
    pub endpoint_url: Option<String>,
    /// The bucket's region. Left out: that of the queue or topic.
    pub region: Option<String>,
}

impl Default for LargePayloadsConfig {
    fn default() -> Self {
        Self {
            bucket: String::new(),
            prefix: String::new(),
            threshold: None,
            max_message: 16 << 20,
            endpoint_url: None,
            region: None,
        }
    }
}

impl LargePayloadsConfig {
    /// All that is wrong with the table `large_payloads` of these settings, keys named within the table that it is in.
    pub fn problems_of(config: Option<&Self>) -> impl Iterator<Item = Problem> {
        config
            .into_iter()
            .flat_map(Self::problems)
            .map(|problem| Problem { key: format!("large_payloads.{}", problem.key), ..problem })
    }

    /// All that is wrong with the settings, each named within its own table.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if cfg!(not(feature = "large-payloads")) {
            let what = "is set, which this program was built without";
            problems.push(Problem::new(
                "bucket",
                what,
                "build it with the feature large-payloads, or leave the table out",
            ));
        }
        let example = "write bucket = \"my-mcp-payloads\"";
        if self.bucket.is_empty() {
            problems.push(Problem::new("bucket", "is missing", example));
        } else if !is_bucket(&self.bucket) {
            problems.push(Problem::new(
                "bucket",
                format!("is {:?}, which no bucket is called", self.bucket),
                example,
            ));
        }
        if !is_prefix(&self.prefix) {
            problems.push(Problem::new(
                "prefix",
                format!("is {:?}, which is no folder", self.prefix),
                "write letters, digits and - _ . with a slash at the end, such as prefix = \"mcp/\", or leave it out",
            ));
        }
        if self.threshold == Some(0) {
            problems.push(Problem::new(
                "threshold",
                "is 0",
                "write a size such as \"256KiB\", or leave it out",
            ));
        }
        if !(1..=LARGEST_MESSAGE).contains(&self.max_message) {
            problems.push(Problem::new(
                "max_message",
                format!("is {}, which is not possible", byte_size::format(self.max_message)),
                "write a size from \"1B\" to \"256MiB\"",
            ));
        }
        problems.extend(self.endpoint_url.as_deref().and_then(|url| endpoint_problem("endpoint_url", url)));
        problems.extend(self.region.as_deref().and_then(region_problem));
        problems
    }
}

/// S3, "General purpose bucket naming rules".
fn is_bucket(name: &str) -> bool {
    let outer =
        |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    (3..=63).contains(&name.len())
        && outer(name.bytes().next())
        && outer(name.bytes().last())
        && !name.contains("..")
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.'))
}

/// Whether it is nothing, or folders.
fn is_prefix(prefix: &str) -> bool {
    let Some(folders) = prefix.strip_suffix('/') else { return prefix.is_empty() };
    prefix.len() <= LONGEST_PREFIX
        && folders.split('/').all(|folder| {
            !matches!(folder, "" | "." | "..")
                && folder
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
        })
}
