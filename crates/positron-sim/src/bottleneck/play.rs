//! Plays flows over a line.

use std::{net::SocketAddr, sync::Arc};

use positron_internet::{DEFAULT_TTL, Event, Internet, PathLaws, Payload, StreamLaws};
use positron_proto::{
    datagram::{
        Endpoint,
        contract::{
            CongestionAlgorithm, ConnectionId, EndpointConfig, EndpointEvent, Expect, StreamId,
        },
    },
    id::NetworkId,
    identity::Identity,
    rng::Seed,
    time::{Duration, Instant, Now, WallTime},
};

use super::line::{Bottleneck, FlowReport, IP_UDP_HEADERS};
use crate::clock::{at, micros, since_beginning};

/// What is written at a time.
static CHUNK: [u8; 64 << 10] = [0; 64 << 10];
/// Datagrams in a batch at most.
const SEGMENTS: usize = 44;
/// Bytes of a full datagram that are not the stream's: header, tag, and about so many of frames.
const OVERHEAD: usize = 32 + 16 + 9;

/// A packet on the line.
#[derive(Clone, Debug)]
struct Stamped {
    datagram: Vec<u8>,
    sent_at: Instant,
}

impl Payload for Stamped {
    fn size(&self) -> usize {
        self.datagram.len() + IP_UDP_HEADERS
    }
}

/// One end of a flow.
struct FlowEnd {
    endpoint: Endpoint,
    addr: SocketAddr,
    talk: Option<(ConnectionId, Option<StreamId>)>,
}

/// A sender, a receiver, and what was measured.
struct Flow {
    ends: [FlowEnd; 2],
    congestion: &'static str,
    datagram: usize,
    read: u64,
    sent: u64,
    /// Microseconds that packets waited beyond the bare line.
    waits: Vec<u64>,
}

struct Hall<'a> {
    line: &'a Bottleneck,
    now: Instant,
    internet: Internet<Stamped>,
    flows: Vec<Flow>,
    /// Nothing is measured before.
    measures_from: Instant,
    buf: Vec<u8>,
}

/// Plays one flow for each of `controls`, all from the beginning on, for `lasting`; the first
/// `warm_up` of it is not measured.
///
/// # Panics
///
/// If there are more than 100 flows.
pub fn play(
    line: &Bottleneck,
    controls: &[CongestionAlgorithm],
    (warm_up, lasting): (Duration, Duration),
    seed: u64,
) -> Vec<FlowReport> {
    assert!(controls.len() <= 100, "each flow has a port of its own");
    let mut hall = Hall::new(line, controls, warm_up, seed);
    hall.run_until(at(lasting));
    let seconds = (lasting - warm_up).as_secs_f64();
    hall.flows.into_iter().map(|flow| flow.report(seconds)).collect()
}

impl<'a> Hall<'a> {
    fn new(
        line: &'a Bottleneck,
        controls: &[CongestionAlgorithm],
        warm_up: Duration,
        seed: u64,
    ) -> Self {
        let seed = Seed::from_number(seed);
        let dice = seed.stream("line").next_u64();
        let nothing = PathLaws::calm(Duration::ZERO);
        let mut internet = Internet::new(dice, nothing, StreamLaws::CALM);
        let hosts = [0, 1].map(|side| internet.add_host(address(side, 0)));
        for (from, to) in [(0, 1), (1, 0)] {
            internet.topology_mut().set_path(hosts[from], hosts[to], line.laws());
        }
        let mut flows = Vec::new();
        for (nth, control) in (0_u8..).zip(controls) {
            let ends = [0_u8, 1].map(|side| {
                let addr = address(side, nth);
                internet.kernel_mut(hosts[usize::from(side)]).bind(addr.port());
                let rng = seed.stream(&format!("flow {nth} side {side}"));
                let config = EndpointConfig {
                    congestion: *control,
                    queue_bytes: 8 << 20,
                    ..EndpointConfig::new(NetworkId::from_name("bottleneck"))
                };
                let me = Arc::new(Identity::from_seed([2 * nth + side + 1; 32]));
                FlowEnd { endpoint: Endpoint::new(config, me, 1, rng), addr, talk: None }
            });
            let (congestion, waits) = ("none", Vec::new());
            flows.push(Flow { ends, congestion, datagram: 0, read: 0, sent: 0, waits });
        }
        let measures_from = at(warm_up);
        let (now, buf) = (Instant::ORIGIN, Vec::new());
        Self { line, now, internet, flows, measures_from, buf }
    }

    fn clock(&self) -> Now {
        Now { mono: self.now, wall: WallTime::from_unix_micros(self.now.as_micros()) }
    }

    fn run_until(&mut self, until: Instant) {
        let now = self.clock();
        for flow in 0..self.flows.len() {
            let to = self.flows[flow].ends[1].addr;
            let dialled = self.flows[flow].ends[0].endpoint.connect(now, to, Expect::Anyone, None);
            dialled.expect("an endpoint dials one address");
            self.pump(flow, 0);
        }
        loop {
            let ends = self.flows.iter().flat_map(|flow| &flow.ends);
            let wakes = ends.filter_map(|end| end.endpoint.poll_timeout()).min();
            let arrives = self.internet.next_event_time().map(at);
            let Some(next) = wakes.into_iter().chain(arrives).min() else { return };
            if next >= until {
                return;
            }
            self.now = self.now.max(next);
            while let Some(delivery) = self.internet.poll(since_beginning(self.now)) {
                self.arrive(delivery.event);
            }
            self.wake();
        }
    }

    fn wake(&mut self) {
        let now = self.clock();
        for flow in 0..self.flows.len() {
            for side in [0, 1] {
                let endpoint = &mut self.flows[flow].ends[side].endpoint;
                if endpoint.poll_timeout().is_some_and(|due| due <= now.mono) {
                    endpoint.handle_timeout(now);
                    self.pump(flow, side);
                }
            }
        }
    }

    fn arrive(&mut self, event: Event<Stamped>) {
        let Event::Datagram { from, to, payload } = event else { return };
        let is_there = |flow: &Flow| flow.ends.iter().position(|end| end.addr == to);
        let Some((flow, side)) =
            self.flows.iter().enumerate().find_map(|(n, flow)| Some((n, is_there(flow)?)))
        else {
            return;
        };
        let took = self.now.since(payload.sent_at).saturating_sub(self.line.round_trip / 2);
        if side == 1 && payload.sent_at >= self.measures_from {
            self.flows[flow].waits.push(micros(took));
        }
        let now = self.clock();
        let endpoint = &mut self.flows[flow].ends[side].endpoint;
        endpoint.handle_datagrams(now, from, payload.datagram.len(), &payload.datagram);
        self.pump(flow, side);
    }

    fn pump(&mut self, flow: usize, side: usize) {
        loop {
            let mut idle = true;
            while let Some(event) = self.flows[flow].ends[side].endpoint.poll_event() {
                self.hear(flow, side, &event);
                idle = false;
            }
            idle &= !self.transmit(flow, side);
            if idle {
                return;
            }
        }
    }

    fn transmit(&mut self, flow: usize, side: usize) -> bool {
        let (now, mut any) = (self.clock(), false);
        let Self { flows, internet, buf, measures_from, .. } = self;
        let Flow { ends, sent, .. } = &mut flows[flow];
        let end = &mut ends[side];
        while let Some(batch) = end.endpoint.poll_transmit(now, SEGMENTS, buf) {
            any = true;
            for datagram in buf.chunks(batch.segment_size.max(1)) {
                if side == 0 && now.mono >= *measures_from {
                    *sent += 1;
                }
                let packet = Stamped { datagram: datagram.to_vec(), sent_at: now.mono };
                let time = since_beginning(now.mono);
                // Whether it is lost, nobody hears.
                let _ = internet.send(time, end.addr, batch.to, packet, DEFAULT_TTL);
            }
        }
        any
    }

    fn hear(&mut self, flow: usize, side: usize, event: &EndpointEvent) {
        let (now, measures) = (self.clock(), self.now >= self.measures_from);
        let Flow { ends, read, .. } = &mut self.flows[flow];
        let FlowEnd { endpoint, talk, .. } = &mut ends[side];
        match event {
            EndpointEvent::Connected { connection, .. } => {
                let stream = endpoint.open_stream(now, *connection, 8).ok();
                *talk = Some((*connection, stream));
            }
            EndpointEvent::Accepted { connection, .. } => *talk = Some((*connection, None)),
            EndpointEvent::StreamReadable { connection, stream } => {
                while let Ok(Some(bytes)) =
                    endpoint.read_stream(now, *connection, *stream, CHUNK.len())
                {
                    if bytes.is_empty() {
                        break;
                    }
                    if measures {
                        *read += u64::try_from(bytes.len()).unwrap_or(0);
                    }
                }
            }
            _ => {}
        }
        if let Some((connection, Some(stream))) = *talk {
            while endpoint.write_stream(now, connection, stream, &CHUNK).is_ok_and(|n| n > 0) {}
        }
    }
}

impl Flow {
    #[allow(clippy::cast_precision_loss)]
    fn report(mut self, seconds: f64) -> FlowReport {
        let sender = &self.ends[0];
        if let Some(view) = sender.talk.and_then(|(talk, _)| sender.endpoint.view(talk)) {
            (self.congestion, self.datagram) = (view.congestion, view.datagram_size);
        }
        let payload = self.datagram.saturating_sub(OVERHEAD).max(1);
        self.waits.sort_unstable();
        let count = self.waits.len().max(1);
        let p95 = self.waits.get(count * 19 / 20).copied().unwrap_or(0);
        let counters = sender.endpoint.counters();
        FlowReport {
            congestion: self.congestion,
            goodput: self.read as f64 * 8.0 / seconds,
            sent_per_needed: self.sent as f64 * payload as f64 / self.read.max(1) as f64,
            lost: counters.packets_lost,
            spurious: counters.spurious_losses,
            waited_ms: self.waits.iter().sum::<u64>() as f64 / count as f64 / 1_000.0,
            waited_p95_ms: p95 as f64 / 1_000.0,
        }
    }
}

/// The address of the `nth` flow's end on a side.
fn address(side: u8, nth: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, side + 1], 9_000 + u16::from(nth)))
}
