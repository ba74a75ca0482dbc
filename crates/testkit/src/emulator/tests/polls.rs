//! Waiting receives: woken by a send, ended by a stop, harmless when their client goes.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::*;
use crate::emulator::account::Account;
use crate::emulator::sqs::request::Request;

fn request(json: &str) -> Request {
    Request::parse(json.as_bytes()).unwrap()
}

const POLL: &str = r#"{"QueueUrl":"http://h/0/q","WaitTimeSeconds":20}"#;

#[tokio::test]
async fn a_send_wakes_a_waiting_receive() {
    let (_emulator, client, url) = with_queue("q", &[]).await;
    let poll = client.receive_message().queue_url(&url).wait_time_seconds(20).send();
    let send = client.send_message().queue_url(&url).message_body("b").send();
    let began = Instant::now();
    let (received, receipt) = tokio::join!(poll, send);
    receipt.unwrap();
    assert_eq!(bodies(received.unwrap().messages()), ["b"]);
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn a_receive_waits_its_time_and_wakes_for_what_becomes_visible() {
    let account = Account::new("http://h".into(), 0);
    account.create_queue("q", &[]).unwrap();
    let began = Instant::now();
    let empty = account.perform_sqs("ReceiveMessage", &request(POLL)).await.unwrap();
    assert_eq!((empty.to_string(), began.elapsed().as_secs()), ("{}".into(), 20));

    let send = request(r#"{"QueueUrl":"http://h/0/q","MessageBody":"b","DelaySeconds":7}"#);
    account.perform_sqs("SendMessage", &send).await.unwrap();
    for seconds in [7, 30] {
        let began = Instant::now();
        let mut polls = 0;
        let mut received = empty.clone();
        while received == empty {
            received = account.perform_sqs("ReceiveMessage", &request(POLL)).await.unwrap();
            polls += 1;
        }
        assert_eq!(
            (received["Messages"][0]["Body"].as_str(), began.elapsed().as_secs()),
            (Some("b"), seconds)
        );
        assert_eq!(polls, seconds / 20 + 1);
    }
}

/// Two readers wait; the one that the message is not for hides it for a second each time. AWS gives it to either of them.
#[tokio::test(start_paused = true)]
async fn no_receive_that_waits_is_passed_over_for_ever() {
    for order in [[0, 1], [1, 0]] {
        let account = Account::new("http://h".into(), 0);
        account.create_queue("q", &[]).unwrap();
        let send = request(r#"{"QueueUrl":"http://h/0/q","MessageBody":"b"}"#);
        account.perform_sqs("SendMessage", &send).await.unwrap();
        let reader = async |number: usize| {
            loop {
                let received = account.perform_sqs("ReceiveMessage", &request(POLL)).await.unwrap();
                let Some(receipt) = received["Messages"][0]["ReceiptHandle"].as_str() else { continue };
                if number == 0 {
                    return;
                }
                let hide = format!(
                    r#"{{"QueueUrl":"http://h/0/q","ReceiptHandle":"{receipt}","VisibilityTimeout":1}}"#
                );
                account.perform_sqs("ChangeMessageVisibility", &request(&hide)).await.unwrap();
            }
        };
        let both = async {
            tokio::select! {
                biased;
                () = reader(order[0]) => {}
                () = reader(order[1]) => {}
            }
        };
        timeout(Duration::from_mins(1), both).await.expect("its reader gets the message in the end");
    }
}

#[tokio::test]
async fn a_client_that_went_takes_no_message() {
    let (emulator, client, url) = with_queue("q", &[]).await;
    let mut gone = TcpStream::connect(emulator.local_addr()).await.unwrap();
    let body = format!(r#"{{"QueueUrl":"{url}","WaitTimeSeconds":20}}"#);
    let head = "POST / HTTP/1.1\r\nhost: h\r\nx-amz-target: AmazonSQS.ReceiveMessage\r\n";
    gone.write_all(format!("{head}content-length: {}\r\n\r\n{body}", body.len()).as_bytes()).await.unwrap();
    while emulator.waiting("q") == 0 {
        tokio::task::yield_now().await;
    }
    drop(gone);
    while emulator.waiting("q") > 0 {
        tokio::task::yield_now().await;
    }
    client.send_message().queue_url(&url).message_body("b").send().await.unwrap();
    assert_eq!(bodies(&receive(&client, &url).await), ["b"]);
}

#[tokio::test]
async fn stopping_ends_waiting_receives_and_frees_the_port() {
    let (emulator, client, url) = with_queue("q", &[]).await;
    let address = emulator.local_addr();
    let poll = client.receive_message().queue_url(&url).wait_time_seconds(20).send();
    let stop = async {
        while emulator.waiting("q") == 0 {
            tokio::task::yield_now().await;
        }
        emulator.stop().await.unwrap();
    };
    let (received, ()) = timeout(Duration::from_secs(5), async { tokio::join!(poll, stop) }).await.unwrap();
    assert!(received.unwrap().messages().is_empty());
    Emulator::bind(address).await.unwrap();
}

#[tokio::test]
async fn a_silent_client_does_not_hold_up_a_stop() {
    let (emulator, client, url) = with_queue("q", &[]).await;
    let address = emulator.local_addr();
    let _silent = TcpStream::connect(address).await.unwrap();
    client.send_message().queue_url(&url).message_body("b").send().await.unwrap();
    timeout(Duration::from_secs(5), emulator.stop()).await.unwrap().unwrap();
    Emulator::bind(address).await.unwrap();
}

#[tokio::test]
async fn a_dropped_emulator_frees_its_port() {
    let (emulator, client, url) = with_queue("q", &[]).await;
    let address = emulator.local_addr();
    let poll = client.receive_message().queue_url(&url).wait_time_seconds(20).send();
    let stop = async {
        while emulator.waiting("q") == 0 {
            tokio::task::yield_now().await;
        }
        drop(emulator);
    };
    let (received, ()) = timeout(Duration::from_secs(5), async { tokio::join!(poll, stop) }).await.unwrap();
    assert!(received.unwrap().messages().is_empty());
    Emulator::bind(address).await.unwrap();
}

#[tokio::test]
async fn deleting_the_queue_ends_a_waiting_receive() {
    let (_emulator, client, url) = with_queue("q", &[]).await;
    let poll = client.receive_message().queue_url(&url).wait_time_seconds(20).send();
    let delete = client.delete_queue().queue_url(&url).send();
    let (received, deleted) = tokio::join!(poll, delete);
    deleted.unwrap();
    assert!(received.unwrap_err().into_service_error().is_queue_does_not_exist());
}
