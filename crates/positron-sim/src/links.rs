//! The kernel of a host: connections, as its process and the other hosts see them.

use std::net::SocketAddr;

use bytes::Bytes;
use positron_proto::{
    id::LinkId,
    node::Input,
    session::sessions::{Hangup, LinkDown, LinkKind},
    time::Instant,
};

use crate::{
    event::{Event, PeerEnd},
    host::{Host, Process},
    tcp::{Endpoint, Sending, State},
    topology::Topology,
};

impl Host {
    pub(crate) fn has_link(&self, link: LinkId) -> bool {
        self.process.as_ref().is_some_and(|process| process.links.contains_key(&link))
    }

    const fn end_of(&self, link: LinkId) -> PeerEnd {
        PeerEnd { host: self.index, life: self.life, link }
    }

    // --- what the process wants ---

    pub(crate) fn dial(&mut self, link: LinkId, to: SocketAddr, nature: &Topology) {
        let life = self.life;
        let timeout = self.now() + nature.physics.connect_timeout;
        self.mail.later(timeout, life, Event::ConnectTimeout { link });
        // Nobody has this address: the question is never answered.
        let Some(remote) = nature.host_at(to.ip()) else {
            let dice = nature.link_dice(self.index, self.mail.sent());
            let nowhere =
                Endpoint::new(State::Connecting(to), self.index, nature.physics.delay.0, dice);
            return self.add_link(link, nowhere);
        };
        let dice = nature.link_dice(self.index, self.mail.sent());
        let delay = nature.delay(self.index, remote);
        self.add_link(link, Endpoint::new(State::Connecting(to), remote, delay, dice));
        self.ask(link, 0, nature);
    }

    fn add_link(&mut self, link: LinkId, end: Endpoint) {
        let Some(process) = &mut self.process else { return };
        let former = process.links.insert(link, end);
        assert!(former.is_none(), "a node names each of its links anew");
    }

    /// Sends the question for a connection, and again until it is answered.
    fn ask(&mut self, link: LinkId, attempt: u32, nature: &Topology) {
        let (now, from, addr) = (self.now(), self.end_of(link), self.addr);
        let Some(end) = self.process.as_mut().and_then(|p| p.links.get_mut(&link)) else { return };
        let State::Connecting(to) = end.state else { return };
        let again = now + Sending::syn_retry(attempt);
        let arrival = end.sending.arrival_of_signal(now, &nature.physics);
        let remote = end.remote;
        if nature.carries_streams(self.index, remote) {
            let syn = Event::Syn { from, addr, port: to.port() };
            self.mail.send(remote, arrival, 0, syn);
        }
        self.mail.later(again, self.life, Event::SynRetry { link, attempt: attempt + 1 });
    }

    pub(crate) fn write(&mut self, link: LinkId, bytes: Bytes, nature: &Topology) {
        self.tally.wire_bytes += bytes.len() as u64;
        let Some(end) = self.process.as_mut().and_then(|p| p.links.get_mut(&link)) else { return };
        if !bytes.is_empty() && !matches!(end.state, State::Flushing(_)) {
            end.sending.waiting.push_back(bytes);
            self.pump(link, nature);
        }
    }

    pub(crate) fn hang_up(&mut self, link: LinkId, how: Hangup, nature: &Topology) {
        let now = self.now();
        let Some(end) = self.process.as_mut().and_then(|p| p.links.get_mut(&link)) else { return };
        match (end.state, how) {
            (State::Open(peer), Hangup::Flush) => {
                end.state = State::Flushing(peer);
                let lingers = now + nature.physics.linger;
                self.mail.later(lingers, self.life, Event::Linger { link });
                self.pump(link, nature);
            }
            _ => self.abort(link, nature),
        }
    }

    /// Ends a link at once and tells the other end.
    pub(crate) fn abort(&mut self, link: LinkId, nature: &Topology) {
        self.reset_peer(link, nature);
        self.forget(link, LinkDown::HungUp);
    }

    fn reset_peer(&mut self, link: LinkId, nature: &Topology) {
        let now = self.now();
        let Some(end) = self.process.as_mut().and_then(|p| p.links.get_mut(&link)) else { return };
        if let Some(peer) = end.peer().filter(|_| !end.severed)
            && nature.carries_streams(self.index, end.remote)
        {
            let arrival = end.sending.arrival_of_signal(now, &nature.physics);
            let rst = Event::Rst { to: peer.link, reason: LinkDown::Reset };
            self.mail.send(peer.host, arrival, peer.life, rst);
        }
    }

    /// Drops a link; the process hears of it next.
    pub(crate) fn forget(&mut self, link: LinkId, reason: LinkDown) {
        let now = self.now();
        let Some(process) = &mut self.process else { return };
        if process.links.remove(&link).is_some() {
            self.mail.later(now, self.life, Event::Down { link, reason });
        }
    }

    /// Lets the kernel take as much of what waits as it has room for.
    fn pump(&mut self, link: LinkId, nature: &Topology) {
        let now = self.now();
        let from = self.end_of(link);
        let Some(Process { links, written, .. }) = &mut self.process else { return };
        let Some(end) = links.get_mut(&link) else { return };
        let Some(peer) = end.peer() else { return };
        let cut = !nature.carries_streams(from.host, end.remote);
        let (severed, sending) = (end.severed, &mut end.sending);
        let mut taken = 0;
        while let Some(front) = sending.waiting.front_mut() {
            let len = front.len();
            let room = sending.room(now, &nature.physics);
            if room == 0 {
                break;
            }
            let chunk = if room < len {
                sending.waiting.front_mut().map(|front| front.split_to(room))
            } else {
                sending.waiting.pop_front()
            };
            let Some(chunk) = chunk else { break };
            taken += chunk.len();
            if severed {
                sending.launched(Instant::FAR_FUTURE, chunk.len());
            } else if cut || !sending.held.is_empty() {
                sending.hold(chunk);
            } else {
                let arrival = sending.arrival(now, chunk.len(), &nature.physics);
                sending.launched(arrival, chunk.len());
                let event = Event::Segment { to: peer.link, from, bytes: chunk };
                self.mail.send(peer.host, arrival, peer.life, event);
            }
        }
        if !sending.waiting.is_empty()
            && !sending.room_awaited
            && let Some(at) = sending.next_room()
        {
            sending.room_awaited = true;
            self.mail.later(at, from.life, Event::Room { link });
        }
        if taken > 0 {
            match written.last_mut() {
                Some((last, bytes)) if *last == link => *bytes += taken,
                _ => written.push((link, taken)),
            }
        }
        if matches!(end.state, State::Flushing(_)) && end.sending.waiting.is_empty() {
            self.flushed(link, nature);
        }
    }

    /// Everything is in the kernel: the process is done with the link.
    fn flushed(&mut self, link: LinkId, nature: &Topology) {
        let now = self.now();
        let Some(end) = self.process.as_mut().and_then(|p| p.links.get_mut(&link)) else { return };
        if let State::Flushing(peer) = end.state
            && !end.severed
            && end.sending.held.is_empty()
            && nature.carries_streams(self.index, end.remote)
        {
            let arrival = end.sending.arrival(now, 0, &nature.physics);
            self.mail.send(peer.host, arrival, peer.life, Event::Fin { to: peer.link });
        }
        self.forget(link, LinkDown::HungUp);
    }

    // --- what other hosts and time do ---

    /// Another host asks for a connection.
    pub(crate) fn asked(&mut self, from: PeerEnd, addr: SocketAddr, port: u16, nature: &Topology) {
        if !self.powered || !nature.carries_streams(self.index, from.host) {
            return;
        }
        let now = self.now();
        let mut dice = nature.link_dice(self.index, self.mail.sent());
        let delay = nature.delay(self.index, from.host);
        let Some(process) = self.process.as_mut().filter(|_| port == self.addr.port()) else {
            let arrival = now + delay + dice.between(nature.physics.jitter);
            let rst = Event::Rst { to: from.link, reason: LinkDown::Refused };
            return self.mail.send(from.host, arrival, from.life, rst);
        };
        let known = process.links.iter_mut().find(|(_, end)| end.peer() == Some(from));
        if let Some((&link, end)) = known {
            // The question came twice, or the answer was lost.
            let arrival = end.sending.arrival(now, 0, &nature.physics);
            let peer = PeerEnd { host: self.index, life: self.life, link };
            let event = Event::SynAck { to: from.link, peer };
            return self.mail.send(from.host, arrival, from.life, event);
        }
        let link = LinkId::of_driver(process.accepted);
        process.accepted += 1;
        // The port that its kernel chose: any will do that is not the one it listens on.
        let from_port = 49_152 + u16::try_from(process.accepted % 16_384).unwrap_or(0);
        let mut end = Endpoint::new(State::Open(from), from.host, delay, dice);
        let arrival = end.sending.arrival(now, 0, &nature.physics);
        self.add_link(link, end);
        let event = Event::SynAck { to: from.link, peer: self.end_of(link) };
        self.mail.send(from.host, arrival, from.life, event);
        let from = SocketAddr::new(addr.ip(), from_port);
        self.give(Input::Accepted { kind: LinkKind::Tcp, link, from });
    }

    pub(crate) fn happen_to_link(&mut self, event: Event, nature: &Topology) {
        match event {
            Event::SynAck { to, peer } => self.answered(to, peer, nature),
            Event::Segment { to, from, bytes } => self.arrived(to, from, bytes, nature),
            Event::Fin { to } => self.finished(to),
            Event::Rst { to, reason } => self.lose(to, reason),
            Event::Unread { to, bytes } => {
                if let Some(end) = self.link_mut(to) {
                    end.sending.set_unread(bytes, 0);
                }
            }
            Event::Read { to, bytes } => {
                if let Some(end) = self.link_mut(to) {
                    end.sending.set_unread(0, bytes);
                    self.pump(to, nature);
                }
            }
            Event::Room { link } => {
                if let Some(end) = self.link_mut(link) {
                    end.sending.room_awaited = false;
                    self.pump(link, nature);
                }
            }
            Event::Release { link } => self.release(link, nature),
            Event::SynRetry { link, attempt } => self.ask(link, attempt, nature),
            Event::ConnectTimeout { link } => {
                let connecting = |end: &mut Endpoint| matches!(end.state, State::Connecting(_));
                if self.link_mut(link).is_some_and(connecting) {
                    self.lose(link, LinkDown::TimedOut);
                }
            }
            Event::Linger { link } => {
                if self.has_link(link) {
                    self.abort(link, nature);
                }
            }
            Event::Down { link, reason } => self.give(Input::LinkDown { link, reason }),
            other => unreachable!("{other:?} does not happen to a link"),
        }
    }

    /// Something reached a process that is no more. Its kernel answers if the machine has power.
    pub(crate) fn stray(&mut self, event: Event, nature: &Topology) {
        let from = match event {
            Event::Segment { from, .. } => from,
            Event::SynAck { peer, .. } => peer,
            _ => return,
        };
        self.refuse(from, nature);
    }

    /// Tells another host that there is no such connection.
    fn refuse(&mut self, from: PeerEnd, nature: &Topology) {
        if self.powered && nature.carries_streams(self.index, from.host) {
            let arrival = self.now() + nature.delay(self.index, from.host);
            let rst = Event::Rst { to: from.link, reason: LinkDown::Reset };
            self.mail.send(from.host, arrival, from.life, rst);
        }
    }

    pub(crate) fn link_mut(&mut self, link: LinkId) -> Option<&mut Endpoint> {
        self.process.as_mut()?.links.get_mut(&link)
    }

    fn answered(&mut self, link: LinkId, peer: PeerEnd, nature: &Topology) {
        if !nature.carries_streams(self.index, peer.host) {
            return;
        }
        match self.link_mut(link) {
            Some(end) if matches!(end.state, State::Connecting(_)) => {
                end.state = State::Open(peer);
                self.give(Input::Connected { link });
                self.pump(link, nature);
            }
            Some(_) => {}
            None => self.refuse(peer, nature),
        }
    }

    fn arrived(&mut self, link: LinkId, from: PeerEnd, bytes: Bytes, nature: &Topology) {
        let cut = !nature.carries_streams(self.index, from.host);
        let reading = self.reading;
        let Some(end) = self.link_mut(link) else {
            return self.refuse(from, nature);
        };
        if end.severed || matches!(end.state, State::Flushing(_)) {
            return;
        }
        if !cut && reading && end.receiving.unread.is_empty() {
            return self.give(Input::Bytes { link, bytes });
        }
        let len = bytes.len();
        end.receiving.unread.push_back(bytes);
        if !cut {
            end.receiving.told += len;
            let arrival = self.now() + nature.delay(self.index, from.host);
            let event = Event::Unread { to: from.link, bytes: len };
            self.mail.send(from.host, arrival, from.life, event);
        }
    }

    fn finished(&mut self, link: LinkId) {
        let Some(end) = self.link_mut(link) else { return };
        if end.severed {
            return;
        }
        if end.receiving.unread.is_empty() {
            self.lose(link, LinkDown::Eof);
        } else {
            end.receiving.fin = true;
        }
    }

    /// What was not read is read, and what a cut held back is sent.
    fn release(&mut self, link: LinkId, nature: &Topology) {
        let (now, from, reading) = (self.now(), self.end_of(link), self.reading);
        let Some(end) = self.process.as_mut().and_then(|p| p.links.get_mut(&link)) else { return };
        let Some(peer) = end.peer().filter(|peer| nature.carries_streams(from.host, peer.host))
        else {
            return;
        };
        for chunk in end.sending.unhold(now, &nature.physics) {
            let arrival = end.sending.arrival(now, chunk.len(), &nature.physics);
            end.sending.launched(arrival, chunk.len());
            let event = Event::Segment { to: peer.link, from, bytes: chunk };
            self.mail.send(peer.host, arrival, peer.life, event);
        }
        if reading {
            let told = std::mem::take(&mut end.receiving.told);
            let unread = std::mem::take(&mut end.receiving.unread);
            let fin = end.receiving.fin;
            if told > 0 {
                let arrival = now + nature.delay(from.host, peer.host);
                let event = Event::Read { to: peer.link, bytes: told };
                self.mail.send(peer.host, arrival, peer.life, event);
            }
            for bytes in unread {
                self.give(Input::Bytes { link, bytes });
            }
            if fin {
                self.lose(link, LinkDown::Eof);
            }
        }
        self.pump(link, nature);
    }

    /// A link is over, and not because we wanted it.
    fn lose(&mut self, link: LinkId, reason: LinkDown) {
        let Some(process) = &mut self.process else { return };
        let Some(end) = process.links.remove(&link) else { return };
        let reason = match (end.state, reason) {
            (State::Flushing(_), _) => LinkDown::HungUp,
            (State::Connecting(_), LinkDown::Reset) => LinkDown::Refused,
            (State::Open(_), LinkDown::Refused) => LinkDown::Reset,
            (_, reason) => reason,
        };
        self.give(Input::LinkDown { link, reason });
    }

    // --- what faults do, between two windows of time ---

    /// The kernel of a dead process closes all of its connections.
    pub(crate) fn close_all(&mut self, nature: &Topology) {
        for link in self.link_names() {
            self.reset_peer(link, nature);
        }
    }

    /// The names of all links, in order.
    pub(crate) fn link_names(&self) -> Vec<LinkId> {
        self.process.iter().flat_map(|process| process.links.keys().copied()).collect()
    }

    /// Something between the two ends resets a connection: both hear of it.
    pub(crate) fn broken_off(&mut self, link: LinkId, nature: &Topology) {
        self.reset_peer(link, nature);
        self.forget(link, LinkDown::Reset);
    }

    /// Whatever waited for a cut to heal or for its reader goes on now.
    pub(crate) fn release_all(&mut self, at: Instant) {
        let life = self.life;
        let Some(process) = &self.process else { return };
        if self.socket.has_unread() {
            self.mail.later(at, life, Event::ReadSocket);
        }
        for (link, end) in &process.links {
            if !end.sending.held.is_empty() || !end.receiving.unread.is_empty() {
                self.mail.later(at, life, Event::Release { link: *link });
            }
        }
    }

    /// The connections to these hosts die without a word.
    pub(crate) fn sever(&mut self, mut which: impl FnMut(&mut Endpoint) -> bool) -> Vec<PeerEnd> {
        let mut severed = Vec::new();
        for end in self.process.iter_mut().flat_map(|process| process.links.values_mut()) {
            if !end.severed && which(end) {
                end.severed = true;
                severed.extend(end.peer());
            }
        }
        severed
    }
}
