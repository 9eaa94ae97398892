//! What somebody stored, found by its key, on whichever nodes keep it `[PROTOCOL 3.8]`.

mod change;
mod contact;
mod floors;
mod held;
mod message;
mod place;
mod quota;
mod record;
mod record_store;

pub use change::RememberedRecords;
pub use contact::Contact;
pub use message::{
    DHT_ANSWER, DHT_QUERY, DhtAnswer, DhtMessage, DhtQuery, Found, LivingRecord, StoreOutcome,
};
pub use place::{Distance, Place};
pub use record::{BadName, DhtRecord, NameHash, RecordHead, RecordKind};
