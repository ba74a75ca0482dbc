#![doc = include_str!("../README.md")]

mod arn;
mod backend;
mod clients;
mod config;
mod doctor;
mod envelope;
mod feed;
mod intake;
mod policy;
mod proof;
mod provision;
mod return_path;
mod subscriptions;
mod topic;
mod topic_arn;

pub use aws_common::{LargePayloads, LargePayloadsConfig};

pub use self::{
    backend::{SnsSqsBackend, SnsSqsParts},
    config::SnsSqsConfig,
    doctor::doctor,
    intake::{
        SnsSqsIntake, SnsSqsIntakeConfig, SnsSqsIntakeParts, intake_doctor, intake_policies, intake_provision,
    },
    policy::policies,
    provision::provision,
};
