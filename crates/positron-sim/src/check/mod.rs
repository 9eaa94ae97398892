//! What is checked, one promise a file; the oracle holds all of them.
//!
//! Checkers see what an application sees ([`positron_proto::node::Event`]) while the world runs,
//! and look at the nodes themselves once a second and at the end.

mod bounds;
mod convergence;
mod delivery;
mod isolation;
mod liveness;
mod membership;
mod oracle;
mod retention;
mod spread;

pub(crate) use oracle::Oracle;
