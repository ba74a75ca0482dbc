//! The worker's end: requests from a queue that is subscribed to a topic, answers to the topics that clients name.

mod config;
mod doctor;
mod policy;
mod provision;

pub use self::{
    config::SnsSqsIntakeConfig, doctor::intake_doctor, policy::intake_policies, provision::intake_provision,
};
