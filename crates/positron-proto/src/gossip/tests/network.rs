//! Stories between many nodes: does everybody get everything, once?

use super::harness::{World, at, config, identity, say};
use crate::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn everyone_gets_every_broadcast_exactly_once_although_queues_overflow() {
    for seed in 0..20 {
        let mut world = World::new(30, seed);
        world.connect_randomly(6);
        world.run(SECOND);
        world.loss = 0.2;
        let ids = world.ids();
        let mut published = Vec::new();
        for round in 0..10 {
            for id in ids.iter().step_by(7) {
                world.publish(*id, round);
                published.push((*id, round));
            }
            world.run(SECOND / 10);
        }
        world.run(30 * SECOND);
        world.assert_all_delivered_once(&published, &format!("seed {seed}"));
    }
}
