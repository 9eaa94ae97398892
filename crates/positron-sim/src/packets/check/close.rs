//! Each connection ends once, in states that follow one another, for a reason that is true.

use positron_proto::{
    datagram::contract::{Closed, ConnectionState, EndpointEvent},
    wire::frame::CloseReason,
};

use super::{Promise, Wrong};

/// What an application says when it closes.
pub(crate) const CLOSE: CloseReason = CloseReason::ShuttingDown;
/// What it says when it resets.
pub(crate) const RESET: CloseReason = CloseReason::Pruned;

/// The life of one connection at one end.
#[derive(Debug)]
pub(crate) struct Life {
    state: ConnectionState,
    up: bool,
    finished: bool,
    over: Option<Closed>,
    /// The application called `close`.
    pub(crate) closing: bool,
    /// The application called `reset`.
    pub(crate) resetting: bool,
}

/// What is true of a connection, when an end says why it is over.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Truth {
    /// Something happened that may silence or break a connection.
    pub(crate) disturbed: bool,
    /// Some packets do not arrive.
    pub(crate) lossy: bool,
    /// Somebody else than the one who is there was expected.
    pub(crate) wrong_node: bool,
    /// The other end's application called `close`.
    pub(crate) peer_closing: bool,
    /// The other end's application called `reset`.
    pub(crate) peer_resetting: bool,
}

impl Life {
    /// A connection that this end dialled.
    pub(crate) const fn dialled() -> Self {
        Self {
            state: ConnectionState::SynSent,
            up: false,
            finished: false,
            over: None,
            closing: false,
            resetting: false,
        }
    }

    /// A connection that this end accepted.
    pub(crate) fn accepted() -> Self {
        Self { state: ConnectionState::Established, up: true, ..Self::dialled() }
    }

    /// Whether both ends had keys.
    pub(crate) const fn is_up(&self) -> bool {
        self.up
    }

    /// Whether it is over.
    pub(crate) const fn is_over(&self) -> bool {
        self.over.is_some()
    }

    /// Whether the application may still say something.
    pub(crate) const fn can_say(&self) -> bool {
        self.over.is_none() && !self.closing && !self.resetting
    }

    /// The end told of something that happened on this connection.
    pub(crate) fn told(&mut self, event: &EndpointEvent, truth: Truth) -> Result<(), Wrong> {
        if let Some(over) = &self.over {
            return Err(wrong(format!("{} after the end: {over}", name(event))));
        }
        match event {
            EndpointEvent::Accepted { .. } => return Err(wrong("accepted twice")),
            EndpointEvent::Connected { .. } if self.up => return Err(wrong("connected twice")),
            EndpointEvent::Connected { .. } => self.up = true,
            EndpointEvent::Closed { why, .. } => {
                self.over = Some(why.clone());
                self.reason(why, truth)?;
            }
            // During the handshake streams share their room with unreliable messages, which give
            // way, and with streams that are given up. Whoever was refused a message waits for an
            // acknowledgment.
            EndpointEvent::StreamWritable { .. } | EndpointEvent::StreamStopped { .. } => {}
            _ if !self.up => return Err(wrong(format!("{} before keys", name(event)))),
            EndpointEvent::Finished { .. } if self.finished => {
                return Err(wrong("finished twice"));
            }
            EndpointEvent::Finished { reason, .. } => {
                self.finished = true;
                let is_true = truth.peer_closing && *reason == CLOSE;
                if !is_true && !truth.disturbed {
                    return Err(wrong(format!("finished for {reason}, but nobody closed")));
                }
            }
            EndpointEvent::Message { .. } if self.finished => {
                return Err(wrong("a message after the other end had finished"));
            }
            _ => {}
        }
        Ok(())
    }

    fn reason(&self, why: &Closed, truth: Truth) -> Result<(), Wrong> {
        let is_true = match why {
            Closed::ByUs(reason) => {
                (self.closing && *reason == CLOSE) || (self.resetting && *reason == RESET)
            }
            Closed::ByPeer(CLOSE) => truth.peer_closing,
            Closed::ByPeer(RESET) => truth.peer_resetting,
            Closed::ByPeer(CloseReason::WrongNode) | Closed::WrongNode { .. } => truth.wrong_node,
            Closed::ByPeer(CloseReason::Violation(_))
            | Closed::Violation { .. }
            | Closed::CipherLimit
            | Closed::NoWay
            | Closed::Ourselves
            | Closed::Handshake(_) => false,
            // A RST is said once: where it is lost, silence is what is left of it.
            Closed::Silent => truth.disturbed || (truth.peer_resetting && truth.lossy),
            Closed::ByPeer(_) | Closed::NoAnswer => truth.disturbed,
        };
        let asked = match (self.closing, self.resetting) {
            (_, true) => "we reset it",
            (true, _) => "we closed it",
            _ => "we did not close it",
        };
        if is_true { Ok(()) } else { Err(wrong(format!("over, {asked}: {why}; {truth:?}"))) }
    }

    /// The end shows this state.
    pub(crate) fn shows(&mut self, state: ConnectionState) -> Result<(), Wrong> {
        let before = self.state;
        self.state = state;
        if before == state || follows(before, state) {
            return Ok(());
        }
        Err(wrong(format!("{state:?} does not follow {before:?}")))
    }
}

fn wrong(what: impl Into<String>) -> Wrong {
    Wrong::new(Promise::Close, what)
}

fn name(event: &EndpointEvent) -> String {
    let text = format!("{event:?}");
    text.split([' ', '(']).next().unwrap_or_default().to_owned()
}

/// Whether `later` is reached from `state`, over any number of others that nobody looked at. The
/// graph is the one at the head of `datagram`; a connection may also be closed while its
/// SYN is out.
fn follows(state: ConnectionState, later: ConnectionState) -> bool {
    use ConnectionState::*;
    let next: &[ConnectionState] = match state {
        Closed => &[],
        SynSent | SynReceived => &[Established, FinWait1, Closed],
        Established => &[FinWait1, CloseWait, Closed],
        FinWait1 => &[FinWait2, Closing, TimeWait, Closed],
        FinWait2 | Closing => &[TimeWait, Closed],
        CloseWait => &[LastAck, Closed],
        TimeWait | LastAck => &[Closed],
    };
    next.iter().any(|&state| state == later || follows(state, later))
}

#[cfg(test)]
mod tests {
    use positron_proto::datagram::contract::ConnectionId;

    use super::*;

    const CONNECTION: ConnectionId = ConnectionId(1);
    const CALM: Truth = Truth {
        disturbed: false,
        lossy: false,
        wrong_node: false,
        peer_closing: false,
        peer_resetting: false,
    };

    fn closed(why: Closed) -> EndpointEvent {
        EndpointEvent::Closed { connection: CONNECTION, why }
    }

    #[test]
    fn a_connection_ends_once_and_nothing_follows() {
        let mut life = Life::accepted();
        life.closing = true;
        assert!(life.told(&closed(Closed::ByUs(CLOSE)), CALM).is_ok());
        assert!(life.told(&closed(Closed::ByUs(CLOSE)), CALM).is_err());
        assert!(life.told(&EndpointEvent::Drained { connection: CONNECTION }, CALM).is_err());
    }

    #[test]
    fn nothing_comes_before_keys_or_after_the_other_end_has_finished() {
        let drained = EndpointEvent::Drained { connection: CONNECTION };
        assert!(Life::dialled().told(&drained, CALM).is_err());
        let writable = EndpointEvent::Writable { connection: CONNECTION };
        assert!(Life::dialled().told(&writable, CALM).is_err());
        let mut life = Life::accepted();
        let finished = EndpointEvent::Finished { connection: CONNECTION, reason: CLOSE };
        let message = EndpointEvent::Message {
            connection: CONNECTION,
            lane: 0,
            delivery: positron_proto::datagram::contract::Delivery::Ordered,
            body: bytes::Bytes::new(),
        };
        assert!(life.told(&message, CALM).is_ok());
        assert!(life.told(&finished, Truth { peer_closing: true, ..CALM }).is_ok());
        assert!(life.told(&message, CALM).is_err());
    }

    #[test]
    fn reasons_are_true() {
        let wrong = |why: Closed, truth| Life::accepted().told(&closed(why), truth).is_err();
        assert!(wrong(Closed::ByUs(CLOSE), CALM));
        assert!(wrong(Closed::Silent, CALM));
        assert!(!wrong(Closed::Silent, Truth { disturbed: true, ..CALM }));
        let reset = Truth { peer_resetting: true, ..CALM };
        assert!(wrong(Closed::Silent, reset), "nothing was lost");
        assert!(!wrong(Closed::Silent, Truth { lossy: true, ..reset }));
        assert!(wrong(Closed::ByPeer(CLOSE), CALM));
        assert!(!wrong(Closed::ByPeer(CLOSE), Truth { peer_closing: true, ..CALM }));
        assert!(wrong(Closed::CipherLimit, Truth { disturbed: true, ..CALM }));
    }

    #[test]
    fn states_follow_one_another() {
        let mut life = Life::dialled();
        assert!(life.shows(ConnectionState::Established).is_ok());
        assert!(life.shows(ConnectionState::TimeWait).is_ok(), "two states passed unseen");
        assert!(life.shows(ConnectionState::TimeWait).is_ok());
        assert!(life.shows(ConnectionState::FinWait2).is_err());
        let mut life = Life::accepted();
        assert!(life.shows(ConnectionState::SynReceived).is_err());
    }
}
