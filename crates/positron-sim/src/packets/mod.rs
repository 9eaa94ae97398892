//! Datagram connections on made-up paths: two to four [`Endpoint`]s and nothing else.
//!
//! A [`PacketStory`] is data: ends, paths with laws, acts, an attacker. [`storm`] makes one from a
//! seed, [`play`] plays one, [`run`] does both. Every promise of an endpoint is checked while it
//! runs ([`Promise`]); a run that breaks one is played again with an ear at it and tells what
//! happened before.
//!
//! ```text
//! story.rs    what there is and what happens, as data;   script.rs  such a story from a seed
//! net.rs      time, the internet between, alarms; calls the endpoints
//! host.rs     one of them, and its checks;  identities.rs  who they are
//! attacker.rs who means harm;         strangers.rs  who floods
//! apps.rs     what applications do;   app_connection.rs  one end of a connection
//! content.rs  what is said;           header_view.rs  what everybody on the way can read
//! play.rs     act after act, then calm: whatever waits must get done
//! check/      the promises, one a file
//! ```
//!
//! [`Endpoint`]: positron_proto::datagram::Endpoint

mod app_connection;
mod apps;
mod attacker;
mod check;
mod content;
mod header_view;
mod host;
mod identities;
mod net;
mod play;
mod report;
mod script;
mod story;
mod strangers;

pub use check::Promise;
pub use play::{play, play_traced};
pub use positron_internet::{Bursts, PathLaws};
pub use report::{PacketReport, PacketViolation};
pub use script::storm;
pub use story::{Act, Attacker, End, Ending, PacketStory, StaticKey, Whom};

/// Plays the story of a seed.
pub fn run(seed: u64) -> PacketReport {
    play(&storm(seed), seed)
}
