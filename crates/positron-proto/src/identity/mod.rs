//! Who says it: key pairs, signatures, and the difference between a claim and evidence `[PROTOCOL
//! 2]`.
//!
//! A [`Signed<T>`] is a claim: somebody sent it. A [`Verified<T>`] is evidence: its signature was
//! checked. Only [`verify`] makes evidence, and whatever changes shared state takes evidence.
//!
//! ```
//! use positron_proto::{
//!     id::NetworkId,
//!     identity::Identity,
//!     time::WallTime,
//!     wire::message::{AppMessage, Audience},
//! };
//!
//! let network = NetworkId::from_name("example");
//! let alice = Identity::from_seed([7; 32]);
//! let message = AppMessage {
//!     sender: *alice.public_key(),
//!     audience: Audience::Everyone,
//!     sequence: 0,
//!     timestamp: WallTime::default(),
//!     payload: b"hello".as_slice().into(),
//! };
//! let claim = alice.sign(message, &network).claim().clone(); // what travels
//! let job = claim.job(&network); // leaves for a worker thread
//! let evidence = claim.accept(job.run()).unwrap(); // comes back as evidence
//! assert_eq!(evidence.content().payload, "hello");
//! ```

mod keypair;
mod passphrase;
mod pem;
mod public_key;
mod signed;
#[cfg(test)]
mod tests;
pub mod verify;

pub use crate::crypto::SecretBytes;
pub use keypair::Identity;
pub use passphrase::{BadPassphrase, Passphrase};
pub use pem::BadKeyFile;
pub use public_key::{BadPublicKey, PublicKey, Signature};
pub use signed::{Signed, Statement};
pub use verify::{SignatureJob, Verdict, Verified};
