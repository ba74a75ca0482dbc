//! Random interleavings of clients without sessions, a far end that says anything at any time, the transport and the clock.
//! `STATE_CASES` sets how many.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{collection::vec, prelude::*};

use super::{interleavings::cases, *};
use crate::version::ProtocolVersion;

/// What a client without a session asked for, and what it has had.
struct Borrowed {
    name: &'static str,
    id: String,
    reader: Reader,
    /// The requests that the far end may have of it: one, or a second after the first certainly never left.
    wires: Vec<WireId>,
    /// The mark of the answer that the proxy took.
    answered: Option<String>,
    texts: Vec<String>,
    /// Its stream has ended.
    is_over: bool,
}

/// A request that the far end has.
#[derive(Clone)]
struct Held {
    wire: WireId,
    borrower: Option<usize>,
    /// The proxy has taken its answer.
    is_over: bool,
}

struct World {
    rig: Rig,
    config: SessionConfig,
    borrowed: Vec<Borrowed>,
    held: Vec<Held>,
    sending: Vec<(Key, Receipt, Outbound)>,
    closing: Vec<Key>,
    /// Routes of which an exchange did not end with its answer.
    spoiled: BTreeSet<RouteKey>,
    /// Who a route's requests are of.
    owners: BTreeMap<RouteKey, &'static str>,
    marks: usize,
    is_draining: bool,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, max_shrink_iters: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn nobody_without_a_session_ever_gets_what_is_anothers(steps in vec(any::<(u8, u16, u16)>(), 1..200)) {
        let mut world = World::new();
        for step in steps {
            world.step(step);
        }
        world.finish();
    }
}

impl World {
    fn new() -> Self {
        let config = SessionConfig {
            session_timeout: seconds(150),
            request_timeout: seconds(100),
            request_timeout_max: seconds(250),
            max_sessions: 3,
            ..SessionConfig::default()
        };
        Self {
            rig: Rig::with(config.clone(), usize::MAX),
            config,
            borrowed: Vec::new(),
            held: Vec::new(),
            sending: Vec::new(),
            closing: Vec::new(),
            spoiled: BTreeSet::new(),
            owners: BTreeMap::new(),
            marks: 0,
            is_draining: false,
        }
    }

    fn step(&mut self, (kind, pick, how): (u8, u16, u16)) {
        match kind % 16 {
            0..=3 => self.ask(pick, how),
            4..=7 => self.report(pick, how),
            8..=10 => self.answer(pick, how),
            11 | 12 => self.say(pick, how),
            13 => self.advance(how),
            14 => self.lose(pick, how),
            _ if how.is_multiple_of(64) => {
                self.is_draining = true;
                self.rig.state.drain();
            }
            _ => self.answer(pick, 1),
        }
        self.take_outbox();
        self.check();
    }

    fn ask(&mut self, pick: u16, how: u16) {
        let name = ["alice", "bob"][usize::from(pick % 2)];
        let version = [ProtocolVersion::LATEST, ProtocolVersion::V2025_06_18][usize::from(how / 2 % 5 / 4)];
        let number = self.borrowed.len();
        let id = ["1".to_owned(), format!("\"b{number}\"")][usize::from(how % 2)].clone();
        // The text names its borrower, so that the far end's copy tells whose it is.
        let text = call(&id).replace(r#""name":"work""#, &format!(r#""name":"b{number}e""#));
        match self.rig.borrow(name, &[&text], version) {
            Ok(stream) => {
                let stream = stream.unwrap();
                let reader = Reader { session: NO_SESSION, cursor: stream.read(None), stream };
                self.borrowed.push(Borrowed {
                    name,
                    id,
                    reader,
                    wires: Vec::new(),
                    answered: None,
                    texts: Vec::new(),
                    is_over: false,
                });
            }
            Err(Refusal::Draining) => assert!(self.is_draining),
            Err(Refusal::TooManyWaiting) => {
                assert!(self.rig.state.pools.waiting() >= self.config.max_sessions);
            }
            Err(refusal) => panic!("{refusal:?}"),
        }
    }

    fn take_outbox(&mut self) {
        for outgoing in self.rig.state.take_outbox() {
            match outgoing {
                Outgoing::Send { session, outbound, receipt, .. } => {
                    self.check_outbound(&outbound);
                    self.sending.push((session, receipt, *outbound));
                }
                Outgoing::Close { session, .. } => self.closing.push(session),
            }
        }
    }

    fn check_outbound(&mut self, outbound: &Outbound) {
        let Message::Request(request) = &outbound.message else { return };
        let wire = outbound.about.clone().unwrap();
        let route = wire.route().clone();
        if request.method() == "initialize" {
            assert_eq!(wire.number(), 0);
            self.held.push(Held { wire, borrower: None, is_over: false });
            return;
        }
        assert!(!self.spoiled.contains(&route), "lent again though an exchange ended without its answer");
        let text = request.as_str();
        let start = text.find(r#""name":"b"#).unwrap() + r#""name":"b"#.len();
        let number: usize = text[start..].split('e').next().unwrap().parse().unwrap();
        let borrowed = &mut self.borrowed[number];
        borrowed.wires.push(wire.clone());
        assert!(borrowed.wires.len() <= 2, "tried once more at most");
        let owner = self.owners.entry(route.clone()).or_insert(borrowed.name);
        assert_eq!(*owner, borrowed.name, "a session is one principal's for ever");
        let others = self.held.iter().filter(|held| held.wire.route() == &route && held.borrower.is_some());
        assert!(others.clone().all(|held| held.is_over), "one exchange at a time");
        self.held.push(Held { wire, borrower: Some(number), is_over: false });
    }

    fn report(&mut self, pick: u16, how: u16) {
        if self.sending.is_empty() {
            if let Some(key) = self.closing.pop() {
                self.rig.state.closed(key, self.rig.now);
            }
            return;
        }
        let (key, receipt, outbound) = self.sending.remove(usize::from(pick) % self.sending.len());
        let result = match how % 12 {
            0 => Err(failure(Delivery::NotSent)),
            1 => Err(failure(Delivery::MaybeSent)),
            2 => Err(gone(Delivery::NotSent)),
            3 => Err(gone(Delivery::MaybeSent)),
            _ => Ok(Sent::default()),
        };
        let never_left = result.as_ref().is_err_and(|error| error.delivery() == Delivery::NotSent);
        let is_request = matches!(receipt, Receipt::Request(_));
        if is_request && result.is_err() {
            self.spoil(&outbound.remote.route, outbound.about.as_ref(), never_left);
        }
        self.rig.state.sent(key, receipt, result, self.rig.now);
    }

    /// An exchange of this route may have ended without its answer.
    fn spoil(&mut self, route: &RouteKey, wire: Option<&WireId>, never_left: bool) {
        for held in &mut self.held {
            let is_it = wire.is_none_or(|wire| held.wire == *wire);
            if held.wire.route() == route && is_it && !held.is_over {
                if never_left {
                    held.is_over = true;
                }
                self.spoiled.extend(never_left.then(|| route.clone()));
            }
        }
    }

    fn answer(&mut self, pick: u16, how: u16) {
        if self.held.is_empty() {
            return;
        }
        let at = usize::from(pick) % self.held.len();
        let Held { wire, borrower, is_over } = self.held[at].clone();
        self.marks += 1;
        let mark = format!("m{}x", self.marks);
        let outcome = match (borrower, how % 8) {
            (None, 0) => r#""error":{"code":1,"message":"no"}"#.to_owned(),
            (None, _) => r#""result":{"protocolVersion":"2025-06-18","capabilities":{}}"#.to_owned(),
            (Some(_), 0) => format!(r#""error":{{"code":1,"message":"{mark}"}}"#),
            (Some(_), _) => format!(r#""result":{{"mark":"{mark}"}}"#),
        };
        let live = self.is_live(&wire);
        let disposition = self.rig.answer(&wire, &outcome);
        assert_eq!(disposition == Disposition::Accepted, live, "{wire}");
        assert!(!(live && is_over));
        if live {
            self.held[at].is_over = true;
            if let Some(borrower) = borrower {
                self.borrowed[borrower].answered = Some(mark);
            }
        }
    }

    fn is_live(&self, wire: &WireId) -> bool {
        let mut sessions = self.rig.state.sessions.values();
        sessions.any(|session| {
            session.remote.route == *wire.route() && session.exchanges.contains_key(&wire.number())
        })
    }

    /// The far end says something under a request that it has or had: as its own, as nobody's, as another's.
    fn say(&mut self, pick: u16, how: u16) {
        let of_calls: Vec<Held> = self.held.iter().filter(|held| held.borrower.is_some()).cloned().collect();
        if of_calls.is_empty() {
            return;
        }
        let Held { wire, borrower, .. } = of_calls[usize::from(pick) % of_calls.len()].clone();
        let borrower = borrower.unwrap();
        let live = self.is_live(&wire);
        let whose = format!("of-{borrower}-");
        let (text, related) = match how % 6 {
            0 => (
                progress(&wire, 1).replace("\"progress\":1", &format!(r#""message":"{whose}","progress":1"#)),
                None,
            ),
            1 | 2 => (log(&whose), Some(wire.clone())),
            3 => (log("of-nobody-"), None),
            4 => (request("5", "sampling/createMessage"), Some(wire.clone())),
            _ => (
                r#"{"jsonrpc":"2.0","id":"server-error","error":{"code":1,"message":"of-nobody-"}}"#
                    .to_owned(),
                None,
            ),
        };
        let disposition = self.rig.deliver(wire.route(), &text, related.as_ref(), None);
        if matches!(how % 6, 0..=2) {
            assert_eq!(disposition == Disposition::Accepted, live, "{text}");
        } else if how % 6 != 4 {
            assert_eq!(disposition, Disposition::Unroutable, "{text}");
        }
    }

    fn advance(&mut self, how: u16) {
        let time =
            Duration::from_millis([100, 1_000, 20_000, 60_000, 110_000, 160_000][usize::from(how) % 6]);
        let end = self.rig.now + time;
        while let Some(deadline) = self.rig.state.next_deadline().filter(|deadline| *deadline <= end) {
            assert!(deadline > self.rig.now, "expiring makes progress");
            self.rig.now = deadline;
            self.rig.state.expire(deadline);
        }
        self.rig.now = end;
        let ended: Vec<WireId> =
            self.held.iter().filter(|held| !held.is_over).map(|held| held.wire.clone()).collect();
        for wire in ended {
            if !self.is_live(&wire) {
                self.spoiled.insert(wire.route().clone());
            }
        }
    }

    fn lose(&mut self, pick: u16, how: u16) {
        let routes = self.rig.state.routes();
        if routes.is_empty() || !how.is_multiple_of(3) {
            return;
        }
        let route = routes[usize::from(pick) % routes.len()].clone();
        self.spoiled.insert(route.clone());
        let event = Event::SessionGone(gone(Delivery::NotSent));
        assert_eq!(self.rig.deliver_event(Some(&route), event, None, None), Disposition::Accepted);
    }

    fn check(&mut self) {
        let state = &self.rig.state;
        assert!(state.sessions.len() <= self.config.max_sessions);
        let in_flight: usize = state.sessions.values().map(|session| session.exchanges.len()).sum();
        assert_eq!(state.in_flight, in_flight);
        let timers = state.sessions.len() + in_flight + state.pools.waiting();
        assert_eq!(state.timers.len(), timers, "every timer is of something");
        for session in state.sessions.values() {
            assert!(session.exchanges.len() <= 1 && session.streams.len() <= 1, "one exchange at a time");
        }
        for (number, borrowed) in self.borrowed.iter_mut().enumerate() {
            if borrowed.is_over {
                continue;
            }
            let (texts, is_over) = borrowed.reader.read();
            borrowed.texts.extend(texts);
            borrowed.is_over = is_over;
            let answers: Vec<&String> = borrowed
                .texts
                .iter()
                .filter(|text| text.contains(r#""result""#) || text.contains(r#""error""#))
                .collect();
            assert!(answers.len() <= 1, "{answers:?}");
            for text in &borrowed.texts {
                if text.contains("of-") {
                    assert!(text.contains(&format!("of-{number}-")), "another's: {text}");
                }
            }
            if let Some(text) = answers.first() {
                assert!(text.starts_with(&format!(r#"{{"jsonrpc":"2.0","id":{},"#, borrowed.id)), "{text}");
                match &borrowed.answered {
                    Some(mark) => assert!(text.contains(mark), "{text} {mark}"),
                    None => assert!(reason(text).is_some(), "{text}"),
                }
            } else {
                assert_eq!(borrowed.answered, None);
            }
        }
    }

    /// Everything comes to its end.
    fn finish(mut self) {
        for _ in 0..4 {
            while !self.sending.is_empty() || !self.closing.is_empty() {
                self.step((4, 0, 11));
            }
            self.step((13, 0, 4));
        }
        for borrowed in &self.borrowed {
            assert!(borrowed.reader.stream.is_complete(), "{}", borrowed.id);
        }
        assert_eq!(self.rig.state.exchange_count(), 0);
        self.rig.state.close_all(super::super::Closing::ShuttingDown, self.rig.now);
        self.take_outbox();
        while !self.sending.is_empty() || !self.closing.is_empty() {
            self.step((4, 0, 11));
        }
        self.borrowed.clear();
        self.rig.assert_empty();
    }
}
