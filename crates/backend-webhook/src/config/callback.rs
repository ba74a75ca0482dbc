//! The settings of the callback endpoint.

use std::net::SocketAddr;

use proxy_core::config::{Problem, is_plain_path};

use super::url_problem;

/// Where callbacks come in: the same keys in the tables of both backends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CallbackSettings<'config> {
    /// `listen`.
    pub(crate) listen: SocketAddr,
    /// `share`: the program's own port, in the place of `listen`.
    pub(crate) share: bool,
    /// `webhook_url`; empty where it is left out: the address that is listened on.
    pub(crate) webhook_url: &'config str,
    /// `max_message`, in bytes.
    pub(crate) max_message: usize,
}

impl CallbackSettings<'_> {
    /// Everything that is wrong with them.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let url = self.webhook_url;
        let has_own_address = !self.share && !self.listen.ip().is_unspecified();
        match url_problem("webhook_url", url, "https://proxy.example.com/callback") {
            Some(_) if url.is_empty() && has_own_address => {}
            Some(problem) => problems.push(problem),
            None => problems.extend(self.path_problem()),
        }
        if self.max_message == 0 {
            problems.push(Problem::new(
                "max_message",
                "is 0, so nothing could be received",
                "write a size such as max_message = \"16MiB\"",
            ));
        }
        problems
    }

    fn path_problem(&self) -> Option<Problem> {
        let url = reqwest::Url::parse(self.webhook_url).ok()?;
        let path = url.path().trim_end_matches('/');
        if !path.is_empty() && !is_plain_path(path) {
            return Some(Problem::new(
                "webhook_url",
                format!("has the path {path:?}, with characters that a plain path does not have"),
                "write a path of letters, digits, dashes and slashes, such as /callback",
            ));
        }
        if self.share && path.is_empty() {
            return Some(Problem::new(
                "webhook_url",
                "has no path, which share needs to tell callbacks from other requests",
                "add one, such as /callback",
            ));
        }
        None
    }
}
