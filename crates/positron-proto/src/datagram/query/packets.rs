//! The datagrams of queries: what is sealed in them, and under which keys `[PROTOCOL 9.11]`.

use bytes::Bytes;

use super::{secret::TicketSecret, ticket::TicketName};
use crate::{
    crypto::TAG,
    handshake::aead::{Secret, Suite, aead_key, expand, nonce},
    identity::PublicKey,
    wire::packet::{
        Flags, HEADER_LEN, Header, PacketType, QueryAnswer, QueryPacket, associated_data,
        put_checksum,
    },
};

/// What a SYN_ACK says behind the hello: a ticket, and the answer.
///
/// Nothing at all stands there if the responder has nothing to say to whoever asks.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::datagram) struct ColdAnswer {
    pub(in crate::datagram) name: TicketName,
    pub(in crate::datagram) secret: TicketSecret,
    pub(in crate::datagram) body: Bytes,
}

impl ColdAnswer {
    pub(in crate::datagram) fn encode(
        name: TicketName,
        secret: &TicketSecret,
        body: &[u8],
    ) -> Vec<u8> {
        [&name.nonce[..], &name.issued.to_be_bytes(), secret.as_slice(), body].concat()
    }

    pub(in crate::datagram) fn decode(bytes: Vec<u8>) -> Option<Self> {
        let (nonce, rest) = bytes.split_first_chunk()?;
        let (issued, rest) = rest.split_first_chunk()?;
        let (secret, _) = rest.split_first_chunk()?;
        let name = TicketName { nonce: *nonce, issued: u32::from_be_bytes(*issued) };
        let secret = TicketSecret::new(*secret);
        Some(Self { name, secret, body: Bytes::from(bytes).slice(TICKET..) })
    }
}

/// A QUERY: `number` never seals twice under one secret.
pub(in crate::datagram) fn seal_query(
    (name, secret): (TicketName, &TicketSecret),
    (key, noise_static): (&PublicKey, [u8; 32]),
    (wire, number): (u32, u32),
    body: &[u8],
) -> Vec<u8> {
    let (TicketName { nonce, issued }, key) = (name, *key.as_bytes());
    let clear = QueryPacket { nonce, issued, key, noise_static, sealed: body };
    let keys = keys_of_queries(secret);
    seal(PacketType::Query, (wire, number), |out| clear.encode(out), QueryPacket::CLEAR, &keys)
}

/// What is in a QUERY, if it was sealed under this secret.
pub(in crate::datagram) fn open_query(
    secret: &TicketSecret,
    header: &Header,
    datagram: &[u8],
) -> Option<Vec<u8>> {
    open(header, datagram, QueryPacket::CLEAR, &keys_of_queries(secret))
}

/// The ANSWER to the query of this number. Nothing else is ever sealed under its key as long as no
/// salt repeats: not even another answer to the same query, of which a copy may come.
pub(in crate::datagram) fn seal_answer(
    secret: &TicketSecret,
    (wire, number): (u32, u32),
    salt: [u8; 16],
    body: &[u8],
) -> Vec<u8> {
    let clear = QueryAnswer { salt, sealed: body };
    let keys = keys_of_answer(secret, number, salt);
    seal(PacketType::Answer, (wire, 0), |out| clear.encode(out), QueryAnswer::CLEAR, &keys)
}

/// What is in an ANSWER, if it is to the query of this number under this secret.
pub(in crate::datagram) fn open_answer(
    secret: &TicketSecret,
    number: u32,
    header: &Header,
    datagram: &[u8],
) -> Option<Vec<u8>> {
    let QueryAnswer { salt, .. } = QueryAnswer::decode(datagram.get(HEADER_LEN..)?).ok()?;
    open(header, datagram, QueryAnswer::CLEAR, &keys_of_answer(secret, number, salt))
}

/// A datagram whose payload is `clear` bytes as they are, then what is sealed.
fn seal(
    kind: PacketType,
    (wire, number): (u32, u32),
    payload: impl FnOnce(&mut Vec<u8>),
    clear: usize,
    keys: &Secret,
) -> Vec<u8> {
    let mut datagram = vec![0; HEADER_LEN];
    payload(&mut datagram);
    let payload_len = u32::try_from(datagram.len() - HEADER_LEN + TAG).unwrap_or(u32::MAX);
    let header = Header { number, flags: Flags::ENCRYPTED, payload_len, ..Header::new(kind, wire) };
    if let Some(front) = datagram.first_chunk_mut() {
        header.encode(front);
    }
    let (front, text) = datagram.split_at_mut(HEADER_LEN + clear);
    let nonce = nonce(keys, number.into());
    let tag = aead_key(keys, Suite::Aes256Gcm).seal(&nonce, &covered(front), text);
    datagram.extend_from_slice(&tag);
    put_checksum(&mut datagram);
    datagram
}

fn open(header: &Header, datagram: &[u8], clear: usize, keys: &Secret) -> Option<Vec<u8>> {
    let (front, sealed) = datagram.split_at_checked(HEADER_LEN + clear)?;
    let (text, tag) = sealed.split_last_chunk()?;
    let mut out = vec![0; text.len()];
    let nonce = nonce(keys, header.number.into());
    let key = aead_key(keys, Suite::Aes256Gcm);
    key.open(&nonce, &covered(front), text, tag, &mut out).ok()?;
    Some(out)
}

/// The header with its checksum zero, and what else is not sealed.
fn covered(front: &[u8]) -> Vec<u8> {
    let mut covered = associated_data(front).to_vec();
    covered.extend_from_slice(front.get(HEADER_LEN..).unwrap_or_default());
    covered
}

fn keys_of_queries(secret: &TicketSecret) -> Secret {
    expand(&[], secret.as_slice(), &[b"positron-net/query/1"])
}

fn keys_of_answer(secret: &TicketSecret, number: u32, salt: [u8; 16]) -> Secret {
    expand(&salt, secret.as_slice(), &[b"positron-net/answer/1", &number.to_be_bytes()])
}

/// Bytes of a ticket with its secret.
pub(in crate::datagram) const TICKET: usize = 8 + 4 + 32;
