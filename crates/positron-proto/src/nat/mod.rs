//! What stands between this node and the internet, by what its peers see of it.
//!
//! A translator (NAT) gives our listening socket another address. Whether it gives the *same* one
//! towards everybody decides whether others reach us there: RFC 4787, section 4.1, calls that
//! endpoint-independent mapping.

mod mapping;
#[cfg(test)]
mod tests;

pub use mapping::{FamilyNat, Filtering, Mapping, Nat, NatInfo, SeenAt, Sighting};
