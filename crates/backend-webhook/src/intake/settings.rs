//! The settings that the tables of both intakes have in common.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use axum::http::uri::Authority;
use proxy_core::config::{Problem, Secret, is_plain_path};

use crate::config::{header_problems, timeout_problem};

/// Where requests are taken by default: this machine only, on asyncmcp's port.
pub(crate) fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8000))
}

/// Where requests come in, and how callbacks go out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IntakeSettings<'config> {
    /// `listen`.
    pub(crate) listen: SocketAddr,
    /// `path`.
    pub(crate) path: &'config str,
    /// asyncmcp's path.
    pub(crate) usual_path: &'static str,
    /// `allowed_hosts`.
    pub(crate) allowed_hosts: &'config [String],
    /// `auth_token`.
    pub(crate) auth_token: Option<&'config Secret>,
    /// `max_message`, in bytes.
    pub(crate) max_message: usize,
    /// `timeout`, of one attempt at a callback.
    pub(crate) timeout: Duration,
    /// `headers`, of callbacks.
    pub(crate) headers: &'config BTreeMap<String, Secret>,
}

impl IntakeSettings<'_> {
    /// Everything that is wrong with them.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        problems.extend(self.path_problem());
        problems.extend(self.allowed_hosts.iter().enumerate().filter_map(host_problem));
        problems.extend(self.token_problem());
        if self.max_message == 0 {
            problems.push(Problem::new(
                "max_message",
                "is 0, so nothing could be received",
                "write a size such as max_message = \"16MiB\"",
            ));
        }
        problems.extend(timeout_problem(self.timeout));
        problems.extend(header_problems(self.headers));
        problems
    }

    /// The URL that clients on this machine post to.
    pub(crate) fn url(&self) -> String {
        format!("http://{}{}", self.listen, self.path)
    }

    fn path_problem(&self) -> Option<Problem> {
        let path = self.path;
        (!is_plain_path(path)).then(|| {
            Problem::new(
                "path",
                format!("is {path:?}, which is no plain absolute path"),
                format!("write letters, digits, dashes and slashes, such as path = {:?}", self.usual_path),
            )
        })
    }

    fn token_problem(&self) -> Option<Problem> {
        let token = self.auth_token?.expose();
        let is_token = !token.is_empty() && token.bytes().all(|byte| (0x21..=0x7e).contains(&byte));
        (!is_token).then(|| {
            Problem::new(
                "auth_token",
                "is no token that a header can carry",
                "write visible ASCII characters without spaces, or leave it out",
            )
        })
    }
}

fn host_problem((index, host): (usize, &String)) -> Option<Problem> {
    let address = host.parse::<std::net::Ipv6Addr>().is_ok();
    let name = host.parse::<Authority>().is_ok_and(|authority| authority.as_str() == authority.host());
    (!address && !name).then(|| {
        Problem::new(
            format!("allowed_hosts.{index}"),
            format!("is {host:?}, which is no host name"),
            "write a name as it stands in URLs, without a port: \"mcp.example.com\"",
        )
    })
}
