//! What the configuration of every part is made of: durations, sizes, secrets, problems, and the settings of sessions.
//!
//! Each part owns one struct of settings and says in `validate` everything that is wrong with it; the binary reads files,
//! variables and flags into them and puts the table's name in front of each [`Problem`].

pub mod byte_size;
pub mod duration;
mod path;
mod problem;
mod secret;
mod session;

pub use path::is_plain_path;
pub use problem::{Problem, refuse_problems};
pub use secret::Secret;
pub use session::{SessionConfig, Timeouts, ToolTimeouts};
