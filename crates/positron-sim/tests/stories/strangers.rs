//! Stories of keys that cost nothing.

use super::*;

#[test]
fn ten_thousand_throwaway_keys_cost_who_brings_them_and_nobody_else() {
    let mut story = chatty("throwaway keys", 7, 120);
    story.guests = vec![Adversary::Byzantine(Attack::ThrowAway)];
    for seed in 0..2 {
        let mut world = World::new(&story, seed);
        world.run_until(secs(119));
        let honest: Vec<_> = (0..7).map(|node| world.id(node)).collect();
        for node in 0..7 {
            let view = world.view(node).unwrap();
            for peer in &view.peers {
                assert!(honest.contains(&peer.session.peer.id), "the guest is sent away");
                assert!(peer.score >= 0.5, "{}: {}", peer.session.peer.id, peer.score);
            }
            let standings = world.snapshot(node).standings;
            assert!(standings.len() <= 7, "{} rows of throwaway keys", standings.len());
        }
        let report = world.finish();
        report.expect_ok();
        assert!(counted(&report, "node", "strangers_refused") >= 7, "{}", report.counters);
    }
}
