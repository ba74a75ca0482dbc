//! What is a line, and what is said to what is none.

use proxy_core::backend::Disposition;
use serde_json::{Value, json};

use crate::harness::{Client, MAX_MESSAGE, call, initialize, reason, text};

#[tokio::test]
async fn item_71_a_message_of_many_lines_leaves_as_one() {
    let mut client = Client::open("2025-11-25").await;
    client.send(&call(2, "silent", &json!({}))).await;
    let asked = client.far.server.wait_for_method("tools/call").await.unwrap();
    let id = asked.message.id().unwrap().to_json();
    let pretty = format!(
        "{{\n  \"jsonrpc\": \"2.0\",\r\n  \"id\": {id},\n  \"result\": {{\n    \"content\": [\n      {{ \"type\": \"text\", \
         \"text\": \"two\\nlines\" }}\n    ]\n  }}\n}}\n"
    );
    let sent = client.far.server.return_path().send(&asked.remote.route, pretty).await;
    assert_eq!(sent, Ok(Disposition::Accepted));
    let answer = client.next().await;
    assert_eq!(answer["id"], 2);
    assert_eq!(text(&answer), "two\nlines");
    client.nothing_but_a_ping().await;
}

#[tokio::test]
async fn item_71_nothing_but_messages_is_written() {
    let mut client = Client::open("2025-11-25").await;
    client.write(b"no json\n\n   \r\n[]\n").await;
    for code in [-32700, -32600] {
        let error = client.next().await;
        assert_eq!(error["jsonrpc"], "2.0");
        assert_eq!(error["error"]["code"], code);
        assert_eq!(error["id"], Value::Null);
    }
    client.close_input();
    assert_eq!(client.line().await, None);
    client.served().await.unwrap();
}

#[tokio::test]
async fn a_request_that_is_no_message_is_told_so_by_its_id() {
    let mut client = Client::open("2025-11-25").await;
    client.write(b"{\"jsonrpc\":\"1.0\",\"method\":\"tools/list\",\"id\":\"old\"}\n").await;
    let error = client.next().await;
    assert_eq!((&error["id"], &error["error"]["code"]), (&json!("old"), &json!(-32600)));
    // An answer that is no message is nothing that could be answered by its id.
    client.write(b"{\"jsonrpc\":\"1.0\",\"result\":{},\"id\":3}\n").await;
    assert_eq!(client.next().await["id"], Value::Null);
}

#[tokio::test]
async fn a_line_over_the_limit_is_refused_by_its_id() {
    let mut client = Client::open("2025-11-25").await;
    client.send(&call(5, "echo", &json!({"text": "x".repeat(5 * MAX_MESSAGE)}))).await;
    let error = client.next().await;
    assert_eq!((&error["id"], reason(&error)), (&json!(5), "body_too_large"));
    let just_fits = "x".repeat(MAX_MESSAGE - 200);
    client.send(&call(6, "echo", &json!({"text": just_fits}))).await;
    assert_eq!(text(&client.next().await), just_fits);
}

#[tokio::test]
async fn the_last_line_needs_no_end() {
    let mut client = Client::start();
    client.write(initialize(1, "2025-06-18").to_string().as_bytes()).await;
    client.close_input();
    assert_eq!(client.next().await["id"], 1);
    client.served().await.unwrap();
}

#[tokio::test]
async fn lines_may_come_in_pieces_and_many_at_once() {
    let mut client = Client::open("2025-11-25").await;
    let two = format!(
        "{}\r\n{}\n",
        call(2, "echo", &json!({"text": "ä"})),
        call("2", "echo", &json!({"text": "b"}))
    );
    for piece in two.as_bytes().chunks(7) {
        client.write(piece).await;
    }
    let mut answers = [client.next().await, client.next().await];
    answers.sort_by_key(|answer| answer["id"].is_string());
    assert_eq!((&answers[0]["id"], text(&answers[0])), (&json!(2), "ä"));
    assert_eq!((&answers[1]["id"], text(&answers[1])), (&json!("2"), "b"));
}

#[tokio::test]
async fn batches_are_part_of_one_revision_only() {
    let batch = json!([
        call(2, "echo", &json!({"text": "a"})),
        {"jsonrpc": "2.0", "method": "notifications/roots/list_changed"},
        call(3, "echo", &json!({"text": "b"})),
    ]);
    let mut client = Client::open("2025-03-26").await;
    client.send(&batch).await;
    let answers = client.next().await;
    let mut ids: Vec<_> = answers.as_array().unwrap().iter().map(|answer| answer["id"].as_i64()).collect();
    ids.sort_unstable();
    assert_eq!(ids, [Some(2), Some(3)]);
    client.send(&json!([initialize(9, "2025-03-26")])).await;
    assert_eq!(reason(&client.next().await), "initialize_in_batch");
    client.send(&json!([{"jsonrpc": "2.0", "method": "notifications/roots/list_changed"}])).await;
    client.nothing_but_a_ping().await;

    let mut client = Client::open("2025-06-18").await;
    client.send(&batch).await;
    let error = client.next().await;
    assert_eq!((&error["id"], reason(&error)), (&Value::Null, "batch_not_supported"));
}

#[tokio::test]
async fn a_batch_that_is_refused_is_refused_request_by_request() {
    let mut client = Client::start();
    client.send(&json!([call(2, "echo", &json!({})), call(3, "echo", &json!({}))])).await;
    let errors = client.next().await;
    assert_eq!((&errors[0]["id"], reason(&errors[0])), (&json!(2), "not_initialized"));
    assert_eq!((&errors[1]["id"], reason(&errors[1])), (&json!(3), "not_initialized"));
}
