#![doc = include_str!("../README.md")]

mod backend;
mod config;
mod queues;
mod reply_queue;

pub use self::{
    backend::{SqsBackend, SqsParts},
    config::SqsConfig,
};
