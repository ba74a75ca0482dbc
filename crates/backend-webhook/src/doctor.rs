//! What `doctor` looks at for both backends: the server, and the way of a callback from outside in.

mod callback;
mod server;

use proxy_core::{
    config::Problem,
    operator::{Check, Report},
};

pub(crate) use self::{callback::check_callback, server::check_server};

/// Reports the configuration. Returns whether there is any use in looking further.
pub(crate) fn check_configuration(problems: &[Problem], report: Report<'_, Check>) -> bool {
    for problem in problems {
        report(Check::failed(
            "configuration",
            format!("{} {}", problem.key, problem.what),
            problem.instead.clone(),
        ));
    }
    if problems.is_empty() {
        report(Check::good("configuration", "every setting is possible"));
    }
    problems.is_empty()
}
