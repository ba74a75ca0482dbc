//! What the settings of both backends are made of.

mod callback;
mod headers;
mod url;

use std::{net::SocketAddr, time::Duration};

use proxy_core::config::{Problem, duration};

pub(crate) use self::{
    callback::CallbackSettings,
    headers::{header_problems, parsed_headers},
    url::{is_cleartext_elsewhere, is_loopback, url_problem},
};

/// Where callbacks are taken by default: this machine only.
pub(crate) fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8090))
}

/// The default of `timeout`.
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// The default of `max_message`.
pub(crate) const DEFAULT_MAX_MESSAGE: usize = 16 << 20;

/// The longest `timeout`: more is a mistake.
const LONGEST_TIMEOUT: Duration = Duration::from_hours(1);

/// What is wrong with the setting `timeout`.
pub(crate) fn timeout_problem(timeout: Duration) -> Option<Problem> {
    (timeout.is_zero() || timeout > LONGEST_TIMEOUT).then(|| {
        Problem::new(
            "timeout",
            format!("is {}", duration::format(timeout)),
            "write more than nothing and at most an hour, such as timeout = \"30s\"",
        )
    })
}

/// What is wrong with the setting `client_id`.
pub(crate) fn client_id_problem(id: Option<&str>) -> Option<Problem> {
    let id = id?;
    if !(1..=128).contains(&id.len()) {
        return Some(Problem::new(
            "client_id",
            format!("has {} characters, where 1 to 128 are possible", id.len()),
            "write a short name, or leave it out to have a random one",
        ));
    }
    (!id.bytes().all(|byte| (0x21..=0x7e).contains(&byte))).then(|| {
        Problem::new(
            "client_id",
            format!("is {id:?}, which is not all visible ASCII"),
            "write it in visible ASCII characters without spaces",
        )
    })
}

#[cfg(test)]
mod tests;
