//! The port that the router of this network maps, where the operator wants that.

use std::net::SocketAddr;

use super::{NodeConfig, NodeCore, through_relays::ThroughRelays};
use crate::{
    crypto::sha256,
    identity::Identity,
    nat::{Gateway, Nat, PortWish},
    rng::Seed,
    session::sessions::LinkKind,
    time::Now,
};

/// A node that has its port mapped.
pub(super) struct Mapped<'a>(pub(super) &'a mut NodeCore);

/// What knows of the translators before a node of this configuration.
pub(super) fn nat_of(config: &NodeConfig, me: &Identity, seed: &Seed) -> Nat {
    let nat = Nat::new(&config.peers.external, seed);
    if !config.map_port {
        return nat;
    }
    // The same after a crash: a router lets nobody else change what it mapped. Nobody can guess it,
    // and it says nothing of the key from which it is made.
    let secret = sha256(&[b"positron-net/port-mapping/1", me.link_secret()]);
    let (nonce, _) = secret.split_first_chunk().expect("a hash is longer");
    let with_tcp = config.session.transports.has(LinkKind::Tcp);
    nat.with_port_mapping(PortWish { with_tcp, nonce: *nonce })
}

impl Mapped<'_> {
    /// The router of this network is another one, or reached from another address of ours.
    pub(super) fn handle_gateway(&mut self, now: Now, gateway: Option<Gateway>) {
        let core = &mut *self.0;
        let port = core.peers.port();
        if let Some(router) = &mut core.nat.router {
            router.handle_gateway(now.mono, gateway, port, &mut core.queues.nat);
        }
        self.look(now);
    }

    /// A datagram came from where routers are asked.
    pub(super) fn handle_answer(&mut self, now: Now, from: SocketAddr, bytes: &[u8]) {
        let core = &mut *self.0;
        if let Some(router) = &mut core.nat.router {
            router.handle_answer(now.mono, from, bytes, &mut core.queues.nat);
        }
        self.look(now);
    }

    pub(super) fn handle_timeout(&mut self, now: Now) {
        let core = &mut *self.0;
        let router = core.nat.router.as_mut();
        let due = router.filter(|it| it.poll_timeout().is_some_and(|at| at <= now.mono));
        if let Some(router) = due {
            router.handle_timeout(now.mono, &mut core.queues.nat);
            self.look(now);
        }
    }

    /// The node stops.
    pub(super) fn stop(&mut self, now: Now) {
        let core = &mut *self.0;
        if let Some(router) = &mut core.nat.router {
            router.stop(now.mono, &mut core.queues.nat);
        }
    }

    /// Where the router says that it is, or where peers see us, may have changed.
    pub(super) fn look(&mut self, now: Now) {
        if self.0.nat.router.is_some() {
            self.0.nat.handle_mapped(now.mono);
            ThroughRelays(self.0).state(now);
        }
    }
}
