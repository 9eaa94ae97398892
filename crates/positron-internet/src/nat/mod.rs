//! The ten NAT types, and the boxes that they are made of.

mod firewall;
mod flows;
mod nat_type;
#[cfg(test)]
mod punching_tests;
#[cfg(test)]
mod tests;
mod translator;

pub use firewall::{Firewall, StreamsOnly};
pub use flows::{FLOW_TIMEOUT, MAX_FLOWS};
pub use nat_type::{INSIDE, NatType, UnknownNatType};
pub use translator::{Filtering, Mapping, NatBehavior, PortAssignment, Translator, Unsolicited};
