//! Queries of others: from a question to our answer, and nothing is left.

use std::net::SocketAddr;

use super::{
    admission::QueryAdmission,
    contract::{AnswerTooLong, Asker, QueryEvent, QueryReply, ReplyKeys, ReplyParts},
    ground::QueryGround,
    packets::{ColdAnswer, open_query, seal_answer},
    secret::TicketSecret,
    ticket::{TicketMint, TicketName},
};
use crate::{
    datagram::client_handshake::unsealed,
    handshake::{agreement::IgnoredMessage, query::HeardQuestion},
    identity::PublicKey,
    limits::MAX_QUERIES_WAITING,
    time::{Duration, Instant},
    wire::packet::{HEADER_LEN, Header, Hint, PacketType, QUERY_PATTERN, QueryPacket, Syn, SynAck},
};

/// What answers queries of others. Of a query it keeps a count of its address for a second; what
/// its answer needs is in the [`QueryReply`], with whoever is to give it.
#[derive(Debug)]
pub(in crate::datagram) struct Answering {
    pub(in crate::datagram) admission: QueryAdmission,
    /// Made when it is needed first.
    mint: Option<TicketMint>,
}

impl Answering {
    pub(in crate::datagram) fn new() -> Self {
        Self { admission: QueryAdmission::default(), mint: None }
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
                let (key, noise_static) = (heard.key, heard.noise_static);
                let (to, body) = (Asker { addr: from, key, noise_static }, heard.take_body());
                let how = ReplyKeys::Cold(heard);
                hand_over(ReplyParts { to, wire, how }, body, ground);
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
        let Some((to, secret, body)) = opened else {
            ground.counters.tickets_refused += 1;
            return;
        };
        // Only now: nobody uses up the count of an address in its name.
        if self.admission.admit_proven(ground.now, from) {
            let how = ReplyKeys::Ticketed { secret, number: header.number };
            hand_over(ReplyParts { to, wire: header.connection, how }, body, ground);
        } else {
            ground.counters.queries_over_limit += 1;
        }
    }

    fn open(
        &self,
        (now, addr): (Instant, SocketAddr),
        packet: &QueryPacket<'_>,
        header: &Header,
        datagram: &[u8],
    ) -> Option<(Asker, TicketSecret, Vec<u8>)> {
        let key = PublicKey::parse(packet.key).ok()?;
        let to = Asker { addr, key, noise_static: packet.noise_static };
        let name = TicketName { nonce: packet.nonce, issued: packet.issued };
        let age = Duration::from_millis(header.number.into());
        let secret = self.mint.as_ref()?.secret(now, name, age, &to)?;
        let body = open_query(&secret, header, datagram)?;
        Some((to, secret, body))
    }

    /// Answers a query.
    pub(in crate::datagram) fn answer(
        &mut self,
        reply: QueryReply,
        body: &[u8],
        ground: &mut QueryGround<'_>,
    ) -> Result<(), AnswerTooLong> {
        let (len, limit) = (body.len(), reply.room());
        if len > limit {
            return Err(AnswerTooLong { len, limit });
        }
        ground.counters.queries_answered += 1;
        let ReplyParts { to, wire, how } = *reply.0;
        let datagram = match how {
            ReplyKeys::Cold(heard) => {
                let (now, rng) = (ground.now, &mut *ground.rng);
                let mint = self.mint.get_or_insert_with(|| TicketMint::new(now, rng));
                let (name, secret) = mint.make(now, &to, rng);
                let rest = ColdAnswer::encode(name, &secret, body);
                answered(wire, heard.answer(ground.local, &rest).ok())
            }
            ReplyKeys::Ticketed { secret, number } => {
                Some(seal_answer(&secret, (wire, number), ground.rng.bytes(), body))
            }
        };
        ground.say(to.addr, datagram);
        Ok(())
    }
}

/// Tells the application what is asked, unless it takes too little of what was.
fn hand_over(reply: ReplyParts, body: Vec<u8>, ground: &mut QueryGround<'_>) {
    let is_asked = |event: &&QueryEvent| matches!(event, QueryEvent::Asked { .. });
    if ground.events.iter().filter(is_asked).count() >= MAX_QUERIES_WAITING {
        ground.counters.queries_over_limit += 1;
        return;
    }
    ground.counters.queries_heard += 1;
    let ticketed = matches!(reply.how, ReplyKeys::Ticketed { .. });
    let (from, body, reply) = (reply.to, body.into(), QueryReply(Box::new(reply)));
    ground.events.push_back(QueryEvent::Asked { from, body, reply, ticketed });
}

fn answered(wire: u32, noise: Option<Vec<u8>>) -> Option<Vec<u8>> {
    let noise = noise?;
    let answer = SynAck::Noise { pattern: QUERY_PATTERN, noise: &noise };
    Some(unsealed(PacketType::SynAck, wire, |out| answer.encode(out)))
}
