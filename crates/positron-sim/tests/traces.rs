//! Stories of traces: what the network reports of the way of a message, beside the way that it
//! really took.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use positron_proto::{
    id::MessageId,
    limits::{LEAST_PLAUSIBLE_NODES, MAX_TRACE_ANSWER, PLAUSIBLE_FACTOR},
    time::Duration,
    trace::{NetworkTrace, TraceCounters},
};
use positron_sim::{
    Adversary, Attack, Fault, Physics, Scenario, Seen, Selector, WayPoint, Workload, World,
};

/// Who says something, and asks where it went.
const SENDER: usize = 1;

/// Bytes of a question: type, hops, key, message, time, signature.
const QUESTION: u64 = 1 + 1 + 32 + 32 + 8 + 64;
/// Bytes of an answer that has no sum: type, tag, kind.
const REFUSAL: u64 = 1 + 16 + 1;

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A network in which a fifth says nothing of itself, and whatever is sent is lost now and then.
fn story(nodes: usize) -> Scenario {
    let mut story = Scenario::quiet("a message is traced", nodes, secs(120));
    story.physics = Physics { loss: 0.05, ..story.physics };
    story.declining = (0..nodes).filter(|node| node % 5 == 2).collect();
    story.config.trace.name = true;
    story
}

/// Everything that all nodes count.
fn counters(world: &World) -> Vec<TraceCounters> {
    world.live().map(|node| world.view(node).unwrap().counters.trace).collect()
}

/// Of each message, who brought it first to whom, as the world sees it and not as nodes remember.
type Deliveries = Arc<Mutex<BTreeMap<MessageId, BTreeMap<usize, Option<usize>>>>>;

fn watch(world: &mut World) -> Deliveries {
    let deliveries = Deliveries::default();
    let kept = deliveries.clone();
    world.watch(Box::new(move |_, seen| {
        if let Seen::Has { message, node, from } = seen {
            kept.lock().unwrap().entry(message).or_default().insert(node, from);
        }
    }));
    deliveries
}

/// The sender says something; when everybody has it, it is named, with its way.
fn say(world: &mut World, after: Duration) -> (MessageId, Vec<WayPoint>) {
    world.run_until(after);
    let saying = Workload::Broadcast { from: Some(SENDER), bytes: 200 };
    world.say(saying).unwrap().unwrap();
    world.run_until(after + secs(5));
    let sender = world.id(SENDER);
    let core = world.node(SENDER).unwrap();
    let of_sender = core.gossip().history().filter(|it| it.content().sender.node_id() == sender);
    let message = of_sender.last().unwrap().id();
    (message, world.way_of(&message))
}

fn trace(world: &mut World, message: &MessageId, until: Duration) -> NetworkTrace {
    world.ask_trace(SENDER, *message).unwrap().unwrap();
    world.run_until(until);
    let now = world.now();
    let core = world.node(SENDER).unwrap();
    let at = positron_proto::time::Now { mono: now, ..Default::default() };
    let report = core.trace(at, message).unwrap().network.unwrap();
    assert_eq!(report.state, "done");
    report
}

/// Who is not linked any more with whom it has a message from: a node lets go links that it has
/// too many of, and asks only those that it is linked with.
fn gone(world: &World, way: &[WayPoint]) -> BTreeSet<usize> {
    let is_gone = |point: &&WayPoint| {
        let Some(from) = point.from else { return false };
        let view = world.view(from).unwrap();
        !view.peers.iter().any(|peer| peer.session.peer.id == world.id(point.node))
    };
    way.iter().filter(is_gone).map(|point| point.node).collect()
}

/// What a whole and exact trace would say, where some nodes are gone and some stand still: reached,
/// declined, silent, gone.
fn expected(
    way: &[WayPoint],
    declining: &BTreeSet<usize>,
    gone: &BTreeSet<usize>,
    still: &BTreeSet<usize>,
) -> (u32, u32, u32, u32) {
    let by_node: BTreeMap<usize, &WayPoint> = way.iter().map(|point| (point.node, point)).collect();
    let (mut reached, mut declined, mut silent, mut lost) = (0, 0, 0, 0);
    for point in way {
        let before = std::iter::successors(point.from, |node| by_node[node].from);
        if before.into_iter().any(|node| gone.contains(&node) || still.contains(&node)) {
            continue;
        }
        let counter = match point.node {
            node if gone.contains(&node) => &mut lost,
            node if still.contains(&node) => &mut silent,
            node if declining.contains(&node) => &mut declined,
            _ => &mut reached,
        };
        *counter += 1;
    }
    (reached, declined, silent, lost)
}

fn coverage(report: &NetworkTrace) -> (u32, u32, u32, u32) {
    (report.reached, report.declined, report.silent, report.lost.gone)
}

/// Plays the whole story: one trace of a whole network, and one while some nodes stand still.
fn tell(nodes: usize, seed: u64) {
    let story = story(nodes);
    let declining = story.declining.iter().copied().collect();
    let story = story.broadcasts(12, 100, secs(14), secs(18));
    let mut world = World::new(&story, seed);
    let deliveries = watch(&mut world);
    let (message, way) = say(&mut world, secs(20));
    assert_eq!(way.len(), nodes, "everybody has it");
    let handed_over = deliveries.lock().unwrap().remove(&message).unwrap();
    let walked: BTreeMap<usize, Option<usize>> =
        way.iter().map(|point| (point.node, point.from)).collect();
    assert_eq!(walked, handed_over, "what nodes remember of the way is what the world saw");

    let report = trace(&mut world, &message, secs(40));
    println!("seed {seed}: {}\n{:?}", report.sentence, report.by_depth);
    let nobody = BTreeSet::new();
    let whole = expected(&way, &declining, &nobody, &nobody);
    assert_eq!(coverage(&report), whole, "coverage is exact");
    assert!(!report.implausible);
    assert_eq!(report.lost, positron_proto::trace::LostTrace::default());

    let depths = |depth: usize| {
        let there = way.iter().filter(|point| !declining.contains(&point.node));
        there.filter(|point| point.depth == depth).count()
    };
    let by_depth: Vec<usize> = (0..report.by_depth.len()).map(depths).collect();
    assert!(report.by_depth.iter().map(|count| *count as usize).eq(by_depth), "so are depths");

    let (mut exact, mut worst) = (0, 0.0_f64);
    let named: BTreeMap<String, &WayPoint> = way
        .iter()
        .map(|point| (world.id(point.node).to_string()[..12].to_owned(), point))
        .collect();
    for node in &report.sample {
        let point = named[node.id.as_ref().unwrap()];
        assert_eq!(usize::from(node.depth), point.depth);
        let truth = point.hop.as_secs_f64() * 1000.0;
        assert_eq!(node.hop_ms.is_none(), node.origin, "only to the sender there is no hop");
        let told = node.hop_ms.unwrap_or(0.0);
        let error = (told - truth).abs();
        if error > (truth / 10.0).max(2.0) {
            let from = point.from.unwrap_or(0);
            println!("{from} to {}: {truth:.1} ms, told {told:.1}", point.node);
        }
        exact += usize::from(error <= (truth / 10.0).max(2.0));
        worst = worst.max(error);
    }
    println!("{exact} of {} hops are exact, the worst is {worst:.1} ms off", report.sample.len());

    let all = counters(&world);
    let sum = |of: fn(&TraceCounters) -> u64| all.iter().map(of).sum::<u64>();
    let messages = sum(|it| it.asks_sent) + sum(|it| it.answers_received);
    let bytes = sum(|it| it.bytes_sent);
    let worst = all.iter().max_by_key(|it| it.bytes_sent).unwrap();
    println!(
        "{messages} messages, {bytes} bytes, {} at most of one node, which asks {}; {} refused",
        worst.bytes_sent,
        worst.asks_sent,
        sum(|it| it.asks_refused),
    );
    // In the mean of all nodes, a trace is a question and an answer.
    assert!(messages <= 2 * nodes as u64, "{messages} messages of {nodes} nodes");
    assert!(bytes <= 2_400 * nodes as u64, "{bytes} bytes of {nodes} nodes");
    // No node pays for more than its own children: a signed question to each whom it sent the
    // message to, one answer, and a word to whoever asks it and is not its parent.
    for it in &all {
        let most = QUESTION * it.asks_sent + MAX_TRACE_ANSWER as u64 + REFUSAL * it.asks_refused;
        assert!(it.bytes_sent <= most, "{} bytes, {most} at most", it.bytes_sent);
    }
    assert!(exact * 100 >= report.sample.len() * 90, "{exact} of {}", report.sample.len());

    tell_while_some_stand_still(world, nodes, &declining);
}

fn tell_while_some_stand_still(mut world: World, nodes: usize, declining: &BTreeSet<usize>) {
    let (message, way) = say(&mut world, secs(90));
    let still: BTreeSet<usize> = (0..nodes).filter(|node| node % 25 == 7).collect();
    for node in &still {
        world.apply(&Fault::Freeze { who: Selector::Node(*node), lasting: secs(30) });
    }
    let gone = gone(&world, &way);
    let report = trace(&mut world, &message, secs(115));
    println!("some stand still: {}", report.sentence);
    assert_eq!(coverage(&report), expected(&way, declining, &gone, &still));
}

#[test]
fn whoever_claims_a_million_nodes_is_cut_to_what_there_can_be_and_marked() {
    let nodes = 40;
    let mut story = Scenario::quiet("some boast", nodes, secs(60));
    story.guests = vec![Adversary::Byzantine(Attack::Boast); 8];
    for seed in 0..3 {
        let mut world = World::new(&story, seed);
        let (message, way) = say(&mut world, secs(20));
        assert_eq!(way.len(), nodes, "everybody has it");
        let report = trace(&mut world, &message, secs(50));
        println!("seed {seed}: {}", report.sentence);
        assert!(report.implausible, "{}", report.sentence);
        let most = LEAST_PLAUSIBLE_NODES.max(PLAUSIBLE_FACTOR * report.expected);
        let all = report.reached + report.declined + report.silent;
        assert!(all as usize <= most, "{all} of at most {most}");
        assert!(report.by_depth.iter().sum::<u32>() == report.reached);
        let noticed: u64 = counters(&world).iter().map(|it| it.answers_implausible).sum();
        assert!(noticed > 0);
        // A claim changes nothing but what is shown: nobody is sent away for it, and all go on.
        let (_, way) = say(&mut world, secs(50));
        assert_eq!(way.len(), nodes, "everybody has the next one");
    }
}

#[test]
fn a_trace_tells_exactly_who_has_a_message_and_who_does_not_tell() {
    for seed in 0..3 {
        tell(60, seed);
    }
}

#[test]
#[ignore = "a thousand nodes, minutes"]
fn a_trace_of_a_thousand_nodes_is_as_exact() {
    tell(1_000, 1);
}
