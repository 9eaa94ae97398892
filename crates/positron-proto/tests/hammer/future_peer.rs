//! A node of a later version among nodes of this one: its record names kinds that mean nothing
//! here, and it says what nobody understands. All that it says is written byte by byte.

use std::sync::Arc;

use bytes::Bytes;
use positron_proto::{
    handshake::{Expect, link_public_key},
    id::NodeId,
    identity::{Identity, Signed},
    node::AllCounters,
    session::sessions::{DialRequest, Effort, Purpose},
    time::Duration,
    wire::{
        Address, Reader,
        frame::Lane,
        record::{CarrierParameter, PeerRecord},
    },
};

use crate::rig::{Rig, address, identity, network};

/// Two nodes of this version; what they keep of the later one shows in their links and standings.
const FIRST: usize = 0;
const SECOND: usize = 1;

struct FuturePeer {
    host: usize,
    me: Arc<Identity>,
    /// Its record and signature.
    record: Bytes,
}

impl FuturePeer {
    fn enter(rig: &mut Rig, seed: usize) -> Self {
        let me = identity(seed);
        let host = rig.add_raw(Arc::clone(&me), u64::try_from(seed).unwrap());
        let record = PeerRecord {
            key: *me.public_key(),
            sequence: 1_900_000_000_000_000,
            noise_static: link_public_key(&me),
            capabilities: 0xFFFF_FFFF,
            addresses: vec![
                Address::new(19, b"somewhere else").unwrap(),
                address(host).into(),
                Address::new(255, &[0xFF; 128]).unwrap(),
            ],
            carriers: vec![
                CarrierParameter::new(1, &[0xC1; 96]).unwrap(),
                CarrierParameter::new(254, b"").unwrap(),
            ],
            software: "positron-net/9.0.0".into(),
        };
        let record = me.sign(record, &network()).claim().to_bytes();
        Self { host, me, record }
    }

    fn dial(&self, rig: &mut Rig, to: usize) {
        let me = identity(to);
        let (expect, noise_static) = (Expect::Node(me.node_id()), Some(link_public_key(&me)));
        let dial = DialRequest {
            to: address(to),
            expect,
            noise_static,
            purpose: Purpose::Connect,
            effort: Effort::Full,
        };
        rig.with_raw(self.host, |sessions, now, out| sessions.dial(now, dial, out));
        rig.run();
        assert_eq!(rig.hosts[self.host].up.last(), Some(&me.node_id()));
    }

    fn say(&self, rig: &mut Rig, to: NodeId, lane: Lane, body: Vec<u8>) {
        rig.with_raw(self.host, |sessions, now, out| {
            sessions.send(now, to, lane, body.into(), None, out).unwrap();
        });
    }

    /// HANDSHAKE or HANDSHAKE_ACK; the other end is seen at an address of unknown kind.
    fn hello(&self, kind: u8) -> Vec<u8> {
        [&[kind][..], &self.record, &[99, 3], b"you", &[0]].concat()
    }

    /// Answers what it was asked, and leaves unanswered what it was told. Returns that.
    fn answer(&self, rig: &mut Rig) -> Vec<Bytes> {
        let heard = std::mem::take(&mut rig.hosts[self.host].heard);
        for (from, body) in &heard {
            match body.first() {
                Some(1) => self.say(rig, *from, Lane::CONTROL, self.hello(2)),
                Some(4) => self.say(rig, *from, Lane::CONTROL, vec![5, 0]),
                _ => {}
            }
        }
        heard.into_iter().map(|(_, body)| body).collect()
    }
}

/// The clock goes on; whoever of a later version was asked answers.
fn pass(rig: &mut Rig, time: Duration, peers: &[&FuturePeer]) -> Vec<Bytes> {
    let (mut heard, step) = (Vec::new(), Duration::from_millis(100));
    let end = rig.now.mono + time;
    while rig.now.mono < end {
        rig.tick(step);
        rig.run();
        for peer in peers {
            heard.extend(peer.answer(rig));
        }
        rig.run();
    }
    heard
}

/// What a node of this version makes of a peer.
fn score(rig: &mut Rig, n: usize, peer: NodeId) -> f64 {
    rig.core(n).trust().standings().of(&peer).score
}

fn counters(rig: &mut Rig, n: usize) -> AllCounters {
    let now = rig.now;
    rig.core(n).view(now).counters
}

#[test]
fn a_peer_of_a_later_version_is_linked_passed_on_as_it_is_and_never_blamed() {
    let mut rig = Rig::new(1);
    rig.run();
    let peer = FuturePeer::enter(&mut rig, 2);
    let third = FuturePeer::enter(&mut rig, 3);
    let id = peer.me.node_id();
    let (first, second) = (rig.core(FIRST).id(), rig.core(SECOND).id());
    let before = score(&mut rig, FIRST, id);
    peer.dial(&mut rig, FIRST);
    peer.say(&mut rig, first, Lane::CONTROL, peer.hello(1));
    for kind in [0, 60, 21, 22, 200, 255] {
        for lane in [Lane::CONTROL, Lane::GOSSIP, Lane::DIRECT] {
            peer.say(&mut rig, first, lane, [&[kind][..], &[0xFF; 300]].concat());
        }
    }
    rig.run();
    assert_eq!(counters(&mut rig, FIRST).node.unknown_types, 18);

    // The first probes it, and tells the second when that asks; who dials it then has verified it.
    pass(&mut rig, Duration::from_secs(30), &[&peer]);
    let mut linked = rig.hosts[peer.host].up.clone();
    linked.sort_unstable();
    let mut both = vec![first, second];
    both.sort_unstable();
    assert_eq!(linked, both);

    // A third that only the second meets is told the bytes that were signed.
    third.dial(&mut rig, SECOND);
    third.say(&mut rig, second, Lane::CONTROL, third.hello(1));
    let heard = pass(&mut rig, Duration::from_secs(2), &[&peer, &third]);
    let told = heard.iter().find_map(|body| {
        let at = body.windows(peer.record.len()).position(|bytes| bytes == peer.record)?;
        Some(body.slice(at..))
    });
    let told = Signed::<PeerRecord>::decode(&mut Reader::new(told.expect("told"))).unwrap();
    let verdict = told.job(&network()).run();
    assert!(told.accept(verdict).is_some());

    for n in [FIRST, SECOND] {
        assert!(score(&mut rig, n, id) >= before);
        assert!(score(&mut rig, n, if n == FIRST { second } else { first }) >= before);
        let counters = counters(&mut rig, n);
        assert_eq!((counters.node.malformed, counters.peers.records_forged), (0, 0));
    }
    assert!(rig.are_linked(FIRST, SECOND));
}

#[test]
fn nonsense_within_a_known_kind_is_still_a_violation() {
    let mut rig = Rig::new(2);
    rig.run();
    let peer = FuturePeer::enter(&mut rig, 2);
    let (id, first) = (peer.me.node_id(), rig.core(FIRST).id());
    let before = score(&mut rig, FIRST, id);
    peer.dial(&mut rig, FIRST);
    // Its own address comes second in its record: five bytes instead of six.
    let mut hello = peer.hello(1);
    let at = 1 + 32 + 8 + 32 + 4 + 1 + (2 + b"somewhere else".len());
    assert_eq!(hello[at..at + 2], [4, 6]);
    hello[at + 1] = 5;
    hello.remove(at + 2);
    peer.say(&mut rig, first, Lane::CONTROL, hello);
    rig.run();
    assert_eq!(rig.hosts[peer.host].up, []);
    assert_eq!(counters(&mut rig, FIRST).node.malformed, 1);
    assert!(score(&mut rig, FIRST, id) < before);
}
