//! Stories of one node among peers that a test plays.

use super::{
    super::{
        GossipConfig, GossipMessage, GossipSnapshot, comparison::Comparison,
        message_key::MessageKey,
    },
    harness::{Node, Sent, at, config, identity, say, say_at},
};
use crate::{
    id::NodeId,
    limits::{
        ANNOUNCE_ROUND, MAX_SENDERS, RETENTION_AGE, SYNC_TIMEOUT, WANT_DELAY, WANT_TIMEOUT,
        WANT_TIMEOUT_MOST,
    },
    misbehavior::Observation,
    standings::PeerTrust,
    time::{Duration, WallTime},
    wire::holdings::Holdings,
};

const START: Duration = Duration::ZERO;

/// A node with `peers` peers, numbered from 1.
fn node_with(peers: u32, config: GossipConfig) -> Node {
    let mut node = Node::new(0, config, GossipSnapshot::default(), at(START));
    for number in 1..=peers {
        node.up(at(START), peer(number));
    }
    node
}

/// It asks for what is announced as soon as it can.
fn has_pushes_before_announcements(node: &mut Node) {
    for sequence in 0..2_000 {
        node.gossip.wanted.handle_push(&MessageKey { sender: peer(7), sequence });
    }
}

fn peer(number: u32) -> NodeId {
    identity(number).node_id()
}

fn holdings(sender: NodeId, numbers: impl IntoIterator<Item = u64>) -> Holdings {
    let mut holdings = Holdings::new();
    for number in numbers {
        holdings.insert(sender, number);
    }
    holdings
}

fn pushed(sent: &Sent) -> Vec<(NodeId, u8)> {
    let push = |(to, message): &(NodeId, GossipMessage)| match message {
        GossipMessage::Gossip(ttl, _) => Some((*to, *ttl)),
        _ => None,
    };
    sent.iter().filter_map(push).collect()
}

fn told(sent: &Sent) -> Vec<NodeId> {
    let have = |(_, message): &&(NodeId, GossipMessage)| matches!(message, GossipMessage::IHave(_));
    sent.iter().filter(have).map(|(to, _)| *to).collect()
}

#[test]
fn the_oldest_that_is_missing_is_named_in_every_question_about_its_sender_while_time_passes() {
    let millis = Duration::from_millis;
    let mut node = node_with(2, config());
    has_pushes_before_announcements(&mut node);
    let mut question = |when: Duration, of: NodeId, number: u64| {
        node.hear(at(when), peer(1), GossipMessage::IHave(holdings(of, [number])));
        asked(&node.pass(when, when + millis(99)))
    };
    let all = |of: NodeId, numbers: &[u64]| vec![(peer(1), holdings(of, numbers.to_vec()))];
    assert_eq!(question(START, peer(9), 3), all(peer(9), &[3]));
    assert_eq!(question(START + millis(100), peer(9), 7), all(peer(9), &[7]), "it was just named");
    assert_eq!(question(START + millis(300), peer(8), 1), all(peer(8), &[1]), "of somebody else");
    assert_eq!(question(START + millis(400), peer(9), 5), all(peer(9), &[3, 5]));
    assert_eq!(question(START + millis(500), peer(9), 6), all(peer(9), &[6]), "it was just named");
    assert_eq!(question(START + millis(700), peer(9), 2), all(peer(9), &[2]), "the oldest is new");
}

fn asked(sent: &Sent) -> Vec<(NodeId, Holdings)> {
    let want = |(to, message): &(NodeId, GossipMessage)| match message {
        GossipMessage::IWant(wanted) => Some((*to, wanted.clone())),
        _ => None,
    };
    sent.iter().filter_map(want).collect()
}

#[test]
fn where_answers_take_longer_than_a_second_they_are_waited_for() {
    let mut node = node_with(2, config());
    let (slow, took) = (peer(1), Duration::from_millis(1_400));
    let mut now = START;
    for number in 0..20 {
        for holder in [slow, peer(2)] {
            let news = holdings(identity(9).node_id(), [number]);
            node.hear(at(now), holder, GossipMessage::IHave(news));
        }
        let answered = now + WANT_DELAY + took;
        let asked = asked(&node.pass(now, answered));
        let in_vain = if number < 5 { 2 } else { 1 };
        assert!((1..=in_vain).contains(&asked.len()), "{number}: {asked:?}");
        let answer = say(&identity(9), number, b"news");
        node.hear(at(answered), slow, GossipMessage::Gossip(0, answer.claim().clone()));
        now = answered;
    }
    assert!(node.gossip.counters().iwant_timeouts >= 1, "it has to be learned");
    // Whoever keeps silent is waited for no longer than that.
    for holder in [slow, peer(2)] {
        let news = holdings(identity(9).node_id(), [100]);
        node.hear(at(now), holder, GossipMessage::IHave(news));
    }
    let asked = asked(&node.pass(now, now + WANT_DELAY + WANT_TIMEOUT_MOST));
    assert_eq!(asked.iter().map(|(whom, _)| *whom).collect::<Vec<_>>(), [slow, peer(2)]);
}

#[test]
fn an_author_who_sends_a_message_later_than_others_hears_that_it_is_known() {
    let mut node = node_with(4, GossipConfig { fanout: 1, ..config() });
    let message = say(&identity(1), 7, b"x").claim().clone();
    node.hear(at(START), peer(2), GossipMessage::Gossip(0, message.clone()));
    let first = told(&node.pass(START, ANNOUNCE_ROUND));
    assert!(!first.contains(&peer(1)), "who wrote it has it");
    let later = 2 * ANNOUNCE_ROUND;
    node.hear(at(later), peer(1), GossipMessage::Gossip(0, message));
    assert_eq!(told(&node.pass(later, later + ANNOUNCE_ROUND)), [peer(1)]);
}

#[test]
fn an_announcement_tells_of_another_way_although_a_list_of_everything_came_before_it() {
    let mut node = node_with(2, config());
    for number in 0..8 {
        let message = say(&identity(9), number, b"x").claim().clone();
        node.hear(at(START), peer(2), GossipMessage::Gossip(0, message));
    }
    let of = identity(9).node_id();
    let comparison = Comparison::new(at(START).mono);
    node.gossip.links.get_mut(&peer(1)).unwrap().comparison = Some(comparison);
    node.hear(at(START), peer(1), GossipMessage::IHave(holdings(of, 0..8)));
    assert_eq!(node.had, [], "whoever compares names what it has from us, too");
    node.hear(at(START), peer(1), GossipMessage::IHave(holdings(of, [7])));
    assert_eq!(node.had, [peer(1)]);
}

#[test]
fn a_comparison_that_is_not_answered_remembers_nothing_once_it_is_over() {
    let mut node = node_with(1, config());
    let other = identity(9);
    node.gossip.links.get_mut(&peer(1)).unwrap().comparison = Some(Comparison::new(at(START).mono));
    node.hear(at(START), peer(1), GossipMessage::Gossip(0, say(&other, 7, b"x").claim().clone()));
    let seven = || GossipMessage::IHave(holdings(other.node_id(), [7]));
    let remembers = |node: &Node| node.gossip.links[&peer(1)].comparison.is_some();
    node.hear(at(SYNC_TIMEOUT.saturating_sub(Duration::from_micros(1))), peer(1), seven());
    assert!(remembers(&node));
    node.hear(at(SYNC_TIMEOUT), peer(1), seven());
    assert!(!remembers(&node));
}

#[test]
fn storage_keeps_no_more_floors_than_the_node_does() {
    let somebody = |n: usize| {
        let mut id = [1; 32];
        id[..8].copy_from_slice(&u64::try_from(n).unwrap().to_be_bytes());
        NodeId::from_bytes(id)
    };
    let floors: Vec<_> = (0..MAX_SENDERS + 5).map(|n| (somebody(n), 7)).collect();
    let remembered = GossipSnapshot { messages: vec![], floors: floors.clone() };
    let mut node = Node::new(0, GossipConfig { cache_size: 1, ..config() }, remembered, at(START));
    node.floors = floors.into_iter().collect();
    node.up(at(START), peer(1));
    for number in 0..3 {
        let message = say(&identity(9), number, b"news");
        node.hear(at(START), peer(1), GossipMessage::Gossip(0, message.claim().clone()));
    }
    assert_eq!(node.floors.len(), MAX_SENDERS);
    assert_eq!(node.floors.get(&peer(9)), Some(&2), "who was heard is not forgotten");
}

#[test]
fn our_own_message_is_pushed_over_eager_links_and_announced_over_lazy_ones() {
    let mut node = node_with(10, config());
    let message = say(&node.identity, 0, b"news");
    let mut reached: Vec<NodeId> = Vec::new();
    let pushes = pushed(&node.publish(at(START), message));
    assert_eq!(pushes.len(), 3);
    assert!(pushes.iter().all(|(_, ttl)| *ttl == config().ttl - 1));
    let news = told(&node.pass(START, ANNOUNCE_ROUND));
    assert_eq!(news.len(), 7);
    reached.extend(pushes.iter().map(|(to, _)| *to).chain(news));
    reached.sort_unstable();
    reached.dedup();
    assert_eq!(reached.len(), 10, "nobody twice");
    assert_eq!(node.delivered, [], "we know what we said");
}

#[test]
fn nothing_goes_back_to_who_has_it() {
    let mut node = node_with(5, GossipConfig { fanout: 1, ..config() });
    let message = say(&identity(5), 0, b"news");
    // Peer 2 brings what peer 5 said, and the only eager link is that of peer 1; peers 3 and 4
    // announce it before we do.
    let sent = node.hear(at(START), peer(2), GossipMessage::Gossip(5, message.claim().clone()));
    assert_eq!(pushed(&sent), [(peer(1), 4)]);
    for number in [3, 4] {
        node.hear(at(START), peer(number), GossipMessage::IHave(holdings(peer(5), [0])));
    }
    assert_eq!(told(&node.pass(START, ANNOUNCE_ROUND)), []);
    assert_eq!(node.delivered, [(peer(5), 0)]);
    assert_eq!(node.observed, [], "what a newcomer says first is nobody's merit");
    let next = say(&identity(5), 1, b"news");
    node.hear(at(START), peer(2), GossipMessage::Gossip(5, next.claim().clone()));
    assert_eq!(node.observed, [(peer(2), Observation::ValidMessage)]);
}

#[test]
fn hops_that_run_out_end_pushing_and_not_the_message() {
    let mut node = node_with(6, config());
    let message = say(&identity(9), 0, b"news");
    let sent = node.hear(at(START), peer(1), GossipMessage::Gossip(0, message.claim().clone()));
    assert_eq!(pushed(&sent), []);
    assert_eq!(told(&node.pass(START, ANNOUNCE_ROUND)).len(), 5);
}

#[test]
fn one_announcement_carries_many_messages() {
    let mut node = node_with(5, GossipConfig { fanout: 1, ..config() });
    for number in 0..100 {
        let message = say(&node.identity, number, b"");
        node.publish(at(START), message);
    }
    let sent = node.pass(START, ANNOUNCE_ROUND);
    assert_eq!(told(&sent).len(), 4, "one list a lazy link");
    assert_eq!(node.gossip.counters().ihave_sent, 400);
}

#[test]
fn banned_peers_are_told_nothing() {
    let mut node = node_with(2, config());
    let until = WallTime::from_unix_micros(u64::MAX);
    node.standings.set(peer(2), PeerTrust { score: 0.0, banned_until: Some(until) });
    let message = say(&identity(9), 0, b"news");
    let sent = node.hear(at(START), peer(1), GossipMessage::Gossip(9, message.claim().clone()));
    assert_eq!(pushed(&sent), []);
    let sent = node.pass(START, Duration::from_secs(10));
    assert!(sent.iter().all(|(to, _)| *to != peer(2)));
    assert!(!sent.is_empty());
}

#[test]
fn an_announced_message_is_asked_for_once_and_served_once() {
    let mut node = node_with(3, config());
    let said: Vec<_> = (0..3).map(|number| say(&identity(9), number, b"news")).collect();
    for number in 1..=3 {
        node.hear(at(START), peer(number), GossipMessage::IHave(holdings(peer(9), 0..3)));
    }
    let questions = asked(&node.pass(START, WANT_DELAY));
    assert_eq!(questions.len(), 1);
    assert_eq!(questions[0].1, holdings(peer(9), 0..3));
    for message in &said {
        node.hear(
            at(WANT_DELAY),
            questions[0].0,
            GossipMessage::Gossip(0, message.claim().clone()),
        );
    }
    assert_eq!(node.delivered.len(), 3);
    let later = node.pass(WANT_DELAY, Duration::from_secs(30));
    assert_eq!(asked(&later), []);
    assert_eq!(told(&later), [], "all three have them");
    assert_eq!(node.gossip.counters().iwant_timeouts, 0);

    let wanted = holdings(peer(9), [1, 7]);
    let served = node.hear(at(Duration::from_secs(30)), peer(2), GossipMessage::IWant(wanted));
    assert_eq!(pushed(&served), [(peer(2), 0)]);
}

#[test]
fn when_a_holder_goes_down_the_next_is_asked_at_once() {
    let mut node = node_with(3, config());
    for number in 1..=2 {
        node.hear(at(START), peer(number), GossipMessage::IHave(holdings(peer(9), [0])));
    }
    let questions = asked(&node.pass(START, WANT_DELAY));
    assert_eq!(questions[0].0, peer(1));
    assert_eq!(asked(&node.down(at(WANT_DELAY), peer(1)))[0].0, peer(2));
    assert_eq!(asked(&node.down(at(WANT_DELAY), peer(2))), []);
    assert_eq!(node.observed, [], "who left is not to blame");
    assert_eq!(asked(&node.pass(WANT_DELAY, 2 * WANT_TIMEOUT)), []);
}

#[test]
fn a_message_without_room_for_its_check_is_asked_for_again() {
    let mut node = node_with(2, config());
    let message = say(&identity(9), 0, b"news");
    let claim = message.claim().clone();
    let mut out = std::collections::VecDeque::new();
    let push = GossipMessage::Gossip(3, claim.clone());
    node.gossip.handle_message(at(START), peer(1), push, &node.standings, &mut out);
    node.gossip.handle_unchecked(at(START), peer(1), &claim, &mut out);
    let questions = asked(&node.pass(START, WANT_DELAY));
    assert_eq!(questions, [(peer(1), holdings(peer(9), [0]))]);
    node.hear(at(WANT_DELAY), peer(1), GossipMessage::Gossip(0, claim));
    assert_eq!(node.delivered, [(peer(9), 0)]);
    assert_eq!(node.gossip.counters().forged, 0);
}

#[test]
fn while_an_answer_is_checked_nobody_else_is_asked() {
    let mut node = node_with(2, config());
    for number in 1..=2 {
        node.hear(at(START), peer(number), GossipMessage::IHave(holdings(peer(9), [0])));
    }
    node.pass(START, WANT_DELAY);
    let message = say(&identity(9), 0, b"news");
    let almost = WANT_DELAY + WANT_TIMEOUT - Duration::from_millis(1);
    let mut out = std::collections::VecDeque::new();
    let push = GossipMessage::Gossip(0, message.claim().clone());
    node.gossip.handle_message(at(almost), peer(1), push, &node.standings, &mut out);
    assert_eq!(asked(&node.pass(almost, WANT_DELAY + WANT_TIMEOUT)), []);
    assert_eq!(node.observed, []);
    assert_eq!(node.gossip.counters().iwant_timeouts, 0);
}

#[test]
fn what_we_said_in_an_earlier_life_is_kept_and_not_news_to_us() {
    let mut node = node_with(5, config());
    let ours = say(&node.identity, 3, b"said before the disk was lost");
    node.hear(at(START), peer(1), GossipMessage::Gossip(2, ours.claim().clone()));
    assert_eq!(node.delivered, []);
    assert_eq!(node.gossip.kept().0, 1);
}

#[test]
fn what_a_sender_says_the_time_is_decides_nothing() {
    let mut node = node_with(1, config());
    let times = [WallTime::default(), WallTime::from_unix_micros(u64::MAX)];
    for (number, timestamp) in (0..).zip(times) {
        let message = say_at(&identity(9), number, b"", timestamp);
        node.hear(at(START), peer(1), GossipMessage::Gossip(0, message.claim().clone()));
    }
    assert_eq!(node.delivered, [(peer(9), 0), (peer(9), 1)]);
}

#[test]
fn messages_leave_when_they_are_old_and_never_come_back() {
    let mut node = node_with(1, config());
    let old = say(&identity(9), 5, b"");
    let push = GossipMessage::Gossip(0, old.claim().clone());
    node.hear(at(START), peer(1), push.clone());
    let half = RETENTION_AGE / 2;
    let young = say(&identity(9), 6, b"");
    node.hear(at(half), peer(1), GossipMessage::Gossip(0, young.claim().clone()));

    node.pass(half, RETENTION_AGE);
    assert_eq!(node.gossip.holdings(), holdings(peer(9), [6]));
    assert_eq!(node.floors[&peer(9)], 6);
    node.hear(at(RETENTION_AGE), peer(1), push);
    let earlier = say(&identity(9), 4, b"");
    node.hear(at(RETENTION_AGE), peer(1), GossipMessage::Gossip(0, earlier.claim().clone()));
    let both = node.hear(at(RETENTION_AGE), peer(1), GossipMessage::IHave(holdings(peer(9), 0..7)));
    assert_eq!(asked(&both), []);
    assert_eq!(asked(&node.pass(RETENTION_AGE, RETENTION_AGE + WANT_DELAY)), []);
    assert_eq!(node.delivered, [(peer(9), 5), (peer(9), 6)]);
    assert_eq!(node.gossip.counters().stale, 2);
    assert_eq!(node.gossip.counters().evicted, 1);
}

#[test]
fn the_same_seed_does_the_same() {
    let run = || {
        let mut node = node_with(20, config());
        let message = say(&node.identity, 0, b"news");
        let mut sent = node.publish(at(START), message);
        sent.extend(node.pass(START, Duration::from_secs(20)));
        sent
    };
    assert_eq!(run(), run());
}

#[test]
fn a_message_is_announced_to_whoever_sends_it_besides_and_not_to_whom_it_is_from() {
    let mut node = node_with(6, GossipConfig { fanout: 1, ..config() });
    let message = say(&identity(9), 0, b"news");
    let push = || GossipMessage::Gossip(3, message.claim().clone());
    let pushed = pushed(&node.hear(at(START), peer(2), push()));
    assert_eq!(pushed, [(peer(1), 2)]);
    for other in [3, 4] {
        node.hear(at(START), peer(other), push());
    }
    let told = told(&node.pass(START, ANNOUNCE_ROUND));
    assert!([3, 4].iter().all(|other| told.contains(&peer(*other))), "{told:?}");
    assert!(!told.contains(&peer(2)) && !told.contains(&peer(1)), "{told:?}");
}
