//! Who receives what over a transport, one by one and in batches: the same over UDP and over TCP.

mod transport;

use std::collections::BTreeSet;

use positron_networking::{
    CloseReason,
    transport::{Closed, Delivery, Expect, Protocol, TransportSendError},
};
use transport::{Pair, in_time, over_both, pair, start, until};

const ORDERED: Delivery = Delivery::Ordered;

over_both! {
    a_connection_that_is_asked_keeps_its_messages_for_itself;
    messages_are_taken_many_at_a_time;
    what_is_given_up_while_it_waits_loses_nothing;
    a_connection_that_nobody_reads_holds_up_nobody_else;
    connections_take_turns;
    what_arrived_before_the_end_is_received_and_then_the_reason;
    what_nobody_reads_of_connections_that_are_over_is_bounded;
}

async fn a_connection_that_is_asked_keeps_its_messages_for_itself<P: Protocol>() {
    let Pair { alice, bob, there, here } = pair::<P>().await;
    let (mut at_bob, carol) = (bob.incoming(), start::<P>().await);
    there.send(0, ORDERED, "waits").await.unwrap();
    in_time(there.flush()).await.unwrap();
    until(|| bob.stats().connections[0].untaken_bytes > 0).await;
    // The call decides, not its await.
    drop(here.receive());
    there.send(0, ORDERED, "follows").await.unwrap();
    in_time(there.flush()).await.unwrap();
    in_time(carol.send_reliable(bob.local_addr(), "from carol")).await.unwrap();
    assert_eq!(in_time(at_bob.recv()).await.unwrap().data, "from carol");
    let clone = here.clone();
    let first = in_time(clone.receive()).await.unwrap();
    assert_eq!((&first.data[..], first.from), (&b"waits"[..], alice.id()));
    assert_eq!(first.connection, here);
    assert_eq!(in_time(here.receive()).await.unwrap().data, "follows");
    until(|| bob.stats().connections.iter().all(|one| one.untaken_bytes == 0)).await;
}

async fn messages_are_taken_many_at_a_time<P: Protocol>() {
    let Pair { alice: _alice, bob, there, here } = pair::<P>().await;
    let (mut at_bob, mut messages) = (bob.incoming(), Vec::new());
    assert_eq!(in_time(at_bob.recv_many(&mut messages, 0)).await, 0);
    for round in 0..2 {
        for n in 0..100_u8 {
            there.send(0, ORDERED, vec![n]).await.unwrap();
        }
        in_time(there.flush()).await.unwrap();
        messages.clear();
        while messages.len() < 100 {
            let before = messages.len();
            let count = match round {
                0 => in_time(at_bob.recv_many(&mut messages, 32)).await,
                _ => in_time(here.receive_many(&mut messages, 32)).await.unwrap(),
            };
            assert!((1..=32).contains(&count), "{count}");
            assert_eq!(messages.len(), before + count);
        }
        assert!((0..100).eq(messages.iter().map(|message| message.data[0])));
    }
    assert_eq!(in_time(here.receive_many(&mut messages, 0)).await, Ok(0));
    in_time(bob.close()).await;
    assert_eq!(in_time(at_bob.recv_many(&mut messages, 9)).await, 0);
    assert!(in_time(here.receive_many(&mut messages, 9)).await.is_err());
}

async fn what_is_given_up_while_it_waits_loses_nothing<P: Protocol>() {
    let Pair { alice: _alice, bob: _bob, there, here } = pair::<P>().await;
    let sending = tokio::spawn(async move {
        for n in 0..1_000_u32 {
            there.send(0, ORDERED, n.to_be_bytes().to_vec()).await.unwrap();
            tokio::task::yield_now().await;
        }
        there
    });
    let mut messages = Vec::new();
    in_time(async {
        while messages.len() < 1_000 {
            tokio::select! {
                biased;
                _ = here.receive_many(&mut messages, 3) => {}
                () = tokio::task::yield_now() => {}
            }
            tokio::select! {
                biased;
                message = here.receive() => messages.push(message.unwrap()),
                () = tokio::task::yield_now() => {}
            }
        }
    })
    .await;
    for (n, message) in (0_u32..).zip(&messages) {
        assert_eq!(message.data[..], n.to_be_bytes());
    }
    drop(sending.await.unwrap());
}

async fn a_connection_that_nobody_reads_holds_up_nobody_else<P: Protocol>() {
    let Pair { alice, bob, there, here } = pair::<P>().await;
    let mut at_bob = bob.incoming();
    // Bob asks for alice's messages, and then does not.
    drop(here.receive());
    let flooding = tokio::spawn({
        let there = there.clone();
        async move {
            for n in 0..2_000_u32 {
                let mut data = vec![0; 10_000];
                data[..4].copy_from_slice(&n.to_be_bytes());
                there.send(0, ORDERED, data).await.unwrap();
            }
        }
    });
    let carol = start::<P>().await;
    let to_bob = in_time(carol.connect(bob.local_addr(), Expect::Node(bob.id()))).await.unwrap();
    for n in 0..500_u32 {
        in_time(to_bob.send(0, ORDERED, vec![7; 10_000])).await.unwrap();
        assert_eq!(in_time(at_bob.recv()).await.unwrap().from, carol.id(), "{n}");
    }
    // One byte less than hers, to be told from them: what is left in a queue fills at once.
    until(|| there.try_send(0, ORDERED, vec![0; 9_999]) == Err(TransportSendError::Full)).await;
    assert!(!flooding.is_finished());
    let of_alice = |stats: &[positron_networking::transport::ConnectionStats]| {
        stats.iter().find(|one| one.node_id == Some(alice.id())).unwrap().untaken_bytes
    };
    let untaken = of_alice(&bob.stats().connections);
    assert!((1..=4 << 20).contains(&untaken), "{untaken} bytes wait");
    let mut heard = 0_u32;
    while heard < 2_000 {
        let message = in_time(here.receive()).await.unwrap();
        if message.data.len() == 10_000 {
            assert_eq!(message.data[..4], heard.to_be_bytes());
            heard += 1;
        }
    }
    in_time(flooding).await.unwrap();
}

async fn connections_take_turns<P: Protocol>() {
    let (alice, bob, carol) = (start::<P>().await, start::<P>().await, start::<P>().await);
    for n in 0..100_u8 {
        in_time(alice.send_reliable(bob.local_addr(), vec![n])).await.unwrap();
    }
    in_time(carol.send_reliable(bob.local_addr(), "last")).await.unwrap();
    until(|| {
        let waits = |one: &positron_networking::transport::ConnectionStats| one.untaken_bytes;
        let mut all: Vec<usize> = bob.stats().connections.iter().map(waits).collect();
        all.sort_unstable();
        matches!(all[..], [one, hundred] if one > 0 && hundred >= 100 * 65)
    })
    .await;
    let mut messages = Vec::new();
    assert_eq!(in_time(bob.incoming().recv_many(&mut messages, 2)).await, 2);
    let from: BTreeSet<_> = messages.iter().map(|message| message.from).collect();
    assert_eq!(from, BTreeSet::from([alice.id(), carol.id()]));
}

async fn what_arrived_before_the_end_is_received_and_then_the_reason<P: Protocol>() {
    let Pair { alice: _alice, bob: _bob, there, here } = pair::<P>().await;
    let waiting = tokio::spawn({
        let here = here.clone();
        async move { (here.receive().await.map(|message| message.data), here.receive().await) }
    });
    there.send(0, ORDERED, "last words").await.unwrap();
    in_time(there.close(7, "enough")).await;
    let reason = CloseReason::Application { code: 7, reason: "enough".into() };
    let (words, end) = in_time(waiting).await.unwrap();
    assert_eq!(words.unwrap(), "last words");
    assert_eq!(end.unwrap_err(), Closed::ByPeer(reason.clone()));
    assert_eq!(in_time(here.receive()).await, Err(Closed::ByPeer(reason)));
}

async fn what_nobody_reads_of_connections_that_are_over_is_bounded<P: Protocol>() {
    const BOUND: usize = 16 << 20;
    const SIZE: usize = 100_000;
    let (alice, bob) = (start::<P>().await, start::<P>().await);
    let sent = 200;
    for n in 0..sent / 2_u8 {
        let to_bob = alice.connect(bob.local_addr(), Expect::Node(bob.id()));
        let to_bob = in_time(to_bob).await.unwrap();
        to_bob.send(0, ORDERED, vec![2 * n; SIZE]).await.unwrap();
        to_bob.send(0, ORDERED, vec![2 * n + 1; SIZE]).await.unwrap();
        in_time(to_bob.close(0, "")).await;
        // Over TCP there is one at a time.
        until(|| bob.stats().connections.is_empty()).await;
    }
    let (mut at_bob, mut messages) = (bob.incoming(), Vec::new());
    let discarded = usize::try_from(bob.stats().discarded).unwrap();
    assert!(discarded > 0);
    while messages.len() < usize::from(sent) - discarded {
        in_time(at_bob.recv_many(&mut messages, 64)).await;
    }
    assert!(messages.len() * SIZE <= BOUND, "{} are left", messages.len());
    assert!(messages.len() * SIZE >= BOUND / 2, "{} are left", messages.len());
    // The latest are those that are left.
    let least = messages.iter().map(|message| message.data[0]).min();
    assert_eq!(least.map(usize::from), Some(discarded));
}
