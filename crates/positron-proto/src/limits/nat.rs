//! What bounds what a node knows of the translators before it.

use crate::time::Duration;

/// Owners whose peers must agree before anything is said of how a translator maps our port: two
/// liars of one mind are no proof.
pub const MAPPING_OWNERS: usize = 3;
/// Peers of which it is known where they saw us; about 100 bytes each. Above it those that are not
/// linked any more give way, and nobody new is heard if all are.
pub const MAX_SIGHTINGS: usize = 64;
/// How long the word of a peer stands that is not linked any more (guess: a home keeps its address
/// for a day, and its mapping as long as the port is used).
pub const SIGHTING_LIFE: Duration = Duration::from_mins(10);
