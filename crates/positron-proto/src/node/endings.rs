//! What ended lately: who was here, and what came of dials.

use std::collections::VecDeque;

use crate::{
    handshake::Direction,
    id::NodeId,
    limits::{RECENT_DIALS, RECENT_LOST_PEERS},
    reason::{By, Reason},
    relay::PeerPlace,
    session::sessions::{DialOutcome, DialRequest, DownReason, EndedSession, LinkKind},
    time::{Duration, Now},
};

/// A peer that was linked until a session with it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LostPeer {
    /// Who.
    pub peer: NodeId,
    /// Where it was last.
    pub place: PeerPlace,
    /// What its last link was made of.
    pub transport: LinkKind,
    /// Who dialled.
    pub direction: Direction,
    /// When the session ended.
    pub at: Now,
    /// For how long there was one.
    pub lasted: Duration,
    /// Who ended it.
    pub by: By,
    /// Why.
    pub reason: Reason,
}

/// A dial, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecentDial {
    /// Where to.
    pub to: DialTarget,
    /// When it began; a name that has no address, when that was known.
    pub began: Now,
    /// What came of it.
    pub state: DialState,
}

/// Where a dial goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DialTarget {
    /// An address.
    Address(DialRequest),
    /// A name that has none.
    Name(String),
}

/// What came of a dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DialState {
    /// Nothing yet.
    UnderWay,
    /// This node answered over this kind of link, after so long.
    Answered(NodeId, LinkKind, Duration),
    /// Nothing, for this reason, after so long.
    Failed(Reason, Duration),
}

/// The last of both, the newest first: [`RECENT_LOST_PEERS`] and [`RECENT_DIALS`] at most.
#[derive(Debug, Default)]
pub(super) struct Endings {
    lost: VecDeque<LostPeer>,
    dials: VecDeque<RecentDial>,
}

impl Endings {
    /// A session is over.
    pub(super) fn handle_down(
        &mut self,
        now: Now,
        session: &EndedSession,
        place: PeerPlace,
        why: &DownReason,
    ) {
        let EndedSession { peer, transport, lasted } = *session;
        self.lost.truncate(RECENT_LOST_PEERS - 1);
        self.lost.push_front(LostPeer {
            peer: peer.id,
            place,
            transport,
            direction: peer.direction,
            at: now,
            lasted,
            by: why.into(),
            reason: why.into(),
        });
    }

    /// A dial begins.
    pub(super) fn handle_dial(&mut self, now: Now, dial: DialRequest) {
        self.push(now, DialTarget::Address(dial), DialState::UnderWay);
    }

    /// A dial is over.
    pub(super) fn handle_dial_ended(
        &mut self,
        now: Now,
        dial: &DialRequest,
        outcome: &DialOutcome,
    ) {
        let is_it = |one: &&mut RecentDial| {
            matches!(&one.to, DialTarget::Address(to) if to == dial)
                && one.state == DialState::UnderWay
        };
        // Pushed out by so many others that began later, it is not told of.
        let Some(one) = self.dials.iter_mut().find(is_it) else { return };
        let after = now.mono.since(one.began.mono);
        one.state = match outcome {
            DialOutcome::Connected(node, kind) | DialOutcome::Probed(node, kind) => {
                DialState::Answered(*node, *kind, after)
            }
            DialOutcome::Failed(why) => DialState::Failed(why.into(), after),
        };
    }

    /// A name of the operator's has no address.
    pub(super) fn handle_unresolved(&mut self, now: Now, name: String) {
        let failed = DialState::Failed(Reason::NameUnresolved, Duration::ZERO);
        self.push(now, DialTarget::Name(name), failed);
    }

    fn push(&mut self, began: Now, to: DialTarget, state: DialState) {
        self.dials.truncate(RECENT_DIALS - 1);
        self.dials.push_front(RecentDial { to, began, state });
    }

    pub(super) fn lost(&self) -> impl Iterator<Item = &LostPeer> {
        self.lost.iter()
    }

    pub(super) fn dials(&self) -> impl Iterator<Item = &RecentDial> {
        self.dials.iter()
    }
}

#[cfg(test)]
mod tests {
    use std::{net::SocketAddr, sync::Arc};

    use super::*;
    use crate::{
        handshake::Expect,
        id::LinkId,
        identity::Identity,
        node::{Command, Effect, Input, NodeConfig, NodeCore, PeerOrder, Snapshot},
        peers::PeersConfig,
        rng::Seed,
        session::sessions::{DialFailure, Effort, LinkDown, Peer, Purpose},
        time::{Instant, WallTime},
        wire::frame::CloseReason,
    };

    fn at(second: u64) -> Now {
        let wall = WallTime::from_unix_micros(1_800_000_000_000_000 + second * 1_000_000);
        Now { mono: Instant::from_micros(1 + second * 1_000_000), wall }
    }

    fn dial(n: u16) -> DialRequest {
        let to = SocketAddr::from(([192, 0, 2, 1], n));
        let (purpose, effort) = (Purpose::Connect, Effort::Full);
        DialRequest { to, expect: Expect::Anyone, noise_static: None, purpose, effort }
    }

    /// A node that was given these bootstrap addresses, listening.
    fn node(bootstrap: &[&str]) -> NodeCore {
        let bootstrap = bootstrap.iter().map(ToString::to_string).collect();
        let peers = PeersConfig { bootstrap, ..PeersConfig::default() };
        let config = NodeConfig { peers, ..NodeConfig::default() };
        let me = Arc::new(Identity::from_seed([1; 32]));
        let mut core = NodeCore::new(config, me, Snapshot::default(), &Seed::from_number(1), at(0));
        core.handle(at(0), Input::Listening(vec![([127, 0, 0, 1], 4000).into()]));
        core
    }

    #[test]
    fn a_name_without_an_address_is_told_as_a_dial_that_failed() {
        let mut core = node(&["nowhere.invalid:4000"]);
        core.handle(at(1), Input::Timeout);
        let asked = |effect: &Effect| matches!(effect, Effect::Resolve { .. });
        let mut effects = core::iter::from_fn(|| core.poll_effect());
        assert!(effects.any(|effect| asked(&effect)));
        let (name, outcome) = ("nowhere.invalid:4000".to_owned(), Err("no such host".into()));
        core.handle(at(1), Input::Resolved { name: name.clone(), outcome });
        let dials: Vec<_> = core.recent_dials().cloned().collect();
        let state = DialState::Failed(Reason::NameUnresolved, Duration::ZERO);
        assert_eq!(dials, [RecentDial { to: DialTarget::Name(name), began: at(1), state }]);
    }

    #[test]
    fn a_dial_to_a_banned_address_is_told() {
        let mut core = node(&[]);
        let ban = PeerOrder::BanAddress {
            addresses: "192.0.2.0/24".parse().unwrap(),
            why: "scans us".into(),
            lasts: Duration::from_secs(3_600),
        };
        core.command(at(1), Command::Peer(ban)).unwrap();
        core.command(at(2), Command::Join { address: "192.0.2.7:4000".into() }).unwrap();
        core.handle(at(3), Input::Timeout);
        let states: Vec<_> = core.recent_dials().map(|dial| dial.state).collect();
        assert_eq!(states, [DialState::Failed(Reason::BannedAddress, Duration::ZERO)]);
    }

    #[test]
    fn however_many_dials_and_peers_end_the_newest_are_kept_and_no_more() {
        let mut endings = Endings::default();
        for n in 0..2_000_u16 {
            let now = at(u64::from(n));
            endings.handle_dial(now, dial(n));
            let why = if n % 2 == 0 { LinkDown::Refused } else { LinkDown::TimedOut };
            let failed = DialOutcome::Failed(DialFailure::Link(why));
            endings.handle_dial_ended(at(u64::from(n) + 3), &dial(n), &failed);
            let peer = Peer {
                id: NodeId::from_bytes([7; 32]),
                key: *Identity::from_seed([7; 32]).public_key(),
                noise_static: [0; 32],
                addr: dial(n).to,
                direction: Direction::Inbound,
                link: LinkId::of_core(n.into()),
                boot: 1,
            };
            let lasted = Duration::from_secs(n.into());
            let session = EndedSession { peer, transport: LinkKind::Udp, lasted };
            let hostile = "\u{1b}[2J".to_owned();
            let why = CloseReason::Application { code: 7, reason: hostile };
            let place = PeerPlace { address: Some(peer.addr), relay: None };
            endings.handle_down(now, &session, place, &DownReason::ByPeer(why));
        }
        assert_eq!(endings.lost().count(), RECENT_LOST_PEERS);
        let newest = endings.lost().next().unwrap();
        assert_eq!((newest.place.address, newest.at), (Some(dial(1_999).to), at(1_999)));
        assert_eq!((newest.by, newest.reason), (By::Peer, Reason::ClosedByApplication));
        assert_eq!(endings.dials().count(), RECENT_DIALS);
        let state = DialState::Failed(Reason::NoAnswer, Duration::from_secs(3));
        assert_eq!(endings.dials().next().unwrap().state, state);
    }

    #[test]
    fn a_dial_whose_place_was_taken_by_later_ones_ends_without_a_trace() {
        let mut endings = Endings::default();
        for n in 0..=u16::try_from(RECENT_DIALS).unwrap() {
            endings.handle_dial(at(0), dial(n));
        }
        let failed = DialOutcome::Failed(DialFailure::Timeout);
        endings.handle_dial_ended(at(1), &dial(0), &failed);
        assert!(endings.dials().all(|dial| dial.state == DialState::UnderWay));
    }
}
