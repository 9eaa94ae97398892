//! Stories of peers and senders that do wrong.

use std::collections::BTreeSet;

use super::{
    super::{GossipConfig, GossipMessage, GossipSnapshot},
    harness::{Node, World, at, config, forge, identity, say},
};
use crate::{
    id::NodeId,
    identity::{Signature, Signed},
    limits::{
        ANNOUNCE_DELAY, LARGE_GOSSIP, MAX_PAYLOAD, MAX_TTL, MAX_UNANNOUNCED, MAX_WANTED,
        NEWCOMERS_AT_ONCE, RETENTION_BYTES, SERVED_BYTES, SERVED_IN_TURN, SERVING_INTERVAL,
        WANT_DELAY, WANT_TIMEOUT, WITHHELD_AFTER,
    },
    misbehavior::{Misbehavior, Observation},
    time::Duration,
    wire::{
        holdings::{Holdings, Ranges},
        message::{AppMessage, RoomMessage as _},
    },
};

const START: Duration = Duration::ZERO;
const SECOND: Duration = Duration::from_secs(1);
const EVE: u32 = 66;

fn node_with(peers: u32, config: GossipConfig) -> Node {
    let mut node = Node::new(0, config, GossipSnapshot::default(), at(START));
    for number in 1..=peers {
        node.up(at(START), peer(number));
    }
    node
}

fn peer(number: u32) -> NodeId {
    identity(number).node_id()
}

fn ranges(sender: NodeId, range: std::ops::RangeInclusive<u64>) -> Holdings {
    let (mut holdings, mut numbers) = (Holdings::new(), Ranges::new());
    numbers.insert_range(range);
    holdings.insert_ranges(sender, numbers);
    holdings
}

const fn wrong(peer: NodeId, what: Misbehavior) -> (NodeId, Observation) {
    (peer, Observation::Misbehaved(what))
}

#[test]
fn two_contents_under_one_number_are_held_against_their_sender_only() {
    let mut node = node_with(3, config());
    let eve = identity(EVE);
    let (one, other) = (say(&eve, 0, b"yes"), say(&eve, 0, b"no"));
    node.hear(at(START), peer(1), GossipMessage::Gossip(3, one.claim().clone()));
    node.observed.clear();
    let sent = node.hear(at(START), peer(2), GossipMessage::Gossip(3, other.claim().clone()));
    let first = GossipMessage::Gossip(0, one.claim().clone());
    let second = GossipMessage::Gossip(0, other.claim().clone());
    assert_eq!(sent[0], (peer(2), first));
    let shown: BTreeSet<NodeId> = sent[1..].iter().map(|(to, _)| *to).collect();
    assert_eq!(shown, BTreeSet::from([peer(1), peer(3)]));
    assert!(
        sent[1..].iter().all(|(_, shown)| *shown == second),
        "each is shown what is news to it, without hops"
    );
    assert_eq!(node.observed, [wrong(eve.node_id(), Misbehavior::Equivocation)]);
    assert_eq!(node.delivered.len(), 1);
    assert_eq!(node.equivocated, [(eve.node_id(), [one.id(), other.id()])], "the first one first");

    let third = say(&eve, 0, b"perhaps");
    node.hear(at(START), peer(2), GossipMessage::Gossip(3, third.claim().clone()));
    assert_eq!(node.verifications, 2, "once proved is enough");
    assert_eq!(node.gossip.counters().equivocations, 2);
}

#[test]
fn a_proof_goes_up_the_tree_but_for_what_is_large() {
    for (bytes, is_shown) in [(LARGE_GOSSIP - 1, true), (LARGE_GOSSIP, false)] {
        let mut node = node_with(3, config());
        let eve = identity(EVE);
        let other = say(&eve, 0, &vec![1; bytes]).claim().clone();
        let one = say(&eve, 0, b"small").claim().clone();
        node.hear(at(START), peer(1), GossipMessage::Gossip(3, one));
        let sent = node.hear(at(START), peer(2), GossipMessage::Gossip(3, other.clone()));
        let proof = GossipMessage::Gossip(0, other);
        let shown: BTreeSet<NodeId> =
            sent.iter().filter(|(_, sent)| *sent == proof).map(|(to, _)| *to).collect();
        let (all, none) = (BTreeSet::from([peer(1), peer(3)]), BTreeSet::new());
        assert_eq!(shown, if is_shown { all } else { none }, "{bytes} bytes");
    }
}

#[test]
fn who_passes_on_two_contents_of_one_number_pays_and_who_shows_a_proof_does_not() {
    for (second, pays) in [((1, 3), true), ((1, 0), false), ((2, 3), false)] {
        let mut node = node_with(3, config());
        let stranger = identity(EVE);
        for ((from, ttl), content) in [((1, 3), b"yes"), (second, b"no!")] {
            let claim = say(&stranger, 0, content).claim().clone();
            node.hear(at(START), peer(from), GossipMessage::Gossip(ttl, claim));
        }
        let proved = wrong(stranger.node_id(), Misbehavior::Equivocation);
        let flooded = wrong(peer(1), Misbehavior::Flooding);
        assert_eq!(node.observed, if pays { vec![flooded, proved] } else { vec![proved] });
    }
}

#[test]
fn a_proof_is_served_without_hops_and_in_any_order_its_server_pays_nothing() {
    let (mut holder, mut asker) = (node_with(3, config()), node_with(3, config()));
    let stranger = identity(EVE);
    for (from, content) in [(1, b"yes"), (2, b"no!")] {
        let claim = say(&stranger, 0, content).claim().clone();
        holder.hear(at(START), peer(from), GossipMessage::Gossip(0, claim));
    }
    let wanted = GossipMessage::IWant(ranges(stranger.node_id(), 0..=0));
    let mut served: Vec<_> = holder.hear(at(START), peer(3), wanted);
    assert_eq!(served.len(), 2, "both");
    served.reverse();
    for (_, message) in served {
        assert!(matches!(message, GossipMessage::Gossip(0, _)), "{message:?}");
        asker.hear(at(START), peer(1), message);
    }
    assert_eq!(asker.observed, [wrong(stranger.node_id(), Misbehavior::Equivocation)]);
}

#[test]
fn who_comes_to_the_place_of_another_is_not_charged_for_what_that_one_brought() {
    let mut node = node_with(3, config());
    let stranger = identity(EVE);
    let push = |content| GossipMessage::Gossip(3, say(&stranger, 0, content).claim().clone());
    node.hear(at(START), peer(1), push(b"yes"));
    node.down(at(START), peer(1));
    node.up(at(START), peer(9));
    node.hear(at(START), peer(9), push(b"no!"));
    assert_eq!(node.observed, [wrong(stranger.node_id(), Misbehavior::Equivocation)]);
}

#[test]
fn what_newcomers_say_first_is_nobodys_merit_but_their_own() {
    let mut node = node_with(3, config());
    let (one, other) = (identity(EVE), identity(1));
    for (number, merits) in [(0, 0), (1, 1), (2, 2)] {
        let claim = say(&one, number, b"news").claim().clone();
        node.hear(at(START), peer(2), GossipMessage::Gossip(3, claim));
        assert_eq!(node.observed, vec![(peer(2), Observation::ValidMessage); merits]);
    }
    node.observed.clear();
    let claim = say(&other, 0, b"news").claim().clone();
    node.hear(at(START), peer(1), GossipMessage::Gossip(3, claim));
    assert_eq!(node.observed, [(peer(1), Observation::ValidMessage)]);
}

#[test]
fn a_forged_copy_does_not_block_the_good_one() {
    let mut node = node_with(3, config());
    let good = say(&identity(9), 0, b"good");
    let bad = forge(&good, b"evil");
    let (mut out, network) = (std::collections::VecDeque::new(), super::harness::network());
    // Both are under verification at once, the forged one first, and twice.
    for (from, claim) in [(1, &bad), (2, good.claim()), (3, &bad)] {
        let push = GossipMessage::Gossip(3, claim.clone());
        node.gossip.handle_message(at(START), peer(from), push, &node.standings, &mut out);
    }
    assert_eq!(out.len(), 2, "each distinct claim is checked once: {out:?}");
    assert!(bad.clone().accept(bad.job(&network).run()).is_none());
    out.clear();
    node.gossip.handle_refuted(at(START), peer(1), &bad, &mut out);
    node.gossip.handle_verified(at(START), peer(2), 3, good, &node.standings, &mut out);
    let observed: Vec<_> = out
        .iter()
        .filter_map(|out| match out {
            super::super::GossipEffect::Observed { peer, what } => Some((*peer, *what)),
            _ => None,
        })
        .collect();
    let forged = Misbehavior::ForgedSignature;
    assert_eq!(observed, [wrong(peer(1), forged), wrong(peer(3), forged)]);
    assert_eq!(node.gossip.counters().delivered, 1);
}

#[test]
fn after_a_forged_answer_the_next_holder_is_asked_at_once() {
    let mut node = node_with(2, config());
    let good = say(&identity(9), 0, b"good");
    for number in 1..=2 {
        node.hear(at(START), peer(number), GossipMessage::IHave(ranges(peer(9), 0..=0)));
    }
    node.pass(START, WANT_DELAY);
    node.hear(at(WANT_DELAY), peer(1), GossipMessage::Gossip(0, forge(&good, b"evil")));
    let sent = node.pass(WANT_DELAY, WANT_DELAY);
    assert!(matches!(&sent[..], [(to, GossipMessage::IWant(_))] if *to == peer(2)));
}

#[test]
fn what_the_first_announcer_withholds_comes_from_the_next_within_a_second() {
    let mut node = node_with(2, config());
    let message = say(&identity(9), 0, b"news");
    for number in 1..=2 {
        node.hear(at(START), peer(number), GossipMessage::IHave(ranges(peer(9), 0..=0)));
    }
    node.pass(START, WANT_DELAY);
    let second = WANT_DELAY + WANT_TIMEOUT;
    let sent = node.pass(WANT_DELAY, second);
    assert!(sent.iter().any(|(to, m)| *to == peer(2) && matches!(m, GossipMessage::IWant(_))));
    assert_eq!(node.observed, [(peer(1), Observation::TimedOut)]);
    node.hear(at(second), peer(2), GossipMessage::Gossip(0, message.claim().clone()));
    assert_eq!(node.delivered.len(), 1);

    node.observed.clear();
    node.pass(second, second + WITHHELD_AFTER);
    assert_eq!(node.observed, [wrong(peer(1), Misbehavior::WithheldMessage)]);
}

#[test]
fn who_is_late_or_gone_or_busy_withheld_nothing() {
    let mut node = node_with(4, config());
    let said: Vec<_> = (0..4).map(|number| say(&identity(9), number, b"news")).collect();
    // 1 sends it late, 2 goes down, 3 answers another question meanwhile, 4 has all.
    for (number, sequence) in [(1, 0), (2, 1), (3, 2), (3, 3)] {
        let have = ranges(peer(9), sequence..=sequence);
        node.hear(at(START), peer(number), GossipMessage::IHave(have));
    }
    node.hear(at(START), peer(4), GossipMessage::IHave(ranges(peer(9), 0..=3)));
    node.pass(START, WANT_DELAY);
    let soon = WANT_DELAY + Duration::from_millis(1);
    node.hear(at(soon), peer(3), GossipMessage::Gossip(0, said[3].claim().clone()));
    let second = WANT_DELAY + WANT_TIMEOUT;
    node.pass(soon, second);
    for message in &said {
        node.hear(at(second), peer(4), GossipMessage::Gossip(0, message.claim().clone()));
    }
    node.hear(at(second), peer(1), GossipMessage::Gossip(0, said[0].claim().clone()));
    node.down(at(second), peer(2));
    node.up(at(second), peer(2));
    node.pass(second, second + 2 * WITHHELD_AFTER);
    assert_eq!(node.delivered.len(), 4);
    let blamed = |(_, what): &&_| matches!(what, Observation::Misbehaved(_));
    assert_eq!(node.observed.iter().filter(blamed).count(), 0, "{:?}", node.observed);
    let slow: BTreeSet<_> =
        node.observed.iter().filter(|(_, w)| *w == Observation::TimedOut).collect();
    assert_eq!(slow.len(), 2, "1 and 2, not 3: {slow:?}");
}

#[test]
fn a_message_that_nobody_ever_sends_proves_nothing() {
    let mut node = node_with(2, config());
    node.hear(at(START), peer(1), GossipMessage::IHave(ranges(peer(9), 0..=0)));
    node.pass(START, WANT_DELAY + WANT_TIMEOUT + WITHHELD_AFTER);
    assert_eq!(node.observed, [(peer(1), Observation::TimedOut)]);
}

#[test]
fn a_flood_of_questions_gets_one_digest_an_interval() {
    let mut node = node_with(1, config());
    let message = say(&node.identity, 0, b"");
    node.publish(at(START), message);
    let key = node.gossip.links[&peer(1)].digest.map_or([1; 16], |digest| *digest.key());
    let ask = |count| GossipMessage::Digest { key, count, sum: [7; 16] };
    let sent: Vec<_> =
        (0..100).flat_map(|count| node.hear(at(START), peer(1), ask(count))).collect();
    assert_eq!(sent.len(), 2, "one list and its end");
    let later = Duration::from_secs(1);
    assert_eq!(node.hear(at(later), peer(1), ask(0)).len(), 2);
}

#[test]
fn a_flood_of_one_sender_pushes_out_itself_only() {
    let mut node = node_with(1, GossipConfig { cache_size: 100, ..config() });
    let eve = identity(EVE);
    for number in 0..10 {
        let honest = say(&identity(9), number, b"honest words");
        node.hear(at(START), peer(1), GossipMessage::Gossip(0, honest.claim().clone()));
    }
    for number in 0..1_000 {
        let flood = say(&eve, number, b"");
        node.hear(at(START), peer(1), GossipMessage::Gossip(0, flood.claim().clone()));
        assert!(node.gossip.kept().0 <= 100);
    }
    assert_eq!(node.delivered.len(), 1_010);
    let kept = node.gossip.holdings();
    assert_eq!(kept.of(&peer(9)), ranges(peer(9), 0..=9).of(&peer(9)));
    assert_eq!(kept.of(&eve.node_id()), ranges(eve.node_id(), 910..=999).of(&eve.node_id()));
    assert_eq!(node.floors, [(eve.node_id(), 910)].into());
}

#[test]
fn large_messages_of_one_sender_push_out_itself_only() {
    let mut node = node_with(1, config());
    let (eve, large) = (identity(EVE), vec![0; 1 << 20]);
    for number in 0..60 {
        let honest = say(&identity(9), number, b"honest words");
        node.hear(at(START), peer(1), GossipMessage::Gossip(0, honest.claim().clone()));
    }
    for number in 0..40 {
        let flood = say(&eve, number, &large);
        node.hear(at(START), peer(1), GossipMessage::Gossip(0, flood.claim().clone()));
        assert!(node.gossip.kept().1 <= RETENTION_BYTES);
    }
    assert_eq!(node.gossip.holdings().of(&peer(9)), ranges(peer(9), 0..=59).of(&peer(9)));
}

#[test]
fn a_flood_of_many_senders_neither_pushes_out_the_old_nor_keeps_out_the_new() {
    let mut node = node_with(1, GossipConfig { cache_size: 100, ..config() });
    let mut push = |who: u32, number| {
        let message = say(&identity(who), number, b"");
        node.hear(at(START), peer(1), GossipMessage::Gossip(0, message.claim().clone()));
        assert!(node.gossip.kept().0 <= 100);
        node.gossip.holdings()
    };
    for who in 10..15 {
        for number in 0..5 {
            push(who, number);
        }
    }
    for who in 1_000..2_000 {
        push(who, 0);
    }
    let kept = push(20, 0);
    assert!((10..15).all(|who| kept.of(&peer(who)).is_some_and(|n| n.contains(4))));
    for who in 2_000..2_045 {
        let kept = push(who, 0);
        assert!(kept.of(&peer(20)).is_some(), "a newcomer has its turn");
    }
}

#[test]
fn gaps_never_make_a_message_old_that_did_not_come() {
    let mut node = node_with(1, GossipConfig { cache_size: 3_000, ..config() });
    // Every other one, and then what is between them, as several peers serve a late node.
    for number in (0..3_000).step_by(2).chain((1..3_000).step_by(2)) {
        let message = say(&identity(9), number, b"");
        node.hear(at(START), peer(1), GossipMessage::Gossip(0, message.claim().clone()));
    }
    assert_eq!((node.delivered.len(), node.gossip.kept().0), (3_000, 3_000));
}

#[test]
fn a_sender_of_every_other_number_keeps_no_more_than_others() {
    let mut node = node_with(1, GossipConfig { cache_size: 100, ..config() });
    let honest = say(&identity(9), 0, b"");
    node.hear(at(START), peer(1), GossipMessage::Gossip(0, honest.claim().clone()));
    for number in 0..2_000 {
        let scattered = say(&identity(EVE), number * 2, b"");
        node.hear(at(START), peer(1), GossipMessage::Gossip(0, scattered.claim().clone()));
    }
    // What is between them may be under way, as far as anybody knows: it waits for itself.
    assert_eq!((node.gossip.kept().0, node.delivered.len()), (101, 102));
    let honest = say(&identity(9), 1, b"");
    node.hear(at(START), peer(1), GossipMessage::Gossip(0, honest.claim().clone()));
    let kept = node.gossip.holdings();
    assert!(kept.of(&peer(9)).is_some_and(|numbers| numbers.contains(0) && numbers.contains(1)));
}

#[test]
fn two_of_the_largest_messages_are_served_at_once_to_who_was_not_told_of_them() {
    let mut node = node_with(1, config());
    let largest = vec![0; MAX_PAYLOAD];
    for number in 0..3 {
        let message = say(&identity(9), number, &largest);
        node.hear(at(START), peer(1), GossipMessage::Gossip(0, message.claim().clone()));
    }
    node.up(at(START), peer(2));
    let wanted = GossipMessage::IWant(ranges(peer(9), 0..=2));
    let now = Duration::from_millis(1);
    let mut sent = node.hear(at(now), peer(2), wanted);
    sent.extend(node.pass(now, 2 * now));
    assert_eq!(sent.len(), 2);
}

#[test]
fn a_flood_of_requests_is_served_within_its_budget() {
    let mut node = node_with(1, config());
    let large = vec![0; 100_000];
    for number in 0..100 {
        let message = say(&identity(9), number, &large);
        node.hear(at(START), peer(1), GossipMessage::Gossip(0, message.claim().clone()));
    }
    node.up(at(START), peer(2));
    let served = |node: &mut Node, when| -> usize {
        let wanted = ranges(peer(9), 0..=(1 << 62) - 1);
        let mut sent: Vec<_> = (0..50)
            .flat_map(|_| node.hear(at(when), peer(2), GossipMessage::IWant(wanted.clone())))
            .collect();
        sent.extend(node.pass(when, when + Duration::from_millis(20)));
        sent.retain(|(_, message)| matches!(message, GossipMessage::Gossip(..)));
        sent.iter().map(|(_, message)| message.encode().len()).sum()
    };
    let now = Duration::from_millis(1);
    let first = served(&mut node, now);
    assert!((SERVED_BYTES - 101_000..=SERVED_BYTES).contains(&first), "{first}");
    assert_eq!(served(&mut node, now), 0, "budget used up");
    assert!(served(&mut node, now + Duration::from_secs(1)) > 0, "and filled again");

    // Questions about nothing cost too.
    let nothing = ranges(peer(50), 0..=0);
    let later = Duration::from_secs(3);
    for _ in 0..SERVED_BYTES / 64 {
        node.hear(at(later), peer(2), GossipMessage::IWant(nothing.clone()));
    }
    assert_eq!(served(&mut node, later), 0);
}

#[test]
fn who_asks_for_everything_keeps_nobody_waiting() {
    let mut node = node_with(1, config());
    for number in 0..1_000 {
        let message = say(&identity(9), number, b"hello");
        node.hear(at(START), peer(1), GossipMessage::Gossip(0, message.claim().clone()));
    }
    [2, 3].into_iter().for_each(|n| drop(node.up(at(START), peer(n))));
    let now = START + Duration::from_millis(1);
    let everything = GossipMessage::IWant(ranges(peer(9), 0..=(1 << 62) - 1));
    let pieces = |sent: &[(NodeId, GossipMessage)], to| {
        let is_piece = |message: &_| matches!(message, GossipMessage::Gossip(..));
        sent.iter().filter(|(who, message)| *who == to && is_piece(message)).count()
    };
    let begun = node.hear(at(now), peer(2), everything);
    assert!((SERVED_IN_TURN / 2..SERVED_IN_TURN).contains(&pieces(&begun, peer(2))));
    // Between two turns somebody else asks for one.
    let one = GossipMessage::IWant(ranges(peer(9), 500..=500));
    assert_eq!(node.hear(at(now), peer(3), one).len(), 0, "this turn is over");
    let next = node.pass(now, now + SERVING_INTERVAL);
    assert_eq!(pieces(&next, peer(3)), 1, "it has the next one");
    assert!(pieces(&next, peer(2)) < SERVED_IN_TURN);
    let rest = node.pass(now + SERVING_INTERVAL, now + 20 * SERVING_INTERVAL);
    let all: usize = [&begun, &next, &rest].map(|sent| pieces(sent, peer(2))).iter().sum();
    assert_eq!(all, 1_000);
}

#[test]
fn made_up_announcements_take_a_share_of_the_fetches_and_no_more() {
    let mut node = node_with(8, config());
    for made_up in 0..100 {
        let have = ranges(peer(1_000 + made_up), 0..=(1 << 62) - 1);
        node.hear(at(START), peer(1), GossipMessage::IHave(have));
    }
    node.hear(at(START), peer(2), GossipMessage::IHave(ranges(peer(9), 0..=9)));
    let sent = node.pass(START, WANT_DELAY);
    let asked = |whom: NodeId| -> u64 {
        let mut numbers = 0;
        for (to, message) in &sent {
            if let (true, GossipMessage::IWant(wanted)) = (*to == whom, message) {
                let ranges = wanted.iter().flat_map(|(_, ranges)| ranges.iter());
                numbers += ranges.map(|range| range.end() - range.start() + 1).sum::<u64>();
            }
        }
        numbers
    };
    assert_eq!(asked(peer(1)), u64::try_from(MAX_WANTED / 8).unwrap());
    assert_eq!(asked(peer(2)), 10);
}

#[test]
fn a_hostile_forwarder_that_leaves_no_hops_stops_nothing() {
    let mut world = super::harness::World::new(12, 5);
    let ids = world.ids();
    for (index, id) in ids.iter().enumerate() {
        world.connect(*id, ids[(index + 1) % ids.len()]);
    }
    // The only copy that the ring hears of has no hops left.
    let author = identity(EVE);
    let message = say(&author, 0, b"news");
    let now = at(world.now);
    let push = GossipMessage::Gossip(0, message.claim().clone());
    let sent = world.nodes.get_mut(&ids[0]).unwrap().hear(now, author.node_id(), push);
    world.post(ids[0], sent);
    world.run(6 * (ANNOUNCE_DELAY + WANT_DELAY + Duration::from_millis(60)));
    world.assert_all_delivered_once(&[(author.node_id(), 0)], "no hops");
}

#[test]
fn who_repeats_a_message_without_end_fills_no_list() {
    let mut node = node_with(3, config());
    let push = GossipMessage::Gossip(3, say(&identity(9), 0, b"news").claim().clone());
    for _ in 0..2 * MAX_UNANNOUNCED {
        node.hear(at(START), peer(2), push.clone());
    }
    assert!(node.gossip.announcements.end() <= MAX_UNANNOUNCED as u64);
}

/// Messages of as many keys that nobody ever saw.
fn throwaway(keys: std::ops::Range<u32>) -> impl Iterator<Item = GossipMessage> {
    keys.map(|key| {
        let message = say(&identity(1_000_000 + key), u64::from(key), b"throwaway");
        GossipMessage::Gossip(9, message.claim().clone())
    })
}

#[test]
fn ten_thousand_new_keys_push_out_nobody_and_what_they_said_is_not_heard_twice() {
    let mut world = World::new(5, 7);
    world.connect_randomly(3);
    let ids = world.ids();
    let eve = peer(EVE);
    world.nodes.get_mut(&ids[0]).unwrap().up(at(START), eve);
    let mut said = Vec::new();
    for second in 0..4_u32 {
        for nth in 0..20_u32 {
            let who = ids[usize::try_from(1 + nth % 4).unwrap()];
            let number = u64::from(second * 20 + nth);
            world.publish(who, number);
            said.push((who, number));
            // The same keys a second time, while the others talk.
            let now = at(world.now);
            let keys = (second / 2 * 20 + nth) * 250;
            for message in throwaway(keys..keys + 250) {
                let sent = world.nodes.get_mut(&ids[0]).unwrap().hear(now, eve, message);
                world.post(ids[0], sent);
            }
            world.run(SECOND / 20);
        }
    }
    // A node comes late.
    let late = Node::new(9, config(), GossipSnapshot::default(), at(world.now));
    let late_id = late.id();
    world.add(late);
    world.connect(late_id, ids[2]);
    world.run(30 * SECOND);
    let windows: BTreeSet<_> = world.nodes.values().map(|node| node.gossip.kept().0).collect();
    assert_eq!(windows.len(), 1, "all have the same: {windows:?}");
    for node in world.nodes.values() {
        let (delivered, mut once) = (&node.delivered, BTreeSet::new());
        assert!(delivered.iter().all(|heard| once.insert(*heard)), "nothing twice");
        let own = |(who, _): &&(NodeId, u64)| *who == node.id();
        assert!(said.iter().filter(|it| !own(it)).all(|it| once.contains(it)), "nothing lost");
        let others = delivered.len() - said.iter().filter(|it| !own(it)).count();
        let most = usize::try_from(NEWCOMERS_AT_ONCE).unwrap() + 3;
        assert!(others <= most, "{others} of strangers");
    }
}

/// The order of the base point of Ed25519, least significant byte first (RFC 8032, 5.1).
const ORDER: [u8; 32] = [
    0xED, 0xD3, 0xF5, 0x5C, 0x1A, 0x63, 0x12, 0x58, 0xD6, 0x9C, 0xF7, 0xA2, 0xDE, 0xF9, 0xDE, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// The same signature, written as if its scalar were larger by the order.
fn written_otherwise(message: &Signed<AppMessage>) -> Signed<AppMessage> {
    let mut bytes = *message.signature().as_bytes();
    let mut carry = 0;
    for (byte, more) in bytes[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(more) + carry;
        [*byte, _] = sum.to_le_bytes();
        carry = sum >> 8;
    }
    Signed::new(message.content().clone(), Signature::from_bytes(bytes))
}

#[test]
fn whatever_is_changed_on_the_way_the_genuine_message_is_delivered_once() {
    let author = identity(9);
    let genuine = say(&author, 5, b"pay 10");
    let changed = [
        (3, forge(&genuine, b"pay 90")),
        (3, forge(&genuine, b"pay 10\0")),
        (3, written_otherwise(genuine.claim())),
        (0, genuine.claim().clone()),
        (MAX_TTL, genuine.claim().clone()),
        (3, say(&identity(EVE), 5, b"pay 10").claim().clone()),
    ];
    for before in 0..=changed.len() {
        let mut node = node_with(2, config());
        for (place, (ttl, claim)) in changed.iter().enumerate() {
            if place == before {
                node.hear(at(START), peer(1), GossipMessage::Gossip(4, genuine.claim().clone()));
            }
            node.hear(at(START), peer(2), GossipMessage::Gossip(*ttl, claim.clone()));
        }
        node.hear(at(START), peer(1), GossipMessage::Gossip(4, genuine.claim().clone()));
        let heard = node.delivered.iter().filter(|heard| **heard == (author.node_id(), 5)).count();
        assert_eq!(heard, 1, "after {before} of them");
        let kept = node.disk.get(&(author.node_id(), 5)).unwrap().id();
        assert_eq!(kept, genuine.id());
    }
}
