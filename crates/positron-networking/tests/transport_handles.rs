//! Who holds a transport and its connections, and how they end when nobody does: the same over UDP
//! and over TCP.

mod transport;

use std::{collections::HashMap, hash::Hash};

use positron_networking::{
    CloseReason,
    transport::{
        Closed, Delivery, Expect, Protocol, Tcp, Transport, TransportSendError, Udp, UdpTransport,
    },
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use transport::{Pair, in_time, over_both, pair, start, until};

const ORDERED: Delivery = Delivery::Ordered;

/// What the other end hears of an application.
fn said(code: u32, reason: &str) -> Closed {
    Closed::ByPeer(CloseReason::Application { code, reason: reason.into() })
}

over_both! {
    a_connection_that_is_let_go_of_holds_up_nobody_who_still_speaks;
    the_last_handle_of_a_connection_closes_it_and_the_other_end_hears_so;
    what_was_sent_before_the_last_handle_went_arrives;
    a_connection_of_the_transport_needs_no_handle;
    a_connect_that_is_given_up_leaves_nothing;
    the_last_handle_of_a_transport_ends_it_although_somebody_reads;
    connections_are_known_by_their_ids;
    an_application_closes_with_a_code_and_a_reason;
    an_application_resets_with_a_code_and_a_reason;
    a_reason_is_cut_where_the_wire_ends;
}

async fn the_last_handle_of_a_connection_closes_it_and_the_other_end_hears_so<P: Protocol>() {
    let Pair { alice, bob, there, here } = pair::<P>().await;
    let mut at_bob = bob.incoming();
    there.send(0, ORDERED, "hello").await.unwrap();
    let hello = in_time(at_bob.recv()).await.unwrap();
    let clone = there.clone();
    drop(there);
    clone.send(0, ORDERED, "a handle is left").await.unwrap();
    assert_eq!(in_time(at_bob.recv()).await.unwrap().data, "a handle is left");
    drop(clone);
    assert_eq!(in_time(here.closed()).await, said(0, ""));
    assert_eq!(hello.connection, here);
    until(|| alice.stats().connections.is_empty() && bob.stats().connections.is_empty()).await;
    // And so does the one of the other end.
    let there = in_time(alice.connect(bob.local_addr(), Expect::Anyone)).await.unwrap();
    drop(in_time(bob.accept()).await.unwrap());
    assert_eq!(in_time(there.closed()).await, said(0, ""));
    assert!(!format!("{}", there.closed().await).contains("reason"));
}

async fn what_was_sent_before_the_last_handle_went_arrives<P: Protocol>() {
    let Pair { alice: _alice, bob, there, here } = pair::<P>().await;
    let mut at_bob = bob.incoming();
    for n in 0..20_u8 {
        there.send(0, ORDERED, vec![n; 10_000]).await.unwrap();
    }
    drop(there);
    assert_eq!(in_time(here.closed()).await, said(0, ""));
    for n in 0..20 {
        assert_eq!(in_time(at_bob.recv()).await.unwrap().data[0], n);
    }
}

async fn a_connection_that_is_let_go_of_holds_up_nobody_who_still_speaks<P: Protocol>() {
    let Pair { alice, bob: _bob, there, here } = pair::<P>().await;
    // Nobody at alice reads: her window is full, and so is bob's queue.
    while here.try_send(0, ORDERED, vec![7; 10_000]).is_ok() {
        tokio::task::yield_now().await;
    }
    let blocked = here.clone();
    let speaking = tokio::spawn(async move {
        loop {
            if let Err(why) = blocked.send(0, ORDERED, vec![7; 10_000]).await {
                return why;
            }
        }
    });
    drop(there);
    assert_eq!(in_time(here.closed()).await, said(0, ""));
    assert!(matches!(in_time(speaking).await.unwrap(), TransportSendError::Closed(_)));
    until(|| alice.stats().connections.is_empty()).await;
}

async fn a_connection_of_the_transport_needs_no_handle<P: Protocol>() {
    let (alice, bob) = (start::<P>().await, start::<P>().await);
    let mut at_bob = bob.incoming();
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(in_time(alice.send_reliable(bob.local_addr(), "hello")).await.unwrap().id());
        drop(in_time(at_bob.recv()).await.unwrap());
    }
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    // It is the application's when it is accepted.
    let accepted = in_time(bob.accept()).await.unwrap();
    let at_alice = in_time(alice.send_reliable(bob.local_addr(), "again")).await.unwrap();
    drop(in_time(at_bob.recv()).await);
    drop(accepted);
    assert_eq!(in_time(at_alice.closed()).await, said(0, ""));
}

async fn a_connect_that_is_given_up_leaves_nothing<P: Protocol>() {
    let (alice, bob) = (start::<P>().await, start::<P>().await);
    // However far it is when it is given up.
    for polls in 1..8 {
        let to_bob = alice.connect(bob.local_addr(), Expect::Node(bob.id()));
        let mut to_bob = std::pin::pin!(to_bob);
        for _ in 0..polls {
            tokio::select! {
                biased;
                _ = &mut to_bob => break,
                () = tokio::task::yield_now() => {}
            }
        }
    }
    until(|| alice.stats().connections.is_empty()).await;
    until(|| bob.stats().connections.is_empty()).await;
}

async fn the_last_handle_of_a_transport_ends_it_although_somebody_reads<P: Protocol>() {
    let Pair { alice, bob, there, here } = pair::<P>().await;
    let address = alice.local_addr();
    here.send(0, ORDERED, "unread").await.unwrap();
    in_time(here.flush()).await.unwrap();
    let mut at_alice = alice.incoming();
    let (clone, waiting) = (alice.clone(), there.clone());
    drop((alice, there));
    assert!(Transport::<P>::bind(&address.to_string()).await.is_err(), "handles are left");
    drop((clone, waiting));
    let left = in_time(here.closed()).await;
    assert!(left == Closed::ByPeer(CloseReason::ShuttingDown) || left == said(0, ""), "{left}");
    let unread = in_time(at_alice.recv()).await.unwrap();
    assert_eq!(unread.data, "unread");
    assert!(unread.connection.is_closed());
    assert!(in_time(at_alice.recv()).await.is_none());
    drop(unread);
    until(|| bob.stats().connections.is_empty()).await;
}

#[allow(clippy::mutable_key_type)] // it is hashed by its id, which never changes
async fn connections_are_known_by_their_ids<P: Protocol>() {
    fn is_key<K: Eq + Hash + Clone + Send + Sync + 'static>(_: &K) {}
    let Pair { alice, bob, there, here } = pair::<P>().await;
    is_key(&there);
    is_key(&there.id());
    assert_ne!(there, here, "two ends in one process");
    assert_eq!(there, there.clone());
    let mut names = HashMap::from([(there.clone(), "first")]);
    in_time(there.close(0, "")).await;
    in_time(here.closed()).await;
    let again = in_time(alice.connect(bob.local_addr(), Expect::Node(bob.id()))).await.unwrap();
    assert_eq!(again.peer(), there.peer());
    assert_ne!((&again, again.id()), (&there, there.id()));
    assert_eq!(names.insert(again.clone(), "second"), None);
    let mut at_bob = bob.incoming();
    again.send(0, ORDERED, "x").await.unwrap();
    let from_alice = in_time(at_bob.recv()).await.unwrap().connection;
    assert_eq!(from_alice, in_time(bob.accept()).await.unwrap());
    assert_eq!((names[&there], names[&again]), ("first", "second"));
}

async fn an_application_closes_with_a_code_and_a_reason<P: Protocol>() {
    let Pair { alice: _alice, bob, there, here } = pair::<P>().await;
    there.send(0, ORDERED, "last words").await.unwrap();
    let reason = CloseReason::Application { code: u32::MAX, reason: "à bientôt\n".into() };
    let why = in_time(there.close(u32::MAX, "à bientôt\n")).await;
    assert_eq!(why, Closed::ByUs(reason.clone()));
    let heard = in_time(here.closed()).await;
    assert_eq!(heard, Closed::ByPeer(reason));
    assert!(heard.to_string().ends_with(r#"code 4294967295: "à bientôt\n""#), "{heard}");
    let late = here.send(0, ORDERED, "late").await;
    assert_eq!(late, Err(TransportSendError::Closed(Some(heard))));
    assert_eq!(in_time(bob.incoming().recv()).await.unwrap().data, "last words");
    // The first reason stays.
    assert_eq!(in_time(there.close(1, "no")).await, why);
}

async fn an_application_resets_with_a_code_and_a_reason<P: Protocol>() {
    let Pair { alice: _alice, bob: _bob, there, here } = pair::<P>().await;
    there.reset(7, "enough");
    assert_eq!(in_time(here.closed()).await, said(7, "enough"));
}

async fn a_reason_is_cut_where_the_wire_ends<P: Protocol>() {
    let Pair { alice: _alice, bob: _bob, there, here } = pair::<P>().await;
    in_time(there.close(7, &format!("{}é", "x".repeat(127)))).await;
    assert_eq!(in_time(here.closed()).await, said(7, &"x".repeat(127)));
}

/// Tasks of this runtime, and open files of this process.
fn held() -> (usize, usize) {
    let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    (tasks, std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count))
}

/// In a process of its own, so that nobody else opens files.
#[test]
fn transports_and_connections_that_are_dropped_leave_nothing() {
    if std::env::var_os("ALONE").is_none() {
        let this = std::env::current_exe().unwrap();
        let name = "transports_and_connections_that_are_dropped_leave_nothing";
        let args = ["--exact", name, "--nocapture"];
        let status = std::process::Command::new(this).args(args).env("ALONE", "1").status();
        return assert!(status.unwrap().success());
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        again_and_again_on_one_port::<Udp>().await;
        again_and_again_on_one_port::<Tcp>().await;
    });
}

async fn again_and_again_on_one_port<P: Protocol>() {
    let mut address = "127.0.0.1:0".to_owned();
    let mut before = None;
    for round in 0..30 {
        let mut bound = None;
        in_time(async {
            while bound.is_none() {
                bound = Transport::<P>::bind(&address).await.ok();
                tokio::task::yield_now().await;
            }
        })
        .await;
        let (bob, alice) = (bound.unwrap(), start::<P>().await);
        address = bob.local_addr().to_string();
        let mut at_bob = bob.incoming();
        for _ in 0..3 {
            let to_bob = in_time(alice.connect(bob.local_addr(), Expect::Anyone)).await.unwrap();
            to_bob.send(0, ORDERED, "hello").await.unwrap();
            let accepted = in_time(bob.accept()).await.unwrap();
            drop(to_bob);
            drop(in_time(at_bob.recv()).await.unwrap());
            drop(accepted);
            until(|| alice.stats().connections.is_empty()).await;
        }
        drop((alice, bob));
        assert!(in_time(at_bob.recv()).await.is_none());
        drop(at_bob);
        if round == 0 {
            until(|| held().0 == 0).await;
        } else if let Some(before) = before {
            until(|| held() <= before).await;
        } else {
            before = Some(held());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_holds_its_connection_until_it_is_dropped() {
    let Pair { alice: _alice, bob: _bob, there, here } = pair::<Udp>().await;
    let mut writing = there.open_stream(8).unwrap();
    drop(there);
    writing.write_all(b"all of it").await.unwrap();
    writing.shutdown().await.unwrap();
    drop(writing);
    let mut reading = in_time(here.accept_stream()).await.unwrap();
    let mut text = String::new();
    in_time(reading.read_to_string(&mut text)).await.unwrap();
    assert_eq!(text, "all of it");
    assert_eq!(in_time(here.closed()).await, said(0, ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_whose_reader_let_go_of_the_connection_hears_of_it() {
    let Pair { alice, bob: _bob, there, here } = pair::<Udp>().await;
    let mut writing = there.open_stream(8).unwrap();
    let writer =
        tokio::spawn(async move { while writing.write_all(&[7; 10_000]).await.is_ok() {} });
    // Bob has something that nobody accepted.
    until(|| here.stats().unwrap().untaken_bytes > 100_000).await;
    drop(here);
    in_time(writer).await.unwrap();
    assert_eq!(in_time(there.closed()).await, said(0, ""));
    until(|| alice.stats().connections.is_empty()).await;
    let _: UdpTransport = alice;
}
