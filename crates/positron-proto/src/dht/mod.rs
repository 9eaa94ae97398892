//! What somebody stored, found by its key, on whichever nodes keep it `[PROTOCOL 3.8]`.

mod contact;
mod message;
mod place;
mod record;

pub use contact::Contact;
pub use message::{
    DHT_ANSWER, DHT_QUERY, DhtAnswer, DhtMessage, DhtQuery, Found, LivingRecord, StoreOutcome,
};
pub use place::{Distance, Place};
pub use record::{BadName, DhtRecord, NameHash, RecordHead, RecordKind};
