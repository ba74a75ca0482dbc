//! The doctor's line about large payloads, and what policies say of them.

use proxy_core::operator::Check;

use super::{Statement, failed};
use crate::{
    client::{ClientSettings, SdkConfig},
    large_payloads::{LargePayloads, LargePayloadsConfig},
};

/// What the line is about.
const SUBJECT: &str = "large payloads";

/// Whether payloads can be stored, read and deleted, where they are configured. `own`, `settings` and `used`: what the transport's own
/// client is made from.
pub async fn large_payloads(
    config: Option<&LargePayloadsConfig>,
    own: Option<&SdkConfig>,
    settings: &ClientSettings,
    used: &str,
) -> Option<Check> {
    let config = config?;
    let payloads = match own {
        Some(sdk) => LargePayloads::over_sdk(config.clone(), sdk),
        None => LargePayloads::connect(config.clone(), settings, used).await,
    };
    let checked = match payloads {
        Ok(payloads) => payloads.check().await,
        Err(error) => Err(error),
    };
    Some(match checked {
        Ok(()) => {
            let place = format!("{}/{}", config.bucket, config.prefix);
            Check::good(SUBJECT, format!("one on trial was stored in {place}, read and deleted again"))
        }
        Err(error) => failed(SUBJECT, &error),
    })
}

/// What must be allowed for large payloads, where they are configured. Without leave to list the bucket S3 does not tell what is no more
/// from what may not be read. `beside`: an ARN that says the partition.
pub fn large_payload_statements(config: Option<&LargePayloadsConfig>, beside: &str) -> Vec<Statement> {
    let Some(LargePayloadsConfig { bucket, prefix, .. }) = config else { return Vec::new() };
    let partition = beside.split(':').nth(1).filter(|partition| !partition.is_empty()).unwrap_or("aws");
    let bucket = format!("arn:{partition}:s3:::{bucket}");
    let objects = ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"];
    vec![
        Statement::allow("LargePayloads", objects, [format!("{bucket}/{prefix}*")]),
        Statement::allow("LargePayloadsBucket", ["s3:ListBucket"], [bucket]),
    ]
}
