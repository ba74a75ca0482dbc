#![doc = include_str!("../README.md")]

mod backend;
mod config;
mod replies;
mod requests;

pub use self::{
    backend::{SqsBackend, SqsParts},
    config::{ResponseQueue, SqsConfig},
};
