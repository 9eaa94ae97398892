//! What a node does for peers that ask who is let in there.

use std::{collections::VecDeque, num::NonZeroU16};

use super::*;
use crate::{
    datagram::contract::ExtraSocket,
    limits::{FILTERING_PROBES_BURST, SECOND_PORT_LIFE},
    stun::TransactionId,
    time::Instant,
};

/// What a peer of many does when one of them says this.
fn asked_by(nat: &mut Nat, from: u8, step: ProbeStep, peers: &[DatagramPeer]) -> Vec<NatEffect> {
    let (now, mut out) = (Instant::from_micros(5_000_000_000), VecDeque::new());
    let probe = StrangerProbe { id: TransactionId([3; 12]), step };
    nat.strangers.handle_request(now, peer(from), &probe, peers, &mut out);
    out.into()
}

fn say(to: u8, step: ProbeStep) -> NatEffect {
    let message = NatMessage::Probe(StrangerProbe { id: TransactionId([3; 12]), step });
    NatEffect::Send { to: peer(to), message }
}

fn linked(n: u8, addr: &str, is_dialled: bool) -> DatagramPeer {
    DatagramPeer { peer: peer(n), addr: addr.parse().unwrap(), is_dialled }
}

#[test]
fn a_peer_asks_one_of_its_own_of_another_network_that_it_dialled_to_send_where_it_sees_the_asker() {
    let nobody = [
        linked(1, "20.1.1.1:4000", false),
        linked(2, "20.1.2.2:9000", true),
        linked(3, "20.1.3.3:9000", false),
        linked(4, "[2a00:1::4]:9000", true),
        linked(5, "192.168.1.5:9000", true),
    ];
    let mut nat = Nat::new(&[], &Seed::from_number(1));
    let said = asked_by(&mut nat, 1, ProbeStep::Ask, &nobody);
    assert_eq!(said, [say(1, ProbeStep::Nobody)]);
    let others = [linked(7, "20.7.7.7:9000", false), linked(6, "20.6.6.6:9000", true)];
    let peers = [&nobody[..], &others].concat();
    let said = asked_by(&mut nat, 1, ProbeStep::Ask, &peers);
    let there = |at: &str| at.parse().unwrap();
    let sent = say(6, ProbeStep::Send(there("20.1.1.1:4000")));
    assert_eq!(said, [sent, say(1, ProbeStep::Asked(there("20.6.6.6:9000")))]);
    assert_eq!(asked_by(&mut nat, 9, ProbeStep::Ask, &peers), [say(9, ProbeStep::Nobody)]);
}

#[test]
fn nobody_asks_or_is_asked_more_than_six_times_a_minute() {
    let peers: Vec<DatagramPeer> =
        (1..=40).map(|n| linked(n, &format!("20.{}.1.1:9000", n / 40), n == 40)).collect();
    let mut nat = Nat::new(&[], &Seed::from_number(1));
    let asks = |nat: &mut Nat, from| asked_by(nat, from, ProbeStep::Ask, &peers).len();
    let burst = usize::try_from(FILTERING_PROBES_BURST).unwrap();
    let one: Vec<usize> = (0..20).map(|_| asks(&mut nat, 1)).collect();
    assert_eq!(one.iter().filter(|said| **said == 2).count(), burst);
    assert_eq!(one.iter().filter(|said| **said == 0).count(), 20 - burst);
    assert_eq!(asks(&mut nat, 2), 1, "the only one that could send was asked often enough");
}

#[test]
fn a_stranger_sends_to_public_addresses_only_and_to_each_machine_as_often_as_it_may_whoever_asks() {
    let mut nat = Nat::new(&[], &Seed::from_number(1));
    let send = |nat: &mut Nat, from, to: String| {
        asked_by(nat, from, ProbeStep::Send(to.parse().unwrap()), &[])
    };
    for near in ["192.168.1.1:80", "127.0.0.1:80", "[::1]:80", "224.0.0.1:80", "20.1.1.1:0"] {
        assert_eq!(send(&mut nat, 1, near.to_owned()), []);
    }
    let sent = send(&mut nat, 1, "20.1.1.1:4000".to_owned());
    let to = "20.1.1.1:4000".parse().unwrap();
    assert_eq!(sent, [NatEffect::Answer { to, id: TransactionId([3; 12]) }]);
    let one = (0..20).map(|n| send(&mut nat, 2, format!("20.2.{n}.1:9")).len()).sum::<usize>();
    let all = (0..20).map(|n| send(&mut nat, 10 + n, "20.3.1.1:9".into()).len()).sum::<usize>();
    let burst = usize::try_from(FILTERING_PROBES_BURST).unwrap();
    assert_eq!((one, all), (burst, burst));
}

/// The peer asks for a packet from another port: over which socket it goes and to where, and what
/// the peer is told.
fn other_port(
    nat: &mut Nat,
    from: u8,
    port: u16,
    peers: &[DatagramPeer],
) -> (Vec<(Option<ExtraSocket>, SocketAddr)>, Vec<ProbeStep>) {
    let said = asked_by(nat, from, ProbeStep::OtherPort(NonZeroU16::new(port)), peers);
    let mut sent = Vec::new();
    let mut told = Vec::new();
    for effect in said {
        match effect {
            NatEffect::OpenSocket(_) => {}
            NatEffect::Answer { to, id } => {
                assert_eq!(id, TransactionId([3; 12]));
                sent.push(ExtraSocket::split(to));
            }
            NatEffect::Send { to, message: NatMessage::Probe(probe) } => {
                assert_eq!(to, peer(from));
                told.push(probe.step);
            }
            other => panic!("{other:?}"),
        }
    }
    (sent, told)
}

#[test]
fn who_asks_for_another_port_gets_one_packet_from_there_where_it_is_seen_and_nowhere_else() {
    let peers = [linked(1, "20.1.1.1:4000", false), linked(2, "20.2.1.1:4000", false)];
    let mut nat = Nat::new(&[], &Seed::from_number(1));
    let (sent, told) = other_port(&mut nat, 1, 0, &peers);
    assert_eq!((sent.len(), told), (1, vec![ProbeStep::Sent]));
    let (socket, to) = sent[0];
    assert_eq!(to, peers[0].addr);
    assert!(socket.is_some(), "not the port on which we listen");
    // Another port of the same address; and the socket is the same for all.
    let (sent, _) = other_port(&mut nat, 2, 5_555, &peers);
    assert_eq!(sent, [(socket, "20.2.1.1:5555".parse().unwrap())]);
    assert_eq!(other_port(&mut nat, 9, 5_555, &peers), (vec![], vec![ProbeStep::Nobody]));
}

#[test]
fn whom_no_packet_can_be_sent_to_from_another_port_is_told_so() {
    let near = [linked(1, "192.168.1.5:9000", false), linked(2, "[2a00:1::4]:9000", false)];
    let mut nat = Nat::new(&[], &Seed::from_number(1));
    for n in [1, 2] {
        assert_eq!(other_port(&mut nat, n, 0, &near), (vec![], vec![ProbeStep::Nobody]), "{n}");
    }
}

#[test]
fn nobody_gets_more_than_six_packets_from_another_port_in_a_minute_whoever_asks() {
    let one: Vec<DatagramPeer> =
        (1..=40).map(|n| linked(n, &format!("20.1.1.1:{n}"), false)).collect();
    let mut nat = Nat::new(&[], &Seed::from_number(1));
    let burst = usize::try_from(FILTERING_PROBES_BURST).unwrap();
    let sent: usize = (1..=40).map(|n| other_port(&mut nat, n, 0, &one).0.len()).sum();
    assert_eq!(sent, burst);
    let mut nat = Nat::new(&[], &Seed::from_number(1));
    let told: usize = (0..20).map(|_| other_port(&mut nat, 1, 0, &one).1.len()).sum();
    assert_eq!(told, burst, "what is too much is not heard");
}

#[test]
fn the_other_port_is_closed_when_nobody_asked_for_a_while() {
    let peers = [linked(1, "20.1.1.1:4000", false)];
    let mut nat = Nat::new(&[], &Seed::from_number(1));
    let (sent, _) = other_port(&mut nat, 1, 0, &peers);
    let at = nat.poll_timeout().unwrap();
    assert_eq!(at, Instant::from_micros(5_000_000_000) + SECOND_PORT_LIFE);
    let mut out = VecDeque::new();
    nat.strangers.handle_timeout(at, &mut out);
    assert_eq!(out, [NatEffect::CloseSocket(sent[0].0.unwrap())]);
    assert_eq!(nat.poll_timeout(), None);
}

#[test]
fn who_asks_for_a_stranger_at_another_port_has_it_sent_to_that_port_of_its_own_address() {
    let peers = [linked(1, "20.1.1.1:4000", false), linked(6, "20.6.6.6:9000", true)];
    let mut nat = Nat::new(&[], &Seed::from_number(1));
    let port = NonZeroU16::new(5_555).unwrap();
    let said = asked_by(&mut nat, 1, ProbeStep::AskAt(port), &peers);
    let sent = say(6, ProbeStep::Send("20.1.1.1:5555".parse().unwrap()));
    assert_eq!(said, [sent, say(1, ProbeStep::Asked("20.6.6.6:9000".parse().unwrap()))]);
}
