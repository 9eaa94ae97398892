//! What ended lately: who was here, and what came of dials.

use std::collections::VecDeque;
use std::net::SocketAddr;

use crate::{
    handshake::Direction,
    id::NodeId,
    limits::{RECENT_DIALS, RECENT_LOST_PEERS},
    reason::{By, Reason},
    session::sessions::{DialOutcome, DialRequest, DownReason, EndedSession, LinkKind},
    time::{Duration, Now},
};

/// A peer that was linked, and is not over this session any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LostPeer {
    /// Who.
    pub peer: NodeId,
    /// Where it was last.
    pub addr: SocketAddr,
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
    pub(super) fn handle_down(&mut self, now: Now, session: &EndedSession, why: &DownReason) {
        let EndedSession { peer, transport, lasted } = *session;
        self.lost.truncate(RECENT_LOST_PEERS - 1);
        self.lost.push_front(LostPeer {
            peer: peer.id,
            addr: peer.addr,
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

/// Why nobody is connected, by what came of the last dials: "3 dials, 2 x connection_refused, 1
/// under way". `None` if there were none.
pub fn dials_in_words<'a>(dials: impl Iterator<Item = &'a RecentDial>) -> Option<String> {
    let mut failed = std::collections::BTreeMap::<Reason, usize>::new();
    let (mut count, mut answered, mut under_way) = (0_usize, 0_usize, 0_usize);
    for dial in dials {
        count += 1;
        match dial.state {
            DialState::UnderWay => under_way += 1,
            DialState::Answered(..) => answered += 1,
            DialState::Failed(reason, _) => *failed.entry(reason).or_default() += 1,
        }
    }
    let mut words = vec![match count {
        0 => return None,
        1 => "1 dial".to_owned(),
        _ => format!("{count} dials"),
    }];
    words.extend((answered > 0).then(|| format!("{answered} x answered")));
    words.extend(failed.iter().map(|(reason, times)| format!("{times} x {reason}")));
    words.extend((under_way > 0).then(|| format!("{under_way} under way")));
    Some(words.join(", "))
}
