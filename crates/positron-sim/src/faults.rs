//! What goes wrong: faults, applied between two windows of time.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, SocketAddr},
};

use positron_proto::{
    id::{LinkId, MessageId},
    identity::Verified,
    node::{Command, NodeCore},
    session::sessions::LinkKind,
    time::{Duration, Instant},
};

use crate::{
    adversary::Arrival,
    disk::Loss,
    host::STOP_TIMEOUT,
    machine::Machine,
    scenario::{Cut, Death, Fault, Listen, Selector},
    tcp::Endpoint,
    topology::address,
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
                    self.nature.mute(node, true);
                }
            }
            Fault::Unfilter(who) => self.unfilter(who),
            Fault::Rebind(who) => {
                self.disturb();
                for node in self.those(who, Self::runs) {
                    self.hosts[node].socket.rebind();
                }
            }
            Fault::StopReading(who) => {
                for node in self.those(who, Self::runs) {
                    self.hosts[node].reading = false;
                }
            }
            Fault::ReadAgain(who) => {
                for node in self.those(who, |world, node| !world.hosts[node].reading) {
                    self.hosts[node].reading = true;
                    self.hosts[node].release_all(now);
                    self.touched(node);
                }
            }
            Fault::Freeze { who, lasting } => {
                for node in self.those(who, Self::runs) {
                    self.hosts[node].frozen_until = now + *lasting;
                    self.touched(node);
                }
            }
            Fault::BreakDisk(who) => {
                for node in self.those(who, Self::runs) {
                    self.hosts[node].disk_broken = true;
                }
            }
            Fault::TurnClock { who, seconds } => {
                for node in self.those(who, |_, _| true) {
                    self.hosts[node].clock.turn(*seconds);
                }
            }
            Fault::Change(physics) => {
                assert!(physics.delay.0 >= self.nature.physics.delay.0, "windows were laid out");
                self.nature.physics = (**physics).clone();
            }
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
        self.delivery.started(host, now);
        let addr = self.hosts[host].addr;
        let listening = match self.scenario.listen {
            Listen::Address => addr,
            Listen::Port => SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), addr.port()),
        };
        self.hosts[host].start(now, &self.nature, listening, machine);
        self.touched(host);
    }

    /// What begins to run on a host.
    fn machine(&self, index: usize) -> Box<dyn Machine> {
        let host = &self.hosts[index];
        let seed = self.seed.child(&format!("host {index} life {}", host.life + 1));
        if let Some(guest) = index.checked_sub(self.scenario.nodes) {
            return self.scenario.guests[guest].machine(Arrival {
                identity: host.identity.clone(),
                network: self.scenario.config.network,
                addr: host.addr,
                targets: (0..self.scenario.nodes).map(address).collect(),
                seed,
            });
        }
        let mut config = self.scenario.config.clone();
        config.peers.bootstrap = self.bootstrap(index);
        let (identity, now) = (host.identity.clone(), host.clocks(self.now()));
        Box::new(NodeCore::new(config, identity, host.disk.snapshot(), &seed, now))
    }

    fn crash(&mut self, node: usize, death: Death) {
        self.disturb();
        self.liveness.died(node);
        let now = self.now();
        let host = &mut self.hosts[node];
        host.catch_up(now);
        match death {
            Death::Killed => {
                host.close_all(&self.nature);
                host.end(Loss::Process);
            }
            Death::PowerCut => {
                host.end(Loss::Power);
                host.powered = false;
                self.forget_what_the_disk_forgot(node);
            }
        }
        let host = &mut self.hosts[node];
        host.frozen_until = Instant::ORIGIN;
        self.touched(node);
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
        let answer = self.hosts[node].command(now, &self.nature, Command::Stop);
        if let Some(Ok(ticket)) = answer {
            self.liveness.accepted(node, ticket, now, None);
        }
        self.hosts[node].exit_at(now + STOP_TIMEOUT);
        self.touched(node);
    }

    fn part(&mut self, side: &Selector, cut: Cut) {
        self.disturb();
        let side = self.those(side, |_, _| true);
        self.nature.part(&side);
        if cut == Cut::Sever {
            for host in 0..self.hosts.len() {
                let me = self.hosts[host].index;
                let nature = &self.nature;
                let crosses = |end: &mut Endpoint| !nature.reachable(me, end.remote);
                self.hosts[host].sever(crosses);
            }
        }
    }

    fn filter(&mut self, who: &Selector, transport: LinkKind) {
        self.disturb();
        for host in self.those(who, |_, _| true) {
            self.nature.filter(host, transport, true);
        }
    }

    fn unfilter(&mut self, who: &Selector) {
        self.disturb();
        for host in self.those(who, |_, _| true) {
            for transport in [LinkKind::Udp, LinkKind::Tcp] {
                self.nature.filter(host, transport, false);
            }
            self.nature.mute(host, false);
        }
        self.release_everything();
    }

    fn heal(&mut self) {
        self.nature.heal();
        self.release_everything();
    }

    fn release_everything(&mut self) {
        let now = self.now();
        for host in 0..self.hosts.len() {
            self.hosts[host].release_all(now);
            self.touched(host);
        }
    }

    fn break_links(&mut self, who: &Selector, part: f64, how: fn(&mut Self, usize, LinkId)) {
        self.disturb();
        for node in self.those(who, Self::runs) {
            for link in self.hosts[node].link_names() {
                if self.dice.chance(part) {
                    how(self, node, link);
                }
            }
            self.touched(node);
        }
    }

    fn reset_link(&mut self, node: usize, link: LinkId) {
        let now = self.now();
        self.hosts[node].catch_up(now);
        self.hosts[node].broken_off(link, &self.nature);
    }

    fn silence_link(&mut self, node: usize, link: LinkId) {
        let Some(end) = self.hosts[node].link_mut(link) else { return };
        end.severed = true;
        let Some(peer) = end.peer() else { return };
        let other = &mut self.hosts[crate::topology::wide(peer.host)];
        if other.life == peer.life
            && let Some(end) = other.link_mut(peer.link)
        {
            end.severed = true;
        }
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
