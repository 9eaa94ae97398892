//! What one host's disk remembers, and what a crash makes of it.
//!
//! ```text
//! Persist ──▸ written ──(batch)──▸ committed ──(checkpoint, or a critical change)──▸ durable
//!   lost by a crash of the process ┘    lost by a loss of power ┘
//! ```

use std::collections::{BTreeMap, VecDeque};

use positron_proto::{
    gossip,
    id::NodeId,
    identity::Verified,
    node::{Change, ChangeId, SequenceKind, Snapshot},
    peers::KnownPeer,
    standings::PeerTrust,
    time::{Duration, Instant, WallTime},
    trust,
    wire::message::AppMessage,
};

/// The disk of one host.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    durable: Tables,
    committed: VecDeque<Change>,
    written: VecDeque<(ChangeId, Change)>,
    /// How many of `written` are in the batch that is under way.
    batch: usize,
    checkpointed: Instant,
    changes: u64,
}

/// What the changes add up to.
#[derive(Clone, Debug, Default)]
struct Tables {
    next_broadcast: u64,
    next_direct: u64,
    messages: BTreeMap<(NodeId, u64), Verified<AppMessage>>,
    floors: BTreeMap<NodeId, u64>,
    peers: BTreeMap<NodeId, KnownPeer>,
    standings: BTreeMap<NodeId, (PeerTrust, WallTime)>,
}

/// How a process ended, as far as its disk is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// Everything was flushed before.
    Nothing,
    /// What was not committed is gone.
    Process,
    /// What was not on the platter is gone too.
    Power,
}

impl Disk {
    /// Takes a change. Returns whether a batch must be begun.
    pub(crate) fn write(&mut self, id: ChangeId, change: Change) -> bool {
        self.changes += 1;
        self.written.push_back((id, change));
        self.batch == 0 && self.begin()
    }

    /// Begins a batch with everything that waits. Returns whether there is any.
    pub(crate) fn begin(&mut self) -> bool {
        self.batch = self.written.len();
        self.batch > 0
    }

    /// The batch is committed. Returns its last change.
    pub(crate) fn commit(&mut self, now: Instant, checkpoint: Duration) -> Option<ChangeId> {
        let mut last = None;
        let mut critical = now.since(self.checkpointed) >= checkpoint;
        for (id, change) in self.written.drain(..self.batch) {
            critical |= change.is_critical();
            self.committed.push_back(change);
            last = Some(id);
        }
        self.batch = 0;
        if critical {
            self.sync();
            self.checkpointed = now;
        }
        last
    }

    /// Everything written reaches the platter. Returns the last change.
    pub(crate) fn flush(&mut self) -> Option<ChangeId> {
        self.begin();
        let last = self.commit(self.checkpointed, Duration::ZERO);
        self.sync();
        last
    }

    /// Everything committed reaches the platter.
    pub(crate) fn sync(&mut self) {
        for change in std::mem::take(&mut self.committed) {
            self.durable.apply(change);
        }
    }

    /// The process is gone.
    pub(crate) fn crash(&mut self, loss: Loss) {
        if loss == Loss::Power {
            self.committed.clear();
        }
        self.written.clear();
        self.batch = 0;
        self.sync();
    }

    /// What a process that starts now is told.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let mut tables = self.durable.clone();
        for change in &self.committed {
            tables.apply(change.clone());
        }
        tables.into_snapshot()
    }

    /// How many changes were ever written.
    pub(crate) const fn changes(&self) -> u64 {
        self.changes
    }
}

impl Tables {
    /// Applying a change twice is applying it once.
    fn apply(&mut self, change: Change) {
        match change {
            Change::ReserveSequence { kind, below } => {
                let next = match kind {
                    SequenceKind::Broadcast => &mut self.next_broadcast,
                    SequenceKind::Direct => &mut self.next_direct,
                };
                *next = below.max(*next);
            }
            Change::KeepMessage(message) => {
                let content = message.content();
                self.messages.insert((content.sender.node_id(), content.sequence), message);
            }
            Change::ForgetMessage { sender, sequence } => {
                self.messages.remove(&(sender, sequence));
            }
            Change::Floor { sender, floor } => {
                let known = self.floors.entry(sender).or_default();
                *known = floor.max(*known);
            }
            Change::ForgetFloor(sender) => {
                self.floors.remove(&sender);
            }
            Change::KeepPeer(peer) => {
                self.peers.insert(peer.record.content().node_id(), peer);
            }
            Change::ForgetPeer(peer) => {
                self.peers.remove(&peer);
            }
            Change::KeepStanding { peer, standing, at } => {
                self.standings.insert(peer, (standing, at));
            }
            Change::ForgetStanding(peer) => {
                self.standings.remove(&peer);
            }
            // Nothing reads the audit trail back.
            Change::Audit(_) => {}
        }
    }

    fn into_snapshot(self) -> Snapshot {
        Snapshot {
            next_broadcast: self.next_broadcast,
            next_direct: self.next_direct,
            gossip: gossip::GossipSnapshot {
                messages: self.messages.into_values().collect(),
                floors: self.floors.into_iter().collect(),
            },
            peers: self.peers.into_values().collect(),
            standings: self
                .standings
                .into_iter()
                .map(|(peer, (standing, at))| trust::RememberedTrust { peer, standing, at })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEVER: Duration = Duration::from_secs(1_000_000);

    fn floor(floor: u64) -> Change {
        Change::Floor { sender: NodeId::from_bytes([1; 32]), floor }
    }

    fn floor_on(disk: &Disk) -> u64 {
        disk.snapshot().gossip.floors.first().map_or(0, |(_, floor)| *floor)
    }

    #[test]
    fn a_crash_of_the_process_loses_what_was_not_committed() {
        let mut disk = Disk::default();
        assert!(disk.write(ChangeId(1), floor(1)));
        assert!(!disk.write(ChangeId(2), floor(2)));
        assert_eq!(disk.commit(Instant::ORIGIN, NEVER), Some(ChangeId(1)));
        disk.crash(Loss::Process);
        assert_eq!(floor_on(&disk), 1);
    }

    #[test]
    fn a_loss_of_power_loses_what_no_critical_change_followed() {
        let mut disk = Disk::default();
        let critical = Change::ReserveSequence { kind: SequenceKind::Broadcast, below: 9 };
        for (id, change) in [(1, floor(1)), (2, critical), (3, floor(3))] {
            disk.write(ChangeId(id), change);
            disk.begin();
            disk.commit(Instant::ORIGIN, NEVER);
        }
        assert_eq!(floor_on(&disk), 3);
        disk.crash(Loss::Power);
        assert_eq!((floor_on(&disk), disk.snapshot().next_broadcast), (1, 9));
    }
}
