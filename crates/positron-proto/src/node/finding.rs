//! A node by its id: what it says of itself is in the hash table, under a name of its own.

use std::collections::BTreeSet;

use super::{
    Event, NodeCore, Outcome, Refused,
    node_finder::{PendingWish, Search, SearchProgress, Wish},
    relaying::Relaying,
    through_relays::ThroughRelays,
    wanted_links::LinkDue,
};
use crate::{
    dht::{DhtOutcome, FoundRecord, NameHash, ReadFrom, ReadMode, RecordKind, SoughtNode},
    id::{NodeId, Ticket},
    identity::Signed,
    relay::PathPolicy,
    scope::Scope,
    session::sessions::{DialOutcome, DialRequest},
    time::Now,
    wire::{Reader, record::PeerRecord},
};

/// A node, while it looks for others by their ids.
///
/// What is found is a claim twice: the record of the table proves who published it, and the peer
/// record in it proves that its node says so. It goes the way of every record that somebody told
/// `[PROTOCOL 7]`: where nobody may be dialled by hearsay, nobody is dialled by this one.
pub(super) struct Finding<'a>(pub(super) &'a mut NodeCore);

impl Finding<'_> {
    /// Where this node is, for those who look for it.
    pub(super) fn announce(&mut self, now: Now) {
        let record = self.0.peers.own_record();
        let is_somewhere = !record.content().addresses.is_empty();
        let value = is_somewhere.then(|| record.to_bytes());
        self.0.dht.announce(now, value, &mut self.0.queues.dht);
    }

    /// Looks for a node, and does what is wished when it is found. The ticket is completed when
    /// that is done, or by [`Outcome::Refused`].
    pub(super) fn find(&mut self, now: Now, peer: NodeId, wish: Wish) -> Result<Ticket, Refused> {
        if !self.0.table.finder.has_room(&peer, &wish) {
            return Err(wish.too_many());
        }
        if !self.0.table.finder.is_seeking(&peer) {
            self.begin(now, peer)?;
            Relaying(self.0).reach(now, peer);
        }
        let ticket = self.0.publisher.ticket();
        self.0.table.finder.wait(&peer, PendingWish { ticket, wish, since: now.mono });
        Ok(ticket)
    }

    /// A link to this node is wanted. Where it was it does not answer any more: perhaps the table
    /// knows where it is now.
    pub(super) fn connect(&mut self, now: Now, peer: NodeId) {
        self.0.peers.connect(now, peer, &mut self.0.queues.peers);
        let is_hidden = self.0.paths == PathPolicy::RelayOnly;
        if is_hidden || !self.0.peers.has_met(&peer) || self.0.peers.is_missed(&peer) {
            Relaying(self.0).reach(now, peer);
        }
        if let Some(record) = self.0.peers.record_of(&peer) {
            let record = record.content().clone();
            ThroughRelays(self.0).reach(now, &record);
        }
        if self.0.peers.is_missed(&peer) {
            self.seek(now, peer);
        }
    }

    /// Looks for a node for which nothing waits, every now and then.
    pub(super) fn seek(&mut self, now: Now, peer: NodeId) {
        let finder = &mut self.0.table.finder;
        if finder.has_room(&peer, &Wish::Record) && finder.may_seek(now.mono, peer) {
            // Where there is no room now, there is later.
            let _ = self.begin(now, peer);
        }
    }

    fn begin(&mut self, now: Now, peer: NodeId) -> Result<(), Refused> {
        let read = self.0.publisher.ticket();
        let key = NameHash::of_peer_record().key(RecordKind::Owned, &peer);
        let what = (key, Some(peer));
        self.0.dht.read(now, read, what, ReadMode::Fresh, &mut self.0.queues.dht)?;
        self.0.table.finder.begin(peer, read);
        Ok(())
    }

    /// An operation of the hash table is over: its outcome, if it was no search.
    pub(super) fn handle_done(
        &mut self,
        now: Now,
        ticket: Ticket,
        outcome: DhtOutcome,
    ) -> Option<DhtOutcome> {
        let Some(peer) = self.0.table.finder.handle_read(ticket) else { return Some(outcome) };
        let DhtOutcome::Read(ReadFrom { records, asked, took, .. }) = outcome else { return None };
        let record =
            records.iter().find_map(|found| Some((peer_record(&peer, found)?, found.from)));
        let has_record = record.is_some();
        let progress = SearchProgress::Read { asked, took, has_record };
        self.0.table.finder.set_progress(&peer, progress);
        if let Some((record, _)) = &record {
            ThroughRelays(self.0).reach(now, record.content());
        }
        let is_checked = record.is_some_and(|(record, from)| {
            let told_over = self.scope_of(&from);
            let standings = self.0.trust.standings();
            let out = &mut self.0.queues.peers;
            self.0.peers.handle_found_record(now, record, told_over, standings, out)
        });
        self.0.table.finder.set_checking(&peer, is_checked);
        if !is_checked && !self.0.relays.is_reaching(&peer) {
            self.finish(now, peer);
        }
        None
    }

    /// The record of `node` that `from` told was checked, or there was no room to check it.
    pub(super) fn handle_checked(&mut self, now: Now, from: NodeId, node: NodeId) {
        if from == node && self.0.table.finder.is_checking(&node) {
            self.finish(now, node);
        }
    }

    /// A session is up: perhaps with a node that is looked for, through a relay.
    pub(super) fn peer_up(&mut self, now: Now, peer: NodeId) {
        ThroughRelays(self.0).peer_up(now, peer);
        if self.0.table.finder.is_seeking(&peer) {
            self.finish(now, peer);
        }
        for ticket in self.0.wanted_links.take(&peer) {
            self.0.punching.handle_asked(now, &peer);
            self.0.emit(Event::Completed { ticket, outcome: Outcome::Linked });
        }
    }

    /// Tries links again that the application waits for, and gives up those that it waited for long
    /// enough.
    pub(super) fn handle_timeout(&mut self, now: Now) {
        while let Some(due) = self.0.wanted_links.pop_due(now.mono) {
            match due {
                LinkDue::Again(peer) if self.0.table.finder.is_seeking(&peer) => {
                    Relaying(self.0).reach(now, peer);
                }
                LinkDue::Again(peer) => self.connect(now, peer),
                LinkDue::GivenUp(ticket, peer) => {
                    self.0.table.finder.cancel(ticket);
                    self.refuse(
                        ticket,
                        match self.0.paths {
                            PathPolicy::DirectOnly => Refused::NotReachedDirectly(peer),
                            PathPolicy::Any | PathPolicy::RelayOnly => Refused::NotReached(peer),
                        },
                    );
                }
            }
        }
    }

    /// A dial is over, perhaps to a relay of a node that is looked for.
    pub(super) fn handle_dial_ended(
        &mut self,
        now: Now,
        dial: &DialRequest,
        outcome: &DialOutcome,
    ) {
        for peer in ThroughRelays(self.0).handle_dial_ended(dial, outcome) {
            self.handle_not_reached(now, peer);
        }
    }

    /// No relay could reach a node. The search goes on as long as the table is read.
    pub(super) fn handle_not_reached(&mut self, now: Now, peer: NodeId) {
        let finder = &self.0.table.finder;
        if finder.is_read(&peer) && !finder.is_checking(&peer) {
            self.finish(now, peer);
        }
    }

    /// Nobody waits any more for what this ticket is of.
    pub(super) fn cancel(&mut self, ticket: Ticket) {
        self.0.table.finder.cancel(ticket);
        self.0.wanted_links.cancel(ticket);
    }

    /// The node stops.
    pub(super) fn give_up_all(&mut self) {
        let links = self.0.wanted_links.give_up_all();
        let mut all = BTreeSet::from_iter(self.0.table.finder.give_up_all());
        all.extend(links);
        all.extend(self.0.pings.give_up_all());
        for ticket in all {
            self.refuse(ticket, Refused::Stopping);
        }
    }

    /// How far away whoever had a record is: what it names must not be nearer.
    fn scope_of(&self, holder: &NodeId) -> Scope {
        let external = || self.0.peers.external_addresses().first().copied();
        let session = || self.0.sessions.views().find(|session| session.peer.id == *holder);
        let addr = match *holder == self.0.id() {
            true => external(),
            false => {
                let linked = session().map(|session| session.peer.addr);
                linked.or_else(|| self.0.dht.table().address_of(holder))
            }
        };
        addr.map_or(Scope::Public, Scope::of_peer)
    }

    /// The node is known now, or will not be found: whatever waits for it goes on, or ends.
    fn finish(&mut self, now: Now, peer: NodeId) {
        let Some(Search { waiting, progress, .. }) = self.0.table.finder.end(&peer) else { return };
        let is_known = self.0.sessions.is_up(&peer) || self.0.peers.knows(&peer);
        let why_not = match progress {
            _ if is_known => None,
            SearchProgress::Read { has_record: true, .. } => Some(Refused::NotUsable(peer)),
            SearchProgress::Read { asked, .. } => Some(Refused::UnknownPeer { peer, asked }),
            SearchProgress::Reading => Some(Refused::UnknownPeer { peer, asked: 0 }),
        };
        for PendingWish { ticket, wish, since } in waiting {
            let waited = now.mono.since(since);
            let done = match (wish, why_not.clone()) {
                (Wish::Record, _) => {
                    self.tell(ticket, peer, progress);
                    Ok(())
                }
                (wish, Some(why_not)) => {
                    if matches!(wish, Wish::Link) {
                        self.0.wanted_links.cancel(ticket);
                    }
                    Err(why_not)
                }
                (Wish::Link, None) => {
                    if !self.0.sessions.is_up(&peer) {
                        self.connect(now, peer);
                    }
                    Ok(())
                }
                (Wish::Send(payload), None) => self
                    .0
                    .persistence
                    .check()
                    .and_then(|()| self.0.publisher.queue_direct(ticket, peer, payload)),
                (Wish::Ask(payload, timeout), None) => {
                    let (left, out) = (timeout.saturating_sub(waited), &mut self.0.queues.requests);
                    let asked = self.0.requests.ask(now, peer, payload, left, ticket, out);
                    asked.map_err(|_| Refused::TooManyRequests)
                }
                (Wish::OpenStream, None) => {
                    let out = &mut self.0.queues.substream;
                    self.0.substreams.open(now, peer, ticket, out).map_err(Refused::Stream)
                }
            };
            if let Err(refused) = done {
                self.refuse(ticket, refused);
            }
        }
        self.0.flush_outgoing(now);
    }

    fn tell(&mut self, ticket: Ticket, id: NodeId, progress: SearchProgress) {
        let (asked, took) = match progress {
            SearchProgress::Read { asked, took, .. } => (asked, took),
            SearchProgress::Reading => Default::default(),
        };
        let record = self.0.peers.record_of(&id).cloned();
        let outcome = DhtOutcome::Node(SoughtNode { id, record, took, asked });
        self.0.emit(Event::Completed { ticket, outcome: Outcome::Table(outcome.into()) });
    }

    fn refuse(&mut self, ticket: Ticket, refused: Refused) {
        self.0.emit(Event::Completed { ticket, outcome: Outcome::Refused(refused) });
    }
}

/// The peer record that a record of the table says it is, if it is one of this very node.
fn peer_record(peer: &NodeId, found: &FoundRecord) -> Option<Signed<PeerRecord>> {
    let mut reader = Reader::new(found.record.content().value.clone()?);
    let record = Signed::<PeerRecord>::decode(&mut reader).ok()?;
    let is_its_own = record.content().node_id() == *peer;
    (is_its_own && reader.finish().is_ok()).then_some(record)
}

#[cfg(test)]
mod tests {
    use std::{net::SocketAddr, sync::Arc};

    use super::*;
    use crate::{
        dht::{DhtRecord, Place},
        id::NetworkId,
        identity::{Identity, Signed},
        node::{Effect, Input, NodeConfig, Snapshot, node_finder::PendingWish},
        rng::Seed,
        time::{Duration, Instant, WallTime},
    };

    const NOW: Now = Now {
        mono: Instant::from_micros(1_000_000),
        wall: WallTime::from_unix_micros(1_700_000_000_000_000),
    };
    const READ: Ticket = Ticket(1_000);
    const SENT: Ticket = Ticket(1_001);
    const STRANGER: NodeId = NodeId::from_bytes([9; 32]);

    fn network() -> NetworkId {
        NetworkId::from_name("test")
    }

    /// A node that looks for this one to send it something.
    fn seeker(of: NodeId) -> NodeCore {
        let config = NodeConfig { network: network(), ..NodeConfig::default() };
        let me = Arc::new(Identity::from_seed([1; 32]));
        let seed = Seed::from_number(1);
        let mut core = NodeCore::new(config, me, Snapshot::default(), &seed, NOW);
        core.table.finder.begin(of, READ);
        let wish = Wish::Send(b"hello".as_slice().into());
        core.table.finder.wait(&of, PendingWish { ticket: SENT, wish, since: NOW.mono });
        core
    }

    /// What somebody says of itself, signed by another key, or by its own.
    fn peer_record(of: &Identity, signed_by: &Identity, at: &str) -> Vec<u8> {
        let at: SocketAddr = at.parse().unwrap();
        let record = PeerRecord {
            key: *of.public_key(),
            sequence: 1,
            noise_static: [7; 32],
            capabilities: 0,
            addresses: vec![at.into()],
            carriers: Vec::new(),
            software: String::new(),
        };
        // A statement is signed by whom it names; what another signs is put beside it.
        let genuine = of.sign(record.clone(), &network()).claim().clone();
        let forged = PeerRecord { key: *signed_by.public_key(), ..record };
        let signature = *signed_by.sign(forged, &network()).claim().signature();
        let is_own = of.node_id() == signed_by.node_id();
        let claim =
            if is_own { genuine } else { Signed::new(genuine.content().clone(), signature) };
        claim.to_bytes().into()
    }

    /// What a read of the table brings: this value, published by this key.
    fn read(publisher: &Identity, value: Vec<u8>, from: NodeId) -> DhtOutcome {
        let record = DhtRecord {
            publisher: *publisher.public_key(),
            kind: RecordKind::Owned,
            name: NameHash::of_peer_record(),
            sequence: 1,
            created: 1_700_000_000,
            ttl: 3_600,
            value: Some(value.into()),
        };
        let record = publisher.sign(record, &network());
        let remaining = Duration::from_secs(60);
        DhtOutcome::Read(ReadFrom {
            key: Place::from_bytes([0; 32]),
            records: vec![FoundRecord { record, from, remaining }],
            deleted: Vec::new(),
            holders: 1,
            took: Duration::ZERO,
            asked: 5,
        })
    }

    /// Plays it until nothing waits for a verdict: how the message ended, if it has.
    fn play(core: &mut NodeCore, outcome: DhtOutcome) -> Option<Outcome> {
        assert_eq!(Finding(core).handle_done(NOW, READ, outcome), None);
        core.handle(NOW, Input::Timeout);
        let mut end = None;
        while let Some(effect) = core.poll_effect() {
            match effect {
                Effect::Verify { check, job, .. } => {
                    let verdict = job.run();
                    core.handle(NOW, Input::Verdict { check, verdict });
                }
                Effect::Emit(Event::Completed { ticket: SENT, outcome }) => {
                    assert_eq!(end, None, "it ends once");
                    end = Some(outcome);
                }
                _ => {}
            }
        }
        assert!(core.table.finder.end(&STRANGER).is_none());
        end
    }

    #[test]
    fn what_a_node_says_of_itself_makes_it_known_and_the_message_goes_on() {
        let alice = Identity::from_seed([2; 32]);
        let mut core = seeker(alice.node_id());
        let value = peer_record(&alice, &alice, "20.1.2.3:8888");
        assert_eq!(play(&mut core, read(&alice, value, STRANGER)), None, "it is on its way");
        assert!(core.peers.knows(&alice.node_id()));
    }

    #[test]
    fn nobody_is_believed_to_be_another_node_or_nearer_than_who_tells_of_it() {
        let (alice, mallory) = (Identity::from_seed([2; 32]), Identity::from_seed([3; 32]));
        let id = alice.node_id();
        let cases = [
            ("another node", peer_record(&mallory, &mallory, "20.1.2.3:8888")),
            ("signed by another", peer_record(&alice, &mallory, "20.1.2.3:8888")),
            ("this machine", peer_record(&alice, &alice, "127.0.0.1:8888")),
            ("this network", peer_record(&alice, &alice, "10.0.0.1:8888")),
            ("where clouds keep secrets", peer_record(&alice, &alice, "169.254.169.254:80")),
            ("behind it is more", {
                let mut value = peer_record(&alice, &alice, "20.1.2.3:8888");
                value.push(0);
                value
            }),
            ("nonsense", vec![0xFF; 300]),
            ("nothing", Vec::new()),
        ];
        for (what, value) in cases {
            let mut core = seeker(id);
            let end = play(&mut core, read(&alice, value, STRANGER));
            let is_refused = matches!(
                &end,
                Some(Outcome::Refused(Refused::NotUsable(peer) | Refused::UnknownPeer { peer, .. }))
                    if *peer == id
            );
            assert!(is_refused, "{what}: {end:?}");
            assert!(!core.peers.knows(&id) && !core.peers.knows(&mallory.node_id()), "{what}");
        }
    }

    #[test]
    fn where_there_is_no_record_it_is_said_how_many_were_asked() {
        let alice = Identity::from_seed([2; 32]).node_id();
        let mut core = seeker(alice);
        let key = Place::from_bytes([0; 32]);
        let (records, took) = (Vec::new(), Duration::ZERO);
        let read = DhtOutcome::Read(ReadFrom {
            key,
            records,
            deleted: Vec::new(),
            holders: 0,
            took,
            asked: 5,
        });
        let Some(Outcome::Refused(refused)) = play(&mut core, read) else { panic!("it is known") };
        assert_eq!(refused, Refused::UnknownPeer { peer: alice, asked: 5 });
        let told = refused.to_string();
        assert!(told.ends_with("nor found in the hash table: 5 nodes were asked"), "{told}");
    }

    #[test]
    fn a_node_that_stops_answers_for_all_that_waits() {
        let alice = Identity::from_seed([2; 32]).node_id();
        let mut core = seeker(alice);
        core.command(NOW, crate::node::Command::Stop).unwrap();
        let ended = core::iter::from_fn(|| core.poll_effect()).filter(|effect| {
            let stopping = Outcome::Refused(Refused::Stopping);
            *effect == Effect::Emit(Event::Completed { ticket: SENT, outcome: stopping })
        });
        assert_eq!(ended.count(), 1);
    }
}
