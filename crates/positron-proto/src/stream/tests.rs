//! Two endpoints and the bytes between them.

use std::{net::SocketAddr, sync::Arc};

use super::{
    StreamEndpoint,
    contract::{Hangup, LinkDown, StreamEffect, StreamFault, StreamLinkEvent},
};
use crate::{
    handshake::{Expect, HandshakeFailure, hello::Local, link_public_key},
    id::{LinkId, NetworkId},
    identity::Identity,
    rng::Seed,
    time::Now,
};

const LINKS: [LinkId; 2] = [LinkId::of_core(0), LinkId::of_driver(0)];

fn me(seed: u8) -> Arc<Identity> {
    Arc::new(Identity::from_seed([seed; 32]))
}

fn endpoints() -> [StreamEndpoint; 2] {
    [1, 2].map(|seed| {
        let local = Local::new(me(seed), NetworkId::from_name("test"), seed.into());
        StreamEndpoint::new(local, Seed::from_number(seed.into()).stream("streams"))
    })
}

/// Connects the first to the second, whose streams are opened under these certificates as each of
/// them sees it, and carries all that is written. What happened at each end.
fn story(
    ends: &mut [StreamEndpoint; 2],
    knows: bool,
    certificates: [Option<[u8; 32]>; 2],
) -> [Vec<StreamLinkEvent>; 2] {
    let to = SocketAddr::from(([10, 0, 0, 2], 4000));
    let expect = Expect::Node(me(2).node_id());
    ends[0].connect(LINKS[0], to, expect, knows.then(|| link_public_key(&me(2))));
    ends[1].handle_accepted(LINKS[1], to, certificates[1]);
    ends[0].handle_connected(LINKS[0], certificates[0]);
    let mut events = [vec![], vec![]];
    run(ends, &mut events);
    events
}

fn run(ends: &mut [StreamEndpoint; 2], events: &mut [Vec<StreamLinkEvent>; 2]) {
    let mut moved = true;
    while moved {
        moved = false;
        for n in [0, 1] {
            events[n].extend(std::iter::from_fn(|| ends[n].poll_event()));
            while let Some(effect) = ends[n].poll_effect() {
                moved = true;
                match effect {
                    StreamEffect::Write { bytes, .. } => {
                        ends[1 - n].handle_bytes(Now::default(), LINKS[1 - n], bytes);
                    }
                    StreamEffect::Hangup { how, .. } => {
                        let theirs =
                            if how == Hangup::Flush { LinkDown::Eof } else { LinkDown::Reset };
                        ends[n].handle_link_down(LINKS[n], LinkDown::HungUp);
                        ends[1 - n].handle_link_down(LINKS[1 - n], theirs);
                    }
                    StreamEffect::Dial { .. } | StreamEffect::Read { .. } => {}
                }
            }
        }
    }
}

fn say(end: &mut StreamEndpoint, link: LinkId, what: &[u8]) {
    let mut record = end.begin(link);
    record.bytes.extend_from_slice(what);
    assert_eq!(record.len(), what.len());
    end.send(link, record);
}

fn is_known(events: &[StreamLinkEvent]) -> bool {
    events.iter().any(|event| matches!(event, StreamLinkEvent::Authenticated { .. }))
}

#[test]
fn two_ends_that_see_one_certificate_agree_and_two_that_see_different_ones_do_not() {
    let (one, other) = (Some([1; 32]), Some([2; 32]));
    for knows in [true, false] {
        for (certificates, agree) in [
            ([None, None], true),
            ([one, one], true),
            ([one, other], false),
            ([one, None], false),
            ([None, one], false),
        ] {
            let mut ends = endpoints();
            let events = story(&mut ends, knows, certificates);
            assert_eq!(is_known(&events[0]), agree, "{knows} {certificates:?}");
            assert!(!is_known(&events[1]), "no record has come yet");
            say(&mut ends[0], LINKS[0], b"first");
            let mut events = events;
            run(&mut ends, &mut events);
            assert_eq!(is_known(&events[1]), agree, "{knows} {certificates:?}");
            let broken = HandshakeFailure::Broken("its message does not open");
            let why = StreamFault::Handshake(broken);
            let failed = StreamLinkEvent::Failed { link: LINKS[0], why };
            assert_eq!(events[0].contains(&failed), !agree, "{:?}", events[0]);
        }
    }
}

#[test]
fn records_of_one_input_share_a_write_and_an_empty_one_is_none() {
    let mut ends = endpoints();
    let mut events = story(&mut ends, true, [None, None]);
    for what in [&b"one"[..], b"", b"two"] {
        say(&mut ends[0], LINKS[0], what);
    }
    let Some(StreamEffect::Write { bytes, .. }) = ends[0].poll_effect() else { panic!("no write") };
    assert_eq!((ends[0].poll_effect(), bytes.len()), (None, 2 * (3 + 20)));
    ends[1].handle_bytes(Now::default(), LINKS[1], bytes);
    run(&mut ends, &mut events);
    let contents = events[1].iter().filter_map(|event| match event {
        StreamLinkEvent::Record { contents, .. } => Some(contents.clone()),
        _ => None,
    });
    assert_eq!(contents.collect::<Vec<_>>(), ["one", "two"]);
}

#[test]
fn what_is_asked_of_a_link_that_is_gone_does_nothing() {
    let mut ends = endpoints();
    let mut events = story(&mut ends, true, [None, None]);
    ends[0].reset(LINKS[0]);
    run(&mut ends, &mut events);
    assert!(events[0].contains(&StreamLinkEvent::Closed { link: LINKS[0], why: LinkDown::HungUp }));
    for end in [0, 1] {
        say(&mut ends[end], LINKS[end], b"late");
        ends[end].close(LINKS[end], crate::wire::frame::CloseReason::Pruned);
        ends[end].handle_bytes(Now::default(), LINKS[end], "late".into());
        ends[end].handle_link_down(LINKS[end], LinkDown::Eof);
        assert_eq!((ends[end].poll_event(), ends[end].poll_effect()), (None, None));
    }
}
