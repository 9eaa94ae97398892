//! The parts of one node's work: signatures, messages, storage.

use std::{
    hint::black_box,
    sync::mpsc::{RecvTimeoutError, channel},
    time::{Duration, Instant},
};

use positron_networking::NodeId;
use positron_proto::{
    gossip::{GossipMessage, change::keep_message},
    id::NetworkId,
    identity::{Identity, SignatureJob, Verified},
    node::ChangeId,
    storage::Urgency,
    time::WallTime,
    wire::message::{AppMessage, Audience, Envelope, RoomMessage as _},
};
use positron_store::{DataFolder, Report, Store, StoreError};
use serde::Serialize;

use crate::{
    failure::{Exit, Failure},
    simulate::{LocalNetwork, PAYLOAD},
    table::Fields,
};

/// Messages that are made, signed, checked, encoded and stored.
const MESSAGES: usize = 4096;
/// Signatures in a batch: as many as a node checks at a time at most.
const BATCH: usize = 64;
/// Longest time for storage to answer.
const STORE_TIMEOUT: Duration = Duration::from_secs(60);
const NETWORK: &str = "bench";

/// How often a second one core does each, with payloads of 256 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Parts {
    /// Messages signed.
    signed: f64,
    /// Signatures checked, one by one.
    verified: f64,
    /// Signatures checked, 64 at a time.
    verified_in_batches: f64,
    /// Messages encoded.
    encoded: f64,
    /// Messages decoded.
    decoded: f64,
    /// Messages written to the database, in the groups that come of themselves, until durable.
    stored: f64,
}

impl Parts {
    /// For people.
    pub(crate) fn describe(&self, fields: &mut Fields) {
        fields
            .line("signed", format_args!("{:.0} messages/s", self.signed))
            .line("verified", format_args!("{:.0} signatures/s one by one", self.verified))
            .line("", format_args!("{:.0} signatures/s in batches", self.verified_in_batches))
            .line("encoded", format_args!("{:.0} messages/s", self.encoded))
            .line("decoded", format_args!("{:.0} messages/s", self.decoded))
            .line("stored", format_args!("{:.0} messages/s", self.stored));
    }
}

/// Measures each part, each for at least `each`.
pub(crate) fn measure(each: Duration) -> Result<Parts, Failure> {
    let network = NetworkId::from_name(NETWORK);
    let identity = Identity::from_seed([7; 32]);
    let signed: Vec<Verified<AppMessage>> =
        (0..MESSAGES).map(|number| message(&identity, number, &network)).collect();
    let jobs: Vec<SignatureJob> =
        signed.iter().map(|message| message.claim().job(&network)).collect();
    let wire: Vec<GossipMessage> =
        signed.iter().map(|message| GossipMessage::Gossip(10, message.claim().clone())).collect();
    let encoded: Vec<_> = wire.iter().map(GossipMessage::encode).collect();
    let receiver = NodeId::from_bytes([9; 32]);
    Ok(Parts {
        signed: per_second(each, 1, |n| drop(black_box(message(&identity, n, &network)))),
        verified: per_second(each, 1, |n| {
            assert!(black_box(&jobs[n % MESSAGES]).run().is_valid(), "we signed it ourselves");
        }),
        verified_in_batches: per_second(each, BATCH, |n| {
            let from = n * BATCH % MESSAGES;
            black_box(SignatureJob::run_all(&jobs[from..from + BATCH]));
        }),
        encoded: per_second(each, 1, |n| drop(black_box(wire[n % MESSAGES].encode()))),
        decoded: per_second(each, 1, |n| {
            let body = encoded[n % MESSAGES].clone();
            black_box(
                Envelope::open(body).and_then(|it| it.read::<GossipMessage>(receiver)).is_ok(),
            );
        }),
        stored: stored_per_second(&signed, network)?,
    })
}

fn message(identity: &Identity, number: usize, network: &NetworkId) -> Verified<AppMessage> {
    let message = AppMessage {
        sender: *identity.public_key(),
        audience: Audience::Everyone,
        sequence: number as u64,
        timestamp: WallTime::from_unix_micros(1_000_000 + number as u64),
        payload: vec![b'x'; PAYLOAD].into(),
    };
    identity.sign(message, network)
}

/// How many things a second `work` does, `things` at a time.
#[expect(clippy::cast_precision_loss, reason = "rough numbers")]
fn per_second(each: Duration, things: usize, mut work: impl FnMut(usize)) -> f64 {
    let start = Instant::now();
    let mut rounds = 0;
    while start.elapsed() < each {
        // The clock is not what is measured.
        for _ in 0..16 {
            work(rounds);
            rounds += 1;
        }
    }
    (rounds * things) as f64 / start.elapsed().as_secs_f64()
}

/// Through the real store, on a disk, until all are durable.
#[expect(clippy::cast_precision_loss, reason = "rough numbers")]
fn stored_per_second(
    messages: &[Verified<AppMessage>],
    network: NetworkId,
) -> Result<f64, Failure> {
    let failed = |error: StoreError| Failure::new(Exit::Storage, error.to_string());
    let folder = LocalNetwork::folder()?;
    let lock = DataFolder::lock(folder.path()).map_err(failed)?;
    let (reports, inbox) = channel();
    let on_report = move |report| drop(reports.send(report));
    let (store, _) = Store::open(lock, network, NETWORK, on_report).map_err(failed)?;
    let start = Instant::now();
    let mut last = ChangeId(0);
    for (id, message) in (1..).map(ChangeId).zip(messages) {
        store.persist(id, keep_message(message).at_least(Urgency::Awaited)).map_err(|error| {
            Failure::new(Exit::Storage, "the store refuses a message").because(error)
        })?;
        last = id;
    }
    loop {
        match inbox.recv_timeout(STORE_TIMEOUT) {
            Ok(Report::Durable { up_to }) if up_to >= last => break,
            Ok(Report::Durable { .. } | Report::Retrying { .. }) => {}
            Ok(Report::Failed { why, .. }) => {
                return Err(Failure::new(Exit::Storage, "storage failed").because(why));
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                return Err(Failure::new(Exit::Storage, "storage does not answer"));
            }
        }
    }
    let rate = messages.len() as f64 / start.elapsed().as_secs_f64();
    store.close().map_err(failed)?;
    Ok(rate)
}
