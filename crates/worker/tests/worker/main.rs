//! The worker over a memory intake, with a scripted server behind it.

mod at_most_once;
mod bench;
mod fleet;
mod sessions;
mod shutdown;
mod streams;
