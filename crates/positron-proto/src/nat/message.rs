//! What two nodes say to each other before they send to each other's addresses `[PROTOCOL 3.11]`.

use std::{net::SocketAddr, num::NonZeroU16};

use bytes::BufMut as _;

use crate::{
    id::NodeId,
    limits::MAX_CANDIDATES,
    stun::TransactionId,
    wire::{Address, Malformed, Reader, message::RoomMessage},
};

const CONNECT: u8 = 16;
const ANSWER: u8 = 17;
const SYNC: u8 = 18;
const PROBE: u8 = 26;

// Flags of an offer.
const PORT_VARIES: u8 = 1;
const SEARCHES: u8 = 2;

/// What is said about paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NatMessage {
    /// Let us look for a direct path: I may be at these addresses.
    Connect(Offer),
    /// I may be at these, and have opened my translator towards yours.
    Answer(Offer),
    /// So have I: send.
    Sync(u64),
    /// Who may send to me?
    Probe(StrangerProbe),
}

/// One step of finding out whose packets get to the asker `[PROTOCOL 3.12]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StrangerProbe {
    /// Names the packet, at the choice of the asker.
    pub id: TransactionId,
    /// Which step.
    pub step: ProbeStep,
}

/// Who says what of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeStep {
    /// The asker to a peer: have somebody send to where you see me.
    Ask,
    /// The peer to a stranger: send it there.
    Send(Address),
    /// The peer to the asker: I asked somebody, whom I see there.
    Asked(Address),
    /// The peer to the asker: I know nobody who could, or cannot myself.
    Nobody,
    /// The asker to a peer: have somebody send to this port of where you see me.
    AskAt(NonZeroU16),
    /// The asker to a peer: send from another port of yours, to this port of where you see me, or
    /// just there.
    OtherPort(Option<NonZeroU16>),
    /// The peer to the asker: I have.
    Sent,
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
    const TYPES: &'static [u8] = &[CONNECT, ANSWER, SYNC, PROBE];

    fn message_type(&self) -> u8 {
        match self {
            Self::Connect(_) => CONNECT,
            Self::Answer(_) => ANSWER,
            Self::Sync(_) => SYNC,
            Self::Probe(_) => PROBE,
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
            Self::Probe(probe) => probe.encode(out),
        }
    }

    fn decode_body(message_type: u8, reader: &mut Reader, _: NodeId) -> Result<Self, Malformed> {
        match message_type {
            CONNECT => Ok(Self::Connect(Offer::decode(reader)?)),
            ANSWER => Ok(Self::Answer(Offer::decode(reader)?)),
            SYNC => Ok(Self::Sync(reader.u64()?)),
            PROBE => Ok(Self::Probe(StrangerProbe::decode(reader)?)),
            _ => Err(reader.malformed("type of another room")),
        }
    }
}

impl StrangerProbe {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put_u8(match self.step {
            ProbeStep::Ask => ASK,
            ProbeStep::Send(_) => SEND,
            ProbeStep::Asked(_) => ASKED,
            ProbeStep::Nobody => NOBODY,
            ProbeStep::AskAt(_) => ASK_AT,
            ProbeStep::OtherPort(_) => OTHER_PORT,
            ProbeStep::Sent => SENT,
        });
        out.put_slice(&self.id.0);
        match &self.step {
            ProbeStep::Send(address) | ProbeStep::Asked(address) => address.encode(out),
            ProbeStep::AskAt(port) => out.put_u16(port.get()),
            ProbeStep::OtherPort(port) => out.put_u16(port.map_or(0, NonZeroU16::get)),
            ProbeStep::Ask | ProbeStep::Nobody | ProbeStep::Sent => {}
        }
    }

    fn decode(reader: &mut Reader) -> Result<Self, Malformed> {
        let unknown = reader.malformed("unknown step");
        let step = reader.u8()?;
        let id = TransactionId(reader.array()?);
        let step = match step {
            ASK => ProbeStep::Ask,
            SEND => ProbeStep::Send(Address::decode(reader)?),
            ASKED => ProbeStep::Asked(Address::decode(reader)?),
            NOBODY => ProbeStep::Nobody,
            ASK_AT => {
                let no_port = reader.malformed("no port");
                ProbeStep::AskAt(NonZeroU16::new(reader.u16()?).ok_or(no_port)?)
            }
            OTHER_PORT => ProbeStep::OtherPort(NonZeroU16::new(reader.u16()?)),
            SENT => ProbeStep::Sent,
            _ => return Err(unknown),
        };
        Ok(Self { id, step })
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

/// The first byte of a [`StrangerProbe`]: which [`ProbeStep`].
const ASK: u8 = 0;
const SEND: u8 = 1;
const ASKED: u8 = 2;
const NOBODY: u8 = 3;
const ASK_AT: u8 = 4;
const OTHER_PORT: u8 = 5;
const SENT: u8 = 6;
