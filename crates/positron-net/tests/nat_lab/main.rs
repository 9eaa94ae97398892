//! Homes behind routers of ten kinds, on an internet made of network namespaces; first whether the
//! lab is what it is said to be, then what nodes make of it.
//!
//! It takes root, `ip` and `nft`; where they are missing the tests say so and are over.
#![cfg(target_os = "linux")]

#[allow(dead_code)] // the other tests of the command use the rest
#[path = "../command/fixture.rs"]
mod fixture;
#[allow(dead_code)] // the lab makes one after the other
#[path = "../namespaces/mod.rs"]
mod namespaces;

mod control;
mod interruptions;
mod lab;
mod mapped_port;
mod nat_type;
mod nodes;
mod pairs;
mod paths;
mod probes;
mod roaming;
mod routers;
mod slow_lines;
mod stun;
mod verdicts;
