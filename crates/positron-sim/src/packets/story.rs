//! What happens to a few endpoints, as data.

use positron_proto::{
    datagram::{
        Tuning,
        contract::{CongestionAlgorithm, Delivery, LaneNumber},
    },
    time::Duration,
};

use positron_internet::{PathLaws, Range};

/// A few endpoints, what lies between them, and what happens. Times count from the beginning.
#[derive(Clone, Debug)]
pub struct PacketStory {
    /// The ends, two at least.
    pub ends: Vec<End>,
    /// Where all ends begin to number packets, and when they change keys.
    pub tuning: Tuning,
    /// The laws from each end to each other one, at the beginning: `from * ends + to`.
    pub laws: Vec<PathLaws>,
    /// What happens, in order of time.
    pub acts: Vec<(Duration, Act)>,
    /// Who means harm, until it is calm.
    pub attacker: Option<Attacker>,
    /// When everything goes right again: paths lose nothing, nobody is away, and each pair of ends
    /// that ever dialled dials once more.
    pub calm_at: Duration,
    /// How long everything that waits may take from then on.
    pub limit: Duration,
}

/// One end: what its endpoint is told, and how it is driven.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct End {
    /// `queue_bytes` of its `EndpointConfig`: what may wait to be acknowledged.
    pub queue_bytes: usize,
    /// The same, `window_bytes`.
    pub window_bytes: usize,
    /// The same, `keep_alive`.
    pub keep_alive: Option<Duration>,
    /// The same, `idle_timeout`.
    pub idle_timeout: Duration,
    /// The same, `max_datagram`.
    pub max_datagram: usize,
    /// The same, `congestion`.
    pub congestion: CongestionAlgorithm,
    /// How late its timers are.
    pub late: Range,
    /// How long what arrives waits for company: datagrams of one size are handed over together.
    pub gather: Duration,
    /// Datagrams in one batch that it sends, at most.
    pub segments: usize,
    /// How long its application takes for a message, or for what can be read of a stream.
    pub reader: Range,
    /// What its application reads from a stream at a time, in bytes.
    pub reads: usize,
}

impl End {
    /// Quick, punctual and roomy.
    pub const fn plain() -> Self {
        Self {
            queue_bytes: 1 << 20,
            window_bytes: 1 << 20,
            keep_alive: Some(Duration::from_secs(1)),
            idle_timeout: Duration::from_secs(5),
            max_datagram: 16 * 1024,
            congestion: CongestionAlgorithm::NewReno,
            late: (Duration::ZERO, Duration::ZERO),
            gather: Duration::ZERO,
            segments: 64,
            reader: (Duration::ZERO, Duration::ZERO),
            reads: 64 * 1024,
        }
    }
}

/// Whom a dial expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    /// The end that is dialled.
    Right,
    /// Another one.
    Wrong,
    /// Whoever answers.
    Anyone,
}

/// Which static key a dial has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StaticKey {
    /// None: XX.
    Unknown,
    /// That of the end that is dialled: IK.
    Right,
    /// Another one: IK, which nobody can answer.
    Wrong,
}

/// How a stream ends that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It is finished.
    Finish,
    /// It is given up half way.
    Drop,
    /// It stays open.
    Never,
}

/// Something that happens. A connection is one that is live at that end then, drawn; without one,
/// nothing happens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Act {
    /// An end dials another.
    Dial {
        /// Who.
        from: usize,
        /// Whom.
        to: usize,
        /// Who must answer.
        whom: Whom,
        /// The key.
        key: StaticKey,
    },
    /// An end dials where nobody is.
    DialNobody {
        /// Who.
        from: usize,
    },
    /// Messages, all at once.
    Say {
        /// Who.
        from: usize,
        /// In which lane.
        lane: LaneNumber,
        /// How.
        delivery: Delivery,
        /// Bytes of each.
        bytes: usize,
        /// How many.
        times: u32,
    },
    /// A stream is opened and written.
    Write {
        /// Who.
        from: usize,
        /// In which lane.
        lane: LaneNumber,
        /// Bytes in all.
        bytes: u64,
        /// Bytes at a time.
        chunk: usize,
        /// And then.
        ending: Ending,
    },
    /// A stream that the other end opened is given up.
    Refuse {
        /// Who.
        end: usize,
    },
    /// A connection is closed when everything was said.
    Close {
        /// Who.
        end: usize,
    },
    /// A connection is closed at once.
    Reset {
        /// Who.
        end: usize,
    },
    /// An end forgets everything and starts again.
    Restart {
        /// Who.
        end: usize,
        /// After being away for this long.
        away: Duration,
    },
    /// A translator gives an end another address, or it moves to another network: what is sent to
    /// the old one vanishes.
    Move {
        /// Who.
        end: usize,
    },
    /// An application takes nothing for a while.
    Pause {
        /// Who.
        end: usize,
        /// For how long.
        lasting: Duration,
    },
    /// Other laws in one direction.
    Change {
        /// From here.
        from: usize,
        /// To there.
        to: usize,
        /// These.
        laws: PathLaws,
    },
    /// Nothing passes in one direction.
    Cut {
        /// From here.
        from: usize,
        /// To there.
        to: usize,
        /// For how long.
        lasting: Duration,
    },
    /// SYNs of strangers, each from an address of its own.
    Flood {
        /// To whom.
        to: usize,
        /// How many.
        count: u32,
    },
}

/// Somebody who sees what passes, and sends what they like under any address.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attacker {
    /// The part of all datagrams that is sent again as it was, later.
    pub replays: f64,
    /// The part that is sent again, altered.
    pub alters: f64,
    /// The part that is overtaken by a copy from an address where nobody answers.
    pub races: f64,
    /// The part of those whose original never arrives.
    pub steals: f64,
    /// The part that provokes something invented: garbage, resets, answers to handshakes.
    pub invents: f64,
}

impl PacketStory {
    /// Whether something happens that may break or silence a connection.
    pub fn is_disturbed(&self) -> bool {
        self.attacker.is_some()
            || self.laws.iter().any(|laws| !is_kind(laws))
            || self.acts.iter().any(|(_, act)| match act {
                Act::Restart { .. } | Act::Cut { .. } | Act::Flood { .. } | Act::Move { .. } => {
                    true
                }
                Act::Change { laws, .. } => !is_kind(laws),
                _ => false,
            })
    }

    /// Whether every datagram arrives as it was sent.
    pub fn is_faithful(&self) -> bool {
        let faithful =
            |laws: &PathLaws| laws.is_faithful() && laws.rate.is_none() && laws.mtu >= 16_384;
        self.attacker.is_none()
            && self.laws.iter().all(faithful)
            && self.acts.iter().all(|(_, act)| match act {
                Act::Restart { .. } | Act::Cut { .. } | Act::Flood { .. } | Act::Move { .. } => {
                    false
                }
                Act::Change { laws, .. } => faithful(laws),
                _ => true,
            })
    }
}

/// Whether nobody loses patience over such a path.
fn is_kind(laws: &PathLaws) -> bool {
    laws.loss <= 0.1 && laws.bursts.is_none() && laws.damage <= 0.1 && laws.mtu >= 1_200
}
