//! The HTTP server of the callback endpoint and of the intakes: bounded in connections, in heads and bodies, and in time.

mod body;
mod listener;

pub(crate) use self::{
    body::{Unread, discard, read, read_within},
    listener::{LAST_REQUEST, serve},
};
