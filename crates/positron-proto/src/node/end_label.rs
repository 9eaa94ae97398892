//! Why sessions and dials ended, as labels: the words of the one list of reasons.

use crate::{
    metric::{Label, LabelKey, label, label::closed},
    reason::{By, End, Reason},
    session::sessions::{DialOutcome, DownReason},
};

label! { By as "by" { Us => "us", Peer => "peer", Network => "network" } }

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionEnd(Reason);

impl From<&DownReason> for SessionEnd {
    fn from(why: &DownReason) -> Self {
        Self(why.into())
    }
}

impl closed::Closed for SessionEnd {}

impl Label for SessionEnd {
    const KEY: LabelKey =
        LabelKey { name: "reason", words: &words::<{ count(End::Session, 0) }>(End::Session, &[]) };

    fn place(self) -> usize {
        place(End::Session, self.0)
    }
}

/// What came of a dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DialEnd {
    /// A session.
    Connected,
    /// The address was checked: somebody is there.
    Probed,
    /// Nothing.
    Failed(Reason),
}

impl From<&DialOutcome> for DialEnd {
    fn from(outcome: &DialOutcome) -> Self {
        match outcome {
            DialOutcome::Connected(..) => Self::Connected,
            DialOutcome::Probed(..) => Self::Probed,
            DialOutcome::Failed(why) => Self::Failed(why.into()),
        }
    }
}

/// The words of dials that did not fail.
const REACHED: &[&str] = &["connected", "probed"];

impl closed::Closed for DialEnd {}

impl Label for DialEnd {
    const KEY: LabelKey = LabelKey {
        name: "outcome",
        words: &words::<{ count(End::Dial, REACHED.len()) }>(End::Dial, REACHED),
    };

    fn place(self) -> usize {
        match self {
            Self::Connected => 0,
            Self::Probed => 1,
            Self::Failed(why) => REACHED.len() + place(End::Dial, why),
        }
    }
}

/// How many words there are: those `before` and the reasons that end this.
const fn count(end: End, before: usize) -> usize {
    let (mut count, mut at) = (before, 0);
    while at < Reason::ALL.len() {
        count += is_end(Reason::ALL[at], end) as usize;
        at += 1;
    }
    count
}

/// The words of the reasons that end this, behind others.
const fn words<const N: usize>(end: End, before: &[&'static str]) -> [&'static str; N] {
    let (mut words, mut len, mut at) = ([""; N], 0, 0);
    while len < before.len() {
        words[len] = before[len];
        len += 1;
    }
    while at < Reason::ALL.len() {
        if is_end(Reason::ALL[at], end) {
            words[len] = Reason::ALL[at].word();
            len += 1;
        }
        at += 1;
    }
    words
}

const fn is_end(reason: Reason, end: End) -> bool {
    let (ends, mut at) = (reason.ends(), 0);
    while at < ends.len() {
        if ends[at] as u8 == end as u8 {
            return true;
        }
        at += 1;
    }
    false
}

/// Where the reason stands among those that end this.
fn place(end: End, reason: Reason) -> usize {
    Reason::ALL.iter().take_while(|other| **other != reason).filter(|it| is_end(**it, end)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_stands_at_the_place_of_its_word() {
        for reason in Reason::ALL {
            if is_end(*reason, End::Session) {
                assert_eq!(SessionEnd::KEY.words[SessionEnd(*reason).place()], reason.word());
            }
            if is_end(*reason, End::Dial) {
                assert_eq!(DialEnd::KEY.words[DialEnd::Failed(*reason).place()], reason.word());
            }
        }
        assert_eq!(DialEnd::KEY.words[DialEnd::Probed.place()], "probed");
    }
}
