#![doc = include_str!("../README.md")]

mod arn;
mod backend;
mod clients;
mod config;
mod doctor;
mod envelope;
mod feed;
mod policy;
mod proof;
mod provision;
mod return_path;
mod subscriptions;
mod topic;

pub use self::{
    backend::{SnsSqsBackend, SnsSqsParts},
    config::SnsSqsConfig,
    doctor::doctor,
    policy::policies,
    provision::provision,
};
