//! Two machines and a few more that are carried by nothing: what one says the other hears at once,
//! and time stands still unless a story lets it pass.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use super::*;
use crate::{
    id::{NetworkId, NodeId, Ticket},
    identity::Identity,
    limits::{ACQUAINTED_FOR, LONGEST_QUESTION, SIZE_SAMPLES},
    misbehavior::Misbehavior,
    rng::Seed,
    time::{Duration, Instant, Now, WallTime},
};

/// Nodes of one private network.
struct Nodes {
    now: Now,
    all: Vec<(Dht, Contact)>,
    index: BTreeMap<NodeId, usize>,
    replies: BTreeMap<ReplyId, (usize, QuestionId, Via)>,
    next_reply: u64,
    done: Vec<(usize, Ticket, DhtOutcome)>,
    blamed: Vec<(usize, NodeId, Misbehavior)>,
    /// Errands that somebody was asked to do: by whom, of whom.
    errands: Vec<(usize, usize)>,
    /// Who answers nobody.
    silent: Vec<usize>,
}

const TICKET: Ticket = Ticket(1);
/// Errands of others have tickets of their own: this one, and who asked.
const ERRAND: u64 = 1_000;

impl Nodes {
    /// So many that serve the table and know one another, and one that nobody reaches.
    fn new(servers: u8) -> Self {
        let mono = Instant::from_micros(1_000_000_000);
        let now = Now { mono, wall: WallTime::from_unix_micros(1_700_000_000_000_000) };
        let network = NetworkId::from_name("test");
        let node = |n: u8| {
            let me = Arc::new(Identity::from_seed([n; 32]));
            let contact = Contact::new(*me.public_key(), [n; 32], ([10, 0, 0, n], 8888).into());
            let dice = Seed::from_number(n.into()).stream("dht");
            let dht = Dht::new(me, network, RememberedDht::default(), dice, now);
            (dht, contact)
        };
        let all: Vec<_> = (1..=servers + 1).map(node).collect();
        let index = all.iter().map(|(_, contact)| contact.id()).zip(0..).collect();
        let mut nodes = Self {
            now,
            all,
            index,
            replies: BTreeMap::new(),
            next_reply: 0,
            done: Vec::new(),
            blamed: Vec::new(),
            errands: Vec::new(),
            silent: Vec::new(),
        };
        let last = usize::from(servers);
        for node in 0..last {
            let (dht, contact) = &mut nodes.all[node];
            dht.handle_mode(now, Ok(contact.addr()));
            for other in 0..last {
                let contact = nodes.all[other].1;
                nodes.all[node].0.handle_contact(now, contact);
            }
        }
        // A few are asked at a time whether they are there, and all look around now and then.
        let is_full = |nodes: &Self, node: usize| nodes.all[node].0.table().len() == last - 1;
        for _ in 0..2_000 {
            if (0..last).all(|node| is_full(&nodes, node)) {
                return nodes;
            }
            nodes.pass(Duration::from_secs(1));
        }
        panic!("they do not know one another");
    }

    /// Who reaches nobody by datagrams is linked with these.
    fn link(&mut self, with: &[usize]) -> usize {
        let last = self.all.len() - 1;
        for helper in with {
            let contact = self.all[*helper].1;
            self.all[last].0.peer_up(self.now, contact, false);
        }
        last
    }

    fn pass(&mut self, time: Duration) {
        self.now = Now { mono: self.now.mono + time, wall: self.now.wall + time };
        for node in 0..self.all.len() {
            self.with(node, Dht::handle_timeout);
        }
    }

    fn with(&mut self, node: usize, what: impl FnOnce(&mut Dht, Now, &mut VecDeque<DhtEffect>)) {
        let mut out = VecDeque::new();
        what(&mut self.all[node].0, self.now, &mut out);
        out.into_iter().for_each(|effect| self.carry(node, effect));
    }

    fn carry(&mut self, node: usize, effect: DhtEffect) {
        match effect {
            DhtEffect::Ask { question, to, ask, via } => {
                let to = self.index[&to.id()];
                if self.silent.contains(&to) {
                    return;
                }
                if self.all[node].0.is_errand(question) {
                    self.errands.push((node, to));
                    let reply = self.reply(node, question, Via::Session);
                    let (from, ticket) = (self.all[node].1.id(), Ticket(ERRAND + reply.0));
                    let query = ask.query;
                    if !self.all[to].0.can_do(self.now, &query) {
                        return self.answer(reply, DhtAnswer::Stored(StoreOutcome::Refused));
                    }
                    self.with(to, |dht, now, out| {
                        dht.handle_errand(now, (from, ticket), query, out);
                    });
                    return;
                }
                let reply = self.reply(node, question, via);
                let contact = self.all[node].1;
                let room = if via == Via::Session { 1 << 18 } else { 1_100 };
                let (id, addr) = (contact.id(), contact.addr());
                let asker = AskedBy { id, addr, contact: None, is_proven: true, room };
                self.with(to, |dht, now, out| dht.handle_query(now, (asker, reply), ask, out));
            }
            DhtEffect::Answer { to, answer } => self.answer(to, answer),
            DhtEffect::Verify(pending) => {
                let verdict = pending.claim.job(&NetworkId::from_name("test")).run();
                let (from, wanted) = (pending.from, pending.wanted);
                let claim = pending.claim.accept(verdict);
                self.with(node, |dht, now, out| match claim {
                    Some(record) => {
                        dht.handle_verified(now, record, (pending.remaining, from, wanted), out);
                    }
                    None => dht.handle_refuted(now, (from, wanted), out),
                });
            }
            DhtEffect::Done { ticket: Ticket(ticket), outcome } if ticket >= ERRAND => {
                self.answer(ReplyId(ticket - ERRAND), outcome.into_answer());
            }
            DhtEffect::Done { ticket, outcome } => self.done.push((node, ticket, outcome)),
            DhtEffect::Misbehaved { peer, what } => self.blamed.push((node, peer, what)),
            DhtEffect::Abandon(_) | DhtEffect::Keep(_) | DhtEffect::Equivocated(_) => {}
        }
    }

    fn reply(&mut self, node: usize, question: QuestionId, via: Via) -> ReplyId {
        let reply = ReplyId(self.next_reply);
        self.next_reply += 1;
        self.replies.insert(reply, (node, question, via));
        reply
    }

    fn answer(&mut self, to: ReplyId, answer: DhtAnswer) {
        let (node, question, via) = self.replies.remove(&to).expect("it is answered once");
        let via = if via == Via::Any { Via::Datagram } else { via };
        self.with(node, |dht, now, out| dht.handle_answer(now, (question, via), answer, out));
    }

    fn store(&mut self, node: usize, name: &str, value: Vec<u8>) -> StoredAt {
        let name = NameHash::of_name(name).unwrap();
        let ttl = Duration::from_secs(3_600);
        let new = NewRecord { kind: RecordKind::Shared, name, value: value.into(), ttl };
        self.with(node, |dht, now, out| {
            dht.store(now, TICKET, new, out).unwrap();
        });
        match self.done.pop() {
            Some((at, TICKET, DhtOutcome::Stored(stored))) if at == node => stored,
            other => panic!("{other:?}"),
        }
    }

    fn read(&mut self, node: usize, name: &str) -> ReadFrom {
        let name = NameHash::of_name(name).unwrap();
        let key = name.key(RecordKind::Shared, &self.all[node].1.id());
        self.with(node, |dht, now, out| {
            dht.read(now, TICKET, (key, None), ReadMode::Fresh, out).unwrap();
        });
        match self.done.pop() {
            Some((at, TICKET, DhtOutcome::Read(read))) if at == node => read,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_is_too_large_for_a_datagram_is_there_as_soon_as_it_was_fetched() {
    let mut nodes = Nodes::new(12);
    let stored = nodes.store(0, "large", vec![7; 5_000]);
    assert!(stored.holders.len() >= 8);
    let has_it = |nodes: &Nodes, node: usize| stored.holders.contains(&nodes.all[node].1.id());
    let reader = (1..12).find(|node| !has_it(&nodes, *node)).unwrap();
    // Time stands still: an outcome that waits for a timeout does not come.
    let read = nodes.read(reader, "large");
    assert_eq!(read.records.len(), 1);
    assert_eq!(read.records[0].record.content().value.as_ref().unwrap().len(), 5_000);
    assert_eq!(read.took, Duration::ZERO);
}

#[test]
fn acquaintances_near_a_key_are_given_the_record_without_being_asked_before() {
    let mut nodes = Nodes::new(24);
    let questions = |nodes: &Nodes| nodes.all[0].0.counters().questions;
    // So it meets the others, and learns how many they are.
    for n in 0..SIZE_SAMPLES {
        nodes.store(0, &n.to_string(), b"value".into());
    }
    let before = questions(&nodes);
    let stored = nodes.store(0, "board", b"value".into());
    assert_eq!((stored.holders.len(), stored.took), (8, Duration::ZERO));
    let asked = questions(&nodes) - before;
    // Those of long ago have no ticket any more, for all that is known.
    nodes.now.mono = nodes.now.mono + ACQUAINTED_FOR;
    let before = questions(&nodes);
    nodes.store(0, "board", b"again".into());
    let asked_later = questions(&nodes) - before;
    assert!(asked + 4 <= asked_later, "{asked} and {asked_later}");
}

#[test]
fn who_reaches_nobody_by_datagrams_has_two_peers_read_and_one_write_for_it() {
    let mut nodes = Nodes::new(12);
    nodes.store(0, "board", b"of another".into());
    let client = nodes.link(&[3, 4, 5]);
    assert!(nodes.all[client].0.table().is_empty());
    let stored = nodes.store(client, "board", b"of the client".into());
    assert!(stored.holders.len() >= 8, "{stored:?}");
    assert_eq!(nodes.errands.len(), 1);
    for node in [client, 7] {
        assert_eq!(nodes.read(node, "board").records.len(), 2, "{node}");
    }
    assert_eq!(nodes.errands.len(), 3);
    let large = nodes.store(client, "large", vec![7; 16 * 1024]);
    assert!(large.holders.len() >= 8);
    let read = nodes.read(7, "large");
    assert_eq!(read.records[0].record.content().value.as_ref().unwrap().len(), 16 * 1024);

    let name = NameHash::of_name("board").unwrap();
    nodes.with(client, |dht, now, out| {
        dht.delete(now, TICKET, (RecordKind::Shared, name), out).unwrap();
    });
    assert!(matches!(nodes.done.pop(), Some((_, TICKET, DhtOutcome::Stored(_)))));
    for node in [client, 7] {
        let read = nodes.read(node, "board");
        let values: Vec<_> =
            read.records.iter().map(|f| f.record.content().value.clone()).collect();
        assert_eq!(values, [Some(b"of another".as_slice().into())], "{node}");
    }
    assert!(nodes.errands.iter().all(|(by, of)| *by == client && [3, 4, 5].contains(of)));
    assert!(nodes.blamed.is_empty());
}

#[test]
fn an_errand_is_never_passed_on_and_what_was_written_is_renewed_by_another() {
    let mut nodes = Nodes::new(1);
    // A node that reaches nobody either, and is linked with one that could.
    let client = nodes.link(&[0]);
    let its_contact = nodes.all[client].1;
    nodes.all[0].0.peer_up(nodes.now, its_contact, false);
    let stored = nodes.store(client, "board", b"value".into());
    assert_eq!(nodes.errands, [(client, 0)], "it is done as far as it can be");
    assert_eq!(stored.holders, [nodes.all[0].1.id()], "who was asked keeps it");
    assert_eq!(nodes.read(0, "board").records.len(), 1);
    nodes.errands.clear();
    nodes.pass(Duration::from_secs(1_801));
    assert!(!nodes.errands.is_empty(), "half of its life is over");
    assert!(nodes.errands.iter().all(|(by, _)| *by == client), "{:?}", nodes.errands);
    nodes.pass(Duration::from_secs(1_801));
    assert_eq!(nodes.read(0, "board").records.len(), 1, "it lives on");
}

#[test]
fn a_record_that_is_nobodys_is_given_to_nobody_and_who_brought_it_is_blamed() {
    let mut nodes = Nodes::new(12);
    nodes.store(0, "board", b"genuine".into());
    let client = nodes.link(&[3]);
    let read = nodes.read(client, "board");
    let genuine = read.records[0].record.claim().clone();
    let forged = DhtRecord { sequence: (1 << 62) - 1, ..genuine.content().clone() };
    let record = crate::identity::Signed::new(forged, *genuine.signature());
    let query = DhtQuery::Store(LivingRecord { record, remaining: 60 });
    let (from, asked) = (nodes.all[client].1.id(), nodes.next_reply);
    let reply = nodes.reply(client, QuestionId(9_999), Via::Session);
    nodes.with(3, |dht, now, out| {
        dht.handle_errand(now, (from, Ticket(ERRAND + reply.0)), query, out);
    });
    assert_eq!(nodes.blamed, [(3, from, Misbehavior::ForgedSignature)]);
    assert_eq!(nodes.next_reply, asked + 1, "nobody was asked anything");
    let read = nodes.read(7, "board");
    assert_eq!(read.records[0].record.claim(), &genuine);
}

#[test]
fn where_a_node_is_is_published_once_and_again_when_it_changes() {
    let mut nodes = Nodes::new(12);
    let key = NameHash::of_peer_record().key(RecordKind::Owned, &nodes.all[0].1.id());
    let read = |nodes: &mut Nodes| {
        let publisher = Some(nodes.all[0].1.id());
        nodes.with(7, |dht, now, out| {
            dht.read(now, TICKET, (key, publisher), ReadMode::Fresh, out).unwrap();
        });
        let Some((_, _, DhtOutcome::Read(read))) = nodes.done.pop() else { panic!("a read") };
        let found = read.records.into_iter().next();
        found.map(|found| (found.record.content().sequence, found.record.content().value.clone()))
    };
    let announce = |nodes: &mut Nodes, where_to: Option<&'static [u8]>| {
        let value = where_to.map(Into::into);
        nodes.with(0, |dht, now, out| dht.announce(now, value, out));
    };
    assert_eq!(read(&mut nodes), None);
    announce(&mut nodes, Some(b"here"));
    let (first, _) = read(&mut nodes).unwrap();
    announce(&mut nodes, Some(b"here"));
    assert_eq!(read(&mut nodes).unwrap().0, first, "it is as it was");
    announce(&mut nodes, Some(b"there"));
    let (second, value) = read(&mut nodes).unwrap();
    assert!(second > first && value.unwrap() == b"there".as_slice());
    nodes.pass(Duration::from_secs(1_801));
    assert!(read(&mut nodes).unwrap().0 > second, "half of its life is over");
    assert_eq!(nodes.all[0].0.levels().published.used, 0, "it is not the application's");
    // Who is nowhere says nothing more, and is forgotten in time.
    announce(&mut nodes, None);
    for _ in 0..3 {
        nodes.pass(Duration::from_secs(1_801));
    }
    assert_eq!(read(&mut nodes), None);
}

#[test]
fn a_silent_helper_is_replaced_and_nobody_waits_for_ever() {
    let mut nodes = Nodes::new(12);
    nodes.store(0, "board", b"value".into());
    let client = nodes.link(&[3, 4, 5]);
    nodes.silent = vec![3, 4, 5];
    let name = NameHash::of_name("board").unwrap();
    let key = name.key(RecordKind::Shared, &nodes.all[client].1.id());
    nodes.with(client, |dht, now, out| {
        dht.read(now, TICKET, (key, None), ReadMode::Fresh, out).unwrap();
    });
    assert!(nodes.done.is_empty());
    nodes.silent = vec![3, 4];
    // The first two that were asked, or one of them, said nothing.
    for _ in 0..4 {
        nodes.pass(crate::limits::LONGEST_ERRAND);
    }
    let Some((_, TICKET, DhtOutcome::Read(read))) = nodes.done.pop() else { panic!("it ended") };
    assert!(read.asked <= 3, "{read:?}");
    assert!(nodes.done.is_empty(), "once");
}

#[test]
fn what_a_node_wants_before_anybody_answered_begins_with_the_first_who_does() {
    let mut nodes = Nodes::new(12);
    nodes.store(0, "board", b"value".into());
    let newcomer = nodes.all.len() - 1;
    let (linked, contact) = (nodes.all[3].1, nodes.all[newcomer].1);
    nodes.with(newcomer, |dht, now, _| {
        dht.handle_mode(now, Ok(contact.addr()));
        dht.peer_up(now, linked, true);
    });
    let name = NameHash::of_name("board").unwrap();
    let key = name.key(RecordKind::Shared, &contact.id());
    nodes.with(newcomer, |dht, now, out| {
        dht.read(now, TICKET, (key, None), ReadMode::Fresh, out).unwrap();
        let new = NewRecord {
            name,
            kind: RecordKind::Shared,
            ttl: Duration::from_secs(60),
            value: b"mine".as_slice().into(),
        };
        dht.store(now, Ticket(2), new, out).unwrap();
        assert_eq!(dht.levels().operations.used, 2);
    });
    assert!(nodes.done.is_empty(), "there is a link, and nobody has said yet whether it answers");
    nodes.with(newcomer, |dht, now, _| dht.handle_contact(now, linked));
    nodes.pass(Duration::from_millis(1));
    let mut done = std::mem::take(&mut nodes.done);
    done.sort_by_key(|(_, ticket, _)| *ticket);
    let [(_, TICKET, DhtOutcome::Read(read)), (_, Ticket(2), DhtOutcome::Stored(stored))] =
        &done[..]
    else {
        panic!("both ended: {done:?}");
    };
    assert!(!read.records.is_empty() && stored.holders.len() >= 8, "{done:?}");
    // A second is not held back.
    assert_eq!(nodes.read(newcomer, "board").records.len(), 2);
}

#[test]
fn where_nobody_answers_an_operation_is_held_back_for_as_long_as_there_is_hope_and_ends() {
    let (mut nodes, stranger) = (Nodes::new(1), 1);
    let key = Place::from_bytes([7; 32]);
    let read = |nodes: &mut Nodes| {
        nodes.with(stranger, |dht, now, out| {
            dht.read(now, TICKET, (key, None), ReadMode::Fresh, out).unwrap();
        });
    };
    read(&mut nodes);
    assert_eq!(nodes.done.drain(..).count(), 1, "who knows nobody does not wait");
    nodes.silent = vec![0];
    let silent = nodes.all[0].1;
    nodes.with(stranger, |dht, now, _| dht.handle_contact(now, silent));
    read(&mut nodes);
    assert!(nodes.done.is_empty(), "somebody is asked whether it is there");
    nodes.pass(LONGEST_QUESTION);
    assert_eq!(nodes.done.drain(..).count(), 1);
    read(&mut nodes);
    nodes.with(stranger, |dht, now, out| {
        dht.read(now, Ticket(3), (key, None), ReadMode::Fresh, out).unwrap();
    });
    let given_up: Vec<_> = {
        let (now, out) = (nodes.now, &mut VecDeque::new());
        nodes.all[stranger].0.handle_stop(now, out)
    };
    assert_eq!(given_up.len() + nodes.done.len(), 2, "nobody is left waiting by a node that stops");
}
