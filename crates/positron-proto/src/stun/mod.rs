//! How an address looks from outside, asked of any server: Binding of STUN (RFC 8489), and nothing
//! else of it `[PROTOCOL 9.12]`.
//!
//! Peers tell each other how they see one another, so that a network needs no such server. One of
//! a single peer does, and who looks for what is wrong; and a node answers whoever asks like this.
//! There is no authentication: what an answer says is one stranger's word.

mod client;
mod message;
#[cfg(test)]
mod tests;

pub use client::{StunClient, StunEvent, TooManyTransactions};
pub use message::{
    BindingAnswer, BindingRequest, StunMessage, TransactionId, UNKNOWN_ATTRIBUTE, is_stun,
};
