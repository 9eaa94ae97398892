//! From which of our addresses we answer.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::Mutex,
};

use crate::limits::MAX_SOURCE_ADDRESSES;

/// At which address of this machine each of the others speaks to us, where that is not the one from
/// which the kernel would answer.
///
/// A socket that takes every address of a machine answers from whichever the route chooses; who
/// spoke to another one takes that for a stranger's word. So what came to another one is answered
/// from there. Everybody else is left to the kernel: when a machine moves to another network, its
/// packets leave from there.
///
/// At most [`MAX_SOURCE_ADDRESSES`] others; then all are forgotten and asked for anew.
#[derive(Debug, Default)]
pub(super) struct SourceAddresses(Mutex<HashMap<IpAddr, Reached>>);

#[derive(Clone, Copy, Debug)]
struct Reached {
    /// Where it speaks to us.
    at: IpAddr,
    /// Whether the kernel would answer from elsewhere.
    differs: bool,
}

impl SourceAddresses {
    /// `from` spoke to us at this address.
    pub(super) fn note(&self, from: SocketAddr, at: IpAddr) {
        let mut known = self.lock();
        if known.get(&from.ip()).is_some_and(|reached| reached.at == at) || at.is_multicast() {
            return;
        }
        if known.len() >= MAX_SOURCE_ADDRESSES {
            known.clear();
        }
        let differs = usual_source(from).is_some_and(|usual| usual != at.to_canonical());
        known.insert(from.ip(), Reached { at, differs });
    }

    /// From where to speak to `to`, if not from wherever the kernel chooses.
    pub(super) fn source_for(&self, to: SocketAddr) -> Option<IpAddr> {
        let reached = self.lock().get(&to.ip()).copied()?;
        reached.differs.then_some(reached.at)
    }

    /// Nothing can be sent to `to` from there any more.
    pub(super) fn forget(&self, to: SocketAddr) {
        self.lock().remove(&to.ip());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<IpAddr, Reached>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// From where the kernel would speak to `to`: it is asked by a socket that sends nothing.
fn usual_source(to: SocketAddr) -> Option<IpAddr> {
    let (to, any) = match to.ip().to_canonical() {
        ip @ IpAddr::V4(_) => ((ip, to.port()).into(), IpAddr::from(Ipv4Addr::UNSPECIFIED)),
        IpAddr::V6(_) => (to, IpAddr::from(Ipv6Addr::UNSPECIFIED)),
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect::<SocketAddr>(to).ok()?;
    Some(socket.local_addr().ok()?.ip())
}
