//! One end of a connection: what its application wants, and what is known of its truth.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use positron_proto::datagram::contract::{
    Delivery, EndpointEvent, LaneNumber, NotQueued, StreamId,
};

use super::{
    check::{Dialled, Flow, Life, PacketBounds, Wrong},
    content::{self, Talker},
    story::Ending,
};

/// One end of a connection.
#[derive(Debug)]
pub(crate) struct AppConnection {
    pub(crate) me: Talker,
    /// What it was told, if this end dialled.
    pub(crate) dialled: Option<Dialled>,
    /// The other end and the start of its process, once it has answered.
    pub(crate) remote: Option<(usize, u64)>,
    /// The other end's half, once it is known which it is.
    pub(crate) peer: Option<Talker>,
    /// What was said here.
    pub(crate) flow: Flow,
    /// What was heard here before the other half was known.
    pub(crate) unchecked: Vec<FlowHeard>,
    pub(crate) life: Life,
    pub(crate) bounds: PacketBounds,
    pub(crate) app: App,
}

/// Something that an application heard.
#[derive(Clone, Debug)]
pub(crate) enum FlowHeard {
    Message(LaneNumber, Delivery, Bytes),
    Read(u64, Bytes),
    Ended(u64),
    Dropped(u64),
}

/// What an application has in mind.
#[derive(Debug, Default)]
pub(crate) struct App {
    /// Messages said so far.
    index: u64,
    /// Messages that were refused, with the next one.
    pub(crate) backlog: VecDeque<(LaneNumber, Delivery, usize)>,
    /// The endpoint owes an [`EndpointEvent::Writable`].
    pub(crate) blocked: bool,
    /// Streams that are to be written.
    pub(crate) writing: BTreeMap<StreamId, Writing>,
    /// Streams of the other end, and whether a read is to come.
    pub(crate) reading: BTreeMap<StreamId, bool>,
    /// Streams of the other end that it was told are over.
    pub(crate) ended: BTreeSet<StreamId>,
    /// Jobs that are to come.
    pub(crate) jobs: u32,
}

/// A stream that is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Writing {
    pub(crate) offset: u64,
    pub(crate) left: u64,
    pub(crate) chunk: usize,
    pub(crate) ending: Ending,
}

impl AppConnection {
    pub(crate) fn new(me: Talker, dialled: Option<Dialled>, life: Life) -> Self {
        Self {
            me,
            dialled,
            remote: None,
            peer: None,
            flow: Flow::new(me),
            unchecked: Vec::new(),
            life,
            bounds: PacketBounds::default(),
            app: App::default(),
        }
    }

    /// The next message of this length.
    pub(crate) fn next_message(&self, len: usize) -> Bytes {
        content::message(self.me, self.app.index, len)
    }

    /// The endpoint took the next message, or not.
    pub(crate) fn said(
        &mut self,
        lane: LaneNumber,
        delivery: Delivery,
        body: Bytes,
        result: Result<(), NotQueued>,
    ) -> bool {
        match result {
            Ok(()) => {
                self.app.index += 1;
                self.flow.handle_sent(lane, delivery, body);
                true
            }
            Err(NotQueued::Full) => {
                self.app.blocked = true;
                false
            }
            Err(_) => {
                self.app.backlog.clear();
                false
            }
        }
    }

    /// What the other end heard of what was said here.
    pub(crate) fn was_heard(&mut self, heard: &FlowHeard) -> Result<(), Wrong> {
        match heard {
            FlowHeard::Message(lane, delivery, body) => self.flow.received(*lane, *delivery, body),
            FlowHeard::Read(number, bytes) => self.flow.read(*number, bytes),
            FlowHeard::Ended(number) => self.flow.ended(*number),
            FlowHeard::Dropped(number) => {
                self.flow.handle_drop(*number);
                Ok(())
            }
        }
    }

    /// What its application still wants to do.
    pub(crate) fn intends(&self) -> Option<String> {
        let App { backlog, blocked, writing, jobs, .. } = &self.app;
        let writes = writing.values().any(|w| w.left > 0 || w.ending != Ending::Never);
        let intends = !backlog.is_empty() || *blocked || writes || *jobs > 0;
        intends.then(|| {
            let waits = backlog.len();
            format!(
                "{waits} messages refused (blocked: {blocked}), writes {writing:?}, {jobs} jobs"
            )
        })
    }
}

/// The connection that an event is about.
pub(crate) const fn connection(
    event: &EndpointEvent,
) -> positron_proto::datagram::contract::ConnectionId {
    match event {
        EndpointEvent::Connected { connection, .. }
        | EndpointEvent::Accepted { connection, .. }
        | EndpointEvent::Message { connection, .. }
        | EndpointEvent::Drained { connection }
        | EndpointEvent::Writable { connection }
        | EndpointEvent::StreamsAvailable { connection }
        | EndpointEvent::StreamReadable { connection, .. }
        | EndpointEvent::StreamWritable { connection, .. }
        | EndpointEvent::StreamStopped { connection, .. }
        | EndpointEvent::Moved { connection, .. }
        | EndpointEvent::Finished { connection, .. }
        | EndpointEvent::Closed { connection, .. } => *connection,
    }
}
