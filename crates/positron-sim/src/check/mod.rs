//! What is checked, one promise a file.
//!
//! Checkers see what an application sees ([`positron_proto::node::Event`]) while the world runs,
//! and look at the nodes themselves once a second and at the end.

mod bounds;
mod convergence;
mod delivery;
mod liveness;
mod membership;

pub(crate) use bounds::Bounds;
pub(crate) use convergence::{Convergence, Live};
pub(crate) use delivery::{Delivery, Heard};
pub(crate) use liveness::Liveness;
pub(crate) use membership::Membership;
