//! What the specification expects of every session, kept beside the state machine while it is driven at random.

use std::collections::{BTreeMap, BTreeSet};

use super::{super::close::Departing, *};

/// How a call has to end for its client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expected {
    /// Not decided yet.
    Open,
    /// With the far end's message of this mark.
    Answer(String),
    /// With an error of the proxy's, for one of these reasons.
    Reason(&'static [&'static str]),
    /// With nothing, since the client cancelled it.
    Nothing,
}

#[derive(Debug)]
pub(super) struct Call {
    pub(super) id: String,
    pub(super) token: Option<String>,
    pub(super) stream: u64,
    pub(super) number: u64,
    pub(super) is_initialize: bool,
    /// It was handed to the backend, so the far end may have it.
    pub(super) is_out: bool,
    pub(super) reported: bool,
    /// Messages that the far end numbered for it.
    pub(super) sequence: u64,
    pub(super) expected: Expected,
    /// An answer that the proxy took and holds back.
    pub(super) held: Option<String>,
}

#[derive(Debug, Default)]
pub(super) struct Question {
    pub(super) cancelled: bool,
    /// It came when its session was gone already.
    pub(super) is_dead: bool,
    /// How often the far end was told an answer.
    pub(super) answers: usize,
}

/// What a client has had of one stream.
#[derive(Default)]
pub(super) struct View {
    pub(super) stream: Option<Arc<Stream>>,
    pub(super) reader: Option<Reader>,
    /// The client hung up before it had an event id, so that nothing obliges the proxy any more.
    pub(super) lost: bool,
    pub(super) whole: Option<Vec<String>>,
    pub(super) events: BTreeMap<String, String>,
    /// The last event id that it has, once the reply has begun.
    pub(super) position: Option<String>,
}

pub(super) struct SessionModel {
    pub(super) index: usize,
    pub(super) client: Client,
    pub(super) capabilities: &'static str,
    pub(super) version: &'static str,
    pub(super) confirming: bool,
    pub(super) is_alive: bool,
    /// The far end lost it, so that nobody is there to be told anything.
    pub(super) was_lost: bool,
    pub(super) calls: Vec<Call>,
    pub(super) questions: BTreeMap<u64, Question>,
    pub(super) views: BTreeMap<u64, View>,
    /// The id of its own that the far end named, as far as anybody heard.
    pub(super) stored: Option<RemoteSession>,
    /// The numbers of the messages that went to the far end.
    pub(super) numbers: BTreeSet<u64>,
}

impl Call {
    /// It has its end now, unless it had one before.
    pub(super) fn end(&mut self, expected: Expected) {
        if self.expected == Expected::Open {
            self.expected = expected;
            self.held = None;
        }
    }
}

impl View {
    /// Reads what there is, and checks that a replay repeats what was there before.
    pub(super) fn read(&mut self) {
        let Some(reader) = &mut self.reader else { return };
        let mut ended = false;
        while !ended {
            match reader.stream.poll(&mut reader.cursor, &mut Context::from_waker(Waker::noop())) {
                Poll::Ready(Some(event)) => {
                    if let Some(before) = self.events.insert(event.id.clone(), event.text.clone()) {
                        assert_eq!(before, event.text, "a replayed event is the same");
                    }
                    self.position = Some(event.id);
                }
                Poll::Ready(None) | Poll::Pending => ended = true,
            }
        }
    }

    /// What the client has had, oldest first.
    pub(super) fn texts(&self) -> Vec<&str> {
        let number = |id: &str| id.split_once('-').unwrap().1.parse::<u64>().unwrap();
        let mut events: Vec<_> = self.events.iter().map(|(id, text)| (number(id), text.as_str())).collect();
        events.sort_by_key(|(number, _)| *number);
        let whole = self.whole.iter().flatten().map(String::as_str);
        whole.chain(events.into_iter().map(|(_, text)| text)).collect()
    }
}

impl SessionModel {
    pub(super) fn route(&self) -> &RouteKey {
        &self.client.route
    }

    /// Requests that were admitted together: they share a stream, and their numbers count up.
    pub(super) fn add_calls(
        &mut self,
        stream: &Arc<Stream>,
        ids: &[String],
        tokens: &[Option<String>],
        first: u64,
    ) {
        for ((id, token), number) in ids.iter().zip(tokens).zip(first..) {
            self.calls.push(Call {
                id: id.clone(),
                token: token.clone(),
                stream: stream.number(),
                number,
                is_initialize: number == 0,
                is_out: false,
                reported: false,
                sequence: 0,
                expected: Expected::Open,
                held: None,
            });
        }
        self.views.insert(stream.number(), View { stream: Some(Arc::clone(stream)), ..View::default() });
    }

    /// The far end's next number within a call.
    pub(super) fn number(&mut self, call: usize) -> u64 {
        self.calls[call].sequence += 1;
        self.calls[call].sequence
    }

    pub(super) fn wire(&self, call: usize) -> WireId {
        WireId::new(self.route().clone(), self.calls[call].number)
    }

    /// The session was closed for one of these reasons: so end the calls that have no end yet.
    pub(super) fn close(&mut self, reasons: &'static [&'static str]) {
        self.is_alive = false;
        for call in &mut self.calls {
            if call.expected == Expected::Open {
                call.expected = match call.held.take() {
                    Some(mark) => Expected::Answer(mark),
                    None => Expected::Reason(reasons),
                };
            }
        }
    }

    /// Checks all that its client has had.
    pub(super) fn check_views(&self, is_final: bool) {
        let mut seen: BTreeMap<String, u64> = BTreeMap::new();
        for (number, view) in &self.views {
            let texts = view.texts();
            for text in &texts {
                if let Some(mark) = mark(text) {
                    assert!(mark.starts_with(&format!("s{}m", self.index)), "another session's: {text}");
                    let before = seen.insert(mark, *number);
                    assert!(before.is_none(), "given out twice: {text}");
                }
            }
            let calls: Vec<&Call> = self.calls.iter().filter(|call| call.stream == *number).collect();
            let answers = texts.iter().filter(|text| is_response(text)).count();
            assert!(answers <= calls.len(), "{texts:?}");
            for call in calls {
                check_call(call, &texts, view, is_final);
            }
        }
    }
}

fn check_call(call: &Call, texts: &[&str], view: &View, is_final: bool) {
    let head = format!(r#"{{"jsonrpc":"2.0","id":{},"#, call.id);
    let positions: Vec<usize> =
        (0..texts.len()).filter(|at| is_response(texts[*at]) && texts[*at].starts_with(&head)).collect();
    // Calls of one stream have different ids, so every answer under this id is this call's.
    assert!(positions.len() <= 1, "answered twice: {texts:?}");
    if let Some(position) = positions.first() {
        let text = texts[*position];
        match &call.expected {
            Expected::Answer(expected) => assert_eq!(mark(text).as_ref(), Some(expected), "{text}"),
            Expected::Reason(reasons) => {
                assert!(reasons.contains(&reason(text).unwrap().as_str()), "{text} {reasons:?}");
            }
            Expected::Nothing => panic!("cancelled and answered: {text}"),
            Expected::Open if call.held.is_some() => assert_eq!(mark(text), call.held),
            Expected::Open => panic!("answered out of nowhere: {text}"),
        }
        let own = format!(r#""call":{},"#, call.number);
        assert!(!texts[position + 1..].iter().any(|text| text.contains(&own)), "progress after the answer");
    } else if is_final && !view.lost {
        assert_eq!(call.expected, Expected::Nothing, "no answer: {call:?} {texts:?}");
    }
    for text in texts.iter().filter(|text| text.contains(&format!(r#""call":{},"#, call.number))) {
        let token = call.token.as_ref().expect("progress was asked for");
        assert!(text.contains(&format!(r#""progressToken":{token},"#)), "{text} {token}");
    }
}

/// The mark that every message of the far end carries here: `s{session}m{message}`.
fn mark(text: &str) -> Option<String> {
    let start = text.find(r#""mark":""#)? + r#""mark":""#.len();
    text[start..].split('"').next().map(str::to_owned)
}

pub(super) fn is_response(text: &str) -> bool {
    text.contains(r#""result":"#) || text.contains(r#""error":"#)
}

/// What has to hold of the state machine after every step.
pub(super) fn check_state(rig: &Rig, config: &SessionConfig, under_way: usize) {
    let state = &rig.state;
    let sessions = state.sessions.values();
    assert!(state.sessions.len() <= config.max_sessions);
    assert_eq!((state.by_id.len(), state.by_route.len()), (state.sessions.len(), state.sessions.len()));
    assert_eq!(state.in_flight, sessions.clone().map(|session| session.exchanges.len()).sum::<usize>());
    let timers: usize = sessions
        .clone()
        .map(|session| {
            let held = session.exchanges.values().filter(|exchange| exchange.held_answer.is_some()).count();
            let probed = session.probe.as_ref().is_some_and(|probe| probe.until.is_some());
            1 + usize::from(probed)
                + session.exchanges.len()
                + held
                + session.server_requests.len()
                + session.finished.len()
        })
        .sum();
    assert_eq!(state.timers.len(), timers, "every timer is of something, and everything has its timer");
    let counted: usize = sessions.clone().map(|session| session.under_way).sum();
    let departing: usize = state.departing.values().map(Departing::under_way).sum();
    assert_eq!(counted + departing, under_way, "every send is reported");
    for session in sessions {
        assert!(session.exchanges.len() <= config.max_exchanges);
        assert!(session.server_requests.len() <= config.max_exchanges);
        assert!(session.finished.len() <= 64);
        assert!(session.streams.len() <= 1 + session.exchanges.len() + session.finished.len());
        assert!(session.held.len() <= session.exchanges.len());
        let asking: u32 = session.exchanges.values().map(|exchange| exchange.asking).sum();
        assert!(asking as usize <= session.server_requests.len());
    }
    assert!(state.next_deadline().is_none_or(|next| next > rig.now), "expiring makes progress");
}
