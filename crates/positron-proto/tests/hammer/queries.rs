//! Copies of what somebody asked once, and somebody who asks nonsense.

use positron_proto::{
    datagram::{
        Endpoint,
        contract::{EndpointConfig, QueryId, QueryTarget},
    },
    handshake::link_public_key,
    node::{Effect, Input, NodeConfig, NodeCore, Snapshot},
    rng::Seed,
    session::sessions::{LinkKinds, SessionConfig},
    time::{Duration, Instant, Now},
};

use crate::rig::{address, config, identity, network};

/// A node that is told of datagrams, and somebody who asks it without a session.
struct Asked {
    node: NodeCore,
    asker: Endpoint,
    now: Now,
}

impl Asked {
    fn new() -> Self {
        let now = Now { mono: Instant::from_micros(1_000_000_000), ..Now::default() };
        let config = config(vec![]);
        let session = SessionConfig { transports: LinkKinds::default(), ..config.session };
        let config = NodeConfig { session, ..config };
        let dice = Seed::from_number(1);
        let mut node = NodeCore::new(config, identity(0), Snapshot::default(), &dice, now);
        node.handle(now, Input::Listening(vec![address(0)]));
        let asks = EndpointConfig::new(network());
        let asker = Endpoint::new(asks, identity(1), 1, dice.stream("asker"));
        Self { node, asker, now }
    }

    /// The datagram that asks this.
    fn question(&mut self, id: u64, body: &'static [u8]) -> Vec<u8> {
        let (addr, other) = (address(0), identity(0));
        let (key, noise_static) = (*other.public_key(), link_public_key(&other));
        let target = QueryTarget { addr, key, noise_static };
        self.asker.query(self.now, target, QueryId(id), body.into()).unwrap();
        let mut datagram = Vec::new();
        self.asker.poll_transmit(self.now, 1, &mut datagram).unwrap();
        datagram
    }

    /// The node hears it, does what is to be done, and a second passes.
    fn hear(&mut self, datagram: &[u8]) {
        self.node.handle_datagrams(self.now, address(1), 0, datagram);
        while let Some(effect) = self.node.poll_effect() {
            if let Effect::Verify { check, job, .. } = effect {
                self.node.handle(self.now, Input::Verdict { check, verdict: job.run() });
            }
        }
        let mut said = Vec::new();
        while self.node.poll_transmit(self.now, 1, &mut said).is_some() {}
        self.now.mono = self.now.mono + Duration::from_secs(1);
    }
}

/// Somebody on the path has one datagram of an honest node, of a version to come perhaps.
#[test]
fn nobody_is_held_to_have_said_again_what_others_copy() {
    let mut asked = Asked::new();
    let datagram = asked.question(1, b"\xFFnonsense");
    for _ in 0..200 {
        asked.hear(&datagram);
    }
    let view = asked.node.view(asked.now);
    assert_eq!(view.banned, 0);
    let heard = |name: &str| {
        let counted = view.counters.iter().find(|(metric, _)| metric.field == name);
        counted.map(|(_, value)| value.total())
    };
    assert_eq!((heard("queries_heard"), heard("queries_answered")), (Some(200), Some(0)));
}
