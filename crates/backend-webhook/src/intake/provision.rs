//! What has to be there for an intake over HTTP: nothing that a program could create.

use proxy_core::operator::{Change, Mode, Report, Step};

use super::IntakeSettings;

/// Says what is the operator's to do, so that requests come in and callbacks go out.
pub(crate) fn by_hand(settings: &IntakeSettings<'_>, mode: Mode, report: Report<'_, Step>) {
    let detail = match mode {
        Mode::Destroy => {
            "nothing was created; take the reverse proxy's route and the firewall's rules for it away"
                .to_owned()
        }
        Mode::Apply | Mode::DryRun => format!(
            "let clients reach {}, over TLS and path unchanged where they are elsewhere, and let this machine reach the URLs that they name \
             for their answers",
            settings.url()
        ),
    };
    report(Step::new(Change::ByHand, "endpoint", settings.url()).with_detail(detail));
}
