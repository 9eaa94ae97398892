//! What a router is asked for, and what it answers: PCP (RFC 6887) and NAT-PMP (RFC 6886), which
//! share a port and are told apart by their first byte.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::limits::MAX_ROUTER_MESSAGE;

/// How a router is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RouterProtocol {
    /// Port Control Protocol, RFC 6887.
    Pcp,
    /// NAT Port Mapping Protocol, RFC 6886.
    NatPmp,
}

/// What a port is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PortOf {
    Udp,
    Tcp,
}

/// Tells the mappings of one asker from those of another (RFC 6887, 11.1).
pub(super) type MappingNonce = [u8; 12];

/// What a router is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RouterQuestion {
    /// How long it has run; by NAT-PMP, where it is, too.
    Look,
    /// To map a port, or, for no time, to map it no more.
    Map {
        of: PortOf,
        /// At which we listen.
        internal: u16,
        /// Which one we would like; 0 if any.
        external: u16,
        seconds: u32,
    },
}

/// What a router answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RouterAnswer {
    pub(super) protocol: RouterProtocol,
    /// For how many seconds it has kept its mappings.
    pub(super) epoch: u32,
    pub(super) what: RouterWord,
}

/// What a router says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RouterWord {
    /// It speaks another version than it was asked in.
    OtherVersion,
    /// It does not do it.
    Refused {
        /// What it was asked for, if it was a mapping.
        of: Option<PortOf>,
        /// Of PCP only, and only of a mapping.
        nonce: Option<MappingNonce>,
        /// Why, by the numbers of the protocol.
        code: u16,
    },
    /// It is there; where, is said by NAT-PMP only, and all zeros are nowhere.
    Looked(Option<Ipv4Addr>),
    /// It mapped a port.
    Mapped(Grant),
}

/// A port that a router mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) of: PortOf,
    pub(super) internal: u16,
    pub(super) external: u16,
    /// Where the router is; by PCP only.
    pub(super) ip: Option<Ipv4Addr>,
    pub(super) seconds: u32,
    /// By PCP only.
    pub(super) nonce: Option<MappingNonce>,
}

/// Why bytes are no answer of a router.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoRouterAnswer {
    /// Shorter than what they begin as, or longer than anything that a router says.
    #[error("of a wrong length")]
    Length,
    /// Neither PCP nor NAT-PMP.
    #[error("of an unknown version")]
    Version,
    /// A question, or an answer to what nobody asked.
    #[error("of an unknown kind")]
    Kind,
    /// A mapping of something that is neither UDP nor TCP.
    #[error("a mapping of an unknown transport")]
    Transport,
}

impl RouterProtocol {
    /// As people know it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pcp => "PCP",
            Self::NatPmp => "NAT-PMP",
        }
    }
}

impl RouterQuestion {
    /// As it is sent from an address of ours.
    pub(super) fn encode(
        &self,
        protocol: RouterProtocol,
        own: Ipv4Addr,
        nonce: &MappingNonce,
    ) -> Vec<u8> {
        match protocol {
            RouterProtocol::NatPmp => self.encode_nat_pmp(),
            RouterProtocol::Pcp => self.encode_pcp(own, nonce),
        }
    }

    /// RFC 6886, 3.2 and 3.3.
    fn encode_nat_pmp(&self) -> Vec<u8> {
        match *self {
            Self::Look => vec![NAT_PMP, NAT_PMP_LOOK],
            Self::Map { of, internal, external, seconds } => {
                let mut out = vec![NAT_PMP, of.nat_pmp(), 0, 0];
                out.extend(internal.to_be_bytes());
                out.extend(external.to_be_bytes());
                out.extend(seconds.to_be_bytes());
                out
            }
        }
    }

    /// RFC 6887, 7.1, 11.1 and 14.1.
    fn encode_pcp(&self, own: Ipv4Addr, nonce: &MappingNonce) -> Vec<u8> {
        let (opcode, lifetime) = match *self {
            Self::Look => (PCP_ANNOUNCE, 0),
            Self::Map { seconds, .. } => (PCP_MAP, seconds),
        };
        let mut out = vec![PCP, opcode, 0, 0];
        out.extend(lifetime.to_be_bytes());
        out.extend(own.to_ipv6_mapped().octets());
        if let Self::Map { of, internal, external, .. } = *self {
            out.extend(nonce);
            out.extend([of.number(), 0, 0, 0]);
            out.extend(internal.to_be_bytes());
            out.extend(external.to_be_bytes());
            // Any address will do.
            out.extend(Ipv4Addr::UNSPECIFIED.to_ipv6_mapped().octets());
        }
        out
    }
}

impl RouterAnswer {
    /// Reads a datagram that came from a router.
    ///
    /// # Errors
    /// It is no answer; nothing of it is used.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, NoRouterAnswer> {
        if bytes.len() > MAX_ROUTER_MESSAGE {
            return Err(NoRouterAnswer::Length);
        }
        match bytes.first() {
            None => Err(NoRouterAnswer::Length),
            Some(&NAT_PMP) => Self::decode_nat_pmp(bytes),
            Some(&PCP) => Self::decode_pcp(bytes),
            Some(_) => Err(NoRouterAnswer::Version),
        }
    }

    /// RFC 6886, 3.2, 3.3 and 3.5. Who refuses says no more than the first eight bytes for certain.
    fn decode_nat_pmp(bytes: &[u8]) -> Result<Self, NoRouterAnswer> {
        let (head, body) = bytes.split_first_chunk::<8>().ok_or(NoRouterAnswer::Length)?;
        let [_, opcode, r0, r1, epoch @ ..] = *head;
        let (code, epoch) = (u16::from_be_bytes([r0, r1]), u32::from_be_bytes(epoch));
        let Some(opcode) = opcode.checked_sub(ANSWER) else { return Err(NoRouterAnswer::Kind) };
        let of = match opcode {
            NAT_PMP_UDP => Some(PortOf::Udp),
            NAT_PMP_TCP => Some(PortOf::Tcp),
            _ => None,
        };
        let what = match (code, of) {
            (UNSUPPORTED_VERSION, _) => RouterWord::OtherVersion,
            (SUCCESS, None) if opcode == NAT_PMP_LOOK => {
                let ip = body.first_chunk::<4>().ok_or(NoRouterAnswer::Length)?;
                RouterWord::Looked(Some(Ipv4Addr::from(*ip)))
            }
            (SUCCESS, None) => return Err(NoRouterAnswer::Kind),
            (SUCCESS, Some(of)) => {
                let body = body.first_chunk::<8>().ok_or(NoRouterAnswer::Length)?;
                let [i0, i1, e0, e1, seconds @ ..] = *body;
                RouterWord::Mapped(Grant {
                    of,
                    internal: u16::from_be_bytes([i0, i1]),
                    external: u16::from_be_bytes([e0, e1]),
                    ip: None,
                    seconds: u32::from_be_bytes(seconds),
                    nonce: None,
                })
            }
            (code, of) => RouterWord::Refused { of, nonce: None, code },
        };
        Ok(Self { protocol: RouterProtocol::NatPmp, epoch, what })
    }

    /// RFC 6887, 7.2, 11.1 and 14.1. Options may follow; we asked for none.
    fn decode_pcp(bytes: &[u8]) -> Result<Self, NoRouterAnswer> {
        let (head, body) = bytes.split_first_chunk::<24>().ok_or(NoRouterAnswer::Length)?;
        let [_, opcode, _, code, l0, l1, l2, l3, e0, e1, e2, e3, ..] = *head;
        let seconds = u32::from_be_bytes([l0, l1, l2, l3]);
        let epoch = u32::from_be_bytes([e0, e1, e2, e3]);
        let Some(opcode) = opcode.checked_sub(ANSWER) else { return Err(NoRouterAnswer::Kind) };
        let what = match (u16::from(code), opcode) {
            (UNSUPPORTED_VERSION, _) => RouterWord::OtherVersion,
            (SUCCESS, PCP_ANNOUNCE) => RouterWord::Looked(None),
            (code, PCP_ANNOUNCE) => RouterWord::Refused { of: None, nonce: None, code },
            (code, PCP_MAP) => {
                let grant = Grant::decode_pcp(body, seconds)?;
                match code {
                    SUCCESS => RouterWord::Mapped(grant),
                    code => RouterWord::Refused { of: Some(grant.of), nonce: grant.nonce, code },
                }
            }
            _ => return Err(NoRouterAnswer::Kind),
        };
        Ok(Self { protocol: RouterProtocol::Pcp, epoch, what })
    }
}

impl Grant {
    /// Behind the head of an answer.
    fn decode_pcp(body: &[u8], seconds: u32) -> Result<Self, NoRouterAnswer> {
        let (nonce, body) = body.split_first_chunk::<12>().ok_or(NoRouterAnswer::Length)?;
        let (ports, body) = body.split_first_chunk::<8>().ok_or(NoRouterAnswer::Length)?;
        let ip = body.first_chunk::<16>().ok_or(NoRouterAnswer::Length)?;
        let [number, _, _, _, i0, i1, e0, e1] = *ports;
        Ok(Self {
            of: PortOf::of_number(number).ok_or(NoRouterAnswer::Transport)?,
            internal: u16::from_be_bytes([i0, i1]),
            external: u16::from_be_bytes([e0, e1]),
            ip: Ipv6Addr::from(*ip).to_ipv4_mapped(),
            seconds,
            nonce: Some(*nonce),
        })
    }
}

impl PortOf {
    const fn nat_pmp(self) -> u8 {
        match self {
            Self::Udp => NAT_PMP_UDP,
            Self::Tcp => NAT_PMP_TCP,
        }
    }

    /// Of IANA, in the head of IP packets.
    const fn number(self) -> u8 {
        match self {
            Self::Udp => 17,
            Self::Tcp => 6,
        }
    }

    const fn of_number(number: u8) -> Option<Self> {
        match number {
            17 => Some(Self::Udp),
            6 => Some(Self::Tcp),
            _ => None,
        }
    }
}

/// The port at which a router is asked, by both protocols (RFC 6886, 3.1; RFC 6887, 19.1).
pub(super) const ROUTER_PORT: u16 = 5351;

// First bytes of messages.
const NAT_PMP: u8 = 0;
const PCP: u8 = 2;

/// What an answer adds to the kind of its question.
const ANSWER: u8 = 128;

// Kinds of questions.
const NAT_PMP_LOOK: u8 = 0;
const NAT_PMP_UDP: u8 = 1;
const NAT_PMP_TCP: u8 = 2;
const PCP_ANNOUNCE: u8 = 0;
const PCP_MAP: u8 = 1;

// Results, of both protocols.
const SUCCESS: u16 = 0;
const UNSUPPORTED_VERSION: u16 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 7);
    const NONCE: MappingNonce = [7; 12];
    const MAP: RouterQuestion =
        RouterQuestion::Map { of: PortOf::Udp, internal: 8888, external: 40_001, seconds: 7_200 };

    #[test]
    fn questions_by_nat_pmp_have_the_bytes_of_rfc_6886() {
        let bytes = |question: RouterQuestion| question.encode(RouterProtocol::NatPmp, OWN, &NONCE);
        assert_eq!(bytes(RouterQuestion::Look), [0, 0]);
        assert_eq!(bytes(MAP), [0, 1, 0, 0, 0x22, 0xB8, 0x9C, 0x41, 0, 0, 0x1C, 0x20]);
    }

    #[test]
    fn questions_by_pcp_have_the_bytes_of_rfc_6887() {
        let bytes = |question: RouterQuestion| question.encode(RouterProtocol::Pcp, OWN, &NONCE);
        let head = |opcode, seconds: [u8; 2]| {
            let own = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 192, 168, 1, 7];
            [&[2, opcode, 0, 0, 0, 0, seconds[0], seconds[1]], &own[..]].concat()
        };
        assert_eq!(bytes(RouterQuestion::Look), head(0, [0, 0]));
        let any = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0, 0, 0, 0];
        let ports = [17, 0, 0, 0, 0x22, 0xB8, 0x9C, 0x41];
        assert_eq!(bytes(MAP), [&head(1, [0x1C, 0x20]), &NONCE[..], &ports, &any].concat());
    }

    #[test]
    fn answers_that_are_cut_anywhere_are_none() {
        let whole: [Vec<u8>; 4] = [
            vec![0, 128, 0, 0, 0, 0, 0, 9, 20, 1, 1, 1],
            vec![0, 129, 0, 0, 0, 0, 0, 9, 34, 184, 156, 65, 0, 0, 28, 32],
            [&[2, 128, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9], &[0; 12][..]].concat(),
            [&[2, 129, 0, 0, 0, 0, 28, 32, 0, 0, 0, 9], &[0; 12][..], &NONCE, &[17; 1], &[0; 23]]
                .concat(),
        ];
        for bytes in whole {
            let answer = RouterAnswer::decode(&bytes).unwrap();
            assert_eq!(answer.epoch, 9, "{bytes:?}");
            for cut in 0..bytes.len() {
                let error = RouterAnswer::decode(&bytes[..cut]).unwrap_err();
                assert_eq!(error, NoRouterAnswer::Length, "{cut} of {bytes:?}");
            }
        }
    }

    #[test]
    fn who_refuses_need_not_say_more_than_that() {
        let what = |bytes: &[u8]| RouterAnswer::decode(bytes).unwrap().what;
        let of_tcp = RouterWord::Refused { of: Some(PortOf::Tcp), nonce: None, code: 4 };
        assert_eq!(what(&[0, 130, 0, 4, 0, 0, 0, 9]), of_tcp);
        assert_eq!(what(&[0, 129, 0, 1, 0, 0, 0, 9]), RouterWord::OtherVersion);
    }
}
