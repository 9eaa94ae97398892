//! Stories of keys: what becomes of their numbers, and of two machines with one key.

use super::*;

const HALF_A_CENTURY: i64 = 50 * 365 * 86_400;

/// What became of the database of a node that was killed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Database {
    Kept,
    Lost,
    /// The one of some time before is put in its place.
    Backup,
}

/// Node 2 says more than others keep, is killed, and starts again with its key, this database, and
/// a clock that is so wrong and is set right after eight seconds, or never.
fn comes_back(database: Database, wrong_by: i64, corrected: bool) -> Scenario {
    let (node, turn) =
        (|| Selector::Node(2), |seconds| Fault::TurnClock { who: Selector::Node(2), seconds });
    let mut story =
        Scenario::quiet(&format!("{database:?}, {wrong_by} s, {corrected}"), 5, secs(45))
            .fault(secs(8), Fault::BackUp(node()))
            .fault(secs(15), crash(node(), Death::Killed))
            .fault(secs(17), turn(wrong_by))
            .fault(secs(18), Fault::Start(node()));
    if database == Database::Backup {
        story = story.fault(secs(16), Fault::RestoreBackup(node()));
    } else if database == Database::Lost {
        story.faults.retain(|(_, fault)| !matches!(fault, Fault::BackUp(_)));
        story = story.fault(secs(16), Fault::RestoreBackup(node()));
    }
    if corrected {
        story = story.fault(secs(26), turn(-wrong_by));
    }
    for n in 0..400 {
        let to = usize::try_from(n % 2).unwrap();
        let direct = Workload::Direct { from: 2, to, bytes: 50 };
        story = story.say(secs(4) + Duration::from_millis(25 * n), direct);
        if n < 80 {
            let broadcast = Workload::Broadcast { from: Some(2), bytes: 100 };
            story = story.say(secs(3) + Duration::from_millis(120 * n), broadcast);
            story = story.say(secs(18) + Duration::from_millis(220 * n), broadcast);
            story = story.say(secs(19) + Duration::from_millis(220 * n), direct);
        }
    }
    story.config.gossip.cache_size = 30;
    story
}

#[test]
fn no_state_of_clock_and_database_makes_a_node_mute() {
    for database in [Database::Kept, Database::Lost, Database::Backup] {
        for wrong_by in [0, -HALF_A_CENTURY, HALF_A_CENTURY, -7_200] {
            for corrected in [true, false] {
                for report in play(&comes_back(database, wrong_by, corrected), 0..1) {
                    assert_eq!((report.broadcasts, report.broadcasts_lost), (160, 0), "{report}");
                    assert_eq!(report.deliveries, 640, "{report}");
                    let directs = report.directs;
                    assert_eq!((directs.sent, directs.received), (480, 480), "{report}");
                }
            }
        }
    }
}

#[test]
fn a_key_in_two_places_is_told_by_all_who_see_it_and_calms_down() {
    for listen in [Listen::Address, Listen::Port] {
        for seed in 0..20 {
            let story = Scenario::quiet("one key, two places", 3, secs(120));
            let mut story = story.fault(secs(1), Fault::Double(1));
            (story.listen, story.twins) = (listen, vec![1]);
            // Early enough that everybody has heard it when the score is looked at.
            for n in 0..40 {
                let from = Some(if n % 2 == 0 { 1 } else { 3 });
                let saying = Workload::Broadcast { from, bytes: 100 };
                story = story.say(secs(2) + Duration::from_millis(300 * n), saying);
            }
            story = story.waive(Check::Delivery);
            let mut world = World::new(&story, seed);
            let key = |world: &World| world.node(1).unwrap().id();
            world.run_until(secs(60));
            for node in 0..4 {
                let view = world.view(node).unwrap();
                let told: Vec<_> = view.used_twice.iter().map(|twice| twice.node).collect();
                assert_eq!(told, [key(&world)], "node {node}, seed {seed}");
                let places = &view.used_twice[0].addresses;
                assert_eq!(places.len(), if node % 2 == 0 { 2 } else { 1 }, "{places:?}");
            }
            let sessions = |world: &World| {
                let of = |node| world.view(node).unwrap().counters.session.sessions;
                (0..4).map(of).sum::<u64>()
            };
            let score = |world: &World| {
                let (id, watcher) = (key(world), world.node(0).unwrap());
                watcher.trust().standings().of(&id).score
            };
            let before = (sessions(&world), score(&world));
            world.run_until(secs(120));
            assert!(sessions(&world) - before.0 <= 60, "seed {seed}: {before:?}");
            assert!(score(&world) <= before.1, "seed {seed}");
            for node in 0..4 {
                let view = world.view(node).unwrap();
                assert_eq!(view.counters.gossip.equivocations, 0, "node {node}, seed {seed}");
                assert_eq!(view.banned, 0, "node {node}, seed {seed}");
            }
        }
    }
}

#[test]
fn a_restart_and_a_new_address_are_no_key_in_two_places() {
    let mut story = chatty("restarts", 5, 90);
    for round in 0..12 {
        let death = if round % 2 == 0 { Death::Killed } else { Death::PowerCut };
        story = story
            .fault(secs(5 + 6 * round), crash(Selector::Part(0.5), death))
            .fault(secs(7 + 6 * round), Fault::Start(Selector::All))
            .fault(secs(8 + 6 * round), Fault::Rebind(Selector::Part(0.5)));
    }
    for report in play(&story, 0..10) {
        assert_eq!(counted(&report, "node", "used_twice_signs"), 0, "{}", report.counters);
    }
}
