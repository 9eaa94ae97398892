//! The hash table as the application uses it: [`HashTable`] is the handle, each other file what it
//! hands out.

mod error;
mod nearest;
mod stats;
mod stored;
mod table;
mod value;

pub use error::DhtError;
pub use nearest::{FoundNode, LookupQuestion, NearestNode, NearestNodes, QuestionEnd};
pub(crate) use stats::dht_stats;
pub use stats::{DhtBucket, DhtContact, DhtRole, DhtStats, DhtTimes, KeptValue, PublishedValue};
pub use stored::{Deleted, NotEnoughHolders, Stored};
pub use table::HashTable;
pub use value::{StoredValue, ValueName, Values};
