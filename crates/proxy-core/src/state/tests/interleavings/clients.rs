//! Steps of clients: what they are asked, what they cancel, and how they read; and the end of it all.

use super::{
    super::{
        super::Closing,
        model::{Question, View, is_response},
    },
    *,
};

impl World {
    /// The server asks the client, under ids that every session has too.
    pub(super) fn ask(&mut self, pick: u16, how: u16) {
        let Some(at) = self.pick(pick) else { return };
        let mark = self.mark(at);
        let id = self.sessions[at].questions.len() as u64;
        let method = ["sampling/createMessage", "roots/list", "ping"][usize::from(how) % 3];
        let text =
            format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{"mark":"{mark}"}}}}"#);
        let related = self.pick_call(pick, how).filter(|_| how.is_multiple_of(2));
        let wire = related.map(|(_, call)| self.sessions[at].wire(call));
        let full = self.rig.state.is_memory_full(self.rig.now);
        let session = &mut self.sessions[at];
        let expected = match (session.is_alive, full) {
            (false, _) => Disposition::Unroutable,
            (true, true) => Disposition::Busy,
            (true, false) => Disposition::Accepted,
        };
        if full && session.is_alive {
            assert_eq!(self.rig.deliver(&session.client.route, &text, wire.as_ref(), None), expected);
            return;
        }
        session.questions.insert(id, Question { is_dead: !session.is_alive, ..Question::default() });
        let route = session.client.route.clone();
        assert_eq!(self.rig.deliver(&route, &text, wire.as_ref(), None), expected);
        self.take_outbox();
        let session = &self.sessions[at];
        let answered_here = session.is_alive && (method == "ping" || session.capabilities == "{}");
        if answered_here {
            assert_eq!(session.questions[&id].answers, 1, "{method} never reaches this client");
        }
        if how.is_multiple_of(5) && session.is_alive {
            assert_ne!(self.rig.deliver(&route, &text, wire.as_ref(), None), Disposition::Unroutable);
        }
    }

    /// The server gives a question up.
    pub(super) fn withdraw(&mut self, pick: u16, how: u16) {
        let Some(at) = self.pick(pick) else { return };
        let mark = self.mark(at);
        let session = &mut self.sessions[at];
        if session.questions.is_empty() {
            return;
        }
        let id = u64::from(how) % session.questions.len() as u64;
        let text = format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id},"mark":"{mark}"}}}}"#
        );
        let route = session.client.route.clone();
        if self.rig.deliver(&route, &text, None, None) == Disposition::Accepted {
            let question = session.questions.get_mut(&id).unwrap();
            assert_eq!(question.answers, 0, "it had its answer");
            question.cancelled = true;
        }
    }

    /// The client answers a question: one that it was asked, or any.
    pub(super) fn reply(&mut self, pick: u16, how: u16) {
        let Some(at) = self.pick(pick) else { return };
        let client = self.sessions[at].client.clone();
        let id = u64::from(how) % (self.sessions[at].questions.len() as u64 + 1);
        self.rig.forward(&client, &result(&id.to_string()), Media::Any).ok();
    }

    /// The client cancels a request: its newest with some id, whether that is in flight or not.
    pub(super) fn cancel(&mut self, pick: u16, how: u16) {
        let Some(at) = self.pick(pick) else { return };
        let id = IDS[usize::from(how) % IDS.len()];
        let client = self.sessions[at].client.clone();
        let live = (0..self.sessions[at].calls.len())
            .find(|call| self.sessions[at].calls[*call].id == id && self.is_live(at, *call));
        if self.rig.forward(&client, &cancelled(id), Media::Any).is_ok()
            && let Some(call) = live
        {
            self.sessions[at].calls[call].end(Expected::Nothing);
        }
    }

    /// A stream of a session that its client may look at.
    fn pick_view(&mut self, pick: u16, how: u16) -> Option<(usize, u64)> {
        let at = self.pick(pick)?;
        let numbers: Vec<u64> = self.sessions[at].views.keys().copied().collect();
        Some((at, numbers[usize::from(how) % numbers.len()]))
    }

    /// The front end decides what the reply is, or reads on.
    pub(super) fn read(&mut self, pick: u16, how: u16) {
        let Some((at, number)) = self.pick_view(pick, how) else { return };
        let client = self.sessions[at].client.clone();
        let view = self.sessions[at].views.get_mut(&number).unwrap();
        view.decide(&client, how.is_multiple_of(2));
        view.read();
        self.sessions[at].check_views(false);
    }

    /// The connection breaks.
    pub(super) fn leave(&mut self, pick: u16, how: u16) {
        let Some((at, number)) = self.pick_view(pick, how) else { return };
        let view = self.sessions[at].views.get_mut(&number).unwrap();
        if let Some(reader) = view.reader.take() {
            self.rig.leave(&reader);
        } else if view.stream.take().is_some() {
            view.lost = true;
        }
    }

    /// The client opens its standalone stream, or resumes one where it was or before.
    pub(super) fn come(&mut self, pick: u16, how: u16) {
        let Some((at, number)) = self.pick_view(pick, how / 2) else { return };
        let client = self.sessions[at].client.clone();
        let is_alive = self.sessions[at].is_alive;
        let draining = self.rig.state.is_draining();
        if how.is_multiple_of(2) {
            match self.rig.listen(&client) {
                Ok(reader) => {
                    assert!(is_alive && !draining);
                    let view = self.sessions[at].views.entry(0).or_default();
                    view.position.get_or_insert_with(|| reader.position());
                    view.replace(reader, &mut self.rig);
                }
                Err(Refusal::SessionNotFound) => assert!(!is_alive),
                Err(Refusal::Draining) => assert!(draining),
                Err(Refusal::StreamTakenOver { retry_after }) => assert!(retry_after <= seconds(30)),
                Err(refusal) => panic!("{refusal:?}"),
            }
            return;
        }
        let view = self.sessions[at].views.get_mut(&number).unwrap();
        let Some(position) = view.position.clone() else { return };
        let from = if how.is_multiple_of(3) { format!("{number}-0") } else { position };
        if let Ok(Some(reader)) = self.rig.resume(&client, &from) {
            view.replace(reader, &mut self.rig);
            view.read();
        }
        self.sessions[at].check_views(false);
    }

    pub(super) fn advance(&mut self, how: u16) {
        let time = Duration::from_millis(TIMES[usize::from(how) % TIMES.len()]);
        let sessions = &self.rig.state.sessions;
        let busy: Vec<Key> =
            sessions.values().filter(|session| session.is_active()).map(|session| session.key).collect();
        let opening: Vec<Key> = sessions
            .values()
            .filter(|session| session.exchanges.values().any(|exchange| exchange.is_initialize))
            .map(|session| session.key)
            .collect();
        // Silence in a call has the session asked about, and given up.
        let doubted: Vec<Key> = sessions
            .values()
            .filter(|session| session.probe.is_some() || !session.exchanges.is_empty())
            .map(|session| session.key)
            .collect();
        // Every deadline at its time, as the timers' task does it.
        let end = self.rig.now + time;
        while let Some(deadline) = self.rig.state.next_deadline().filter(|deadline| *deadline <= end) {
            assert!(deadline > self.rig.now, "expiring makes progress");
            self.rig.now = deadline;
            self.rig.state.expire(deadline);
        }
        self.rig.now = end;
        for at in 0..self.sessions.len() {
            let key = self.sessions[at].client.key;
            if self.sessions[at].is_alive && !self.rig.state.sessions.contains_key(&key) {
                if opening.contains(&key) {
                    self.sessions[at].calls[0].end(Expected::Reason(&["timeout"]));
                } else {
                    let only_calls = !self.sessions[at].views.values().any(|view| view.reader.is_some());
                    let is_idle = !busy.contains(&key) || only_calls;
                    assert!(is_idle || doubted.contains(&key), "closed under its reader");
                }
                self.sessions[at].close(&["session_idle", "timeout", "handshake_failed", "session_gone"]);
            }
            self.settle_held(at);
            for call in 0..self.sessions[at].calls.len() {
                if !self.is_live(at, call) {
                    self.sessions[at].calls[call].end(Expected::Reason(&["timeout"]));
                }
            }
        }
    }

    pub(super) fn rarely(&mut self, pick: u16, how: u16) {
        let Some(at) = self.pick(pick) else { return };
        let client = self.sessions[at].client.clone();
        match how % 16 {
            0..=3 => {
                if self.rig.state.end(&client.id, &client.principal, self.rig.now).is_ok() {
                    self.sessions[at].close(&["session_closed"]);
                }
            }
            4 => {
                let gone = BackendError::new(ErrorKind::SessionGone, "receive", "unknown session");
                self.rig.deliver_event(Some(&client.route), Event::SessionGone(gone), None, None);
                self.sessions[at].was_lost |= self.sessions[at].is_alive;
                self.sessions[at].close(&["session_gone"]);
            }
            5 if how % 64 == 5 => self.rig.state.drain(),
            6..=9 => self.contradict(at, how),
            10 => self.fail(at, how),
            _ => {
                let mut stranger = client.clone();
                stranger.principal = Principal::Named("mallory".into());
                assert_eq!(self.rig.listen(&stranger).err(), Some(Refusal::SessionNotFound));
                let refused = self.rig.forward(&stranger, &call("1"), Media::Any);
                assert_eq!(refused.err(), Some(Refusal::SessionNotFound));
            }
        }
    }

    /// Everything comes to its end: sends are reported, time passes, clients come back for what is theirs.
    pub(super) fn finish(mut self) {
        for _ in 0..2 {
            while !self.sending.is_empty() || !self.closing.is_empty() {
                self.step((8, 0, 7));
            }
            for _ in 0..6 {
                self.advance_all();
            }
        }
        assert_eq!(self.rig.state.exchange_count(), 0, "every request has ended");
        for at in 0..self.sessions.len() {
            let client = self.sessions[at].client.clone();
            let numbers: Vec<u64> = self.sessions[at].views.keys().copied().collect();
            for number in numbers {
                self.read_to_the_end(at, number, &client);
            }
            self.sessions[at].check_views(true);
        }
        self.rig.state.close_all(Closing::ShuttingDown, self.rig.now);
        self.sessions.iter_mut().for_each(|session| session.close(&["shutting_down"]));
        self.take_outbox();
        while !self.sending.is_empty() || !self.closing.is_empty() {
            self.step((8, 0, 7));
        }
        for session in &self.sessions {
            for (id, question) in &session.questions {
                let unanswered = question.cancelled || question.is_dead || session.was_lost;
                assert!(unanswered || question.answers == 1, "question {id} of {}", session.index);
            }
        }
        self.sessions.clear();
        self.rig.assert_empty();
    }

    /// Lets requests time out without letting sessions idle out, so that their clients can come back.
    fn advance_all(&mut self) {
        let keys: Vec<Key> = self.rig.state.sessions.keys().copied().collect();
        for key in keys {
            self.rig.state.stopped_reading(key, u64::MAX, self.rig.now);
        }
        self.step((30, 0, 5));
    }

    fn read_to_the_end(&mut self, at: usize, number: u64, client: &Client) {
        let is_alive = self.sessions[at].is_alive;
        let view = self.sessions[at].views.get_mut(&number).unwrap();
        view.decide(client, true);
        view.read();
        let Some(position) = view.position.clone() else { return };
        // Its own reader may have been taken over, or have left before the end.
        match self.rig.resume(client, &position) {
            Ok(Some(reader)) => {
                view.replace(reader, &mut self.rig);
                view.read();
            }
            Err(_) if view.reader.is_none() && !is_alive => view.lost = true,
            Ok(None) | Err(_) => {}
        }
    }
}

impl View {
    /// Makes the reply what it can be by now.
    fn decide(&mut self, client: &Client, must: bool) {
        let Some(stream) = self.stream.take() else { return };
        match stream.decide(must, None) {
            Poll::Ready(Decision::Whole(answers)) => {
                assert!(answers.iter().all(|text| is_response(text)), "answers alone are whole: {answers:?}");
                self.whole = Some(answers);
            }
            Poll::Ready(Decision::Stream) => {
                let reader = Reader::of(client, &stream);
                self.position.get_or_insert_with(|| reader.position());
                self.reader = Some(reader);
            }
            Poll::Pending => self.stream = Some(stream),
        }
    }

    /// A new reader in the place of the old one, whose connection notices afterwards.
    fn replace(&mut self, reader: Reader, rig: &mut Rig) {
        if let Some(before) = self.reader.replace(reader) {
            rig.leave(&before);
        }
    }
}
