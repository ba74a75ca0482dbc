//! Reads the bodies of requests within a limit.

use std::{future::poll_fn, pin::Pin, time::Duration};

use axum::body::{Body, Bytes, HttpBody as _};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Reserved at most on the strength of a `Content-Length`, before anything came.
const RESERVED_AHEAD: usize = 64 * 1024;

/// How long a peer may leave a body unfinished without sending more of it.
pub(crate) const SILENCE: Duration = Duration::from_secs(30);

/// How long, and how much of, what is left of a refused body is read for.
const DISCARD_TIME: Duration = Duration::from_secs(2);
const DISCARD_BYTES: usize = 1024 * 1024;

/// Why a body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unread {
    TooLarge,
    Slow,
    Broken,
    /// As much is being read as may be.
    NoRoom,
}

/// Reads the whole body, at most `limit` bytes, from a peer that does not fall silent.
pub(crate) async fn read(body: &mut Body, limit: usize) -> Result<Vec<u8>, Unread> {
    read_within(body, limit, &Semaphore::new(Semaphore::MAX_PERMITS)).await
}

/// The same, where `room` is for the bytes of all the bodies that are being read: what is more than their first 64 KiB.
pub(crate) async fn read_within(body: &mut Body, limit: usize, room: &Semaphore) -> Result<Vec<u8>, Unread> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limit {
        return Err(Unread::TooLarge);
    }
    let mut bytes = Vec::with_capacity(announced.min(RESERVED_AHEAD));
    let mut taken: Option<SemaphorePermit<'_>> = None;
    loop {
        let next = tokio::time::timeout(SILENCE, next_chunk(body)).await;
        let Some(chunk) = next.map_err(|_| Unread::Slow)? else { return Ok(bytes) };
        let chunk = chunk.map_err(|_| Unread::Broken)?;
        if chunk.len() > limit - bytes.len() {
            return Err(Unread::TooLarge);
        }
        if bytes.len() + chunk.len() > RESERVED_AHEAD {
            let more = u32::try_from(chunk.len()).map_err(|_| Unread::TooLarge)?;
            let more = room.try_acquire_many(more).map_err(|_| Unread::NoRoom)?;
            match &mut taken {
                None => taken = Some(more),
                Some(taken) => taken.merge(more),
            }
        }
        bytes.extend_from_slice(&chunk);
    }
}

/// Reads on in a body that was refused, within bounds: a server that closes a connection while the other side still writes
/// resets it, and the answer that says why is never seen.
pub(crate) async fn discard(body: &mut Body) {
    let rest = async {
        let mut seen = 0;
        while let Some(Ok(chunk)) = next_chunk(body).await {
            seen += chunk.len();
            if seen > DISCARD_BYTES {
                break;
            }
        }
    };
    if tokio::time::timeout(DISCARD_TIME, rest).await.is_err() {
        tracing::debug!("a refused request did not end in time");
    }
}

/// The next piece of data; trailers are passed over.
async fn next_chunk(body: &mut Body) -> Option<Result<Bytes, axum::Error>> {
    loop {
        match poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await? {
            Err(error) => return Some(Err(error)),
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
    use std::convert::Infallible;

    use futures_util::{StreamExt as _, stream};

    use super::*;

    #[tokio::test]
    async fn a_body_up_to_the_limit_is_read() {
        assert_eq!(read(&mut Body::from("12345"), 5).await, Ok(b"12345".to_vec()));
        assert_eq!(read(&mut Body::from("123456"), 5).await, Err(Unread::TooLarge));
    }

    #[tokio::test]
    async fn a_body_of_unknown_length_stops_at_the_limit() {
        let endless = stream::repeat_with(|| Ok::<_, Infallible>("123"));
        assert_eq!(read(&mut Body::from_stream(endless), 8).await, Err(Unread::TooLarge));
    }

    #[tokio::test(start_paused = true)]
    async fn bodies_share_the_room_that_there_is() {
        let room = Semaphore::new(200 * 1024);
        let large = || Body::from(vec![b'x'; 150 * 1024]);
        let unfinished = stream::iter([Ok::<_, Infallible>(vec![b'x'; 100 * 1024])]).chain(stream::pending());
        let mut slow = Body::from_stream(unfinished);
        let others = async {
            tokio::task::yield_now().await;
            assert_eq!(read_within(&mut large(), usize::MAX, &room).await, Err(Unread::NoRoom));
            let small = vec![b'x'; RESERVED_AHEAD];
            let read = read_within(&mut Body::from(small.clone()), usize::MAX, &room).await;
            assert_eq!(read, Ok(small), "what is small has room always");
        };
        let (read, ()) = tokio::join!(read_within(&mut slow, usize::MAX, &room), others);
        assert_eq!(read, Err(Unread::Slow));
        assert!(read_within(&mut large(), usize::MAX, &room).await.is_ok(), "it is free again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_peer_is_given_up() {
        let mut silent = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
        let start = tokio::time::Instant::now();
        assert_eq!(read(&mut silent, 8).await, Err(Unread::Slow));
        assert_eq!(start.elapsed(), SILENCE);
        let start = tokio::time::Instant::now();
        discard(&mut silent).await;
        assert_eq!(start.elapsed(), DISCARD_TIME);
    }
}
