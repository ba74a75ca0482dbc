//! Reads request bodies within a limit.

use std::{future::poll_fn, pin::Pin, time::Duration};

use axum::{
    body::{Body, Bytes, HttpBody as _},
    http::{HeaderMap, header},
};

use crate::rejection::Rejection;

/// Reserved at most on the strength of a `Content-Length`, before anything came.
const RESERVED_AHEAD: usize = 64 * 1024;

/// How long a client may leave its body unfinished without sending more of it.
const SILENCE: Duration = Duration::from_mins(1);

/// How long what is left of a refused request's body is read for.
const DISCARD_TIME: Duration = Duration::from_secs(2);

/// Reads the whole body, at most `limit` bytes, from a client that does not fall silent.
pub(crate) async fn read(body: &mut Body, limit: usize) -> Result<Vec<u8>, Rejection> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limit {
        return Err(Rejection::BodyTooLarge { limit });
    }
    let mut bytes = Vec::with_capacity(announced.min(RESERVED_AHEAD));
    loop {
        let next = tokio::time::timeout(SILENCE, next_chunk(body)).await;
        let Some(chunk) = next.map_err(|_| Rejection::BodyTooSlow)? else { return Ok(bytes) };
        let chunk = chunk?;
        if chunk.len() > limit - bytes.len() {
            return Err(Rejection::BodyTooLarge { limit });
        }
        bytes.extend_from_slice(&chunk);
    }
}

/// Reads on to the end of a body that was refused, at most `limit` bytes and two seconds.
///
/// A server that closes a connection while the client still writes resets it, and the client may never see the answer that
/// says why. A client that waits for `100 Continue` writes nothing, so nothing is read from it.
pub(crate) async fn discard(body: &mut Body, headers: &HeaderMap, limit: usize) {
    if body.is_end_stream() || headers.contains_key(header::EXPECT) {
        return;
    }
    let rest = async {
        let mut seen = 0;
        while let Some(Ok(chunk)) = next_chunk(body).await {
            seen += chunk.len();
            if seen > limit {
                break;
            }
        }
    };
    if tokio::time::timeout(DISCARD_TIME, rest).await.is_err() {
        tracing::debug!("a refused body did not end in time");
    }
}

/// The next piece of data; trailers are passed over.
async fn next_chunk(body: &mut Body) -> Option<Result<Bytes, Rejection>> {
    loop {
        match poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await? {
            Err(_) => return Some(Err(Rejection::BodyUnreadable)),
            Ok(frame) => {
                if let Ok(data) = frame.into_data() {
                    return Some(Ok(data));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, io};

    use futures_util::{StreamExt as _, stream};

    use super::*;

    #[tokio::test]
    async fn a_body_up_to_the_limit_is_read() {
        assert_eq!(read(&mut Body::from("12345"), 5).await, Ok(b"12345".to_vec()));
        assert_eq!(read(&mut Body::from("123456"), 5).await, Err(Rejection::BodyTooLarge { limit: 5 }));
    }

    #[tokio::test]
    async fn a_body_of_unknown_length_stops_at_the_limit() {
        let chunks = |count| Body::from_stream(stream::iter(vec![Ok::<_, Infallible>("123"); count]));
        assert_eq!(read(&mut chunks(2), 6).await, Ok(b"123123".to_vec()));
        assert_eq!(read(&mut chunks(3), 8).await, Err(Rejection::BodyTooLarge { limit: 8 }));
    }

    #[tokio::test]
    async fn a_broken_body_is_refused() {
        let broken = stream::iter([Ok("12"), Err(io::Error::from(io::ErrorKind::UnexpectedEof))]);
        assert_eq!(read(&mut Body::from_stream(broken), 8).await, Err(Rejection::BodyUnreadable));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_falls_silent_is_given_up() {
        let mut silent = Body::from_stream(stream::iter([Ok::<_, Infallible>("1")]).chain(stream::pending()));
        assert_eq!(read(&mut silent, 8).await, Err(Rejection::BodyTooSlow));
    }

    #[tokio::test(start_paused = true)]
    async fn discarding_ends_though_the_body_does_not() {
        let mut endless = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
        let start = tokio::time::Instant::now();
        discard(&mut endless, &HeaderMap::new(), 1024).await;
        assert_eq!(start.elapsed(), DISCARD_TIME);
    }
}
