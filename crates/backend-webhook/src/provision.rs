//! What has to be there for a webhook backend: nothing that a program could create.

use proxy_core::operator::{Change, Mode, Report, Step};

use crate::config::CallbackSettings;

/// Says what is the operator's to do, so that callbacks arrive.
pub(crate) fn by_hand(
    settings: &CallbackSettings<'_>,
    server_url: &str,
    mode: Mode,
    report: Report<'_, Step>,
) {
    let url = match settings.webhook_url {
        "" => format!("http://{}/callback", settings.listen),
        given => given.to_owned(),
    };
    let detail = match mode {
        Mode::Destroy => {
            "nothing was created; take the reverse proxy's route and the firewall's rule for it away"
                .to_owned()
        }
        Mode::Apply | Mode::DryRun => {
            let inside =
                if settings.share { "the proxy's own port".to_owned() } else { settings.listen.to_string() };
            format!(
                "let the MCP server send POST requests to {url} and all paths below it, and lead them, path unchanged, to {inside}; let this \
                 machine reach {server_url}"
            )
        }
    };
    report(Step::new(Change::ByHand, "callback", url).with_detail(detail));
}
