//! The way to the router of this machine's network, which is asked to let strangers in at a port.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use positron_proto::{
    id::NodeId,
    limits::MAX_ROUTER_MESSAGE,
    nat::{Gateway, MappedPort, RouterNews},
    node::Input,
};
use tokio::{
    net::UdpSocket,
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};

use super::{Arrivals, CoreInput, interfaces::NetworkNews, route_socket::RouteSocket};
use crate::limits::{INTERFACES_INTERVAL, ROUTER_ANSWERS};

/// A socket that is connected with the router, as long as there is one: the kernel brings nothing
/// from elsewhere.
#[derive(Debug, Default)]
pub(super) struct RouterWay {
    socket: Mutex<Option<Arc<UdpSocket>>>,
    /// How many datagrams are brought to the core until it asks again.
    awaited: AtomicUsize,
}

impl RouterWay {
    /// Sends one datagram. It is lost where there is no router, or the kernel has no room.
    pub(super) fn ask(&self, to: SocketAddr, bytes: &[u8]) {
        let Some(socket) = self.socket() else { return };
        if socket.peer_addr().ok() != Some(to) {
            return; // the core will hear of the other one
        }
        self.awaited.store(ROUTER_ANSWERS, Ordering::Relaxed);
        if let Err(error) = socket.try_send(bytes) {
            tracing::debug!(%error, "the router is not asked");
        }
    }

    fn socket(&self) -> Option<Arc<UdpSocket>> {
        self.socket.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, socket: Option<UdpSocket>) {
        *self.socket.lock().unwrap_or_else(PoisonError::into_inner) = socket.map(Arc::new);
    }

    /// Something that the core waits for. Cancel-safe.
    async fn answer(&self) -> io::Result<RouterNews> {
        let Some(socket) = self.socket() else { return std::future::pending().await };
        // One byte more than there may be, so that what is too long is seen to be.
        let mut buffer = [0; MAX_ROUTER_MESSAGE + 1];
        loop {
            let read = match socket.recv(&mut buffer).await {
                Ok(read) => read,
                // Nobody listens there; the core asks again, or not.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => continue,
                Err(error) => return Err(error),
            };
            let one_less = |awaited: usize| awaited.checked_sub(1);
            let order = Ordering::Relaxed;
            if self.awaited.fetch_update(order, order, one_less).is_ok() {
                let (from, bytes) = (socket.peer_addr()?, Bytes::copy_from_slice(&buffer[..read]));
                return Ok(RouterNews::Answered { from, bytes });
            }
        }
    }
}

/// Tells the core which router there is, whenever that changes, and what it says; until the core is
/// gone.
pub(super) async fn watch(way: Arc<RouterWay>, arrivals: Arrivals) {
    let tell = |news| arrivals.send(CoreInput::Input(Input::Router(news))).is_ok();
    let mut told = None;
    let mut routes = RouteSocket::open();
    let mut looks = interval(INTERFACES_INTERVAL);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let is_moved = tokio::select! {
            _ = looks.tick() => false,
            news = routes.news() => news == NetworkNews::Moved,
            answer = way.answer() => match answer {
                Ok(news) => match tell(news) {
                    true => continue,
                    false => return,
                },
                Err(error) => {
                    // Once more at the next look: whoever refuses does it each time.
                    tracing::debug!(%error, "the router is not heard");
                    way.set(None);
                    told = None;
                    continue;
                }
            },
        };
        // Reading the table of a host of thousands of routes takes milliseconds.
        let Ok(gateway) = spawn_blocking(gateway).await else { return };
        if is_moved {
            // Another router may have the same address.
            told = None;
            way.set(None);
        }
        if told == Some(gateway) {
            continue;
        }
        let socket = match gateway {
            Some(gateway) => connected(gateway).await.ok(),
            None => None,
        };
        way.set(socket);
        let is_told =
            (!is_moved || tell(RouterNews::Gateway(None))) && tell(RouterNews::Gateway(gateway));
        if !is_told {
            return;
        }
        told = Some(gateway);
    }
}

async fn connected(gateway: Gateway) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((gateway.own, 0)).await?;
    socket.connect(gateway.at()).await?;
    socket.writable().await?;
    Ok(socket)
}

/// Where the default route over IPv4 leads, and from which of our addresses.
fn gateway() -> Option<Gateway> {
    let address = default_route()?;
    // A socket that sends nothing tells from where the kernel would.
    let socket = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((address, 1)).ok()?;
    match socket.local_addr().ok()? {
        SocketAddr::V4(own) => Some(Gateway { address, own: *own.ip() }),
        SocketAddr::V6(_) => None,
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn default_route() -> Option<Ipv4Addr> {
    default_route_of(&std::fs::read_to_string("/proc/net/route").ok()?)
}

/// Other systems tell it in ways of their own.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn default_route() -> Option<Ipv4Addr> {
    None
}

/// The gateway of the default route with the smallest metric in the kernel's table
/// (`proc(5)`, `/proc/net/route`): addresses are words in the order of the machine, in hexadecimal.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn default_route_of(table: &str) -> Option<Ipv4Addr> {
    let routes = table.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let [_, to, gateway, flags, _, _, metric, mask, ..] = fields[..] else { return None };
        let word = |text| u32::from_str_radix(text, 16).ok();
        let is_usable = word(flags)? & (RTF_UP | RTF_GATEWAY) == RTF_UP | RTF_GATEWAY;
        let is_default = word(to)? == 0 && word(mask)? == 0;
        let gateway = Ipv4Addr::from(word(gateway)?.to_ne_bytes());
        (is_usable && is_default).then_some((metric.parse::<u32>().ok()?, gateway))
    });
    routes.min().map(|(_, gateway)| gateway)
}

/// Of `linux/route.h`.
#[cfg(any(target_os = "linux", target_os = "android"))]
const RTF_UP: u32 = 1;
#[cfg(any(target_os = "linux", target_os = "android"))]
const RTF_GATEWAY: u32 = 2;

/// Has the log say how it goes with the mapped port, when that has changed.
pub(super) fn log(node: NodeId, before: Option<&MappedPort>, now: Option<&MappedPort>) {
    let Some(now) = now.filter(|now| now.external.is_some() || now.failure.is_some()) else {
        return;
    };
    let of_note = |it: &MappedPort| (it.external, it.state, it.failure);
    if before.map(of_note) != Some(of_note(now)) {
        tracing::info!(node = %node.short(), "port mapped by the router: {}", now.in_words());
    }
}

#[cfg(all(test, any(target_os = "linux", target_os = "android")))]
mod tests {
    use super::*;

    const TABLE: &str = "\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
wlan0\t00000000\tFE01A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0
eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0
eth0\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0
tun0\t00000000\t0100000A\t0003\t0\t0\t0\t00000080\t0\t0\t0
ppp0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0
";

    #[test]
    #[cfg(target_endian = "little")]
    fn the_router_is_the_gateway_of_the_default_route_that_goes_first() {
        assert_eq!(default_route_of(TABLE), Some(Ipv4Addr::new(192, 168, 1, 1)));
        let without_default: String = TABLE
            .lines()
            .filter(|line| !line.contains("0003"))
            .map(|it| format!("{it}\n"))
            .collect();
        assert_eq!(default_route_of(&without_default), None);
        assert_eq!(default_route_of("eth0 0 zz"), None);
        assert_eq!(default_route_of(""), None);
    }
}
