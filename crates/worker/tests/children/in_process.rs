//! Servers within the process, and what an inbox without room does to them.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use prometheus_client::registry::Registry;
use proxy_core::{
    backend::{Backend as _, Context, Disposition, Event, Inbound, Inbox, Outbound, Remote, Settlement},
    error::{BackendError, ErrorKind},
    id::{InstanceId, RouteKey, WireId},
    message::Message,
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, duplex, split},
    sync::mpsc,
    time::Instant,
};
use worker::{
    Children, ServerConfig,
    children::{Launch, Launched},
};

use crate::harness::within;

/// Starts servers that answer everything with a notification and an empty result, and panic when they are told to.
#[derive(Debug, Default)]
struct InProcess {
    ended: Arc<AtomicUsize>,
}

#[async_trait]
impl Launch for InProcess {
    async fn launch(&self, _: &RouteKey) -> Result<Launched, BackendError> {
        let (ours, theirs) = duplex(4096);
        let (output, input) = split(ours);
        let ended = Arc::clone(&self.ended);
        let server = async move {
            let (input, mut output) = split(theirs);
            let mut lines = BufReader::new(input).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                assert!(!line.contains("panic"), "as it was told to");
                let id = line.split('"').nth(7).unwrap_or_default();
                let notification = r#"{"jsonrpc":"2.0","method":"notifications/x"}"#;
                let answer = format!(r#"{{"jsonrpc":"2.0","id":"{id}","result":{{}}}}"#);
                let text = format!("{notification}\n{answer}\n");
                output.write_all(text.as_bytes()).await.unwrap();
            }
            ended.fetch_add(1, Ordering::Relaxed);
        };
        Ok(Launched::in_process(input, output, Box::pin(server)))
    }
}

/// Refuses what it may refuse the first time.
#[derive(Debug)]
struct Full {
    events: mpsc::Sender<Event>,
    refused: Mutex<usize>,
}

impl Inbox for Full {
    fn deliver(&self, inbound: Inbound) -> Settlement {
        let mut refused = self.refused.lock().unwrap();
        let may_wait = matches!(inbound.event, Event::Message(Message::Notification(_)));
        if may_wait && *refused < 2 {
            *refused += 1;
            return Settlement::Now(Disposition::Busy);
        }
        self.events.try_send(inbound.event).unwrap();
        Settlement::Later(Box::pin(async { Disposition::Accepted }))
    }
}

fn request(route: &RouteKey, number: u64, method: &str) -> Outbound {
    let about = WireId::new(route.clone(), number);
    Outbound {
        remote: Remote { route: route.clone(), peer: None },
        number,
        context: Context { version: None, deadline: Instant::now() + Duration::from_secs(20) },
        message: Message::parse(format!(r#"{{"jsonrpc":"2.0","id":"{about}","method":"{method}"}}"#))
            .unwrap(),
        about: Some(about),
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_within_the_process_is_held_back_while_there_is_no_room() {
    let (send, mut events) = mpsc::channel(16);
    let inbox = Arc::new(Full { events: send, refused: Mutex::new(0) });
    let launch = InProcess::default();
    let ended = Arc::clone(&launch.ended);
    let refusing = Arc::clone(&inbox);
    let config = ServerConfig::default();
    let children = Children::with(Arc::new(launch), &config, refusing, &mut Registry::default());
    let route = RouteKey::random(&InstanceId::random());
    children.check().await.unwrap();
    children.send(request(&route, 0, "initialize")).await.unwrap();
    let mut order = Vec::new();
    for _ in 0..2 {
        let event = within(events.recv()).await.unwrap();
        order.push(matches!(event, Event::Message(Message::Notification(_))));
    }
    assert_eq!(order, [true, false], "what is held back keeps its place");
    assert_eq!(*inbox.refused.lock().unwrap(), 2);
    children.close(&Remote { route, peer: None }).await.unwrap();
    assert_eq!(ended.load(Ordering::Relaxed), 1, "its input has ended, and so has it");
}

#[tokio::test]
async fn a_server_that_panics_takes_nothing_else_with_it() {
    let (send, mut events) = mpsc::channel(16);
    let inbox = Arc::new(Full { events: send, refused: Mutex::new(2) });
    let config = ServerConfig::default();
    let launch = Arc::new(InProcess::default());
    let children = Children::with(launch, &config, inbox, &mut Registry::default());
    let route = RouteKey::random(&InstanceId::random());
    children.send(request(&route, 0, "initialize")).await.unwrap();
    for _ in 0..2 {
        assert!(matches!(within(events.recv()).await.unwrap(), Event::Message(_)));
    }
    children.send(request(&route, 1, "panic")).await.unwrap();
    match within(events.recv()).await.unwrap() {
        Event::ExchangeFailed(None, error) => {
            assert_eq!(error.kind(), ErrorKind::SessionGone);
            assert_eq!(error.to_string(), "the server process ended (it panicked) during the call");
        }
        other => panic!("{other:?}"),
    }
    children.close(&Remote { route, peer: None }).await.unwrap();
}
