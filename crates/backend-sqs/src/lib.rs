#![doc = include_str!("../README.md")]

mod backend;
mod config;
mod doctor;
mod intake;
mod policy;
mod provision;
mod replies;
mod requests;

pub use aws_common::{LargePayloads, LargePayloadsConfig};

pub use self::{
    backend::{SqsBackend, SqsParts},
    config::{ResponseQueue, SqsConfig},
    doctor::doctor,
    intake::{SqsIntake, SqsIntakeConfig, SqsIntakeParts, intake_doctor, intake_policies, intake_provision},
    policy::policies,
    provision::provision,
};
