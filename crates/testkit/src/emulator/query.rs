//! The Query protocol of SNS and STS: form-encoded requests, XML answers.
//!
//! AWS, "AWS Query protocol" (Smithy): the action and its parameters are fields of a form, lists are numbered
//! `Name.member.1`, maps `Name.entry.1.key`; answers wrap `<ActionResult>` in `<ActionResponse>`.

mod form;
mod xml;

pub(super) use form::Form;
pub(super) use xml::{Xml, answer, error};
