//! Single datagrams through the routers of the lab, and what can be told from those that arrive.

use std::{
    collections::BTreeSet,
    io::ErrorKind,
    net::{SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use crate::{
    fixture::SOON,
    nat_type::{Filtering, Mapping},
};

/// How long nothing more arrives after the last thing that must.
pub(crate) const QUIET: Duration = Duration::from_millis(200);
/// Between two looks at a socket.
const LOOK: Duration = Duration::from_millis(5);
const LARGEST: usize = 64;

/// Sends a word.
#[track_caller]
pub(crate) fn say(from: &UdpSocket, word: &str, to: SocketAddr) {
    from.send_to(word.as_bytes(), to).unwrap();
}

/// The same with so many hops to live.
#[track_caller]
pub(crate) fn say_not_far(from: &UdpSocket, word: &str, to: SocketAddr, ttl: u32) {
    let usual = from.ttl().unwrap();
    from.set_ttl(ttl).unwrap();
    say(from, word, to);
    from.set_ttl(usual).unwrap();
}

/// The address at which `by` sees what `from` sends to it.
#[track_caller]
pub(crate) fn seen(from: &UdpSocket, by: &UdpSocket) -> SocketAddr {
    say(from, "look", by.local_addr().unwrap());
    loop {
        let (word, at) = heard(by, SOON).expect("a packet to a public host arrives");
        if word == "look" {
            return at;
        }
    }
}

/// Every word that arrives until `last`, and shortly after it, without `last`.
#[track_caller]
pub(crate) fn words_until(last: &str, at: &UdpSocket) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    while !words.contains(last) {
        let heard = heard(at, SOON);
        words.insert(heard.unwrap_or_else(|| panic!("no '{last}' after {words:?}")).0);
    }
    while let Some((word, _)) = heard(at, QUIET) {
        words.insert(word);
    }
    words.remove(last);
    words
}

/// The next word, if one comes in this time, and whence.
#[track_caller]
pub(crate) fn heard(at: &UdpSocket, patience: Duration) -> Option<(String, SocketAddr)> {
    at.set_read_timeout(Some(patience)).unwrap();
    let mut bytes = [0; LARGEST];
    match at.recv_from(&mut bytes) {
        Ok((length, from)) => Some((String::from_utf8_lossy(&bytes[..length]).into_owned(), from)),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => None,
        Err(error) => panic!("{error}"),
    }
}

/// What can be told from where a port and another of one address, and a port of another address,
/// see a socket.
pub(crate) fn mapping(seen: [SocketAddr; 3]) -> Mapping {
    let [first, other_port, other_address] = seen;
    match (first == other_port, first == other_address) {
        (true, true) => Mapping::EndpointIndependent,
        (true, false) => Mapping::AddressDependent,
        (false, _) => Mapping::AddressAndPortDependent,
    }
}

/// Who gets in to `inside` when it has sent to the first of these three: that one, another port of
/// the same address, and another address.
#[track_caller]
pub(crate) fn filtering(inside: &UdpSocket, outside: [&UdpSocket; 3]) -> Filtering {
    let [contacted, other_port, stranger] = outside;
    let at = seen(inside, contacted);
    say(stranger, "stranger", at);
    say(other_port, "other port", at);
    say(contacted, "contacted", at);
    let words = words_until("contacted", inside);
    match (words.contains("other port"), words.contains("stranger")) {
        (true, true) => Filtering::EndpointIndependent,
        (true, false) => Filtering::AddressDependent,
        (false, false) => Filtering::AddressAndPortDependent,
        (false, true) => panic!("a stranger gets in where a known address does not"),
    }
}

/// Whether one of two sockets that probe each other hears an answer in this time. A probe goes to
/// where the other end was seen, an answer to where the probe came from.
#[track_caller]
pub(crate) fn one_answers(ends: [(&UdpSocket, SocketAddr); 2], patience: Duration) -> bool {
    let [(a, at_a), (b, at_b)] = ends;
    say(a, "probe", at_b);
    say(b, "probe", at_a);
    let deadline = Instant::now() + patience;
    while Instant::now() < deadline {
        for end in [a, b] {
            match heard(end, LOOK) {
                Some((word, _)) if word == "answer" => return true,
                Some((word, from)) if word == "probe" => say(end, "answer", from),
                _ => {}
            }
        }
    }
    false
}
