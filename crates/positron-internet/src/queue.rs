//! What is going to happen to a host, and what it makes happen to others.

use core::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use bytes::Bytes;

use crate::{
    Time,
    event::{Closed, StreamId},
    middlebox::Header,
    topology::HostId,
};

/// One end of a stream: which host, in which life of its process, by which name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamEnd {
    /// The host.
    pub host: HostId,
    /// Which of its processes, counted from 1.
    pub life: u32,
    /// How that process calls the stream.
    pub id: StreamId,
}

/// Something that happens to one host.
#[derive(Clone, Debug)]
pub(crate) enum Packet<P> {
    /// For whichever process listens there.
    Datagram { header: Header, sender: HostId, payload: P },
    /// A stream is asked for.
    Syn { from: StreamEnd, header: Header },
    /// The stream that `to` asked for is there; `peer` is its other end.
    SynAck { to: StreamId, peer: StreamEnd },
    /// Bytes of a stream.
    Segment { to: StreamId, from: StreamEnd, bytes: Bytes },
    /// The other end wrote its last byte.
    Fin { to: StreamId },
    /// There is no such stream, or no longer.
    Rst { to: StreamId, why: Closed },
    /// Bytes that arrived were not read.
    Unread { to: StreamId, bytes: usize },
    /// Bytes that had arrived were read at last.
    Read { to: StreamId, bytes: usize },
    /// Own: the kernel may have room again.
    Room { id: StreamId },
    /// Own: what a stopped reader left in the kernel, or a cut held back, is there now.
    Release { id: StreamId },
    /// Own: an unanswered stream is asked for again.
    SynRetry { id: StreamId, attempt: u32 },
    /// Own: nobody answered.
    ConnectTimeout { id: StreamId },
    /// Own: a stream that was to be flushed has had its time.
    Linger { id: StreamId },
    /// Own: the process reads its datagrams again.
    ReadDatagrams,
}

/// Something that is going to happen to a host, with its place in the order of what does. The order
/// depends on nothing but who sent what when: neither on how hosts are scheduled nor on the order
/// in which it is [brought](crate::Kernel::receive).
#[derive(Clone, Debug)]
pub struct Arrival<P> {
    at: Time,
    /// Who sent it, and the how-many-eth of this sender it is.
    from: (HostId, u64),
    /// The life of the process that it is meant for.
    life: u32,
    /// Boxed: a heap moves what is in it again and again, and keeps the room of its largest crowd.
    packet: Box<Packet<P>>,
}

impl<P> Arrival<P> {
    /// When it happens.
    pub const fn at(&self) -> Time {
        self.at
    }

    pub(crate) fn open(self) -> (u32, Packet<P>) {
        (self.life, *self.packet)
    }

    const fn key(&self) -> (Time, (HostId, u64)) {
        (self.at, self.from)
    }
}

impl<P> PartialEq for Arrival<P> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<P> Eq for Arrival<P> {}

impl<P> PartialOrd for Arrival<P> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<P> Ord for Arrival<P> {
    /// Earliest last: a [`BinaryHeap`] pops the greatest.
    fn cmp(&self, other: &Self) -> Ordering {
        Reverse(self.key()).cmp(&Reverse(other.key()))
    }
}

/// What is going to happen to one host, in order, and what it sent to others and nobody brought.
#[derive(Debug)]
pub(crate) struct EventQueue<P> {
    me: HostId,
    sent: u64,
    inbox: BinaryHeap<Arrival<P>>,
    outbox: Vec<(HostId, Arrival<P>)>,
}

impl<P> EventQueue<P> {
    pub(crate) const fn new(me: HostId) -> Self {
        Self { me, sent: 0, inbox: BinaryHeap::new(), outbox: Vec::new() }
    }

    /// When something happens next.
    pub(crate) fn next(&self) -> Option<Time> {
        self.inbox.peek().map(|arrival| arrival.at)
    }

    pub(crate) fn pop(&mut self) -> Option<Arrival<P>> {
        self.inbox.pop()
    }

    /// Takes in what another host sent.
    pub(crate) fn receive(&mut self, arrival: Arrival<P>) {
        self.inbox.push(arrival);
    }

    /// Lets something happen here, in this life.
    pub(crate) fn later(&mut self, at: Time, life: u32, packet: Packet<P>) {
        let arrival = self.arrival(at, life, packet);
        self.inbox.push(arrival);
    }

    /// Lets something happen at another host (or here), in that life of its process.
    pub(crate) fn send(&mut self, host: HostId, at: Time, life: u32, packet: Packet<P>) {
        let arrival = self.arrival(at, life, packet);
        if host == self.me {
            self.inbox.push(arrival);
        } else {
            self.outbox.push((host, arrival));
        }
    }

    /// What was sent to others.
    pub(crate) const fn outbox(&mut self) -> &mut Vec<(HostId, Arrival<P>)> {
        &mut self.outbox
    }

    /// How many events were sent: a name that is never used twice.
    pub(crate) const fn sent(&self) -> u64 {
        self.sent
    }

    fn arrival(&mut self, at: Time, life: u32, packet: Packet<P>) -> Arrival<P> {
        self.sent += 1;
        Arrival { at, from: (self.me, self.sent), life, packet: Box::new(packet) }
    }
}
