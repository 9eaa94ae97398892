//! Who takes part, and in which network.

use std::sync::{Arc, OnceLock};

use positron_proto::{id::NetworkId, identity::Identity};

/// Who floods.
pub(super) const STRANGER: usize = 5;

/// The identities of all ends, made once: they are the costliest part of a small world.
pub(super) fn identity(end: usize) -> &'static Arc<Identity> {
    static ALL: OnceLock<Vec<Arc<Identity>>> = OnceLock::new();
    let all =
        ALL.get_or_init(|| (0..6_u8).map(|n| Arc::new(Identity::from_seed([n + 1; 32]))).collect());
    &all[end]
}

/// The start of an end's process.
pub(super) const fn boot(life: u64) -> u64 {
    1_000 + life
}

/// The network of all ends.
pub(super) fn network() -> NetworkId {
    NetworkId::from_name("packets")
}
