//! Any value that the wire can carry.

use std::{
    net::{IpAddr, SocketAddr},
    num::NonZeroU16,
};

use bytes::Bytes;
use positron_proto::{
    dht::{
        Contact, DhtAnswer, DhtAsk, DhtMessage, DhtQuery, DhtRecord, Found, LivingRecord, NameHash,
        Place, RecordHead, RecordKind, StoreOutcome,
    },
    direct::DirectMessage,
    gossip::{GossipMessage, SHAPES},
    id::{MessageId, NodeId},
    identity::{PublicKey, Signature, Signed},
    limits::{
        LARGE_GOSSIP, MAX_ADDRESSES, MAX_CANDIDATES, MAX_CARRIERS, MAX_NUMBER, MAX_PAYLOAD,
        MAX_RECOMMENDED, MAX_TRACE_DEPTH, MAX_TRACE_SAMPLE, MAX_TTL, SKETCH_PIECE, SKETCH_SYMBOLS,
    },
    nat::{NatMessage, Offer, ProbeStep, StrangerProbe},
    node::Message,
    peers::PeersMessage,
    recommendation::RecommendationMessage,
    reconciliation::{Code, Sketch},
    relay::{RelayLabel, RelayMessage, RelayRefusal},
    request::{RequestMessage, Status},
    stun::TransactionId,
    substream::{Label, SubstreamEnd, SubstreamMessage},
    succession::{Succession, SuccessionMessage},
    time::WallTime,
    trace::{
        NodePrefix, SampledNode, SlowestHop, TraceAnswer, TraceMessage, TraceOrder, TraceSum,
        TraceTag,
    },
    wire::{
        Address, Reader,
        frame::{CloseReason, Frame, Lane},
        holdings::Holdings,
        message::{AppMessage, Audience},
        record::{CarrierParameter, PeerRecord},
    },
    words::Recommendation,
};
use proptest::prelude::*;

use crate::{RECEIVER, key};

pub(crate) fn any_bytes(len: core::ops::Range<usize>) -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), len).prop_map(Bytes::from)
}

pub(crate) fn below_2_62() -> impl Strategy<Value = u64> {
    // All magnitudes alike, so that each length of a varint occurs.
    (0..62_u32, any::<u64>()).prop_map(|(bits, n)| n >> 2 >> bits)
}

pub(crate) fn any_lane() -> impl Strategy<Value = Lane> {
    (0_u8..16).prop_map(|number| Lane::from_number(number).unwrap())
}

fn any_key() -> impl Strategy<Value = PublicKey> {
    any::<u8>().prop_map(key)
}

fn any_signature() -> impl Strategy<Value = Signature> {
    prop::array::uniform32(any::<u8>()).prop_map(|half| {
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&half);
        bytes[32..].copy_from_slice(&half);
        Signature::from_bytes(bytes)
    })
}

fn any_text(most: usize) -> impl Strategy<Value = String> {
    prop::collection::vec(b' '..=b'~', 0..=most)
        .prop_map(|text| text.into_iter().map(char::from).collect())
}

fn any_addr() -> impl Strategy<Value = SocketAddr> {
    let ip = prop_oneof![
        any::<[u8; 4]>().prop_map(IpAddr::from),
        any::<[u8; 16]>().prop_map(|ip| IpAddr::from(ip).to_canonical()),
    ];
    (ip, any::<u16>()).prop_map(|(ip, port)| SocketAddr::new(ip, port))
}

/// Of a kind that is known, or of one that may come later.
fn any_address() -> impl Strategy<Value = Address> {
    let known = any_addr().prop_map(Address::from);
    let later = (any::<u8>(), any_bytes(0..40)).prop_filter_map("known", |(kind, body)| {
        Address::new(kind, &body).ok().filter(|address| address.socket_addr().is_none())
    });
    prop_oneof![known, later]
}

fn any_carrier() -> impl Strategy<Value = CarrierParameter> {
    (any::<u8>(), any_bytes(0..40))
        .prop_map(|(kind, body)| CarrierParameter::new(kind, &body).expect("short enough"))
}

fn any_record() -> impl Strategy<Value = Signed<PeerRecord>> {
    (
        (any_key(), any::<u64>(), prop::array::uniform32(any::<u8>()), any::<u32>()),
        prop::collection::vec(any_address(), 0..=MAX_ADDRESSES),
        prop::collection::vec(any_carrier(), 0..=MAX_CARRIERS),
        any_text(64),
        any_signature(),
    )
        .prop_map(|(fixed, addresses, carriers, software, signature)| {
            let (key, sequence, noise_static, capabilities) = fixed;
            let record = PeerRecord {
                key,
                sequence,
                noise_static,
                capabilities,
                addresses,
                carriers,
                software,
            };
            Signed::new(record, signature)
        })
}

fn any_app_message(audience: Audience) -> impl Strategy<Value = Signed<AppMessage>> {
    (any_key(), below_2_62(), any::<u64>(), any_bytes(0..300), any_signature()).prop_map(
        move |(sender, sequence, time, payload, signature)| {
            let timestamp = WallTime::from_unix_micros(time);
            Signed::new(AppMessage { sender, audience, sequence, timestamp, payload }, signature)
        },
    )
}

fn any_holdings() -> impl Strategy<Value = Holdings> {
    prop::collection::vec((any::<u8>(), below_2_62()), 0..60).prop_map(|numbers| {
        let mut holdings = Holdings::new();
        for (id, number) in numbers {
            holdings.insert(NodeId::from_bytes([id % 8; 32]), number);
        }
        holdings
    })
}

pub(crate) fn any_message() -> impl Strategy<Value = Message> {
    prop_oneof![
        any_peers_message().prop_map(Message::from),
        any_gossip_message().prop_map(Message::from),
        any_app_message(Audience::Node(RECEIVER))
            .prop_map(|message| DirectMessage::CustomData(message).into()),
        any_substream_message().prop_map(Message::from),
        any_request_message().prop_map(Message::from),
        prop::collection::vec(any_succession(), 1..5)
            .prop_map(|told| SuccessionMessage(told).into()),
        any_recommendation_message().prop_map(Message::from),
        any_trace_message().prop_map(Message::from),
        any_dht_message().prop_map(Message::from),
        any_nat_message().prop_map(Message::from),
        any_relay_message().prop_map(Message::from),
    ]
}

fn any_nat_message() -> impl Strategy<Value = NatMessage> {
    let offer = || {
        let candidates = prop::collection::vec(any_address(), 0..=MAX_CANDIDATES);
        (any::<u64>(), any::<bool>(), any::<bool>(), candidates).prop_map(
            |(nonce, port_varies, searches, candidates)| Offer {
                nonce,
                port_varies,
                searches,
                candidates,
            },
        )
    };
    let step = prop_oneof![
        Just(ProbeStep::Ask),
        any_address().prop_map(ProbeStep::Send),
        any_address().prop_map(ProbeStep::Asked),
        Just(ProbeStep::Nobody),
        any::<NonZeroU16>().prop_map(ProbeStep::AskAt),
        any::<u16>().prop_map(|port| ProbeStep::OtherPort(NonZeroU16::new(port))),
        Just(ProbeStep::Sent),
    ];
    let probe = (any::<[u8; 12]>(), step)
        .prop_map(|(id, step)| StrangerProbe { id: TransactionId(id), step });
    prop_oneof![
        probe.prop_map(NatMessage::Probe),
        offer().prop_map(NatMessage::Connect),
        offer().prop_map(NatMessage::Answer),
        any::<u64>().prop_map(NatMessage::Sync),
    ]
}

fn any_relay_message() -> impl Strategy<Value = RelayMessage> {
    let id = || any::<[u8; 32]>().prop_map(NodeId::from_bytes);
    let number = || 0..=MAX_NUMBER;
    let label =
        || (number(), any::<bool>()).prop_map(|(number, by_relay)| RelayLabel { number, by_relay });
    let why = prop_oneof![
        Just(RelayRefusal::NotLinked),
        Just(RelayRefusal::Full),
        Just(RelayRefusal::Off),
        Just(RelayRefusal::TooOften),
        (4..=u8::MAX).prop_map(RelayRefusal::Other),
    ];
    prop_oneof![
        (number(), id()).prop_map(|(tag, peer)| RelayMessage::Open { tag, peer }),
        (number(), id(), prop::option::of(number()), any::<bool>()).prop_map(
            |(number, peer, asked, one_site)| RelayMessage::Opened {
                number,
                peer,
                asked,
                one_site
            }
        ),
        (label(), any_bytes(1..300)).prop_map(|(label, bytes)| RelayMessage::Data { label, bytes }),
        (label(), number()).prop_map(|(label, limit)| RelayMessage::Credit { label, limit }),
        label().prop_map(RelayMessage::Close),
        (number(), id(), why).prop_map(|(tag, peer, why)| RelayMessage::Refused { tag, peer, why }),
    ]
}

fn any_dht_message() -> impl Strategy<Value = DhtMessage> {
    let place = || any::<[u8; 32]>().prop_map(Place::from_bytes);
    let id = || any::<[u8; 32]>().prop_map(NodeId::from_bytes);
    let query = || {
        prop_oneof![
            place().prop_map(DhtQuery::Find),
            (place(), prop::option::of(id()), any::<bool>())
                .prop_map(|(key, publisher, values)| DhtQuery::Get { key, publisher, values }),
            any_living().prop_map(DhtQuery::Store),
            any_living().prop_map(DhtQuery::StoreOnTheWay),
        ]
    };
    let head = (id(), any::<u64>(), 0..=16_384_u32)
        .prop_map(|(publisher, sequence, len)| RecordHead { publisher, sequence, len });
    let contact = (any_key(), any::<[u8; 32]>(), any_addr())
        .prop_map(|(key, noise_static, addr)| Contact::new(key, noise_static, addr));
    let contacts = prop::collection::vec(contact, 0..=12).boxed();
    let found = (
        prop::collection::vec(any_living(), 0..3),
        prop::collection::vec(head, 0..3),
        contacts.clone(),
    )
        .prop_map(|(records, heads, contacts)| Found { records, heads, contacts });
    let answer = prop_oneof![
        found.prop_map(DhtAnswer::Found),
        Just(DhtAnswer::Stored(StoreOutcome::Kept)),
        Just(DhtAnswer::Stored(StoreOutcome::Refused)),
        contacts.prop_map(|near| DhtAnswer::StoredOnTheWay(StoreOutcome::Kept, near)),
        prop::collection::vec(id(), 0..=24).prop_map(DhtAnswer::Held),
    ];
    prop_oneof![
        (below_2_62(), any::<bool>(), query()).prop_map(|(number, serves, query)| {
            DhtMessage::Query { number, ask: DhtAsk { serves, query } }
        }),
        (below_2_62(), query()).prop_map(|(number, query)| DhtMessage::Errand { number, query }),
        (below_2_62(), answer).prop_map(|(number, answer)| DhtMessage::Answer { number, answer }),
    ]
}

fn any_living() -> impl Strategy<Value = LivingRecord> {
    let kind =
        prop_oneof![Just(RecordKind::Immutable), Just(RecordKind::Owned), Just(RecordKind::Shared)];
    let said = (any_key(), kind, below_2_62(), any::<u32>(), 60..=172_800_u32);
    let rest = (any::<bool>(), any_bytes(0..40), any_signature(), any::<u32>());
    (said, rest).prop_map(
        |((publisher, kind, sequence, created, ttl), (dead, value, signature, left))| {
            let name = NameHash::of_value(&value);
            let is_dead = dead && kind != RecordKind::Immutable;
            let value = (!is_dead).then_some(value);
            let record = DhtRecord { publisher, kind, name, sequence, created, ttl, value };
            LivingRecord { record: Signed::new(record, signature), remaining: left % (ttl + 1) }
        },
    )
}

fn any_trace_message() -> impl Strategy<Value = TraceMessage> {
    let hops = 0..=MAX_TRACE_DEPTH;
    let answer = prop_oneof![
        (any::<u32>(), any::<u32>(), any_trace_sum())
            .prop_map(|(age, held, sum)| { TraceAnswer::Sum { age, held, sum: Box::new(sum) } }),
        Just(TraceAnswer::NotYours),
        Just(TraceAnswer::Forgotten),
        Just(TraceAnswer::Busy),
    ];
    prop_oneof![
        (hops, any_key(), any::<[u8; 32]>(), any::<u64>(), any_signature()).prop_map(
            |(hops, sender, message, at, signature)| {
                let message = MessageId::from_bytes(message);
                let order = TraceOrder { sender, message, at: WallTime::from_unix_micros(at) };
                TraceMessage::Ask { hops, order: Signed::new(order, signature) }
            }
        ),
        (any::<[u8; 16]>(), answer)
            .prop_map(|(tag, answer)| TraceMessage::Answer { tag: TraceTag(tag), answer }),
    ]
}

/// One whose numbers fit each other.
fn any_trace_sum() -> impl Strategy<Value = TraceSum> {
    let three_bytes = || 0..1_u32 << 24;
    let node = (any::<[u8; 6]>(), any::<[u8; 3]>(), 0..16_u8, three_bytes(), three_bytes())
        .prop_map(|(node, parent, depth, hop, total)| {
            let (node, parent) = (NodePrefix(node), NodePrefix(parent));
            SampledNode { node, parent, depth, hop, total }
        });
    let slowest = (any::<[u8; 6]>(), any::<[u8; 6]>(), 0..16_u8, any::<u32>()).prop_map(
        |(from, to, depth, micros)| SlowestHop {
            from: NodePrefix(from),
            to: NodePrefix(to),
            depth,
            micros,
        },
    );
    let counts = (prop::array::uniform16(0..1_000_000_u32), prop::array::uniform5(0..1_u32 << 30));
    let flags = (any::<bool>(), any::<bool>(), any::<u32>(), 1..1_u32 << 30);
    let sample = prop::collection::vec(node, MAX_TRACE_SAMPLE);
    (counts, flags, prop::option::of(slowest), sample, 0..16_usize).prop_map(
        |((depths, lost), (implausible, named, longest, declined), slowest, mut sample, at)| {
            let reached = depths.iter().sum::<u32>();
            let mut holds = [0; 16];
            holds[at] = declined - 1;
            sample.truncate(usize::try_from(reached).unwrap());
            TraceSum {
                reached,
                declined,
                lost,
                depths,
                holds,
                longest,
                slowest,
                implausible,
                named,
                sample,
            }
        },
    )
}

/// Two keys, two signatures.
fn any_succession() -> impl Strategy<Value = Signed<Succession>> {
    (any_key(), any_key(), any_signature(), any_signature())
        .prop_filter("a key does not succeed itself", |(old, new, ..)| old != new)
        .prop_map(|(old, new, accepted, given)| {
            let keys = [old, new].map(|key| *key.as_bytes()).concat();
            let signatures = [accepted, given].map(|signature| *signature.as_bytes()).concat();
            let bytes = [keys, signatures].concat();
            Signed::<Succession>::decode(&mut Reader::new(bytes.into())).unwrap()
        })
}

fn any_request_message() -> impl Strategy<Value = RequestMessage> {
    let id = || 0..1_u64 << 62;
    let payload = || prop::collection::vec(any::<u8>(), 0..300);
    let status = prop_oneof![
        Just(Status::Answered),
        Just(Status::NoHandler),
        Just(Status::Busy),
        Just(Status::Failed),
        Just(Status::CutOff),
        (5..=u8::MAX).prop_map(Status::Other),
    ];
    prop_oneof![
        (id(), payload())
            .prop_map(|(id, payload)| RequestMessage::Request { id, payload: payload.into() }),
        (id(), status, payload()).prop_map(|(id, status, payload)| {
            RequestMessage::Response { id, status, payload: payload.into() }
        }),
        id().prop_map(|id| RequestMessage::Cancel { id }),
    ]
}

fn any_substream_message() -> impl Strategy<Value = SubstreamMessage> {
    let label =
        (0..=MAX_NUMBER, any::<bool>()).prop_map(|(number, by_sender)| Label { number, by_sender });
    let why = prop_oneof![
        Just(SubstreamEnd::Gone),
        Just(SubstreamEnd::Busy),
        any::<u32>().prop_map(SubstreamEnd::Application),
    ];
    let piece = (0..=MAX_NUMBER, any::<bool>(), any_bytes(0..300));
    (label, 0..=MAX_NUMBER, why, piece, 0..4).prop_map(|(label, limit, why, piece, kind)| {
        let (offset, fin, bytes) = piece;
        match kind {
            0 => SubstreamMessage::Data { label, offset, fin, bytes },
            1 => SubstreamMessage::Credit { label, limit },
            2 => SubstreamMessage::Reset { label, why },
            _ => SubstreamMessage::Stop { label, why },
        }
    })
}

fn any_peers_message() -> impl Strategy<Value = PeersMessage> {
    let records = || prop::collection::vec(any_record(), 0..5);
    prop_oneof![
        (any::<bool>(), any_record(), any_address(), records()).prop_map(
            |(answer, record, observed, peers)| {
                PeersMessage::Hello { answer, record, observed, peers }
            }
        ),
        any::<u32>().prop_map(PeersMessage::Heartbeat),
        any::<u8>().prop_map(PeersMessage::Discovery),
        records().prop_map(PeersMessage::Announcement),
        any_address().prop_map(PeersMessage::ObservedAddress),
    ]
}

fn any_gossip_message() -> impl Strategy<Value = GossipMessage> {
    prop_oneof![
        (0..=MAX_TTL, prop_oneof![Just(0), Just(SHAPES)], any_app_message(Audience::Everyone))
            .prop_map(|(ttl, shapes, message)| GossipMessage::Gossip(ttl | shapes, message)),
        Just(GossipMessage::Graft),
        Just(GossipMessage::Prune),
        any::<bool>().prop_map(GossipMessage::Announce),
        any_holdings().prop_map(GossipMessage::IHave),
        any_holdings().prop_map(GossipMessage::IWant),
        any_holdings().prop_map(GossipMessage::Offer),
        any_holdings().prop_map(GossipMessage::Receipt),
        (prop::array::uniform32(any::<u8>()), 0..1_u64 << 62, LARGE_GOSSIP..=MAX_PAYLOAD).prop_map(
            |(sender, sequence, bytes)| {
                let sender = NodeId::from_bytes(sender);
                GossipMessage::Large { sender, sequence, bytes }
            }
        ),
        (prop::array::uniform16(any::<u8>()), any::<u64>(), prop::array::uniform16(any::<u8>()))
            .prop_map(|(key, count, sum)| GossipMessage::Digest { key, count, sum }),
        any_sketch(),
        (0..=SKETCH_SYMBOLS).prop_map(|first| GossipMessage::More { first }),
        prop::collection::vec(any_code(), 0..40).prop_map(GossipMessage::Lacking),
    ]
}

fn any_code() -> impl Strategy<Value = Code> {
    any::<u64>().prop_map(|element| Code::of(&[0; 16], &element.to_be_bytes()))
}

fn any_sketch() -> impl Strategy<Value = GossipMessage> {
    let codes = prop::collection::vec(any_code(), 0..200);
    (codes, 0..100_usize, 0..=SKETCH_PIECE).prop_map(|(codes, first, count)| {
        let sketch = Sketch::new(codes, 100);
        let symbols = sketch.symbols().iter().skip(first).take(count).copied().collect();
        GossipMessage::Sketch { elements: sketch.elements(), length: 100, first, symbols }
    })
}

fn any_recommendation_message() -> impl Strategy<Value = RecommendationMessage> {
    let strengths =
        prop::collection::btree_map(any::<[u8; 32]>(), any::<u16>(), 0..=MAX_RECOMMENDED);
    (0..3, any::<u8>(), strengths).prop_map(|(kind, most, strengths)| {
        let word = |(id, strength)| Recommendation { node: NodeId::from_bytes(id), strength };
        let recommended = strengths.into_iter().map(word).collect();
        match kind {
            0 => RecommendationMessage::Update(recommended),
            1 => RecommendationMessage::Response(recommended),
            _ => RecommendationMessage::Request(most),
        }
    })
}

pub(crate) fn any_reason() -> impl Strategy<Value = CloseReason> {
    prop_oneof![
        prop::sample::select(vec![
            CloseReason::ShuttingDown,
            CloseReason::Duplicate,
            CloseReason::WrongNetwork,
            CloseReason::WrongVersion,
            CloseReason::WrongFeatures,
            CloseReason::SlotsFull,
            CloseReason::Banned,
            CloseReason::WrongNode,
            CloseReason::SelfDial,
            CloseReason::SlowReader,
            CloseReason::Timeout,
            CloseReason::Pruned,
            CloseReason::Probe,
            CloseReason::AddressFull,
            CloseReason::InboundFull,
            CloseReason::ConnectionsFull,
        ]),
        any_text(128).prop_map(CloseReason::Violation),
        any_text(128).prop_map(CloseReason::OtherProcess),
        (any::<u32>(), prop::collection::vec(any::<char>(), 0..=32)).prop_map(|(code, reason)| {
            CloseReason::Application { code, reason: reason.into_iter().collect() }
        }),
        Just(CloseReason::KeyRetired),
        Just(CloseReason::MemoryFull),
        Just(CloseReason::RecordBroken),
        (100..u16::MAX).prop_map(CloseReason::Other),
    ]
}

pub(crate) fn any_frame() -> impl Strategy<Value = Frame> {
    prop_oneof![
        any::<u64>().prop_map(|token| Frame::Ping { token }),
        any::<u64>().prop_map(|token| Frame::Pong { token }),
        (any_lane(), below_2_62(), any_bytes(0..300))
            .prop_map(|(lane, number, body)| Frame::Message { lane, number, body }),
        (any_lane(), below_2_62(), any_bytes(1..300), 0..500_000_u32, 0..500_000_u32).prop_map(
            |(lane, number, body, offset, rest)| {
                let total = offset + rest + u32::try_from(body.len()).unwrap();
                Frame::Fragment { lane, number, offset, total, body }
            }
        ),
        (any_lane(), below_2_62()).prop_map(|(lane, next)| Frame::Ack { lane, next }),
        below_2_62().prop_map(|limit| Frame::Credit { limit }),
        below_2_62().prop_map(|limit| Frame::Demand { limit }),
        any_reason().prop_map(Frame::Close),
        (0x40..=0x7F_u8).prop_map(|kind| Frame::Unknown { kind }),
    ]
}
