//! Where a node can be dialled: which of this machine's addresses, in which order.

use std::{
    cmp::Reverse,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
};

/// Addresses in an invite: it must stay short enough to be pasted, and there is one attempt for
/// each when it is used (guess).
pub const MAX_INVITED: usize = 8;

/// Addresses of this machine that are looked at: hosts of containers have thousands (guess).
const MAX_INTERFACES: usize = 4096;

/// What a machine has: its addresses, and from which of them it talks to the world.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// Those of interfaces that are up.
    pub interfaces: Vec<Interface>,
    /// The source addresses of the default routes, at most one of each family.
    pub outward: Vec<IpAddr>,
}

/// One address of one interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// As the operating system calls the interface.
    pub name: String,
    /// One of its addresses.
    pub ip: IpAddr,
}

/// How likely somebody else can dial an address; the likelier is smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    /// From anywhere, if no firewall is in the way.
    Global,
    /// From networks of the same owner: RFC 1918, RFC 6598, RFC 4193.
    Private,
    /// From the same cable.
    Link,
    /// From containers and virtual machines on this machine.
    Bridge,
    /// From this machine.
    Loopback,
}

impl Machine {
    /// The one that this process is on.
    pub fn this() -> Self {
        let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
        let up = interfaces.into_iter().filter(if_addrs::Interface::is_oper_up);
        let named = up.filter(|one| !one.is_link_local() || one.ip().is_ipv4());
        let named = named.map(|one| Interface { ip: one.ip(), name: one.name });
        let interfaces = named.take(MAX_INTERFACES).collect();
        Self { interfaces, outward: outward() }
    }

    /// Where a node of this machine can be dialled that listens on `listen` and is seen by others
    /// at `observed`: the likeliest first, at most [`MAX_INVITED`].
    ///
    /// Loopback is among them only if there is nothing else, and no address that means something
    /// else on each machine (link-local IPv6 needs the name of an interface beside it).
    pub fn dialable(&self, observed: &[SocketAddr], listen: &[SocketAddr]) -> Vec<SocketAddr> {
        let local = listen.iter().flat_map(|address| {
            self.served_by(address.ip()).into_iter().map(|ip| (ip, address.port()))
        });
        let mut found: Vec<SocketAddr> = Vec::new();
        for address in observed.iter().copied().chain(local.map(SocketAddr::from)) {
            let known = found.contains(&address);
            if address.port() != 0 && !known && self.reach(address.ip()).is_some() {
                found.push(address);
            }
        }
        // What others saw is before what only we see.
        found.sort_by_cached_key(|address| {
            let seen = observed.contains(address);
            let outward = self.outward.contains(&address.ip());
            (self.reach(address.ip()), Reverse((seen, outward)))
        });
        let is_loopback = |address: &SocketAddr| address.ip().is_loopback();
        if !found.iter().all(is_loopback) {
            found.retain(|address| !is_loopback(address));
        }
        cut(&mut found);
        found
    }

    /// Whether a socket on `listen` means both families here, but there is only IPv4.
    pub fn is_without_ipv6(&self, listen: &[SocketAddr]) -> bool {
        listen.iter().any(|address| address.ip() == Ipv6Addr::UNSPECIFIED)
            && !self.interfaces.iter().any(|one| one.ip.is_ipv6())
    }

    /// The addresses of this machine that a socket on `ip` takes.
    fn served_by(&self, ip: IpAddr) -> Vec<IpAddr> {
        if !ip.is_unspecified() {
            return vec![ip];
        }
        // `::` takes both families, and says so to the operating system.
        let takes = |one: &IpAddr| one.is_ipv4() || ip.is_ipv6();
        let own = self.interfaces.iter().map(|one| one.ip);
        own.chain(self.outward.iter().copied()).filter(takes).collect()
    }

    /// `None` for what nobody else can dial.
    fn reach(&self, ip: IpAddr) -> Option<Reach> {
        let reach = match ip {
            _ if ip.is_unspecified() || ip.is_multicast() => return None,
            _ if ip.is_loopback() => Reach::Loopback,
            IpAddr::V6(ip) if ip.is_unicast_link_local() => return None,
            IpAddr::V4(ip) if ip.is_link_local() => Reach::Link,
            _ if self.is_of_bridge(ip) => Reach::Bridge,
            IpAddr::V4(ip) if ip.is_private() || is_shared(ip) => Reach::Private,
            IpAddr::V6(ip) if ip.is_unique_local() => Reach::Private,
            _ => Reach::Global,
        };
        Some(reach)
    }

    /// Whether only containers and virtual machines of this machine are behind the address. One
    /// from which it talks to the world is of the world, whatever its interface is called.
    fn is_of_bridge(&self, ip: IpAddr) -> bool {
        let named = |one: &Interface| BRIDGES.iter().any(|name| one.name.starts_with(name));
        !self.outward.contains(&ip) && self.interfaces.iter().any(|one| one.ip == ip && named(one))
    }
}

/// Leaves [`MAX_INVITED`]. The family that has more loses its last: a machine can have many IPv6
/// addresses beside the only one that a neighbour without IPv6 can dial.
fn cut(addresses: &mut Vec<SocketAddr>) {
    while addresses.len() > MAX_INVITED {
        let v6 = addresses.iter().filter(|address| address.is_ipv6()).count();
        let is_v6 = v6 * 2 > addresses.len();
        let Some(last) = addresses.iter().rposition(|address| address.is_ipv6() == is_v6) else {
            return;
        };
        addresses.remove(last);
    }
}

/// RFC 6598: behind the translator of a provider, or in an overlay network.
fn is_shared(ip: Ipv4Addr) -> bool {
    let [a, b, ..] = ip.octets();
    a == 100 && (64..128).contains(&b)
}

/// From which of its addresses this machine talks to the internet, at most one of each family.
pub(crate) fn outward() -> Vec<IpAddr> {
    let elsewhere = [
        (Ipv4Addr::UNSPECIFIED.into(), "192.0.2.1:9"),
        (Ipv6Addr::UNSPECIFIED.into(), "[2001:db8::1]:9"),
    ];
    elsewhere.into_iter().filter_map(|(any, to)| source_towards(any, to)).collect()
}

/// The address from which this machine talks to `elsewhere`. Nothing is sent to find it out:
/// connecting a UDP socket only asks the routing table.
fn source_towards(any: IpAddr, elsewhere: &str) -> Option<IpAddr> {
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).ok()?;
    socket.connect(elsewhere).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// How bridges of containers and virtual machines, and their ends of cables, are called: Docker,
/// Podman, CNI, containerd, Flannel, Calico, Cilium, LXC, LXD, Incus, libvirt, VirtualBox, VMware,
/// Hyper-V.
const BRIDGES: [&str; 16] = [
    "docker",
    "br-",
    "podman",
    "cni",
    "nerdctl",
    "flannel",
    "cali",
    "cilium",
    "lxc",
    "lxdbr",
    "incusbr",
    "virbr",
    "vboxnet",
    "vmnet",
    "vEthernet",
    "veth",
];

#[cfg(test)]
mod tests {
    use super::*;

    /// `name ip` of each interface, and the sources of the default routes.
    fn machine(interfaces: &[&str], outward: &[&str]) -> Machine {
        let interface = |text: &&str| {
            let (name, ip) = text.split_once(' ').unwrap();
            Interface { name: name.to_owned(), ip: ip.parse().unwrap() }
        };
        Machine {
            interfaces: interfaces.iter().map(interface).collect(),
            outward: outward.iter().map(|ip| ip.parse().unwrap()).collect(),
        }
    }

    fn invited(machine: &Machine, observed: &[&str], listen: &str) -> Vec<String> {
        let parse = |text: &&str| text.parse().unwrap();
        let observed: Vec<SocketAddr> = observed.iter().map(parse).collect();
        let found = machine.dialable(&observed, &[listen.parse().unwrap()]);
        found.iter().map(ToString::to_string).collect()
    }

    const LO: [&str; 2] = ["lo 127.0.0.1", "lo ::1"];

    #[test]
    fn every_address_is_named_the_likeliest_first() {
        let mut interfaces = LO.to_vec();
        interfaces.extend(["docker0 172.17.0.1", "br-0123456789ab 172.18.0.1"]);
        interfaces.extend(["eth0 10.0.0.5", "eth0 fd00::5", "eth0 fe80::5", "eth0 2001:db8::5"]);
        interfaces.extend(["eth1 198.51.100.5", "eth2 192.168.7.5", "eth3 169.254.3.5"]);
        let machine = machine(&interfaces, &["192.168.7.5", "2001:db8::5"]);
        let all = [
            "[2001:db8::5]:1",
            "198.51.100.5:1",
            "192.168.7.5:1",
            "10.0.0.5:1",
            "[fd00::5]:1",
            "169.254.3.5:1",
            "172.17.0.1:1",
            "172.18.0.1:1",
        ];
        assert_eq!(invited(&machine, &[], "[::]:1"), all);
        let v4: Vec<_> = all.iter().filter(|text| !text.starts_with('[')).copied().collect();
        assert_eq!(invited(&machine, &[], "0.0.0.0:1"), v4, "IPv4 alone serves IPv4 alone");
        assert_eq!(invited(&machine, &[], "10.0.0.5:1"), ["10.0.0.5:1"]);
        assert_eq!(invited(&machine, &[], "[::]:0"), [""; 0], "no port yet");
    }

    #[test]
    fn what_others_saw_is_first_among_its_like() {
        let machine = machine(&[&LO[..], &["eth0 10.0.0.5", "eth1 10.1.0.5"]].concat(), &[]);
        let seen = ["203.0.113.9:1", "10.1.0.5:1", "127.0.0.1:1"];
        let wanted = ["203.0.113.9:1", "10.1.0.5:1", "10.0.0.5:1"];
        assert_eq!(invited(&machine, &seen, "[::]:1"), wanted);
    }

    #[test]
    fn one_family_is_enough_and_loopback_is_named_only_without_both() {
        let v6 = machine(&[&LO[..], &["eth0 2001:db8::5", "eth0 fe80::5"]].concat(), &[]);
        assert_eq!(invited(&v6, &[], "[::]:1"), ["[2001:db8::5]:1"]);
        assert_eq!(invited(&v6, &[], "0.0.0.0:1"), ["127.0.0.1:1"]);
        let v4 = machine(&["lo 127.0.0.1", "eth0 10.0.0.5"], &[]);
        assert_eq!(invited(&v4, &[], "[::]:1"), ["10.0.0.5:1"]);
        assert!(v4.is_without_ipv6(&["[::]:1".parse().unwrap()]));
        assert!(!v4.is_without_ipv6(&["0.0.0.0:1".parse().unwrap()]));
        assert!(!v6.is_without_ipv6(&["[::]:1".parse().unwrap()]));
        let alone = machine(&LO, &[]);
        assert_eq!(invited(&alone, &[], "[::]:1"), ["127.0.0.1:1", "[::1]:1"]);
    }

    #[test]
    fn a_bridge_that_leads_to_the_world_is_no_bridge_of_containers() {
        let names = ["br-lan 192.168.1.5", "docker0 172.17.0.1"];
        let machine = machine(&names, &["192.168.1.5"]);
        assert_eq!(machine.reach("192.168.1.5".parse().unwrap()), Some(Reach::Private));
        assert_eq!(invited(&machine, &[], "[::]:1"), ["192.168.1.5:1", "172.17.0.1:1"]);
    }

    #[test]
    fn a_machine_with_many_addresses_names_the_best_of_them() {
        let mut many: Vec<String> = (0..100).map(|n| format!("docker{n} 172.17.{n}.1")).collect();
        many.push("eth0 198.51.100.5".into());
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let named = invited(&machine(&many, &[]), &[], "[::]:1");
        assert_eq!((named.len(), named[0].as_str()), (MAX_INVITED, "198.51.100.5:1"));

        let mut many: Vec<String> = (0..20).map(|n| format!("eth0 2001:db8::{n:x}")).collect();
        many.push("eth0 192.168.7.5".into());
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let named = invited(&machine(&many, &[]), &[], "[::]:1");
        assert_eq!((named.len(), named[MAX_INVITED - 1].as_str()), (MAX_INVITED, "192.168.7.5:1"));
    }
}
