//! Somebody with a valid identity, one after the other, says whatever there is to say: well-formed,
//! mutated, and noise; in his own name and in those of others.

use std::{net::SocketAddr, num::NonZeroU16};

use bytes::Bytes;
use positron_proto::{
    direct::DirectMessage,
    gossip::GossipMessage,
    handshake::{Expect, link_public_key},
    id::NodeId,
    identity::{Identity, Signature, Signed},
    limits::{
        LARGE_GOSSIP, MAX_BOOK, MAX_HALF_OPEN, MAX_OBSERVED, MAX_PAYLOAD, RELAY_PIECE, SKETCH_PIECE,
    },
    nat::{NatMessage, Offer, ProbeStep, StrangerProbe},
    node::{Command, Event, HandedOver, Message},
    peers::PeersMessage,
    recommendation::RecommendationMessage,
    reconciliation::{Code, Sketch},
    relay::{RelayLabel, RelayMessage, RelayRefusal},
    rng::Rng,
    session::sessions::{DialRequest, Effort, Purpose},
    stun::TransactionId,
    time::{Duration, WallTime},
    wire::{
        Address,
        frame::Lane,
        holdings::{Holdings, Ranges},
        message::{AppMessage, Audience},
        record::{CarrierParameter, PeerRecord},
    },
    words::Recommendation,
};

use crate::rig::{Rig, address, identity, network};

/// Identities that the hostile peer uses up.
const LIVES: usize = 40;
/// How often one identity speaks, up to eight messages at a time.
const DEEDS: usize = 30;
const HONEST: usize = 0;
const WITNESS: usize = 1;

/// One identity of the hostile peer.
struct Hostile {
    host: usize,
    me: std::sync::Arc<Identity>,
    sequence: u64,
}

/// A number as an attacker likes it.
/// One that both ends may have, now and then.
fn code(rng: &mut Rng) -> Code {
    Code::of(&[7; 16], &rng.below(40).to_be_bytes())
}

fn number(rng: &mut Rng) -> u64 {
    let edge = [0, 1, 63, 64, 1 << 14, 1 << 30, (1 << 61) - 1, 1 << 61, (1 << 62) - 1];
    if rng.chance(0.5) { rng.below(20) } else { edge[rng.index(edge.len())] }
}

/// One of those who have names, or nobody.
fn somebody(rng: &mut Rng, names: &[NodeId]) -> NodeId {
    let nobody = NodeId::from_bytes(rng.bytes());
    rng.choose(names).copied().filter(|_| rng.chance(0.3)).unwrap_or(nobody)
}

fn holdings(rng: &mut Rng, names: &[NodeId]) -> Holdings {
    let mut holdings = Holdings::new();
    for _ in 0..[0, 1, 3, 200][rng.index(4)] {
        let sender = somebody(rng, names);
        let mut ranges = Ranges::new();
        for _ in 0..1 + rng.index(20) {
            let (a, b) = (number(rng), number(rng));
            ranges.insert_range(a.min(b)..=a.max(b));
        }
        holdings.insert_ranges(sender, ranges);
    }
    holdings
}

impl Hostile {
    /// Signed by himself, or by nobody in the name of the witness.
    fn message(&mut self, rng: &mut Rng, audience: Audience) -> Signed<AppMessage> {
        self.sequence += 1;
        let size = [0, 5, 200, 20_000, 20_000, MAX_PAYLOAD][rng.index(6)];
        let mut message = AppMessage {
            sender: *self.me.public_key(),
            audience,
            // Now and then two contents under one number, or a leap.
            sequence: if rng.chance(0.5) { self.sequence } else { number(rng) },
            timestamp: WallTime::from_unix_micros(rng.next_u64()),
            payload: vec![rng.bytes::<1>()[0]; size].into(),
        };
        if rng.chance(0.1) {
            message.sender = *identity(WITNESS).public_key();
            return Signed::new(message, Signature::from_bytes(rng.bytes()));
        }
        self.me.sign(message, &network()).claim().clone()
    }

    fn record(&self, rng: &mut Rng, me: &Identity) -> Signed<PeerRecord> {
        let mut addresses = vec![address(self.host).into()];
        for _ in 0..rng.index(8) {
            addresses.push(match rng.bytes::<5>() {
                [a, b, c, d, 0..128] => SocketAddr::from(([a, b, c, d], 80)).into(),
                [kind, body @ ..] => Address::new(kind | 8, &body).expect("of no known kind"),
            });
        }
        let record = PeerRecord {
            key: *me.public_key(),
            sequence: if rng.chance(0.5) { rng.next_u64() } else { u64::MAX },
            noise_static: if rng.chance(0.9) { link_public_key(me) } else { rng.bytes() },
            capabilities: u32::MAX,
            addresses,
            carriers: vec![
                CarrierParameter::new(rng.bytes::<1>()[0], &rng.bytes::<96>())
                    .expect("short enough"),
            ],
            software: "hostile".into(),
        };
        me.sign(record, &network()).claim().clone()
    }

    fn records(&self, rng: &mut Rng) -> Vec<Signed<PeerRecord>> {
        let count = [0, 1, 3, 32][rng.index(4)];
        (0..count)
            .map(|_| {
                let somebody = Identity::from_seed(rng.bytes());
                self.record(rng, &somebody)
            })
            .collect()
    }

    fn body(&mut self, rng: &mut Rng, names: &[NodeId]) -> (Lane, Bytes) {
        let to = names[HONEST];
        let message: Message = match rng.index(22) {
            0 => PeersMessage::Hello {
                answer: rng.chance(0.5),
                record: self.record(rng, &self.me),
                observed: SocketAddr::from((rng.bytes::<4>(), 4000)).into(),
                peers: self.records(rng),
            }
            .into(),
            1 => PeersMessage::Heartbeat(u32::MAX).into(),
            2 => PeersMessage::Discovery(255).into(),
            3 => PeersMessage::Announcement(self.records(rng)).into(),
            4 => {
                let message = self.message(rng, Audience::Everyone);
                GossipMessage::Gossip(rng.bytes::<1>()[0], message).into()
            }
            5 => DirectMessage::CustomData(self.message(rng, Audience::Node(to))).into(),
            6 => GossipMessage::IHave(holdings(rng, names)).into(),
            7 => GossipMessage::IWant(holdings(rng, names)).into(),
            8 => GossipMessage::Offer(holdings(rng, names)).into(),
            9 => GossipMessage::Receipt(holdings(rng, names)).into(),
            10 => {
                let (sender, sequence) = (somebody(rng, names), number(rng));
                let bytes = LARGE_GOSSIP << rng.index(7);
                GossipMessage::Large { sender, sequence, bytes }.into()
            }
            11 => {
                let at = SocketAddr::from((rng.bytes::<4>(), 4000));
                PeersMessage::ObservedAddress(at.into()).into()
            }
            12 => GossipMessage::Graft.into(),
            13 => GossipMessage::Prune.into(),
            14 => {
                let codes: Vec<Code> = (0..rng.index(60)).map(|_| code(rng)).collect();
                let sketch = Sketch::new(codes, SKETCH_PIECE);
                let (elements, length) = (sketch.elements(), 1 << rng.index(11));
                let symbols = sketch.symbols().to_vec();
                GossipMessage::Sketch { elements, length, first: 0, symbols }.into()
            }
            15 => GossipMessage::More { first: SKETCH_PIECE * rng.index(4) }.into(),
            16 => GossipMessage::Lacking((0..rng.index(60)).map(|_| code(rng)).collect()).into(),
            17 => GossipMessage::Announce(rng.index(2) == 0).into(),
            18 => recommendation(rng, names).into(),
            19 => relayed(rng, names).into(),
            20 => direct_path(rng).into(),
            _ => {
                let (key, sum) = ([7; 16], rng.bytes());
                GossipMessage::Digest { key, count: rng.below(20), sum }.into()
            }
        };
        let lane = *rng.choose(&Lane::KNOWN).unwrap();
        let mut body = message.encode().to_vec();
        // Most of it is well-formed: what is not ends the session at once.
        match rng.index(60) {
            0 => body.truncate(rng.index(body.len())),
            1 => {
                let at = rng.index(body.len().min(300));
                body[at] ^= 1 << rng.index(8);
            }
            2 => body.extend(rng.bytes::<9>()),
            3 => body = (0..rng.index(500)).map(|_| rng.bytes::<1>()[0]).collect(),
            4 => body = [&[rng.bytes::<1>()[0]][..], &rng.bytes::<40>()].concat(),
            _ => {}
        }
        (lane, body.into())
    }
}

/// Asks to be forwarded, claims to forward, and says something of streams that there may be.
fn relayed(rng: &mut Rng, names: &[NodeId]) -> RelayMessage {
    let (number, peer) = (rng.below(6), somebody(rng, names));
    let label = RelayLabel { number, by_relay: rng.chance(0.5) };
    match rng.index(6) {
        0 => RelayMessage::Open { tag: number, peer },
        1 => {
            let asked = rng.chance(0.5).then(|| rng.below(6));
            RelayMessage::Opened { number, peer, asked, one_site: rng.chance(0.5) }
        }
        2 => RelayMessage::Data { label, bytes: vec![7; 1 + rng.index(RELAY_PIECE)].into() },
        3 => RelayMessage::Credit { label, limit: number << rng.index(56) },
        4 => RelayMessage::Close(label),
        _ => RelayMessage::Refused { tag: number, peer, why: RelayRefusal::Full },
    }
}

/// Wants to be met at addresses of others.
fn direct_path(rng: &mut Rng) -> NatMessage {
    let nonce = rng.below(3);
    let address = |rng: &mut Rng| SocketAddr::from((rng.bytes::<4>(), 4000)).into();
    let candidates = (0..rng.index(9)).map(|_| address(rng)).collect();
    let (port_varies, searches) = (rng.chance(0.5), rng.chance(0.5));
    let offer = Offer { nonce, port_varies, searches, candidates };
    let id = TransactionId(rng.bytes());
    let port = NonZeroU16::new(u16::from_be_bytes(rng.bytes()));
    match rng.index(10) {
        0 => NatMessage::Connect(offer.clone()),
        1 => NatMessage::Answer(offer),
        2 => NatMessage::Probe(StrangerProbe { id, step: ProbeStep::Ask }),
        3 => NatMessage::Probe(StrangerProbe { id, step: ProbeStep::Send(address(rng)) }),
        4 => NatMessage::Probe(StrangerProbe { id, step: ProbeStep::Asked(address(rng)) }),
        5 => NatMessage::Probe(StrangerProbe { id, step: ProbeStep::Nobody }),
        6 => NatMessage::Probe(StrangerProbe { id, step: ProbeStep::OtherPort(port) }),
        7 => NatMessage::Probe(StrangerProbe {
            id,
            step: ProbeStep::AskAt(port.unwrap_or(NonZeroU16::MIN)),
        }),
        8 => NatMessage::Probe(StrangerProbe { id, step: ProbeStep::Sent }),
        _ => NatMessage::Sync(nonce),
    }
}

fn recommendation(rng: &mut Rng, names: &[NodeId]) -> RecommendationMessage {
    let most = rng.bytes::<1>()[0];
    let mut recommended: Vec<Recommendation> = (0..rng.index(33))
        .map(|_| Recommendation { node: somebody(rng, names), strength: u16::from(most) << 8 })
        .collect();
    recommended.sort_unstable_by_key(|word| word.node);
    recommended.dedup_by_key(|word| word.node);
    match rng.index(3) {
        0 => RecommendationMessage::Update(recommended),
        1 => RecommendationMessage::Response(recommended),
        _ => RecommendationMessage::Request(most),
    }
}

/// The hostile peer comes in under a new name and speaks, and comes again when it is thrown out.
fn live(rig: &mut Rig, life: usize) -> Hostile {
    let me = identity(1000 + life);
    let host = rig.add_raw(me.clone(), u64::try_from(life).unwrap());
    let mut hostile = Hostile { host, me, sequence: 0 };
    let names = [rig.core(HONEST).id(), rig.core(WITNESS).id(), hostile.me.node_id()];
    let noise_static = Some(link_public_key(&identity(HONEST)));
    let (expect, purpose) = (Expect::Node(names[HONEST]), Purpose::Connect);
    let dial =
        DialRequest { to: address(HONEST), expect, noise_static, purpose, effort: Effort::Full };
    for _ in 0..DEEDS {
        if rig.hosts[host].up.is_empty() {
            rig.with_raw(host, |sessions, now, out| sessions.dial(now, dial, out));
            rig.run();
        }
        let mut rng = rig.rng.clone();
        for _ in 0..1 + rng.index(8) {
            let (lane, body) = hostile.body(&mut rng, &names);
            let to = names[HONEST];
            // Neither a full queue nor a closed door is a reason to stop.
            let _full = rig.with_raw(host, |sessions, now, out| {
                sessions.send(now, to, lane, body.into(), None, out)
            });
        }
        rig.rng = rng;
        rig.run();
        let by = rig.rng.duration(Duration::ZERO..=Duration::from_millis(200));
        rig.tick(by);
    }
    rig.run();
    hostile
}

fn check_bounds(rig: &mut Rig, life: usize) {
    let now = rig.now;
    let core = rig.core(HONEST);
    assert!(core.half_open() <= MAX_HALF_OPEN, "life {life}");
    assert!(core.trust().standings().len() <= MAX_OBSERVED, "life {life}");
    let view = core.view(now);
    assert!(view.known_peers <= MAX_BOOK, "life {life}");
    assert!(view.kept.0 <= 200, "life {life}: {} messages", view.kept.0);
    assert!(view.peers.len() <= 16, "life {life}");
    for n in [HONEST, WITNESS] {
        for event in rig.hosts[n].events.drain(..) {
            let Event::Message(HandedOver { sender, .. }) = event else { continue };
            let honest = [HONEST, WITNESS].map(|n| identity(n).node_id());
            assert!(!honest.contains(&sender), "life {life}: forged");
        }
    }
}

#[test]
fn whatever_authenticated_peers_say_nothing_panics_and_honest_nodes_stay_together() {
    let mut rig = Rig::new(1);
    rig.run();
    let honest = [rig.core(HONEST).id(), rig.core(WITNESS).id()];
    let mut banned = 0;
    for life in 0..LIVES {
        let hostile = live(&mut rig, life);
        let (now, id) = (rig.now, hostile.me.node_id());
        banned += usize::from(rig.core(HONEST).trust().standings().is_banned(&id, now.wall));
        check_bounds(&mut rig, life);
        for (n, other) in [(HONEST, honest[WITNESS]), (WITNESS, honest[HONEST])] {
            let standings = rig.core(n).trust().standings();
            assert!(
                !standings.is_banned(&other, now.wall),
                "life {life}: an honest node is banned"
            );
        }
        // It leaves; what it left unfinished times out.
        for wire in 0..rig.wires.len() {
            if rig.wires[wire].is_of(hostile.host) {
                rig.cut(wire);
            }
        }
    }
    assert!(banned > LIVES * 3 / 4, "{banned} of {LIVES} were banned");
    rig.tick(Duration::from_secs(1));
    rig.run();
    assert!(rig.are_linked(HONEST, WITNESS));
    rig.command(HONEST, Command::Broadcast { payload: "still here".into() });
    rig.run();
    let heard = |event: &Event| match event {
        Event::Message(HandedOver { payload, .. }) => payload == "still here",
        _ => false,
    };
    assert!(rig.hosts[WITNESS].events.iter().any(heard));
}
