//! What goes wrong: faults, applied between two windows of time.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, SocketAddr},
};

use positron_internet::{HostId, StreamId};
use positron_proto::{
    id::MessageId,
    identity::Verified,
    node::{Command, NodeCore},
    session::sessions::LinkKind,
    time::Duration,
};

use crate::{
    adversary::Arrival,
    environment::address,
    host::STOP_TIMEOUT,
    machine::Machine,
    scenario::{Cut, Death, Fault, Listen, Selector},
    world::World,
};

impl World {
    /// Lets something go wrong now.
    pub fn apply(&mut self, fault: &Fault) {
        let now = self.now();
        match fault {
            Fault::Partition { side, cut } => self.part(side, *cut),
            Fault::Heal => self.heal(),
            Fault::Crash { who, death } => {
                for node in self.those(who, Self::runs) {
                    self.crash(node, *death);
                }
            }
            Fault::Start(who) => {
                for node in self.those(who, |world, node| !world.runs(node)) {
                    self.start(node);
                }
            }
            Fault::Stop(who) => {
                for node in self.those(who, Self::runs) {
                    self.stop(node);
                }
            }
            Fault::Reset { who, part } => self.break_links(who, *part, Self::reset_link),
            Fault::Silence { who, part } => self.break_links(who, *part, Self::silence_link),
            Fault::Filter { who, transport } => self.filter(who, *transport),
            Fault::Mute(who) => {
                self.disturb();
                for node in self.those(who, |_, _| true) {
                    self.hosts.environment_mut().mute(node);
                }
            }
            Fault::Unfilter(who) => self.unfilter(who),
            Fault::Rebind(who) => {
                self.disturb();
                for node in self.those(who, Self::runs) {
                    self.change(node, |host, _| host.stack().rebind());
                }
            }
            Fault::StopReading(who) => {
                for node in self.those(who, Self::runs) {
                    self.change(node, |host, _| host.stack().set_reading(false));
                }
            }
            Fault::ReadAgain(who) => {
                for node in self.those(who, |world, node| !world.hosts[node].is_reading()) {
                    self.change(node, |host, environment| {
                        host.stack().set_reading(true);
                        host.stack().release_all(now, &environment.network);
                    });
                }
            }
            Fault::Freeze { who, lasting } => {
                for node in self.those(who, Self::runs) {
                    self.change(node, |host, _| host.freeze(now + *lasting));
                }
            }
            Fault::BreakDisk(who) => {
                for node in self.those(who, Self::runs) {
                    self.change(node, |host, _| host.break_disk());
                }
            }
            Fault::TurnClock { who, seconds } => {
                for node in self.those(who, |_, _| true) {
                    self.change(node, |host, _| host.turn_clock(*seconds));
                }
            }
            Fault::Change(physics) => self.hosts.environment_mut().change((**physics).clone()),
        }
    }

    fn runs(&self, node: usize) -> bool {
        self.hosts[node].is_live()
    }

    /// The nodes that `who` means, of those to whom it `can` happen.
    fn those(&mut self, who: &Selector, can: impl Fn(&Self, usize) -> bool) -> Vec<usize> {
        let nodes = self.scenario.nodes;
        let bootstraps = self.scenario.bootstraps;
        let mut able: Vec<usize> = (0..nodes).filter(|node| can(self, *node)).collect();
        match who {
            Selector::All => able,
            Selector::Node(node) => able.into_iter().filter(|n| n == node).collect(),
            Selector::Nodes(these) => able.into_iter().filter(|n| these.contains(n)).collect(),
            Selector::Part(part) => self.draw(able, *part),
            Selector::PartOfOthers(part) => {
                able.retain(|node| *node >= bootstraps);
                self.draw(able, *part)
            }
        }
    }

    fn draw(&mut self, mut from: Vec<usize>, part: f64) -> Vec<usize> {
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss
        )]
        let count = (from.len() as f64 * part) as usize;
        self.dice.shuffle(&mut from);
        from.truncate(count.max(1));
        from.sort_unstable();
        from
    }

    pub(crate) fn start(&mut self, host: usize) {
        if self.runs(host) {
            return;
        }
        let now = self.now();
        let machine = self.machine(host);
        self.delivery.handle_start(host, now);
        let addr = self.hosts[host].addr();
        let listening = match self.scenario.listen {
            Listen::Address => addr,
            Listen::Port => SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), addr.port()),
        };
        self.change(host, |host, environment| host.start(now, environment, listening, machine));
    }

    /// What begins to run on a host.
    fn machine(&self, index: usize) -> Box<dyn Machine> {
        let host = &self.hosts[index];
        let seed = self.seed.child(&format!("host {index} life {}", host.life() + 1));
        if let Some(guest) = index.checked_sub(self.scenario.nodes) {
            return self.scenario.guests[guest].machine(Arrival {
                identity: host.identity().clone(),
                network: self.scenario.config.network,
                addr: host.addr(),
                targets: (0..self.scenario.nodes).map(address).collect(),
                seed,
            });
        }
        let mut config = self.scenario.config.clone();
        config.peers.bootstrap = self.bootstrap(index);
        let (identity, now) = (host.identity().clone(), host.clocks(self.now()));
        let snapshot = host.snapshot(&config.network);
        Box::new(NodeCore::new(config, identity, snapshot, &seed, now))
    }

    fn crash(&mut self, node: usize, death: Death) {
        self.disturb();
        self.liveness.died(node);
        let now = self.now();
        self.change(node, |host, environment| {
            host.catch_up(now);
            match death {
                Death::Killed => host.kill(environment),
                Death::PowerCut => host.cut_power(),
            }
        });
        if death == Death::PowerCut {
            self.forget_what_the_disk_forgot(node);
        }
    }

    /// What was committed and not on the platter is no promise any more.
    fn forget_what_the_disk_forgot(&mut self, node: usize) {
        let kept = self.snapshot(node).gossip.messages;
        let kept: BTreeSet<MessageId> = kept.iter().map(Verified::id).collect();
        for said in self.said.iter_mut().filter(|said| said.from == node && said.durable) {
            said.durable = said.id.is_some_and(|id| kept.contains(&id));
        }
    }

    fn stop(&mut self, node: usize) {
        self.disturb();
        let now = self.now();
        let answer = self
            .hosts
            .change(node, |host, environment| host.command(now, environment, Command::Stop));
        if let Some(Ok(ticket)) = answer {
            self.liveness.handle_accepted(node, ticket, now, None);
        }
        self.change(node, |host, _| host.exit_at(now + STOP_TIMEOUT));
    }

    fn part(&mut self, side: &Selector, cut: Cut) {
        self.disturb();
        let side = self.those(side, |_, _| true);
        self.hosts.environment_mut().network.part(side.into_iter().map(HostId::new));
        if cut == Cut::Sever {
            for host in 0..self.hosts.len() {
                let me = HostId::new(host);
                self.change(host, |host, environment| {
                    host.stack().sever(|remote| !environment.network.reachable(me, remote));
                });
            }
        }
    }

    fn filter(&mut self, who: &Selector, transport: LinkKind) {
        self.disturb();
        for host in self.those(who, |_, _| true) {
            self.hosts.environment_mut().filter(host, transport, true);
        }
    }

    fn unfilter(&mut self, who: &Selector) {
        self.disturb();
        for host in self.those(who, |_, _| true) {
            for transport in [LinkKind::Udp, LinkKind::Tcp] {
                self.hosts.environment_mut().filter(host, transport, false);
            }
        }
        self.release_everything();
    }

    fn heal(&mut self) {
        self.hosts.environment_mut().network.heal();
        self.release_everything();
    }

    fn release_everything(&mut self) {
        let now = self.now();
        for host in 0..self.hosts.len() {
            self.change(host, |host, environment| {
                host.stack().release_all(now, &environment.network);
            });
        }
    }

    fn break_links(&mut self, who: &Selector, part: f64, how: fn(&mut Self, usize, StreamId)) {
        self.disturb();
        for node in self.those(who, Self::runs) {
            for stream in self.hosts[node].streams() {
                if self.dice.chance(part) {
                    how(self, node, stream);
                }
            }
        }
    }

    fn reset_link(&mut self, node: usize, stream: StreamId) {
        let now = self.now();
        self.change(node, |host, environment| {
            host.catch_up(now);
            host.stack().break_off(now, &environment.network, stream);
        });
    }

    fn silence_link(&mut self, node: usize, stream: StreamId) {
        let peer = self.change(node, |host, _| host.stack().sever_one(stream));
        let Some(peer) = peer else { return };
        self.change(peer.host.index(), |host, _| {
            if host.life() == peer.life {
                host.stack().sever_one(peer.id);
            }
        });
    }
}

/// So that a story can say how long something lasts without naming two faults.
impl crate::Scenario {
    /// Parts the network for a while.
    #[must_use]
    pub fn partition(self, from: Duration, until: Duration, side: Selector, cut: Cut) -> Self {
        self.fault(from, Fault::Partition { side, cut }).fault(until, Fault::Heal)
    }
}
