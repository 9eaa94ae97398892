//! Something that was signed, and what becomes of it on its way through hands that mean harm.

use std::{net::SocketAddr, sync::LazyLock};

use positron_proto::{
    handshake::link_public_key,
    id::{MessageId, NetworkId},
    identity::{Identity, SignatureJob, Signed, Statement},
    succession::Succession,
    time::WallTime,
    trace::{TraceMessage, TraceOrder},
    wire::{
        Address, Reader,
        message::{AppMessage, Audience, Envelope, RoomMessage as _},
        record::{CarrierParameter, PeerRecord},
    },
};

use super::input::Bytes;

/// The input chooses a claim, changes bytes of it, and cuts it. What comes out is no claim, or the
/// same one, or one that its signer never signed: no verdict on one fits the other, and checking
/// the two together comes to the same as one by one.
pub(crate) fn check(bytes: &[u8]) {
    let mut input = Bytes(bytes);
    match input.byte() % 6 {
        0 => check_claim(&BROADCAST, &mut input, |bytes| read_message(bytes, Audience::Everyone)),
        1 => check_claim(&BROADCAST, &mut input, |bytes| {
            read_message(bytes, Audience::Node(identity(2).node_id()))
        }),
        2 => check_claim(&SHORT_RECORD, &mut input, read_record),
        4 => check_claim(&SUCCESSION, &mut input, |bytes| {
            let mut reader = Reader::new(bytes::Bytes::copy_from_slice(bytes));
            Signed::<Succession>::decode(&mut reader).ok()
        }),
        5 => check_claim(&TRACE_ORDER, &mut input, |bytes| {
            let envelope = Envelope::open(bytes::Bytes::copy_from_slice(bytes)).ok()?;
            match envelope.read(identity(2).node_id()).ok()? {
                TraceMessage::Ask { order, .. } => Some(order),
                TraceMessage::Answer { .. } => None,
            }
        }),
        _ => check_claim(&LONG_RECORD, &mut input, read_record),
    }
}

fn check_claim<T: Statement + Clone + PartialEq + core::fmt::Debug>(
    genuine: &Genuine<T>,
    input: &mut Bytes<'_>,
    read: impl Fn(&[u8]) -> Option<Signed<T>>,
) {
    let mut bytes = genuine.bytes.clone();
    if input.bit() {
        bytes.truncate(input.word());
    }
    while let (Some(high), Some(low), Some(change)) = (input.next(), input.next(), input.next()) {
        let (at, len) = (usize::from(high) << 8 | usize::from(low), bytes.len());
        match bytes.get_mut(at) {
            Some(byte) => *byte ^= change,
            None if at == len => bytes.push(change),
            None => {}
        }
    }
    let Some(claim) = read(&bytes) else { return };
    let (job, of_genuine) = (claim.job(&network()), genuine.claim.job(&network()));
    let (verdict, valid) = (job.run(), of_genuine.run());
    let is_genuine = claim == genuine.claim;
    assert_eq!(verdict.is_valid(), is_genuine, "{bytes:02x?}");
    let together = SignatureJob::run_all(&[of_genuine.clone(), job.clone(), of_genuine]);
    assert_eq!(together, [valid, verdict, valid]);
    assert_eq!(claim.clone().accept(valid).is_some(), is_genuine);
    assert_eq!(genuine.claim.clone().accept(verdict).is_some(), is_genuine);
    // What was signed for one network means nothing in another.
    assert!(!claim.job(&NetworkId::from_name("elsewhere")).run().is_valid());
}

/// A claim that was signed, and its bytes.
struct Genuine<T> {
    claim: Signed<T>,
    bytes: Vec<u8>,
}

static BROADCAST: LazyLock<Genuine<AppMessage>> = LazyLock::new(|| {
    let message = AppMessage {
        sender: *identity(1).public_key(),
        audience: Audience::Everyone,
        sequence: 7,
        timestamp: WallTime::from_unix_micros(1_800_000_000_000_000),
        payload: "said".into(),
    };
    let claim = identity(1).sign(message, &network()).claim().clone();
    let mut bytes = Vec::new();
    claim.encode(&mut bytes);
    Genuine { claim, bytes }
});

/// Of what only the old key signed of it: the new key's signature is part of that.
static SUCCESSION: LazyLock<Genuine<Succession>> = LazyLock::new(|| {
    let claim = Succession::sign(&identity(1), &identity(2), &network()).claim().clone();
    let mut bytes = Vec::new();
    claim.encode(&mut bytes);
    Genuine { claim, bytes }
});

/// With the question that carries it, of which it is not part how far that is passed on.
static TRACE_ORDER: LazyLock<Genuine<TraceOrder>> = LazyLock::new(|| {
    let order = TraceOrder {
        sender: *identity(1).public_key(),
        message: MessageId::from_bytes([7; 32]),
        at: WallTime::from_unix_micros(1_800_000_000_000_000),
    };
    let claim = identity(1).sign(order, &network()).claim().clone();
    let bytes = TraceMessage::Ask { hops: 3, order: claim.clone() }.encode().to_vec();
    Genuine { claim, bytes }
});

static SHORT_RECORD: LazyLock<Genuine<PeerRecord>> = LazyLock::new(|| record(vec![], vec![], ""));

static LONG_RECORD: LazyLock<Genuine<PeerRecord>> = LazyLock::new(|| {
    let addresses = vec![
        SocketAddr::from(([10, 0, 0, 1], 4000)).into(),
        SocketAddr::from(([0xFD, 0, 0, 0, 0, 0, 0, 1_u16], 4000)).into(),
        Address::new(99, b"later").expect("an unknown kind may say anything"),
    ];
    let carriers = vec![CarrierParameter::new(1, &[7; 32]).expect("short enough")];
    record(addresses, carriers, "positron-net/1.0.0")
});

fn record(
    addresses: Vec<Address>,
    carriers: Vec<CarrierParameter>,
    software: &str,
) -> Genuine<PeerRecord> {
    let me = identity(1);
    let record = PeerRecord {
        key: *me.public_key(),
        sequence: 1_800_000_000_000_000,
        noise_static: link_public_key(&me),
        capabilities: 1,
        addresses,
        carriers,
        software: software.to_owned(),
    };
    let claim = me.sign(record, &network()).claim().clone();
    let bytes = claim.to_bytes().to_vec();
    Genuine { claim, bytes }
}

fn read_message(bytes: &[u8], audience: Audience) -> Option<Signed<AppMessage>> {
    let mut reader = Reader::new(bytes::Bytes::copy_from_slice(bytes));
    Signed::<AppMessage>::decode(&mut reader, audience).ok()
}

fn read_record(bytes: &[u8]) -> Option<Signed<PeerRecord>> {
    let mut reader = Reader::new(bytes::Bytes::copy_from_slice(bytes));
    Signed::<PeerRecord>::decode(&mut reader).ok()
}

fn network() -> NetworkId {
    NetworkId::from_name("fuzz")
}

fn identity(seed: u8) -> Identity {
    Identity::from_seed([seed; 32])
}
