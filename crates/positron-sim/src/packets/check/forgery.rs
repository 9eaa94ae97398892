//! Nothing is believed that the peer did not say: who it is, where it is, that it dialled.
//!
//! That no message or stream is invented is found in [`Flow`](super::Flow), which knows them all.

use std::{collections::BTreeSet, net::SocketAddr};

use positron_proto::{
    datagram::contract::{Expect, RemoteNode},
    id::NodeId,
};

use super::{Promise, Wrong};

/// What a dial was told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dialled {
    pub(crate) expect: Expect,
    /// Who is really there.
    pub(crate) there: Option<NodeId>,
}

impl Dialled {
    /// Checks who answered.
    pub(crate) fn answered(&self, remote: &RemoteNode) -> Result<(), Wrong> {
        if let Expect::Node(expected) = self.expect
            && expected != remote.id
        {
            let what = format!("{} answered instead of {}", remote.id, expected);
            return Err(Wrong::new(Promise::Forgery, what));
        }
        if self.there != Some(remote.id) {
            let what = format!("{} answered, who is not there", remote.id);
            return Err(Wrong::new(Promise::Forgery, what));
        }
        Ok(())
    }
}

/// Where an end has been.
#[derive(Clone, Debug, Default)]
pub(crate) struct Addresses(BTreeSet<SocketAddr>);

impl Addresses {
    pub(crate) fn add(&mut self, addr: SocketAddr) {
        self.0.insert(addr);
    }

    /// Checks an address that another end believes to be its.
    pub(crate) fn believed(&self, addr: SocketAddr) -> Result<(), Wrong> {
        if self.0.contains(&addr) {
            return Ok(());
        }
        Err(Wrong::new(Promise::Forgery, format!("the peer was never at {addr}")))
    }
}

#[cfg(test)]
mod tests {
    use positron_proto::{
        datagram::contract::Direction, handshake::link_public_key, identity::Identity,
    };

    use super::*;

    fn remote(seed: u8) -> RemoteNode {
        let identity = Identity::from_seed([seed; 32]);
        RemoteNode {
            id: identity.node_id(),
            key: *identity.public_key(),
            noise_static: link_public_key(&identity),
            boot: 1,
            addr: SocketAddr::from(([10, 0, 0, 1], 8888)),
            direction: Direction::Outbound,
        }
    }

    #[test]
    fn somebody_else_than_expected_or_than_is_there_is_found() {
        let (a, b) = (remote(1), remote(2));
        let anyone = Dialled { expect: Expect::Anyone, there: Some(a.id) };
        assert!(anyone.answered(&a).is_ok());
        assert!(anyone.answered(&b).is_err());
        let wrong = Dialled { expect: Expect::Node(b.id), there: Some(a.id) };
        assert!(wrong.answered(&a).is_err());
        assert!(wrong.answered(&b).is_err());
    }

    #[test]
    fn an_address_where_the_peer_never_was_is_found() {
        let mut addresses = Addresses::default();
        addresses.add(remote(1).addr);
        assert!(addresses.believed(remote(1).addr).is_ok());
        assert!(addresses.believed(SocketAddr::from(([10, 9, 0, 1], 1))).is_err());
    }
}
