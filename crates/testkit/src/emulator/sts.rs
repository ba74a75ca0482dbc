//! STS: who the caller is.

use super::account::ACCOUNT_ID;
use super::query::Xml;

/// The one action of STS that there is.
pub(super) const GET_CALLER_IDENTITY: &str = "GetCallerIdentity";

/// A user that has the access key's id as its name.
pub(super) fn caller_identity(access_key: &str) -> Vec<Xml> {
    vec![
        Xml::text("Arn", format!("arn:aws:iam::{ACCOUNT_ID}:user/{access_key}")),
        Xml::text("UserId", "AIDAEMULATOR"),
        Xml::text("Account", ACCOUNT_ID),
    ]
}
