//! A third kind of link, and stories of a session over all three: what a foreign stream that proves
//! by itself who is at its other end has to bring.

use super::*;
use crate::{
    datagram::contract::WireBytes,
    handshake::{Direction, RemoteNode},
    limits::{MAX_PAYLOAD, MAX_RECORD},
    session::{
        carrier::{Carrier, CarrierEvent, CarrierOrder, Draft, LinkEnding, LinkNames, Traffic},
        fault::LinkFault,
        sessions::{LinkKind, Reading},
        stage::Stage,
    },
};

/// A stream by the address that dialled it and its name there.
type Stream = (SocketAddr, LinkId);

/// What its ends say to each other.
#[derive(Clone, Debug)]
enum Said {
    Hello(RemoteNode),
    Welcome(RemoteNode),
    Message(Bytes),
    Goodbye(CloseReason),
    Reset,
}

/// Something under way.
#[derive(Debug)]
pub(super) struct Carried {
    pub(super) to: SocketAddr,
    stream: Stream,
    said: Said,
}

/// Links over streams whose other end is believed by what it says of itself.
#[derive(Debug, Default)]
pub(in crate::session) struct Foreign {
    /// Who we are and where.
    pub(super) me: Option<RemoteNode>,
    links: BTreeMap<LinkId, (Stream, SocketAddr, Option<Instant>)>,
    events: VecDeque<CarrierEvent>,
    arrived: VecDeque<(Instant, Carried)>,
    pub(super) under_way: VecDeque<Carried>,
    traffic: Traffic,
}

impl Foreign {
    fn tell(&mut self, link: LinkId, said: Said) {
        let Some((stream, to, _)) = self.links.get(&link) else { return };
        self.under_way.push_back(Carried { to: *to, stream: *stream, said });
    }

    pub(super) fn handle_carried(&mut self, now: Now, carried: Carried) {
        self.arrived.push_back((now.mono, carried));
    }

    fn arrive(&mut self, now: Instant, carried: Carried, names: &mut LinkNames) {
        let Carried { stream, said, .. } = carried;
        let known = self.links.iter().find(|(_, (known, ..))| *known == stream);
        let link = known.map_or_else(|| names.next(), |(link, _)| *link);
        if let Said::Hello(remote) = said {
            self.links.insert(link, (stream, remote.addr, Some(now)));
            self.tell(link, Said::Welcome(self.me.unwrap()));
            let remote = RemoteNode { direction: Direction::Inbound, ..remote };
            return self.events.push_back(CarrierEvent::Authenticated { link, remote });
        }
        let Some((_, _, heard)) = self.links.get_mut(&link) else { return };
        *heard = Some(now);
        let down = |why| CarrierEvent::Closed { link, why };
        self.events.push_back(match said {
            Said::Hello(_) => unreachable!("dealt with above"),
            Said::Welcome(remote) => CarrierEvent::Authenticated { link, remote },
            Said::Message(body) => {
                self.traffic.messages_received += 1;
                CarrierEvent::Message { link, lane: Lane::CONTROL, body }
            }
            Said::Goodbye(reason) => CarrierEvent::Failed { link, why: LinkFault::Closed(reason) },
            Said::Reset => {
                self.links.remove(&link);
                down(LinkDown::Reset)
            }
        });
    }
}

impl Carrier for Foreign {
    fn connect(&mut self, _now: Now, link: LinkId, dial: &DialRequest) -> Result<(), DialFailure> {
        let me = self.me.ok_or(DialFailure::Link(LinkDown::Refused))?;
        self.links.insert(link, ((me.addr, link), dial.to, None));
        self.tell(link, Said::Hello(me));
        Ok(())
    }

    fn order(&self) -> CarrierOrder {
        CarrierOrder::OfLinks
    }

    fn largest_message(&self, _link: LinkId) -> usize {
        4 * MAX_RECORD
    }

    fn has_room(&mut self, _link: LinkId, _lane: Lane) -> bool {
        true
    }

    fn begin(&mut self, _link: LinkId) -> Draft {
        Draft::default()
    }

    fn send(&mut self, _now: Now, link: LinkId, _lane: Lane, message: Draft) {
        if !message.is_empty() {
            assert!(message.len() <= 4 * MAX_RECORD, "{}", message.len());
            self.traffic.messages_sent += 1;
            self.tell(link, Said::Message(message.bytes.into()));
        }
    }

    fn set_reading(&mut self, _now: Now, _link: LinkId, _reading: Reading) {}

    fn end(&mut self, _now: Now, link: LinkId, how: LinkEnding, reason: CloseReason) {
        if how != LinkEnding::Reset {
            self.tell(link, Said::Goodbye(reason));
        }
        self.tell(link, Said::Reset);
        if self.links.remove(&link).is_some() {
            self.events.push_back(CarrierEvent::Closed { link, why: LinkDown::HungUp });
        }
    }

    fn heard(&self, link: LinkId) -> Option<Instant> {
        self.links.get(&link)?.2
    }

    fn taken(&self, _link: LinkId) -> u64 {
        self.traffic.messages_sent
    }

    fn wire_bytes(&self, _link: LinkId) -> WireBytes {
        WireBytes::default()
    }

    fn poll_event(&mut self, _now: Now, names: &mut LinkNames) -> Option<CarrierEvent> {
        while let Some((at, carried)) = self.arrived.pop_front() {
            self.arrive(at, carried, names);
        }
        self.events.pop_front()
    }

    fn traffic(&self) -> Traffic {
        self.traffic
    }
}

/// Two nodes that may use every kind of link; the first has dialled the second.
fn world(blocked: &[LinkKind], lasting: Duration) -> World {
    let transports = LinkKinds::of(&[LinkKind::Udp, LinkKind::Tcp, LinkKind::Foreign]);
    let mut world = World::with_configs(vec![SessionConfig { transports, ..config() }; 2]);
    for node in &mut world.nodes {
        let boot = node.sessions.carriers_mut().streams.local_mut().boot;
        let key = *node.sessions.carriers_mut().streams.local_mut().me.public_key();
        let (id, noise_static, addr) = (node.id, node.noise_static, node.addr);
        let direction = Direction::Outbound;
        let me = RemoteNode { id, key, noise_static, boot, addr, direction };
        node.sessions.carriers_mut().foreign.me = Some(me);
    }
    world.block(blocked);
    let to_second = world.known(1);
    world.dial(0, to_second);
    world.advance(lasting);
    world
}

fn kinds(world: &World) -> [Option<LinkKind>; 2] {
    [0, 1].map(|n| world.nodes[n].sessions.views().next().map(|view| view.transport))
}

/// Links that are not about to be forgotten. A stream that a firewall swallows has no end.
fn links(world: &World, n: usize) -> usize {
    let stages = world.nodes[n].sessions.links.table.stages();
    stages.filter(|(_, stage)| !matches!(stage, Stage::Closing)).count()
}

#[test]
fn a_third_kind_has_its_turn_after_the_second() {
    let mut blocked = world(&[LinkKind::Udp, LinkKind::Tcp], millis(490));
    assert_eq!(kinds(&blocked), [None; 2], "not before its head start");
    blocked.advance(millis(20));
    assert_eq!(kinds(&blocked), [Some(LinkKind::Foreign); 2]);
    assert_eq!(
        blocked.outcomes(0),
        [DialOutcome::Connected(blocked.nodes[1].id, LinkKind::Foreign)]
    );
    assert_eq!(kinds(&world(&[], secs(2))), [Some(LinkKind::Udp); 2]);
    assert_eq!(kinds(&world(&[LinkKind::Udp], millis(499))), [Some(LinkKind::Tcp); 2]);
}

#[test]
fn a_session_runs_over_a_third_kind_from_first_to_last() {
    let mut world = world(&[LinkKind::Udp, LinkKind::Tcp], secs(1));
    let large = Bytes::from(vec![7; MAX_PAYLOAD]);
    for n in 0..20_u8 {
        world.send(0, 1, Lane::GOSSIP, vec![n; 3000]);
        world.send(1, 0, Lane::CONTROL, vec![n]);
    }
    world.send_ticket(0, 1, large.clone(), 1);
    world.advance(millis(100));
    assert_eq!((world.heard(1).len(), world.heard(0).len()), (21, 20));
    assert_eq!(world.heard(1).last(), Some(&large), "cut, since it is above the largest message");
    assert_eq!(world.count(0, |out| *out == SessionEffect::Delivered { ticket: Ticket(1) }), 1);
    world.close(0, 1, CloseReason::Pruned);
    world.advance(millis(100));
    assert_eq!(world.downs(1), [DownReason::ByPeer(CloseReason::Pruned)]);
    assert_eq!([0, 1].map(|n| links(&world, n)), [0; 2]);
}

#[test]
fn a_session_moves_down_to_a_third_kind_and_back_up() {
    let mut world = world(&[LinkKind::Tcp], secs(1));
    assert_eq!(kinds(&world), [Some(LinkKind::Udp); 2]);
    world.block(&[LinkKind::Udp, LinkKind::Tcp]);
    for n in 0..30_u8 {
        world.send(0, 1, Lane::GOSSIP, vec![n]);
        world.send(1, 0, Lane::GOSSIP, vec![n]);
        world.advance(millis(100));
    }
    assert_eq!(kinds(&world), [Some(LinkKind::Foreign); 2]);
    world.block(&[LinkKind::Udp]);
    world.advance(secs(10));
    assert_eq!(kinds(&world), [Some(LinkKind::Tcp); 2], "the next better one that gets through");
    world.block(&[]);
    world.advance(secs(130));
    assert_eq!(kinds(&world), [Some(LinkKind::Udp); 2]);
    for n in [0, 1] {
        let heard: Vec<u8> = world.heard(n).iter().map(|body| body[0]).collect();
        assert_eq!(heard, (0..30).collect::<Vec<_>>(), "nothing lost, doubled or out of order");
        assert_eq!((world.ups(n), world.downs(n)), (1, vec![]));
        assert_eq!(links(&world, n), 1);
    }
    let moves = world.nodes[0].sessions.moves();
    let moves = [LinkKind::Udp, LinkKind::Tcp, LinkKind::Foreign].map(|kind| moves[kind]);
    assert_eq!(moves, [1, 1, 1]);
}
