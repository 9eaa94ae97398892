//! Stories of traces: nodes that play one message by hand, and what becomes of questions for it.

use std::collections::{BTreeMap, VecDeque};

use super::{
    AskTraceError, Loss, MessageTrace, NetworkTrace, PendingAsk, TraceAnswer, TraceConfig,
    TraceEffect, TraceMessage, TraceOrder, TraceSum, TraceTag, Traces,
};
use crate::{
    id::{MessageId, NetworkId, NodeId},
    identity::{Identity, Signed},
    journey::{CameFrom, DropReason, Dropped, Forwarding, JourneyStep, Nth, Origin},
    limits::{
        LEAST_PLAUSIBLE_NODES, MAX_DIRECT_JOURNEYS, MAX_JOURNEY_BYTES, MAX_JOURNEY_STEPS,
        MAX_JOURNEYS, MAX_TRACE_ANSWER, MAX_TRACE_ASKS_PER_PEER, MAX_TRACE_DEPTH,
        MAX_TRACES_PER_INTERVAL, TRACE_INTERVAL, TRACED_FOR,
    },
    misbehavior::Misbehavior,
    rng::Seed,
    time::{Duration, Instant, Now, WallTime},
    wire::message::{AppMessage, Audience, Envelope, RoomMessage as _},
};

const MESSAGE: MessageId = MessageId::from_bytes([7; 32]);
/// One way over any link.
const WAY: u64 = 10;

fn network() -> NetworkId {
    NetworkId::from_name("trace tests")
}

fn identity(number: u8) -> Identity {
    Identity::from_seed([number; 32])
}

fn id(number: u8) -> NodeId {
    identity(number).node_id()
}

fn at(millis: u64) -> Now {
    let time = Duration::from_millis(millis);
    Now { mono: Instant::ORIGIN + time, wall: WallTime::from_unix_micros(1 << 50) + time }
}

fn order(of: u8, message: MessageId, millis: u64) -> TraceOrder {
    let at = at(millis).wall;
    TraceOrder { sender: *identity(of).public_key(), message, at }
}

fn ask(of: u8, message: MessageId, millis: u64) -> TraceMessage {
    let order = identity(of).sign(order(of, message, millis), &network()).claim().clone();
    TraceMessage::Ask { hops: MAX_TRACE_DEPTH, order }
}

/// One machine: node 0 wrote the message.
fn machine(number: u8, config: TraceConfig) -> Traces {
    let rng = Seed::from_number(u64::from(number)).stream("trace");
    Traces::new(config, id(number), network(), rng)
}

fn took(of: u8, message: MessageId, arrival: CameFrom) -> JourneyStep {
    let (sender, sequence) = (id(of), 3);
    JourneyStep::Taken(Origin { id: message, sender, sequence, arrival, also: Vec::new() })
}

/// A node that has the message of node 0 from `parent` and sent it to `children`.
fn has(number: u8, parent: u8, children: &[u8]) -> Traces {
    has_and_says(number, parent, children, TraceConfig { answer: true, name: true })
}

fn has_and_says(number: u8, parent: u8, children: &[u8], says: TraceConfig) -> Traces {
    let mut node = machine(number, says);
    let heard = CameFrom::Heard { from: id(parent), at: at(100).mono, asked: false };
    let arrival = if parent == number { CameFrom::Own } else { heard };
    node.handle_step(at(100), Nth(1), took(0, MESSAGE, arrival));
    let to = children.iter().map(|child| id(*child)).collect();
    node.handle_step(at(103), Nth(1), JourneyStep::Forwarded { to, how: Forwarding::Push });
    for peer in [parent].iter().chain(children) {
        node.peer_up(at(0), id(*peer));
    }
    node
}

/// Gives signatures their verdicts, and takes what else came out.
fn settle(node: &mut Traces, now: Now, mut out: VecDeque<TraceEffect>) -> Vec<TraceEffect> {
    let mut rest = Vec::new();
    while let Some(effect) = out.pop_front() {
        match effect {
            TraceEffect::Verify(PendingAsk { from, hops, arrived, order }) => {
                let verdict = order.job(&network()).run();
                match order.accept(verdict) {
                    Some(order) => {
                        node.handle_verified(now, (from, hops, arrived), &order, &mut out);
                    }
                    None => node.handle_refuted(from, &mut out),
                }
            }
            other => rest.push(other),
        }
    }
    rest
}

fn hear(node: &mut Traces, now: Now, from: NodeId, message: TraceMessage) -> Vec<TraceEffect> {
    let mut out = VecDeque::new();
    let rtt = Some(Duration::from_millis(2 * WAY));
    node.handle_message(now, from, message, (rtt, 10), &mut out);
    settle(node, now, out)
}

fn wake(node: &mut Traces, now: Now) -> Vec<TraceEffect> {
    let mut out = VecDeque::new();
    node.handle_timeout(now, &mut out);
    settle(node, now, out)
}

/// The answer that came out, if nothing else did.
fn answer(effects: &[TraceEffect]) -> Option<(NodeId, TraceAnswer)> {
    let [TraceEffect::Send { to, message: TraceMessage::Answer { answer, .. } }] = effects else {
        return None;
    };
    Some((*to, answer.clone()))
}

fn wrong(peer: u8, what: Misbehavior) -> [TraceEffect; 1] {
    [TraceEffect::Misbehaved { peer: id(peer), what }]
}

fn asked(effects: &[TraceEffect]) -> Vec<NodeId> {
    let asks = effects.iter().filter_map(|effect| match effect {
        TraceEffect::Send { to, message: TraceMessage::Ask { .. } } => Some(*to),
        _ => None,
    });
    asks.collect()
}

fn tag(of: u8, millis: u64) -> TraceTag {
    let order = identity(of).sign(order(of, MESSAGE, millis), &network());
    TraceTag::of(order.id())
}

fn sum_of(reached: u32) -> TraceAnswer {
    let mut sum = TraceSum::of_itself(TraceConfig::default());
    sum.reached = reached;
    sum.depths[0] = reached;
    sum.sample = vec![sum.sample[0]; usize::try_from(reached).unwrap().min(48)];
    TraceAnswer::Sum { age: 0, held: 0, sum: Box::new(sum) }
}

fn start(node: &mut Traces, millis: u64) -> Vec<TraceEffect> {
    let order = identity(0).sign(order(0, MESSAGE, millis), &network());
    assert_eq!(node.may_ask(at(millis), &MESSAGE), Ok(()));
    let mut out = VecDeque::new();
    node.ask(at(millis), &order, 10, &mut out);
    settle(node, at(millis), out)
}

fn report(node: &Traces, millis: u64) -> NetworkTrace {
    node.trace(at(millis), &MESSAGE).unwrap().network.unwrap()
}

/// Plays messages between nodes, each [`WAY`] long, until there are none, and returns how many.
fn play(nodes: &mut BTreeMap<NodeId, Traces>, first: NodeId, out: Vec<TraceEffect>) -> usize {
    let mut under_way = VecDeque::new();
    let (mut now, mut count) = (1000, 0);
    under_way.extend(out.into_iter().map(|effect| (now, first, effect)));
    while let Some((sent, from, effect)) = under_way.pop_front() {
        let TraceEffect::Send { to, message } = effect else { panic!("{effect:?}") };
        count += 1;
        now = sent + WAY;
        let encoded = message.encode();
        assert!(encoded.len() <= MAX_TRACE_ANSWER);
        let message = Envelope::open(encoded).and_then(|envelope| envelope.read(to)).unwrap();
        let node = nodes.get_mut(&to).unwrap();
        let effects = hear(node, at(now), from, message);
        under_way.extend(effects.into_iter().map(|effect| (now, to, effect)));
    }
    count
}

#[test]
fn the_way_of_a_message_through_a_node_is_remembered_step_by_step() {
    let mut node = has(5, 1, &[2, 3]);
    let announced = JourneyStep::Forwarded { to: vec![id(4)], how: Forwarding::Announce };
    node.handle_step(at(108), Nth(1), announced);
    node.handle_step(at(110), Nth(1), JourneyStep::Repeated(id(3)));
    node.handle_step(at(111), Nth(1), JourneyStep::NotSent(id(2)));
    let served = JourneyStep::Forwarded { to: vec![id(4)], how: Forwarding::Serve };
    node.handle_step(at(130), Nth(1), served);
    let dropped =
        Dropped { sender: id(0), sequence: 3, id: None, from: id(9), why: DropReason::Forged };
    node.handle_dropped(at(50), dropped);

    let MessageTrace { local, dropped, network, sender, .. } =
        node.trace(at(1100), &MESSAGE).unwrap();
    let local = local.unwrap();
    assert_eq!((sender, local.own, local.from, local.how), (id(0), false, Some(id(1)), "push"));
    assert_eq!((local.duplicates, &*local.duplicates_from), (1, &[id(3)][..]));
    assert!((local.age_s - 1.0).abs() < 1e-9, "{}", local.age_s);
    let went = local.forwarded.iter();
    let went = went.map(|step| (step.peer, step.how, step.after_ms, step.had_it, step.not_sent));
    assert!(went.eq([
        (id(2), Forwarding::Push, 3.0, false, true),
        (id(3), Forwarding::Push, 3.0, true, false),
        (id(4), Forwarding::Announce, 8.0, false, false),
        (id(4), Forwarding::Serve, 30.0, false, false),
    ]));
    let dropped = dropped.unwrap();
    assert_eq!((dropped.reason, dropped.from, dropped.times), (DropReason::Forged, id(9), 1));
    assert_eq!(network, None);
    assert_eq!(local.at, "2005-09-05T05:58:26.942624Z");
    assert!(node.trace(at(1100), &MessageId::from_bytes([8; 32])).is_none());
}

#[test]
fn whatever_is_told_of_messages_their_memory_is_bounded_and_the_oldest_give_way() {
    let mut node = machine(1, TraceConfig::default());
    let name = |n: u64| {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&n.to_be_bytes());
        bytes
    };
    let peer = |n: u64| NodeId::from_bytes(name(n));
    let last = 3 * MAX_JOURNEYS as u64;
    for n in 1..=last {
        let message = MessageId::from_bytes(name(n));
        let heard = CameFrom::Heard { from: peer(1), at: at(n).mono, asked: true };
        node.handle_step(at(n), Nth(n), took(0, message, heard));
        // Few steps of the first, and more than fit of the last.
        let steps = if n > 2 * MAX_JOURNEYS as u64 { 3 * MAX_JOURNEY_STEPS as u64 } else { 16 };
        let to = (0..steps).map(peer).collect();
        node.handle_step(at(n), Nth(n), JourneyStep::Forwarded { to, how: Forwarding::Push });
        let levels = node.levels();
        assert!(levels.journey_bytes.used <= MAX_JOURNEY_BYTES as u64, "{levels:?}");
        assert!(levels.journeys.used <= (MAX_JOURNEYS + MAX_DIRECT_JOURNEYS) as u64);
        if n == 2 * MAX_JOURNEYS as u64 {
            let directs = MAX_DIRECT_JOURNEYS as u64;
            assert_eq!(levels.journeys.used - directs, MAX_JOURNEYS as u64, "16 steps of each fit");
        }
        let dropped = Dropped {
            sender: peer(n),
            sequence: n,
            id: None,
            from: peer(1),
            why: DropReason::Stale,
        };
        node.handle_dropped(at(n), dropped);
        let said = AppMessage {
            sender: *identity(9).public_key(),
            audience: Audience::Node(id(1)),
            sequence: n,
            timestamp: WallTime::default(),
            payload: bytes::Bytes::new(),
        };
        if n <= 2 * MAX_DIRECT_JOURNEYS as u64 {
            let said = identity(9).sign(said, &network());
            node.handle_direct(at(n), &said, n.is_multiple_of(2).then_some(peer(2)));
        }
    }
    let counters = node.counters();
    assert!(counters.journeys_forgotten > 2 * MAX_JOURNEYS as u64 && counters.steps_untold > 0);
    let known = |n: u64| node.trace(at(last), &MessageId::from_bytes(name(n))).is_some();
    assert_eq!((known(1), known(last)), (false, true));
    // A step of a message that is forgotten, or that this process never took, changes nothing.
    node.handle_step(at(last), Nth(1), JourneyStep::Repeated(peer(1)));
    node.handle_step(at(last), Nth::default(), JourneyStep::Repeated(peer(1)));
    assert_eq!(node.counters(), counters);
}

fn origin(message: MessageId) -> Origin {
    let (sender, arrival) = (id(0), CameFrom::Own);
    Origin { id: message, sender, sequence: 0, arrival, also: Vec::new() }
}

#[test]
fn a_trace_adds_up_the_tree_and_costs_two_messages_an_edge() {
    // 0 -> 1, 2; 1 -> 3, 4; 2 -> 4, which has it from 1; 3 -> 5
    let tree: [(u8, u8, &[u8]); 6] =
        [(0, 0, &[1, 2]), (1, 0, &[3, 4]), (2, 0, &[4]), (3, 1, &[5]), (4, 1, &[]), (5, 3, &[])];
    let nodes = tree.map(|(number, parent, children)| (id(number), has(number, parent, children)));
    let mut nodes = BTreeMap::from(nodes);
    nodes.get_mut(&id(4)).unwrap().peer_up(at(0), id(2));
    let out = start(nodes.get_mut(&id(0)).unwrap(), 1000);
    let messages = play(&mut nodes, id(0), out);
    assert_eq!(messages, 2 * 5 + 2, "and two with whom has it from somebody else");
    let report = report(&nodes[&id(0)], 2000);
    assert_eq!((report.state, report.reached, report.declined, report.silent), ("done", 6, 0, 0));
    assert_eq!(report.by_depth, [1, 2, 2, 1]);
    assert_eq!(report.hold_ms.buckets[2], 5, "3 ms each: {:?}", report.hold_ms.buckets);
    // Every node has it at the same moment by the test's clocks: what a way takes is the least.
    let hops: Vec<_> = report.sample.iter().map(|node| node.hop_ms).collect();
    assert_eq!(hops[0], None, "no hop leads to the sender");
    assert!(hops[1..].iter().all(|hop| *hop == Some(13.0)), "{hops:?}");
    let origins = report.sample.iter().map(|node| node.origin);
    assert!(origins.eq([true, false, false, false, false, false]));
    let parents: Vec<_> = report.sample.iter().map(|node| node.parent).collect();
    assert_eq!(parents.iter().flatten().count(), 5, "{parents:?}");
    assert!((report.delay_ms.max - 39.0).abs() < 1e-9, "{:?}", report.delay_ms);
}

#[test]
fn who_declines_is_counted_and_passes_on_what_others_say() {
    let mut nodes = BTreeMap::from(
        [(0, 0, &[1][..]), (1, 0, &[2]), (2, 1, &[])].map(|(n, p, c)| (id(n), has(n, p, c))),
    );
    let says = TraceConfig { answer: false, name: true };
    nodes.insert(id(1), has_and_says(1, 0, &[2], says));
    let out = start(nodes.get_mut(&id(0)).unwrap(), 1000);
    play(&mut nodes, id(0), out);
    let report = report(&nodes[&id(0)], 2000);
    assert_eq!((report.reached, report.declined, report.silent), (2, 1, 0));
    assert_eq!(report.by_depth, [1, 0, 1]);
    let named: Vec<_> = report.sample.iter().filter_map(|node| node.id.clone()).collect();
    assert_eq!(named, [id(0), id(2)].map(|id| id.to_string()[..12].to_owned()));
    assert_eq!(report.sample[1].parent, None, "who declines is not named by its children");
}

#[test]
fn who_does_not_answer_is_silent_and_who_left_is_gone() {
    let mut node = has(0, 0, &[1, 2, 3, 4]);
    let mut out = VecDeque::new();
    node.peer_down(at(999), id(1), &mut out);
    assert_eq!(asked(&start(&mut node, 1000)).len(), 3);
    node.peer_down(at(1001), id(4), &mut out);
    hear(&mut node, at(1002), id(2), TraceMessage::Answer { tag: tag(0, 1000), answer: sum_of(1) });
    assert_eq!(report(&node, 1003).state, "asking");
    let due = node.poll_timeout().unwrap();
    assert!(due >= at(1000 + 2000).mono && due <= at(1000 + 12_000).mono, "{due:?}");
    assert_eq!(wake(&mut node, at(13_000)), []);
    let report = report(&node, 13_000);
    assert_eq!((report.state, report.reached), ("done", 2));
    assert_eq!((report.silent, report.lost.gone), (2, 1));
    assert_eq!(node.counters().silent, 2);
    // It answers at last: too late, and no offence.
    let late = TraceMessage::Answer { tag: tag(0, 1000), answer: sum_of(1) };
    assert_eq!(hear(&mut node, at(13_001), id(3), late), []);
    assert_eq!(node.counters().answers_late, 1);
}

#[test]
fn nobody_but_its_sender_traces_a_message_and_not_often() {
    let mut node = has(0, 0, &[1]);
    start(&mut node, 1000);
    let again_in = TRACE_INTERVAL - Duration::from_secs(1);
    assert_eq!(node.may_ask(at(2000), &MESSAGE), Err(AskTraceError::TooOften { again_in }));
    let (old, unknown) = (at(100), MessageId::from_bytes([8; 32]));
    let old = u64::try_from((TRACED_FOR + Duration::from_secs(1)).as_millis()).unwrap()
        + old.mono.as_micros() / 1000;
    assert_eq!(node.may_ask(at(old), &MESSAGE), Err(AskTraceError::TooOld));
    assert_eq!(node.may_ask(at(old), &unknown), Err(AskTraceError::Unknown));
    assert_eq!(has(1, 0, &[]).may_ask(at(1000), &MESSAGE), Err(AskTraceError::NotOurs));

    // Another one signs for it: whoever passes that on sees it.
    let mut node = has(1, 0, &[2]);
    let stolen = ask(9, MESSAGE, 1000);
    assert_eq!(hear(&mut node, at(1000), id(0), stolen), wrong(0, Misbehavior::ProtocolViolation));
    // A forged signature.
    let TraceMessage::Ask { hops, order: good } = ask(0, MESSAGE, 1000) else { panic!("an ask") };
    let forged = Signed::new(order(0, MESSAGE, 1001), *good.signature());
    let forged = TraceMessage::Ask { hops, order: forged };
    assert_eq!(hear(&mut node, at(1000), id(0), forged), wrong(0, Misbehavior::ForgedSignature));
    // Somebody it does not have the message from.
    let stranger = hear(&mut node, at(1000), id(2), ask(0, MESSAGE, 1000));
    assert_eq!(answer(&stranger), Some((id(2), TraceAnswer::NotYours)));
    // None of that kept the sender from its trace.
    assert_eq!(asked(&hear(&mut node, at(1000), id(0), ask(0, MESSAGE, 1000))), [id(2)]);
    // The same again is not answered again, and another one so soon is too much.
    assert_eq!(hear(&mut node, at(1001), id(0), ask(0, MESSAGE, 1000)), []);
    assert_eq!(node.counters().asks_replayed, 1);
    let soon = hear(&mut node, at(1002), id(0), ask(0, MESSAGE, 1002));
    assert_eq!(answer(&soon), Some((id(0), TraceAnswer::Busy)));
    // What is too old is forgotten.
    let late = hear(&mut node, at(old), id(0), ask(0, MESSAGE, old));
    assert_eq!(answer(&late), Some((id(0), TraceAnswer::Forgotten)));
}

#[test]
fn a_node_takes_part_in_a_few_traces_and_looks_at_not_many_more_questions() {
    let mut node = machine(200, TraceConfig::default());
    node.peer_up(at(0), id(1));
    let senders = 0..2 * u8::try_from(MAX_TRACES_PER_INTERVAL).unwrap();
    let message = |of: u8| MessageId::from_bytes([of; 32]);
    for of in senders.clone() {
        let heard = CameFrom::Heard { from: id(1), at: at(100).mono, asked: false };
        let origin = Origin { sender: id(of), arrival: heard, ..origin(message(of)) };
        node.handle_step(at(100), Nth(u64::from(of) + 1), JourneyStep::Taken(origin));
    }
    let mut answered = 0;
    for of in senders.clone() {
        let (_, said) =
            answer(&hear(&mut node, at(1000), id(1), ask(of, message(of), 1000))).unwrap();
        match said {
            TraceAnswer::Sum { .. } => answered += 1,
            other => assert_eq!(other, TraceAnswer::Busy),
        }
    }
    assert_eq!(answered, MAX_TRACES_PER_INTERVAL);
    let mut asked = 2 * MAX_TRACES_PER_INTERVAL;
    while hear(&mut node, at(1000), id(1), ask(99, message(99), 1000))
        != wrong(1, Misbehavior::Flooding)
    {
        asked += 1;
    }
    assert_eq!(asked, MAX_TRACE_ASKS_PER_PEER);
}

#[test]
fn answers_that_nobody_asked_for_or_that_come_twice_are_held_against_who_sends_them() {
    let mut node = has(0, 0, &[1, 2]);
    let unasked = TraceMessage::Answer { tag: TraceTag([9; 16]), answer: sum_of(1) };
    let restarted = hear(&mut node, at(1000), id(1), unasked.clone());
    assert_eq!(restarted, [], "perhaps we asked before we started again");
    let later = hear(&mut node, at(60_000), id(1), unasked);
    assert_eq!(later, wrong(1, Misbehavior::ProtocolViolation));
    start(&mut node, 61_000);
    let said = TraceMessage::Answer { tag: tag(0, 61_000), answer: sum_of(1) };
    assert_eq!(hear(&mut node, at(61_020), id(1), said.clone()), []);
    let twice = hear(&mut node, at(61_021), id(1), said);
    assert_eq!(twice, wrong(1, Misbehavior::ProtocolViolation));
    assert_eq!(report(&node, 61_022).reached, 2);
}

#[test]
fn a_claim_of_more_nodes_than_there_can_be_is_cut_and_marked() {
    let mut node = has(0, 0, &[1, 2]);
    start(&mut node, 1000);
    let say = |answer| TraceMessage::Answer { tag: tag(0, 1000), answer };
    hear(&mut node, at(1020), id(1), say(sum_of(1_000_000)));
    hear(&mut node, at(1020), id(2), say(sum_of(1_000_000)));
    let report = report(&node, 1021);
    assert_eq!((report.state, report.implausible), ("done", true));
    let most = u32::try_from(LEAST_PLAUSIBLE_NODES).unwrap();
    assert!((most - 16..=most).contains(&report.reached), "both together: {}", report.reached);

    // Whatever is cut still fits itself, or whoever passes it on would be punished for it.
    let mut sum = TraceSum { declined: 900, reached: 70, ..TraceSum::default() };
    sum.depths = [1, 2, 3, 4, 5, 6, 7, 42, 0, 0, 0, 0, 0, 0, 0, 0];
    sum.holds[5] = 960;
    sum.lost[Loss::Gone as usize] = 1 << 29;
    sum.sample = vec![super::SampledNode::default(); 48];
    for most in [1, 2, 300, 1 << 20] {
        let mut cut = sum.clone();
        cut.cap(most);
        let answer = TraceAnswer::Sum { age: 1, held: 2, sum: Box::new(cut.clone()) };
        let message = TraceMessage::Answer { tag: TraceTag([1; 16]), answer };
        let back = Envelope::open(message.encode()).and_then(|it| it.read(id(1)));
        assert_eq!(back, Ok(message), "cut to {most}");
        assert!(cut.implausible && cut.nodes() <= u64::from(most).max(1));
    }
}

#[test]
fn sums_of_many_subtrees_fit_one_datagram_and_draw_each_node_equally_often() {
    let mut dice = Seed::from_number(5).stream("draw");
    let mut drawn = BTreeMap::<u32, usize>::new();
    for _ in 0..300 {
        let mut all = TraceSum::of_itself(TraceConfig { answer: true, name: true });
        for child in 0..10_u32 {
            let mut below = TraceSum::of_itself(TraceConfig::default());
            for leaf in 0..(child + 1) * 10 {
                let mut one = TraceSum::of_itself(TraceConfig::default());
                one.sample[0].total = child * 1000 + leaf;
                below.add_child(None, (&id(1), one), 0, &mut dice);
            }
            all.hold(Duration::from_millis(1));
            all.add_child(Some(&id(0)), (&id(2), below), 0, &mut dice);
        }
        assert_eq!((all.reached, all.sample.len()), (1 + 10 + 550, 48));
        for node in all.sample.iter().filter(|node| node.depth == 2) {
            *drawn.entry(node.total / 1000).or_default() += 1;
        }
        let answer = TraceAnswer::Sum { age: u32::MAX, held: u32::MAX, sum: Box::new(all) };
        let message = TraceMessage::Answer { tag: TraceTag([1; 16]), answer };
        assert!(message.encode().len() <= MAX_TRACE_ANSWER);
    }
    // Of a child with 100 leaves ten times as many as of one with 10.
    let of = |child: u32| drawn.get(&child).copied().unwrap_or_default();
    let ratio = of(9) as f64 / of(0) as f64;
    assert!((7.0..14.0).contains(&ratio), "{drawn:?}");
}

#[test]
fn what_a_hop_takes_is_counted_back_from_the_question_on_two_clocks_that_do_not_agree() {
    let mut node = has(0, 0, &[1, 2]);
    start(&mut node, 1000);
    let mut say = |child: u8, arrives: u64, age: u32, held: u32| {
        let mut sum = TraceSum::of_itself(TraceConfig::default());
        sum.named = true;
        let answer = TraceAnswer::Sum { age, held, sum: Box::new(sum) };
        let message = TraceMessage::Answer { tag: tag(0, 1000), answer };
        hear(&mut node, at(arrives), id(child), message);
    };
    // The message lay here for 3 ms, was lost and came after 250 ms: at 350; asked at 1010.
    say(1, 1025, 660_000, 5_000);
    // It came at once, and the question was lost: at 113; asked at 1210.
    say(2, 1220, 1_097_000, 0);
    let hops: Vec<_> = report(&node, 2000).sample.iter().map(|node| node.hop_ms).collect();
    assert_eq!(hops, [None, Some(13.0), Some(250.0)]);
}
