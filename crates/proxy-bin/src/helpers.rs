//! What a worker starts of this program beside itself, before anything else of it runs: no command line is read, no runtime begun.

use std::{ffi::OsString, io, process::ExitCode};

use worker::children::{self, Launcher};

/// The first argument of what becomes an MCP server once it is told to.
const LAUNCH: &str = "launch-server";

/// The first argument of what ends the MCP servers of a worker that has died.
const WATCH: &str = "watch-servers";

/// Does what these arguments say, the program's name among them, if they are those of a helper that a worker has started; `None` if
/// they are anybody else's.
pub fn helper(arguments: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    let mut arguments = arguments.into_iter().skip(1);
    match arguments.next()?.to_str()? {
        LAUNCH => Some(children::launch(arguments)),
        WATCH => Some(children::watch()),
        _ => None,
    }
}

/// How a worker starts its helpers.
pub(crate) fn launcher() -> io::Result<Launcher> {
    Launcher::of_this_program([LAUNCH], [WATCH])
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn helpers_are_of_the_program_that_runs_whatever_its_file_is_by_then() {
        assert_eq!(launcher().unwrap().program, std::path::Path::new("/proc/self/exe"));
    }
}
