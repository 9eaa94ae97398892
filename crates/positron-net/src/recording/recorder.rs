//! Makes lines of what is seen of a network.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use positron_networking::MessageId;
use positron_sim::Seen;
use serde::Serialize;

use super::format::{Header, Hop, STEP_MS, Step};

/// Broadcasts of which it is remembered who has had them since when: those of minutes. Of older
/// ones the delay of a hop is not told.
const MAX_MESSAGES: usize = 1024;

/// Makes a recording, line by line.
///
/// # Contract
///
/// Tell it what is [seen](Self::see), in the order of time but for a few milliseconds, and in the
/// end that it is [over](Self::finish). Lines are handed out as soon as their step is over.
#[derive(Debug)]
pub(crate) struct Recorder<O> {
    out: O,
    now: Duration,
    /// Changes of the step that is not over, and what they are changes of.
    step: Step,
    up: Changes<usize>,
    links: Changes<(usize, usize)>,
    /// Since when who has had each broadcast.
    had: BTreeMap<MessageId, BTreeMap<usize, Duration>>,
    /// The order in which they came.
    messages: VecDeque<MessageId>,
}

/// Where the lines of a recording go.
pub(crate) trait Lines {
    /// Takes one, without its end.
    fn line(&mut self, line: &str);
}

impl<O: Lines> Recorder<O> {
    /// Begins with the first line.
    pub(crate) fn new(header: &Header, mut out: O) -> Self {
        out.line(&line(header));
        Self {
            out,
            now: Duration::ZERO,
            step: Step { t_ms: STEP_MS, ..Step::default() },
            up: Changes::default(),
            links: Changes::default(),
            had: BTreeMap::new(),
            messages: VecDeque::new(),
        }
    }

    /// Something is seen so long after the beginning.
    pub(crate) fn see(&mut self, at: Duration, seen: Seen) {
        self.handle_time(at);
        match seen {
            Seen::Up(node) => self.up.add(node),
            Seen::Down(node) => self.up.remove(node),
            Seen::Linked(a, b) => self.links.add((a.min(b), a.max(b))),
            Seen::Cut(a, b) => self.links.remove((a.min(b), a.max(b))),
            Seen::Has { message, node, from } => self.spread(at, message, node, from),
            // The picture has nobody from whom it came.
            Seen::HasFromGuest { .. } | Seen::Equivocated(_) => {}
        }
    }

    /// Nothing else happened until now.
    pub(crate) fn handle_time(&mut self, at: Duration) {
        self.now = self.now.max(at);
        let now = whole_millis(at);
        if now < self.step.t_ms {
            return;
        }
        let next = (now / STEP_MS + 1) * STEP_MS;
        let mut over = std::mem::replace(&mut self.step, Step { t_ms: next, ..Step::default() });
        self.up.settle(&mut over.up, &mut over.down);
        self.links.settle(&mut over.links, &mut over.cut);
        if !over.is_empty() {
            self.out.line(&line(&over));
        }
    }

    /// It is over. The last line says how long it was, whatever happened last.
    pub(crate) fn finish(mut self) -> O {
        let mut last = Step { t_ms: whole_millis(self.now), ..std::mem::take(&mut self.step) };
        self.up.settle(&mut last.up, &mut last.down);
        self.links.settle(&mut last.links, &mut last.cut);
        self.out.line(&line(&last));
        self.out
    }

    fn spread(&mut self, at: Duration, message: MessageId, node: usize, from: Option<usize>) {
        if !self.had.contains_key(&message) {
            if self.messages.len() >= MAX_MESSAGES
                && let Some(oldest) = self.messages.pop_front()
            {
                self.had.remove(&oldest);
            }
            self.messages.push_back(message);
        }
        let had = self.had.entry(message).or_default();
        // Who comes back after a crash may hear it again.
        if had.contains_key(&node) {
            return;
        }
        had.insert(node, at);
        if let Some(from) = from {
            let delay = had.get(&from).map(|before| millis(at.saturating_sub(*before)));
            self.step.hops.push(Hop(message.short(), from, node, delay, millis(at)));
        }
    }
}

/// What there is, and what was said of it last.
#[derive(Debug)]
struct Changes<T> {
    now: BTreeSet<T>,
    /// What is not as it was said last.
    changed: BTreeSet<T>,
}

impl<T> Default for Changes<T> {
    fn default() -> Self {
        Self { now: BTreeSet::new(), changed: BTreeSet::new() }
    }
}

impl<T: Copy + Ord> Changes<T> {
    fn add(&mut self, one: T) {
        if self.now.insert(one) && !self.changed.remove(&one) {
            self.changed.insert(one);
        }
    }

    fn remove(&mut self, one: T) {
        if self.now.remove(&one) && !self.changed.remove(&one) {
            self.changed.insert(one);
        }
    }

    /// Says what changed: what came and what went.
    fn settle(&mut self, came: &mut Vec<T>, went: &mut Vec<T>) {
        for one in std::mem::take(&mut self.changed) {
            if self.now.contains(&one) { came.push(one) } else { went.push(one) }
        }
    }
}

fn line(of: &impl Serialize) -> String {
    // Numbers and ids, in structures with names.
    serde_json::to_string(of).unwrap_or_default()
}

fn whole_millis(at: Duration) -> u64 {
    u64::try_from(at.as_millis()).unwrap_or(u64::MAX)
}

/// With one digit behind the point: what is finer is not seen.
fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e4).round() / 10.0
}

#[cfg(test)]
mod tests {
    use positron_networking::NodeId;

    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    impl Lines for Vec<String> {
        fn line(&mut self, line: &str) {
            self.push(line.to_owned());
        }
    }

    fn told(tell: impl FnOnce(&mut Recorder<Vec<String>>), end: u64) -> Vec<String> {
        let header = Header::new(7, (0..3).map(|n| NodeId::from_bytes([n; 32])).collect());
        let mut recorder = Recorder::new(&header, Vec::new());
        tell(&mut recorder);
        recorder.handle_time(ms(end));
        let lines = recorder.finish();
        let begins = format!(r#"{{"positron_recording":1,"seed":7,"nodes":["{:064}","#, 0);
        assert!(lines[0].starts_with(&begins), "{}", lines[0]);
        lines[1..].to_vec()
    }

    #[test]
    fn a_step_says_what_is_not_as_it_was_said_last() {
        let lines = told(
            |recorder| {
                recorder.see(ms(1), Seen::Up(0));
                recorder.see(ms(2), Seen::Up(1));
                recorder.see(ms(50), Seen::Linked(1, 0));
                // What comes and goes within a step is not seen; what goes and comes neither.
                recorder.see(ms(60), Seen::Up(2));
                recorder.see(ms(70), Seen::Down(2));
                recorder.see(ms(130), Seen::Cut(0, 1));
                recorder.see(ms(140), Seen::Linked(0, 1));
                recorder.see(ms(950), Seen::Cut(0, 1));
            },
            2000,
        );
        assert_eq!(
            lines,
            [
                r#"{"t_ms":100,"up":[0,1],"links":[[0,1]]}"#,
                r#"{"t_ms":1000,"cut":[[0,1]]}"#,
                r#"{"t_ms":2000}"#,
            ]
        );
    }

    #[test]
    fn a_hop_is_told_once_with_the_time_since_the_one_before_had_it() {
        let message = MessageId::from_bytes([0xAB; 32]);
        let has = |node, from| Seen::Has { message, node, from };
        let lines = told(
            |recorder| {
                recorder.see(ms(10), has(0, None));
                recorder.see(ms(35), has(1, Some(0)));
                recorder.see(ms(36), has(1, Some(2)));
                recorder.see(ms(45), has(2, Some(1)));
            },
            90,
        );
        let hops = r#"[["abababababababab",0,1,25.0,35.0],["abababababababab",1,2,10.0,45.0]]"#;
        assert_eq!(lines, [format!(r#"{{"t_ms":90,"hops":{hops}}}"#)]);
    }

    #[test]
    fn what_is_remembered_of_broadcasts_is_bounded_and_what_is_not_known_is_not_told() {
        let lines = told(
            |recorder| {
                for n in 0..=MAX_MESSAGES as u64 {
                    let mut id = [0; 32];
                    id[..8].copy_from_slice(&n.to_be_bytes());
                    let message = MessageId::from_bytes(id);
                    recorder.see(ms(1), Seen::Has { message, node: 0, from: None });
                }
                assert_eq!(recorder.had.len(), MAX_MESSAGES);
                let message = MessageId::from_bytes([0; 32]);
                recorder.see(ms(9), Seen::Has { message, node: 1, from: Some(0) });
                assert_eq!((recorder.had.len(), recorder.messages.len()), (1024, 1024));
            },
            50,
        );
        assert_eq!(lines, [r#"{"t_ms":50,"hops":[["0000000000000000",0,1,null,9.0]]}"#]);
    }
}
