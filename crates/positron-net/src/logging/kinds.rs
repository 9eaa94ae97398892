//! How often each kind of message may be logged: what strangers cause again and again must not
//! fill the log, nor hide what else is in it.

use std::{
    collections::HashMap,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use tracing::{Level, callsite::Identifier};

use super::entry::Entry;
use crate::rate::{LINES_PER_WINDOW, Rate, WINDOW};

/// Kinds that are told apart, more than the code has. If ever there are more, those of one place
/// in the code count as one.
const MAX_KINDS: usize = 1024;
/// Characters of a withheld message that are quoted.
const MAX_EXAMPLE: usize = 120;

/// A place in the code, and what it says where it says many things.
type Key = (Identifier, Option<String>);

/// Every kind of message that was logged.
#[derive(Debug, Default)]
pub(super) struct Kinds {
    kinds: Mutex<HashMap<Key, Kind>>,
    /// Something was withheld.
    withheld: Condvar,
}

/// One kind of message.
#[derive(Debug)]
struct Kind {
    rate: Rate,
    level: Level,
    target: &'static str,
    /// The first that was withheld since that was told last.
    example: Option<String>,
}

impl Kinds {
    /// Whether an entry of `place` may be logged at `now`; if so, what is to be said before it.
    pub(super) fn admit(
        &self,
        place: Identifier,
        entry: &Entry,
        now: Instant,
    ) -> Option<Option<Entry>> {
        let mut kinds = self.lock();
        let mut key = (place, entry.kind().map(str::to_owned));
        if kinds.len() >= MAX_KINDS && !kinds.contains_key(&key) {
            key.1 = None;
        }
        let kind = kinds.entry(key).or_insert_with(|| Kind {
            rate: Rate::new(now),
            level: entry.level,
            target: entry.target,
            example: None,
        });
        match kind.rate.admit(now) {
            Some(withheld) => Some(kind.notice(withheld)),
            None => {
                if kind.example.is_none() {
                    let message = entry.message.chars().take(MAX_EXAMPLE).collect();
                    kind.example = Some(message);
                    self.withheld.notify_all();
                }
                None
            }
        }
    }

    /// Waits until something was withheld in a second that is over, and says so.
    pub(super) fn overdue(&self) -> Vec<Entry> {
        let nothing =
            |kinds: &mut HashMap<Key, Kind>| kinds.values().all(|kind| kind.example.is_none());
        let waited = self.withheld.wait_while(self.lock(), nothing);
        let kinds = waited.unwrap_or_else(PoisonError::into_inner);
        // Others go on meanwhile; what they withhold is told with this or the next time.
        let waited = self.withheld.wait_timeout_while(kinds, WINDOW, |_| true);
        let (mut kinds, _) = waited.unwrap_or_else(PoisonError::into_inner);
        overdue_at(&mut kinds, Instant::now())
    }

    /// Everything that is withheld and not told, at the end.
    pub(super) fn rest(&self) -> Vec<Entry> {
        overdue_at(&mut self.lock(), Instant::now() + WINDOW)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Kind>> {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn overdue_at(kinds: &mut HashMap<Key, Kind>, now: Instant) -> Vec<Entry> {
    let told = kinds.values_mut().filter_map(|kind| {
        let withheld = kind.rate.overdue(now)?;
        kind.notice(withheld)
    });
    told.collect()
}

impl Kind {
    /// How many were withheld, and why, if any were.
    fn notice(&mut self, withheld: u32) -> Option<Entry> {
        let example = self.example.take()?;
        let messages = if withheld == 1 { "message" } else { "messages" };
        let message = format!(
            "withheld {withheld} {messages} of one kind: at most {LINES_PER_WINDOW} in a second \
             are logged, so that a flood hides no others; the first was: {example}"
        );
        Some(Entry::new(self.level, self.target, message))
    }
}

#[cfg(test)]
mod tests {
    use tracing::Callsite as _;

    use super::*;

    fn place() -> Identifier {
        let place =
            tracing::callsite! { name: "test", kind: tracing::metadata::Kind::EVENT, fields: };
        place.metadata().callsite()
    }

    #[test]
    fn what_is_withheld_is_told_with_the_next_or_after_the_second_and_with_the_reason() {
        let (kinds, place, start) = (Kinds::default(), place(), Instant::now());
        let entry = Entry::new(Level::WARN, "here", "the disk is full".into());
        for _ in 0..LINES_PER_WINDOW {
            assert!(kinds.admit(place.clone(), &entry, start).unwrap().is_none());
        }
        for _ in 0..7 {
            assert!(kinds.admit(place.clone(), &entry, start).is_none());
        }
        let notice = kinds.admit(place.clone(), &entry, start + WINDOW).unwrap().unwrap();
        assert_eq!(
            notice.message,
            "withheld 7 messages of one kind: at most 20 in a second are logged, so that a flood \
             hides no others; the first was: the disk is full"
        );
        assert_eq!((notice.level, notice.target), (Level::WARN, "here"));
        let said = (0..=LINES_PER_WINDOW)
            .filter(|_| kinds.admit(place.clone(), &entry, start + 2 * WINDOW).is_some());
        assert_eq!(said.count(), LINES_PER_WINDOW as usize);
        let rest = overdue_at(&mut kinds.lock(), start + 3 * WINDOW);
        assert!(rest[0].message.starts_with("withheld 1 message of"), "{rest:?}");
        assert!(overdue_at(&mut kinds.lock(), start + 9 * WINDOW).is_empty(), "it was told");
    }
}
