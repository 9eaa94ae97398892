//! A story as data: who is there, what they say, and what goes wrong when.

pub use positron_internet::NatType;
use positron_proto::{id::NetworkId, node::NodeConfig, session::sessions, time::Duration};

use crate::{
    address_block::AddressBlock, adversary::Adversary, physics::Physics, selector::Selector,
};

/// A story. Times count from the beginning of the world.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What it is called.
    pub name: String,
    /// How many nodes of ours.
    pub nodes: usize,
    /// How many of them, the first ones, are everybody's bootstrap nodes.
    pub bootstraps: usize,
    /// How the others know them.
    pub bootstrap_by: BootstrapBy,
    /// What they know of their own address.
    pub listen: Listen,
    /// Nodes start one after the other within this time, bootstrap nodes first.
    pub start_within: Duration,
    /// Nodes that only a [`Fault::Start`] starts.
    pub absent: Vec<usize>,
    /// When it ends and everything is checked.
    pub duration: Duration,
    /// What is said, in any order.
    pub sayings: Vec<(Duration, Workload)>,
    /// What goes wrong, in any order.
    pub faults: Vec<(Duration, Fault)>,
    /// The laws of the world.
    pub physics: Physics,
    /// What every node is told; its bootstrap addresses are added.
    pub config: NodeConfig,
    /// Nodes that are at home, and behind what. The others have public addresses.
    pub homes: Vec<(usize, NatType)>,
    /// Of which kind the addresses of hosts are.
    pub addresses: AddressBlock,
    /// Those of them whose router forwards their port to them.
    pub forwarded: Vec<usize>,
    /// Hosts that are no nodes of ours.
    pub guests: Vec<Adversary>,
    /// When they start.
    pub guests_after: Duration,
    /// Nodes whose key is on a second machine too, with a disk of its own. Only [`Fault::Double`]
    /// starts it.
    pub twins: Vec<usize>,
    /// Nodes that say nothing of themselves when messages are traced.
    pub declining: Vec<usize>,
    /// When everything is checked, beside the end: what was said so far must have arrived.
    pub checkpoints: Vec<Duration>,
    /// Checks that a story cannot keep on purpose.
    pub waived: Vec<Check>,
}

/// What nodes are told of the address that they listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    /// All of it.
    Address,
    /// The port only: `0.0.0.0`. They learn from others where they are.
    Port,
}

/// How nodes are told of the bootstrap nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootstrapBy {
    /// `10.0.0.1:8888`, each.
    Address,
    /// One name that has the addresses of all of them.
    Name,
}

/// Something that an application says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// To everyone.
    Broadcast {
        /// Who; `None`: anybody who lives.
        from: Option<usize>,
        /// How many bytes.
        bytes: usize,
    },
    /// To one node.
    Direct {
        /// Who.
        from: usize,
        /// To whom.
        to: usize,
        /// How many bytes.
        bytes: usize,
    },
    /// To one node, by a stream of its own.
    Stream {
        /// Who.
        from: usize,
        /// To whom.
        to: usize,
        /// How many bytes, 8 at least.
        bytes: u64,
    },
}

/// How a process ends when nobody asked it to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// `kill -9`: the kernel resets its connections; what was committed to disk survives.
    Killed,
    /// The machine loses its power: its connections fall silent, and of what was committed only
    /// what reached the platter survives.
    PowerCut,
}

/// What a partition does to connections that cross it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// They are held back: when it heals, what the two kernels have not given up arrives.
    Hold,
    /// They are dead for good, and neither end is told: a translator or a firewall forgot them.
    Sever,
    /// They are held back, and so are datagrams of the drawn side. Datagrams of the others reach
    /// it.
    OneWay,
}

/// Something that goes wrong, or right again.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// The drawn part of all hosts cannot reach the others.
    Partition {
        /// One side.
        side: Selector,
        /// What happens to connections.
        cut: Cut,
    },
    /// Everybody can reach everybody.
    Heal,
    /// Processes die.
    Crash {
        /// Whose.
        who: Selector,
        /// How.
        death: Death,
    },
    /// Absent, dead or stopped processes start, with what their disk has.
    Start(Selector),
    /// Processes are told to stop, flush and end.
    Stop(Selector),
    /// Connections of these nodes are reset, each with this probability.
    Reset {
        /// Whose.
        who: Selector,
        /// How many.
        part: f64,
    },
    /// Connections of these nodes die without either end being told, each with this probability.
    Silence {
        /// Whose.
        who: Selector,
        /// How many.
        part: f64,
    },
    /// A firewall in front of these nodes drops whatever comes and goes over one transport.
    Filter {
        /// Whose.
        who: Selector,
        /// Which: the other one goes on.
        transport: sessions::LinkKind,
    },
    /// A firewall in front of these nodes drops the datagrams that they send; those that are sent
    /// to them arrive.
    Mute(Selector),
    /// Firewalls let everything through again.
    Unfilter(Selector),
    /// Address translators in front of these nodes forget them: their datagrams come from another
    /// port from now on, and whatever is sent to a former one is lost.
    Rebind(Selector),
    /// Machines move to another network: each has another address from now on and nobody its
    /// former one, and its streams are dead. A [home](Scenario::homes) stays as it is inside.
    Renumber(Selector),
    /// The boxes between these nodes and the internet start again, and know of no flow. Streams of
    /// the nodes are dead, and nobody is told.
    RebootBoxes(Selector),
    /// The second machine with the key of this node, if it [has one](Scenario::twins), starts with
    /// what its disk has.
    Double(usize),
    /// All second machines die.
    Single,
    /// Processes take nothing from their sockets any more.
    StopReading(Selector),
    /// They do again.
    ReadAgain(Selector),
    /// Processes stand still, and then everything reaches them at once.
    Freeze {
        /// Whose.
        who: Selector,
        /// For how long.
        lasting: Duration,
    },
    /// Disks fail: nothing is committed any more.
    BreakDisk(Selector),
    /// Disks take nothing for now, as full ones do: what is to be committed waits.
    TakeDisk(Selector),
    /// They take it.
    GiveDiskBack(Selector),
    /// Somebody copies the databases of these nodes, as they are now.
    BackUp(Selector),
    /// Databases of processes that do not run become what they were at the last
    /// [`BackUp`](Self::BackUp): nothing at all, if there was none. Keys stay.
    RestoreBackup(Selector),
    /// Keys of processes that do not run give way to new ones, and their databases know of it:
    /// `positron-net id rotate`. A second machine ([`Double`](Self::Double)) has the old one.
    Rotate(Selector),
    /// Wall clocks jump by this many seconds.
    TurnClock {
        /// Whose.
        who: Selector,
        /// Forward, or back.
        seconds: i64,
    },
    /// Other laws from now on. The shortest delay must not become shorter.
    Change(Box<Physics>),
}

/// What is checked; each is a file of the folder `check`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// Each message is handed over once in each life of a process, and was really said.
    Delivery,
    /// Every live node holds every message at the end, and handed it over.
    Convergence,
    /// The live sessions connect all live nodes at the end.
    Membership,
    /// Tables and queues keep to their limits.
    Bounds,
    /// Time goes on, and every command completes, once.
    Liveness,
    /// Who has no peer says why.
    Isolation,
}

impl Scenario {
    /// `nodes` nodes that have nothing to say, in the default physics.
    pub fn quiet(name: &str, nodes: usize, duration: Duration) -> Self {
        Self {
            name: name.into(),
            nodes,
            bootstraps: 1 + nodes / 200,
            bootstrap_by: BootstrapBy::Address,
            listen: Listen::Address,
            start_within: start_within(nodes),
            absent: Vec::new(),
            duration,
            sayings: Vec::new(),
            faults: Vec::new(),
            physics: Physics::default(),
            config: default_config(),
            homes: Vec::new(),
            addresses: AddressBlock::Private,
            forwarded: Vec::new(),
            guests: Vec::new(),
            guests_after: start_within(nodes),
            twins: Vec::new(),
            declining: Vec::new(),
            checkpoints: Vec::new(),
            waived: Vec::new(),
        }
    }

    /// Whom those mean who mean one node: the first that is no bootstrap node.
    pub(crate) fn victim(&self) -> usize {
        self.bootstraps.min(self.nodes.saturating_sub(1))
    }

    /// Whose key is on this host: its own, unless it is a second machine.
    pub(crate) fn owner(&self, host: usize) -> usize {
        let twin = host.checked_sub(self.nodes + self.guests.len());
        twin.map_or(host, |twin| self.twins[twin])
    }

    /// The second machine with the key of `node`.
    pub(crate) fn twin_of(&self, node: usize) -> Option<usize> {
        let twin = self.twins.iter().position(|owner| *owner == node)?;
        Some(self.nodes + self.guests.len() + twin)
    }

    /// Puts a node at home. No bootstrap node should be: others know where it is from outside.
    #[must_use]
    pub fn at_home(mut self, node: usize, nat_type: NatType) -> Self {
        self.homes.push((node, nat_type));
        self
    }

    /// Adds what goes wrong.
    #[must_use]
    pub fn fault(mut self, after: Duration, fault: Fault) -> Self {
        self.faults.push((after, fault));
        self
    }

    /// Parts the network for a while.
    #[must_use]
    pub fn partition(self, from: Duration, until: Duration, side: Selector, cut: Cut) -> Self {
        self.fault(from, Fault::Partition { side, cut }).fault(until, Fault::Heal)
    }

    /// Adds something that is said.
    #[must_use]
    pub fn say(mut self, after: Duration, saying: Workload) -> Self {
        self.sayings.push((after, saying));
        self
    }

    /// Adds `count` broadcasts of `bytes` bytes by anybody, evenly from `from` until `until`.
    #[must_use]
    pub fn broadcasts(mut self, count: u32, bytes: usize, from: Duration, until: Duration) -> Self {
        let width = until.saturating_sub(from);
        for n in 0..count {
            let after = from + width * n / count;
            self.sayings.push((after, Workload::Broadcast { from: None, bytes }));
        }
        self
    }

    /// One broadcast of each node, so that every node is a sender once.
    #[must_use]
    pub fn everyone_says_something(mut self, from: Duration, until: Duration) -> Self {
        let width = until.saturating_sub(from);
        let nodes = u32::try_from(self.nodes).unwrap_or(u32::MAX);
        for n in 0..nodes {
            let from_node = usize::try_from(n).ok();
            let saying = Workload::Broadcast { from: from_node, bytes: 128 };
            self.sayings.push((from + width * n / nodes.max(1), saying));
        }
        self
    }

    /// Other laws.
    #[must_use]
    pub fn physics(mut self, physics: Physics) -> Self {
        self.physics = physics;
        self
    }

    /// Does without a check.
    #[must_use]
    pub fn waive(mut self, check: Check) -> Self {
        self.waived.push(check);
        self
    }
}

/// Ten nodes a second find each other without a crowd at the bootstrap nodes; more of them share
/// it.
fn start_within(nodes: usize) -> Duration {
    let millis = u64::try_from(nodes).unwrap_or(u64::MAX).saturating_mul(50);
    Duration::from_millis(millis.clamp(200, 8_000))
}

/// What a node runs with that is told nothing else, in a network of its own name.
pub fn default_config() -> NodeConfig {
    let network = NetworkId::from_name("simulated");
    let mut config = NodeConfig { network, ..NodeConfig::default() };
    config.session.network = network;
    config.peers.software = "positron-sim".into();
    config
}
