//! Stories of streams between two nodes, told message by message.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;

use super::{
    NotOpened, OpenedBy, SubstreamEffect, SubstreamEnd, SubstreamId, SubstreamMessage,
    SubstreamNews, SubstreamOrder, Substreams,
};
use crate::{
    id::{NodeId, Ticket},
    limits::{
        MAX_SUBSTREAMS_PER_PEER, SUBSTREAM_OPEN_TIMEOUT, SUBSTREAM_PIECE, SUBSTREAM_RECONNECT,
        SUBSTREAM_SHARE_PER_PEER, SUBSTREAM_WINDOW_FIRST,
    },
    misbehavior::Misbehavior,
    rng::{Rng, Seed},
    time::{Duration, Instant, Now, WallTime},
    wire::{frame::Lane, message::RoomMessage as _},
};

fn id(n: u8) -> NodeId {
    NodeId::from_bytes([n; 32])
}

/// A node, and what its application saw.
struct Node {
    me: NodeId,
    streams: Substreams,
    out: VecDeque<SubstreamEffect>,
    opened: Vec<Result<SubstreamId, NotOpened>>,
    incoming: Vec<SubstreamId>,
    heard: BTreeMap<SubstreamId, Vec<u8>>,
    unread: BTreeMap<SubstreamId, usize>,
    news: Vec<(SubstreamId, SubstreamNews)>,
    misbehaved: Vec<Misbehavior>,
    dials: usize,
}

impl Node {
    fn new(n: u8) -> Self {
        Self {
            me: id(n),
            streams: Substreams::default(),
            out: VecDeque::new(),
            opened: Vec::new(),
            incoming: Vec::new(),
            heard: BTreeMap::new(),
            unread: BTreeMap::new(),
            news: Vec::new(),
            misbehaved: Vec::new(),
            dials: 0,
        }
    }

    fn order(&mut self, now: Now, id: SubstreamId, order: SubstreamOrder) {
        self.streams.handle_order(now, id, order, &mut self.out);
    }

    fn read_all(&mut self, now: Now, id: SubstreamId) {
        let unread = self.unread.remove(&id).unwrap_or_default();
        self.order(now, id, SubstreamOrder::Consumed(unread));
    }
}

/// What one node said and the other has not heard.
type Lanes = BTreeMap<Lane, VecDeque<(SubstreamMessage, Option<Ticket>)>>;

/// Two nodes and the two lanes of each way between them, in order and without loss, as a session
/// has them.
struct World {
    now: Now,
    nodes: [Node; 2],
    lanes: [Lanes; 2],
    tickets: u64,
    /// Bytes that a bulk lane takes before they are delivered.
    room: usize,
}

impl World {
    fn linked() -> Self {
        let mut world = Self {
            now: Now { mono: Instant::ORIGIN, wall: WallTime::default() },
            nodes: [Node::new(1), Node::new(2)],
            lanes: [BTreeMap::new(), BTreeMap::new()],
            tickets: 0,
            room: 4 * SUBSTREAM_PIECE,
        };
        world.up(0);
        world.up(1);
        world
    }

    fn up(&mut self, at: usize) {
        let Node { streams, out, .. } = &mut self.nodes[at];
        streams.peer_up(self.now, id(2 - u8::try_from(at).unwrap()), 7, out);
        self.settle(at);
    }

    fn down(&mut self, at: usize) {
        let Node { streams, out, .. } = &mut self.nodes[at];
        streams.peer_down(self.now, id(2 - u8::try_from(at).unwrap()), out);
        self.settle(at);
    }

    fn open(&mut self, at: usize) -> SubstreamId {
        self.try_open(at).unwrap();
        self.nodes[at].opened.last().unwrap().unwrap()
    }

    fn try_open(&mut self, at: usize) -> Result<(), NotOpened> {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let to = self.nodes[1 - at].me;
        let Node { streams, out, .. } = &mut self.nodes[at];
        let opened = streams.open(self.now, to, ticket, out);
        self.settle(at);
        opened
    }

    fn order(&mut self, at: usize, id: SubstreamId, order: SubstreamOrder) {
        self.nodes[at].order(self.now, id, order);
        self.settle(at);
    }

    /// Carries out what a node wants, and fills its lane.
    fn settle(&mut self, at: usize) {
        loop {
            while let Some(effect) = self.nodes[at].out.pop_front() {
                self.carry_out(at, effect);
            }
            let queued: usize = self.lanes[at]
                .get(&Lane::BULK)
                .map_or(0, |lane| lane.iter().map(|(message, _)| message.size_hint()).sum());
            let Node { streams, out, .. } = &mut self.nodes[at];
            for peer in streams.wanting() {
                streams.fill(peer, self.room.saturating_sub(queued), out);
            }
            if self.nodes[at].out.is_empty() {
                return;
            }
        }
    }

    fn carry_out(&mut self, at: usize, effect: SubstreamEffect) {
        let node = &mut self.nodes[at];
        match effect {
            SubstreamEffect::Send { to, message, finishes } => {
                assert_eq!(to, self.nodes[1 - at].me);
                let ticket = finishes.map(|id| {
                    self.tickets += 1;
                    self.nodes[at].streams.handle_finish_sent(id, Ticket(self.tickets));
                    Ticket(self.tickets)
                });
                self.lanes[at].entry(message.lane()).or_default().push_back((message, ticket));
            }
            SubstreamEffect::Connect(_) => node.dials += 1,
            SubstreamEffect::Awaited(_) => {}
            SubstreamEffect::Opened { outcome, .. } => node.opened.push(outcome),
            SubstreamEffect::Misbehaved { what, .. } => node.misbehaved.push(what),
            SubstreamEffect::News { id, news } => {
                match &news {
                    SubstreamNews::Incoming => node.incoming.push(id),
                    SubstreamNews::Data(bytes) => {
                        node.heard.entry(id).or_default().extend_from_slice(bytes);
                        *node.unread.entry(id).or_default() += bytes.len();
                    }
                    _ => {}
                }
                if !matches!(news, SubstreamNews::Data(_) | SubstreamNews::Taken(_)) {
                    node.news.push((id, news));
                }
            }
        }
    }

    /// Delivers the next message that `from` said, the most urgent first; whether there was one.
    fn deliver(&mut self, from: usize) -> bool {
        let next = self.lanes[from].values_mut().find_map(VecDeque::pop_front);
        let Some((message, ticket)) = next else { return false };
        let body = message.encode();
        let read = super::super::node::Message::decode(body, self.nodes[1 - from].me);
        assert_eq!(read, Ok(Some(message.clone().into())));
        let from_id = self.nodes[from].me;
        let Node { streams, out, .. } = &mut self.nodes[1 - from];
        streams.handle_message(self.now, from_id, message, out);
        self.settle(1 - from);
        if let Some(ticket) = ticket {
            let Node { streams, out, .. } = &mut self.nodes[from];
            streams.handle_delivered(self.now, ticket, out);
        }
        self.settle(from);
        true
    }

    fn deliver_all(&mut self) {
        while self.deliver(0) || self.deliver(1) {}
    }

    /// Reads whatever comes until nothing does any more.
    fn run(&mut self) {
        loop {
            self.deliver_all();
            let mut read = false;
            for at in [0, 1] {
                for id in self.nodes[at].unread.keys().copied().collect::<Vec<_>>() {
                    read = true;
                    let now = self.now;
                    self.nodes[at].read_all(now, id);
                }
                self.settle(at);
            }
            if !read && self.lanes.iter().all(|lanes| lanes.values().all(VecDeque::is_empty)) {
                return;
            }
        }
    }

    fn news(&mut self, at: usize) -> Vec<SubstreamNews> {
        self.nodes[at].news.drain(..).map(|(_, news)| news).collect()
    }

    fn is_clean(&self) -> bool {
        self.nodes.iter().all(|node| node.streams.count() == 0 && node.streams.taken() == 0)
    }
}

/// How the other end calls it.
fn there(world: &World, at: usize, id: SubstreamId) -> SubstreamId {
    let opener = match id.opener {
        OpenedBy::Us => OpenedBy::Peer,
        OpenedBy::Peer => OpenedBy::Us,
    };
    SubstreamId { peer: world.nodes[at].me, opener, ..id }
}

fn text(len: usize, seed: u8) -> Bytes {
    (0..=250).map(|byte: u8| byte ^ seed).cycle().take(len).collect::<Vec<_>>().into()
}

#[test]
fn what_is_written_is_read_both_ways_up_to_its_end_and_both_ends_know() {
    let mut world = World::linked();
    let mine = world.open(0);
    let yours = there(&world, 0, mine);
    let (question, answer) = (text(3_000_000, 1), text(70_000, 2));
    world.order(0, mine, SubstreamOrder::Write(question.clone()));
    world.order(0, mine, SubstreamOrder::Finish);
    world.run();
    assert_eq!(world.nodes[1].incoming, [yours]);
    assert_eq!(world.nodes[1].heard[&yours], question);
    assert_eq!(world.news(1), [SubstreamNews::Incoming, SubstreamNews::Finished]);
    assert_eq!(world.news(0), [SubstreamNews::Delivered]);
    world.order(1, yours, SubstreamOrder::Write(answer.clone()));
    world.order(1, yours, SubstreamOrder::Finish);
    world.run();
    assert_eq!(world.nodes[0].heard[&mine], answer);
    assert_eq!(world.news(0), [SubstreamNews::Finished]);
    assert_eq!(world.news(1), [SubstreamNews::Delivered]);
    assert!(world.is_clean());
}

#[test]
fn a_stream_that_is_opened_is_seen_before_anything_is_written() {
    let mut world = World::linked();
    world.open(0);
    world.deliver_all();
    assert_eq!(world.news(1), [SubstreamNews::Incoming]);
}

#[test]
fn a_slow_reader_holds_up_its_own_stream_and_no_other() {
    let mut world = World::linked();
    let (slow, quick) = (world.open(0), world.open(0));
    let all = text(2_000_000, 3);
    for id in [slow, quick] {
        world.order(0, id, SubstreamOrder::Write(all.clone()));
    }
    let there = |id| there(&world, 0, id);
    let (slow, quick) = (there(slow), there(quick));
    loop {
        world.deliver_all();
        let now = world.now;
        if !world.nodes[1].unread.contains_key(&quick) {
            break;
        }
        world.nodes[1].read_all(now, quick);
        world.settle(1);
    }
    assert_eq!(world.nodes[1].heard[&quick], all);
    assert_eq!(world.nodes[1].heard[&slow].len() as u64, SUBSTREAM_WINDOW_FIRST);
    world.run();
    assert_eq!(world.nodes[1].heard[&slow], all);
}

#[test]
fn small_writes_travel_together() {
    let mut world = World::linked();
    let id = world.open(0);
    world.room = 0;
    for n in 0..100 {
        world.order(0, id, SubstreamOrder::Write(text(10, n)));
    }
    world.deliver_all();
    world.room = 4 * SUBSTREAM_PIECE;
    world.settle(0);
    assert_eq!(world.lanes[0][&Lane::BULK].len(), 1);
}

#[test]
fn who_reads_nothing_is_granted_no_more_than_his_share_however_many_streams_there_are() {
    let mut world = World::linked();
    for _ in 0..MAX_SUBSTREAMS_PER_PEER {
        let id = world.open(0);
        world.order(0, id, SubstreamOrder::Write(text(100_000, 4)));
    }
    assert_eq!(world.try_open(0), Err(NotOpened::TooMany));
    world.deliver_all();
    // The application takes each, and reads none.
    for id in world.nodes[1].incoming.clone() {
        world.order(1, id, SubstreamOrder::Consumed(0));
    }
    world.deliver_all();
    let first = SUBSTREAM_WINDOW_FIRST * MAX_SUBSTREAMS_PER_PEER as u64;
    let taken = world.nodes[1].streams.taken();
    assert!(taken <= SUBSTREAM_SHARE_PER_PEER + first, "{taken}");
    assert!(world.nodes[1].unread.values().sum::<usize>() as u64 <= taken);
    world.run();
    assert!(world.nodes[1].heard.values().all(|heard| heard.len() == 100_000));
}

#[test]
fn streams_beyond_the_limit_are_refused_and_the_others_go_on() {
    let mut world = World::linked();
    let first = world.open(0);
    let mut patient = Substreams::default();
    let from = world.nodes[0].me;
    let mut out = VecDeque::new();
    patient.peer_up(world.now, from, 7, &mut out);
    for number in 0..=MAX_SUBSTREAMS_PER_PEER as u64 {
        let label = super::Label { number, by_sender: true };
        let bytes = Bytes::from_static(b"x");
        let message = SubstreamMessage::Data { label, offset: 0, fin: false, bytes };
        patient.handle_message(world.now, from, message, &mut out);
    }
    assert_eq!(patient.count(), MAX_SUBSTREAMS_PER_PEER);
    assert_eq!(patient.counters().refused, 1);
    // What the refused end hears of it.
    for effect in out {
        if let SubstreamEffect::Send { message, .. } = effect {
            let message = match message {
                SubstreamMessage::Stop { label, why } => {
                    SubstreamMessage::Stop { label: super::Label { number: 0, ..label }, why }
                }
                SubstreamMessage::Reset { label, why } => {
                    SubstreamMessage::Reset { label: super::Label { number: 0, ..label }, why }
                }
                other => panic!("{other:?}"),
            };
            let Node { streams, out, .. } = &mut world.nodes[0];
            streams.handle_message(world.now, id(2), message, out);
        }
    }
    world.settle(0);
    let busy = SubstreamEnd::Busy;
    assert_eq!(world.news(0), [SubstreamNews::Stopped(busy), SubstreamNews::Reset(busy)]);
    assert_eq!(first.number, 0);
}

#[test]
fn who_gives_up_ends_its_half_and_the_other_end_is_told_its_code() {
    let mut world = World::linked();
    let mine = world.open(0);
    let yours = there(&world, 0, mine);
    world.order(0, mine, SubstreamOrder::Write(text(1_000_000, 5)));
    world.deliver_all();
    world.order(0, mine, SubstreamOrder::Reset(9));
    world.order(1, yours, SubstreamOrder::Write(text(100, 6)));
    world.order(1, yours, SubstreamOrder::Finish);
    world.run();
    let code = SubstreamEnd::Application(9);
    assert!(world.news(1).contains(&SubstreamNews::Reset(code)));
    assert_eq!(world.news(0), [SubstreamNews::Finished]);
    assert_eq!(world.nodes[0].heard[&mine], text(100, 6), "the other direction goes on");
    assert!(world.is_clean());
}

#[test]
fn who_reads_no_more_stops_the_writer() {
    let mut world = World::linked();
    let mine = world.open(0);
    let yours = there(&world, 0, mine);
    world.order(0, mine, SubstreamOrder::Write(text(1_000_000, 5)));
    world.deliver_all();
    world.order(1, yours, SubstreamOrder::Stop(4));
    world.order(1, yours, SubstreamOrder::Finish);
    world.run();
    assert_eq!(
        world.news(0),
        [SubstreamNews::Stopped(SubstreamEnd::Application(4)), SubstreamNews::Finished]
    );
    assert!(world.is_clean());
}

#[test]
fn the_end_of_a_session_ends_its_streams_at_both_nodes_even_if_one_saw_no_end() {
    let mut world = World::linked();
    let mine = world.open(0);
    let yours = there(&world, 0, mine);
    world.order(0, mine, SubstreamOrder::Write(text(100, 7)));
    world.run();
    let (ended, gone) = (SubstreamEnd::SessionEnded, SubstreamEnd::Gone);
    world.news(1);
    world.down(0);
    assert_eq!(world.news(0), [SubstreamNews::Stopped(ended), SubstreamNews::Reset(ended)]);
    // The other node went on over another link, and says something meanwhile.
    world.order(1, yours, SubstreamOrder::Write(text(100, 8)));
    world.up(0);
    let fresh = world.open(0);
    world.order(0, fresh, SubstreamOrder::Write(text(50, 9)));
    world.run();
    let there = there(&world, 0, fresh);
    assert_eq!(world.nodes[1].heard[&there], text(50, 9), "a new stream is another");
    let news = world.news(1);
    assert!(news.contains(&SubstreamNews::Stopped(gone)), "{news:?}");
    assert!(news.contains(&SubstreamNews::Reset(gone)), "{news:?}");
    assert!(world.nodes.iter().all(|node| node.misbehaved.is_empty()));
    world.down(0);
    world.down(1);
    assert!(world.is_clean());
}

#[test]
fn a_stream_waits_for_a_link_and_is_given_up_in_time() {
    let mut world = World::linked();
    world.down(0);
    world.try_open(0).unwrap();
    assert_eq!((world.nodes[0].dials, world.nodes[0].opened.len()), (1, 0));
    world.now.mono = world.now.mono + SUBSTREAM_RECONNECT;
    let now = world.now;
    let Node { streams, out, .. } = &mut world.nodes[0];
    streams.handle_timeout(now, out);
    world.settle(0);
    assert_eq!(world.nodes[0].dials, 2);
    world.up(0);
    assert!(world.nodes[0].opened.pop().unwrap().is_ok());
    world.down(0);
    world.try_open(0).unwrap();
    world.now.mono = world.now.mono + SUBSTREAM_OPEN_TIMEOUT;
    let now = world.now;
    let Node { streams, out, .. } = &mut world.nodes[0];
    streams.handle_timeout(now, out);
    world.settle(0);
    assert_eq!(world.nodes[0].opened, [Err(NotOpened::NoLink)]);
    world.now.mono = world.now.mono + Duration::from_secs(60);
    let now = world.now;
    let Node { streams, out, .. } = &mut world.nodes[0];
    streams.handle_timeout(now, out);
    assert_eq!(streams.poll_timeout(), None, "nothing is waited for");
}

#[test]
fn nonsense_is_misbehavior_and_opens_nothing() {
    let label = super::Label { number: 5, by_sender: true };
    let piece = |offset, len: usize, fin| SubstreamMessage::Data {
        label,
        offset,
        fin,
        bytes: text(len, 1),
    };
    let window = usize::try_from(SUBSTREAM_WINDOW_FIRST).unwrap();
    let nonsense: [&[SubstreamMessage]; 4] = [
        &[piece(0, window + 1, false)],
        &[piece(0, 10, false), piece(11, 1, false)],
        &[piece(0, 10, true), piece(10, 1, false)],
        &[piece(0, 10, false), piece(10, 0, false)],
    ];
    for messages in nonsense {
        let mut world = World::linked();
        for message in messages {
            let Node { streams, out, .. } = &mut world.nodes[0];
            streams.handle_message(world.now, id(2), message.clone(), out);
        }
        world.settle(0);
        assert_eq!(world.nodes[0].misbehaved, [Misbehavior::ProtocolViolation], "{messages:?}");
    }
    // What nobody knows is answered once, and never answered back.
    let mut world = World::linked();
    let Node { streams, out, .. } = &mut world.nodes[0];
    streams.handle_message(world.now, id(2), piece(100, 10, false), out);
    world.settle(0);
    world.deliver_all();
    assert!(world.is_clean() && world.nodes[1].news.is_empty());
}

#[test]
fn whatever_applications_do_each_stream_is_a_prefix_of_what_was_written_and_ends_once() {
    for seed in 0..200 {
        let mut rng = Seed::new([seed; 32]).stream("substreams");
        story(&mut rng);
    }
}

fn story(rng: &mut Rng) {
    let mut world = World::linked();
    // What was written into each, as its reader calls it.
    let mut written: BTreeMap<(usize, SubstreamId), Vec<u8>> = BTreeMap::new();
    let mut closed = BTreeSet::new();
    for step in (0..=u8::MAX).cycle().take(400) {
        let at = usize::try_from(rng.below(2)).unwrap();
        let known: Vec<SubstreamId> = world.nodes[at]
            .opened
            .iter()
            .flatten()
            .chain(&world.nodes[at].incoming)
            .copied()
            .collect();
        match (rng.below(12), rng.choose(&known).copied()) {
            (0, _) if known.len() < 40 => drop(world.open(at)),
            (1..=3, Some(id)) => {
                let len = usize::try_from(rng.below(90_000)).unwrap();
                let bytes = text(len, step);
                let reader = there(&world, at, id);
                let written = written.entry((1 - at, reader)).or_default();
                if !closed.contains(&(at, id)) {
                    written.extend_from_slice(&bytes);
                }
                world.order(at, id, SubstreamOrder::Write(bytes));
            }
            (4, Some(id)) => {
                closed.insert((at, id));
                world.order(at, id, SubstreamOrder::Finish);
            }
            (5, Some(id)) if rng.below(4) == 0 => {
                closed.insert((at, id));
                world.order(at, id, SubstreamOrder::Reset(1));
            }
            (6, Some(id)) if rng.below(4) == 0 => world.order(at, id, SubstreamOrder::Stop(2)),
            (7 | 8, Some(id)) => {
                let now = world.now;
                world.nodes[at].read_all(now, id);
                world.settle(at);
            }
            (9, _) if rng.below(40) == 0 => {
                world.down(0);
                world.down(1);
                world.lanes = [BTreeMap::new(), BTreeMap::new()];
                world.up(at);
                world.up(1 - at);
            }
            _ => drop(world.deliver(at)),
        }
    }
    world.run();
    for (at, node) in world.nodes.iter().enumerate() {
        assert!(node.misbehaved.is_empty(), "{:?}", node.misbehaved);
        let news_of = |id: &SubstreamId| {
            let id = *id;
            node.news.iter().filter(move |(other, _)| *other == id).map(|(_, news)| news)
        };
        for (id, heard) in &node.heard {
            let all = &written[&(at, *id)];
            assert!(all.starts_with(heard), "{id:?}");
            let is_whole = news_of(id).any(|news| *news == SubstreamNews::Finished);
            assert!(!is_whole || heard == all, "{id:?}");
        }
        for (id, _) in &node.news {
            let [mut sending, mut receiving] = [0, 0];
            for news in news_of(id) {
                match news {
                    SubstreamNews::Delivered | SubstreamNews::Stopped(_) => sending += 1,
                    SubstreamNews::Finished | SubstreamNews::Reset(_) => receiving += 1,
                    _ => {}
                }
            }
            assert!(sending <= 1 && receiving <= 1, "{id:?}: {sending} and {receiving} ends");
        }
    }
    world.down(0);
    world.down(1);
    assert!(world.is_clean());
}

/// How a stream ends whose other end gives it up, and one whose session ends.
pub(crate) fn ends() -> Vec<SubstreamEnd> {
    let gives_up = |world: &mut World, mine| world.order(0, mine, SubstreamOrder::Reset(9));
    let leaves = |world: &mut World, _| world.down(1);
    let told = [&gives_up as &dyn Fn(&mut World, SubstreamId), &leaves].map(|what| {
        let mut world = World::linked();
        let mine = world.open(0);
        world.deliver_all();
        what(&mut world, mine);
        world.deliver_all();
        world.news(1)
    });
    let end = |news| if let SubstreamNews::Reset(end) = news { Some(end) } else { None };
    told.into_iter().flatten().filter_map(end).collect()
}
