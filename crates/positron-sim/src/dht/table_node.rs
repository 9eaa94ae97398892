//! One node of a world of hash tables: the shipped machine, and what is around it.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use positron_proto::{
    dht::{Contact, Dht, DhtMode, Place, QuestionId, RememberedDht, ReplyId, Via},
    id::NetworkId,
    identity::Identity,
    rng::Seed,
    time::{Instant, Now},
};

use crate::disk::Disk;

/// A node.
pub(super) struct TableNode {
    pub(super) dht: Dht,
    pub(super) contact: Contact,
    me: Arc<Identity>,
    seed: Seed,
    /// Whether others reach it.
    is_client: bool,
    pub(super) state: NodeState,
    /// To which conspiracy it belongs, if to any.
    pub(super) harm: Option<usize>,
    pub(super) wakes_at: Option<Instant>,
    next_reply: u64,
    replies: BTreeMap<ReplyId, Asker>,
    /// Only where nodes start again.
    pub(super) disk: Option<Disk>,
    starts: u64,
}

/// Whether a node takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NodeState {
    Runs,
    /// It takes everything and says nothing.
    Frozen,
    Gone,
}

/// Who asked a node, what for, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asker {
    pub(super) index: usize,
    pub(super) question: QuestionId,
    pub(super) via: Via,
    pub(super) target: Place,
}

impl TableNode {
    pub(super) fn new(
        now: Now,
        me: Identity,
        contact: Contact,
        network: NetworkId,
        seed: Seed,
        is_client: bool,
    ) -> Self {
        let me = Arc::new(me);
        let remembered = RememberedDht::default();
        let dht = Dht::new(Arc::clone(&me), network, remembered, seed.stream("dht"), now);
        let mut node = Self {
            dht,
            contact,
            me,
            seed,
            is_client,
            state: NodeState::Runs,
            harm: None,
            wakes_at: None,
            next_reply: 0,
            replies: BTreeMap::new(),
            disk: None,
            starts: 0,
        };
        node.begin(now);
        node
    }

    fn begin(&mut self, now: Now) {
        let serves: Result<SocketAddr, _> = match self.is_client {
            true => Err(DhtMode::Unreachable),
            false => Ok(self.contact.addr()),
        };
        self.dht.handle_mode(now, serves);
    }

    /// Its process ends without a word, and another one begins with what its disk has.
    pub(super) fn restart(&mut self, now: Now, network: NetworkId) {
        let remembered =
            self.disk.as_ref().map(|disk| disk.snapshot(&network).dht).unwrap_or_default();
        self.starts += 1;
        let dice = self.seed.stream(&format!("dht {}", self.starts));
        self.dht = Dht::new(Arc::clone(&self.me), network, remembered, dice, now);
        self.replies.clear();
        self.wakes_at = None;
        self.begin(now);
    }

    /// Whether it takes part, serves others, and is honest.
    pub(super) fn is_of_use(&self) -> bool {
        self.state == NodeState::Runs && self.harm.is_none() && !self.is_client
    }

    /// Whether somebody uses it.
    pub(super) fn has_user(&self) -> bool {
        self.state == NodeState::Runs && self.harm.is_none()
    }

    pub(super) fn reply(&mut self, to: Asker) -> ReplyId {
        let reply = ReplyId(self.next_reply);
        self.next_reply += 1;
        self.replies.insert(reply, to);
        reply
    }

    pub(super) fn take_reply(&mut self, reply: ReplyId) -> Option<Asker> {
        self.replies.remove(&reply)
    }
}
