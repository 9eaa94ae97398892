//! The half of a connection that speaks in packets: keys, numbers, what was lost, how fast.

use std::{collections::VecDeque, net::SocketAddr};

use super::data::{Carried, SentPacketData};
use crate::{
    datagram::{
        ack_tracker::AckTracker,
        congestion::NewReno,
        contract::{EndpointConfig, RemoteNode},
        mtu::DatagramSize,
        pacer::Pacer,
        path::Paths,
        protection::Protection,
        recovery::{AckOutcome, Recovery},
        window::SendWindow,
    },
    limits::{LEAST_DATAGRAM, MAX_PATH_RESPONSES, RTO_LONGEST},
    time::{Duration, Instant},
    wire::packet::{HEADER_LEN, TAG_LEN, extend_number},
};

/// What a connection has once both ends hold keys.
#[derive(Debug)]
pub(super) struct PacketSpace {
    pub(super) remote: RemoteNode,
    /// The other end's name for this connection.
    pub(super) theirs: u32,
    pub(super) protection: Protection,
    pub(super) received: AckTracker,
    pub(super) recovery: Recovery<SentPacketData>,
    pub(super) pacer: Pacer,
    pub(super) size: DatagramSize,
    pub(super) paths: Paths,
    pub(super) send_window: SendWindow,
    /// What of the other end's window is used: sent, and neither acknowledged nor lost.
    pub(super) outstanding: u64,
    pub(super) due: Due,
    /// Until when pacing holds back what could be sent.
    pub(super) paced_until: Option<Instant>,
    pub(super) outcome: AckOutcome<SentPacketData>,
    /// When the last packet opened.
    pub(super) heard: Instant,
    /// When something that asks for an acknowledgment was last sent.
    pub(super) spoke: Instant,
    /// Since when nothing was heard although something asked for an acknowledgment.
    pub(super) unanswered: Option<Instant>,
    /// When a STOP_WAITING frame was last sent.
    pub(super) lowest_told: Instant,
    /// When an unauthenticated word last made us ask for a sign of life.
    pub(super) prodded: Option<Instant>,
    pub(super) lost: u64,
    pub(super) sent: u64,
    /// Changes of keys that were counted.
    pub(super) key_updates: u64,
}

/// Small things that wait for the next packet.
#[derive(Debug, Default)]
pub(super) struct Due {
    /// PINGs that ask whether the other end lives.
    pub(super) ping: bool,
    /// The token of the last PING: one PONG answers all that wait.
    pub(super) pong: Option<u64>,
    /// At most [`MAX_PATH_RESPONSES`].
    pub(super) path_responses: VecDeque<PathResponse>,
    /// The FIN of the other end is to be answered.
    pub(super) fin_ack: bool,
    /// Our FIN, again.
    pub(super) fin: bool,
    /// A RST.
    pub(super) reset: bool,
    /// The other end is to hear of a larger window.
    pub(super) window: bool,
    /// Packets that may go beyond the congestion window, to find out what was lost.
    pub(super) probes: u32,
    /// Counts our PINGs.
    pub(super) tokens: u64,
}

/// The answer to a PATH_CHALLENGE.
#[derive(Clone, Copy, Debug)]
pub(super) struct PathResponse {
    pub(super) to: SocketAddr,
    pub(super) token: [u8; 8],
    /// Bytes of the datagram that asked: the answer has no more, so that nobody draws more than
    /// what was sent.
    pub(super) asked: usize,
}

impl PacketSpace {
    pub(super) fn new(
        now: Instant,
        config: &EndpointConfig,
        protection: Protection,
        remote: RemoteNode,
        theirs: u32,
    ) -> Self {
        let mut received = AckTracker::new();
        // Both directions count from the same number, which is 0 but in tests.
        received.abandoned_below(protection.next_number());
        let datagram = u64::try_from(LEAST_DATAGRAM).unwrap_or(u64::MAX);
        Self {
            remote,
            theirs,
            received,
            recovery: Recovery::new(Box::new(NewReno::new(datagram)))
                .starting_at(protection.next_number()),
            pacer: Pacer::new(now, datagram),
            size: DatagramSize::new(config.max_datagram),
            paths: Paths::new(remote.addr, true, 0, 0),
            send_window: SendWindow::new(),
            outstanding: 0,
            due: Due::default(),
            paced_until: None,
            outcome: AckOutcome::new(),
            heard: now,
            spoke: now,
            unanswered: None,
            lowest_told: now,
            prodded: None,
            lost: 0,
            sent: 0,
            key_updates: 0,
            protection,
        }
    }

    /// The other end is at another address. What was measured of the old path says nothing of this
    /// one (RFC 9000, 9.4).
    pub(super) fn handle_move(&mut self, now: Instant, addr: SocketAddr) {
        self.remote.addr = addr;
        self.size.handle_move();
        let datagram = u64::try_from(self.size.current()).unwrap_or(u64::MAX);
        self.recovery.handle_move(Box::new(NewReno::new(datagram)));
        self.pacer = Pacer::new(now, datagram);
    }

    /// Keeps no room for the packets of busier times.
    pub(super) fn shrink(&mut self) {
        self.outcome = AckOutcome::new();
        self.recovery.shrink();
    }

    /// Bytes that the other end takes beside what is under way.
    pub(super) fn budget(&self) -> u64 {
        self.send_window.left(self.outstanding)
    }

    /// Room for the frames of a full datagram.
    pub(super) const fn room(&self) -> usize {
        self.size.current().saturating_sub(HEADER_LEN + TAG_LEN)
    }

    /// Whether messages or streams have something to send.
    pub(super) fn has_data_to_send(&self, carried: &Carried) -> bool {
        carried.most_urgent(self.room(), self.budget()).is_some()
    }

    /// The cumulative acknowledgment in full, from its low half.
    pub(super) fn cumulative(&self, ack: u32) -> u64 {
        extend_number(ack, self.protection.next_number().checked_sub(1))
    }

    /// A wait for the other end that is longer than any honest one by far. Whoever answered late
    /// all the time made it longer, and must not be remembered for minutes.
    pub(super) fn three_pto(&self) -> Duration {
        (self.recovery.rtt().pto() * 3).min(RTO_LONGEST)
    }
}

impl Due {
    /// Answers a challenge. While nothing can be sent the oldest ones are forgotten.
    pub(super) fn respond(&mut self, response: PathResponse) {
        if self.path_responses.len() >= MAX_PATH_RESPONSES {
            self.path_responses.pop_front();
        }
        self.path_responses.push_back(response);
    }
}
