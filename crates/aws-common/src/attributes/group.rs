//! Which group a message belongs to in a FIFO queue or topic.
//!
//! A group gives out nothing more while one of its messages is in flight, that is, while the far end works on it. So a call's group
//! is its exchange: calls run in parallel. What the call may wait for, such as the answer to a question that it asked, and what must
//! overtake it, such as its cancellation, has a group of its own. The handshake shares one, so that it stays in order.

use proxy_core::{
    backend::{Outbound, Remote},
    message::Message,
};

use super::Group;

pub(super) fn group_of(outbound: &Outbound) -> Group {
    let Outbound { remote, about, number, message, .. } = outbound;
    let route = remote.route.as_str();
    let own = || format!("{route}.{number}");
    let id = match (message, about) {
        _ if matches!(message.method(), Some("initialize" | "notifications/initialized")) => {
            format!("{route}.handshake")
        }
        (Message::Request(_), Some(wire)) => wire.to_string(),
        _ => own(),
    };
    Group { id: id.into(), deduplication_id: own().into() }
}

/// An end waits for nothing.
pub(super) fn group_of_end(remote: &Remote) -> Group {
    let id: Box<str> = format!("{}.end", remote.route.as_str()).into();
    Group { deduplication_id: id.clone(), id }
}
