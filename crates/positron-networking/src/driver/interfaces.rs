//! The addresses of this machine and its way to others, which come and go.

use std::{io, net::IpAddr};

use positron_proto::node::Input;
use tokio::{
    task::spawn_blocking,
    time::{MissedTickBehavior, interval, sleep},
};

use super::{Arrivals, CoreInput, SleepWatch, route_socket::RouteSocket};
use crate::{
    limits::{INTERFACES_INTERVAL, INTERFACES_PAUSE},
    reach::outward,
};

/// What the operating system tells of the machine's networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NetworkNews {
    /// An interface or an address came or went: it takes a look to see whether that is news.
    Look,
    /// Packets take another way from now on, whatever the addresses are.
    Moved,
}

/// Where this machine is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    /// The addresses of interfaces that are up, in order.
    addresses: Vec<IpAddr>,
    /// From which of them it speaks to the internet.
    outward: Vec<IpAddr>,
}

/// Tells the core the addresses of this machine's interfaces: at once, whenever they or the way to
/// the internet changed, and when the machine wakes up; until the core is gone.
///
/// Linux says when there is something to see. Elsewhere, and where it says nothing, it is looked
/// every [`INTERFACES_INTERVAL`].
pub(crate) async fn watch(arrivals: Arrivals) {
    let mut told = None;
    let mut routes = RouteSocket::open();
    let mut sleep_watch = SleepWatch::start();
    let mut looks = interval(INTERFACES_INTERVAL);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let news = tokio::select! {
            _ = looks.tick() => sleep_watch.look().then_some(NetworkNews::Moved),
            news = routes.news() => Some(news),
        };
        // A host of thousands of containers takes milliseconds.
        let Ok(looked) = spawn_blocking(Place::now).await else { return };
        // Without descriptors or memory nothing is known, which is no news.
        let Ok(now) = looked else { continue };
        if news != Some(NetworkNews::Moved) && told.as_ref() == Some(&now) {
            if news.is_some() {
                sleep(INTERFACES_PAUSE).await;
            }
            continue;
        }
        if arrivals.send(CoreInput::Input(Input::Interfaces(now.addresses.clone()))).is_err() {
            return;
        }
        told = Some(now);
        sleep(INTERFACES_PAUSE).await;
    }
}

impl Place {
    fn now() -> io::Result<Self> {
        let up = if_addrs::get_if_addrs()?.into_iter().filter(if_addrs::Interface::is_oper_up);
        let mut addresses: Vec<IpAddr> = up.map(|interface| interface.ip()).collect();
        addresses.sort_unstable();
        addresses.dedup();
        Ok(Self { addresses, outward: outward() })
    }
}
