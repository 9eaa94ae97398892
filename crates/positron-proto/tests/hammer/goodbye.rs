//! A node whose peers do not take what it says.

use bytes::Bytes;
use positron_proto::{
    limits::LARGE_GOSSIP,
    node::{Command, Event, Outcome},
    time::Duration,
};

use crate::rig::{Rig, config};

fn linked(seed: u64) -> Rig {
    let mut rig = Rig::new(seed);
    while !rig.are_linked(0, 1) {
        rig.run();
        rig.tick(Duration::from_millis(100));
    }
    rig
}

#[test]
fn a_peer_that_holds_all_links_and_takes_a_trickle_is_not_waited_for_for_ever() {
    let mut rig = linked(2);
    // Just not so large that it is sent only to who asks.
    let (count, payload) = (200, Bytes::from(vec![7; LARGE_GOSSIP - 1]));
    for _ in 0..count {
        assert!(rig.command(0, Command::Broadcast { payload: payload.clone() }));
    }
    let before = rig.core(0).gossip().history().count();
    assert!(before < count, "they wait for room in the queue");
    for _ in 0..30 {
        for (wire, side) in (0..rig.wires.len()).flat_map(|wire| [(wire, 0), (wire, 1)]) {
            rig.carry(wire, side, |_, bytes| vec![bytes]);
        }
        rig.tick(Duration::from_secs(1));
    }
    assert!(rig.are_linked(0, 1), "it takes enough to be held for alive");
    assert_eq!(rig.core(0).gossip().history().count(), count);
}

#[test]
fn a_node_that_stops_answers_what_waits_and_pushes_out_nothing_for_it() {
    let mut rig = linked(1);
    let window = config(vec![]).gossip.cache_size;
    // Nothing is carried meanwhile: the peer takes nothing.
    for _ in 0..2 * window {
        assert!(rig.command(0, Command::Broadcast { payload: Bytes::from_static(b"hello") }));
    }
    let kept = rig.core(0).gossip().history().count();
    assert_eq!(kept, window + 1);
    assert!(rig.command(0, Command::Stop));
    let count = |outcome: fn(&Outcome) -> bool| {
        let is =
            |event: &&Event| matches!(event, Event::Completed { outcome: o, .. } if outcome(o));
        rig.hosts[0].events.iter().filter(is).count()
    };
    assert_eq!(count(|outcome| matches!(outcome, Outcome::Durable(_))), kept);
    assert_eq!(count(|outcome| matches!(outcome, Outcome::NotDurable(_))), 2 * window - kept);
    let now = rig.now;
    assert_eq!(rig.core(0).view(now).counters.gossip.evicted, 1, "the one too many");
    assert_eq!(rig.core(0).gossip().history().count(), window);
}
