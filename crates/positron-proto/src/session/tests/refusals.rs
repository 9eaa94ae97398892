use super::*;
use crate::handshake::aead::Suite;

/// No session, nothing left behind, at either end.
fn assert_nothing_came_of_it(world: &World) {
    for node in &world.nodes {
        assert!(!node.sessions.has_links(), "{:?}", node.sessions.links);
        assert_eq!(node.sessions.conversations.peers().count(), 0);
        let counted = |out: &SessionEffect| {
            matches!(
                out,
                SessionEffect::Incoming(_) | SessionEffect::Up(_) | SessionEffect::Down { .. }
            )
        };
        assert!(!node.said.iter().any(counted), "{:?}", node.said);
        assert_eq!(node.sessions.counters().sessions, 0);
    }
}

#[test]
fn a_static_key_that_is_out_of_date_falls_back_to_xx_on_the_same_stream() {
    let mut world = World::new(3);
    let to_second =
        DialRequest { noise_static: Some(world.nodes[2].noise_static), ..world.known(1) };
    world.dial(0, to_second);
    world.run();
    assert!(world.is_up(0, 1) && world.is_up(1, 0));
    assert_eq!(world.wires.len(), 1);
}

#[test]
fn a_static_key_of_small_order_in_a_record_does_not_keep_its_node_from_being_reached() {
    let mut world = World::new(2);
    let to_second = DialRequest { noise_static: Some([0; 32]), ..world.known(1) };
    world.dial(0, to_second);
    world.run();
    assert!(world.is_up(0, 1));
}

#[test]
fn another_node_than_the_expected_one_is_named_and_told() {
    for theirs in [None, Some(1), Some(2)] {
        let mut world = World::new(3);
        let noise_static = theirs.map(|n: usize| world.nodes[n].noise_static);
        let to_second = DialRequest { to: world.nodes[2].addr, noise_static, ..world.known(1) };
        world.dial(0, to_second);
        world.run();
        let found = world.nodes[2].id;
        assert_eq!(world.failures(0), [DialFailure::from(HandshakeFailure::WrongNode { found })]);
        assert_nothing_came_of_it(&world);
    }
}

#[test]
fn another_network_is_refused_sealed_by_either_pattern() {
    for known in [true, false] {
        let elsewhere = SessionConfig { network: NetworkId::from_name("elsewhere"), ..config() };
        let mut world = World::with_configs(vec![config(), elsewhere]);
        let dial = if known { world.known(1) } else { dial(world.nodes[1].addr) };
        world.dial(0, dial);
        world.run();
        let wrong = DialFailure::refused(CloseReason::WrongNetwork);
        assert_eq!(world.failures(0), [wrong]);
        assert_eq!(world.nodes[1].sessions.counters().handshakes_failed, 1);
        assert_nothing_came_of_it(&world);
    }
}

#[test]
fn a_listener_of_another_version_says_so_and_gets_no_session() {
    let mut world = World::new(2);
    let dial = world.known(1);
    world.dial(0, dial);
    let mut syn = world.wires[0].pipes[0].pop_front().unwrap().to_vec();
    syn[1] = 2;
    world.wires[0].pipes[0].push_back(syn.into());
    world.carry(0, 0);
    let mut rst = world.wires[0].pipes[1].pop_front().unwrap().to_vec();
    assert_eq!(rst, [0xBE, 1, 6, 1, 0, 1, 1]);
    rst[1] = 2;
    world.wires[0].pipes[1].push_back(rst.into());
    world.run();
    assert_eq!(world.failures(0), [DialFailure::refused(CloseReason::WrongVersion)]);
    assert_nothing_came_of_it(&world);
}

#[test]
fn a_node_that_dials_itself_finds_out() {
    for known in [true, false] {
        let mut world = World::new(1);
        let dial = if known { world.known(0) } else { dial(world.nodes[0].addr) };
        world.dial(0, dial);
        world.run();
        assert_eq!(world.failures(0), [DialFailure::from(HandshakeFailure::Ourselves)]);
        assert_nothing_came_of_it(&world);
    }
}

#[test]
fn without_a_common_cipher_there_is_no_session() {
    for (known, listener) in [(true, Suite::Aes256Gcm), (false, Suite::Aes256Gcm)] {
        let mut world = World::new(2);
        world.nodes[0].sessions.carriers_mut().streams.local_mut().suites =
            Suite::ChaCha20Poly1305.bit();
        world.nodes[1].sessions.carriers_mut().streams.local_mut().suites = listener.bit();
        let dial = if known { world.known(1) } else { dial(world.nodes[1].addr) };
        world.dial(0, dial);
        world.run();
        assert_eq!(world.failures(0), [DialFailure::refused(CloseReason::WrongFeatures)]);
        assert_nothing_came_of_it(&world);
    }
}

#[test]
fn a_probe_learns_who_answers_and_the_other_end_counts_no_session() {
    for known in [true, false] {
        let mut world = World::new(2);
        let dial = if known { world.known(1) } else { dial(world.nodes[1].addr) };
        world.dial(0, DialRequest { purpose: Purpose::Probe, ..dial });
        world.run();
        assert_eq!(world.outcomes(0), [DialOutcome::Probed(world.nodes[1].id, LinkKind::Tcp)]);
        assert_eq!(world.nodes[1].sessions.counters().handshakes_failed, 0);
        assert_nothing_came_of_it(&world);
    }
}

#[test]
fn a_probe_that_meets_somebody_else_fails_like_a_dial() {
    let mut world = World::new(3);
    let probe = DialRequest { to: world.nodes[2].addr, purpose: Purpose::Probe, ..world.known(1) };
    world.dial(0, probe);
    world.run();
    let found = world.nodes[2].id;
    assert_eq!(world.failures(0), [DialFailure::from(HandshakeFailure::WrongNode { found })]);
}

#[test]
fn a_refusal_comes_with_its_reason_and_a_last_message() {
    let mut world = World::new(2);
    let parting = Bytes::from_static(b"addresses of others");
    world.nodes[1].door = AtTheDoor::Refuse(CloseReason::SlotsFull, Some(parting.clone()));
    let dial = world.known(1);
    world.dial(0, dial);
    world.run();
    assert_eq!(world.failures(0), [DialFailure::refused(CloseReason::SlotsFull)]);
    let peer = world.nodes[1].id;
    assert!(world.nodes[0].said.contains(&SessionEffect::Referral { peer, body: parting }));
    assert_eq!(world.ups(0) + world.ups(1), 0);
    assert!(world.nodes.iter().all(|node| !node.sessions.has_links()));
}

#[test]
fn something_else_that_answers_is_named() {
    for (answer, name) in [
        ("HTTP/1.1 400 Bad Request\r\n", "HTTP"),
        ("SSH-2.0-OpenSSH_9.6\r\n", "SSH"),
        ("\x15\x03\x01\x00\x02\x02\x46", "TLS"),
        ("220 smtp.example.org", "something else"),
        ("\0", "something else"),
    ] {
        let mut world = World::new(2);
        let dial = world.known(1);
        world.dial(0, dial);
        world.wires[0].pipes[1].push_back(Bytes::from_static(answer.as_bytes()));
        world.carry(0, 1);
        assert_eq!(world.failures(0), [DialFailure::from(HandshakeFailure::NotPositron(name))]);
        assert_eq!(world.nodes[0].sessions.counters().protocol_mismatches, 1);
    }
}

#[test]
fn a_dial_that_nobody_takes_or_answers_ends_with_its_reason_in_time() {
    let mut world = World::new(2);
    let (now, dial) = (world.now, dial(SocketAddr::from(([10, 9, 9, 9], 1))));
    world.dial(0, dial);
    assert_eq!(world.failures(0), [DialFailure::Link(LinkDown::Refused)]);

    let mut out = VecDeque::new();
    let sessions = &mut world.nodes[0].sessions;
    sessions.dial(now, dial, &mut out);
    let later = Now { mono: sessions.poll_timeout().unwrap(), ..now };
    assert_eq!(later.mono.since(now.mono), config().connect_timeout);
    out.clear();
    sessions.handle_timeout(later, &mut out);
    let outcome = DialOutcome::Failed(DialFailure::Link(LinkDown::TimedOut));
    assert!(out.contains(&SessionEffect::DialEnded { dial, outcome }));

    let to_second = world.known(1);
    world.dial(0, to_second);
    world.wires[0].stalled[1] = true;
    world.advance(secs(6));
    assert_eq!(world.failures(0).last(), Some(&DialFailure::Timeout));
    assert_eq!(world.nodes[0].sessions.counters().handshakes_timed_out, 1);
}

#[test]
fn whoever_is_closed_while_knocking_or_confirming_is_told() {
    for closer in [0, 1] {
        let mut world = World::new(2);
        world.nodes[1].door = AtTheDoor::Wait;
        let dial = world.known(1);
        world.dial(0, dial);
        world.run();
        world.close(closer, 1 - closer, CloseReason::Banned);
        world.run();
        assert_eq!(world.failures(0), [DialFailure::refused(CloseReason::Banned)]);
        assert!(world.nodes.iter().all(|node| !node.sessions.has_links()));
    }
}
