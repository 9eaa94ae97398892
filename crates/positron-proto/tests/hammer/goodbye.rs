//! A node that stops before its peers have taken what it says.

use bytes::Bytes;
use positron_proto::{
    node::{Command, Event, Outcome},
    time::Duration,
};

use crate::rig::{Rig, config};

#[test]
fn a_node_that_stops_answers_what_waits_and_pushes_out_nothing_for_it() {
    let mut rig = Rig::new(1);
    while !rig.are_linked(0, 1) {
        rig.run();
        rig.tick(Duration::from_millis(100));
    }
    let window = config(vec![]).gossip.cache_size;
    // Nothing is carried meanwhile: the peer takes nothing.
    for _ in 0..2 * window {
        assert!(rig.command(0, Command::Broadcast { payload: Bytes::from_static(b"hello") }));
    }
    let kept = rig.core(0).history().count();
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
    assert_eq!(rig.core(0).history().count(), window);
}
