//! The substreams of one session.

use std::collections::{BTreeMap, VecDeque};

use super::{
    Label, OpenedBy, SubstreamId, SubstreamMessage,
    receive_half::ReceiveHalf,
    send_half::{Next, SendHalf},
};
use crate::{
    id::NodeId,
    limits::{MAX_SUBSTREAM_UNSENT, SUBSTREAM_PIECE, SUBSTREAM_SHARE_PER_PEER},
};

/// One substream.
#[derive(Debug)]
pub(super) struct Substream {
    pub(super) send: SendHalf,
    pub(super) receive: ReceiveHalf,
    /// Whether it stands among those that take turns.
    queued: bool,
}

/// All substreams with one peer, for as long as the session lasts, and whose turn it is to send.
#[derive(Debug)]
pub(super) struct PeerTable {
    peer: NodeId,
    /// Names the start of its process.
    pub(super) boot: u64,
    streams: BTreeMap<(OpenedBy, u64), Substream>,
    /// The number after the last that the peer opened.
    next_of_peer: u64,
    /// Those that have something to send, in turn.
    turns: VecDeque<(OpenedBy, u64)>,
    /// What nobody took when it was said.
    unsent: VecDeque<SubstreamMessage>,
    /// What all receiving halves take together.
    taken: u64,
}

impl PeerTable {
    pub(super) const fn new(peer: NodeId, boot: u64) -> Self {
        Self {
            peer,
            boot,
            streams: BTreeMap::new(),
            next_of_peer: 0,
            turns: VecDeque::new(),
            unsent: VecDeque::new(),
            taken: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.streams.len()
    }

    /// What all receiving halves take together.
    pub(super) const fn taken(&self) -> u64 {
        self.taken
    }

    /// A new one, of this number.
    pub(super) fn open(&mut self, opener: OpenedBy, number: u64) -> SubstreamId {
        let (send, receive) = (SendHalf::new(opener == OpenedBy::Us), ReceiveHalf::new());
        self.taken += receive.taken();
        let substream = Substream { send, receive, queued: false };
        self.streams.insert((opener, number), substream);
        if opener == OpenedBy::Peer {
            self.next_of_peer = number + 1;
        }
        let id = SubstreamId { peer: self.peer, opener, number };
        self.step(&id, |_| ());
        id
    }

    /// Whether the peer may open one of this number: they only grow.
    pub(super) const fn is_new(&self, number: u64) -> bool {
        number >= self.next_of_peer
    }

    /// Does something to a substream, if there is one of this name, and notes what has become of
    /// it.
    pub(super) fn step<T>(
        &mut self,
        id: &SubstreamId,
        what: impl FnOnce(&mut Substream) -> T,
    ) -> Option<T> {
        let key = (id.opener, id.number);
        let substream = self.streams.get_mut(&key)?;
        let before = substream.receive.taken();
        let result = what(substream);
        self.taken = self.taken - before + substream.receive.taken();
        if substream.send.is_over() && substream.receive.is_over() {
            self.streams.remove(&key);
        } else if substream.send.is_ready() && !substream.queued {
            substream.queued = true;
            self.turns.push_back(key);
        }
        Some(result)
    }

    /// What the peer is to be granted now, if that is worth a message.
    pub(super) fn grant(&mut self, id: &SubstreamId, elsewhere: u64) -> Option<SubstreamMessage> {
        let room = SUBSTREAM_SHARE_PER_PEER.saturating_sub(self.taken).min(elsewhere);
        let limit = self.step(id, |substream| substream.receive.grant(room))??;
        Some(SubstreamMessage::Credit { label: label(id), limit })
    }

    /// Nobody took this: it is said first when somebody does. Whoever reads nothing of what is said
    /// about his streams loses what is beyond the bound, and harms nobody else.
    pub(super) fn keep(&mut self, message: SubstreamMessage) {
        if self.unsent.len() < MAX_SUBSTREAM_UNSENT {
            self.unsent.push_back(message);
        }
    }

    /// Whether [`next`](Self::next) gives something, if there is room.
    pub(super) fn has_next(&self) -> bool {
        !self.unsent.is_empty() || !self.turns.is_empty()
    }

    /// The next thing to say when its lane takes `room` bytes, and whose end it is.
    pub(super) fn next(&mut self, room: usize) -> Option<(SubstreamMessage, Option<SubstreamId>)> {
        if let Some(message) = self.unsent.pop_front() {
            return Some((message, None));
        }
        while room >= SUBSTREAM_PIECE + MESSAGE_HEAD
            && let Some(key) = self.turns.pop_front()
        {
            let id = SubstreamId { peer: self.peer, opener: key.0, number: key.1 };
            if let Some(substream) = self.streams.get_mut(&key) {
                substream.queued = false;
            }
            let label = label(&id);
            match self.step(&id, |substream| substream.send.next()).flatten() {
                Some(Next::Piece { offset, bytes, fin }) => {
                    let message = SubstreamMessage::Data { label, offset, fin, bytes };
                    return Some((message, fin.then_some(id)));
                }
                Some(Next::Reset(why)) => {
                    return Some((SubstreamMessage::Reset { label, why }, None));
                }
                None => {}
            }
        }
        None
    }

    /// The session is over: all that were in it.
    pub(super) fn into_streams(self) -> impl Iterator<Item = (SubstreamId, Substream)> {
        let peer = self.peer;
        self.streams.into_iter().map(move |((opener, number), substream)| {
            (SubstreamId { peer, opener, number }, substream)
        })
    }
}

/// How a substream is called towards its peer.
pub(super) const fn label(id: &SubstreamId) -> Label {
    Label { number: id.number, by_sender: matches!(id.opener, OpenedBy::Us) }
}

/// Bytes around a piece: type, label, offset and flags.
pub(super) const MESSAGE_HEAD: usize = 18;
