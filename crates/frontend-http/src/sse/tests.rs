use futures_util::{StreamExt as _, stream};
use prometheus_client::registry::Registry;

use super::*;
use crate::metrics::HttpMetrics;

fn event(id: &str, text: &str) -> StreamEvent {
    StreamEvent { id: id.to_owned(), text: text.to_owned() }
}

fn body<Events>(opening: Opening, events: Events) -> SseBody<Events> {
    let open = HttpMetrics::register(&mut Registry::default()).open_stream();
    let head = head(opening, || "s-0".to_owned());
    let has_ids = opening != Opening::Anonymous;
    SseBody { head: Some(head), has_ids, events, keep_alive: keep_alive(), _open: open }
}

async fn next<Events: Stream<Item = StreamEvent> + Unpin>(body: &mut SseBody<Events>) -> Option<Bytes> {
    body.next().await.map(|bytes| bytes.unwrap())
}

#[tokio::test]
async fn a_message_is_one_event_with_one_line_of_data() {
    let mut body = body(Opening::Plain, stream::iter([event("s-1", "{\"a\":\r\n1}")]));
    assert_eq!(next(&mut body).await.unwrap(), ":\n\n");
    assert_eq!(next(&mut body).await.unwrap(), "event: message\nid: s-1\ndata: {\"a\":  1}\n\n");
    assert_eq!(next(&mut body).await, None);
}

#[tokio::test]
async fn a_primed_stream_begins_with_an_id_and_when_to_come_back() {
    let mut body = body(Opening::Primed, stream::iter([]));
    assert_eq!(next(&mut body).await.unwrap(), ":\n\nid: s-0\nretry: 3000\ndata: \n\n");
}

#[tokio::test]
async fn a_stream_that_cannot_be_resumed_names_no_event() {
    let mut body = body(Opening::Anonymous, stream::iter([event("s-1", "{}")]));
    assert_eq!(next(&mut body).await.unwrap(), ":\n\n");
    assert_eq!(next(&mut body).await.unwrap(), "event: message\ndata: {}\n\n");
}

#[tokio::test(start_paused = true)]
async fn a_silent_stream_gets_a_comment_every_15_seconds() {
    let start = Instant::now();
    let mut body = body(Opening::Plain, stream::pending());
    assert_eq!(next(&mut body).await.unwrap(), ":\n\n");
    assert_eq!(start.elapsed(), Duration::ZERO);
    for seconds in [15, 30, 45] {
        assert_eq!(next(&mut body).await.unwrap(), ":\n\n");
        assert_eq!(start.elapsed().as_secs(), seconds);
    }
}
