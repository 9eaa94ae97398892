//! What the words of a kernel are to a node, and the other way round.

use std::net::SocketAddr;

use bytes::Bytes;
use positron_internet::{self as internet, Closed, Event, StreamId};
use positron_proto::{
    id::LinkId,
    node::Input,
    session::sessions::{Hangup, LinkDown, LinkKind},
};

/// The stream that a node calls so.
pub(crate) const fn stream(link: LinkId) -> StreamId {
    if link.is_of_driver() {
        StreamId::Accepted(link.number())
    } else {
        StreamId::Dialled(link.number())
    }
}

const fn link(stream: StreamId) -> LinkId {
    match stream {
        StreamId::Dialled(n) => LinkId::of_core(n),
        StreamId::Accepted(n) => LinkId::of_driver(n),
    }
}

/// How a node hangs up.
pub(crate) const fn how(hangup: Hangup) -> internet::Hangup {
    match hangup {
        Hangup::Flush => internet::Hangup::Flush,
        Hangup::Abort => internet::Hangup::Abort,
    }
}

const fn reason(why: Closed) -> LinkDown {
    match why {
        Closed::Refused => LinkDown::Refused,
        Closed::TimedOut => LinkDown::TimedOut,
        Closed::Reset => LinkDown::Reset,
        Closed::Eof => LinkDown::Eof,
        Closed::HungUp => LinkDown::HungUp,
    }
}

/// What a kernel says to a node.
pub(crate) enum Told {
    /// By an input.
    Input(Input),
    /// By bytes that the node reads where they are.
    Datagram(SocketAddr, Bytes),
}

impl From<Event<Bytes>> for Told {
    fn from(event: Event<Bytes>) -> Self {
        Self::Input(match event {
            Event::Datagram { from, payload, .. } => return Self::Datagram(from, payload),
            Event::Accepted { id, from } => {
                Input::Accepted { kind: LinkKind::Tcp, link: link(id), from }
            }
            Event::Connected { id } => Input::Connected { link: link(id) },
            Event::Data { id, bytes } => Input::Bytes { link: link(id), bytes },
            Event::Written { id, bytes } => Input::Written { link: link(id), bytes },
            Event::Closed { id, why } => Input::LinkDown { link: link(id), reason: reason(why) },
        })
    }
}
