//! From an error of the HTTP client to ours.

use std::{error::Error, io};

use proxy_core::error::{BackendError, Delivery, ErrorKind};

/// How far a request had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// No response yet.
    Head,
    /// The response had begun.
    Body,
}

/// What a failed request means. A connection that could not be made sent nothing; anything later may have arrived.
pub(crate) fn failure(operation: &'static str, phase: Phase, error: reqwest::Error) -> BackendError {
    let error = error.without_url();
    let (kind, delivery, message) = if error.is_builder() {
        (ErrorKind::Config, Delivery::NotSent, "the request cannot be made: check server_url and headers")
    } else if error.is_connect() {
        (ErrorKind::Unavailable, Delivery::NotSent, connecting(&error))
    } else if error.is_timeout() {
        (
            ErrorKind::Unavailable,
            Delivery::MaybeSent,
            "the server did not respond in time; it may have got the message",
        )
    } else if phase == Phase::Body {
        (ErrorKind::Unavailable, Delivery::MaybeSent, "the server's response broke off")
    } else {
        (
            ErrorKind::Unavailable,
            Delivery::MaybeSent,
            "the connection to the server broke; it may have got the message",
        )
    };
    BackendError::new(kind, operation, message).with_delivery(delivery).with_source(error)
}

/// Why there is no connection, as far as the causes tell.
fn connecting(error: &reqwest::Error) -> &'static str {
    let too_long = "the server cannot be reached: connecting took too long";
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.is::<rustls::Error>() {
            return "the server's certificate or TLS was not accepted";
        }
        if error.to_string().starts_with("dns error") {
            return "the server's name cannot be resolved";
        }
        let io = error.downcast_ref::<io::Error>();
        match io.map(io::Error::kind) {
            Some(io::ErrorKind::ConnectionRefused) => return "the server refuses connections",
            Some(io::ErrorKind::TimedOut) => return too_long,
            _ => {}
        }
        // an io::Error passes itself over when it is asked for its source
        cause = match io.and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    if error.is_timeout() { too_long } else { "the server cannot be reached" }
}
