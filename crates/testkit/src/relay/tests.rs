//! The relay in front of an echo server, and of the emulator.

use std::io::ErrorKind;
use std::time::Duration;

use tokio::time::timeout;

use super::*;
use crate::emulator::{Emulator, client_for};

/// A relay in front of a server that sends back what it gets.
async fn with_echo() -> (Relay, JoinSet<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            connections.spawn(async move {
                let (mut from, mut to) = stream.split();
                tokio::io::copy(&mut from, &mut to).await.ok();
            });
        }
    });
    (Relay::start(address).await.unwrap(), tasks)
}

async fn connect(relay: &Relay) -> TcpStream {
    TcpStream::connect(relay.local_addr()).await.unwrap()
}

async fn echo(stream: &mut TcpStream) -> io::Result<u8> {
    stream.write_all(b"x").await?;
    stream.read_u8().await
}

fn is_broken(result: &io::Result<u8>) -> bool {
    let kinds = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe, ErrorKind::UnexpectedEof];
    result.as_ref().is_err_and(|error| kinds.contains(&error.kind()))
}

async fn wait_until_closed(relay: &Relay) {
    while relay.connections() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn bytes_pass_both_ways_until_either_side_ends() {
    let (relay, _echo) = with_echo().await;
    let mut stream = connect(&relay).await;
    assert_eq!(echo(&mut stream).await.unwrap(), b'x');
    assert_eq!(relay.connections(), 1);
    stream.shutdown().await.unwrap();
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    wait_until_closed(&relay).await;
}

#[tokio::test]
async fn a_cut_resets_old_and_new_connections_until_restored() {
    let (relay, _echo) = with_echo().await;
    let mut before = connect(&relay).await;
    echo(&mut before).await.unwrap();
    relay.cut();
    assert_eq!(before.read_u8().await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    let mut during = connect(&relay).await;
    assert!(is_broken(&echo(&mut during).await));
    wait_until_closed(&relay).await;
    relay.restore().await.unwrap();
    assert!(is_broken(&echo(&mut before).await));
    assert_eq!(echo(&mut connect(&relay).await).await.unwrap(), b'x');
}

#[tokio::test]
async fn connections_are_refused_until_restored() {
    let (relay, _echo) = with_echo().await;
    let mut before = connect(&relay).await;
    echo(&mut before).await.unwrap();
    for _ in 0..3 {
        relay.refuse().await.unwrap();
        assert!(is_broken(&before.read_u8().await));
        let refused = TcpStream::connect(relay.local_addr()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        relay.restore().await.unwrap();
        before = connect(&relay).await;
        assert_eq!(echo(&mut before).await.unwrap(), b'x');
    }
}

#[tokio::test]
async fn a_hung_way_is_silent_and_swallows() {
    let (relay, _echo) = with_echo().await;
    let mut before = connect(&relay).await;
    echo(&mut before).await.unwrap();
    relay.hang();
    let mut during = connect(&relay).await;
    for stream in [&mut before, &mut during] {
        timeout(Duration::from_millis(50), echo(stream)).await.unwrap_err();
    }
    assert_eq!(relay.connections(), 2);
    relay.restore().await.unwrap();
    assert!(is_broken(&before.read_u8().await));
    assert!(is_broken(&during.read_u8().await));
    assert_eq!(echo(&mut connect(&relay).await).await.unwrap(), b'x');
}

#[tokio::test]
async fn the_emulator_survives_what_happens_in_front_of_it() {
    let emulator = Emulator::start().await.unwrap();
    let url = emulator.create_queue("q", &[]).unwrap();
    let relay = Relay::start(emulator.local_addr()).await.unwrap();
    let client = client_for(&relay.endpoint_url(), "test");
    let poll = client.receive_message().queue_url(&url).wait_time_seconds(20).send();
    let outage = async {
        while emulator.waiting("q") == 0 {
            tokio::task::yield_now().await;
        }
        relay.cut();
        while emulator.waiting("q") > 0 {
            tokio::task::yield_now().await;
        }
    };
    let (received, ()) = tokio::join!(poll, outage);
    received.unwrap_err();
    let send = || client.send_message().queue_url(&url).message_body("b").send();
    send().await.unwrap_err();
    relay.refuse().await.unwrap();
    send().await.unwrap_err();
    relay.restore().await.unwrap();
    send().await.unwrap();
    let received = client.receive_message().queue_url(&url).send().await.unwrap();
    assert_eq!(received.messages().len(), 1);
}
