//! Peers that a node keeps a slot for, as its operator names them.

use std::net::SocketAddr;

use positron_proto::{id::NodeId, peers::Reservation};

/// `id` or `id@ip:port` as a reservation; `None` if it is neither.
pub(super) fn to_reserve(text: &str) -> Option<Reservation> {
    let (id, at) = match text.split_once('@') {
        Some((id, at)) => (id, Some(at.parse::<SocketAddr>().ok()?)),
        None => (text, None),
    };
    let peer: NodeId = id.parse().ok()?;
    let can_be_dialled = at.is_none_or(|at| at.port() != 0 && !at.ip().is_unspecified());
    can_be_dialled.then_some(Reservation { peer, at })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_with_or_without_an_address_is_a_reservation() {
        let id = "ab".repeat(32);
        let peer: NodeId = id.parse().unwrap();
        assert_eq!(to_reserve(&id), Some(Reservation { peer, at: None }));
        let at = "[2001:db8::1]:8888";
        let reserved = to_reserve(&format!("{id}@{at}"));
        assert_eq!(reserved, Some(Reservation { peer, at: at.parse().ok() }));
        let cases = ["", "@", "ab", "@192.0.2.1:8888"].map(str::to_owned);
        let addresses =
            ["@", "@192.0.2.1", "@192.0.2.1:0", "@0.0.0.0:8888", "@node.example.org:8888"];
        for text in cases.into_iter().chain(addresses.map(|at| format!("{id}{at}"))) {
            assert_eq!(to_reserve(&text), None, "{text}");
        }
    }
}
