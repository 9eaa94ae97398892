//! The applications at the ends: what they do when they are told something, and later.

use positron_proto::{
    datagram::contract::{
        Closed, Delivery, Direction, EndpointEvent, Expect, LaneNumber, RemoteNode, StreamId,
    },
    limits::{LANES, MAX_DATAGRAM_MESSAGE},
};

use super::{
    app_connection::{AppConnection, FlowHeard, Writing, connection},
    check::{CLOSE, Life, Promise, Truth, Wrong},
    content::{self, Talker},
    identities::{boot, identity},
    net::{Job, Net, Next},
    report::PacketViolation,
    story::Ending,
};

/// Bytes of the message that each half begins with: it says whose it is.
const GREETING: usize = 32;

impl Net<'_> {
    pub(super) fn on_event(&mut self, end: usize, event: EndpointEvent) -> Result<(), Wrong> {
        let me = Talker { end, life: self.hosts[end].life, connection: connection(&event) };
        if let EndpointEvent::Accepted { remote, .. } = &event
            && !self.talks.contains_key(&me)
        {
            return self.accepted(me, remote);
        }
        let truth = self.truth(me);
        let Some(talk) = self.talks.get_mut(&me) else {
            let what = format!("{event:?} of a connection that nobody knows");
            return Err(Wrong::new(Promise::Close, what));
        };
        talk.life.told(&event, truth)?;
        match event {
            EndpointEvent::Connected { remote, .. } => self.connected(me, &remote),
            EndpointEvent::Message { lane, delivery, body, .. } => {
                self.later(me, Job::Release(body.len()));
                self.heard(me, FlowHeard::Message(lane, delivery, body))
            }
            EndpointEvent::Writable { .. } | EndpointEvent::StreamsAvailable { .. } => {
                talk.app.blocked = false;
                self.say_backlog(me);
                Ok(())
            }
            EndpointEvent::StreamReadable { stream, .. } => {
                if talk.app.ended.contains(&stream) {
                    let what = format!("stream {} can be read after its end", stream.number);
                    return Err(Wrong::new(Promise::Exact, what));
                }
                let is_due = talk.app.reading.entry(stream).or_default();
                if !core::mem::replace(is_due, true) {
                    self.later(me, Job::Read(stream));
                }
                Ok(())
            }
            EndpointEvent::StreamWritable { stream, .. }
            | EndpointEvent::StreamStopped { stream, .. } => {
                self.write(me, stream);
                Ok(())
            }
            EndpointEvent::Moved { addr, .. } => {
                let other = talk.remote.map(|(other, _)| other);
                self.handle_proof(end, addr);
                other.map_or(Ok(()), |other| self.hosts[other].addresses.believed(addr))
            }
            EndpointEvent::Finished { .. } => {
                // Whoever listens to the end has heard all that was said before.
                let closer = talk.peer.filter(|_| talk.life.can_say());
                let closer = closer.filter(|closer| self.is_alive(*closer));
                self.later(me, Job::Close);
                closer.map_or(Ok(()), |closer| self.all_heard(closer, "finished"))
            }
            // An app that may open no more goes without.
            EndpointEvent::Drained { .. } => self.all_heard(me, "drained"),
            EndpointEvent::Closed { why, .. } => {
                let resetting = talk.life.resetting;
                talk.app.backlog.clear();
                talk.app.writing.clear();
                talk.app.blocked = false;
                if matches!(why, Closed::ByUs(CLOSE)) && !resetting {
                    return self.all_heard(me, "closed by us");
                }
                Ok(())
            }
            EndpointEvent::Accepted { .. } => Ok(()),
        }
    }

    /// What is true of a connection, as far as it matters why it is over.
    fn truth(&self, me: Talker) -> Truth {
        let Some(talk) = self.talks.get(&me) else { return Truth::default() };
        let is_wrong = |talk: &AppConnection| {
            talk.dialled.is_some_and(|dialled| match dialled.expect {
                Expect::Node(node) => Some(node) != dialled.there,
                Expect::Anyone => false,
            })
        };
        let peer = talk.peer.and_then(|peer| self.talks.get(&peer));
        let unknown = talk.peer.is_none();
        Truth {
            disturbed: self.story.is_disturbed()
                || talk.dialled.is_some_and(|dialled| dialled.there.is_none()),
            lossy: !self.story.is_faithful(),
            wrong_node: is_wrong(talk) || peer.is_some_and(is_wrong),
            peer_closing: unknown || peer.is_some_and(|peer| peer.life.closing),
            peer_resetting: unknown || peer.is_some_and(|peer| peer.life.resetting),
        }
    }

    /// Whatever the other end knows by now to be acknowledged was handed over there.
    fn all_heard(&self, me: Talker, when: &str) -> Result<(), Wrong> {
        let Some(talk) = self.talks.get(&me) else { return Ok(()) };
        // Its half may be over, or of an earlier process: then this end is about to hear of it.
        let Some(peer) = talk.peer.filter(|peer| self.is_alive(*peer)) else { return Ok(()) };
        // Whoever closes hears nothing more, and says so only at the end.
        if self.talks.get(&peer).is_none_or(|peer| !peer.life.can_say()) {
            return Ok(());
        }
        match talk.flow.owed_messages().as_slice() {
            [] => Ok(()),
            owed => {
                Err(Wrong::new(Promise::Exact, format!("{when}, but not handed over: {owed:?}")))
            }
        }
    }

    fn connected(&mut self, me: Talker, remote: &RemoteNode) -> Result<(), Wrong> {
        self.handle_proof(me.end, remote.addr);
        let other = self.end_of(remote);
        let Some(talk) = self.talks.get_mut(&me) else { return Ok(()) };
        talk.remote = other.map(|other| (other, remote.boot));
        if let Some(dialled) = &talk.dialled {
            dialled.answered(remote)?;
        }
        if let Some(other) = other {
            self.hosts[other].addresses.believed(remote.addr)?;
        }
        self.say(me, 0, Delivery::Unordered, GREETING, 1);
        Ok(())
    }

    fn accepted(&mut self, me: Talker, remote: &RemoteNode) -> Result<(), Wrong> {
        let mut talk = AppConnection::new(me, None, Life::accepted());
        let other = self.end_of(remote);
        let here = (me.end, boot(me.life));
        let mut dials = Vec::new();
        if let Some(other) = other {
            talk.remote = Some((other, remote.boot));
            self.hosts[other].addresses.believed(remote.addr)?;
            dials = self.halves_without(other, remote.boot, here);
        }
        self.talks.insert(me, talk);
        self.handle_proof(me.end, remote.addr);
        match dials[..] {
            [] => {
                let what = format!("accepted {}, who did not dial", remote.id);
                return Err(Wrong::new(Promise::Forgery, what));
            }
            [dial] => self.pair(me, dial)?,
            _ => {}
        }
        self.say(me, 0, Delivery::Unordered, GREETING, 1);
        Ok(())
    }

    fn end_of(&self, remote: &RemoteNode) -> Option<usize> {
        (0..self.hosts.len()).find(|end| identity(*end).node_id() == remote.id)
    }

    /// Dials of this process at that one that have keys, and of which the other half is not known.
    fn halves_without(&self, end: usize, boot_there: u64, here: (usize, u64)) -> Vec<Talker> {
        let is_one = |talk: &&AppConnection| {
            talk.me.end == end
                && boot(talk.me.life) == boot_there
                && talk.dialled.is_some()
                && talk.peer.is_none()
                && talk.remote == Some(here)
        };
        self.talks.values().filter(is_one).map(|talk| talk.me).collect()
    }

    fn pair(&mut self, a: Talker, b: Talker) -> Result<(), Wrong> {
        for (me, peer) in [(a, b), (b, a)] {
            let Some(talk) = self.talks.get_mut(&me) else { continue };
            talk.peer = Some(peer);
            let unchecked = core::mem::take(&mut talk.unchecked);
            for heard in unchecked {
                self.check(peer, &heard)?;
            }
        }
        Ok(())
    }

    fn check(&mut self, said_by: Talker, heard: &FlowHeard) -> Result<(), Wrong> {
        self.talks.get_mut(&said_by).map_or(Ok(()), |talk| talk.was_heard(heard))
    }

    /// An application heard something: was it said?
    pub(super) fn heard(&mut self, me: Talker, heard: FlowHeard) -> Result<(), Wrong> {
        let Some(talk) = self.talks.get_mut(&me) else { return Ok(()) };
        if let Some(peer) = talk.peer {
            return self.check(peer, &heard);
        }
        let speaker = match (&heard, talk.remote) {
            (FlowHeard::Message(_, _, body), Some((other, boot_there))) => {
                let named = |other: &&AppConnection| content::is_of(body, other.me) == Some(true);
                let halves = self.talks.values().filter(|talk| {
                    talk.me.end == other && boot(talk.me.life) == boot_there && talk.peer.is_none()
                });
                halves.clone().find(named).map(|talk| talk.me)
            }
            _ => None,
        };
        if let Some(talk) = self.talks.get_mut(&me) {
            talk.unchecked.push(heard);
        }
        speaker.map_or(Ok(()), |speaker| self.pair(me, speaker))
    }

    /// Does it when the application has time.
    fn later(&mut self, me: Talker, job: Job) {
        // A slow reader of a little at a time would keep everybody waiting for hours.
        let least = self.story.ends[me.end].reader.0;
        let takes =
            if self.is_calm { least } else { self.dice.between(self.story.ends[me.end].reader) };
        let at = (self.now + takes).max(self.hosts[me.end].paused_until);
        if let Some(talk) = self.talks.get_mut(&me) {
            talk.app.jobs += 1;
        }
        self.schedule(at, Next::App(me, job));
    }

    pub(super) fn job(&mut self, me: Talker, job: Job) -> Result<(), PacketViolation> {
        if !self.is_alive(me) {
            return Ok(());
        }
        // Paused since: not now.
        let resumes = self.hosts[me.end].paused_until;
        if resumes > self.now {
            self.schedule(resumes, Next::App(me, job));
            return Ok(());
        }
        if let Some(talk) = self.talks.get_mut(&me) {
            talk.app.jobs -= 1;
        }
        match job {
            Job::Release(bytes) => {
                self.call(me.end, |endpoint, now| endpoint.release(now, me.connection, bytes))?;
            }
            Job::Close => self.close(me)?,
            Job::Read(stream) => {
                let result = self.read(me, stream);
                result.map_err(|wrong| self.broken(wrong, Some(me.end)))?;
                self.pump(me.end)?;
            }
        }
        Ok(())
    }

    pub(super) fn close(&mut self, me: Talker) -> Result<(), PacketViolation> {
        let Some(talk) = self.talks.get_mut(&me) else { return Ok(()) };
        if talk.life.can_say() {
            talk.life.closing = true;
            talk.app.backlog.clear();
            talk.app.blocked = false;
            for (stream, writing) in core::mem::take(&mut talk.app.writing) {
                if writing.ending != Ending::Finish || writing.left > 0 {
                    talk.flow.handle_drop(stream.number);
                }
            }
            self.note(|| format!("end {} closes {:?}", me.end, me.connection));
            self.call(me.end, |endpoint, now| endpoint.close(now, me.connection, CLOSE))?;
        }
        Ok(())
    }

    fn read(&mut self, me: Talker, stream: StreamId) -> Result<(), Wrong> {
        let end = self.story.ends[me.end];
        let now = self.clock();
        loop {
            let Some(talk) = self.talks.get_mut(&me) else { return Ok(()) };
            talk.app.reading.insert(stream, false);
            let Some(endpoint) = self.hosts[me.end].endpoint.as_mut() else { return Ok(()) };
            match endpoint.read_stream(now, me.connection, stream, end.reads) {
                Ok(Some(bytes)) if bytes.is_empty() => return Ok(()),
                Ok(Some(bytes)) => {
                    if bytes.len() > end.reads {
                        return Err(Wrong::new(Promise::Bounds, "read more than asked for"));
                    }
                    self.heard(me, FlowHeard::Read(stream.number, bytes))?;
                    if !end.reader.1.is_zero() {
                        if let Some(talk) = self.talks.get_mut(&me) {
                            talk.app.reading.insert(stream, true);
                        }
                        self.later(me, Job::Read(stream));
                        return Ok(());
                    }
                }
                Ok(None) => {
                    talk.app.reading.remove(&stream);
                    talk.app.ended.insert(stream);
                    return self.heard(me, FlowHeard::Ended(stream.number));
                }
                // Given up, by either end, or with its connection.
                Err(_) => {
                    talk.app.reading.remove(&stream);
                    if talk.life.is_over() {
                        return Ok(());
                    }
                    return self.given_up(me, stream);
                }
            }
        }
    }

    /// A stream cannot be read any more: somebody must have given it up.
    fn given_up(&mut self, me: Talker, stream: StreamId) -> Result<(), Wrong> {
        let peer = self.talks.get(&me).and_then(|talk| talk.peer);
        let Some(peer) = peer.and_then(|peer| self.talks.get(&peer)) else { return Ok(()) };
        if peer.flow.is_over(stream.number) || peer.life.is_over() {
            return Ok(());
        }
        let what = format!("stream {} cannot be read, but nobody gave it up", stream.number);
        Err(Wrong::new(Promise::Exact, what))
    }

    /// Says messages, as many as are taken; the others when there is room.
    pub(super) fn say(
        &mut self,
        me: Talker,
        lane: LaneNumber,
        delivery: Delivery,
        bytes: usize,
        times: u32,
    ) {
        let Some(talk) = self.talks.get_mut(&me) else { return };
        if !talk.life.can_say() {
            return;
        }
        for _ in 0..times {
            talk.app.backlog.push_back((lane, delivery, bytes));
        }
        if !talk.app.blocked {
            self.say_backlog(me);
        }
    }

    fn say_backlog(&mut self, me: Talker) {
        let now = self.clock();
        loop {
            let Some(talk) = self.talks.get_mut(&me) else { return };
            let Some(&(lane, delivery, bytes)) = talk.app.backlog.front() else { return };
            let Some(endpoint) = self.hosts[me.end].endpoint.as_mut() else { return };
            let body = talk.next_message(bytes);
            let result = endpoint.send(now, me.connection, lane, delivery, body.clone());
            let refused = bytes > MAX_DATAGRAM_MESSAGE || lane >= LANES;
            let line = format!("end {} sends message in lane {lane}, {delivery:?}", me.end);
            if !talk.said(lane, delivery, body, result) {
                self.note(|| format!("{line}: {result:?}"));
                // A message that no queue takes is forgotten, so that the next one has its turn.
                if refused && let Some(talk) = self.talks.get_mut(&me) {
                    talk.app.backlog.pop_front();
                    continue;
                }
                return;
            }
            talk.app.backlog.pop_front();
            self.note(|| format!("{line}, {bytes} bytes"));
        }
    }

    /// Opens a stream and begins to write it.
    pub(super) fn open(&mut self, me: Talker, lane: LaneNumber, writing: Writing) {
        let now = self.clock();
        let Some(talk) = self.talks.get_mut(&me).filter(|talk| talk.life.can_say()) else { return };
        let Some(endpoint) = self.hosts[me.end].endpoint.as_mut() else { return };
        let result = endpoint.open_stream(now, me.connection, lane);
        if let Ok(stream) = result {
            talk.flow.handle_written(stream.number, 0);
            talk.app.writing.insert(stream, writing);
        }
        self.note(|| format!("end {} opens a stream: {result:?}, {writing:?}", me.end));
        if let Ok(stream) = result {
            self.write(me, stream);
        }
    }

    fn write(&mut self, me: Talker, stream: StreamId) {
        let now = self.clock();
        let Some(talk) = self.talks.get_mut(&me) else { return };
        let Some(endpoint) = self.hosts[me.end].endpoint.as_mut() else { return };
        let Some(writing) = talk.app.writing.get_mut(&stream) else { return };
        while writing.left > 0 {
            let left = usize::try_from(writing.left).unwrap_or(usize::MAX);
            let len = writing.chunk.max(1).min(left);
            let bytes = content::stream(me, stream.number, writing.offset, len);
            match endpoint.write_stream(now, me.connection, stream, &bytes) {
                Ok(taken) => {
                    talk.flow.handle_written(stream.number, taken);
                    let wide = u64::try_from(taken).unwrap_or(0);
                    writing.offset += wide;
                    writing.left = writing.left.saturating_sub(wide);
                    if taken == 0 {
                        return;
                    }
                }
                // The other end refused it, or the connection is over.
                Err(_) => {
                    talk.app.writing.remove(&stream);
                    return;
                }
            }
        }
        match writing.ending {
            Ending::Finish => {
                let finished = endpoint.finish_stream(now, me.connection, stream);
                if finished.is_ok() {
                    talk.flow.handle_finish(stream.number);
                }
            }
            Ending::Drop => {
                talk.flow.handle_drop(stream.number);
                endpoint.drop_stream(now, me.connection, stream, 0);
            }
            Ending::Never => return,
        }
        talk.app.writing.remove(&stream);
    }

    /// Gives up a stream that the other end opened.
    pub(super) fn refuse(&mut self, me: Talker) -> Result<(), Wrong> {
        let now = self.clock();
        let Some(talk) = self.talks.get_mut(&me) else { return Ok(()) };
        let from_there = |stream: &&StreamId| stream.opened_by == Direction::Inbound;
        let Some(stream) = talk.app.reading.keys().find(from_there).copied() else {
            return Ok(());
        };
        talk.app.reading.remove(&stream);
        let Some(endpoint) = self.hosts[me.end].endpoint.as_mut() else { return Ok(()) };
        endpoint.drop_stream(now, me.connection, stream, 0);
        self.heard(me, FlowHeard::Dropped(stream.number))
    }
}
