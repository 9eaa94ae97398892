//! Encrypted peer-to-peer networking for blockchains: start a [`Node`], tell everyone, tell one,
//! hear both.
//!
//! ```
//! use positron_networking::{NetworkConfig, Node};
//! use serde_json::json;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let alice = Node::start(NetworkConfig::loopback()).await?;
//! let bob = Node::start(NetworkConfig {
//!     bootstrap_nodes: vec![alice.listen_addresses()[0].to_string()],
//!     ..NetworkConfig::loopback()
//! })
//! .await?;
//!
//! let mut inbox = bob.subscribe();
//! alice.broadcast(&json!({"message": "Hello, network!"})).await?;
//! let hello = inbox.recv().await.ok_or("stopped")?;
//! assert_eq!(hello.sender, alice.id());
//! assert_eq!(hello.decode::<serde_json::Value>()?["message"], "Hello, network!");
//!
//! bob.shutdown().await?;
//! alice.shutdown().await?;
//! # Ok(())
//! # }
//! # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
//! ```
//!
//! Every byte between two nodes is encrypted and both ends are authenticated; there is no setting
//! to turn that off. All decisions are made by the pure state machine of [`positron_proto`]; this
//! crate gives it sockets, a clock, threads, 32 bytes of entropy, and a disk.

mod asking;
mod builder;
pub mod config;
mod driver;
mod durable;
mod endings;
mod error;
mod event;
mod feed;
mod handlers;
mod hash_table;
mod invite;
pub mod keys;
pub mod limits;
mod message;
pub mod metrics;
mod node;
mod open;
mod orders;
mod panic;
mod peers;
pub mod reach;
mod request;
mod rotation;
mod shutdown;
mod standing;
pub mod stats;
mod streams;
pub mod stun;
pub mod transport;
mod trust;
mod validation;
mod watched;

pub use builder::NodeBuilder;
pub use config::{ConfigError, LogFormat, NetworkConfig, TransportPolicy};
pub use durable::{DurableInbox, DurableMessage};
pub use endings::{DialPurpose, DialResult, Explained, LostPeer, RecentDial};
pub use error::{
    DecodeError, JoinError, OrderError, RequestError, SendError, ShutdownError, StartError,
    SubscriptionError,
};
pub use event::{Events, NodeEvent};
pub use handlers::{AsyncHandler, Handled, SyncHandler};
pub use hash_table::{
    Deleted, DhtBucket, DhtContact, DhtError, DhtRole, DhtStats, DhtTimes, FoundNode, HashTable,
    KeptValue, LookupQuestion, NearestNode, NearestNodes, NotEnoughHolders, PublishedValue,
    QuestionEnd, Stored, StoredValue, ValueName, Values,
};
pub use invite::{Invite, NO_ADDRESS, NotAnInvite, is_address, is_target};
pub use keys::KeyError;
pub use message::{Inbox, KeptMessage, Received, TypedInbox};
pub use node::Node;
pub use positron_proto::{
    bloom,
    datagram::contract::{CongestionAlgorithm, UnknownCongestion},
    dht::{BadName, DhtRefused, Place, RecordKind, StoreOutcome},
    gossip::Validity,
    handshake::{Direction, HandshakeFailure},
    id::{MessageId, NodeId},
    misbehavior::{BanReason, Observation},
    nat::{
        FamilyNat, Filtering, FilteringTrial, MappedPort, MappedState, NatInfo, PortMapping,
        RouterFailure, RouterProtocol, SeenAt, TrialSender,
    },
    node::{
        Refused, RoundTrip, SequenceKind as MessageKind,
        readiness::{Readiness, ReadinessCheck, ReadyCheck},
    },
    reason::{By, Reason},
    recommendation::NotRecommended,
    relay::PeerPlace,
    request::Unanswered,
    session::sessions::{DialFailure, DownReason, LinkDown, LinkKind as LinkTransport},
    subnet::{NotASubnet, Subnet},
    substream::{NotOpened, OpenedBy, SubstreamEnd, SubstreamId},
    trace::{AskTraceError, LocalTrace, MessageTrace, NetworkTrace},
    wire::frame::CloseReason,
};
pub use positron_store::{StoreError, Summary};
pub use request::Request;
pub use rotation::{RotateError, RotatedKey, rotate_key};
pub use standing::{
    LaneLevels, Level, PeerBounds, PeerDetail, PeerStanding, SessionBounds, StandingEvent,
    StandingTotal, StandingWord,
};
pub use stats::{Ban, Banned, Stats, SubscriptionStats, TrustedPeer};
pub use streams::{NodeStream, OpenStreamError, StreamError, StreamReader, StreamWriter};
pub use trust::{TrustError, TrustManager};

/// The programs in the README run as tests.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
