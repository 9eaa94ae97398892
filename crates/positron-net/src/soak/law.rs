//! What members said and heard, held against the law from outside.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use positron_proto::limits::{MAX_BACKLOG_BYTES, MAX_UNACKNOWLEDGED_BYTES, RETENTION_BYTES};

use super::member::Told;

/// How long a node may be alone without a reason.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of a process: what gossip keeps, what subscriptions keep, what waits for the disk, and
/// twice what an idle node takes for everything else (measured).
const MOST_RESIDENT: u64 =
    (RETENTION_BYTES + MAX_UNACKNOWLEDGED_BYTES + MAX_BACKLOG_BYTES + (64 << 20)) as u64;
/// Broken promises that are kept; later ones are mostly echoes.
const MAX_BROKEN: usize = 20;
/// What a node says of an address whose node was there once, which is no reason.
const NO_REASON: &str = "was reached, and is not connected now";

/// One thing that was said.
#[derive(Clone, Copy, Debug)]
struct Said {
    from: usize,
    answer: Answer,
}

/// What its sender answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// Nothing yet.
    Waits,
    /// `Ok`.
    Took,
    /// An error, or the sender died first.
    None,
}

/// What is known of one member.
#[derive(Debug, Default)]
struct Member {
    ever: BTreeSet<u64>,
    this_life: BTreeSet<u64>,
    alone: Option<Instant>,
    peers: usize,
}

/// The books of all members, and what is against the law in them.
#[derive(Debug, Default)]
pub(super) struct Law {
    said: Vec<Said>,
    members: Vec<Member>,
    pub(super) took: u64,
    pub(super) refused: u64,
    pub(super) unanswered: u64,
    pub(super) deliveries: u64,
    pub(super) again_after_restart: u64,
    pub(super) most_resident: u64,
    pub(super) broken: Vec<String>,
}

impl Law {
    pub(super) fn new(members: usize) -> Self {
        Self { members: (0..members).map(|_| Member::default()).collect(), ..Self::default() }
    }

    /// Something is said; its number.
    pub(super) fn say(&mut self, from: usize) -> u64 {
        self.said.push(Said { from, answer: Answer::Waits });
        self.said.len() as u64 - 1
    }

    /// A process starts: what an earlier one told of may be told of again.
    pub(super) fn handle_start(&mut self, member: usize) {
        self.handle_end(member);
        self.members[member].this_life.clear();
    }

    /// A process ended, and with it whoever waited for its answers.
    pub(super) fn handle_end(&mut self, member: usize) {
        (self.members[member].alone, self.members[member].peers) = (None, 0);
        let waits = |said: &&mut Said| said.from == member && said.answer == Answer::Waits;
        for said in self.said.iter_mut().filter(waits) {
            said.answer = Answer::None;
            self.unanswered += 1;
        }
    }

    /// A member stood still: what it told before that is old.
    pub(super) fn handle_still(&mut self, member: usize) {
        self.members[member].alone = None;
    }

    /// A member told something.
    pub(super) fn handle_told(&mut self, member: usize, told: Told, now: Instant) {
        match told {
            Told::Took(number) => {
                self.took += 1;
                self.answered(number, Answer::Took);
            }
            Told::Refused { number, .. } => {
                self.refused += 1;
                self.answered(number, Answer::None);
            }
            Told::Heard(number) => self.heard(member, number),
            Told::Damaged => self.breaks(format!("member {member} heard what nobody said")),
            Told::Missed(count) => {
                self.breaks(format!("member {member} missed {count} messages, and few were said"));
            }
            Told::Status { peers, alone, resident } => {
                self.members[member].peers = peers;
                self.status(member, alone.as_deref(), resident, now);
            }
            Told::Failed(why) => self.breaks(format!("member {member} did not start: {why}")),
            Told::Started { .. } => {}
        }
    }

    fn answered(&mut self, number: u64, answer: Answer) {
        let said = usize::try_from(number).ok().and_then(|index| self.said.get_mut(index));
        if let Some(said) = said {
            said.answer = answer;
        }
    }

    fn heard(&mut self, member: usize, number: u64) {
        let from = usize::try_from(number).ok().and_then(|index| self.said.get(index));
        let Some(from) = from.map(|said| said.from) else {
            return self.breaks(format!("member {member} heard number {number}, never said"));
        };
        let book = &mut self.members[member];
        if !book.this_life.insert(number) {
            return self.breaks(format!("member {member} heard number {number} of {from} twice"));
        }
        let new = book.ever.insert(number);
        self.deliveries += u64::from(new);
        self.again_after_restart += u64::from(!new);
    }

    fn status(&mut self, member: usize, alone: Option<&str>, resident: Option<u64>, now: Instant) {
        let resident = resident.unwrap_or(0);
        self.most_resident = self.most_resident.max(resident);
        if resident > MOST_RESIDENT {
            self.breaks(format!("member {member} takes {resident} bytes, at most {MOST_RESIDENT}"));
        }
        let book = &mut self.members[member];
        let Some(words) = alone else {
            book.alone = None;
            return;
        };
        let since = *book.alone.get_or_insert(now);
        let says_why = words.split("; ").any(|reason| !reason.ends_with(NO_REASON));
        if now.duration_since(since) > PATIENCE && !says_why {
            book.alone = None;
            self.breaks(format!("member {member} is alone, and says only: {words}"));
        }
    }

    /// Something is against the law.
    pub(super) fn breaks(&mut self, what: String) {
        if self.broken.len() < MAX_BROKEN {
            self.broken.push(what);
        }
    }

    /// Whether every question has its answer, everybody has a peer, and everybody has heard what
    /// was taken; if not, what is missing.
    pub(super) fn missing(&self) -> Option<String> {
        let waiting = self.said.iter().filter(|said| said.answer == Answer::Waits).count();
        if waiting > 0 {
            return Some(format!("{waiting} broadcasts without an answer"));
        }
        if let Some(alone) = self.members.iter().position(|member| member.peers == 0) {
            return Some(format!("member {alone} has no peer"));
        }
        let taken = self.said.iter().enumerate().filter(|(_, said)| said.answer == Answer::Took);
        let lacks = |(index, said): (usize, &Said)| {
            let number = index as u64;
            let lacking = |(at, member): &(usize, &Member)| {
                *at != said.from && !member.ever.contains(&number)
            };
            let lacking: Vec<usize> =
                self.members.iter().enumerate().filter(lacking).map(|(at, _)| at).collect();
            let from = said.from;
            (!lacking.is_empty())
                .then(|| format!("number {number}, taken by member {from}, is not at {lacking:?}"))
        };
        taken.filter_map(lacks).next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(alone: Option<&str>) -> Told {
        let peers = usize::from(alone.is_none());
        Told::Status { peers, alone: alone.map(str::to_owned), resident: Some(1) }
    }

    #[test]
    fn what_was_taken_is_owed_to_everybody_and_what_was_refused_to_nobody() {
        let (mut law, now) = (Law::new(3), Instant::now());
        for member in 0..3 {
            law.handle_told(member, status(None), now);
        }
        let (taken, refused, died) = (law.say(0), law.say(1), law.say(2));
        assert!(law.missing().unwrap().contains("without an answer"));
        law.handle_told(0, Told::Took(taken), now);
        law.handle_told(1, Told::Refused { number: refused, why: "full".into() }, now);
        law.handle_end(2);
        law.handle_start(2);
        law.handle_told(2, status(None), now);
        law.handle_told(1, Told::Heard(taken), now);
        assert!(law.missing().unwrap().contains("is not at [2]"));
        law.handle_told(2, Told::Heard(taken), now);
        assert_eq!(law.missing(), None);
        law.handle_start(2);
        law.handle_told(2, Told::Heard(taken), now);
        assert_eq!(law.broken, [""; 0], "{died}");
        law.handle_told(2, Told::Heard(taken), now);
        assert!(law.broken[0].contains("twice"));
    }

    #[test]
    fn who_is_alone_for_long_says_why() {
        let (mut law, now) = (Law::new(1), Instant::now());
        let late = now + PATIENCE + Duration::from_secs(1);
        let refused = "127.0.0.1:1: nobody listens there (tried once)";
        law.handle_told(0, status(Some(refused)), now);
        law.handle_told(0, status(Some(refused)), late);
        assert_eq!(law.broken, [""; 0]);
        law.handle_told(0, status(None), late);
        let nothing = format!("127.0.0.1:1: {NO_REASON}");
        law.handle_told(0, status(Some(&nothing)), now);
        law.handle_told(0, status(Some(&nothing)), late);
        assert!(law.broken[0].contains("says only"));
    }
}
