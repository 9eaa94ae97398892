//! All streams of one host.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
};

use bytes::Bytes;

use crate::{
    Time,
    context::Context,
    event::{Closed, Event, Hangup, StreamId},
    middlebox::{Header, Protocol},
    queue::{Packet, StreamEnd},
    stream::{Sending, State, Stream},
    topology::HostId,
};

/// The first port that kernels choose by themselves (RFC 6335, 6).
const FIRST_DYNAMIC_PORT: u16 = 49_152;
const DYNAMIC_PORTS: u64 = 16_384;

/// The streams of one life of a process.
#[derive(Debug)]
pub(crate) struct Streams {
    all: BTreeMap<StreamId, Stream>,
    accepted: u64,
    /// What the kernel took since the process was last told.
    written: VecDeque<(StreamId, usize)>,
}

impl Streams {
    pub(crate) const fn new() -> Self {
        Self { all: BTreeMap::new(), accepted: 0, written: VecDeque::new() }
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = StreamId> {
        self.all.keys().copied()
    }

    pub(crate) fn contains(&self, id: StreamId) -> bool {
        self.all.contains_key(&id)
    }

    /// What the kernel took of a stream that is not over.
    pub(crate) fn poll_written(&mut self) -> Option<(StreamId, usize)> {
        while let Some((id, bytes)) = self.written.pop_front() {
            if self.contains(id) {
                return Some((id, bytes));
            }
        }
        None
    }

    // --- what the process wants ---

    pub(crate) fn connect<P>(&mut self, cx: &mut Context<'_, P>, id: StreamId, to: SocketAddr) {
        let timeout = cx.now + cx.topology.streams.connect_timeout;
        cx.later(timeout, Packet::ConnectTimeout { id });
        let dice = cx.topology.stream_dice(cx.host, cx.queue.sent());
        // If nobody has this address, the question is never answered.
        let remote = cx.topology.host_at(to.ip());
        let delay = remote.map_or_else(Default::default, |host| cx.topology.delay(cx.host, host));
        let former = self.all.insert(id, Stream::new(State::Connecting(to), remote, delay, dice));
        assert!(former.is_none(), "a process names each of its streams anew");
        self.ask(cx, id, 0);
    }

    /// Sends the question for a stream, and again until it is answered.
    fn ask<P>(&mut self, cx: &mut Context<'_, P>, id: StreamId, attempt: u32) {
        let Some(stream) = self.all.get_mut(&id) else { return };
        let State::Connecting(to) = stream.state else { return };
        let Some(remote) = stream.remote else { return };
        let again = cx.now + Sending::syn_retry(attempt);
        let arrival = stream.sending.arrival_of_signal(cx.now, &cx.topology.streams);
        let port = u16::try_from(id.number() % DYNAMIC_PORTS).unwrap_or(0) + FIRST_DYNAMIC_PORT;
        let from = SocketAddr::new(cx.uplink.ip(), port);
        if cx.carries(remote)
            && let Ok(header) = cx
                .uplink
                .outbound(cx.now, Header { protocol: Protocol::Tcp, from, to, ttl: u8::MAX })
        {
            let syn = Packet::Syn { from: cx.end(id), header };
            cx.queue.send(remote, arrival, 0, syn);
        }
        cx.later(again, Packet::SynRetry { id, attempt: attempt + 1 });
    }

    pub(crate) fn write<P>(&mut self, cx: &mut Context<'_, P>, id: StreamId, bytes: Bytes) {
        let Some(stream) = self.all.get_mut(&id) else { return };
        if !bytes.is_empty() && !matches!(stream.state, State::Flushing(_)) {
            stream.sending.waiting.push_back(bytes);
            self.pump(cx, id);
        }
    }

    pub(crate) fn close<P>(&mut self, cx: &mut Context<'_, P>, id: StreamId, how: Hangup) {
        let Some(stream) = self.all.get_mut(&id) else { return };
        match (stream.state, how) {
            (State::Open(peer), Hangup::Flush) => {
                stream.state = State::Flushing(peer);
                cx.later(cx.now + cx.topology.streams.linger, Packet::Linger { id });
                self.pump(cx, id);
            }
            _ => self.abort(cx, id),
        }
    }

    /// Ends a stream at once and tells the other end.
    fn abort<P>(&mut self, cx: &mut Context<'_, P>, id: StreamId) {
        self.reset_peer(cx, id);
        self.forget(cx, id, Closed::HungUp);
    }

    pub(crate) fn reset_peer<P>(&mut self, cx: &mut Context<'_, P>, id: StreamId) {
        let Some(stream) = self.all.get_mut(&id) else { return };
        if let Some(peer) = stream.peer().filter(|_| !stream.severed)
            && cx.carries(peer.host)
        {
            let arrival = stream.sending.arrival_of_signal(cx.now, &cx.topology.streams);
            cx.send(peer, arrival, Packet::Rst { to: peer.id, why: Closed::Reset });
        }
    }

    /// Drops a stream; the process hears of it.
    pub(crate) fn forget<P>(&mut self, cx: &mut Context<'_, P>, id: StreamId, why: Closed) {
        if self.all.remove(&id).is_some() {
            cx.events.push_back(Event::Closed { id, why });
        }
    }

    /// Lets the kernel take as much of what waits as it has room for.
    fn pump<P>(&mut self, cx: &mut Context<'_, P>, id: StreamId) {
        let Some(stream) = self.all.get_mut(&id) else { return };
        let Some(peer) = stream.peer() else { return };
        let cut = !cx.carries(peer.host);
        let (severed, sending) = (stream.severed, &mut stream.sending);
        let (now, laws) = (cx.now, &cx.topology.streams);
        let mut taken = 0;
        while let Some(front) = sending.waiting.front_mut() {
            let len = front.len();
            let room = sending.room(now, laws);
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
                sending.launch(Time::MAX, chunk.len());
            } else if cut || !sending.held.is_empty() {
                sending.hold(chunk);
            } else {
                let arrival = sending.arrival(now, chunk.len(), laws);
                sending.launch(arrival, chunk.len());
                let segment = Packet::Segment { to: peer.id, from: cx.end(id), bytes: chunk };
                cx.send(peer, arrival, segment);
            }
        }
        if !sending.waiting.is_empty()
            && !sending.room_awaited
            && let Some(at) = sending.next_room()
        {
            sending.room_awaited = true;
            cx.later(at, Packet::Room { id });
        }
        let flushed = matches!(stream.state, State::Flushing(_)) && sending.waiting.is_empty();
        if taken > 0 {
            match self.written.back_mut() {
                Some((last, bytes)) if *last == id => *bytes += taken,
                _ => self.written.push_back((id, taken)),
            }
        }
        if flushed {
            self.end_flush(cx, id);
        }
    }

    /// Everything is in the kernel: the process is done with the stream.
    fn end_flush<P>(&mut self, cx: &mut Context<'_, P>, id: StreamId) {
        let Some(stream) = self.all.get_mut(&id) else { return };
        if let State::Flushing(peer) = stream.state
            && !stream.severed
            && stream.sending.held.is_empty()
            && cx.carries(peer.host)
        {
            let arrival = stream.sending.arrival(cx.now, 0, &cx.topology.streams);
            cx.send(peer, arrival, Packet::Fin { to: peer.id });
        }
        self.forget(cx, id, Closed::HungUp);
    }

    // --- what other hosts and time do ---

    /// Another host asks for a stream, from an address as it reads here.
    pub(crate) fn handle_syn<P>(
        &mut self,
        cx: &mut Context<'_, P>,
        from: StreamEnd,
        addr: SocketAddr,
    ) {
        let laws = &cx.topology.streams;
        let known = self.all.iter_mut().find(|(_, stream)| stream.peer() == Some(from));
        if let Some((&id, stream)) = known {
            // The question came twice, or the answer was lost.
            let arrival = stream.sending.arrival(cx.now, 0, laws);
            let peer = cx.end(id);
            return cx.send(from, arrival, Packet::SynAck { to: from.id, peer });
        }
        let id = StreamId::Accepted(self.accepted);
        self.accepted += 1;
        let dice = cx.topology.stream_dice(cx.host, cx.queue.sent());
        let delay = cx.topology.delay(cx.host, from.host);
        let mut stream = Stream::new(State::Open(from), Some(from.host), delay, dice);
        let arrival = stream.sending.arrival(cx.now, 0, laws);
        self.all.insert(id, stream);
        let peer = cx.end(id);
        cx.send(from, arrival, Packet::SynAck { to: from.id, peer });
        cx.events.push_back(Event::Accepted { id, from: addr });
    }

    /// Something happens to a stream of this life.
    pub(crate) fn handle<P>(&mut self, cx: &mut Context<'_, P>, packet: Packet<P>, reads: bool) {
        match packet {
            Packet::SynAck { to, peer } => self.handle_syn_ack(cx, to, peer),
            Packet::Segment { to, from, bytes } => self.handle_segment(cx, to, from, bytes, reads),
            Packet::Fin { to } => self.handle_fin(cx, to),
            Packet::Rst { to, why } => self.lose(cx, to, why),
            Packet::Unread { to, bytes } => {
                if let Some(stream) = self.all.get_mut(&to) {
                    stream.sending.set_unread(bytes, 0);
                }
            }
            Packet::Read { to, bytes } => {
                if let Some(stream) = self.all.get_mut(&to) {
                    stream.sending.set_unread(0, bytes);
                    self.pump(cx, to);
                }
            }
            Packet::Room { id } => {
                if let Some(stream) = self.all.get_mut(&id) {
                    stream.sending.room_awaited = false;
                    self.pump(cx, id);
                }
            }
            Packet::Release { id } => self.release(cx, id, reads),
            Packet::SynRetry { id, attempt } => self.ask(cx, id, attempt),
            Packet::ConnectTimeout { id } => {
                let connecting = |stream: &Stream| matches!(stream.state, State::Connecting(_));
                if self.all.get(&id).is_some_and(connecting) {
                    self.lose(cx, id, Closed::TimedOut);
                }
            }
            Packet::Linger { id } => self.abort(cx, id),
            // These are no stream's, and are taken before.
            Packet::Datagram { .. } | Packet::Syn { .. } | Packet::ReadDatagrams => {}
        }
    }

    fn handle_syn_ack<P>(&mut self, cx: &mut Context<'_, P>, id: StreamId, peer: StreamEnd) {
        match self.all.get_mut(&id) {
            Some(stream) if matches!(stream.state, State::Connecting(_)) => {
                stream.state = State::Open(peer);
                cx.events.push_back(Event::Connected { id });
                self.pump(cx, id);
            }
            Some(_) => {}
            None => refuse(cx, peer),
        }
    }

    fn handle_segment<P>(
        &mut self,
        cx: &mut Context<'_, P>,
        id: StreamId,
        from: StreamEnd,
        bytes: Bytes,
        reads: bool,
    ) {
        let Some(stream) = self.all.get_mut(&id) else { return refuse(cx, from) };
        if stream.severed || matches!(stream.state, State::Flushing(_)) {
            return;
        }
        let cut = !cx.carries(from.host);
        if !cut && reads && stream.receiving.unread.is_empty() {
            return cx.events.push_back(Event::Data { id, bytes });
        }
        let len = bytes.len();
        stream.receiving.unread.push_back(bytes);
        if !cut {
            stream.receiving.told += len;
            let arrival = cx.now + cx.topology.delay(cx.host, from.host);
            cx.send(from, arrival, Packet::Unread { to: from.id, bytes: len });
        }
    }

    fn handle_fin<P>(&mut self, cx: &mut Context<'_, P>, id: StreamId) {
        let Some(stream) = self.all.get_mut(&id) else { return };
        if stream.severed {
            return;
        }
        if stream.receiving.unread.is_empty() {
            self.lose(cx, id, Closed::Eof);
        } else {
            stream.receiving.fin = true;
        }
    }

    /// What was not read is read, and what a cut held back is sent.
    fn release<P>(&mut self, cx: &mut Context<'_, P>, id: StreamId, reads: bool) {
        let (now, laws) = (cx.now, &cx.topology.streams);
        let Some(stream) = self.all.get_mut(&id) else { return };
        let Some(peer) = stream.peer().filter(|peer| cx.carries(peer.host)) else { return };
        for chunk in stream.sending.unhold(now, laws) {
            let arrival = stream.sending.arrival(now, chunk.len(), laws);
            stream.sending.launch(arrival, chunk.len());
            let segment = Packet::Segment { to: peer.id, from: cx.end(id), bytes: chunk };
            cx.send(peer, arrival, segment);
        }
        if reads {
            let told = std::mem::take(&mut stream.receiving.told);
            let unread = std::mem::take(&mut stream.receiving.unread);
            let fin = stream.receiving.fin;
            if told > 0 {
                let arrival = now + cx.topology.delay(cx.host, peer.host);
                cx.send(peer, arrival, Packet::Read { to: peer.id, bytes: told });
            }
            cx.events.extend(unread.into_iter().map(|bytes| Event::Data { id, bytes }));
            if fin {
                self.lose(cx, id, Closed::Eof);
            }
        }
        self.pump(cx, id);
    }

    /// A stream is over, and not because we wanted it.
    fn lose<P>(&mut self, cx: &mut Context<'_, P>, id: StreamId, why: Closed) {
        let Some(stream) = self.all.remove(&id) else { return };
        let why = match (stream.state, why) {
            (State::Flushing(_), _) => Closed::HungUp,
            (State::Connecting(_), Closed::Reset) => Closed::Refused,
            (State::Open(_), Closed::Refused) => Closed::Reset,
            (_, why) => why,
        };
        cx.events.push_back(Event::Closed { id, why });
    }

    /// Whatever waited for a cut to heal or for its reader goes on now.
    pub(crate) fn release_all<P>(&self, cx: &mut Context<'_, P>) {
        for (id, stream) in &self.all {
            if !stream.sending.held.is_empty() || !stream.receiving.unread.is_empty() {
                cx.later(cx.now, Packet::Release { id: *id });
            }
        }
    }

    /// The streams to these hosts die without a word.
    pub(crate) fn sever(&mut self, which: impl Fn(HostId) -> bool) {
        for stream in self.all.values_mut() {
            stream.severed |= stream.remote.is_some_and(&which);
        }
    }

    /// A stream dies at this end without a word.
    pub(crate) fn sever_one(&mut self, id: StreamId) -> Option<StreamEnd> {
        let stream = self.all.get_mut(&id)?;
        stream.severed = true;
        stream.peer()
    }
}

/// Tells another host that there is no such stream.
pub(crate) fn refuse<P>(cx: &mut Context<'_, P>, from: StreamEnd) {
    if cx.carries(from.host) {
        let arrival = cx.now + cx.topology.delay(cx.host, from.host);
        cx.send(from, arrival, Packet::Rst { to: from.id, why: Closed::Reset });
    }
}
