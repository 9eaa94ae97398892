//! Stories of peers that announce what they never send.

use super::{
    super::GossipMessage,
    harness::{at, identity},
    tree::Talk,
};
use crate::{
    id::NodeId,
    time::Duration,
    wire::holdings::{Holdings, Ranges},
};

/// Links each node with as many liars.
fn with_liars(talk: &mut Talk, liars: u32) -> Vec<NodeId> {
    let liars: Vec<NodeId> = (0..liars).map(|n| identity(2_000 + n).node_id()).collect();
    for node in talk.world.nodes.values_mut() {
        for liar in &liars {
            node.up(at(talk.world.now), *liar);
        }
    }
    liars
}

/// All liars tell everybody that they have what each sender is going to say next.
fn lie(talk: &mut Talk, liars: &[NodeId]) {
    let mut next = Holdings::new();
    for id in talk.world.ids() {
        let first = talk.said.get(&id).copied().unwrap_or(0);
        let mut numbers = Ranges::new();
        numbers.insert_range(first..=first + 5);
        next.insert_ranges(id, numbers);
    }
    let now = at(talk.world.now);
    for id in talk.world.ids() {
        for liar in liars {
            let node = talk.world.nodes.get_mut(&id).unwrap();
            let sent = node.hear(now, *liar, GossipMessage::IHave(next.clone()));
            talk.world.post(id, sent);
        }
    }
}

#[test]
fn who_announces_what_will_be_said_and_sends_nothing_keeps_nobody_waiting() {
    for seed in 0..3 {
        let mut talk = Talk::among(20, 6, seed);
        talk.go_on(50, Duration::from_millis(50));
        // A third of all links; and pushes are lost now and then, so that it matters who is asked.
        let liars = with_liars(&mut talk, 3);
        talk.world.set_loss(0.02);
        let mut soon = 0;
        for _ in 0..40 {
            lie(&mut talk, &liars);
            soon += talk.go_on(10, Duration::from_millis(50)).delays.len();
            let four_seconds_old = &talk.all[..talk.all.len().saturating_sub(40)];
            talk.world.assert_everybody_has(four_seconds_old);
        }
        assert!(soon > 365, "seed {seed}: {soon} of 400 in half a second; 397 without liars");
        talk.world.run(Duration::from_secs(4));
        talk.world.assert_all_delivered_once(&talk.all, &format!("seed {seed}"));
    }
}
