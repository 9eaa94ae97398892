//! What an authenticated peer says: a message of any room.

use positron_proto::{
    dht::{DhtAnswer, DhtAsk, DhtMessage, DhtQuery, LivingRecord},
    direct::DirectMessage,
    gossip::{GossipMessage, SHAPES},
    id::NodeId,
    identity::Signed,
    limits::{
        LARGE_GOSSIP, MAX_ADDRESSES, MAX_CANDIDATES, MAX_CARRIER_BODY, MAX_CARRIERS,
        MAX_CONTACTS_PER_ANSWER, MAX_FAILURE_TEXT, MAX_HOLDERS_TOLD, MAX_HOLDINGS_RANGES,
        MAX_HOLDINGS_SENDERS, MAX_NUMBER, MAX_PAYLOAD, MAX_PEER_RECORD, MAX_RECOMMENDED,
        MAX_RECORD_TTL, MAX_RECORDS_PER_MESSAGE, MAX_SKETCHED, MAX_SLOTS, MAX_SOFTWARE,
        MAX_SUCCESSIONS_PER_MESSAGE, MAX_TRACE_ANSWER, MAX_TRACE_DEPTH, MAX_TRACE_SAMPLE, MAX_TTL,
        MAX_VALUE, MIN_RECORD_TTL, RELAY_PIECE, SKETCH_PIECE, SKETCH_SYMBOLS, SUBSTREAM_PIECE,
    },
    nat::NatMessage,
    node::Message,
    peers::PeersMessage,
    recommendation::RecommendationMessage,
    relay::RelayMessage,
    request::{RequestMessage, Status},
    substream::SubstreamMessage,
    succession::{Succession, SuccessionMessage},
    trace::{TRACE_ASK, TraceAnswer, TraceMessage},
    wire::{
        holdings::Holdings,
        message::{AppMessage, GOSSIP_MESSAGE},
        record::PeerRecord,
    },
};

const RECEIVER: NodeId = NodeId::from_bytes([9; 32]);

/// A message is refused, skipped, or written back byte for byte, in bounds, and what it takes to
/// read it is in proportion to its length.
pub(crate) fn check(bytes: &[u8]) {
    let sent = bytes::Bytes::copy_from_slice(bytes);
    let mut read = Ok(None);
    let used = allocation_counter::measure(|| read = Message::decode(sent.clone(), RECEIVER));
    // The dearest are lists: 40 bytes for an address of two, a map of its own for a sender of 35;
    // each list doubles as it grows. What a count promises is bounded, and small.
    let most = 4096 + 32 * u64::try_from(bytes.len()).expect("an input is short");
    assert!(used.bytes_max <= most, "{} bytes for {}", used.bytes_max, bytes.len());
    let message = match read {
        Err(_) => return,
        Ok(None) => {
            assert!(!Message::types().any(|known| known == bytes[0]), "a known type is read");
            return;
        }
        Ok(Some(message)) => message,
    };
    assert_eq!(message.message_type(), bytes[0]);
    let mut canonical = bytes.to_vec();
    match canonical[0] {
        GOSSIP_MESSAGE => {
            canonical[1] = (canonical[1] & !SHAPES).min(MAX_TTL) | canonical[1] & SHAPES;
        }
        TRACE_ASK => canonical[1] = canonical[1].min(MAX_TRACE_DEPTH),
        _ => {}
    }
    if let Message::Nat(NatMessage::Connect(_) | NatMessage::Answer(_)) = &message {
        canonical[OFFER_FLAGS] &= KNOWN_OFFER_FLAGS;
    }
    assert_eq!(message.encode(), canonical);
    check_bounds(&message);
}

/// Where an offer has its flags: after its type and its number.
const OFFER_FLAGS: usize = 9;
/// The others are ignored.
const KNOWN_OFFER_FLAGS: u8 = 0b11;

fn check_message(message: &Signed<AppMessage>) {
    assert!(message.content().payload.len() <= MAX_PAYLOAD);
    assert!(message.content().sequence < 1 << 62);
}

fn check_gossip(message: &GossipMessage) {
    match message {
        GossipMessage::Gossip(_, message) => check_message(message),
        GossipMessage::IHave(holdings)
        | GossipMessage::IWant(holdings)
        | GossipMessage::Offer(holdings)
        | GossipMessage::Receipt(holdings) => check_holdings(holdings),
        GossipMessage::Large { bytes, .. } => {
            assert!((LARGE_GOSSIP..=MAX_PAYLOAD).contains(bytes));
        }
        GossipMessage::Sketch { elements, length, first, symbols } => {
            assert!(*elements as usize <= MAX_SKETCHED && symbols.len() <= SKETCH_PIECE);
            assert!(first + symbols.len() <= *length && *length <= SKETCH_SYMBOLS);
        }
        GossipMessage::More { first } => assert!(*first <= SKETCH_SYMBOLS),
        GossipMessage::Lacking(codes) => assert!(codes.len() <= SKETCH_SYMBOLS),
        GossipMessage::Digest { .. }
        | GossipMessage::Graft
        | GossipMessage::Prune
        | GossipMessage::Announce(_) => {}
    }
}

fn check_bounds(message: &Message) {
    match message {
        Message::Peers(PeersMessage::Hello { record, peers, .. }) => {
            check_record(record);
            check_records(peers);
        }
        Message::Peers(PeersMessage::Announcement(peers)) => check_records(peers),
        Message::Gossip(message) => check_gossip(message),
        Message::Peers(
            PeersMessage::Heartbeat(_)
            | PeersMessage::Discovery(_)
            | PeersMessage::ObservedAddress(_),
        )
        | Message::Substream(
            SubstreamMessage::Credit { .. }
            | SubstreamMessage::Reset { .. }
            | SubstreamMessage::Stop { .. },
        ) => {}
        Message::Request(RequestMessage::Response { status, payload, .. }) => {
            let is_answer = *status == Status::Answered;
            assert!(payload.len() <= if is_answer { MAX_PAYLOAD } else { MAX_FAILURE_TEXT });
        }
        Message::Request(RequestMessage::Request { payload, .. }) => {
            assert!(payload.len() <= MAX_PAYLOAD);
        }
        Message::Request(RequestMessage::Cancel { .. }) => {}
        Message::Substream(SubstreamMessage::Data { bytes, .. }) => {
            assert!(bytes.len() <= SUBSTREAM_PIECE);
        }
        Message::Succession(SuccessionMessage(told)) => {
            assert!((1..=MAX_SUCCESSIONS_PER_MESSAGE).contains(&told.len()));
            let ends = |told: &Signed<Succession>| {
                (told.content().predecessor(), told.content().successor())
            };
            assert!(told.iter().map(ends).all(|(old, new)| old != new));
        }
        Message::Recommendation(
            RecommendationMessage::Update(recommended)
            | RecommendationMessage::Response(recommended),
        ) => {
            assert!(recommended.len() <= MAX_RECOMMENDED);
            assert!(recommended.windows(2).all(|pair| pair[0].node < pair[1].node));
        }
        Message::Recommendation(RecommendationMessage::Request(_)) => {}
        Message::Trace(TraceMessage::Ask { hops, .. }) => assert!(*hops <= MAX_TRACE_DEPTH),
        Message::Trace(TraceMessage::Answer { answer: TraceAnswer::Sum { sum, .. }, .. }) => {
            assert!(message.encode().len() <= MAX_TRACE_ANSWER);
            assert!(sum.sample.len() <= MAX_TRACE_SAMPLE && sum.nodes() > 0);
            assert_eq!(sum.depths.iter().sum::<u32>(), sum.reached);
            assert!(sum.holds.iter().sum::<u32>() < sum.reached + sum.declined);
        }
        Message::Trace(TraceMessage::Answer { .. }) => {}
        Message::Dht(
            DhtMessage::Query { ask: DhtAsk { query, .. }, .. } | DhtMessage::Errand { query, .. },
        ) => match query {
            DhtQuery::Store(living) | DhtQuery::StoreOnTheWay(living) => check_living(living),
            DhtQuery::Find(_) | DhtQuery::Get { .. } => {}
        },
        Message::Dht(DhtMessage::Answer { answer: DhtAnswer::Found(found), .. }) => {
            assert!(found.contacts.len() <= MAX_CONTACTS_PER_ANSWER);
            assert!(found.records.len() <= MAX_SLOTS && found.heads.len() <= MAX_SLOTS);
            found.records.iter().for_each(check_living);
        }
        Message::Dht(DhtMessage::Answer { answer: DhtAnswer::Stored(_), .. }) => {}
        Message::Dht(DhtMessage::Answer { answer: DhtAnswer::StoredOnTheWay(_, near), .. }) => {
            assert!(near.len() <= MAX_CONTACTS_PER_ANSWER);
        }
        Message::Dht(DhtMessage::Answer { answer: DhtAnswer::Held(holders), .. }) => {
            assert!(holders.len() <= MAX_HOLDERS_TOLD);
        }
        Message::Direct(DirectMessage::CustomData(message)) => check_message(message),
        Message::Nat(NatMessage::Connect(offer) | NatMessage::Answer(offer)) => {
            assert!(offer.candidates.len() <= MAX_CANDIDATES);
        }
        Message::Nat(NatMessage::Sync(_) | NatMessage::Probe(_)) => {}
        Message::Relay(message) => check_relay(message),
    }
}

fn check_relay(message: &RelayMessage) {
    match message {
        RelayMessage::Data { bytes, .. } => assert!((1..=RELAY_PIECE).contains(&bytes.len())),
        RelayMessage::Credit { limit: number, .. }
        | RelayMessage::Opened { number, asked: None, .. }
        | RelayMessage::Open { tag: number, .. }
        | RelayMessage::Refused { tag: number, .. } => assert!(*number <= MAX_NUMBER),
        RelayMessage::Opened { number, asked: Some(tag), .. } => {
            assert!((*number).max(*tag) <= MAX_NUMBER);
        }
        RelayMessage::Close(_) => {}
    }
}

fn check_records(records: &[Signed<PeerRecord>]) {
    assert!(records.len() <= MAX_RECORDS_PER_MESSAGE);
    records.iter().for_each(check_record);
}

fn check_record(record: &Signed<PeerRecord>) {
    assert!(record.to_bytes().len() <= MAX_PEER_RECORD);
    let PeerRecord { addresses, carriers, software, .. } = record.content();
    assert!(addresses.len() <= MAX_ADDRESSES && carriers.len() <= MAX_CARRIERS);
    assert!(carriers.iter().all(|carrier| carrier.body().len() <= MAX_CARRIER_BODY));
    assert!(software.len() <= MAX_SOFTWARE && software.bytes().all(|c| (b' '..=b'~').contains(&c)));
    for address in addresses {
        // One address has one form.
        let clothed =
            address.socket_addr().is_some_and(|addr| addr.ip().to_canonical() != addr.ip());
        assert!(!clothed);
    }
}

fn check_holdings(holdings: &Holdings) {
    assert!(holdings.senders() <= MAX_HOLDINGS_SENDERS);
    assert!(holdings.iter().map(|(_, ranges)| ranges.len()).sum::<usize>() <= MAX_HOLDINGS_RANGES);
    for (_, ranges) in holdings.iter() {
        assert!(!ranges.is_empty() && ranges.iter().all(|range| *range.end() < 1 << 62));
        let mut pairs = ranges.iter().zip(ranges.iter().skip(1));
        assert!(pairs.all(|(before, after)| before.end() + 1 < *after.start()));
    }
}

fn check_living(living: &LivingRecord) {
    let record = living.record.content();
    let life = record.life();
    assert!(living.remaining <= record.ttl && life >= MIN_RECORD_TTL && life <= MAX_RECORD_TTL);
    assert!(record.value.as_ref().is_none_or(|value| value.len() <= MAX_VALUE));
    assert!(record.sequence < 1 << 62);
}
