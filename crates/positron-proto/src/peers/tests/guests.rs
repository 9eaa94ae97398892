//! Guests who take slots, and newcomers who need one.

use super::{
    slots::stranger,
    world::{World, address, config},
};
use crate::{
    limits::{ANSWER_TIMEOUT, GREET_GRACE},
    peers::{PeersConfig, PeersEffect, PeersMessage},
    session::sessions::{DownReason, Peer},
    time::Duration,
    wire::frame::CloseReason,
};

/// A node with 45 slots for guests that nobody dialled yet.
fn hub() -> World {
    let mut world = World::new(1);
    world.add(&address(0), PeersConfig { max_peers: 50, ..config() });
    world
}

/// Whether who knocks is let in; who has to go for it is gone.
fn is_let_in(world: &mut World, guest: Peer) -> bool {
    let mut is_in = false;
    world.act(0, |node, now, out| {
        node.peers.handle_incoming(now, guest, &node.standings, out);
        is_in = out.drain(..).any(|effect| matches!(effect, PeersEffect::Admit(_)));
        if is_in {
            node.peers.peer_up(now, guest, &node.standings, out);
        }
        for effect in core::mem::take(out) {
            if let PeersEffect::Disconnect { peer, reason } = effect {
                is_in &= peer != guest.id;
                node.peers.peer_down(now, peer, &DownReason::ByUs(reason), out);
            }
        }
        out.clear();
    });
    is_in
}

fn says_something(world: &mut World, guest: &Peer) {
    world.act(0, |node, now, out| {
        let heartbeat = PeersMessage::Heartbeat(1);
        node.peers.handle_message(now, guest.id, heartbeat, &node.standings, out);
        out.clear();
    });
}

/// Eight guests of each of six addresses, all that there is room for.
fn crowd(world: &mut World) -> Vec<Peer> {
    let guest = |n| stranger(n, &format!("66.{}.6.6:{}", n / 8, 1000 + n));
    let guests: Vec<Peer> = (0..48).map(guest).filter(|guest| is_let_in(world, *guest)).collect();
    guests.into_iter().filter(|guest| is_linked(world, guest)).collect()
}

fn newcomers() -> impl Iterator<Item = Peer> {
    (0..20).map(|n| stranger(1_000 + n, &format!("77.{n}.7.7:777")))
}

fn is_linked(world: &World, guest: &Peer) -> bool {
    world.nodes[0].peers.has_met(&guest.id)
}

#[test]
fn newcomers_get_in_past_idle_guests_of_a_few_addresses_and_stay() {
    for wait in [Duration::ZERO, GREET_GRACE, GREET_GRACE * 3] {
        let mut world = hub();
        let idle = crowd(&mut world);
        assert_eq!(idle.len(), 45);
        world.now.mono = world.now.mono + wait;
        let let_in: Vec<Peer> =
            newcomers().filter(|newcomer| is_let_in(&mut world, *newcomer)).collect();
        assert_eq!(let_in.len(), 20, "{wait:?}");
        let left = idle.iter().filter(|guest| is_linked(&world, guest)).count();
        assert_eq!(left, 25);
        // The crowd comes back at once, and gets no more than its share of what is left.
        let again = idle.iter().filter(|guest| !is_linked(&world, guest));
        let again: Vec<Peer> = again.copied().collect();
        for guest in again {
            is_let_in(&mut world, guest);
        }
        assert!(let_in.iter().all(|newcomer| is_linked(&world, newcomer)), "{wait:?}");
    }
}

#[test]
fn who_knocks_and_does_not_come_pushes_nobody_out() {
    let mut world = hub();
    let crowd = crowd(&mut world);
    let mut let_in = 0;
    for number in 0..1_000 {
        let ghost = stranger(5_000 + number, "88.8.8.8:888");
        world.act(0, |node, now, out| {
            node.peers.handle_incoming(now, ghost, &node.standings, out);
            let_in += out.drain(..).filter(|out| matches!(out, PeersEffect::Admit(_))).count();
        });
    }
    assert!(crowd.iter().all(|guest| is_linked(&world, guest)));
    assert!(let_in <= 8, "{let_in} are waited for");
    let newcomer = newcomers().next().unwrap();
    assert!(is_let_in(&mut world, newcomer) && is_linked(&world, &newcomer));
}

#[test]
fn as_many_of_each_network_push_nobody_out() {
    let mut world = hub();
    let guests = (0..45).map(|n| stranger(n, &format!("66.{n}.6.6:666")));
    assert!(guests.into_iter().all(|guest| is_let_in(&mut world, guest)));
    assert_eq!(newcomers().filter(|newcomer| is_let_in(&mut world, *newcomer)).count(), 0);
}

#[test]
fn who_never_says_hello_is_let_go_whatever_else_it_says() {
    let mut world = hub();
    let guest = stranger(1, "66.6.6.6:666");
    assert!(is_let_in(&mut world, guest));
    let mut let_go = Vec::new();
    let end = world.now.mono + ANSWER_TIMEOUT + 2 * GREET_GRACE;
    while world.now.mono < end {
        world.now.mono = world.now.mono + Duration::from_secs(1);
        says_something(&mut world, &guest);
        world.act(0, |node, now, out| {
            node.peers.handle_timeout(now, &node.standings, out);
            let_go
                .extend(out.drain(..).filter(|out| matches!(out, PeersEffect::Disconnect { .. })));
        });
    }
    let reason = CloseReason::Timeout;
    assert_eq!(let_go, [PeersEffect::Disconnect { peer: guest.id, reason }]);
}
