//! Stories of keys that gave way to others, and of who says so and lies.

use std::{
    cell::RefCell,
    collections::{BTreeSet, VecDeque},
};

use super::{
    Succession, SuccessionEffect, SuccessionMessage, Successions, Tie,
    change::{self, KEYS},
};
use crate::{
    id::{NetworkId, NodeId},
    identity::{Identity, Signed, Verified},
    limits::{
        MAX_SUCCESSION_CHAIN, MAX_SUCCESSIONS, MAX_SUCCESSIONS_UNCHECKED, SUCCESSION_BURST,
        SUCCESSIONS_FOR_RESERVED,
    },
    misbehavior::Misbehavior,
    storage::{Remembered as _, Row},
    time::{Instant, Now, WallTime},
    wire::{Reader, Writer as _, message::RoomMessage as _},
};

fn key(n: u64) -> Identity {
    let mut seed = [7; 32];
    seed[..8].copy_from_slice(&n.to_be_bytes());
    Identity::from_seed(seed)
}

fn id(n: u64) -> NodeId {
    key(n).node_id()
}

fn network() -> NetworkId {
    NetworkId::from_name("test")
}

fn signed(old: u64, new: u64) -> Verified<Succession> {
    Succession::sign(&key(old), &key(new), &network())
}

fn claim(old: u64, new: u64) -> Signed<Succession> {
    signed(old, new).claim().clone()
}

/// What travels, with some of its bytes changed.
fn changed(claim: &Signed<Succession>, change: impl FnOnce(&mut [u8])) -> Signed<Succession> {
    let mut bytes = Vec::new();
    claim.encode(&mut bytes);
    change(&mut bytes);
    Signed::<Succession>::decode(&mut Reader::new(bytes.into())).unwrap()
}

const NOW: Now = Now { mono: Instant::ORIGIN, wall: WallTime::from_unix_micros(1) };
const TELLER: u64 = 1_000;

/// A room whose checks are made at once, and which knows some keys.
struct Room {
    room: Successions,
    known: RefCell<BTreeSet<NodeId>>,
    reserved: BTreeSet<NodeId>,
    learned: Vec<(NodeId, NodeId)>,
    conflicts: Vec<(NodeId, NodeId, NodeId)>,
    blamed: Vec<(NodeId, Misbehavior)>,
    sent: Vec<(NodeId, SuccessionMessage)>,
    forgotten: Vec<NodeId>,
    checks: usize,
}

impl Room {
    /// The room of node 0, which knows these.
    fn knowing(known: impl IntoIterator<Item = u64>) -> Self {
        let mut this = Self {
            room: Successions::new(id(0), Vec::new()),
            known: RefCell::new(known.into_iter().map(id).collect()),
            reserved: BTreeSet::new(),
            learned: Vec::new(),
            conflicts: Vec::new(),
            blamed: Vec::new(),
            sent: Vec::new(),
            forgotten: Vec::new(),
            checks: 0,
        };
        this.up(TELLER);
        this
    }

    fn with<R>(
        &mut self,
        act: impl FnOnce(
            &mut Successions,
            &dyn Fn(&NodeId) -> Tie,
            &mut VecDeque<SuccessionEffect>,
        ) -> R,
    ) -> R {
        let mut out = VecDeque::new();
        let tie = |node: &NodeId| match () {
            () if self.reserved.contains(node) => Tie::Reserved,
            () if self.known.borrow().contains(node) => Tie::Known,
            () => Tie::None,
        };
        let done = act(&mut self.room, &tie, &mut out);
        while let Some(effect) = out.pop_front() {
            match effect {
                SuccessionEffect::VerifyAcceptance { from, claim } => {
                    self.checks += 1;
                    let verdict = claim.job(&network()).run();
                    match claim.accept(verdict) {
                        Some(accepted) => self.room.handle_accepted(from, &accepted, &mut out),
                        None => self.room.handle_refuted(from, &mut out),
                    }
                }
                SuccessionEffect::Verify { from, claim } => {
                    self.checks += 1;
                    let verdict = claim.job(&network()).run();
                    match claim.accept(verdict) {
                        Some(proven) => {
                            self.room.handle_verified(NOW, from, proven, &tie, &mut out);
                        }
                        None => self.room.handle_refuted(from, &mut out),
                    }
                }
                SuccessionEffect::Send { to, message } => self.sent.push((to, message)),
                SuccessionEffect::Learned(succession) => {
                    let content = succession.content();
                    self.learned.push((content.predecessor(), content.successor()));
                }
                SuccessionEffect::Forget(old) => self.forgotten.push(old),
                SuccessionEffect::Conflict { old, kept, refused } => {
                    self.conflicts.push((old, kept, refused));
                }
                SuccessionEffect::Misbehaved { peer, what } => self.blamed.push((peer, what)),
            }
        }
        done
    }

    fn up(&mut self, peer: u64) {
        self.with(|room, _, out| room.peer_up(NOW, id(peer), out));
    }

    fn hear(&mut self, told: impl IntoIterator<Item = Signed<Succession>>) {
        let message = SuccessionMessage(told.into_iter().collect());
        self.with(|room, tie, out| {
            room.handle_message(NOW, id(TELLER), message, &|node| tie(node), out);
        });
    }

    fn refuses(&self) -> bool {
        self.learned.is_empty() && self.room.pairs().is_empty()
    }
}

#[test]
fn what_both_keys_signed_is_learned_once_however_often_it_is_told() {
    let mut room = Room::knowing([1]);
    for _ in 0..3 {
        room.hear([claim(1, 2)]);
    }
    assert_eq!(room.learned, [(id(1), id(2))]);
    assert_eq!(room.room.successor(&id(1)), Some(id(2)));
    assert_eq!((room.checks, room.blamed.len()), (2, 0), "a replay costs no check");
}

#[test]
fn what_one_of_the_two_did_not_sign_is_refused_and_held_against_who_told_it() {
    let genuine = claim(1, 2);
    // The old key names an heir who does not want it: a signature of its own stands for theirs.
    let unwilling = Succession::sign(&key(1), &key(3), &network());
    let unwilling = changed(unwilling.claim(), |bytes| {
        bytes[32..64].copy_from_slice(key(2).public_key().as_bytes());
    });
    for (what, lie) in [
        ("the new key did not", changed(&genuine, |bytes| bytes[64] ^= 1)),
        ("the old key did not", changed(&genuine, |bytes| bytes[128] ^= 1)),
        ("another heir's acceptance", unwilling),
        (
            "another old key",
            changed(&genuine, |bytes| {
                bytes[..32].copy_from_slice(key(4).public_key().as_bytes());
            }),
        ),
        (
            "the keys swapped",
            changed(&genuine, |bytes| {
                bytes[..32].copy_from_slice(key(2).public_key().as_bytes());
                bytes[32..64].copy_from_slice(key(1).public_key().as_bytes());
            }),
        ),
        (
            "keys and signatures swapped",
            changed(&genuine, |bytes| {
                bytes[..32].copy_from_slice(key(2).public_key().as_bytes());
                bytes[32..64].copy_from_slice(key(1).public_key().as_bytes());
                bytes[64..].rotate_left(64);
            }),
        ),
        ("another network", {
            let there = NetworkId::from_name("another");
            Succession::sign(&key(1), &key(2), &there).claim().clone()
        }),
    ] {
        let mut room = Room::knowing([1, 2, 4]);
        room.hear([lie.clone(), claim(4, 5)]);
        assert!(room.refuses(), "{what}");
        assert_eq!(room.blamed, [(id(TELLER), Misbehavior::ForgedSignature)], "{what}");
        assert_eq!(room.room.counters().forged, 1, "{what}");
        // What it tells later is listened to again, and the true one is none the worse.
        room.hear([claim(1, 2)]);
        assert_eq!(room.learned, [(id(1), id(2))], "{what}");
    }
}

#[test]
fn a_verdict_on_another_claim_and_one_that_nobody_waits_for_change_nothing() {
    let mut room = Room::knowing([1]);
    room.with(|room, tie, out| {
        let tie = |node: &NodeId| tie(node);
        room.handle_verified(NOW, id(TELLER), signed(1, 2), &tie, out);
        let told = SuccessionMessage(vec![claim(1, 2)]);
        room.handle_message(NOW, id(TELLER), told, &tie, out);
        // The acceptance is not judged yet.
        room.handle_verified(NOW, id(TELLER), signed(1, 2), &tie, out);
        room.handle_verified(NOW, id(TELLER), signed(1, 3), &tie, out);
        room.peer_down(&id(TELLER));
        room.handle_refuted(id(TELLER), out);
        room.handle_unchecked(id(TELLER));
        out.clear();
    });
    assert!(room.refuses() && room.blamed.is_empty());
}

#[test]
fn the_first_successor_stays_and_a_second_one_is_told() {
    let mut room = Room::knowing([1]);
    room.hear([claim(1, 2), claim(1, 3)]);
    assert_eq!(room.learned, [(id(1), id(2))]);
    assert_eq!(room.conflicts, [(id(1), id(2), id(3))]);
    // Honest peers heard of the other one first.
    assert!(room.blamed.is_empty());
    // Who only claims that there is a second one is a liar, and nobody is alarmed.
    room.hear([changed(&claim(1, 4), |bytes| bytes[128] ^= 1)]);
    assert_eq!((room.conflicts.len(), room.blamed.len()), (1, 1));
}

#[test]
fn nobody_inherits_twice() {
    let mut room = Room::knowing([1, 2]);
    room.hear([claim(1, 3), claim(2, 3)]);
    assert_eq!(room.learned, [(id(1), id(3))]);
    assert_eq!(room.room.counters().merges, 1);
}

#[test]
fn no_key_comes_after_itself() {
    let mut room = Room::knowing([1, 2, 3]);
    room.hear([claim(1, 2), claim(2, 3), claim(3, 1), claim(2, 1)]);
    assert_eq!(room.learned, [(id(1), id(2)), (id(2), id(3))]);
    assert_eq!((room.room.counters().cycles, room.conflicts.len()), (1, 1));
}

#[test]
fn a_history_is_learned_in_order_and_not_beyond_its_bound() {
    let most = MAX_SUCCESSION_CHAIN as u64;
    // Its later keys are strangers but for it.
    let mut room = Room::knowing([1]);
    room.hear((1..=most).map(|n| claim(n, n + 1)));
    assert_eq!(room.learned.len(), MAX_SUCCESSION_CHAIN);
    room.hear([claim(most + 1, most + 2)]);
    assert_eq!((room.learned.len(), room.room.counters().too_long), (MAX_SUCCESSION_CHAIN, 1));
    assert_eq!(room.room.history(&id(7)).len(), MAX_SUCCESSION_CHAIN);

    // Nor when its first part comes last.
    let mut room = Room::knowing(1..=most + 1);
    room.hear((2..=most + 1).map(|n| claim(n, n + 1)));
    room.hear([claim(1, 2)]);
    assert_eq!((room.learned.len(), room.room.counters().too_long), (MAX_SUCCESSION_CHAIN, 1));
}

#[test]
fn keys_that_mean_nothing_here_cost_no_check_and_no_memory() {
    let mut room = Room::knowing([]);
    room.hear([claim(1, 2), claim(2, 3)]);
    assert!(room.refuses());
    assert_eq!((room.checks, room.room.counters().strange), (0, 2));
}

#[test]
fn a_full_table_loses_who_means_nothing_any_more_and_nobody_else() {
    let most = MAX_SUCCESSIONS - SUCCESSIONS_FOR_RESERVED;
    let pairs: Vec<_> = (0..most as u64).map(|n| signed(2 * n + 10, 2 * n + 11)).collect();
    let heir = |n: u64| id(2 * n + 11);
    let mut room = Room::knowing([1, 3, 5]);
    room.room = Successions::new(id(0), pairs);
    room.up(TELLER);
    assert_eq!(room.room.pairs().len(), most);
    room.known.borrow_mut().extend((0..most as u64).map(heir));
    room.hear([claim(1, 2)]);
    assert_eq!((room.learned.len(), room.room.counters().full), (0, 1));
    // A reserved peer has room all the same.
    room.reserved.insert(id(3));
    room.hear([claim(3, 4)]);
    assert_eq!((room.learned.len(), room.forgotten.len()), (1, 0));
    for gone in [700, 300, 500] {
        room.known.borrow_mut().remove(&heir(gone));
    }
    room.hear([claim(1, 2)]);
    assert_eq!(room.learned.last(), Some(&(id(1), id(2))));
    assert_eq!(room.forgotten, [id(2 * 300 + 10)], "the oldest of them");
    assert_eq!(room.room.successor(&id(2 * 300 + 10)), None);
}

#[test]
fn who_tells_too_much_is_flooding_and_what_waits_is_bounded() {
    let mut room = Room::knowing([1]);
    for _ in 0..SUCCESSION_BURST {
        room.hear([claim(1, 2)]);
    }
    assert!(room.blamed.is_empty());
    room.hear([claim(1, 2)]);
    assert_eq!(room.blamed, [(id(TELLER), Misbehavior::Flooding)]);

    // Nothing is judged for a while.
    let mut room = Successions::new(id(0), Vec::new());
    let mut out = VecDeque::new();
    room.peer_up(NOW, id(TELLER), &mut out);
    let lies: Vec<_> = (0..32).map(|n| claim(1, n + 2)).collect();
    for _ in 0..10 {
        let told = SuccessionMessage(lies.clone());
        room.handle_message(NOW, id(TELLER), told, &|_| Tie::Known, &mut out);
    }
    assert_eq!(out.len(), 1, "one at a time");
    assert_eq!(room.counters().full, 10 * 32 - MAX_SUCCESSIONS_UNCHECKED as u64);
}

#[test]
fn what_is_learned_is_passed_on_once_and_said_to_who_comes_later_if_it_is_theirs() {
    let mut room = Room::knowing([1]);
    room.up(2_000);
    room.hear([claim(1, 2)]);
    room.hear([claim(1, 2)]);
    let news = SuccessionMessage(vec![claim(1, 2)]);
    assert_eq!(room.sent, [(id(2_000), news.clone())]);
    room.sent.clear();
    // Its holder lost its database, or has an old copy of the key.
    for comes in [2, 1] {
        room.up(comes);
        assert_eq!(room.sent, [(id(comes), news.clone())]);
        room.sent.clear();
    }
    room.up(3_000);
    assert!(room.sent.is_empty());
    room.with(|room, _, out| room.tell_of(NOW, id(3_000), [id(9), id(1), id(2)], out));
    assert_eq!(room.sent, [(id(3_000), news)]);
}

#[test]
fn an_honest_node_stays_below_what_it_may_say() {
    let mut room = Room::knowing(1..=200);
    room.up(2_000);
    // As many keys give way in a moment, told by many.
    for teller in 0..10 {
        room.up(5_000 + teller);
        for n in 0..10 {
            let (old, new) = (teller * 10 + n + 1, teller * 10 + n + 10_001);
            let told = SuccessionMessage(vec![claim(old, new)]);
            room.with(|room, tie, out| {
                room.handle_message(NOW, id(5_000 + teller), told, &|node| tie(node), out);
            });
        }
    }
    assert_eq!(room.learned.len(), 100);
    let told = room.sent.iter().filter(|(to, _)| *to == id(2_000)).count();
    assert_eq!(told, SUCCESSION_BURST as usize / 2);
}

#[test]
fn who_refuses_us_may_say_one_thing_about_our_own_key_and_leaves_nothing_behind() {
    let mut room = Room::knowing([0]);
    let told = |n| SuccessionMessage(vec![claim(0, n)]);
    room.with(|room, tie, out| room.handle_parting(id(50), told(1), &|node| tie(node), out));
    assert_eq!(room.learned, [(id(0), id(1))]);
    assert!(room.sent.iter().all(|(to, _)| *to == id(TELLER)), "it is not linked");
    room.with(|room, tie, out| room.handle_parting(id(50), told(1), &|node| tie(node), out));
    assert!(format!("{:?}", room.room).matches("linked: false").count() == 0);
}

#[test]
fn every_row_reads_as_it_was_written_and_no_other_does() {
    let kept = change::keep(&signed(1, 2));
    let row = Row { table: &KEYS, key: kept.key, value: kept.value.unwrap().to_bytes() };
    let mut back: Vec<Verified<Succession>> = Vec::new();
    let other = Row { key: id(3).as_bytes().to_vec().into(), ..row.clone() };
    let longer = Row { value: [&row.value[..], &[0]].concat().into(), ..row.clone() };
    let shorter = Row { value: row.value.slice(1..), ..row.clone() };
    for wrong in [other, longer, shorter] {
        back.load(wrong, &network()).unwrap_err();
    }
    back.load(row, &network()).unwrap();
    assert_eq!(back, [signed(1, 2)]);
    let room = Successions::new(id(0), vec![signed(2, 3), signed(1, 2), signed(1, 4)]);
    assert_eq!(room.pairs(), [(id(2), id(3)), (id(1), id(2))]);
    assert_eq!(change::forget(&id(1)).key, id(1).as_bytes()[..]);
}

#[test]
fn a_message_says_something_and_at_most_one_history() {
    let decode = |body: Vec<u8>| {
        SuccessionMessage::decode_body(super::SUCCESSION, &mut Reader::new(body.into()), id(0))
    };
    let body = |count: usize| {
        let mut body = Vec::new();
        body.append_varint(count as u64);
        for n in 0..count as u64 {
            claim(n + 1, n + 2).encode(&mut body);
        }
        body
    };
    for (count, is_good) in [(0, false), (1, true), (32, true), (33, false)] {
        assert_eq!(decode(body(count)).is_ok(), is_good, "{count}");
    }
    let mut itself = body(1);
    itself.copy_within(1..33, 33);
    assert_eq!(decode(itself).unwrap_err().what, "key that succeeds itself");
}
