use super::*;
use crate::session::sessions::Reading;

#[test]
fn a_link_that_is_held_again_and_again_has_as_much_room_as_before() {
    for transports in [LinkKinds::UDP, LinkKinds::TCP] {
        let mut world = World::with_configs(vec![SessionConfig { transports, ..config() }; 2]);
        let to_second = world.known(1);
        world.dial(0, to_second);
        world.advance(millis(500));
        let ids = [0, 1].map(|n: usize| world.nodes[n].id);
        let link = world.nodes[1].sessions.link_of(&ids[0]).unwrap();
        let read = |world: &mut World, reading| {
            world.with(1, |s, now, out| s.set_reading(now, link, reading, out));
        };
        let mut said = 0;
        for _ in 0..400 {
            read(&mut world, Reading::Held);
            for _ in 0..50 {
                let body = Bytes::from_static(b"?");
                let sent = |s: &mut Sessions, now, out: &mut _| {
                    s.send(now, ids[1], Lane::GOSSIP, body.into(), None, out)
                };
                world.with(0, sent).unwrap();
                said += 1;
            }
            world.advance(millis(15));
            read(&mut world, Reading::Open);
            world.advance(millis(25));
        }
        world.advance(millis(500));
        assert_eq!(world.heard(1).len(), said, "{transports:?}");
    }
}
