//! Streams against a model of them, over a network that loses, repeats and reorders.

use proptest::prelude::*;

use super::*;

/// What is known of one stream of the model.
#[derive(Debug, Default)]
struct Known {
    todo: usize,
    written: usize,
    read: usize,
    finishes: bool,
    finished: bool,
    given_up: bool,
    ended: bool,
}

fn byte(number: u64, at: usize) -> u8 {
    u8::try_from((usize::try_from(number).unwrap() * 31 + at * 7 + at / 256) % 256).unwrap()
}

/// Writers and readers that do only what events tell them to.
struct Model {
    ends: [Streams; 2],
    known: BTreeMap<u64, Known>,
    blocked: BTreeSet<u64>,
    readable: BTreeSet<u64>,
    now: Instant,
    held: i64,
    /// What the packets of the writer used of the window in all, and what came to be held.
    charged: u64,
    arrived: u64,
    /// Packets, each with the end that it comes from.
    under_way: Vec<(usize, Packet)>,
}

impl Model {
    const QUEUE: usize = 30_000;

    fn act(&mut self, what: u8, which: u64, amount: usize) {
        let number = which + 1;
        if !self.known.contains_key(&number) && self.ends[0].open(1).is_ok() {
            let opened = u64::try_from(self.known.len()).unwrap() + 1;
            self.known.insert(opened, Known::default());
        }
        let Some(known) = self.known.get_mut(&number) else { return };
        match what {
            0 => known.finishes = true,
            1 if amount.is_multiple_of(3) => {
                known.given_up = true;
                self.ends[0].drop_stream(ours(number), 7);
            }
            2 if amount.is_multiple_of(3) && self.ends[1].theirs.contains_key(&number) => {
                known.given_up = true;
                self.readable.remove(&number);
                self.ends[1].drop_stream(theirs(number), 7);
            }
            3 | 4 => self.read(number, amount),
            _ if !known.finishes => known.todo += amount,
            _ => {}
        }
    }

    fn write(&mut self) {
        for (number, known) in &mut self.known {
            if self.blocked.contains(number) || known.given_up || known.finished {
                continue;
            }
            let id = ours(*number);
            let bytes: Vec<u8> =
                (known.written..known.written + known.todo).map(|at| byte(*number, at)).collect();
            let room = Self::QUEUE.saturating_sub(self.ends[0].queued_bytes());
            let taken = self.ends[0].write(id, &bytes, room).unwrap();
            known.written += taken;
            known.todo -= taken;
            if known.todo > 0 {
                self.blocked.insert(*number);
            } else if known.finishes {
                self.ends[0].finish(id).unwrap();
                known.finished = true;
            }
        }
    }

    fn read(&mut self, number: u64, limit: usize) {
        if !self.readable.contains(&number) {
            return;
        }
        let known = self.known.get_mut(&number).unwrap();
        match self.ends[1].read(self.now, theirs(number), limit, RTT) {
            Ok(Some(bytes)) => {
                for (at, found) in bytes.iter().enumerate() {
                    assert_eq!(*found, byte(number, known.read + at));
                }
                known.read += bytes.len();
                if bytes.is_empty() {
                    self.readable.remove(&number);
                }
            }
            Ok(None) => {
                assert!(known.finished && known.read == known.written && !known.ended);
                known.ended = true;
                self.readable.remove(&number);
            }
            Err(_) => {
                assert!(known.given_up);
                self.readable.remove(&number);
            }
        }
    }

    /// What the network does to one of the packets.
    fn deliver(&mut self, fate: u8, which: usize) {
        if self.under_way.is_empty() {
            return;
        }
        let at = which % self.under_way.len();
        let (n, packet) = self.under_way.remove(at);
        let lose = |streams: &mut Streams| {
            packet.contents.iter().for_each(|chunk| streams.handle_loss(chunk));
        };
        match fate {
            // Lost; lost spuriously; acknowledged and lost.
            0 => lose(&mut self.ends[n]),
            1 => {
                arrive(&mut self.ends[1 - n], &packet).unwrap();
                lose(&mut self.ends[n]);
                self.under_way.insert(at, (n, packet));
            }
            _ => {
                arrive(&mut self.ends[1 - n], &packet).unwrap();
                settle(&mut self.ends[n], &packet);
                settle(&mut self.ends[n], &packet);
                if fate == 2 {
                    lose(&mut self.ends[n]);
                }
            }
        }
    }

    fn hear(&mut self) {
        for n in [0, 1] {
            let room = Self::QUEUE.saturating_sub(self.ends[n].queued_bytes());
            while let Some(event) = self.ends[n].poll_event(room) {
                match event {
                    StreamEvent::Readable(id) => _ = self.readable.insert(id.number),
                    StreamEvent::Writable(id) | StreamEvent::Stopped(id, _) => {
                        _ = self.blocked.remove(&id.number);
                    }
                    StreamEvent::Available => {}
                }
            }
        }
        let arrived = self.ends[1].take_arrived();
        self.arrived += arrived;
        assert!(self.arrived <= self.charged, "what its writer never counted is held");
        self.held += i64::try_from(arrived).unwrap();
        self.held -= i64::try_from(self.ends[1].take_released()).unwrap();
        assert!(self.held >= 0);
    }

    fn is_over(&self) -> bool {
        let over = |known: &Known| known.given_up || known.ended;
        self.known.values().all(over) && self.ends[0].is_drained()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn streams_arrive_exactly_whatever_the_network_does(
        script in prop::collection::vec((0_u8..12, 0_u64..4, 1_usize..12_000), 1..60),
        fates in prop::collection::vec((0_u8..8, 0_usize..9), 1..300),
        sizes in prop::collection::vec(200_usize..4000, 1..6),
        budgets in prop::collection::vec(0_u64..3000, 1..20),
    ) {
        let mut model = Model {
            ends: pair(),
            known: BTreeMap::new(),
            blocked: BTreeSet::new(),
            readable: BTreeSet::new(),
            now: Instant::ORIGIN,
            held: 0,
            charged: 0,
            arrived: 0,
            under_way: Vec::new(),
        };
        let mut script = script.into_iter();
        let mut fates = fates.into_iter().chain(core::iter::repeat((7, 0)));
        let mut budgets = budgets.into_iter().chain(core::iter::repeat(PLENTY));
        for round in 0..5000 {
            model.now = model.now + Duration::from_millis(5);
            match script.next() {
                Some((what, which, amount)) => model.act(what, which, amount),
                None => {
                    model.known.values_mut().for_each(|known| known.finishes = true);
                    for number in model.readable.clone() {
                        model.read(number, 5_000);
                    }
                }
            }
            model.write();
            let full = sizes[(round / 8).min(sizes.len() - 1)];
            let budget = budgets.next().unwrap();
            for n in [0, 1] {
                let ready = model.ends[n].most_urgent(budget).is_some();
                let packet = packet(&mut model.ends[n], full, budget);
                prop_assert_eq!(ready, packet.is_some());
                model.charged += packet.as_ref().map_or(0, |packet| packet.charged);
                model.under_way.extend(packet.map(|packet| (n, packet)));
            }
            let (fate, which) = fates.next().unwrap();
            model.deliver(fate, which);
            model.hear();
            if script.len() == 0 && model.under_way.is_empty() && model.is_over() {
                break;
            }
        }
        prop_assert!(model.is_over(), "{:?}", model.known);
        prop_assert_eq!(model.ends[0].queued_bytes(), 0);
        // What was given up when all of it had arrived already.
        while let Some(number) = model.readable.first().copied() {
            model.read(number, 20_000);
        }
        model.hear();
        let unseen: u64 = model.ends[1].theirs.values().map(Receiving::cost).sum();
        prop_assert!(model.ends[1].theirs.values().all(|stream| stream.state != RecvState::Open));
        prop_assert_eq!(model.held, i64::try_from(unseen).unwrap());
    }
}
