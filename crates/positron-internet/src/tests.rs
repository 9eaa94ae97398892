//! A few hosts, and what they see of the network between them.

use std::net::SocketAddr;

use bytes::Bytes;

use crate::{
    Closed, DEFAULT_TTL, Delivery, Event, Firewall, Hangup, HostId, Internet, Loss, PathLaws,
    StreamId, StreamLaws, Time, Traffic,
};

const MS: Time = Time::from_millis(1);
const SECOND: Time = Time::from_secs(1);

/// Two hosts, 10 ms apart.
struct Stage {
    internet: Internet<Vec<u8>>,
    hosts: [HostId; 2],
    now: Time,
}

fn addr(host: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, host], 8888))
}

impl Stage {
    fn new(laws: PathLaws, streams: StreamLaws) -> Self {
        let mut internet = Internet::new(7, laws, streams);
        let hosts = [0, 1].map(|host| internet.add_host(addr(host)));
        Self { internet, hosts, now: Time::ZERO }
    }

    fn calm() -> Self {
        Self::new(PathLaws::calm(10 * MS), StreamLaws::CALM)
    }

    fn send(&mut self, from: u8, text: &str) -> Result<(), Loss> {
        let payload = text.as_bytes().to_vec();
        self.internet.send(self.now, addr(from), addr(1 - from), payload, DEFAULT_TTL)
    }

    /// What hosts hear in this time, in order.
    fn pass(&mut self, time: Time) -> Vec<Delivery<Vec<u8>>> {
        self.now += time;
        std::iter::from_fn(|| self.internet.poll(self.now)).collect()
    }

    /// The datagrams that a host hears in this time.
    fn texts(&mut self, host: usize, time: Time) -> Vec<String> {
        let texts = self.pass(time).into_iter().filter(|heard| heard.host == self.hosts[host]);
        let text = |heard: Delivery<Vec<u8>>| match heard.event {
            Event::Datagram { payload, .. } => String::from_utf8(payload).ok(),
            _ => None,
        };
        texts.filter_map(text).collect()
    }

    fn connected(&mut self) -> StreamId {
        let id = self.internet.connect(self.now, self.hosts[0], addr(1));
        let heard = self.pass(SECOND);
        assert!(heard.iter().any(|heard| heard.event == Event::Connected { id }));
        id
    }

    fn write(&mut self, id: StreamId, bytes: &'static [u8]) {
        self.internet.write(self.now, self.hosts[0], id, Bytes::from_static(bytes));
    }
}

fn data(heard: &[Delivery<Vec<u8>>]) -> Vec<u8> {
    let bytes = heard.iter().filter_map(|heard| match &heard.event {
        Event::Data { bytes, .. } => Some(bytes.to_vec()),
        _ => None,
    });
    bytes.flatten().collect()
}

fn closed(heard: &[Delivery<Vec<u8>>]) -> Vec<(usize, Closed)> {
    let closed = heard.iter().filter_map(|heard| match heard.event {
        Event::Closed { why, .. } => Some((heard.host.index(), why)),
        _ => None,
    });
    closed.collect()
}

#[test]
fn one_seed_and_the_same_calls_give_the_same_deliveries() {
    let foul = PathLaws {
        loss: 0.2,
        duplicates: 0.2,
        detours: 0.2,
        detour: (MS, 50 * MS),
        jitter: (Time::ZERO, 5 * MS),
        damage: 0.1,
        ..PathLaws::calm(10 * MS)
    };
    let play = || {
        let mut stage = Stage::new(foul, StreamLaws { loss: 0.1, ..StreamLaws::CALM });
        let id = stage.connected();
        let mut heard = Vec::new();
        for n in 0..500_u32 {
            let _ = stage.send(u8::try_from(n % 2).unwrap(), &n.to_string());
            stage.write(id, b"some bytes");
            heard.extend(stage.pass(MS));
        }
        heard.extend(stage.pass(60 * SECOND));
        heard
    };
    let heard = play();
    assert_eq!(data(&heard).len(), 5_000);
    assert!(heard.is_sorted_by_key(|heard| heard.at));
    assert_eq!(heard, play());
}

#[test]
fn a_partition_loses_datagrams_and_holds_streams_back() {
    let mut stage = Stage::calm();
    let id = stage.connected();
    stage.internet.part([stage.hosts[0]]);
    assert_eq!(stage.send(0, "lost"), Err(Loss::Unreachable));
    stage.write(id, b"late");
    assert_eq!(data(&stage.pass(30 * SECOND)), b"");
    stage.internet.heal(stage.now);
    assert_eq!(data(&stage.pass(2 * SECOND)), b"late");
    stage.send(0, "heard").unwrap();
    assert_eq!(stage.texts(1, SECOND), ["heard"]);
}

#[test]
fn a_partition_of_one_way_loses_the_datagrams_of_one_side_only_and_holds_streams_back() {
    let mut stage = Stage::calm();
    let id = stage.connected();
    stage.internet.part_one_way([stage.hosts[0]]);
    assert_eq!(stage.send(0, "lost"), Err(Loss::Unreachable));
    stage.send(1, "heard").unwrap();
    assert_eq!(stage.texts(0, SECOND), ["heard"]);
    stage.write(id, b"late");
    assert_eq!(data(&stage.pass(30 * SECOND)), b"");
    stage.internet.heal(stage.now);
    assert_eq!(data(&stage.pass(2 * SECOND)), b"late");
}

#[test]
fn what_is_under_way_when_a_partition_begins_is_lost_and_what_a_cut_finds_there_is_not() {
    let mut stage = Stage::calm();
    stage.send(0, "under way").unwrap();
    stage.internet.topology_mut().part([HostId::new(0)]);
    assert!(stage.texts(1, SECOND).is_empty());
    stage.internet.heal(stage.now);
    stage.send(0, "under way").unwrap();
    let until = stage.now + SECOND;
    stage.internet.topology_mut().cut(HostId::new(0), HostId::new(1), until);
    assert_eq!(stage.send(0, "cut"), Err(Loss::Unreachable));
    assert_eq!(stage.texts(1, SECOND), ["under way"]);
    stage.send(0, "again").unwrap();
    assert_eq!(stage.texts(1, SECOND), ["again"]);
}

#[test]
fn a_black_hole_may_be_one_way_and_spare_streams() {
    let mut stage = Stage::calm();
    stage.internet.topology_mut().black_hole(HostId::new(0), Traffic::DatagramsOut, true);
    assert_eq!(stage.send(0, "out"), Err(Loss::Unreachable));
    stage.send(1, "in").unwrap();
    assert_eq!(stage.texts(0, SECOND), ["in"]);
    let id = stage.connected();
    stage.internet.topology_mut().black_hole(HostId::new(0), Traffic::Streams, true);
    stage.write(id, b"held");
    assert_eq!(data(&stage.pass(SECOND)), b"");
}

#[test]
fn a_black_hole_by_size_swallows_in_one_direction_what_is_too_large() {
    let mut stage = Stage::calm();
    let narrow = PathLaws { mtu: 3, ..PathLaws::calm(10 * MS) };
    stage.internet.topology_mut().set_path(HostId::new(0), HostId::new(1), narrow);
    assert_eq!(stage.send(0, "four"), Err(Loss::TooLarge));
    stage.send(0, "two").unwrap();
    stage.send(1, "four").unwrap();
    assert_eq!(stage.texts(1, 10 * MS), ["two"]);
}

#[test]
fn who_moves_is_no_longer_where_it_was() {
    let mut stage = Stage::calm();
    let id = stage.connected();
    stage.send(0, "to the former address").unwrap();
    let elsewhere = SocketAddr::from(([10, 0, 9, 9], 4_000));
    stage.internet.move_host(stage.hosts[1], addr(1), elsewhere);
    assert!(stage.texts(1, SECOND).is_empty());
    assert_eq!(stage.send(0, "nobody"), Err(Loss::Nobody));
    let hello = b"hello".to_vec();
    stage.internet.send(stage.now, addr(0), elsewhere, hello, DEFAULT_TTL).unwrap();
    assert_eq!(stage.texts(1, SECOND), ["hello"]);
    stage.write(id, b"to a dead stream");
    assert_eq!(data(&stage.pass(60 * SECOND)), b"");
}

#[test]
fn a_stream_arrives_whole_and_in_order_however_much_is_lost() {
    let laws = StreamLaws { loss: 0.3, ..StreamLaws::CALM };
    let mut stage = Stage::new(PathLaws::calm(10 * MS), laws);
    let id = stage.connected();
    let all: Vec<u8> = (0..200_000_u32).map(|n| u8::try_from(n * 7 % 251).unwrap()).collect();
    let mut heard = Vec::new();
    for part in all.chunks(3_333) {
        stage.internet.write(stage.now, stage.hosts[0], id, part.to_vec().into());
        heard.extend(stage.pass(MS));
    }
    heard.extend(stage.pass(60 * SECOND));
    assert_eq!(data(&heard), all);
}

#[test]
fn a_reader_that_stops_holds_up_the_writer_and_loses_nothing() {
    let laws = StreamLaws { kernel_buffer: 1_000, ..StreamLaws::CALM };
    let mut stage = Stage::new(PathLaws::calm(10 * MS), laws);
    let id = stage.connected();
    stage.internet.kernel_mut(HostId::new(1)).set_reading(false);
    stage.write(id, &[7; 5_000]);
    let heard = stage.pass(10 * SECOND);
    let written = heard.iter().filter_map(|heard| match heard.event {
        Event::Written { bytes, .. } => Some(bytes),
        _ => None,
    });
    let written: usize = written.sum();
    assert!((1_000..=3_000).contains(&written), "{written} bytes taken");
    assert_eq!(data(&heard), b"");
    stage.internet.kernel_mut(HostId::new(1)).set_reading(true);
    stage.internet.heal(stage.now);
    assert_eq!(data(&stage.pass(10 * SECOND)), [7; 5_000]);
}

#[test]
fn a_stream_is_refused_or_times_out_or_is_answered() {
    let mut stage = Stage::calm();
    let wrong_port = SocketAddr::from(([10, 0, 0, 1], 1));
    let nobody = SocketAddr::from(([10, 9, 9, 9], 8888));
    stage.internet.connect(stage.now, stage.hosts[0], wrong_port);
    stage.internet.connect(stage.now, stage.hosts[0], nobody);
    let heard = stage.pass(60 * SECOND);
    assert_eq!(closed(&heard), [(0, Closed::Refused), (0, Closed::TimedOut)]);
}

#[test]
fn a_flushed_stream_delivers_everything_and_an_aborted_one_is_reset() {
    for (how, there) in [(Hangup::Flush, Closed::Eof), (Hangup::Abort, Closed::Reset)] {
        let laws = StreamLaws { kernel_buffer: 1_000, ..StreamLaws::CALM };
        let mut stage = Stage::new(PathLaws::calm(10 * MS), laws);
        let id = stage.connected();
        stage.write(id, &[7; 5_000]);
        stage.internet.close(stage.now, stage.hosts[0], id, how);
        let heard = stage.pass(4 * SECOND);
        assert_eq!(closed(&heard), [(0, Closed::HungUp), (1, there)], "{how:?}");
        assert_eq!(data(&heard).len() == 5_000, how == Hangup::Flush, "{how:?}");
    }
}

#[test]
fn a_firewall_lets_in_only_what_answers_and_only_for_a_while() {
    let mut stage = Stage::calm();
    stage.internet.install(stage.hosts[0], Box::new(Firewall::new(30 * SECOND)));
    stage.send(1, "unsolicited").unwrap();
    assert!(stage.texts(0, SECOND).is_empty());
    stage.send(0, "question").unwrap();
    stage.send(1, "answer").unwrap();
    assert_eq!(stage.texts(0, SECOND), ["answer"]);
    stage.now += 30 * SECOND;
    stage.send(1, "late").unwrap();
    assert!(stage.texts(0, SECOND).is_empty());
    let id = stage.internet.connect(stage.now, stage.hosts[1], addr(0));
    assert_eq!(closed(&stage.pass(60 * SECOND)), [(1, Closed::TimedOut)], "{id:?}");
    stage.connected();
}

#[test]
fn a_short_hop_limit_opens_the_near_box_and_dies_before_the_far_one() {
    let mut stage = Stage::calm();
    for host in stage.hosts {
        stage.internet.install(host, Box::new(Firewall::new(30 * SECOND)));
    }
    let opener = |stage: &mut Stage, from: u8, ttl: u8| {
        stage.internet.send(stage.now, addr(from), addr(1 - from), b"opener".to_vec(), ttl)
    };
    assert_eq!(opener(&mut stage, 0, 1), Err(Loss::Expired));
    assert_eq!(opener(&mut stage, 0, 2), Err(Loss::Expired));
    opener(&mut stage, 0, 3).unwrap();
    assert!(stage.pass(SECOND).is_empty());
    stage.send(1, "through the door that the opener opened").unwrap();
    assert_eq!(stage.texts(0, SECOND).len(), 1);
}

#[test]
fn a_slow_line_makes_its_queue_long_before_it_drops_anything() {
    let slow = PathLaws { rate: Some(10_000), queue: 5_000, ..PathLaws::calm(10 * MS) };
    let mut stage = Stage::new(slow, StreamLaws::CALM);
    let text = "x".repeat(1_000);
    let sent: Vec<_> = (0..8).map(|_| stage.send(0, &text)).collect();
    assert_eq!(sent.iter().filter(|sent| **sent == Err(Loss::Queue)).count(), 3);
    let at: Vec<_> = stage.pass(SECOND).iter().map(|heard| heard.at).collect();
    assert_eq!(at, [110, 210, 310, 410, 510].map(Time::from_millis));
}

#[test]
fn a_process_that_ends_is_not_heard_of_until_somebody_writes_to_it() {
    let mut stage = Stage::calm();
    let id = stage.connected();
    let kernel = stage.internet.kernel_mut(HostId::new(1));
    kernel.end();
    kernel.set_power(false);
    stage.write(id, b"hello");
    assert!(closed(&stage.pass(60 * SECOND)).is_empty());
    // With power its kernel knows of no such stream.
    stage.internet.kernel_mut(HostId::new(1)).set_power(true);
    stage.write(id, b"again");
    assert_eq!(closed(&stage.pass(SECOND)), [(0, Closed::Reset)]);
}
