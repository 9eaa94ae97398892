//! Stories of requests: each ends once, nothing is carried out twice, and a dead end is learnt of
//! in three seconds.

use positron_proto::{
    request::Unanswered,
    session::sessions::LinkKind,
    time::{Duration, Instant},
};
use positron_sim::{Death, Fault, Physics, Question, Scenario, Selector, World};

const NODES: usize = 4;
const TIMEOUT: Duration = Duration::from_secs(20);
/// What the application works at each of them.
const WORK: Duration = Duration::from_millis(300);
/// A death is noticed by silence, 2.8 s after the last sign of life, and told in the next wake.
const NOTICED: Duration = Duration::from_secs(3);

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn at(since_start: Duration) -> Instant {
    Instant::ORIGIN + since_start
}

fn world(name: &str, loss: f64, seed: u64) -> World {
    let mut story = Scenario::quiet(name, NODES, secs(90));
    story.physics = Physics { loss, ..story.physics };
    let mut world = World::new(&story, seed);
    world.run_until(secs(10));
    world
}

/// Everybody asks somebody ten times a second.
fn ask_around(world: &mut World, from: Duration, to: Duration) {
    let mut now = from;
    let mut turn = 0;
    while now < to {
        world.run_until(now);
        for asker in 0..NODES {
            let asked = (asker + 1 + turn % (NODES - 1)) % NODES;
            if let Some(taken) = world.ask(asker, asked, WORK, TIMEOUT) {
                taken.unwrap();
            }
        }
        turn += 1;
        now += Duration::from_millis(100);
    }
    world.run_until(to);
}

fn assert_each_ended_once(questions: &[Question]) {
    for (n, question) in questions.iter().enumerate() {
        assert_eq!(question.ends.len(), 1, "question {n}: {question:?}");
        assert!(question.served <= 1, "question {n}: {question:?}");
    }
}

#[test]
fn requests_go_on_over_streams_and_back_whatever_is_lost() {
    for (seed, loss) in [(0, 0.0), (1, 0.01), (2, 0.05)] {
        let mut world = world("requests", loss, seed);
        ask_around(&mut world, secs(10), secs(20));
        world.apply(&Fault::Filter { who: Selector::All, transport: LinkKind::Udp });
        ask_around(&mut world, secs(20), secs(30));
        world.apply(&Fault::Unfilter(Selector::All));
        ask_around(&mut world, secs(30), secs(60));
        world.run_until(secs(90));
        let questions = world.questions();
        assert_eq!(questions.len(), 50 * 10 * NODES);
        assert_each_ended_once(questions);
        for (n, question) in questions.iter().enumerate() {
            let [(_, end)] = &question.ends[..] else { panic!("{question:?}") };
            assert_eq!((end, question.served), (&Ok(()), 1), "{loss}: question {n}: {question:?}");
        }
        world.finish().expect_ok();
    }
}

#[test]
fn who_dies_leaves_nobody_waiting_and_nothing_is_carried_out_for_the_dead() {
    for (seed, loss) in [(0, 0.0), (1, 0.01), (2, 0.05)] {
        let mut world = world("deaths", loss, seed);
        ask_around(&mut world, secs(10), secs(15));
        // What is asked last takes long, and both ends of it die.
        for other in 1..NODES {
            world.ask(0, other, TIMEOUT, TIMEOUT).unwrap().unwrap();
            world.ask(other, 0, TIMEOUT, TIMEOUT).unwrap().unwrap();
        }
        let long = world.questions().len() - 2 * (NODES - 1);
        world.run_until(secs(16));
        world.apply(&Fault::Crash { who: Selector::Node(0), death: Death::PowerCut });
        world.run_until(secs(16) + NOTICED + secs(1));
        for question in &world.questions()[long..] {
            assert_eq!(question.served, 1, "{question:?}");
            if question.from == 0 {
                assert_eq!((question.abandoned, question.ends.len()), (1, 0), "{question:?}");
            } else {
                let [(when, end)] = &question.ends[..] else { panic!("{question:?}") };
                assert_eq!(*end, Err(Unanswered::PeerGone), "{question:?}");
                assert!(*when <= at(secs(16) + NOTICED), "{question:?}");
            }
        }
        // It comes back, and is asked again.
        world.apply(&Fault::Start(Selector::All));
        world.run_until(secs(30));
        let before = world.questions().len();
        ask_around(&mut world, secs(30), secs(40));
        world.run_until(secs(90));
        assert_each_ended_once(&world.questions()[before..]);
        assert!(world.questions()[before..].iter().all(|one| one.ends[0].1 == Ok(())));
        world.finish().expect_ok();
    }
}

#[test]
fn who_dies_over_long_work_is_noticed_as_soon_although_nothing_was_said_meanwhile() {
    let work = secs(60);
    let mut world = World::new(&Scenario::quiet("long work", 16, secs(90)), 1);
    world.run_until(secs(10));
    for other in 1..8 {
        world.ask(0, other, work, work).unwrap().unwrap();
        world.ask(other, 0, work, work).unwrap().unwrap();
    }
    world.run_until(secs(30));
    world.apply(&Fault::Crash { who: Selector::Node(0), death: Death::PowerCut });
    world.run_until(secs(30) + NOTICED + secs(1));
    for question in world.questions() {
        if question.from == 0 {
            assert_eq!((question.abandoned, question.ends.len()), (1, 0), "{question:?}");
        } else {
            let [(when, end)] = &question.ends[..] else { panic!("{question:?}") };
            assert_eq!(*end, Err(Unanswered::PeerGone), "{question:?}");
            assert!(*when <= at(secs(30) + NOTICED), "{question:?}");
        }
    }
}
