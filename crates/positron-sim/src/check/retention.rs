//! Nobody owes a message that left every retention window while its receiver was away.

use std::collections::BTreeSet;

use positron_proto::{
    id::MessageId,
    time::{Duration, Instant},
};

use crate::published::Published;

/// How long whoever was away takes to have its place again: twice the longest wait before a
/// bootstrap address is dialled again, and a little.
const BACK: Duration = Duration::from_secs(65);

/// What live nodes still keep, and when each host was away last.
#[derive(Debug)]
pub(crate) struct Retention<'a> {
    /// Broadcasts that some live node keeps.
    pub(crate) kept: &'a BTreeSet<MessageId>,
    /// Until when each host was dead, cut off, or stood still.
    pub(crate) away: &'a [Option<Instant>],
}

impl Retention<'_> {
    /// Whether `host` may lack this broadcast: it was away when the others let it go.
    pub(crate) fn excuses(&self, host: usize, one: &Published) -> bool {
        let kept = one.id.is_some_and(|id| self.kept.contains(&id));
        let away = self.away[host].is_some_and(|until| until + BACK >= one.at);
        !kept && away
    }
}

#[cfg(test)]
mod tests {
    use positron_proto::node::SequenceKind;

    use super::*;

    #[test]
    fn only_who_was_away_is_excused_and_only_for_what_nobody_keeps() {
        let id = MessageId::from_bytes([1; 32]);
        let at = Instant::ORIGIN + Duration::from_secs(100);
        let one = Published {
            kind: SequenceKind::Broadcast,
            from: 0,
            to: 0,
            at,
            life: 1,
            bytes: 30,
            id: Some(id),
            durable: true,
            disturbed: false,
        };
        let long_ago = Instant::ORIGIN + Duration::from_secs(30);
        let away = [None, Some(long_ago), Some(at)];
        let excused = |kept: &BTreeSet<MessageId>| {
            let retention = Retention { kept, away: &away };
            [0, 1, 2].map(|host| retention.excuses(host, &one))
        };
        assert_eq!(excused(&BTreeSet::new()), [false, false, true]);
        assert_eq!(excused(&BTreeSet::from([id])), [false, false, false]);
    }
}
