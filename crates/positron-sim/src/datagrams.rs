//! Datagrams between hosts: each is lost, delayed and overtaken on its own.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
};

use bytes::Bytes;
use positron_proto::{
    datagram::contract::Transmit,
    time::{Duration, Instant},
};

use crate::{dice::Dice, event::Event, host::Host, topology::Topology};

/// Datagrams that a host hands to its kernel at a time.
pub(crate) const BATCH: usize = 16;
/// Bytes that the headers of TCP with timestamps are longer than those of UDP: a packet carries as
/// many more of a datagram.
const SHORTER_HEADERS: usize = 24;
/// How long the queue in front of a slow line may be before it drops what comes: what routers were
/// long built with (Villamizar and Song 1994: the product of bandwidth and 250 ms).
const LONGEST_QUEUE: Duration = Duration::from_millis(250);

/// The first port that no service has by agreement.
const FIRST_DYNAMIC_PORT: u16 = 49_152;

/// The socket of one host.
#[derive(Debug)]
pub(crate) struct Socket {
    dice: Dice,
    /// The port that others see.
    port: u16,
    /// Arrived while the process did not read.
    unread: VecDeque<Event>,
    unread_bytes: usize,
    /// When the line to each other host is free again, if lines have a rate.
    lines: BTreeMap<u32, Instant>,
}

impl Socket {
    pub(crate) const fn new(dice: Dice, port: u16) -> Self {
        Self { dice, port, unread: VecDeque::new(), unread_bytes: 0, lines: BTreeMap::new() }
    }

    /// The address translator in front of it chooses another port.
    pub(crate) fn rebind(&mut self) {
        self.port = self.port.checked_add(1).unwrap_or(FIRST_DYNAMIC_PORT);
    }

    pub(crate) fn has_unread(&self) -> bool {
        !self.unread.is_empty()
    }
}

impl Host {
    /// Sends a batch of datagrams.
    pub(crate) fn transmit(&mut self, batch: Transmit, bytes: Bytes, nature: &Topology) {
        let now = self.now();
        self.tally.wire_bytes += u64::try_from(bytes.len()).unwrap_or(0);
        let Some(to) = nature.host_at(batch.to.ip()) else { return };
        if !nature.carries_datagrams(self.index, to) {
            return;
        }
        let physics = &nature.physics;
        let delay = nature.delay(self.index, to);
        let from = SocketAddr::new(self.addr.ip(), self.socket.port);
        let port = batch.to.port();
        let mut rest = bytes;
        while !rest.is_empty() {
            let datagram = rest.split_to(batch.segment_size.clamp(1, rest.len()));
            if datagram.len() > physics.packet + SHORTER_HEADERS {
                // The first interface refuses it: no line is busy with it.
                continue;
            }
            let mut sent = now;
            if let Some(rate) = physics.rate {
                let line = u64::try_from(datagram.len()).unwrap_or(u64::MAX);
                let line = Duration::from_micros(line.saturating_mul(1_000_000) / rate.max(1));
                let free = self.socket.lines.entry(to).or_insert(Instant::ORIGIN);
                sent = sent.max(*free) + line;
                if sent.since(now) > LONGEST_QUEUE.max(2 * line) {
                    continue;
                }
                *free = sent;
            }
            let lost = self.socket.dice.chance(physics.loss);
            let jitter = self.socket.dice.between(physics.jitter);
            if lost {
                continue;
            }
            let event = Event::Datagram { from, port, sender: self.index, bytes: datagram };
            // Whichever process listens there then.
            self.mail.send(to, sent + delay + jitter, 0, event);
        }
    }

    /// A datagram reached this host.
    pub(crate) fn datagram(&mut self, event: Event, nature: &Topology) {
        let Event::Datagram { from, port, sender, bytes } = event else { return };
        if !self.powered
            || !nature.carries_datagrams(sender, self.index)
            || port != self.socket.port
            || !self.is_live()
        {
            return;
        }
        if !self.reading {
            if self.socket.unread_bytes + bytes.len() <= nature.physics.kernel_buffer {
                self.socket.unread_bytes += bytes.len();
                self.socket.unread.push_back(Event::Datagram { from, port, sender, bytes });
            }
            return;
        }
        self.take_in(from, &bytes);
    }

    fn take_in(&mut self, from: SocketAddr, bytes: &[u8]) {
        let at = self.now();
        let now = self.clocks(at);
        let Some(process) = &mut self.process else { return };
        self.tally.inputs += 1;
        self.trace.note(at, || format!("Datagram {{ from: {from}, bytes: {bytes:?} }}"));
        process.machine.handle_datagrams(now, from, bytes.len().max(1), bytes);
    }

    /// Takes in what waits in the socket, if the process reads again.
    pub(crate) fn read_socket(&mut self) {
        if !self.reading {
            return;
        }
        self.socket.unread_bytes = 0;
        for event in std::mem::take(&mut self.socket.unread) {
            if let Event::Datagram { from, bytes, .. } = event {
                self.take_in(from, &bytes);
            }
        }
    }

    /// What waits in the socket of a dead process is gone with it.
    pub(crate) fn close_socket(&mut self) {
        self.socket.unread.clear();
        self.socket.unread_bytes = 0;
    }
}
