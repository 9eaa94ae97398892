//! Where something is kept, and what became of a wish to delete it.

use std::time::Duration;

use positron_proto::{
    dht::{Place, StoreOutcome, StoredAt},
    id::NodeId,
    shown::millis,
};
use serde::{Serialize, Serializer};

/// Where a record is kept now. This node keeps it, too, and renews it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stored {
    /// The key under which it is found.
    pub key: Place,
    /// Which of this publisher's records under the key it is: later ones have higher numbers.
    pub sequence: u64,
    /// The nodes besides this one that keep it: nobody, if this node is alone.
    pub holders: Vec<NodeId>,
    /// Who was asked to, and does not.
    #[serde(serialize_with = "refusals")]
    pub refused: Vec<(NodeId, StoreOutcome)>,
    /// How many were asked to, and did not answer.
    pub silent: usize,
    /// How long it took.
    #[serde(rename = "took_ms", serialize_with = "as_millis")]
    pub took: Duration,
}

/// Fewer nodes keep it than were asked for. This node does, and goes on offering it to others.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} of at least {wanted} other nodes keep it: {}",
    .stored.holders.len(),
    .stored.in_words()
)]
pub struct NotEnoughHolders {
    /// Where it is kept, and who refused.
    pub stored: Box<Stored>,
    /// How many were asked for.
    pub wanted: usize,
}

/// What became of a wish to delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// A tombstone took its place on these nodes, and here.
    Deleted(Stored),
    /// This node published nothing there.
    NotFound,
    /// This node published nothing there; these did, and only they can take it back.
    NotYours(Vec<NodeId>),
}

/// Somebody who was asked to keep a record, and does not.
#[derive(Serialize)]
struct RefusedBy<'a> {
    node_id: &'a NodeId,
    why: StoreOutcome,
    sentence: &'static str,
}

impl Stored {
    /// The same, if at least so many other nodes keep it.
    ///
    /// # Errors
    /// Fewer do. This node does all the same, and offers it to others again while it is alive.
    pub fn on_at_least(self, wanted: usize) -> Result<Self, NotEnoughHolders> {
        if self.holders.len() < wanted {
            return Err(NotEnoughHolders { stored: Box::new(self), wanted });
        }
        Ok(self)
    }

    /// By how many it is kept, and why by no more.
    pub fn in_words(&self) -> String {
        let kept = match self.holders.len() {
            0 => "nobody but this node keeps it".to_owned(),
            1 => "1 other node keeps it".to_owned(),
            others => format!("{others} other nodes keep it"),
        };
        let mut whys: Vec<String> = Vec::new();
        for why in ALL_REASONS {
            let nodes = self.refused.iter().filter(|(_, outcome)| *outcome == why).count();
            if nodes > 0 {
                whys.push(format!("{nodes} refused: {}", sentence(why)));
            }
        }
        match self.silent {
            0 => {}
            silent => whys.push(format!("{silent} did not answer")),
        }
        if whys.is_empty() && self.holders.is_empty() {
            whys.push("no other node that serves the table was found".to_owned());
        }
        if whys.is_empty() { kept } else { format!("{kept}; {}", whys.join("; ")) }
    }
}

impl From<StoredAt> for Stored {
    fn from(stored: StoredAt) -> Self {
        let StoredAt { key, sequence, holders, refused, silent, took, .. } = stored;
        Self { key, sequence, holders, refused, silent, took }
    }
}

/// What a node says that does not keep a record, or has it.
const fn sentence(outcome: StoreOutcome) -> &'static str {
    match outcome {
        StoreOutcome::Kept | StoreOutcome::Known => "it has it",
        StoreOutcome::Stale => "it has something newer of this publisher",
        StoreOutcome::TooFar => "the key is too far from its place",
        StoreOutcome::OverQuota => "this node or its network has its quota there",
        StoreOutcome::Full => "it, or the key, is full",
        StoreOutcome::WrongTime => "the clock of this node is wrong, or its own",
        StoreOutcome::Forged => "the signature is wrong",
        StoreOutcome::Refused => "it serves nobody now, or has too much to do",
    }
}

const ALL_REASONS: [StoreOutcome; 7] = [
    StoreOutcome::Stale,
    StoreOutcome::TooFar,
    StoreOutcome::OverQuota,
    StoreOutcome::Full,
    StoreOutcome::WrongTime,
    StoreOutcome::Forged,
    StoreOutcome::Refused,
];

fn refusals<S: Serializer>(refused: &[(NodeId, StoreOutcome)], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(refused.iter().map(|(node_id, why)| RefusedBy {
        node_id,
        why: *why,
        sentence: sentence(*why),
    }))
}

pub(super) fn as_millis<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(millis(*time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_never_just_stored_but_always_by_so_many_and_why_by_no_more() {
        let node = |n| NodeId::from_bytes([n; 32]);
        let mut stored = Stored {
            key: Place::from_bytes([1; 32]),
            sequence: 1,
            holders: Vec::new(),
            refused: Vec::new(),
            silent: 0,
            took: Duration::ZERO,
        };
        let alone = "nobody but this node keeps it; no other node that serves the table was found";
        assert_eq!(stored.in_words(), alone);
        stored.refused = vec![
            (node(1), StoreOutcome::OverQuota),
            (node(2), StoreOutcome::OverQuota),
            (node(3), StoreOutcome::Full),
        ];
        stored.silent = 2;
        assert_eq!(
            stored.in_words(),
            "nobody but this node keeps it; \
             2 refused: this node or its network has its quota there; \
             1 refused: it, or the key, is full; 2 did not answer"
        );
        let few = stored.clone().on_at_least(1).unwrap_err().to_string();
        assert!(few.starts_with("0 of at least 1 other nodes keep it: nobody but"), "{few}");
        stored.holders = vec![node(4)];
        assert!(stored.in_words().starts_with("1 other node keeps it; 2 refused"));
        assert!(stored.on_at_least(1).is_ok());
    }
}
