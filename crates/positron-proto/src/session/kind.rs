//! What links are made of, and in which order that is tried.

use core::ops::{Index, IndexMut};
use std::net::SocketAddr;

use serde::{Serialize, Serializer, ser::SerializeMap as _};

use super::effort::Effort;
use crate::{
    limits::{HEAD_START, PROBE_HEAD_START, STREAM_SYN_PATIENCE, STREAM_SYN_TIMEOUT, UDP_ALONE},
    metric::label,
    scope::is_relayed,
    time::Duration,
};

/// What a link is made of: in order of preference, which is the same at every node, because both
/// ends of two links choose alike which of them stays `[PROTOCOL 5.2]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkKind {
    /// A datagram connection `[PROTOCOL 9]`: preferred where it gets through.
    Udp,
    /// Sealed records over a byte stream `[PROTOCOL 5]`.
    Tcp,
    /// Sealed records over a stream that a third node forwards `[PROTOCOL 3.10]`.
    Relay,
    /// What the tests make up.
    #[cfg(test)]
    Foreign,
}

label! {
    LinkKind as "transport" {
        Udp => "udp",
        Tcp => "tcp",
        Relay => "relay",
        #[cfg(test)]
        Foreign => "foreign",
    }
}

/// What is to be known of a kind.
struct Row {
    kind: LinkKind,
    name: &'static str,
    /// Whether each dial goes out from a port of its own.
    own_port: bool,
    /// How long a dial goes on unanswered once every other kind has failed, where nothing says that
    /// nobody is there.
    alone: Option<Duration>,
    /// After how long the kernel says its first packet again, where that is not ours to decide.
    repeats: Option<Duration>,
}

/// In order of preference.
const TABLE: &[Row] = &[
    Row {
        kind: LinkKind::Udp,
        name: "UDP",
        own_port: false,
        alone: Some(UDP_ALONE),
        repeats: None,
    },
    Row {
        kind: LinkKind::Tcp,
        name: "TCP",
        own_port: true,
        alone: None,
        repeats: Some(STREAM_SYN_TIMEOUT),
    },
    Row { kind: LinkKind::Relay, name: "relay", own_port: false, alone: None, repeats: None },
    #[cfg(test)]
    Row { kind: LinkKind::Foreign, name: "foreign", own_port: false, alone: None, repeats: None },
];

impl LinkKind {
    /// How many there are.
    const COUNT: usize = TABLE.len();

    /// All of them, in order of preference.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.kind)
    }

    const fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }

    /// Whether each dial goes out from a port of its own, so that no translator or firewall takes
    /// it for an answer to what was sent to us before.
    pub(crate) const fn has_own_port(self) -> bool {
        self.row().own_port
    }

    /// How long a dial may go on unanswered so that it costs no more than it may.
    pub(super) fn patience(self, effort: Effort) -> Duration {
        match (effort, self.row().repeats) {
            (Effort::Packets(packets), Some(repeats)) => {
                repeats * packets.saturating_sub(1) + STREAM_SYN_PATIENCE
            }
            (Effort::Full, _) | (Effort::Packets(_), None) => Duration::MAX,
        }
    }

    /// How long a dial goes on unanswered once every other kind has failed.
    pub(super) const fn alone(self) -> Option<Duration> {
        self.row().alone
    }
}

impl core::fmt::Display for LinkKind {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.row().name)
    }
}

/// A set of kinds, in order of preference.
///
/// ```
/// use positron_proto::session::sessions::{LinkKind, LinkKinds};
///
/// let both = LinkKinds::of(&[LinkKind::Tcp, LinkKind::Udp]);
/// assert_eq!(both, LinkKinds::default());
/// let starts: Vec<_> = both.head_starts().map(|(kind, at)| (kind, at.as_millis())).collect();
/// assert_eq!(starts, [(LinkKind::Udp, 0), (LinkKind::Tcp, 250)]);
/// assert_eq!(both.after(LinkKind::Udp), LinkKinds::TCP);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkKinds(u8);

impl LinkKinds {
    /// Datagrams where they get through, byte streams where they do not.
    pub const BOTH: Self = Self::of(&[LinkKind::Udp, LinkKind::Tcp]);
    /// Datagrams only.
    pub const UDP: Self = Self::of(&[LinkKind::Udp]);
    /// Byte streams only.
    pub const TCP: Self = Self::of(&[LinkKind::Tcp]);

    /// Relayed streams only.
    pub(crate) const RELAY: Self = Self::of(&[LinkKind::Relay]);

    /// Those by which somebody at this address is dialled: a node behind a relay has no other way,
    /// and whoever is not has no relay in its address.
    pub(super) fn towards(self, to: SocketAddr) -> Self {
        if is_relayed(to.ip()) { Self::RELAY } else { Self(self.0 & !Self::RELAY.0) }
    }

    /// These.
    pub const fn of(kinds: &[LinkKind]) -> Self {
        let (mut set, mut at) = (0, 0);
        while at < kinds.len() {
            set |= 1 << kinds[at] as u8;
            at += 1;
        }
        Self(set)
    }

    /// Whether links may be made of this.
    pub const fn has(self, kind: LinkKind) -> bool {
        self.0 & 1 << kind as u8 != 0
    }

    /// Those that are in both.
    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether links may be made of nothing.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The preferred one first.
    pub fn iter(self) -> impl Iterator<Item = LinkKind> {
        LinkKind::all().filter(move |kind| self.has(*kind))
    }

    /// When each has its turn in a dial: the preferred one at once, each other one
    /// [`HEAD_START`] after the one before it (RFC 8305, 5).
    pub fn head_starts(self) -> impl Iterator<Item = (LinkKind, Duration)> {
        let starts = (0_u32..).map(|turn| HEAD_START * turn);
        self.iter().zip(starts)
    }

    /// When each has its turn in a probe: those whose dials have a port of their own first, because
    /// they tell whether strangers get through; the others only where those do not.
    pub(super) fn probe_starts(self) -> impl Iterator<Item = (LinkKind, Duration)> {
        let telling = self.iter().filter(|kind| kind.has_own_port());
        let others = self.iter().filter(|kind| !kind.has_own_port());
        let starts = (0_u32..).map(|turn| PROBE_HEAD_START * turn);
        telling.chain(others).zip(starts)
    }

    /// Those that are preferred to `kind`.
    pub const fn before(self, kind: LinkKind) -> Self {
        Self(self.0 & ((1 << kind as u8) - 1))
    }

    /// Those that `kind` is preferred to.
    pub const fn after(self, kind: LinkKind) -> Self {
        Self(self.0 & !((1 << kind as u8) - 1) & !(1 << kind as u8))
    }
}

impl Default for LinkKinds {
    fn default() -> Self {
        Self::BOTH
    }
}

impl core::fmt::Debug for LinkKinds {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// Something for each kind, by its name where it is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerKind<T>([T; LinkKind::COUNT]);

impl<T> PerKind<T> {
    /// Made for each kind.
    pub fn new(of: impl FnMut(LinkKind) -> T) -> Self {
        let mut of = of;
        Self(core::array::from_fn(|at| of(TABLE[at].kind)))
    }

    /// Each kind with what there is for it, the preferred one first.
    pub fn iter(&self) -> impl Iterator<Item = (LinkKind, &T)> {
        LinkKind::all().zip(&self.0)
    }
}

impl<T> Index<LinkKind> for PerKind<T> {
    type Output = T;

    fn index(&self, kind: LinkKind) -> &T {
        &self.0[kind as usize]
    }
}

impl<T> IndexMut<LinkKind> for PerKind<T> {
    fn index_mut(&mut self, kind: LinkKind) -> &mut T {
        &mut self.0[kind as usize]
    }
}

impl<T: Serialize> Serialize for PerKind<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(LinkKind::COUNT))?;
        for (kind, value) in self.iter() {
            map.serialize_entry(&kind, value)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::relayed;

    #[test]
    fn the_table_is_in_the_order_of_the_kinds() {
        assert!(LinkKind::all().enumerate().all(|(at, kind)| kind as usize == at));
        assert!(LinkKind::all().is_sorted());
    }

    #[test]
    fn a_set_is_in_order_of_preference_and_is_cut_at_a_kind() {
        use LinkKind::{Foreign, Relay, Tcp, Udp};
        let all = LinkKinds::of(&[Foreign, Relay, Tcp, Udp]);
        assert!(all.iter().eq(LinkKind::all()));
        assert_eq!(all.before(Tcp), LinkKinds::UDP);
        assert_eq!(all.after(Tcp), LinkKinds::of(&[Relay, Foreign]));
        assert!(all.before(Udp).is_empty() && all.after(Foreign).is_empty());
    }

    #[test]
    fn a_node_behind_a_relay_is_dialled_through_it_and_nobody_else_is() {
        assert_eq!(LinkKinds::BOTH.towards(relayed(1, 2)), LinkKinds::RELAY);
        let everything = LinkKinds::of(&[LinkKind::Udp, LinkKind::Tcp, LinkKind::Relay]);
        assert_eq!(everything.towards("20.1.1.1:1".parse().unwrap()), LinkKinds::BOTH);
    }
}
