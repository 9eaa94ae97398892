//! Two homes that talk all the time while their direct path is cut, a router forgets everything, or
//! gets another address: nothing that was said is lost, comes twice or out of turn, and they find
//! back to a direct path.

use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use positron_networking::{Inbox, LinkTransport, NetworkConfig, Node, NodeId, stats::PeerStats};
use tokio::{
    runtime::{Builder, Runtime},
    task::{JoinHandle, JoinSet},
    time::{MissedTickBehavior, interval},
};

use crate::{
    fixture::{Fixture, SOON, until},
    lab::{Home, Lab, Machine},
    nat_type::NatType,
    nodes::{PORT, start},
};

use NatType::{Linux, Port};

/// Between two messages in each direction.
const PACE: Duration = Duration::from_millis(20);
/// How long a path is cut, or a router off, in the short test.
const A_WHILE: Duration = Duration::from_secs(8);
/// Until the path is direct again after it could be.
const UNTIL_BACK: Duration = Duration::from_secs(60);

#[test]
fn what_two_homes_say_goes_on_over_the_relay_while_their_path_is_cut_and_returns_to_it() {
    let Some(lab) = Lab::new() else { return };
    let story = Story::begin(&lab, [Linux, Port]);
    cut(&lab, &story, A_WHILE);
    story.end();
}

#[test]
#[ignore = "it takes as long as the path is cut"]
fn a_path_that_was_cut_for_long_is_found_again_within_a_minute() {
    let Some(lab) = Lab::new() else { return };
    let seconds = std::env::var("POSITRON_LAB_CUT").map_or(120, |named| named.parse().unwrap());
    let story = Story::begin(&lab, [Linux, Port]);
    cut(&lab, &story, Duration::from_secs(seconds));
    story.end();
}

#[test]
fn what_two_homes_say_goes_on_when_a_router_was_off_and_has_forgotten_everything() {
    let Some(lab) = Lab::new() else { return };
    let story = Story::begin(&lab, [Linux, Port]);
    for home in &story.homes {
        home.reboot(|| thread::park_timeout(A_WHILE / 4));
        story.is_back("the router is on");
    }
    story.end();
}

#[test]
fn what_two_homes_say_goes_on_when_a_router_gets_another_address() {
    let Some(lab) = Lab::new() else { return };
    let mut story = Story::begin(&lab, [Linux, Port]);
    for number in [0, 1] {
        story.homes[number].renumber();
        story.is_back("the address is another one");
    }
    story.end();
}

/// Cuts the path for a time, which the two spend over the relay.
#[track_caller]
fn cut(lab: &Lab, story: &Story, time: Duration) {
    let ends = [0, 1].map(|number| story.homes[number].outside_ip());
    let began = Instant::now();
    lab.cut(true, ends);
    for end in 0..2 {
        until("it goes on over the relay", SOON, || {
            (story.peer(end)?.transport == LinkTransport::Relay).then_some(())
        });
    }
    println!("over the relay {:.2} s after the cut", began.elapsed().as_secs_f64());
    thread::park_timeout(time.saturating_sub(began.elapsed()));
    lab.cut(false, ends);
    story.is_back("the path is there");
}

/// Two nodes at home that tell each other numbers, and a public node that knows both.
struct Story {
    homes: [Home; 2],
    residents: [Resident; 2],
    is_over: Arc<AtomicBool>,
    talks: [JoinHandle<Told>; 2],
    _public: (Fixture, crate::fixture::Process),
}

/// A node of this process at a machine of the lab.
struct Resident {
    node: Node,
    heard: Arc<Mutex<Vec<Heard>>>,
    // The last to go: the node lives in it.
    runtime: Runtime,
}

/// A number that arrived.
struct Heard {
    number: u64,
    at: Instant,
}

/// How many numbers were said, and what the sender was told of those without an acknowledgment.
struct Told {
    said: u64,
    failures: Vec<String>,
}

impl Story {
    /// They talk, over a direct path.
    #[track_caller]
    fn begin(lab: &Lab, kinds: [NatType; 2]) -> Self {
        let (fixture, public) = (Fixture::new(), &lab.public[0]);
        let relay = start(public, &fixture, "relay", &[]);
        relay.started();
        let homes = kinds.map(|nat| lab.home(nat));
        let at = public.at(PORT).to_string();
        let residents = homes.each_ref().map(|home| Resident::new(&home.inside, &at));
        let is_over = Arc::new(AtomicBool::new(false));
        let [a, b] = &residents;
        until("both are linked with the public node", SOON, || {
            let is_linked = |it: &Resident| it.node.stats().active_peers > 0;
            (is_linked(a) && is_linked(b)).then_some(())
        });
        let linked = a.runtime.block_on(a.node.request_peer_connection(b.node.id()));
        linked.expect("they find each other");
        let talks = [(a, b), (b, a)].map(|(from, to)| {
            let (node, to, is_over) = (from.node.clone(), to.node.id(), Arc::clone(&is_over));
            from.runtime.spawn(talk(node, to, is_over))
        });
        let story = Self { homes, residents, is_over, talks, _public: (fixture, relay) };
        story.is_back("they met");
        story
    }

    /// What one says of the other.
    fn peer(&self, end: usize) -> Option<PeerStats> {
        let id = self.residents[1 - end].node.id();
        self.residents[end].node.stats().peers.into_iter().find(|peer| peer.node_id == id)
    }

    /// Waits until each has the other directly, where it is, and hears it.
    #[track_caller]
    fn is_back(&self, since: &str) {
        let began = Instant::now();
        for end in 0..2 {
            let other = IpAddr::V4(self.homes[1 - end].outside_ip());
            until(&format!("direct again after {since}"), UNTIL_BACK, || {
                let peer = self.peer(end)?;
                let is_there = peer.address.is_some_and(|at| at.ip() == other);
                let hears = self.residents[end].last_heard().is_some_and(|at| at > began);
                (peer.transport == LinkTransport::Udp && is_there && hears).then_some(())
            });
        }
        println!("direct {:.2} s after {since}", began.elapsed().as_secs_f64());
    }

    /// They stop talking, and everything has arrived once and in order.
    #[track_caller]
    fn end(self) {
        self.is_over.store(true, Ordering::Relaxed);
        for (end, talk) in self.talks.into_iter().enumerate() {
            let told = self.residents[end].runtime.block_on(talk).unwrap();
            let to = &self.residents[1 - end];
            let numbers = || -> Vec<u64> {
                to.heard.lock().unwrap().iter().map(|heard| heard.number).collect()
            };
            let expected: Vec<u64> = (0..told.said).collect();
            let whole = || (numbers().len() >= expected.len()).then_some(());
            until("all that was said has arrived", SOON, whole);
            assert_eq!(numbers(), expected);
            assert_eq!(told.failures, Vec::<String>::new());
            println!("{} messages, the longest pause {:.2} s", told.said, to.pause().as_secs_f64());
        }
    }
}

impl Resident {
    #[track_caller]
    fn new(on: &Machine, bootstrap: &str) -> Self {
        let mut builder = Builder::new_multi_thread();
        // One of them, so that messages leave in the order in which they were said.
        builder.worker_threads(1).enable_all().on_thread_start(on.door());
        let runtime = builder.build().unwrap();
        let bootstrap_nodes = vec![bootstrap.to_owned()];
        let config = NetworkConfig { port: PORT, bootstrap_nodes, ..NetworkConfig::default() };
        let (node, inbox) = runtime
            .block_on(runtime.spawn(async {
                let node = Node::start(config).await.unwrap();
                let inbox = node.subscribe();
                (node, inbox)
            }))
            .unwrap();
        let heard = Arc::default();
        runtime.spawn(hear(inbox, Arc::clone(&heard)));
        Self { node, heard, runtime }
    }

    fn last_heard(&self) -> Option<Instant> {
        self.heard.lock().unwrap().last().map(|heard| heard.at)
    }

    /// The longest time in which it heard nothing.
    fn pause(&self) -> Duration {
        let heard = self.heard.lock().unwrap();
        let pauses = heard.windows(2).map(|pair| pair[1].at - pair[0].at);
        pauses.max().unwrap_or_default()
    }
}

/// Says one number after the other until it is over, without waiting for what becomes of them.
async fn talk(node: Node, to: NodeId, is_over: Arc<AtomicBool>) -> Told {
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut said, mut under_way) = (0, JoinSet::new());
    while !is_over.load(Ordering::Relaxed) {
        pace.tick().await;
        let (node, number) = (node.clone(), said);
        under_way.spawn(async move {
            let sent = node.send_to_peer(to, &number).await;
            sent.err().map(|error| format!("{number}: {error}"))
        });
        said += 1;
    }
    let failures = under_way.join_all().await.into_iter().flatten().collect();
    Told { said, failures }
}

async fn hear(mut inbox: Inbox, heard: Arc<Mutex<Vec<Heard>>>) {
    while let Some(message) = inbox.recv().await {
        if let Ok(number) = message.decode() {
            heard.lock().unwrap().push(Heard { number, at: Instant::now() });
        }
    }
}
