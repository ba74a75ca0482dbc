//! A response that broke off before its answer, or that the server closed meanwhile, goes on by GET (2025-11-25,
//! basic/transports, resumability and redelivery).

use std::time::Duration;

use http::HeaderValue;
use proxy_core::{Backoff, error::ErrorKind};
use tokio::time::{Instant, sleep};

use super::{
    delivery::Origin,
    events::ReadError,
    exchange::Exchange,
    open::Opening,
    server::{Ended, Position, finish},
};

/// The delays where the server names none.
const FIRST_DELAY: Duration = Duration::from_millis(250);
const LONGEST_DELAY: Duration = Duration::from_secs(10);

/// Continues a response from where it stands until the answer came, or `until`.
pub(super) async fn resume(exchange: &Exchange, origin: &Origin, mut position: Position, until: Instant) {
    let over = &exchange.waiting.response.over;
    let mut backoff = Backoff::new(FIRST_DELAY, LONGEST_DELAY);
    let mut asked = None;
    loop {
        let delay = asked.take().or(position.retry).unwrap_or_else(|| backoff.next_delay());
        let stopped = async {
            tokio::select! {
                () = over.cancelled() => {}
                () = exchange.server.stop.cancelled() => {}
            }
        };
        tokio::select! {
            () = stopped => return,
            () = sleep(delay) => {}
        }
        if Instant::now() >= until {
            return;
        }
        // without the id of an event a GET is for the standalone stream, which is not this request's
        let after = position.last_event_id.clone().filter(|after| HeaderValue::from_str(after).is_ok());
        let Some(after) = after else {
            let sentence = "the server's response broke and cannot be continued; the request may have run";
            return exchange.without_answer(ErrorKind::Unavailable, sentence).await;
        };
        let mut events = match exchange.server.open(&exchange.address, Some(&after), until, over).await {
            Opening::Opened(events) => events,
            Opening::Over => return,
            Opening::Gone(error) => {
                return exchange.server.delivery.gone(&exchange.address.route, error).await;
            }
            Opening::Absent(status) => {
                let sentence = format!(
                    "the server's response broke and cannot be continued ({}); the request may have run",
                    status.as_u16()
                );
                return exchange.without_answer(ErrorKind::Unavailable, sentence).await;
            }
            Opening::Later(error, retry_after) => {
                tracing::debug!(%error, "a response could not be continued yet");
                asked = retry_after.or_else(|| Some(backoff.next_delay()));
                continue;
            }
        };
        match exchange.server.read_events(&mut events, origin, &mut position, over).await {
            Ended::Answered => return finish(*events).await,
            Ended::Over => return,
            Ended::Broken(Some(error @ ReadError::TooLarge { .. })) => return exchange.unread(&error).await,
            Ended::Broken(_) => {
                if position.last_event_id.as_ref() != Some(&after) {
                    backoff.reset();
                }
            }
        }
    }
}
