//! What two nodes say to each other before they send to each other's addresses `[PROTOCOL 3.11]`.

use std::net::SocketAddr;

use bytes::BufMut as _;

use crate::{
    id::NodeId,
    limits::MAX_CANDIDATES,
    wire::{Address, Malformed, Reader, message::RoomMessage},
};

const CONNECT: u8 = 16;
const ANSWER: u8 = 17;
const SYNC: u8 = 18;

// Flags of an offer.
const PORT_VARIES: u8 = 1;
const SEARCHES: u8 = 2;

/// One step of a round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NatMessage {
    /// Let us look for a direct path: I may be at these addresses.
    Connect(Offer),
    /// I may be at these, and have opened my translator towards yours.
    Answer(Offer),
    /// So have I: send.
    Sync(u64),
}

/// Where a node may be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Names the round, at the choice of who began it.
    pub nonce: u64,
    /// Whether it is seen at another port by everybody.
    pub port_varies: bool,
    /// Whether it joins a search for the port of the one of the two for which that is so.
    pub searches: bool,
    /// At most [`MAX_CANDIDATES`].
    pub candidates: Vec<Address>,
}

impl RoomMessage for NatMessage {
    const TYPES: &'static [u8] = &[CONNECT, ANSWER, SYNC];

    fn message_type(&self) -> u8 {
        match self {
            Self::Connect(_) => CONNECT,
            Self::Answer(_) => ANSWER,
            Self::Sync(_) => SYNC,
        }
    }

    fn encode_body(&self, out: &mut Vec<u8>) {
        match self {
            Self::Connect(offer) | Self::Answer(offer) => {
                out.put_u64(offer.nonce);
                let flag = |set: bool, flag: u8| if set { flag } else { 0 };
                out.put_u8(flag(offer.port_varies, PORT_VARIES) | flag(offer.searches, SEARCHES));
                let candidates = &offer.candidates[..offer.candidates.len().min(MAX_CANDIDATES)];
                out.put_u8(u8::try_from(candidates.len()).unwrap_or(u8::MAX));
                candidates.iter().for_each(|candidate| candidate.encode(out));
            }
            Self::Sync(nonce) => out.put_u64(*nonce),
        }
    }

    fn decode_body(message_type: u8, reader: &mut Reader, _: NodeId) -> Result<Self, Malformed> {
        match message_type {
            CONNECT => Ok(Self::Connect(Offer::decode(reader)?)),
            ANSWER => Ok(Self::Answer(Offer::decode(reader)?)),
            SYNC => Ok(Self::Sync(reader.u64()?)),
            _ => Err(reader.malformed("type of another room")),
        }
    }
}

impl Offer {
    /// Those of them that are known kinds of address.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.candidates.iter().filter_map(Address::socket_addr).collect()
    }

    fn decode(reader: &mut Reader) -> Result<Self, Malformed> {
        let (nonce, flags) = (reader.u64()?, reader.u8()?);
        let (port_varies, searches) = (flags & PORT_VARIES != 0, flags & SEARCHES != 0);
        let too_many = reader.malformed("more candidates than the limit");
        let count = usize::from(reader.u8()?);
        if count > MAX_CANDIDATES {
            return Err(too_many);
        }
        let candidates = (0..count).map(|_| Address::decode(reader)).collect::<Result<_, _>>()?;
        Ok(Self { nonce, port_varies, searches, candidates })
    }
}
