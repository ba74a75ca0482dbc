//! The standalone stream of a session: what the server sends of its own accord.

use std::{sync::Arc, time::Duration};

use proxy_core::{Backoff, error::ErrorKind};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{
    delivery::Origin,
    open::Opening,
    requests::Address,
    server::{Ended, Position, Server},
};

/// The delays between attempts.
const FIRST_DELAY: Duration = Duration::from_millis(250);
const LONGEST_DELAY: Duration = Duration::from_secs(30);

/// How long one attempt tries to connect before the delay grows.
const ATTEMPT: Duration = Duration::from_secs(10);

/// Keeps a session's standalone stream open until `over` fires, or until the server has none or does not know the session.
pub(super) async fn listen(server: Arc<Server>, address: Address, over: CancellationToken) {
    let origin = Origin { route: address.route.clone(), wire: None, response: None, peer: None };
    let mut position = Position::default();
    let mut backoff = Backoff::new(FIRST_DELAY, LONGEST_DELAY);
    let mut was_open = false;
    loop {
        let after = position.last_event_id.as_deref();
        let delay = match server.open(&address, after, Instant::now() + ATTEMPT, &over).await {
            Opening::Opened(mut events) => {
                was_open = true;
                let since = Instant::now();
                let ended = server.read_events(&mut events, &origin, &mut position, &over).await;
                let Ended::Broken(error) = ended else { return };
                // some servers end it at once, each time
                if since.elapsed() >= LONGEST_DELAY {
                    backoff.reset();
                }
                if let Some(error) = error {
                    tracing::debug!(%error, route = ?address.route, "a standalone stream broke");
                }
                position.retry
            }
            Opening::Absent(status) => {
                tracing::debug!(status = status.as_u16(), "the server has no standalone stream");
                return;
            }
            // where only POST has a handler the same is said of every GET: the session need not be gone
            Opening::Gone(_) if !was_open => {
                tracing::debug!("the server has no standalone stream");
                return;
            }
            Opening::Gone(error) => return server.delivery.gone(&address.route, error).await,
            Opening::Over => return,
            Opening::Later(error, asked) => {
                if error.kind() == ErrorKind::Protocol {
                    // perhaps it is the event that the server does not know
                    position.last_event_id = None;
                }
                server.metrics.receive_failed(&error);
                tracing::debug!(%error, route = ?address.route, "a standalone stream could not be opened yet");
                asked
            }
        };
        let delay = delay.unwrap_or_else(|| backoff.next_delay());
        tokio::select! {
            () = over.cancelled() => return,
            () = server.stop.cancelled() => return,
            () = sleep(delay) => {}
        }
    }
}
