//! Stories of nodes that others find by nothing but their ids: what they say of themselves is in
//! the hash table.

use positron_proto::{
    dht::{DhtOutcome, DhtRefused, NameHash, NewRecord, RecordKind, SoughtNode},
    node::{NodeView, Outcome, PeerOrder, Refused, TableOrder},
    time::Duration,
};
use positron_sim::{Death, Fault, Physics, Scenario, Selector, Workload, World};

const SEEKER: usize = 1;
/// It comes when the seeker has asked for peers for the last time.
const SOUGHT: usize = 2;
/// It never comes.
const NOBODY: usize = 3;
const NODES: usize = 8;

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Nodes that want one link each, and that tell one another of nobody later than at the start.
fn strangers(seed: u64) -> World {
    strangers_with(Physics::default(), seed)
}

fn strangers_with(physics: Physics, seed: u64) -> World {
    let mut story = Scenario::quiet("strangers", NODES, secs(600)).physics(physics);
    story.config.peers.min_peers = 1;
    story.config.peers.discovery_interval = secs(3_600);
    story.absent = vec![SOUGHT, NOBODY];
    let mut world = World::new(&story, seed);
    world.run_until(secs(20));
    world.apply(&Fault::Start(Selector::Node(SOUGHT)));
    world.run_until(secs(40));
    assert!(!knows(&world, SEEKER, SOUGHT), "they never met");
    world
}

/// The sought node dies where it was, and comes back elsewhere with nothing but its key.
fn come_back_elsewhere(world: &mut World) {
    let who = || Selector::Node(SOUGHT);
    world.apply(&Fault::Crash { who: who(), death: Death::PowerCut });
    let now = world.progress().at;
    world.run_until(now + secs(10));
    world.apply(&Fault::RestoreBackup(who()));
    world.apply(&Fault::Renumber(who()));
    world.apply(&Fault::Start(who()));
}

fn knows(world: &World, node: usize, other: usize) -> bool {
    world.node(node).unwrap().peers().knows(&world.id(other))
}

fn tell(world: &mut World, from: usize, to: usize) {
    let taken = world.say(Workload::Direct { from, to, bytes: 64 });
    assert_eq!(taken, Some(Ok(())));
}

#[test]
fn who_never_met_a_node_sends_to_it_by_its_id() {
    for seed in 0..3 {
        let mut world = strangers(seed);
        tell(&mut world, SEEKER, SOUGHT);
        tell(&mut world, SEEKER, SOUGHT);
        assert!(!knows(&world, SEEKER, SOUGHT), "seed {seed}");
        world.run_until(secs(60));
        let report = world.finish();
        report.expect_ok();
        assert_eq!((report.directs.sent, report.directs.acknowledged), (2, 2), "seed {seed}");
        assert_eq!(world.table_ends(), [], "seed {seed}: what is done for messages is not told");
    }
}

#[test]
fn who_moved_is_found_where_it_is_now_and_who_is_nowhere_is_not_found() {
    let mut world = strangers(7);
    come_back_elsewhere(&mut world);
    world.run_until(secs(70));
    assert!(!knows(&world, SEEKER, SOUGHT));
    let now_at = world.address(SOUGHT);
    let find = |world: &World, node| TableOrder::FindNode(world.id(node));
    let (order, other) = (find(&world, SOUGHT), find(&world, NOBODY));
    assert_eq!(world.order_table(SEEKER, order), Some(Ok(())));
    assert_eq!(world.order_table(SEEKER, other), Some(Ok(())));
    tell(&mut world, SEEKER, NOBODY);
    world.run_until(secs(90));

    let nobody = world.id(NOBODY);
    let (mut found, mut unknown, mut refused) = (0, 0, 0);
    for (node, end) in world.table_ends() {
        assert_eq!(*node, SEEKER);
        match end {
            Outcome::Table(outcome) => match &**outcome {
                DhtOutcome::Node(SoughtNode { id, record: Some(record), .. }) => {
                    assert_eq!(*id, world.id(SOUGHT));
                    assert!(record.content().lists(now_at), "{record:?}, {now_at}");
                    found += 1;
                }
                DhtOutcome::Node(SoughtNode { id, record: None, asked, .. }) => {
                    assert!(*id == nobody && *asked > 0, "{asked}");
                    unknown += 1;
                }
                other => panic!("{other:?}"),
            },
            Outcome::Refused(Refused::UnknownPeer { peer, asked }) => {
                assert!(*peer == nobody && *asked > 0, "{asked}");
                refused += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((found, unknown, refused), (1, 1, 1));
    assert!(knows(&world, SEEKER, SOUGHT));
    world.finish().expect_ok();
}

#[test]
fn whoever_moved_since_it_was_known_is_found_again() {
    let mut found_again = 0;
    for seed in 0..8 {
        let mut world = strangers(seed);
        tell(&mut world, SEEKER, SOUGHT);
        world.run_until(secs(50));
        assert!(knows(&world, SEEKER, SOUGHT));
        come_back_elsewhere(&mut world);
        world.run_until(secs(140));
        let sought = world.id(SOUGHT);
        let mut peers = world.view(SEEKER).unwrap().peers.into_iter();
        if peers.any(|peer| peer.session.peer.id == sought) {
            continue; // somebody told the seeker where it is, or it came to the seeker
        }
        found_again += 1;
        tell(&mut world, SEEKER, SOUGHT);
        world.run_until(secs(170));
        let report = world.finish();
        assert_eq!((report.directs.sent, report.directs.acknowledged), (2, 2), "seed {seed}");
        report.expect_ok();
    }
    assert!(found_again >= 3, "{found_again} of 8 had to look for it");
}

#[test]
fn a_slot_is_kept_for_a_node_of_which_nothing_but_its_id_is_known() {
    let mut world = strangers(5);
    let peer = world.id(SOUGHT);
    assert_eq!(world.order(SEEKER, PeerOrder::Reserve { peer, at: None }), Some(Ok(())));
    world.run_until(secs(60));
    let is_linked = |view: &NodeView| view.peers.iter().any(|at| at.session.peer.id == peer);
    assert!(is_linked(&world.view(SEEKER).unwrap()));
    world.finish().expect_ok();
}

#[test]
fn clocks_that_are_hours_apart_and_jump_hide_nobody() {
    for seed in 0..3 {
        let skewed = Physics { clock_skew: secs(30_000), ..Physics::default() };
        let mut world = strangers_with(skewed, seed);
        let turn = |seconds| Fault::TurnClock { who: Selector::Part(0.3), seconds };
        world.apply(&turn(-3_600));
        tell(&mut world, SEEKER, SOUGHT);
        world.run_until(secs(60));
        world.apply(&turn(7_200));
        let order = TableOrder::FindNode(world.id(SOUGHT));
        assert_eq!(world.order_table(4, order), Some(Ok(())));
        world.run_until(secs(80));
        let (_, Outcome::Table(end)) = &world.table_ends()[0] else { panic!("seed {seed}") };
        let DhtOutcome::Node(found) = &**end else { panic!("{end:?}") };
        assert!(found.record.is_some(), "seed {seed}: {found:?}");
        let report = world.finish();
        report.expect_ok();
        assert_eq!(report.directs.acknowledged, 1, "seed {seed}");
    }
}

#[test]
fn where_a_node_is_no_application_says_in_its_place() {
    let mut world = strangers(1);
    let peer = NameHash::of_name("peer").unwrap();
    let record = NewRecord {
        kind: RecordKind::Owned,
        name: peer,
        value: b"elsewhere".as_slice().into(),
        ttl: secs(60),
    };
    let refused = Some(Err(Refused::Table(DhtRefused::OwnPeerRecord)));
    let store = |record: &NewRecord| TableOrder::Store(record.clone());
    assert_eq!(world.order_table(SEEKER, store(&record)), refused);
    let delete = TableOrder::Delete { kind: RecordKind::Owned, name: peer };
    assert_eq!(world.order_table(SEEKER, delete), refused);
    let shared = NewRecord { kind: RecordKind::Shared, ..record };
    assert_eq!(world.order_table(SEEKER, store(&shared)), Some(Ok(())));
    world.run_until(secs(60));
    let levels = world.view(SEEKER).unwrap().levels.dht;
    assert_eq!(levels.published.used, 1, "its own peer record stands beside it");
    world.finish().expect_ok();
}
