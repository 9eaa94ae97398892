//! The lab itself: every router does what its kind is said to do.

use std::{
    collections::BTreeSet,
    io::{Read as _, Write as _},
    net::{IpAddr, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use crate::{
    fixture::SOON,
    lab::{Home, Lab},
    namespaces::or_skipped,
    nat_type::{Filtering, NatType},
    probes::{filtering, heard, mapping, say, say_not_far, seen, words_until},
};

/// Of the machines in homes, so that it can be seen whether it is kept.
const PORT: u16 = 7777;
/// Of a slow line, each way; far longer than packets take without it.
const LATE: Duration = Duration::from_millis(700);

#[test]
fn each_type_maps_filters_and_numbers_ports_as_its_name_promises() {
    let Some(lab) = Lab::new() else { return };
    let [first, other] = &lab.public[..] else { unreachable!("there are two") };
    let (contacted, other_port, stranger) = (first.udp(0), first.udp(0), other.udp(0));
    for nat in NatType::with_udp() {
        let home = lab.home(nat);
        assert_eq!(home.inside_addr() == home.outside_ip(), nat.is_routed(), "{nat}");
        let inside = home.udp(PORT);
        let seen = [&contacted, &other_port, &stranger].map(|by| seen(&inside, by));
        assert_eq!(seen.map(|at| at.ip()), [IpAddr::V4(home.outside_ip()); 3], "{nat}");
        assert_eq!(mapping(seen), nat.mapping(), "{nat}: {seen:?}");
        let is_kept = seen.iter().all(|at| at.port() == PORT);
        assert_eq!(is_kept, nat.keeps_ports(), "{nat}: {seen:?}");
        // Of another socket: what that one has sent already lets in all three.
        let inside = home.udp(0);
        let filtering = filtering(&inside, [&contacted, &other_port, &stranger]);
        assert_eq!(filtering, nat.filtering(), "{nat}");
    }
}

#[test]
fn no_datagram_leaves_a_blocked_home_and_a_stream_does() {
    let Some(lab) = Lab::new() else { return };
    let public = &lab.public[0];
    let socket = public.udp(0);
    let (blocked, linux) = (lab.home(NatType::Blocked), lab.home(NatType::Linux));
    say(&blocked.udp(0), "blocked", socket.local_addr().unwrap());
    let listener = public.within(|| TcpListener::bind(public.at(0)).unwrap());
    let at = listener.local_addr().unwrap();
    let echo = thread::spawn(move || {
        let (mut stream, from) = listener.accept().unwrap();
        let mut word = [0; 6];
        stream.read_exact(&mut word).unwrap();
        stream.write_all(&word).unwrap();
        from.ip()
    });
    let mut stream = blocked.inside.within(|| TcpStream::connect_timeout(&at, SOON).unwrap());
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream.write_all(b"stream").unwrap();
    let mut word = [0; 6];
    stream.read_exact(&mut word).unwrap();
    assert_eq!(&word, b"stream");
    assert_eq!(echo.join().unwrap(), blocked.outside_ip());
    say(&linux.udp(0), "linux", socket.local_addr().unwrap());
    assert_eq!(words_until("linux", &socket), BTreeSet::new());
}

#[test]
fn an_opener_dies_between_two_homes_and_lets_the_other_one_in() {
    let Some(lab) = Lab::new() else { return };
    let observer = lab.public[0].udp(0);
    let far = lab.home(NatType::Open);
    // Where a symmetric one is seen by others is not where the opener went through.
    for nat in NatType::with_udp().filter(|nat| *nat != NatType::Symmetric) {
        let home = lab.home(nat);
        let (inside, opened, not_opened) = (home.udp(0), far.udp(0), far.udp(0));
        let at = seen(&inside, &observer);
        say(&not_opened, "before", at);
        say_not_far(&inside, "opener", opened.local_addr().unwrap(), nat.opener_ttl());
        say(&not_opened, "other port", at);
        say(&opened, "let in", at);
        let also: &[&str] = match nat.filtering() {
            Filtering::EndpointIndependent => &["before", "other port"],
            Filtering::AddressDependent => &["other port"],
            Filtering::AddressAndPortDependent => &[],
        };
        let also = also.iter().map(|word| (*word).to_owned()).collect();
        assert_eq!(words_until("let in", &inside), also, "{nat}");
        say(&inside, "to the end", opened.local_addr().unwrap());
        assert_eq!(words_until("to the end", &opened), BTreeSet::new(), "{nat}");
    }
}

#[test]
fn who_knocks_too_early_at_a_clash_router_finds_another_port_and_an_opener_prevents_it() {
    let Some(lab) = Lab::new() else { return };
    let observer = lab.public[0].udp(0);
    let is_poisoned = |home: &Home, opens: bool| {
        let (inside, early) = (home.udp(0), lab.public[1].udp(0));
        let at = seen(&inside, &observer);
        if opens {
            let to = early.local_addr().unwrap();
            say_not_far(&inside, "opener", to, home.nat.opener_ttl());
        }
        say(&early, "early", at);
        // What comes after it has passed the router, so it has, too.
        say(&observer, "later", at);
        let got_in = words_until("later", &inside).contains("early");
        assert_eq!(got_in, opens, "{}", home.nat);
        seen(&inside, &early) != at
    };
    for (nat, poisoned) in [(NatType::Clash, true), (NatType::Linux, false)] {
        let home = lab.home(nat);
        assert_eq!(is_poisoned(&home, false), poisoned, "{nat}");
        assert!(!is_poisoned(&home, true), "{nat} with an opener");
    }
}

#[test]
fn a_line_that_loses_packets_loses_some_in_each_direction_until_it_is_mended() {
    let Some(lab) = Lab::new() else { return };
    let public = lab.public[0].udp(0);
    let home = lab.home(NatType::Linux);
    let inside = home.udp(0);
    let at = seen(&inside, &public);
    for (from, to, whither) in
        [(&inside, &public, public.local_addr().unwrap()), (&public, &inside, at)]
    {
        lab.lose(50, home.outside_ip());
        for number in 0..100 {
            say(from, &number.to_string(), whither);
        }
        lab.lose(0, home.outside_ip());
        say(from, "mended", whither);
        let arrived = words_until("mended", to).len();
        assert!((10..=90).contains(&arrived), "{arrived} of 100");
    }
}

#[test]
fn a_slow_line_keeps_the_order_and_the_hops_of_what_it_carries_and_takes_its_time_each_way() {
    let Some(lab) = Lab::new() else { return };
    let public = lab.public[0].udp(0);
    let (slow, fast) = (lab.home(NatType::Linux), lab.home(NatType::Linux));
    if or_skipped(lab.delay(LATE, slow.outside_ip())).is_none() {
        return;
    }
    let (from_slow, from_fast) = (slow.udp(0), fast.udp(0));
    let began = Instant::now();
    let (at_slow, at_fast) = (seen(&from_slow, &public), seen(&from_fast, &public));
    assert!(began.elapsed() >= LATE);
    // Either way, what leaves later by the fast line is there first.
    let whither = public.local_addr().unwrap();
    for (number, from) in [&from_slow, &from_fast].into_iter().enumerate() {
        say_not_far(from, "opener", whither, NatType::Linux.opener_ttl());
        say_not_far(from, &format!("{number} one"), whither, NatType::Linux.opener_ttl() + 1);
        say(from, &format!("{number} two"), whither);
    }
    let arrived: Vec<String> = (0..4).map(|_| heard(&public, SOON).unwrap().0).collect();
    assert_eq!(arrived, ["1 one", "1 two", "0 one", "0 two"]);
    let began = Instant::now();
    say(&public, "down", at_slow);
    say(&public, "down", at_fast);
    assert_eq!(heard(&from_fast, SOON).unwrap().0, "down");
    assert_eq!(heard(&from_slow, SOON).unwrap().0, "down");
    assert!(began.elapsed() >= LATE);
}
