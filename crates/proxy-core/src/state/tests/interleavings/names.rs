//! Steps of a far end that goes by a session id of its own: where it names it, and what names another.

use super::*;

impl World {
    /// The id that the session's far end goes by, where it does not take the proposed one.
    fn own_session(at: usize) -> Option<RemoteSession> {
        at.is_multiple_of(2).then(|| own(&format!("own-{at}")))
    }

    fn is_opening(&self, at: usize) -> bool {
        let session = self.rig.state.sessions.get(&self.sessions[at].client.key);
        session.is_some_and(|session| session.phase == Phase::Opening)
    }

    /// What a receipt names: nothing, the far end's id, the proposed id where it took that one, or, late, any other.
    pub(super) fn name_in_receipt(&mut self, at: usize, receipt: Receipt, how: u16) -> Option<RemoteSession> {
        let opening = self.is_opening(at);
        let session = &self.sessions[at];
        let named = match how / 8 % 4 {
            0 => None,
            1 if session.stored.is_some() || (session.is_alive && !opening) => {
                (receipt != Receipt::Request(0)).then(|| own("another"))
            }
            _ => Self::own_session(at).or_else(|| Some(own(session.route().as_str()))),
        };
        let counts = receipt == Receipt::Request(0) || opening || !session.is_alive;
        let session = &mut self.sessions[at];
        if let Some(named) = named.as_ref().filter(|named| named.as_str() != session.route().as_str())
            && session.stored.is_none()
            && counts
        {
            session.stored = Some(named.clone());
        }
        named
    }

    /// The answer to `initialize` names the far end's id, or leaves that to the receipt.
    pub(super) fn name_in_answer(&mut self, at: usize, how: u16) {
        let named = Self::own_session(at).filter(|_| how % 4 < 3);
        if let Some(named) = named {
            self.sessions[at].stored = Some(named.clone());
            self.rig.naming = Some(named);
        }
    }

    /// A message under this session's ids that names another session of the far end's is nobody's.
    pub(super) fn contradict(&mut self, at: usize, how: u16) {
        if self.is_opening(at) {
            return;
        }
        let call = self.pick_call(u16::try_from(at).unwrap(), how);
        let Some(wire) = call.map(|(at, call)| self.sessions[at].wire(call)) else { return };
        let mark = self.mark(at);
        let message = |text: String| Event::Message(message(&text));
        let event = match how / 16 % 6 {
            0 => message(format!(r#"{{"jsonrpc":"2.0","id":"{wire}","result":{{"mark":"{mark}"}}}}"#)),
            1 => message(progress(&wire, 1)),
            2 => message(log(&mark)),
            3 => message(request("77", "ping")),
            4 => Event::ExchangeFailed(Some(wire.clone()), failure(Delivery::NotSent)),
            _ => Event::SessionGone(gone(Delivery::NotSent)),
        };
        self.rig.naming = Some(own("another"));
        let route = self.sessions[at].route().clone();
        let disposition = self.rig.deliver_event(Some(&route), event, Some(&wire), None);
        assert_eq!(disposition, Disposition::Unroutable);
    }

    /// The transport learns late that a call cannot end well, or that its session is gone.
    pub(super) fn fail(&mut self, at: usize, how: u16) {
        let Some((at, call)) = self.pick_call(u16::try_from(at).unwrap(), how) else { return };
        let live = self.is_live(at, call);
        let session = &mut self.sessions[at];
        let is_gone = how.is_multiple_of(3);
        let error = if is_gone { gone(Delivery::MaybeSent) } else { failure(Delivery::MaybeSent) };
        let held = session.calls[call].held.take();
        let is_initialize = session.calls[call].is_initialize;
        if live {
            let failed = Expected::Reason(if is_gone { &["session_gone"] } else { &["unavailable"] });
            session.calls[call].end(held.map_or(failed, Expected::Answer));
        }
        if session.is_alive && is_gone {
            session.was_lost = true;
            session.close(&["session_gone"]);
        } else if live && is_initialize {
            session.close(&["handshake_failed"]);
        }
        let event = Event::ExchangeFailed(Some(session.wire(call)), error);
        let route = session.route().clone();
        self.rig.deliver_event(Some(&route), event, None, None);
    }
}
