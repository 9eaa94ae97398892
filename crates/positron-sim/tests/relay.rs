//! Stories of nodes behind address translators, which no stranger reaches: they talk through a node
//! that both are linked to.

use positron_proto::{session::sessions::{LinkKind, LinkKinds}, time::Duration};
use positron_sim::{Filtering, Gateway, Listen, Scenario, Workload, World};

const HOMES: [usize; 2] = [1, 2];

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Two homes and a public node, where no datagram gets through.
fn homes(name: &str) -> Scenario {
    let gateway = Gateway::Translator(Filtering::AddressAndPortDependent);
    let mut story = Scenario::quiet(name, 3, secs(600));
    story.listen = Listen::Port;
    story.config.session.transports = LinkKinds::TCP;
    story.gateways = HOMES.map(|home| (home, gateway)).into();
    story
}

/// Over what kind of link the session of two nodes goes, if there is one.
fn link(world: &World, of: usize, to: usize) -> Option<LinkKind> {
    let id = world.id(to);
    let mut sessions = world.view(of)?.peers.into_iter().map(|peer| peer.session);
    sessions.find(|session| session.peer.id == id).map(|session| session.transport)
}

#[test]
fn two_homes_talk_through_the_node_that_both_are_linked_to() {
    for seed in 0..5 {
        let mut world = World::new(&homes("through a third"), seed);
        world.run_until(secs(20));
        let direct = Workload::Direct { from: HOMES[0], to: HOMES[1], bytes: 200 };
        assert_eq!(world.say(direct), Some(Ok(())));
        world.run_until(secs(21));
        let there = link(&world, HOMES[0], HOMES[1]);
        assert_eq!(there, Some(LinkKind::Relay), "seed {seed}: within a second");
        world.run_until(secs(120));
        let report = world.finish();
        report.expect_ok();
        assert_eq!((report.directs.sent, report.directs.acknowledged), (1, 1), "seed {seed}");
    }
}
