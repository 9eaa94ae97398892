//! Queries of others: from a question to our answer, and nothing is left.

use std::{collections::BTreeMap, net::SocketAddr};

use super::{
    admission::QueryAdmission,
    contract::{NotAnswered, QueryEvent, QueryReply},
    ground::QueryGround,
    packets::{ColdAnswer, open_query, seal_answer},
    ticket::{TicketMint, TicketName, TicketSecret},
};
use crate::{
    datagram::client_handshake::unsealed,
    handshake::{agreement::IgnoredMessage, query::HeardQuestion},
    identity::PublicKey,
    limits::MAX_QUERIES_IN_STEP,
    time::{Duration, Instant},
    wire::packet::{HEADER_LEN, Header, Hint, PacketType, QUERY_PATTERN, QueryPacket, Syn, SynAck},
};

/// Queries of others that were heard in this step.
///
/// **Bounds**: [`MAX_QUERIES_IN_STEP`]; at the end of the step there are none. What is left of a
/// query is a count of its address for a second.
#[derive(Debug)]
pub(in crate::datagram) struct Answering {
    heard: BTreeMap<u64, Heard>,
    /// Queries heard so far.
    number: u64,
    pub(in crate::datagram) admission: QueryAdmission,
    /// Made when it is needed first.
    mint: Option<TicketMint>,
}

/// A query that waits for its answer.
#[derive(Debug)]
struct Heard {
    from: SocketAddr,
    /// What the asking end calls it.
    wire: u32,
    how: How,
}

#[derive(Debug)]
enum How {
    Cold(Box<HeardQuestion>),
    Ticketed { secret: TicketSecret, number: u32 },
}

impl Answering {
    pub(in crate::datagram) fn new() -> Self {
        let admission = QueryAdmission::new();
        Self { heard: BTreeMap::new(), number: 0, admission, mint: None }
    }

    #[cfg(test)]
    pub(in crate::datagram) fn len(&self) -> usize {
        self.heard.len()
    }

    /// Takes a SYN that asks.
    pub(in crate::datagram) fn handle_syn(
        &mut self,
        from: SocketAddr,
        syn: &Syn<'_>,
        ground: &mut QueryGround<'_>,
    ) {
        let wire = syn.connection;
        match HeardQuestion::hear(syn.noise, ground.local, wire, ground.rng) {
            Err(why) => {
                ground.counters.handshakes_failed += 1;
                if why == IgnoredMessage::NotThisKey {
                    let hint = |out: &mut Vec<u8>| Hint::NotThisKey.encode(out);
                    ground.transmits.push(from, unsealed(PacketType::Rst, wire, hint));
                }
            }
            // Who we are is all that there is to say.
            Ok(heard) if heard.is_refused => {
                ground.counters.queries_refused += 1;
                ground.say(from, answered(wire, heard.answer(ground.local, &[]).ok()));
            }
            Ok(mut heard) => {
                let (key, body) = (heard.key, core::mem::take(&mut heard.body));
                let how = How::Cold(Box::new(heard));
                self.enter(Heard { from, wire, how }, key, body, ground);
            }
        }
    }

    /// Takes a QUERY.
    pub(in crate::datagram) fn handle_query(
        &mut self,
        from: SocketAddr,
        header: &Header,
        datagram: &[u8],
        ground: &mut QueryGround<'_>,
    ) {
        let Ok(packet) = QueryPacket::decode(datagram.get(HEADER_LEN..).unwrap_or_default()) else {
            ground.counters.malformed += 1;
            return;
        };
        let opened = self.open((ground.now, from), &packet, header, datagram);
        let Some((key, secret, body)) = opened else {
            ground.counters.tickets_refused += 1;
            return;
        };
        // Only now: nobody uses up the count of an address in its name.
        if self.admission.admit_proven(ground.now, from) {
            let how = How::Ticketed { secret, number: header.number };
            self.enter(Heard { from, wire: header.connection, how }, key, body, ground);
        } else {
            ground.counters.queries_over_limit += 1;
        }
    }

    fn open(
        &self,
        (now, from): (Instant, SocketAddr),
        packet: &QueryPacket<'_>,
        header: &Header,
        datagram: &[u8],
    ) -> Option<(PublicKey, TicketSecret, Vec<u8>)> {
        let key = PublicKey::parse(packet.key).ok()?;
        let name = TicketName { nonce: packet.nonce, issued: packet.issued };
        let age = Duration::from_millis(header.number.into());
        let secret = self.mint.as_ref()?.secret(now, name, age, (&key, from))?;
        let body = open_query(&secret, header, datagram)?;
        Some((key, secret, body))
    }

    fn enter(
        &mut self,
        heard: Heard,
        from: PublicKey,
        body: Vec<u8>,
        ground: &mut QueryGround<'_>,
    ) {
        if self.heard.len() >= MAX_QUERIES_IN_STEP {
            ground.counters.queries_over_limit += 1;
            return;
        }
        ground.counters.queries_heard += 1;
        let ticketed = matches!(heard.how, How::Ticketed { .. });
        let reply = QueryReply { number: self.number, ticketed };
        let from_addr = heard.from;
        self.heard.insert(self.number, heard);
        self.number += 1;
        let body = body.into();
        ground.events.push_back(QueryEvent::Asked { from_addr, from, body, reply, ticketed });
    }

    /// Answers a query.
    pub(in crate::datagram) fn answer(
        &mut self,
        reply: QueryReply,
        body: &[u8],
        ground: &mut QueryGround<'_>,
    ) -> Result<(), NotAnswered> {
        let (len, limit) = (body.len(), reply.room());
        if len > limit {
            return Err(NotAnswered::TooLarge { len, limit });
        }
        let Heard { from, wire, how } =
            self.heard.remove(&reply.number).ok_or(NotAnswered::Gone)?;
        ground.counters.queries_answered += 1;
        let datagram = match how {
            How::Cold(heard) => {
                let (now, rng) = (ground.now, &mut *ground.rng);
                let mint = self.mint.get_or_insert_with(|| TicketMint::new(now, rng));
                let (name, secret) = mint.make(now, (&heard.key, from), rng);
                let rest = ColdAnswer::encode(name, &secret, body);
                answered(wire, heard.answer(ground.local, &rest).ok())
            }
            How::Ticketed { secret, number } => {
                Some(seal_answer(&secret, (wire, number), ground.rng.bytes(), body))
            }
        };
        ground.say(from, datagram);
        Ok(())
    }

    /// The step is over: how many queries were not answered in it.
    pub(in crate::datagram) fn end_step(&mut self) -> u64 {
        let unanswered = self.heard.len();
        self.heard.clear();
        u64::try_from(unanswered).unwrap_or(u64::MAX)
    }
}

fn answered(wire: u32, noise: Option<Vec<u8>>) -> Option<Vec<u8>> {
    let noise = noise?;
    let answer = SynAck::Noise { pattern: QUERY_PATTERN, noise: &noise };
    Some(unsealed(PacketType::SynAck, wire, |out| answer.encode(out)))
}
