//! A client that does everything that clients do, and looks closely at everything that it gets.

use std::{sync::Arc, time::Duration};

use fastrand::Rng;
use proxy_core::{EventStream, Media, Principal, Proxy, Refusal, Reply, id::SessionId, message::Message};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::world::{World, owner};

/// How many calls a client has under way at once.
const AT_ONCE: usize = 12;

/// How long a client waits for plain JSON.
const SSE_AFTER: Duration = Duration::from_millis(250);

#[derive(Clone)]
pub(crate) struct Client {
    name: usize,
    principal: Principal,
    proxy: Arc<Proxy>,
    dice: Rng,
}

/// An open session.
#[derive(Clone)]
struct Conversation {
    client: Client,
    session: SessionId,
}

impl Client {
    pub(crate) fn new(name: usize, seed: u64, world: &World) -> Self {
        let principal = Principal::Named(format!("client-{name}").into());
        let dice = Rng::with_seed(seed.wrapping_add(name as u64));
        Self { name, principal, proxy: Arc::clone(&world.proxy), dice }
    }

    /// Makes this many calls, in as many sessions as that takes. Returns how many requests were admitted, `initialize` included.
    pub(crate) async fn live(mut self, calls: usize) -> usize {
        let mut admitted = 0;
        let mut made = 0;
        let mut attempts = 0;
        while made < calls {
            attempts += 1;
            assert!(attempts < 1000, "no session comes about");
            admitted += 1;
            let Some(conversation) = self.open().await else { continue };
            let mut listening = JoinSet::new();
            listening.spawn(conversation.clone().listen());
            while made < calls {
                let wave: Vec<_> = (made..calls.min(made + AT_ONCE)).collect();
                made += wave.len();
                let answered = conversation.clone().make(wave, self.dice.fork()).await;
                admitted += answered.admitted;
                if answered.session_is_over {
                    break;
                }
            }
            // Over already, where the handshake had failed.
            if let Err(refusal) = self.proxy.end(&conversation.session, &self.principal) {
                assert_eq!(refusal, Refusal::SessionNotFound);
            }
            assert!(
                matches!(listening.join_next().await, Some(Ok(()))),
                "a standalone stream with its own messages"
            );
        }
        admitted
    }

    /// Opens a session; `None` where the transport was in the way.
    async fn open(&self) -> Option<Conversation> {
        let text = json!({
            "jsonrpc": "2.0", "id": 1, "method": "initialize",
            "params": {
                "protocolVersion": "2025-06-18",
                "capabilities": {"roots": {}, "sampling": {}, "elicitation": {}},
                "clientInfo": {"name": self.tag("initialize"), "version": "1"},
            },
        });
        let Ok(Message::Request(request)) = Message::parse(text.to_string()) else { panic!("no request") };
        let opened = self.proxy.open(&self.principal, request, Media::Any).expect("room for a session");
        let conversation = Conversation { client: self.clone(), session: opened.session };
        let answers = conversation.read(opened.pending.reply(SSE_AFTER).await, &json!(1), None, false).await;
        answers?.get("result")?;
        match conversation.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})) {
            Ok(_) => Some(conversation),
            Err(refusal) => panic!("an answered session is open: {refusal}"),
        }
    }

    /// Something that is this client's alone.
    fn tag(&self, what: &str) -> String {
        format!("client-{}.{what}", self.name)
    }
}

#[derive(Default)]
struct Made {
    admitted: usize,
    session_is_over: bool,
}

impl Conversation {
    /// Makes these calls at once.
    async fn make(self, calls: Vec<usize>, mut dice: Rng) -> Made {
        let mut under_way = JoinSet::new();
        for call in calls {
            under_way.spawn(self.clone().call(call, dice.fork()));
        }
        let mut made = Made::default();
        while let Some(call) = under_way.join_next().await {
            match call.expect("a call that saw nothing wrong") {
                Ok(()) => made.admitted += 1,
                Err(Refusal::SessionNotFound) => made.session_is_over = true,
                Err(refusal) => panic!("a call was refused: {refusal}"),
            }
        }
        made
    }

    /// Makes one call and follows it to its end.
    async fn call(self, call: usize, mut dice: Rng) -> Result<(), Refusal> {
        // The same ids in every session, and 7 and "7" in flight together.
        let id = if call.is_multiple_of(2) { json!(call / 2) } else { json!((call / 2).to_string()) };
        let tag = self.client.tag(&format!("{call}{}", if id.is_string() { "s" } else { "n" }));
        let tool = *dice
            .choice(&["echo", "echo", "echo", "slow", "log", "ask", "fail", "silent"])
            .unwrap_or(&"echo");
        let request = json!({
            "jsonrpc": "2.0", "id": id, "method": "tools/call",
            "params": {
                "name": tool,
                "arguments": {
                    "text": tag, "progress": 3, "count": 2,
                    "method": "sampling/createMessage", "params": {"tag": tag},
                },
                "_meta": {"progressToken": id},
            },
        });
        let pending = self.send(&request)?.expect("an answer to come");
        let is_cancelled = dice.u8(..10) == 0;
        if is_cancelled {
            tokio::time::sleep(Duration::from_millis(dice.u64(..3000))).await; // allowed: the clock is paused
            let cancel =
                json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}});
            if let Err(refusal) = self.send(&cancel) {
                assert_eq!(refusal, Refusal::SessionNotFound);
            }
        }
        let reconnects = dice.u8(..5) == 0;
        let answer = self.read(pending.reply(SSE_AFTER).await, &id, Some(&tag), reconnects).await;
        match answer {
            Some(answer) => check_answer(&answer, tool, &tag),
            None => assert!(is_cancelled || self.is_over(), "request {id} of {tag} ended without an answer"),
        }
        Ok(())
    }

    /// Reads a reply to its end, checking everything, and returns the one answer if there is one.
    async fn read(&self, reply: Reply, id: &Value, tag: Option<&str>, reconnects: bool) -> Option<Value> {
        let mut answers = Vec::new();
        match reply {
            Reply::Whole(texts) => {
                for text in texts {
                    answers.extend(self.take(&text, id, tag));
                }
            }
            Reply::Stream(mut events) => {
                while let Some(event) = events.next().await {
                    answers.extend(self.take(&event.text, id, tag));
                    if reconnects {
                        drop(events);
                        tokio::task::yield_now().await;
                        match self.client.proxy.resume(&self.session, &self.client.principal, &event.id) {
                            Ok(Some(resumed)) => events = resumed,
                            Ok(None) => break,
                            Err(refusal) => {
                                assert!(
                                    refusal == Refusal::SessionNotFound || !answers.is_empty(),
                                    "{refusal}"
                                );
                                break;
                            }
                        }
                    }
                }
            }
        }
        assert!(answers.len() <= 1, "more than one answer: {answers:?}");
        answers.pop()
    }

    /// Looks at one message. Returns it if it is the answer.
    fn take(&self, text: &str, id: &Value, tag: Option<&str>) -> Option<Value> {
        let message: Value = serde_json::from_str(text).expect("JSON");
        self.check_owner(text);
        if message.get("method").is_none() {
            assert_eq!(message["id"], *id, "an answer has its request's id, type included");
            return Some(message);
        }
        if message["method"] == "notifications/progress" {
            assert_eq!(message["params"]["progressToken"], *id, "progress has its request's token");
            assert!(tag.is_some(), "progress belongs to a call");
        }
        self.answer_if_asked(&message);
        None
    }

    /// Follows the standalone stream to its end.
    async fn listen(self) {
        let opened = self.client.proxy.listen(&self.session, &self.client.principal);
        let mut events: EventStream = match opened {
            Ok(events) => events,
            Err(refusal) => return assert_eq!(refusal, Refusal::SessionNotFound),
        };
        while let Some(event) = events.next().await {
            let message: Value = serde_json::from_str(&event.text).expect("JSON");
            self.check_owner(&event.text);
            assert!(message.get("method").is_some(), "an answer never comes on the standalone stream");
            assert_ne!(message["method"], "notifications/progress", "progress comes with its request");
            self.answer_if_asked(&message);
        }
    }

    fn check_owner(&self, text: &str) {
        if let Some(owner) = owner(text) {
            assert_eq!(owner, self.client.name, "a message of another session");
        }
        assert!(!text.contains(self.session.expose()), "the session id came back from the far end");
    }

    /// Answers the server's requests.
    fn answer_if_asked(&self, message: &Value) {
        let Some(id) = message.get("id") else { return };
        let answer = json!({"jsonrpc": "2.0", "id": id, "result": {"answered": message["params"]["tag"]}});
        if let Err(refusal) = self.send(&answer) {
            assert_eq!(refusal, Refusal::SessionNotFound);
        }
    }

    fn send(&self, message: &Value) -> Result<Option<proxy_core::Pending>, Refusal> {
        let message = Message::parse(message.to_string()).expect("a message");
        self.client.proxy.forward(&self.session, &self.client.principal, vec![message], Media::Any)
    }

    fn is_over(&self) -> bool {
        self.client.proxy.version(&self.session, &self.client.principal).is_err()
    }
}

/// An answer is the tool's own, or an error of the proxy's that says why there is none.
fn check_answer(answer: &Value, tool: &str, tag: &str) {
    let text = answer.pointer("/result/content/0/text").and_then(Value::as_str);
    match (text, answer.pointer("/error/data/reason").and_then(Value::as_str)) {
        (Some(text), None) => match tool {
            "echo" | "log" => assert_eq!(text, tag),
            "slow" => assert_eq!(text, "done"),
            "ask" => assert!(text.contains(tag) || text.contains("error"), "{text}"),
            _ => panic!("{tool} has no result"),
        },
        (None, Some(reason)) => {
            let known = ["timeout", "unavailable", "handshake_failed"];
            assert!(known.contains(&reason), "{answer}");
        }
        (None, None) => {
            assert_eq!(answer["error"]["code"], testkit::server::TOOL_FAILED, "{answer}");
            assert_eq!(tool, "fail");
        }
        (Some(_), Some(_)) => panic!("both a result and an error: {answer}"),
    }
}
