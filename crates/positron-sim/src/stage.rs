//! All hosts, what happens to them, and the oracle that hears of it.

use positron_internet::{HostId, StreamId};
use positron_proto::{
    id::{NetworkId, Ticket},
    node::{Command, Refused, SequenceKind},
    session::sessions::LinkKind,
    time::{Duration, Instant},
};

use crate::{
    cast::Cast,
    check::Oracle,
    dice::Dice,
    environment::Environment,
    host::{Host, STOP_TIMEOUT},
    hosts::Hosts,
    published::Published,
    questions::Question,
    report::Report,
    scenario::{Cut, Death},
    witness::{Watched, Witness},
};

/// All hosts at one time, and the oracle that hears of them.
///
/// # Contract
///
/// [`run_until`](Self::run_until) lets time go on; everything else happens now, between two windows
/// of time. Whatever comes of either, the oracle has heard when the call returns. Faults name the
/// hosts that they happen to; one that may let messages be late tells the oracle so.
pub(crate) struct Stage {
    hosts: Hosts,
    oracle: Oracle,
    /// What is told to somebody who watches.
    truth: Option<Watched>,
    now: Instant,
}

impl Stage {
    pub(crate) const fn new(hosts: Hosts, oracle: Oracle) -> Self {
        Self { hosts, oracle, truth: None, now: Instant::ORIGIN }
    }

    /// Somebody watches the first `nodes` hosts, none of which has started.
    pub(crate) fn watch(&mut self, nodes: usize, witness: Witness) {
        self.truth = Some(Watched::new(witness, nodes));
    }

    // --- what it is like ---

    /// Virtual time.
    pub(crate) const fn now(&self) -> Instant {
        self.now
    }

    pub(crate) const fn hosts(&self) -> &Hosts {
        &self.hosts
    }

    pub(crate) const fn oracle(&self) -> &Oracle {
        &self.oracle
    }

    /// Whether nothing that is to come would be reported.
    pub(crate) fn is_over(&self) -> bool {
        self.oracle.is_over() || self.hosts.is_broken()
    }

    // --- time ---

    /// Runs on this many threads, whatever the number of hosts.
    pub(crate) fn use_threads(&mut self, threads: usize) {
        self.hosts.use_threads(threads);
    }

    /// Lets everything happen that happens before `until`. Stops early when it [is
    /// over](Self::is_over).
    pub(crate) fn run_until(&mut self, until: Instant) {
        while self.now < until && !self.is_over() {
            let stop = until.min(self.oracle.next_time());
            self.run_windows(stop);
            self.now = self.now.max(stop);
            if self.oracle.next_time() <= self.now {
                self.oracle.handle_timeout(&self.hosts, self.now);
            }
        }
    }

    fn run_windows(&mut self, stop: Instant) {
        while self.hosts.run_window(stop) {
            self.hear_news();
            if self.hosts.is_broken() {
                return self.oracle.handle_broken(&self.hosts);
            }
        }
    }

    fn hear_news(&mut self) {
        while let Some(news) = self.hosts.poll_news() {
            if let Some(truth) = &mut self.truth {
                truth.handle_news(&news);
            }
            self.oracle.handle_news(&self.hosts, news);
        }
    }

    /// Lets something happen to a host.
    pub(crate) fn change<T>(
        &mut self,
        host: usize,
        how: impl FnOnce(&mut Host, &Environment) -> T,
    ) -> T {
        let answer = self.hosts.change(host, how);
        self.hear_news();
        answer
    }

    /// Looks whether what was said so far has arrived.
    pub(crate) fn checkpoint(&mut self) {
        self.oracle.checkpoint(&self.hosts, self.now);
    }

    /// What is said now may be late because of what happens to these hosts.
    fn disturb(&mut self, hosts: impl IntoIterator<Item = usize>) {
        self.oracle.handle_disturbance(self.now);
        for host in hosts {
            self.oracle.handle_away(host, self.now);
        }
    }

    /// Looks whether all promises were kept, now.
    pub(crate) fn finish(&mut self) -> Report {
        self.oracle.finish(&self.hosts, self.now)
    }

    /// Lets something happen to what all hosts share.
    pub(crate) fn change_environment(&mut self, how: impl FnOnce(&mut Environment)) {
        how(self.hosts.environment_mut());
    }

    // --- what applications and operators do ---

    /// An application says something of so many bytes. `None`: nobody is there to say it.
    pub(crate) fn say(
        &mut self,
        kind: SequenceKind,
        from: usize,
        to: usize,
        bytes: usize,
    ) -> Option<Result<(), Refused>> {
        let (now, host) = (self.now, &self.hosts[from]);
        if !host.is_live() {
            return None;
        }
        let payload = self.oracle.next_payload(kind, bytes);
        let said = Published {
            kind,
            from,
            to,
            at: now,
            life: host.life(),
            bytes: payload.len(),
            id: None,
            durable: false,
            disturbed: self.hosts.environment().network.is_parted(),
        };
        let command = match kind {
            SequenceKind::Broadcast => Command::Broadcast { payload },
            SequenceKind::Direct => {
                Command::Send { to: self.hosts[to].identity().node_id(), payload }
            }
        };
        // What comes of it is heard only when it is known that it was taken.
        let answer = self.command(from, command)?;
        let answer = answer.map(|ticket| self.oracle.handle_said(ticket, said));
        self.hear_news();
        Some(answer)
    }

    /// An application opens a stream and writes so many bytes. `None`: nobody is there to do it.
    pub(crate) fn open_stream(
        &mut self,
        from: usize,
        to: usize,
        bytes: u64,
    ) -> Option<Result<(), Refused>> {
        let (now, to) = (self.now, self.hosts[to].identity().node_id());
        let answer = self
            .hosts
            .change(from, |host, environment| host.open_stream(now, environment, to, bytes))?;
        let answer = answer.map(|ticket| self.oracle.handle_accepted(from, ticket, now, None));
        self.hear_news();
        Some(answer)
    }

    /// An application asks a node something that it works at for a while. `None`: nobody is there
    /// to ask.
    pub(crate) fn ask(
        &mut self,
        (from, to): (usize, usize),
        work: Duration,
        timeout: Duration,
    ) -> Option<Result<(), Refused>> {
        let now = self.now;
        if !self.hosts[from].is_live() {
            return None;
        }
        let payload = self.oracle.questions().next_payload(work);
        let to_node = self.hosts[to].identity().node_id();
        let answer = self.command(from, Command::Ask { to: to_node, payload, timeout })?;
        let answer = answer.map(|ticket| self.oracle.handle_asked(ticket, from, to, now));
        self.hear_news();
        Some(answer)
    }

    /// An application orders something that is done at once. `None`: nobody is there to do it.
    pub(crate) fn order(&mut self, by: usize, order: Command) -> Option<Result<(), Refused>> {
        let now = self.now;
        let answer = self.command(by, order)?;
        let answer = answer.map(|ticket| self.oracle.handle_accepted(by, ticket, now, None));
        self.hear_news();
        Some(answer)
    }

    /// The key of a host on which nothing runs gives way to another one.
    pub(crate) fn rotate(&mut self, host: usize, cast: &Cast, network: &NetworkId) {
        let to = cast.new_identity(host, self.now);
        self.oracle.handle_rotated(host, to.node_id());
        self.change(host, |host, _| host.rotate(to, network));
    }

    /// What nodes ask each other.
    pub(crate) fn questions(&self) -> &[Question] {
        self.oracle.questions().asked()
    }

    /// Asks something of a node, and leaves what comes of it to be heard.
    fn command(&mut self, host: usize, command: Command) -> Option<Result<Ticket, Refused>> {
        let now = self.now;
        self.hosts.change(host, |host, environment| host.command(now, environment, command))
    }

    /// A process starts, if none runs.
    pub(crate) fn start(&mut self, host: usize, cast: &Cast) {
        let (now, this) = (self.now, &self.hosts[host]);
        if this.is_live() {
            return;
        }
        let (listening, machine) = (cast.listening(this), cast.machine(host, this, now));
        if let Some(truth) = &mut self.truth {
            truth.handle_start(host, this.identity().node_id(), now);
        }
        self.oracle.handle_start(host, now);
        self.oracle.handle_away(host, now);
        self.change(host, |host, environment| host.start(now, environment, listening, machine));
    }

    /// A process is told to stop, flush and end.
    pub(crate) fn stop(&mut self, host: usize) {
        let now = self.now;
        self.disturb([host]);
        if let Some(Ok(ticket)) = self.command(host, Command::Stop) {
            self.oracle.handle_accepted(host, ticket, now, None);
        }
        self.change(host, |host, _| host.exit_at(now + STOP_TIMEOUT));
    }

    // --- what goes wrong with a machine ---

    /// A process dies.
    pub(crate) fn crash(&mut self, host: usize, death: Death) {
        let now = self.now;
        self.disturb([host]);
        self.oracle.handle_death(host);
        self.change(host, |host, environment| {
            host.catch_up(now);
            match death {
                Death::Killed => host.kill(environment),
                Death::PowerCut => host.cut_power(),
            }
        });
        if let Some(truth) = &mut self.truth {
            truth.handle_end(host, now);
        }
        if death == Death::PowerCut {
            self.oracle.handle_power_cut(&self.hosts, host);
        }
    }

    /// A process stands still for a while.
    pub(crate) fn freeze(&mut self, host: usize, lasting: Duration) {
        let until = self.now + lasting;
        self.oracle.handle_away(host, until);
        self.change(host, |host, _| host.freeze(until));
    }

    /// A process takes what arrives, or does not.
    pub(crate) fn set_reading(&mut self, host: usize, reads: bool) {
        let now = self.now;
        self.oracle.handle_away(host, now);
        self.change(host, |host, environment| {
            host.stack().set_reading(reads);
            if reads {
                host.stack().release_all(now, &environment.network);
            }
        });
    }

    // --- what goes wrong between machines ---

    /// One side cannot reach the others.
    pub(crate) fn part(&mut self, side: Vec<usize>, cut: Cut) {
        self.disturb(0..self.hosts.len());
        let side = side.into_iter().map(HostId::new);
        self.change_environment(|environment| match cut {
            Cut::Hold | Cut::Sever => environment.network.part(side),
            Cut::OneWay => environment.network.part_one_way(side),
        });
        if cut == Cut::Sever {
            for host in 0..self.hosts.len() {
                let me = HostId::new(host);
                self.change(host, |host, environment| {
                    host.stack().sever(|remote| !environment.network.reachable(me, remote));
                });
            }
        }
    }

    /// Everybody can reach everybody.
    pub(crate) fn heal(&mut self) {
        if self.hosts.environment().network.is_parted() {
            (0..self.hosts.len()).for_each(|host| self.oracle.handle_away(host, self.now));
        }
        self.change_environment(|environment| environment.network.heal());
        self.release_everything();
    }

    /// Firewalls drop what comes and goes this way.
    pub(crate) fn filter(&mut self, hosts: Vec<usize>, transport: LinkKind) {
        self.disturb(hosts.iter().copied());
        for host in hosts {
            self.change_environment(|environment| environment.filter(host, transport, true));
        }
    }

    /// Firewalls drop the datagrams that these hosts send.
    pub(crate) fn mute(&mut self, hosts: Vec<usize>) {
        self.disturb(hosts.iter().copied());
        for host in hosts {
            self.change_environment(|environment| environment.mute(host));
        }
    }

    /// Firewalls let everything through.
    pub(crate) fn unfilter(&mut self, hosts: Vec<usize>) {
        self.disturb(hosts.iter().copied());
        for host in hosts {
            for transport in [LinkKind::Udp, LinkKind::Tcp] {
                self.change_environment(|environment| environment.filter(host, transport, false));
            }
        }
        self.release_everything();
    }

    fn release_everything(&mut self) {
        let now = self.now;
        for host in 0..self.hosts.len() {
            self.change(host, |host, environment| {
                host.stack().release_all(now, &environment.network);
            });
        }
    }

    /// Address translators forget these hosts.
    pub(crate) fn rebind(&mut self, hosts: Vec<usize>) {
        self.disturb(hosts.iter().copied());
        for host in hosts {
            self.change(host, |host, _| host.stack().rebind());
        }
    }

    /// These hosts move to other addresses.
    pub(crate) fn renumber(&mut self, hosts: Vec<usize>) {
        self.disturb(hosts.iter().copied());
        for host in hosts {
            let to = self.hosts.environment_mut().renumber(host);
            self.change(host, |host, _| host.renumber(to.ip()));
        }
    }

    /// The boxes before these hosts start again.
    pub(crate) fn reboot_boxes(&mut self, hosts: Vec<usize>) {
        self.disturb(hosts.iter().copied());
        for host in hosts {
            self.change(host, |host, _| host.stack().reboot_boxes());
        }
    }

    /// Streams of these hosts are reset, each with this probability.
    pub(crate) fn reset(&mut self, hosts: Vec<usize>, part: f64, dice: &mut Dice) {
        self.break_streams(hosts, part, dice, Self::reset_stream);
    }

    /// Streams of these hosts die without either end being told, each with this probability.
    pub(crate) fn silence(&mut self, hosts: Vec<usize>, part: f64, dice: &mut Dice) {
        self.break_streams(hosts, part, dice, Self::silence_stream);
    }

    fn break_streams(
        &mut self,
        hosts: Vec<usize>,
        part: f64,
        dice: &mut Dice,
        how: fn(&mut Self, usize, StreamId),
    ) {
        self.disturb(hosts.iter().copied());
        for host in hosts {
            for stream in self.hosts[host].streams() {
                if dice.chance(part) {
                    how(self, host, stream);
                }
            }
        }
    }

    fn reset_stream(&mut self, host: usize, stream: StreamId) {
        let now = self.now;
        self.change(host, |host, environment| {
            host.catch_up(now);
            host.stack().break_off(now, &environment.network, stream);
        });
    }

    fn silence_stream(&mut self, host: usize, stream: StreamId) {
        let peer = self.change(host, |host, _| host.stack().sever_one(stream));
        let Some(peer) = peer else { return };
        self.change(peer.host.index(), |host, _| {
            if host.life() == peer.life {
                host.stack().sever_one(peer.id);
            }
        });
    }
}
