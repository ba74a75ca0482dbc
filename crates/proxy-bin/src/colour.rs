//! Colours of what is printed for people. Where they do not belong, `anstream` takes them out: no terminal, or `NO_COLOR`
//! (no-color.org).

pub(crate) const GREEN: &str = "\x1b[32m";
pub(crate) const YELLOW: &str = "\x1b[33m";
pub(crate) const RED: &str = "\x1b[31m";
#[cfg(feature = "demo")]
pub(crate) const BLUE: &str = "\x1b[34m";
#[cfg(feature = "demo")]
pub(crate) const MAGENTA: &str = "\x1b[35m";
#[cfg(feature = "demo")]
pub(crate) const CYAN: &str = "\x1b[36m";
#[cfg(feature = "demo")]
pub(crate) const BOLD: &str = "\x1b[1m";
pub(crate) const DIM: &str = "\x1b[2m";
pub(crate) const PLAIN: &str = "\x1b[0m";
