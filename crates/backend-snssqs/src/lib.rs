#![doc = include_str!("../README.md")]

mod arn;
mod backend;
mod clients;
mod config;
mod envelope;
mod feed;
mod proof;
mod return_path;
mod subscriptions;
mod topic;

pub use self::{
    backend::{SnsSqsBackend, SnsSqsParts},
    config::SnsSqsConfig,
};
