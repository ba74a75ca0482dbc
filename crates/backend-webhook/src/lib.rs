#![doc = include_str!("../README.md")]

mod callback;
mod config;
mod doctor;
mod http_client;
mod http_server;
mod intake;
mod provision;
#[cfg(feature = "streamable-http-webhook")]
pub mod streamable_http;
#[cfg(feature = "webhook")]
pub mod webhook;

#[cfg(feature = "streamable-http-webhook")]
pub use self::streamable_http::{
    backend::{StreamableHttpBackend, StreamableHttpParts},
    config::StreamableHttpConfig,
    intake::{StreamableHttpIntake, StreamableHttpIntakeParts, config::StreamableHttpIntakeConfig},
};
#[cfg(feature = "webhook")]
pub use self::webhook::{
    backend::{WebhookBackend, WebhookParts},
    config::WebhookConfig,
    intake::{WebhookIntake, WebhookIntakeParts, config::WebhookIntakeConfig},
};
