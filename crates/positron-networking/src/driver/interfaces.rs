//! The addresses of this machine, which come and go.

use std::{io, net::IpAddr};

use positron_proto::node::Input;
use tokio::{
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};

use super::{Arrivals, CoreInput};
use crate::limits::INTERFACES_INTERVAL;

/// Tells the core the addresses of this machine's interfaces, at once and whenever they changed,
/// until the core is gone.
pub(crate) async fn watch(arrivals: Arrivals) {
    let mut told = None;
    let mut looks = interval(INTERFACES_INTERVAL);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        // A host of thousands of containers takes milliseconds.
        let Ok(looked) = spawn_blocking(addresses).await else { return };
        // Without descriptors or memory nothing is known, which is no news.
        let Ok(now) = looked else { continue };
        if told.as_ref() == Some(&now) {
            continue;
        }
        if arrivals.send(CoreInput::Input(Input::Interfaces(now.clone()))).is_err() {
            return;
        }
        told = Some(now);
    }
}

/// Those of interfaces that are up, in order.
fn addresses() -> io::Result<Vec<IpAddr>> {
    let up = if_addrs::get_if_addrs()?.into_iter().filter(if_addrs::Interface::is_oper_up);
    let mut addresses: Vec<IpAddr> = up.map(|interface| interface.ip()).collect();
    addresses.sort_unstable();
    addresses.dedup();
    Ok(addresses)
}
