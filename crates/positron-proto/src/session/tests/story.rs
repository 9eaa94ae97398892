use super::*;
use crate::rng::Rng;

/// What one node says to another in one lane, and in which order.
type Said = BTreeMap<(usize, usize, u8), Vec<u32>>;

struct Story {
    world: World,
    rng: Rng,
    said: Said,
}

impl Story {
    fn new(seed: u64) -> Self {
        let rng = Seed::from_number(seed).stream("story");
        Self { world: World::new(3), rng, said: Said::new() }
    }

    fn two(&mut self) -> (usize, usize) {
        let from = self.rng.index(3);
        (from, (from + 1 + self.rng.index(2)) % 3)
    }

    fn some_wire(&mut self) -> Option<usize> {
        let wires = self.world.wires.len();
        let live: Vec<usize> = (0..wires).filter(|wire| !self.world.wires[*wire].over).collect();
        self.rng.choose(&live).copied()
    }

    fn say(&mut self) {
        let (from, to) = self.two();
        if !self.world.is_up(from, to) {
            return;
        }
        let lane = *self.rng.choose(&Lane::KNOWN).unwrap();
        let said = self.said.entry((from, to, lane.number())).or_default();
        let number = u32::try_from(said.len()).unwrap();
        let len = [12, 200, 17_000, 100_000][self.rng.index(4)];
        let mut body = vec![lane.number(); len];
        body[1] = u8::try_from(from).unwrap();
        body[2..6].copy_from_slice(&number.to_be_bytes());
        let (peer, body) = (self.world.nodes[to].id, Bytes::from(body));
        let sent =
            self.world.with(from, |s, now, out| s.send(now, peer, lane, body.into(), None, out));
        if sent.is_ok() {
            said.push(number);
        }
    }

    fn dial(&mut self) {
        let (from, to) = self.two();
        let known = self.world.known(to);
        let dial = if self.rng.chance(0.5) { known } else { dial(known.to) };
        self.world.dial(from, dial);
    }

    fn carry(&mut self) {
        let Some(wire) = self.some_wire() else { return };
        let side = self.rng.index(2);
        // Streams are cut anywhere.
        if let Some(bytes) = self.world.wires[wire].pipes[side].front_mut()
            && bytes.len() > 1
            && self.rng.chance(0.3)
        {
            let head = bytes.split_to(1 + self.rng.index(bytes.len() - 1));
            self.world.wires[wire].pipes[side].push_front(head);
        }
        self.world.carry(wire, side);
    }

    fn reset(&mut self) {
        if let Some(wire) = self.some_wire() {
            self.world.reset(wire);
        }
    }

    /// A process dies and starts again; what it said before is of no interest.
    fn restart(&mut self, step: u64) {
        let n = self.rng.index(3);
        self.world.restart(n, step + 1);
        self.world.nodes[n].said.clear();
    }

    fn tick(&mut self) {
        self.world.now.mono = self.world.now.mono + self.rng.duration(Duration::ZERO..=millis(40));
        for n in 0..3 {
            self.world.with(n, Sessions::handle_timeout);
        }
    }

    /// Everything heals: all are connected and all that moves arrives.
    fn heal(&mut self) {
        for _ in 0..4 {
            self.world.advance(millis(500));
            for (from, to) in [(0, 1), (0, 2), (1, 2)] {
                if !self.world.is_up(from, to) || !self.world.is_up(to, from) {
                    let dial = self.world.known(to);
                    self.world.dial(from, dial);
                    self.world.run();
                }
            }
        }
        self.world.advance(secs(1));
    }

    /// What was heard, in order, by (sender, receiver, lane).
    fn heard(&self) -> Said {
        let mut heard = Said::new();
        for to in 0..3 {
            for body in self.world.heard(to) {
                let number = u32::from_be_bytes(body[2..6].try_into().unwrap());
                heard.entry((usize::from(body[1]), to, body[0])).or_default().push(number);
            }
        }
        heard
    }

    /// Ups and downs of each peer alternate, each dial ended once, and nobody did wrong.
    fn check_grammar(&self, seed: u64) {
        for n in 0..3 {
            let mut up = BTreeMap::new();
            for out in &self.world.nodes[n].said {
                match out {
                    SessionEffect::Up(peer) => {
                        assert!(!up.insert(peer.id, true).unwrap_or(false), "seed {seed}");
                    }
                    SessionEffect::Down { peer, .. } => {
                        assert_eq!(up.insert(*peer, false), Some(true), "seed {seed}");
                    }
                    SessionEffect::Message { peer, .. } => {
                        assert_eq!(up.get(peer), Some(&true), "seed {seed}");
                    }
                    SessionEffect::Misbehaved { what, .. } => panic!("seed {seed}: {what:?}"),
                    _ => {}
                }
            }
            let dials = self.world.nodes[n].sessions.counters().dials;
            let ended = self.world.outcomes(n).len();
            let waiting = self.world.nodes[n].sessions.half_open();
            assert_eq!(dials, u64::try_from(ended + waiting).unwrap(), "seed {seed}");
        }
    }
}

#[test]
fn whatever_links_do_every_message_arrives_once_and_in_order() {
    for seed in 0..300 {
        let mut story = Story::new(seed);
        for _ in 0..400 {
            match story.rng.index(20) {
                0..5 => story.say(),
                5 => story.dial(),
                6 if story.rng.chance(0.4) => story.reset(),
                6..8 => story.tick(),
                _ => story.carry(),
            }
        }
        story.heal();
        assert_eq!(story.heard(), story.said, "seed {seed}");
        story.check_grammar(seed);
        for (from, to) in [(0, 1), (1, 2), (2, 0)] {
            assert!(story.world.is_up(from, to) && story.world.is_up(to, from), "seed {seed}");
        }
        let links = |n: usize| story.world.nodes[n].sessions.links.table.stages().count();
        assert_eq!((links(0), links(1), links(2)), (2, 2, 2), "seed {seed}");
    }
}

#[test]
fn with_closing_and_forgetting_too_the_story_keeps_its_grammar_and_heals() {
    for seed in 1000..1200 {
        let mut story = Story::new(seed);
        for step in 0..300 {
            match story.rng.index(20) {
                0..5 => story.say(),
                5 => story.dial(),
                6 => story.reset(),
                7 => story.tick(),
                8 if story.rng.chance(0.3) => {
                    let (from, to) = story.two();
                    story.world.close(from, to, CloseReason::Pruned);
                }
                9 if story.rng.chance(0.1) => story.world.advance(secs(40)),
                10 if story.rng.chance(0.1) => story.restart(step),
                _ => story.carry(),
            }
        }
        story.heal();
        story.check_grammar(seed);
        for (from, to) in [(0, 1), (1, 2), (2, 0)] {
            assert!(story.world.is_up(from, to) && story.world.is_up(to, from), "seed {seed}");
            for lane in Lane::KNOWN {
                story.world.send(from, to, lane, vec![lane.number(), 0, 0, 0, 0, 0]);
            }
            let before = story.world.heard(to).len();
            story.world.run();
            assert_eq!(story.world.heard(to).len(), before + Lane::KNOWN.len(), "seed {seed}");
        }
    }
}
