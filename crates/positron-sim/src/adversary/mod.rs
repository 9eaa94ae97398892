//! Hosts that are no nodes of ours, and mean them harm.

mod arrival;
mod byzantine;
mod false_relay;
mod guest;
mod guest_sessions;
mod liar;
mod outsider;
mod prophet;
mod turncoat;
mod two_faced;

use positron_proto::time::{Duration, Instant};

use self::guest::Guest;
use crate::{dice::named_dice, machine::Machine};
pub(crate) use arrival::Arrival;
pub use byzantine::Attack;
pub use false_relay::Deceit;
pub use turncoat::Turn;

/// What a guest does. All of it is bytes on links: a guest has no other way to reach anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adversary {
    /// Dials nodes and sends noise, lengths of four gigabytes, half a hello, or nothing at all, and
    /// answers whoever dials it alike.
    Outsider,
    /// Has an identity, makes sessions like any node, and abuses them.
    Byzantine(Attack),
    /// Makes so many sessions, announces every broadcast there, before it is said where it can, and
    /// never sends one.
    Liar {
        /// How many sessions.
        peers: usize,
    },
    /// Is a node like any other, the shipped one, until it turns.
    Turncoat {
        /// When, since the beginning of the world.
        after: Duration,
        /// Into what.
        turn: Turn,
        /// How many links it dials.
        links: usize,
    },
    /// Makes so many sessions, and claims numbers, sets and times there that do not exist.
    Prophet {
        /// How many sessions.
        peers: usize,
    },
    /// Makes a session with every node, and then says one thing under one number: to each half of
    /// them something else, if it has two faces.
    TwoFaced {
        /// When.
        at: Duration,
        /// One or two.
        faces: u8,
    },
    /// Forwards between others like any node, until it only says so.
    FalseRelay {
        /// When.
        at: Duration,
        /// What it does then.
        deceit: Deceit,
    },
}

impl Adversary {
    /// Whether it speaks in the name of keys that nobody in the world has.
    pub(crate) fn makes_up_keys(self) -> bool {
        self == Self::Byzantine(Attack::ThrowAway)
    }

    /// When another program takes the place of the one that it began with.
    pub(crate) fn is_replaced_after(self) -> Option<Duration> {
        match self {
            Self::Turncoat { after, turn: Turn::Into(_), .. } => Some(after),
            _ => None,
        }
    }

    /// Its machine.
    pub(crate) fn machine(self, arrival: Arrival) -> Box<dyn Machine> {
        match self {
            Self::Outsider => {
                let dice = named_dice(&arrival.seed, "stranger");
                Box::new(outsider::Outsider::new(arrival.targets, dice))
            }
            Self::Byzantine(attack) => {
                Box::new(Guest::new(byzantine::Byzantine::new(attack, arrival)))
            }
            Self::Turncoat { turn: Turn::Into(attack), .. } if arrival.life > 1 => {
                Self::Byzantine(attack).machine(arrival)
            }
            Self::Turncoat { after, turn, links } => {
                Box::new(turncoat::Turncoat::new((after, turn), links, arrival))
            }
            Self::Prophet { peers } => Box::new(Guest::new(prophet::Prophet::new(peers, arrival))),
            Self::TwoFaced { at, faces } => {
                let face = two_faced::TwoFaced::new(Instant::ORIGIN + at, faces, arrival);
                Box::new(Guest::new(face))
            }
            Self::FalseRelay { at, deceit } => {
                let relay = false_relay::FalseRelay::new(Instant::ORIGIN + at, deceit, arrival);
                Box::new(Guest::new(relay))
            }
            Self::Liar { peers } => Box::new(Guest::new(liar::Liar::new(peers, arrival))),
        }
    }
}
