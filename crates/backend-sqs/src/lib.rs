#![doc = include_str!("../README.md")]

mod backend;
mod config;
mod doctor;
mod policy;
mod provision;
mod replies;
mod requests;

pub use self::{
    backend::{SqsBackend, SqsParts},
    config::{ResponseQueue, SqsConfig},
    doctor::doctor,
    policy::policies,
    provision::provision,
};
