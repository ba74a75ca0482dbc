//! Random interleavings of everything that clients, the far end, the transport and the clock can do, beside a model of what the
//! specification expects. `STATE_CASES` sets how many.

mod clients;
mod names;

use std::collections::{BTreeMap, BTreeSet};

use proptest::{collection::vec, prelude::*};

use super::{
    model::{Expected, SessionModel, check_state},
    *,
};

const IDS: [&str; 5] = ["1", r#""1""#, "2", r#""a""#, "9007199254740993"];
const TIMES: [u64; 7] = [100, 500, 1_000, 20_000, 31_000, 61_000, 110_000];

/// A step: what happens, to which of the things that it can happen to, and how.
type Step = (u8, u16, u16);

struct World {
    rig: Rig,
    config: SessionConfig,
    sessions: Vec<SessionModel>,
    /// What is being sent: whose, what about, and the message.
    sending: Vec<(Key, Receipt, Outbound)>,
    closing: Vec<Key>,
    marks: usize,
}

pub(super) fn cases() -> u32 {
    std::env::var("STATE_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(2_000)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, max_shrink_iters: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_everyone_gets_what_is_theirs_and_nothing_is_left(
        steps in vec(any::<Step>(), 1..160),
        small_memory in any::<bool>(),
    ) {
        let mut world = World::new(small_memory);
        for step in steps {
            world.step(step);
        }
        world.finish();
    }
}

impl World {
    fn new(small_memory: bool) -> Self {
        let config = SessionConfig {
            session_timeout: seconds(150),
            request_timeout: seconds(100),
            request_timeout_max: seconds(250),
            max_sessions: 4,
            max_exchanges: 5,
            ..SessionConfig::default()
        };
        let rig = Rig::with(config.clone(), if small_memory { 1_500 } else { usize::MAX });
        Self { rig, config, sessions: Vec::new(), sending: Vec::new(), closing: Vec::new(), marks: 0 }
    }

    fn step(&mut self, (kind, pick, how): Step) {
        match kind % 32 {
            0 | 1 => self.open(pick, how),
            2..=6 => self.forward(pick, how),
            7 => self.confirm(pick),
            8..=11 => self.report(pick, how),
            12..=15 => self.answer(pick, how),
            16 | 17 => self.progress(pick, how),
            18 | 19 => self.log(pick, how),
            20 | 21 => self.ask(pick, how),
            22 => self.withdraw(pick, how),
            23 | 24 => self.reply(pick, how),
            25 => self.cancel(pick, how),
            26 | 27 => self.read(pick, how),
            28 => self.leave(pick, how),
            29 => self.come(pick, how),
            30 => self.advance(how),
            _ => self.rarely(pick, how),
        }
        self.take_outbox();
        check_state(&self.rig, &self.config, self.sending.len());
        for session in &self.sessions {
            let is_open = self.rig.state.sessions.contains_key(&session.client.key);
            assert_eq!(is_open, session.is_alive, "session {}", session.index);
        }
    }

    fn mark(&mut self, session: usize) -> String {
        self.marks += 1;
        format!("s{session}m{}", self.marks)
    }

    fn pick(&self, pick: u16) -> Option<usize> {
        (!self.sessions.is_empty()).then(|| usize::from(pick) % self.sessions.len())
    }

    /// A session and one of its calls that the far end may have.
    fn pick_call(&self, pick: u16, how: u16) -> Option<(usize, usize)> {
        let session = self.pick(pick)?;
        let calls = &self.sessions[session].calls;
        let out: Vec<usize> = (0..calls.len()).filter(|call| calls[*call].is_out).collect();
        (!out.is_empty()).then(|| (session, out[usize::from(how) % out.len()]))
    }

    fn is_live(&self, session: usize, call: usize) -> bool {
        let session = &self.sessions[session];
        let found = self.rig.state.sessions.get(&session.client.key);
        found.is_some_and(|found| found.exchanges.contains_key(&session.calls[call].number))
    }

    fn open(&mut self, pick: u16, how: u16) {
        let name = ["alice", "bob"][usize::from(pick % 2)];
        let version = ["2025-03-26", LATEST][usize::from(how % 2)];
        if self.sessions.iter().filter(|session| session.is_alive).count() >= self.config.max_sessions
            || self.rig.state.is_draining()
            || self.rig.state.is_memory_full(self.rig.now)
        {
            return;
        }
        let capabilities = if how.is_multiple_of(3) { "{}" } else { ALL_CAPABILITIES };
        let (client, stream) = self.rig.initialize(name, version, capabilities);
        let mut session = SessionModel {
            index: self.sessions.len(),
            client,
            capabilities,
            version,
            confirming: false,
            is_alive: true,
            was_lost: false,
            calls: Vec::new(),
            questions: BTreeMap::new(),
            views: BTreeMap::new(),
            stored: None,
            numbers: BTreeSet::new(),
        };
        session.add_calls(&stream, &["0".into()], &[None], 0);
        self.sessions.push(session);
    }

    fn forward(&mut self, pick: u16, how: u16) {
        let Some(at) = self.pick(pick) else { return };
        let media = [Media::Any, Media::EventStream, Media::Json][usize::from(how / 7) % 3];
        let count = if self.sessions[at].version != LATEST && how.is_multiple_of(5) {
            2 + usize::from(how % 2)
        } else {
            1
        };
        let ids: Vec<String> =
            (0..count).map(|nth| IDS[(usize::from(how / 3) + nth) % IDS.len()].to_owned()).collect();
        let tokens: Vec<Option<String>> = ids
            .iter()
            .map(|_| (!how.is_multiple_of(4)).then(|| IDS[usize::from(how) % 2].to_owned()))
            .collect();
        let texts: Vec<String> = ids
            .iter()
            .zip(&tokens)
            .map(|(id, token)| match token {
                Some(token) => call(id)
                    .replace(&format!(r#""progressToken":{id}"#), &format!(r#""progressToken":{token}"#)),
                None => request(id, "tools/list"),
            })
            .collect();
        let client = self.sessions[at].client.clone();
        let next = self.rig.state.sessions.get(&client.key).map_or(0, |session| session.next_number);
        let in_flight: Vec<String> = (0..self.sessions[at].calls.len())
            .filter(|call| self.is_live(at, *call))
            .map(|call| self.sessions[at].calls[call].id.clone())
            .collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        match self.rig.forward_all(&client, &texts, media) {
            Ok(stream) => {
                assert!(!ids.iter().any(|id| in_flight.contains(id)), "the id is in flight");
                assert!(self.sessions[at].is_alive && in_flight.len() + count <= self.config.max_exchanges);
                self.sessions[at].add_calls(&stream.unwrap(), &ids, &tokens, next);
            }
            Err(refusal) => {
                let allowed = match refusal {
                    Refusal::SessionNotFound => !self.sessions[at].is_alive,
                    Refusal::InvalidRequest(_) | Refusal::TooManyExchanges | Refusal::OutOfMemory => true,
                    Refusal::Draining => self.rig.state.is_draining(),
                    _ => false,
                };
                assert!(allowed, "{refusal:?}");
                let after = self.rig.state.sessions.get(&client.key).map_or(0, |session| session.next_number);
                assert_eq!(after, next, "all or nothing");
            }
        }
    }

    fn confirm(&mut self, pick: u16) {
        let Some(at) = self.pick(pick) else { return };
        let client = self.sessions[at].client.clone();
        let text = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        self.rig.forward(&client, text, Media::Any).ok();
    }

    /// Takes what is to be sent, as the transport sees it.
    fn take_outbox(&mut self) {
        for outgoing in self.rig.state.take_outbox() {
            match outgoing {
                Outgoing::Send { session, outbound, receipt, .. } => {
                    self.check_outbound(session, &outbound, Some(receipt));
                    self.sending.push((session, receipt, *outbound));
                }
                Outgoing::Close { session, farewells, remote } => {
                    let model = self.sessions.iter().find(|model| model.client.key == session).unwrap();
                    let known = remote.peer.as_ref().and_then(|peer| peer.session.as_ref());
                    assert_eq!(known, model.stored.as_ref(), "closed under the far end's own id");
                    assert!(!self.sending.iter().any(|(key, ..)| *key == session), "closed while sending");
                    for farewell in &farewells {
                        self.check_outbound(session, farewell, None);
                    }
                    self.closing.push(session);
                }
            }
        }
    }

    fn check_outbound(&mut self, key: Key, outbound: &Outbound, receipt: Option<Receipt>) {
        let session = self.sessions.iter_mut().find(|session| session.client.key == key).unwrap();
        let text = outbound.message.as_str();
        assert_eq!(&outbound.remote.route, session.route());
        let known = outbound.remote.peer.as_ref().and_then(|peer| peer.session.as_ref());
        assert!(receipt.is_none() || known == session.stored.as_ref(), "{known:?} {:?}", session.stored);
        assert!(session.numbers.insert(outbound.number), "a number names one message for ever");
        assert!(!text.contains(session.client.id.expose()), "the session id is the client's alone");
        match &outbound.message {
            Message::Request(request) if receipt == Some(Receipt::Probe) => {
                assert_eq!(request.method(), "ping");
                assert!(session.calls.iter().any(|call| call.reported), "something was sent before");
            }
            Message::Request(request) => {
                assert!(!session.confirming, "requests wait for initialized");
                let call = session.calls.iter_mut().find(|call| call.number == outbound.number).unwrap();
                assert_eq!(call.expected, Expected::Open, "nobody waits for it");
                call.is_out = true;
                let wire = WireId::new(session.client.route.clone(), outbound.number);
                assert_eq!(outbound.about.as_ref(), Some(&wire));
                assert_eq!(request.id().as_string(), Some(wire.to_string().as_str()));
                let token = format!(r#""progressToken":"{wire}""#);
                assert_eq!(text.contains(&token), call.token.is_some());
            }
            Message::Response(response) => {
                let id: u64 = response.id().unwrap().to_json().parse().unwrap();
                let question = session.questions.get_mut(&id).expect("the far end asked");
                question.answers += 1;
                assert_eq!(question.answers, 1, "answered twice: {text}");
                assert!(!question.cancelled, "answered after it was withdrawn: {text}");
            }
            Message::Notification(notification) => match notification.method() {
                "notifications/initialized" => {
                    assert_eq!(receipt, Some(Receipt::Initialized));
                    session.confirming = true;
                }
                "notifications/cancelled" => {
                    let named = outbound.about.clone().unwrap();
                    assert!(text.contains(&format!(r#""{named}""#)), "by its wire id: {text}");
                    let call = session.calls.iter().find(|call| call.number == named.number()).unwrap();
                    assert!(call.is_out && call.reported && !call.is_initialize, "{call:?}");
                }
                _ => panic!("nobody said {text}"),
            },
        }
    }

    fn report(&mut self, pick: u16, how: u16) {
        if self.sending.is_empty() {
            if let Some(key) = self.closing.pop() {
                self.rig.state.closed(key, self.rig.now);
            }
            return;
        }
        let (key, receipt, outbound) = self.sending.remove(usize::from(pick) % self.sending.len());
        let at = self.sessions.iter().position(|session| session.client.key == key).unwrap();
        let result = match how % 8 {
            0 => Err(failure(Delivery::NotSent)),
            1 => Err(failure(Delivery::MaybeSent)),
            2 if how % 5 < 2 => {
                Err(gone(if how.is_multiple_of(5) { Delivery::NotSent } else { Delivery::MaybeSent }))
            }
            _ => Ok(Sent { session: self.name_in_receipt(at, receipt, how) }),
        };
        let is_gone = result.as_ref().is_err_and(|error| error.kind() == ErrorKind::SessionGone);
        let not_sent = result.as_ref().is_err_and(|error| error.delivery() == Delivery::NotSent);
        let failed = result.is_err();
        let was_live = (0..self.sessions[at].calls.len())
            .find(|call| self.sessions[at].calls[*call].number == outbound.number)
            .filter(|call| matches!(receipt, Receipt::Request(_)) && self.is_live(at, *call));
        let session = &mut self.sessions[at];
        if let Receipt::Request(number) = receipt {
            let call = session.calls.iter_mut().find(|call| call.number == number).unwrap();
            call.reported = true;
            call.is_out = !not_sent;
            if let (true, Some(call)) = (not_sent && !is_gone, was_live) {
                let is_initialize = session.calls[call].is_initialize;
                session.calls[call].end(Expected::Reason(&["unavailable"]));
                if is_initialize {
                    session.close(&["handshake_failed"]);
                }
            }
        }
        if is_gone && session.is_alive {
            session.was_lost = true;
            session.close(&["session_gone"]);
        }
        if receipt == Receipt::Initialized {
            session.confirming = false;
            if failed && session.is_alive {
                session.close(&["handshake_failed"]);
            }
        }
        self.rig.state.sent(key, receipt, result, self.rig.now);
    }

    fn answer(&mut self, pick: u16, how: u16) {
        let Some((at, call)) = self.pick_call(pick, how) else { return };
        let live = self.is_live(at, call);
        let mark = self.mark(at);
        let session = &self.sessions[at];
        let wire = session.wire(call);
        let is_initialize = session.calls[call].is_initialize;
        let is_error = how.is_multiple_of(7);
        let outcome = match (is_error, is_initialize) {
            (true, _) => format!(r#""error":{{"code":-32000,"message":"no","data":{{"mark":"{mark}"}}}}"#),
            (false, true) => {
                format!(r#""result":{{"protocolVersion":"{}","mark":"{mark}"}}"#, session.version)
            }
            (false, false) => format!(r#""result":{{"mark":"{mark}"}}"#),
        };
        let route = match how % 11 {
            0 => self.sessions[usize::from(how) % self.sessions.len()].route().clone(),
            _ => session.route().clone(),
        };
        let before = (how.is_multiple_of(3)).then_some(session.calls[call].sequence);
        let was_held = session.calls[call].held.is_some();
        let text = format!(r#"{{"jsonrpc":"2.0","id":"{wire}",{outcome}}}"#);
        let is_stray = &route != session.route();
        if is_initialize && !is_stray && live {
            self.name_in_answer(at, how);
        }
        let disposition = self.rig.deliver(&route, &text, None, before);
        if is_stray || !live {
            return assert_eq!(disposition, Disposition::Unroutable);
        }
        assert_eq!(disposition, Disposition::Accepted);
        if was_held {
            return;
        }
        if self.is_live(at, call) {
            assert!(before.is_some_and(|before| before > 0) && !is_initialize);
            self.sessions[at].calls[call].held = Some(mark);
            return;
        }
        self.sessions[at].calls[call].end(Expected::Answer(mark));
        if is_initialize && is_error {
            self.sessions[at].close(&["handshake_failed"]);
        }
    }

    fn progress(&mut self, pick: u16, how: u16) {
        let Some((at, call)) = self.pick_call(pick, how) else { return };
        let mark = self.mark(at);
        let live = self.is_live(at, call);
        let number = (how.is_multiple_of(2)).then(|| self.sessions[at].number(call));
        let session = &self.sessions[at];
        let (wire, token) = (session.wire(call), session.calls[call].token.is_some());
        let text = format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":"{wire}","call":{},"mark":"{mark}"}}}}"#,
            wire.number()
        );
        let other = self.sessions[usize::from(how) % self.sessions.len()].route().clone();
        if &other != session.route() {
            assert_eq!(self.rig.deliver(&other, &text, None, None), Disposition::Unroutable);
        }
        if how.is_multiple_of(5) {
            return; // lost on the way
        }
        let route = session.route().clone();
        let full = self.rig.state.is_memory_full(self.rig.now);
        let expected = match (live, full, token) {
            (false, ..) | (true, false, false) => Disposition::Unroutable,
            (true, true, _) => Disposition::Busy,
            (true, false, true) => Disposition::Accepted,
        };
        assert_eq!(self.rig.deliver(&route, &text, None, number), expected);
        self.settle_held(at);
        if how.is_multiple_of(3) && number.is_some() && expected == Disposition::Accepted {
            self.rig.deliver(&route, &text, None, number);
            self.settle_held(at);
        }
    }

    /// What was held back may have been handed over.
    fn settle_held(&mut self, at: usize) {
        for call in 0..self.sessions[at].calls.len() {
            if !self.is_live(at, call)
                && let Some(mark) = self.sessions[at].calls[call].held.take()
            {
                self.sessions[at].calls[call].end(Expected::Answer(mark));
            }
        }
    }

    fn log(&mut self, pick: u16, how: u16) {
        let Some(at) = self.pick(pick) else { return };
        let mark = self.mark(at);
        let text = format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/message","params":{{"level":"info","mark":"{mark}"}}}}"#
        );
        let related = self.pick_call(pick, how).filter(|_| !how.is_multiple_of(3));
        let number = related.map(|(_, call)| self.sessions[at].number(call));
        let wire = related.map(|(_, call)| self.sessions[at].wire(call));
        let route = self.sessions[at].route().clone();
        let disposition = self.rig.deliver(&route, &text, wire.as_ref(), number);
        assert_eq!(disposition == Disposition::Unroutable, !self.sessions[at].is_alive);
        self.settle_held(at);
        // A duplicate is known by its number as long as its exchange lives.
        if related.is_some_and(|(_, call)| how.is_multiple_of(2) && self.is_live(at, call))
            && disposition == Disposition::Accepted
        {
            assert_ne!(self.rig.deliver(&route, &text, wire.as_ref(), number), Disposition::Unroutable);
        }
    }
}
