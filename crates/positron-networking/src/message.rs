//! Messages as the application receives them.

use std::{
    fmt,
    future::poll_fn,
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use positron_proto::{
    id::{MessageId, NodeId},
    identity::Verified,
    node::{Command, HandedOver, SequenceKind},
    wire::message::AppMessage,
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    DecodeError, SendError,
    feed::{Subscription, Undecodable},
    limits::MAX_PAYLOAD_DEPTH,
    orders::Orders,
};

/// A message for the application: authentic, and handed over once.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// # use positron_networking::{NetworkConfig, Node};
/// # let alice = Node::start(NetworkConfig::loopback()).await.unwrap();
/// # let bob = Node::start(NetworkConfig::loopback()).await.unwrap();
/// # alice.join(&bob.listen_addresses()[0].to_string()).await.unwrap();
/// # let (mut to_alice, mut to_bob) = (alice.subscribe(), bob.subscribe());
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Block { height: u64 }
///
/// alice.broadcast(&Block { height: 7 }).await.unwrap();
/// let message = to_bob.recv().await.unwrap();
/// assert_eq!(message.decode::<Block>().unwrap().height, 7);
/// assert_eq!(message.decode::<serde_json::Value>().unwrap()["height"], 7);
///
/// message.reply("seen").await.unwrap(); // to its sender alone
/// assert_eq!(to_alice.recv().await.unwrap().decode::<String>().unwrap(), "seen");
/// # });
/// ```
#[derive(Clone, Debug)]
pub struct Received {
    /// Its name: SHA-256 of what was signed.
    pub id: MessageId,
    /// Who signed it.
    pub sender: NodeId,
    /// Whether it was said to everyone or to this node.
    pub kind: SequenceKind,
    /// When it was sent, by the sender's clock.
    pub timestamp: SystemTime,
    /// What it says: MessagePack by convention, at most 1 MiB.
    pub payload: Bytes,
    /// The neighbour that brought it (for a direct message the sender).
    pub from: NodeId,
    orders: Orders,
}

impl Received {
    pub(crate) fn new(delivered: HandedOver, orders: Orders) -> Self {
        let HandedOver { id, sender, kind, timestamp, payload, from } = delivered;
        Self { id, sender, kind, timestamp: system_time(timestamp), payload, from, orders }
    }

    /// Answers its sender with a direct message, as
    /// [`send_to_peer`](crate::Node::send_to_peer) sends one. A message that waits for its answer
    /// does not keep the node running.
    ///
    /// # Errors
    /// As [`send_to_peer`](crate::Node::send_to_peer): the sender of a broadcast may be a node that
    /// this one has never met.
    pub async fn reply<T: Serialize + ?Sized>(&self, data: &T) -> Result<MessageId, SendError> {
        let payload = encode(data)?;
        self.orders.say(Command::Send { to: self.sender, payload }, None).await
    }

    /// Reads the payload as MessagePack.
    ///
    /// # Errors
    /// The payload is no MessagePack, no `T`, nested more than 64 deep, or followed by more bytes.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, DecodeError> {
        decode(&self.payload)
    }
}

/// The name of a message says what it is.
impl PartialEq for Received {
    fn eq(&self, other: &Self) -> bool {
        (self.id, self.from) == (other.id, other.from)
    }
}

impl Eq for Received {}

/// A broadcast that the node keeps for late and healed nodes, its own too. Who brought it is not
/// kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptMessage {
    /// Its name: SHA-256 of what was signed.
    pub id: MessageId,
    /// Who signed it.
    pub sender: NodeId,
    /// When it was sent, by the sender's clock.
    pub timestamp: SystemTime,
    /// What it says.
    pub payload: Bytes,
}

impl KeptMessage {
    pub(crate) fn new(message: &Verified<AppMessage>) -> Self {
        let content = message.content();
        Self {
            id: message.id(),
            sender: content.sender.node_id(),
            timestamp: system_time(content.timestamp),
            payload: content.payload.clone(),
        }
    }

    /// Reads the payload as MessagePack.
    ///
    /// # Errors
    /// As [`Received::decode`].
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, DecodeError> {
        decode(&self.payload)
    }
}

pub(crate) fn decode<T: DeserializeOwned>(payload: &[u8]) -> Result<T, DecodeError> {
    let mut rest = payload;
    let mut decoder = rmp_serde::Deserializer::new(&mut rest);
    decoder.set_max_depth(MAX_PAYLOAD_DEPTH);
    let value = T::deserialize(&mut decoder).map_err(|e| DecodeError(e.to_string()))?;
    match rest.len() {
        0 => Ok(value),
        more => Err(DecodeError(format!("{more} bytes follow the value"))),
    }
}

/// The messages that arrive from the moment of [`subscribe`](crate::Node::subscribe) on: a stream.
///
/// A slow reader never holds up the node: when `message_buffer_size` messages or 64 MiB wait, the
/// oldest are dropped and [counted](Self::dropped).
#[derive(Debug)]
pub struct Inbox(pub(crate) Subscription<Received>);

impl Inbox {
    /// The next message; `None` once the node stopped and all that waited was taken.
    ///
    /// Cancel-safe: a message is taken or not, never lost.
    pub async fn recv(&mut self) -> Option<Received> {
        poll_fn(|cx| self.0.poll_next(cx)).await
    }

    /// How many messages were dropped because this reader was slow.
    pub fn dropped(&self) -> u64 {
        self.0.dropped()
    }
}

impl futures_core::Stream for Inbox {
    type Item = Received;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Received>> {
        self.0.poll_next(cx)
    }
}

/// The messages that read as a `T`: what [`subscribe_as`](crate::Node::subscribe_as) gives, a
/// stream like an [`Inbox`]. Others are skipped, and counted.
pub struct TypedInbox<T> {
    inbox: Inbox,
    skipped: u64,
    undecodable: Arc<Undecodable>,
    reads: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> TypedInbox<T> {
    pub(crate) const fn new(inbox: Inbox, undecodable: Arc<Undecodable>) -> Self {
        Self { inbox, skipped: 0, undecodable, reads: PhantomData }
    }

    /// The next message that reads as a `T`, and what it says; `None` once the node stopped and all
    /// that waited was taken.
    ///
    /// Cancel-safe: a message is taken or not, never lost.
    pub async fn recv(&mut self) -> Option<(Received, T)> {
        poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &Context<'_>) -> Poll<Option<(Received, T)>> {
        match self.inbox.0.poll_next(cx) {
            Poll::Ready(Some(message)) => match message.decode() {
                Ok(value) => Poll::Ready(Some((message, value))),
                Err(_) => {
                    self.skipped += 1;
                    self.undecodable.count();
                    // However many of them there are, others have their turn.
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
            },
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<T> TypedInbox<T> {
    /// How many messages were skipped because they do not read as a `T`.
    pub const fn skipped(&self) -> u64 {
        self.skipped
    }

    /// How many messages were dropped because this reader was slow.
    pub fn dropped(&self) -> u64 {
        self.inbox.dropped()
    }
}

impl<T> fmt::Debug for TypedInbox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { inbox, skipped, .. } = self;
        f.debug_struct("TypedInbox").field("inbox", inbox).field("skipped", skipped).finish()
    }
}

impl<T: DeserializeOwned> futures_core::Stream for TypedInbox<T> {
    type Item = (Received, T);

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<(Received, T)>> {
        self.poll(cx)
    }
}

/// A value as MessagePack, with the names of its fields.
pub(crate) fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Bytes, SendError> {
    rmp_serde::to_vec_named(value)
        .map(Bytes::from)
        .map_err(|error| SendError::NotSerializable(error.to_string()))
}

pub(crate) fn system_time(at: positron_proto::time::WallTime) -> SystemTime {
    // A sender's clock may say anything: what no `SystemTime` can hold becomes the epoch.
    let since_epoch = Duration::from_micros(at.as_unix_micros());
    SystemTime::UNIX_EPOCH.checked_add(since_epoch).unwrap_or(SystemTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(payload: Vec<u8>) -> Received {
        let id = NodeId::from_bytes([0; 32]);
        Received {
            id: MessageId::from_bytes([0; 32]),
            sender: id,
            kind: SequenceKind::Direct,
            timestamp: SystemTime::UNIX_EPOCH,
            payload: payload.into(),
            from: id,
            orders: Orders::new(tokio::sync::mpsc::channel(1).0),
        }
    }

    #[test]
    fn what_is_encoded_decodes_and_fields_keep_their_names() {
        let value = serde_json::json!({"height": 7, "tags": ["a", null, 1.5], "deep": {"x": true}});
        let message = received(encode(&value).unwrap().to_vec());
        assert_eq!(message.decode::<serde_json::Value>().unwrap(), value);
    }

    #[test]
    fn hostile_payloads_are_errors() {
        let nested = vec![0x91; 1 << 20];
        let huge_array = vec![0xdd, 0xff, 0xff, 0xff, 0xff];
        let huge_text = vec![0xdb, 0xff, 0xff, 0xff, 0xff, b'x'];
        for payload in [vec![], vec![0xc1], nested, huge_array, huge_text, vec![7, 7]] {
            assert!(received(payload).decode::<serde_json::Value>().is_err());
        }
    }
}
