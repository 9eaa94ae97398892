//! Asking servers: transactions and their retransmission (RFC 8489, section 6.2.1).

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
};

use super::message::{BindingAnswer, BindingRequest, StunMessage, TransactionId};
use crate::{
    deadlines::Deadlines,
    limits::{MAX_STUN_TRANSACTIONS, STUN_LAST_WAIT, STUN_REQUESTS, STUN_RTO},
    rng::Rng,
    time::{Duration, Instant},
};

/// Binding requests of one socket to any number of servers.
///
/// After [`ask`](Self::ask), [`handle_datagram`](Self::handle_datagram) and
/// [`handle_timeout`](Self::handle_timeout) call [`poll_transmit`](Self::poll_transmit) and
/// [`poll_event`](Self::poll_event) until `None`.
///
/// **Guarantees.** An answer counts only from where its question went, and under its name. Every
/// question comes to exactly one event, 39.5 seconds later at the latest.
///
/// **Bounds.** [`MAX_STUN_TRANSACTIONS`] questions under way.
///
/// ```
/// use positron_proto::{
///     rng::Seed,
///     stun::{BindingAnswer, StunClient, StunEvent, StunMessage},
///     time::Instant,
/// };
///
/// let (mut client, now) = (StunClient::default(), Instant::from_micros(7));
/// let server = "192.0.2.7:3478".parse().unwrap();
/// let mut dice = Seed::from_number(1).stream("stun");
/// client.ask(now, server, &mut dice).unwrap();
/// let (to, request) = client.poll_transmit().unwrap();
/// assert_eq!(to, server);
/// // Far away, at the server:
/// let Ok(StunMessage::Request(request)) = StunMessage::decode(&request) else { panic!() };
/// let seen = BindingAnswer::Mapped("203.0.113.5:40001".parse().unwrap());
/// let answer = seen.encode(&request.id, request.has_fingerprint);
/// // And back:
/// client.handle_datagram(now, server, &answer);
/// let Some(StunEvent::Answered { answer, .. }) = client.poll_event() else { panic!() };
/// assert_eq!(answer, seen);
/// ```
#[derive(Debug, Default)]
pub struct StunClient {
    under_way: BTreeMap<TransactionId, Transaction>,
    deadlines: Deadlines<TransactionId>,
    transmits: VecDeque<(SocketAddr, Vec<u8>)>,
    events: VecDeque<StunEvent>,
}

/// What became of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StunEvent {
    /// A server answered.
    Answered {
        /// The server.
        server: SocketAddr,
        /// What it says.
        answer: BindingAnswer,
        /// From the first request to the answer.
        after: Duration,
    },
    /// No answer came to any of the requests.
    Silent {
        /// The server.
        server: SocketAddr,
    },
}

/// Nothing was asked: [`MAX_STUN_TRANSACTIONS`] questions are under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many STUN servers are asked at once")]
pub struct TooManyTransactions;

#[derive(Debug)]
struct Transaction {
    server: SocketAddr,
    asked: Instant,
    /// Requests that were sent.
    requests: u32,
    /// How long is waited before the next one.
    rto: Duration,
}

impl StunClient {
    /// Asks a server how it sees this socket.
    ///
    /// # Errors
    ///
    /// Too many questions are under way. Nothing was asked.
    pub fn ask(
        &mut self,
        now: Instant,
        server: SocketAddr,
        dice: &mut Rng,
    ) -> Result<TransactionId, TooManyTransactions> {
        if self.under_way.len() >= MAX_STUN_TRANSACTIONS {
            return Err(TooManyTransactions);
        }
        let id = TransactionId::draw(dice);
        let asked = Transaction { server, asked: now, requests: 0, rto: STUN_RTO };
        self.under_way.insert(id, asked);
        self.request(now, id);
        Ok(id)
    }

    /// A datagram arrived: whether it answers a question of ours. If not, nothing was changed.
    pub fn handle_datagram(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) -> bool {
        let Ok(StunMessage::Answer(id, answer)) = StunMessage::decode(datagram) else {
            return false;
        };
        if self.under_way.get(&id).is_none_or(|asked| asked.server != from) {
            return false;
        }
        let Some(Transaction { server, asked, .. }) = self.forget(id) else { return false };
        self.events.push_back(StunEvent::Answered { server, answer, after: now.since(asked) });
        true
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.next().map(|(at, _)| at)
    }

    /// Asks again, or gives up. Never harmful.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(id) = self.deadlines.pop_due(now) {
            match self.under_way.get(&id) {
                Some(asked) if asked.requests < STUN_REQUESTS => self.request(now, id),
                _ => {
                    let silent = self.forget(id);
                    let silent = silent.map(|asked| StunEvent::Silent { server: asked.server });
                    self.events.extend(silent);
                }
            }
        }
    }

    /// The next datagram to send, and where to.
    pub fn poll_transmit(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        self.transmits.pop_front()
    }

    /// The next thing that became of a question.
    pub fn poll_event(&mut self) -> Option<StunEvent> {
        self.events.pop_front()
    }

    fn request(&mut self, now: Instant, id: TransactionId) {
        let Some(asked) = self.under_way.get_mut(&id) else { return };
        asked.requests += 1;
        let wait = if asked.requests < STUN_REQUESTS {
            let wait = asked.rto;
            asked.rto *= 2;
            wait
        } else {
            STUN_RTO * STUN_LAST_WAIT
        };
        self.transmits.push_back((asked.server, BindingRequest::encode(id)));
        self.deadlines.set(id, now + wait);
    }

    fn forget(&mut self, id: TransactionId) -> Option<Transaction> {
        self.deadlines.clear(id);
        self.under_way.remove(&id)
    }
}
