//! Queries of ours: from a question to its answer, or to nothing.

use std::{collections::BTreeMap, net::SocketAddr};

use bytes::Bytes;

use super::{
    contract::{NotAsked, QueryEvent, QueryFailure, QueryId, QueryTarget},
    ground::QueryGround,
    packets::{ColdAnswer, open_answer, seal_query},
    wallet::{TicketUse, Wallet},
};
use crate::{
    datagram::client_handshake::unsealed,
    deadlines::Deadlines,
    handshake::query::{NotAnAnswer, QueryProposal},
    limits::{
        MAX_COLD_QUERY, MAX_QUERIES_UNDER_WAY, MAX_QUERY_COOKIES, MAX_TICKETED_QUERY, QUERY_TIMEOUT,
    },
    time::{Duration, Instant},
    wire::packet::{Header, PacketType, QUERY_PATTERN, Syn, SynAck},
};

/// Queries of ours that wait for their answers.
///
/// Each is one packet: with a ticket of the node, where there is one, and as a handshake otherwise.
/// Nothing is said twice, but for two things. A cookie goes back at once. And a query with a ticket
/// that nobody answers is asked by a handshake: the node may have started again and know its
/// tickets no more. No word of anybody brings that about, only silence. Both answers count then,
/// whichever comes first.
///
/// Whether an address may be asked that never answered is the caller's to decide.
///
/// **Bounds**: [`MAX_QUERIES_UNDER_WAY`], each for [`QUERY_TIMEOUT`] at the most, and what bounds
/// the [`Wallet`].
#[derive(Debug)]
pub(in crate::datagram) struct Asking {
    under_way: BTreeMap<u32, Asked>,
    by_id: BTreeMap<QueryId, u32>,
    deadlines: Deadlines<u32>,
    wallet: Wallet,
}

/// A query under way.
#[derive(Debug)]
struct Asked {
    id: QueryId,
    to: QueryTarget,
    body: Bytes,
    give_up: Instant,
    ticketed: Option<(TicketUse, Instant)>,
    cold: Option<ColdAttempt>,
    /// Somebody said that the key is another one.
    is_key_doubted: bool,
}

/// A handshake that is out.
#[derive(Debug)]
struct ColdAttempt {
    question: QueryProposal,
    message: Vec<u8>,
    sent: Instant,
    cookie: Vec<u8>,
    cookies_taken: u32,
}

impl Asking {
    pub(in crate::datagram) fn new() -> Self {
        Self {
            under_way: BTreeMap::new(),
            by_id: BTreeMap::new(),
            deadlines: Deadlines::new(),
            wallet: Wallet::new(),
        }
    }

    /// Whether a connection id names a query of ours.
    pub(in crate::datagram) fn knows(&self, wire: u32) -> bool {
        self.under_way.contains_key(&wire)
    }

    #[cfg(test)]
    pub(in crate::datagram) fn len(&self) -> usize {
        self.under_way.len()
    }

    pub(in crate::datagram) fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.next().map(|(at, _)| at)
    }

    /// Asks. `wire` is a fresh connection id.
    pub(in crate::datagram) fn ask(
        &mut self,
        (id, to, body): (QueryId, QueryTarget, Bytes),
        wire: u32,
        ground: &mut QueryGround<'_>,
    ) -> Result<(), NotAsked> {
        let now = ground.now;
        let has_ticket = self.wallet.has(now, &to);
        self.check(id, &to, body.len(), has_ticket)?;
        let give_up = now + QUERY_TIMEOUT;
        let ticketed = has_ticket.then(|| self.wallet.take(now, &to)).flatten();
        let mut asked =
            Asked { id, to, body, give_up, ticketed: None, cold: None, is_key_doubted: false };
        let (datagram, wake) = if let Some(taken) = ticketed {
            let ticket = (taken.name, &taken.secret);
            let me = &ground.local.me;
            let keys = (me.public_key(), ground.local.noise_static);
            let datagram = seal_query(ticket, keys, (wire, taken.number), &asked.body);
            let patience = taken.patience;
            asked.ticketed = Some((taken, now));
            (datagram, now + patience)
        } else {
            (asked.ask_cold(wire, ground).ok_or(NotAsked::BadKey)?, give_up)
        };
        ground.transmits.push(to.addr, datagram);
        self.by_id.insert(id, wire);
        self.under_way.insert(wire, asked);
        self.deadlines.set(wire, wake);
        Ok(())
    }

    fn check(
        &self,
        id: QueryId,
        to: &QueryTarget,
        len: usize,
        has_ticket: bool,
    ) -> Result<(), NotAsked> {
        let (addr, ip) = (to.addr, to.addr.ip());
        let limit = if has_ticket { MAX_TICKETED_QUERY } else { MAX_COLD_QUERY };
        if addr.port() == 0 || ip.is_unspecified() || ip.is_multicast() {
            Err(NotAsked::BadAddress(addr))
        } else if self.by_id.contains_key(&id) {
            Err(NotAsked::NameTaken)
        } else if self.under_way.len() >= MAX_QUERIES_UNDER_WAY {
            Err(NotAsked::TooMany)
        } else if len > limit {
            Err(NotAsked::TooLarge { len, limit })
        } else {
            Ok(())
        }
    }

    /// The answer to a query is not wanted any more.
    pub(in crate::datagram) fn cancel(&mut self, id: QueryId) {
        if let Some(wire) = self.by_id.get(&id) {
            let _ = self.forget(*wire);
        }
    }

    fn forget(&mut self, wire: u32) -> Option<Asked> {
        let asked = self.under_way.remove(&wire)?;
        self.by_id.remove(&asked.id);
        self.deadlines.clear(wire);
        Some(asked)
    }

    /// Asks by a handshake what was asked with a ticket in vain, and gives up what took too long.
    pub(in crate::datagram) fn handle_timeout(&mut self, ground: &mut QueryGround<'_>) {
        let now = ground.now;
        while let Some(wire) = self.deadlines.pop_due(now) {
            let Some(asked) = self.under_way.get_mut(&wire) else { continue };
            if now >= asked.give_up {
                let is_key_doubted = asked.is_key_doubted;
                let why =
                    if is_key_doubted { QueryFailure::NotThisKey } else { QueryFailure::Silent };
                self.fail(wire, why, ground);
                continue;
            }
            self.deadlines.set(wire, asked.give_up);
            let to = asked.to;
            if let Some((taken, _)) = &asked.ticketed {
                self.wallet.discard(&to, taken.name);
            }
            let fits = asked.body.len() <= MAX_COLD_QUERY;
            if fits && let Some(datagram) = asked.ask_cold(wire, ground) {
                ground.counters.tickets_in_vain += 1;
                ground.transmits.push(to.addr, datagram);
            }
        }
    }

    /// The operating system has no way to an address: what is asked there comes to nothing.
    pub(in crate::datagram) fn handle_no_way(
        &mut self,
        to: SocketAddr,
        ground: &mut QueryGround<'_>,
    ) {
        let there = self.under_way.iter().filter(|(_, asked)| asked.to.addr == to);
        let lost: Vec<u32> = there.map(|(wire, _)| *wire).collect();
        for wire in lost {
            self.fail(wire, QueryFailure::NoWay, ground);
        }
    }

    fn fail(&mut self, wire: u32, why: QueryFailure, ground: &mut QueryGround<'_>) {
        if let Some(Asked { id, .. }) = self.forget(wire) {
            ground.counters.queries_failed += 1;
            ground.events.push_back(QueryEvent::Failed { id, why });
        }
    }

    /// Takes a SYN_ACK.
    pub(in crate::datagram) fn handle_syn_ack(
        &mut self,
        from: SocketAddr,
        wire: u32,
        payload: &[u8],
        ground: &mut QueryGround<'_>,
    ) {
        let Some(asked) = self.under_way.get_mut(&wire).filter(|it| it.to.addr == from) else {
            ground.counters.unknown_connections += 1;
            return;
        };
        let Some(cold) = &mut asked.cold else {
            ground.counters.unknown_connections += 1;
            return;
        };
        match SynAck::decode(payload) {
            Ok(SynAck::Noise { pattern: QUERY_PATTERN, noise }) => {
                let heard = cold.question.answer(noise, ground.local);
                self.handle_heard(wire, heard, ground);
            }
            Ok(SynAck::Cookie { cookie }) if cookie != cold.cookie => {
                if cold.cookies_taken < MAX_QUERY_COOKIES {
                    cold.cookies_taken += 1;
                    cold.cookie = cookie.to_vec();
                    cold.sent = ground.now;
                    ground.transmits.push(from, cold.syn(wire));
                }
            }
            Ok(_) => {}
            Err(_) => ground.counters.malformed += 1,
        }
    }

    /// What stood behind the hello of a SYN_ACK, if that was in order.
    fn handle_heard(
        &mut self,
        wire: u32,
        heard: Result<Vec<u8>, NotAnAnswer>,
        ground: &mut QueryGround<'_>,
    ) {
        if heard == Err(NotAnAnswer::Broken) {
            ground.counters.decrypt_failed += 1;
            return;
        }
        let Some(Asked { to, cold: Some(cold), .. }) = self.under_way.get(&wire) else { return };
        let rtt = ground.now.since(cold.sent);
        match heard.map(ColdAnswer::decode) {
            Ok(Some(ColdAnswer { name, secret, body })) => {
                self.wallet.put(ground.now, to, (name, secret), rtt);
                self.succeed(wire, body, rtt, ground);
            }
            Ok(None) => self.fail(wire, QueryFailure::Declined, ground),
            Err(NotAnAnswer::Refused(why)) => {
                self.fail(wire, QueryFailure::Refused(why), ground);
            }
            Err(_) => self.fail(wire, QueryFailure::Unproven, ground),
        }
    }

    fn succeed(&mut self, wire: u32, body: Bytes, rtt: Duration, ground: &mut QueryGround<'_>) {
        if let Some(Asked { id, .. }) = self.forget(wire) {
            ground.events.push_back(QueryEvent::Answered { id, body, rtt });
        }
    }

    /// Takes an ANSWER. One that does not open changes nothing.
    pub(in crate::datagram) fn handle_answer(
        &mut self,
        from: SocketAddr,
        header: &Header,
        datagram: &[u8],
        ground: &mut QueryGround<'_>,
    ) {
        let wire = header.connection;
        let asked = self.under_way.get(&wire).filter(|it| it.to.addr == from);
        let Some((asked, (taken, sent))) = asked.and_then(|it| Some((it, it.ticketed.as_ref()?)))
        else {
            ground.counters.unknown_connections += 1;
            return;
        };
        let Some(body) = open_answer(&taken.secret, taken.number, header, datagram) else {
            ground.counters.decrypt_failed += 1;
            return;
        };
        let rtt = ground.now.since(*sent);
        self.wallet.note_rtt(&asked.to, rtt);
        self.succeed(wire, body.into(), rtt, ground);
    }

    /// Somebody says that the key of a query is not the one there.
    pub(in crate::datagram) fn handle_not_this_key(&mut self, from: SocketAddr, wire: u32) {
        if let Some(asked) = self.under_way.get_mut(&wire).filter(|it| it.to.addr == from) {
            asked.is_key_doubted = true;
        }
    }
}

impl Asked {
    /// The datagram that asks by a handshake; `None` if the static key is none.
    fn ask_cold(&mut self, wire: u32, ground: &mut QueryGround<'_>) -> Option<Vec<u8>> {
        let QueryTarget { key, noise_static, .. } = &self.to;
        let (whom, rng) = ((*key, noise_static), &mut *ground.rng);
        let (question, message) =
            QueryProposal::ask(ground.local, wire, whom, &self.body, rng).ok()?;
        let (sent, cookie, cookies_taken) = (ground.now, Vec::new(), 0);
        let cold = ColdAttempt { question, message, sent, cookie, cookies_taken };
        let syn = cold.syn(wire);
        self.cold = Some(cold);
        Some(syn)
    }
}

impl ColdAttempt {
    fn syn(&self, wire: u32) -> Vec<u8> {
        let syn = Syn {
            pattern: QUERY_PATTERN,
            connection: wire,
            cookie: &self.cookie,
            noise: &self.message,
        };
        unsealed(PacketType::Syn, 0, |out| syn.encode(out))
    }
}
