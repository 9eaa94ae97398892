//! A small internet on this machine: public hosts, and homes behind routers of every kind.
//!
//! ```text
//! inside ── lan│router│wan ── (lan│carrier│wan) ── internet ── public host
//! ```
//!
//! No cable of it leads out, so its addresses are its own: network `n` is 11.n.0.0/16, a network of
//! the internet by every rule that counts those, with the internet at 11.n.0.1 and what is
//! connected at 11.n.0.2. Homes have 192.168.n.0/24 inside, or 11.n.1.0/24 where they are routed;
//! carriers 100.64.n.0/24 (RFC 6598).

use std::{
    cell::{Cell, OnceCell},
    ffi::OsStr,
    fs::File,
    io::Write as _,
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    os::fd::AsFd as _,
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::Duration,
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::{
    fixture::Reaped,
    namespaces::{Namespace, can_be, or_skipped, run},
    nat_type::NatType,
    slow_lines::SlowLines,
};

/// The internet, with what every test wants of it: two public hosts. Dropping it removes it.
pub(crate) struct Lab {
    name: String,
    /// A router with a cable to each network.
    internet: Machine,
    /// How many networks there are.
    networks: Cell<u8>,
    slow_lines: OnceCell<SlowLines>,
    /// Hosts in two networks of the internet.
    pub(crate) public: Vec<Machine>,
}

/// A machine of the lab. Dropping it removes it; processes that run on it go on.
pub(crate) struct Machine {
    namespace: Namespace,
    /// Its address; that of a router is the outer one.
    pub(crate) ip: Ipv4Addr,
}

/// A machine behind a router.
pub(crate) struct Home {
    pub(crate) nat: NatType,
    /// The machine in it.
    pub(crate) inside: Machine,
    /// From the inside out.
    pub(crate) routers: Vec<Machine>,
}

impl Lab {
    /// `None`, and why on stderr, where there can be none: it takes root, `ip` and `nft`.
    pub(crate) fn new() -> Option<Self> {
        or_skipped(Self::make())
    }

    fn make() -> Result<Self, String> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        can_be()?;
        let name = format!("lab{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let internet = Machine::new(&name, "internet", Ipv4Addr::UNSPECIFIED)?;
        internet.forwards()?;
        internet.nft("list ruleset")?;
        let (networks, slow_lines) = (Cell::new(0), OnceCell::new());
        let mut lab = Self { name, internet, networks, slow_lines, public: Vec::new() };
        for _ in 0..2 {
            lab.public.push(lab.host()?);
        }
        Ok(lab)
    }

    /// Another public host, in a network of its own.
    pub(crate) fn host(&self) -> Result<Machine, String> {
        let network = self.next_network();
        let ip = Ipv4Addr::new(11, network, 0, 2);
        let host = Machine::new(&self.name, &format!("{network}-public"), ip)?;
        self.connect(&host, network)?;
        Ok(host)
    }

    /// A home with such a router, in a network of its own.
    #[track_caller]
    pub(crate) fn home(&self, nat: NatType) -> Home {
        self.make_home(nat).unwrap()
    }

    fn make_home(&self, nat: NatType) -> Result<Home, String> {
        let network = self.next_network();
        let machine =
            |end: &str, ip| Machine::new(&self.name, &format!("{network}-{nat}-{end}"), ip);
        let outside = Ipv4Addr::new(11, network, 0, 2);
        let between = Ipv4Addr::new(100, 64, network, 2);
        let inside = if nat.is_routed() {
            Ipv4Addr::new(11, network, 1, 2)
        } else {
            Ipv4Addr::new(192, 168, network, 2)
        };
        let inside = machine("inside", inside)?;
        let carrier =
            nat.carrier().map(|carrier| Ok::<_, String>((carrier, machine("carrier", outside)?)));
        let carrier = carrier.transpose()?;
        let router = machine("router", if carrier.is_some() { between } else { outside })?;
        router.nft(&nat.rules())?;
        router.forwards()?;
        cable(&router, "lan", &inside, "wan")?;
        let mut routers = vec![router];
        if let Some((kind, carrier)) = carrier {
            carrier.nft(&kind.rules())?;
            carrier.forwards()?;
            cable(&carrier, "lan", &routers[0], "wan")?;
            routers.push(carrier);
        }
        self.connect(routers.last().unwrap_or(&inside), network)?;
        if nat.is_routed() {
            self.internet.ip(&format!("route add 11.{network}.1.0/24 via {outside}"))?;
        }
        Ok(Home { nat, inside, routers })
    }

    /// The machine, a [`host`](Self::host), is unplugged and plugged in in another network.
    #[track_caller]
    pub(crate) fn replug(&self, host: &mut Machine) {
        let network = self.next_network();
        host.ip("link delete wan").unwrap();
        host.ip = Ipv4Addr::new(11, network, 0, 2);
        self.connect(host, network).unwrap();
    }

    /// From now on the line of whoever has this address on the internet loses so many of a hundred
    /// packets, in each direction. It loses them behind the routers, who know nothing of it.
    #[track_caller]
    pub(crate) fn lose(&self, percent: u8, at: Ipv4Addr) {
        let network = at.octets()[1];
        let table = format!("line{network}");
        // To be added once more is nothing, and to be deleted takes that it is there.
        let fresh = format!("add table ip {table}\ndelete table ip {table}\n");
        let lost = format!("numgen random mod 100 < {percent} drop");
        let rules = format!(
            r#"{fresh}table ip {table} {{
    chain coming {{
        type filter hook prerouting priority raw
        iifname "net{network}" {lost}
    }}
    chain going {{
        type filter hook postrouting priority filter
        oifname "net{network}" {lost}
    }}
}}
"#
        );
        self.internet.nft(if percent == 0 { &fresh } else { &rules }).unwrap();
    }

    /// From now on the line of whoever has this address on the internet takes so long in each
    /// direction. That the kernel has no means for it is said before anything is changed.
    pub(crate) fn delay(&self, delay: Duration, at: Ipv4Addr) -> Result<(), String> {
        let network = at.octets()[1];
        let (coming, going) = (2 * u16::from(network), 2 * u16::from(network) + 1);
        let line = |table: &str, packets: &str, queue: u16| {
            let name = &self.internet.namespace.name;
            let rule = format!("{packets} net{network} -j NFQUEUE --queue-num {queue}");
            run(&format!("ip netns exec {name} iptables -w -t {table} -A {rule}"))
        };
        let lines = match self.slow_lines.get() {
            Some(lines) => lines,
            None => {
                let made = self.internet.within(SlowLines::new)?;
                self.slow_lines.get_or_init(|| made)
            }
        };
        lines.open(coming, delay)?;
        lines.open(going, delay)?;
        line("raw", "PREROUTING -i", coming)?;
        line("mangle", "POSTROUTING -o", going)
    }

    /// From now on, or until `is_cut` is false again, no datagram gets from one of these addresses
    /// to the other.
    #[track_caller]
    pub(crate) fn cut(&self, is_cut: bool, [one, other]: [Ipv4Addr; 2]) {
        let (network, other_network) = (one.octets()[1], other.octets()[1]);
        let table = format!("cut{network}and{other_network}");
        let fresh = format!("add table ip {table}\ndelete table ip {table}\n");
        let pair = format!("{{ {one}, {other} }}");
        let rules = format!(
            r#"{fresh}table ip {table} {{
    chain through {{
        type filter hook forward priority filter
        ip saddr {pair} ip daddr {pair} meta l4proto udp drop
    }}
}}
"#
        );
        self.internet.nft(if is_cut { &rules } else { &fresh }).unwrap();
    }

    fn next_network(&self) -> u8 {
        let network = self.networks.get() + 1;
        self.networks.set(network);
        network
    }

    fn connect(&self, machine: &Machine, network: u8) -> Result<(), String> {
        cable(&self.internet, &format!("net{network}"), machine, "wan")
    }
}

/// A cable from `upper`, which is the gateway, to `lower`, whose address says which network it is.
fn cable(upper: &Machine, port: &str, lower: &Machine, end: &str) -> Result<(), String> {
    let [a, b, c, _] = lower.ip.octets();
    let gateway = Ipv4Addr::new(a, b, c, 1);
    let peer = &lower.namespace.name;
    upper.ip(&format!("link add {port} type veth peer name {end} netns {peer}"))?;
    upper.ip(&format!("address add {gateway}/24 dev {port}"))?;
    upper.ip(&format!("link set {port} up"))?;
    lower.ip(&format!("link set {end} up"))?;
    lower.settle(end)
}

impl Home {
    /// The machine in it leaves, and `guest` takes its place at the router.
    #[track_caller]
    pub(crate) fn take_in(&mut self, guest: &mut Machine) {
        let router = &self.routers[0];
        router.ip("link delete lan").unwrap();
        guest.ip("link delete wan").unwrap();
        guest.ip = self.inside.ip;
        cable(router, "lan", guest, "wan").unwrap();
    }

    /// The address of the machine in it.
    pub(crate) fn inside_addr(&self) -> Ipv4Addr {
        self.inside.ip
    }

    /// The address that it has for the internet.
    pub(crate) fn outside_ip(&self) -> Ipv4Addr {
        match self.routers.last() {
            Some(router) if !self.nat.is_routed() => router.ip,
            _ => self.inside.ip,
        }
    }

    /// A socket of the machine in it; 0 stands for any port.
    pub(crate) fn udp(&self, port: u16) -> UdpSocket {
        self.inside.udp(port)
    }

    /// Turns the outer router, which translates, off and on again `meanwhile`: it has forgotten
    /// every mapping.
    #[track_caller]
    pub(crate) fn reboot(&self, meanwhile: impl FnOnce()) {
        let router = self.routers.last().unwrap();
        router.ip("link set wan down").unwrap();
        // The kernel forgets what was masqueraded through an interface that goes down.
        meanwhile();
        router.ip("link set wan up").unwrap();
        router.ip(&router.way_out()).unwrap();
    }

    /// The outer router has another address of its network from now on, and maps to that.
    #[track_caller]
    pub(crate) fn renumber(&mut self) {
        let router = self.routers.last_mut().unwrap();
        router.ip(&format!("address del {}/24 dev wan", router.ip)).unwrap();
        let [a, b, c, d] = router.ip.octets();
        router.ip = Ipv4Addr::new(a, b, c, d + 1);
        router.settle("wan").unwrap();
    }

    /// A command that runs on the machine in it.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        self.inside.command(program)
    }
}

impl Machine {
    fn new(lab: &str, end: &str, ip: Ipv4Addr) -> Result<Self, String> {
        Ok(Self { namespace: Namespace::new(lab, end)?, ip })
    }

    /// It gets another address of its network, as from a server that forgot it.
    #[track_caller]
    pub(crate) fn renumber(&mut self) {
        let [a, b, c, last] = self.ip.octets();
        self.ip = Ipv4Addr::new(a, b, c, last + 1);
        self.ip("address flush dev wan scope global").unwrap();
        self.ip(&format!("address add {}/24 dev wan", self.ip)).unwrap();
        self.ip(&format!("route add default via {a}.{b}.{c}.1")).unwrap();
    }

    pub(crate) fn at(&self, port: u16) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(self.ip), port)
    }

    /// A command that runs here.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace.name]).arg(program);
        command
    }

    /// Starts such a command, which ends when what is returned is dropped.
    #[track_caller]
    pub(crate) fn spawn(&self, mut command: Command) -> Reaped {
        Reaped(command.stdin(Stdio::null()).spawn().unwrap())
    }

    /// Has a thread of its own `act` here: sockets belong to where they were made.
    pub(crate) fn within<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        let enter = self.door();
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                enter();
                act()
            });
            thread.join().unwrap()
        })
    }

    /// Brings the thread that calls it here, for as long as it runs.
    pub(crate) fn door(&self) -> impl Fn() + Send + Sync + 'static {
        let here = File::open(format!("/run/netns/{}", self.namespace.name)).unwrap();
        move || {
            let network = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(here.as_fd(), network).unwrap();
        }
    }

    /// A socket at its address; 0 stands for any port.
    pub(crate) fn udp(&self, port: u16) -> UdpSocket {
        self.within(|| UdpSocket::bind(self.at(port)).unwrap())
    }

    /// Has the packet filter read these rules.
    pub(crate) fn nft(&self, rules: &str) -> Result<(), String> {
        let mut command = self.command("nft");
        command.args(["-f", "-"]).stdin(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("nft: {error}"))?;
        let mut stdin = child.stdin.take().ok_or("nft has no input")?;
        stdin.write_all(rules.as_bytes()).map_err(|error| format!("nft: {error}"))?;
        drop(stdin);
        let output = child.wait_with_output().map_err(|error| format!("nft: {error}"))?;
        if output.status.success() {
            return Ok(());
        }
        Err(format!("nft: {}\n{rules}", String::from_utf8_lossy(&output.stderr).trim()))
    }

    /// Carries out an order of `ip` here.
    pub(crate) fn ip(&self, order: &str) -> Result<(), String> {
        run(&format!("ip -n {} {order}", self.namespace.name))
    }

    /// Gives this end of a cable that is up its address, and what is beyond it the way there.
    fn settle(&self, end: &str) -> Result<(), String> {
        self.ip(&format!("address add {}/24 dev {end}", self.ip))?;
        self.ip(&self.way_out())
    }

    fn way_out(&self) -> String {
        let [a, b, c, _] = self.ip.octets();
        format!("route add default via {a}.{b}.{c}.1")
    }

    fn forwards(&self) -> Result<(), String> {
        let name = &self.namespace.name;
        run(&format!("ip netns exec {name} sysctl -q -w net.ipv4.ip_forward=1"))
    }
}
