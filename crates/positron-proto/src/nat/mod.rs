//! What stands between this node and the internet, by what its peers see of it.
//!
//! A translator (NAT) gives our listening socket another address. Whether it gives the *same* one
//! towards everybody decides whether others reach us there: RFC 4787, section 4.1, calls that
//! endpoint-independent mapping.
//!
//! # Who is let in
//!
//! A translator or a firewall may let in everybody, every port of whom we sent to, or that port
//! only (RFC 4787, section 5: filtering). A node asks a peer to send from another port; and asks a
//! peer that asks one of its own, which we never sent to:
//!
//! ```text
//!   A                       a peer                    its peer
//!   OTHER PORT: a number ──▶
//!          ◀─────────────── SENT
//!          ◀═══ from another port: the number, as a STUN answer
//!   ASK: a number ─────────▶
//!                            SEND: it, to A ─────────▶
//!          ◀─────────────── ASKED: who
//!          ◀═════════════════════════════════════════ the number, as a STUN answer
//! ```
//!
//! What comes is proof; silence is counted until enough were silent.
//!
//! Where everybody was sent to, nobody is a stranger. Then A opens a socket, sends from it to the
//! peer alone, and asks both of the peer for the port at which the peer sees that socket: to it all
//! others are strangers.
//!
//! # A port that the router maps
//!
//! A router may be asked to let strangers in at a port (PCP, NAT-PMP). What it says is believed
//! when a stranger's packet came in there, for which a peer is asked as above, with the port.
//!
//! # A direct path
//!
//! Two nodes that talk through a relay look for a path of their own. Who dialled begins:
//!
//! ```text
//!   A                                         B            (through the relay)
//!   CONNECT: where I may be ────────────────▶
//!                                              openers ─▶ A's addresses, to die on the way
//!          ◀──────────────── ANSWER: where I may be
//!   openers ─▶ B's addresses
//!   SYNC ───────────────────────────────────▶
//!   STUN requests ─▶ ◀─ STUN requests, some 50 ms apart; who is answered dials that address
//! ```
//!
//! An *opener* is a request that goes so few hops that it passes our own translators and no other.
//! Without it the first packet of the other side, coming unasked, may take the port at our
//! translator under which we would have answered. It is sent before the message that lets the other
//! side begin, so that no clock is needed.
//!
//! # A port that nobody can name
//!
//! A translator that maps our port to another one for everybody, and a peer that lets in no port
//! but those it sent to, find no path so. Then the one opens many ports and the other guesses one
//! of them (a "birthday" search):
//!
//! ```text
//!   hard side: 256 sockets, an opener from each ─▶ E, to die on the way
//!   easy side, at E:                 STUN requests ─▶ random ports of the hard side, 400/s
//! ```
//!
//! Of 64,512 ports each guess hits one of 256 that let E in: the mean is 251 guesses, and 2,048
//! are enough in 99.97 % of all cases. Who is answered dials. The hard side goes on over the socket
//! that was hit ([`ExtraSocket`](crate::datagram::contract::ExtraSocket)) and closes the others.
//!
//! That costs 40 kB and entries in two routers, so it is done only if much goes over the relay or
//! the application asked for the peer, and never faster than `limits` says.
//!
//! # Trust
//!
//! A request is answered by every node, whoever asks, so the answer proves a path and nothing else.
//! What follows is a dial like any other, and the session moves to the better link.

mod candidates;
mod contacted;
mod counters;
mod effect;
mod family_test;
mod filtering;
mod mapped_port;
mod mapping;
mod message;
mod port_mapper;
mod probes;
mod punching;
mod round;
mod router_message;
mod searches;
mod strangers;
#[cfg(test)]
mod tests;
mod trial_question;
mod trial_sockets;
mod trials;

pub use candidates::OwnPlaces;
pub use counters::NatCounters;
pub use effect::{DialOver, NatEffect};
pub use filtering::FilteringTests;
pub use mapped_port::{Gateway, MappedPort, MappedState, RouterFailure, RouterNews};
pub use mapping::{FamilyNat, Nat, NatInfo, PortMapping, SeenAt, Sighting};
pub use message::{NatMessage, Offer, ProbeStep, StrangerProbe};
pub use port_mapper::PortWish;
pub use punching::Punching;
pub use round::Relayed;
pub use router_message::RouterProtocol;
pub use strangers::Strangers;
pub use trials::{DatagramPeer, Filtering, FilteringTrial, TrialSender};
