//! Two nodes at home that know each other by their ids only, and one on the internet: what one says
//! reaches the other over a relay, and the session moves to a path of its own where there is one.

use std::{
    ops::RangeInclusive,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    control::{get, post},
    fixture::{Fixture, Process, SOON, until},
    lab::{Home, Lab, Machine},
    nat_type::NatType,
};

use NatType::{Address, Blocked, CarrierGrade, Firewall, Full, Linux, Open, Port, Symmetric};

/// Until a path is found: a router of the kind `clash` may first have to forget a packet that came
/// uninvited, which takes it half a minute, and the search that finds it so is the fifth.
const UNTIL_DIRECT: Duration = Duration::from_secs(110);
/// How long is waited for a path that there cannot be.
const STAYS: Duration = Duration::from_secs(10);
/// How many pairs share the machine that the lab runs on.
const AT_ONCE: usize = 5;
/// Messages of 40 KB after which a pair that is relayed is worth a search.
const MUCH: usize = 3;
/// The first of the ports on which nodes of the internet listen, one for each pair.
const PUBLIC_PORT: u16 = 9_000;
/// So many milliseconds more has the line of each home than that of the one before, in a circle.
const SPREAD: u64 = 61;

/// Pairs that between them have nearly every kind of home and every way to end. Those with `clash`
/// are left to the long test: a node that heard of another dials it where it was seen, which such a
/// router takes for a stranger, and finds no direct path for minutes after it.
const TELLING: [(NatType, NatType); 10] = [
    (Linux, Linux),
    (Full, Symmetric),
    (Address, Symmetric),
    (Port, Port),
    (CarrierGrade, Linux),
    (Open, Symmetric),
    (Symmetric, Linux),
    (Symmetric, Symmetric),
    (Blocked, Linux),
    (Firewall, Symmetric),
];

#[test]
fn what_one_home_says_reaches_the_other_and_the_path_becomes_direct_where_it_can() {
    let Some(lab) = Lab::new() else { return };
    let paths = all_at_once(&lab, &TELLING, &Lines::default());
    print(&paths);
    judge(&paths);
}

#[test]
#[ignore = "it takes ten minutes"]
fn every_pair_of_kinds_of_home_finds_the_path_that_theory_says() {
    let pairs = match std::env::var("POSITRON_LAB_PAIRS") {
        Ok(named) => named.split(',').map(named_pair).collect(),
        Err(_) => all_pairs(),
    };
    let mut lines = Lines::named();
    println!("{lines:?}");
    let mut paths = Vec::new();
    for some in pairs.chunks(AT_ONCE) {
        let Some(lab) = Lab::new() else { return };
        let found = all_at_once(&lab, some, &lines);
        print(&found);
        paths.extend(found);
        lines.first += 2 * some.len();
    }
    println!("all of them:");
    print(&paths);
    sum_up(&paths);
    judge(&paths);
}

/// What the lines of the homes are like.
#[derive(Debug, Default)]
struct Lines {
    /// How long each takes in each direction, in milliseconds: from the first to the last of these,
    /// spread over the homes.
    delay: Option<RangeInclusive<u64>>,
    /// How many of a hundred packets each loses in each direction.
    loss: u8,
    /// How many homes were before.
    first: usize,
}

impl Lines {
    /// As the environment says.
    fn named() -> Self {
        let named = |name: &str| std::env::var(format!("POSITRON_LAB_{name}")).ok();
        let delay = named("DELAY").map(|named| {
            let range = named
                .split_once('-')
                .and_then(|(least, most)| Some(least.parse().ok()?..=most.parse().ok()?));
            range.unwrap_or_else(|| panic!("{named} is no range of milliseconds"))
        });
        let loss = named("LOSS").map_or(0, |named| named.parse().unwrap());
        Self { delay, loss, first: 0 }
    }

    /// Makes that of a home so, which is the one of this number in this lab.
    #[track_caller]
    fn apply(&self, lab: &Lab, home: &Home, number: usize) {
        let at = home.outside_ip();
        if let Some(range) = &self.delay {
            let several = u64::try_from(self.first + number).unwrap() * SPREAD;
            let delay = range.start() + several % (range.end() - range.start() + 1);
            lab.delay(Duration::from_millis(delay), at).unwrap();
        }
        if self.loss > 0 {
            lab.lose(self.loss, at);
        }
    }
}

/// Each kind of home with each, itself included.
fn all_pairs() -> Vec<(NatType, NatType)> {
    let numbered = NatType::ALL.into_iter().enumerate();
    let pairs = numbered
        .flat_map(|(number, one)| NatType::ALL[number..].iter().map(move |other| (one, *other)));
    pairs.collect()
}

/// `linux-sym`, of which the first one says something.
fn named_pair(name: &str) -> (NatType, NatType) {
    let named = |word: &str| NatType::ALL.into_iter().find(|nat| nat.word() == word);
    let pair = name.split_once('-').and_then(|(one, other)| Some((named(one)?, named(other)?)));
    pair.unwrap_or_else(|| panic!("{name} is no pair of kinds of home"))
}

/// How one home got through to another.
struct Path {
    kinds: (NatType, NatType),
    /// Whether the first message arrived, or what was said instead.
    sent: Result<(), String>,
    first_message: Duration,
    /// What the session goes over at last.
    transport: String,
    direct: Option<Duration>,
    /// What both ends said of it, if it is not what it should be.
    told: String,
}

impl Path {
    /// What the two must find. A home without datagrams and one that lets in everybody may find
    /// each other by streams.
    fn is_as_theory_says(&self) -> bool {
        let is_direct = self.transport == "udp";
        self.sent.is_ok() && is_direct == can_be_direct(self.kinds) && self.transport != "none"
    }

    /// For how many pairs it stands, of two homes of each kind.
    fn weight(&self) -> usize {
        if self.kinds.0 == self.kinds.1 { 1 } else { 4 }
    }
}

fn can_be_direct((one, other): (NatType, NatType)) -> bool {
    one.punches_with(other) || one.searches_with(other)
}

fn all_at_once(lab: &Lab, pairs: &[(NatType, NatType)], lines: &Lines) -> Vec<Path> {
    let homes: Vec<_> =
        pairs.iter().map(|(one, other)| (lab.home(*one), lab.home(*other))).collect();
    for (number, home) in homes.iter().flat_map(|(one, other)| [one, other]).enumerate() {
        lines.apply(lab, home, number);
    }
    let public = [&lab.public[0], &lab.public[1]];
    thread::scope(|scope| {
        let searches: Vec<_> = (PUBLIC_PORT..)
            .zip(&homes)
            .map(|(port, homes)| scope.spawn(move || path(public, port, homes)))
            .collect();
        searches.into_iter().map(|search| search.join().unwrap()).collect()
    })
}

/// Starts a network of four nodes and has one at home tell the other something: little, and then so
/// much that a search is worth it.
fn path(public: [&Machine; 2], port: u16, (one, other): &(Home, Home)) -> Path {
    let fixture = Fixture::new();
    let at = public.map(|machine| machine.at(port).to_string());
    let first = start(public[0], port, &fixture, "public", &[]);
    let second = start(public[1], port, &fixture, "public2", &["-b", &at[0]]);
    let relays = [&first, &second].map(|relay| relay.started()["node_id"].clone());
    let both = ["-b", &at[0], "-b", &at[1]];
    let start = |home: &Home, data| start(&home.inside, port, &fixture, data, &both);
    let (a, b) = (start(one, "a"), start(other, "b"));
    let (_, id) = (a.started(), b.started()["node_id"].as_str().unwrap().to_owned());
    let data: [PathBuf; 2] = ["a", "b"].map(|data| fixture.path().join(data));
    for (home, data) in [one, other].into_iter().zip(&data) {
        let transport = if home.nat == NatType::Blocked { "tcp" } else { "udp" };
        until(&format!("{}: linked over {transport}", home.nat), 2 * SOON, || {
            let peers = get(data, "/v1/peers")?;
            let over = peers["peers"].as_array()?.iter().map(|peer| &peer["transport"]);
            (over.filter(|over| **over == transport).count() >= public.len()).then_some(())
        });
    }
    let began = Instant::now();
    let message = json!({ "peer": id, "payload": "hello" });
    let sent = post(&data[0], "/v1/actions/send", &message).map(drop);
    let first_message = began.elapsed();
    for _ in 0..MUCH {
        let much = json!({ "peer": id, "payload": "much ".repeat(8_000) });
        let sent = post(&data[0], "/v1/actions/send", &much);
        assert!(sent.is_ok(), "{sent:?}");
    }
    let transport = || {
        let peers = get(&data[0], "/v1/peers")?;
        let peer = peers["peers"].as_array()?.iter().find(|peer| peer["node_id"] == *id)?.clone();
        let is_relayed = peer["transport"] == "relay";
        assert_eq!(peer["address"].is_null(), is_relayed, "{peer}");
        assert_eq!(relays.contains(&peer["relay"]), is_relayed, "{peer}");
        Some(peer["transport"].as_str()?.to_owned())
    };
    let patience = if can_be_direct((one.nat, other.nat)) { UNTIL_DIRECT } else { STAYS };
    let mut direct = None;
    while direct.is_none() && began.elapsed() < patience {
        direct = (transport().as_deref() == Some("udp")).then(|| began.elapsed());
        thread::park_timeout(Duration::from_millis(50));
    }
    let transport = transport().unwrap_or_else(|| "none".to_owned());
    let kinds = (one.nat, other.nat);
    let mut path = Path { kinds, sent, first_message, transport, direct, told: String::new() };
    if !path.is_as_theory_says() {
        path.told = data.iter().map(|data| told(data)).collect();
    }
    path
}

/// What a node says of its peers, of itself and of its search for paths.
fn told(data: &std::path::Path) -> String {
    let [status, dials, peers] =
        ["/v1/status", "/v1/dials", "/v1/peers"].map(|path| get(data, path).unwrap_or_default());
    let (nat, peers, lost) = (&status["nat"], &peers["peers"], &peers["lost"]);
    format!("{:#}\n", json!({ "peers": peers, "lost": lost, "nat": nat, "dials": dials }))
}

fn start(on: &Machine, port: u16, fixture: &Fixture, data: &str, more: &[&str]) -> Process {
    let (port, network) = (port.to_string(), format!("pair-{port}"));
    let args = [&["start", "--port", &port, "--network", &network][..], more].concat();
    let command = on.command(env!("CARGO_BIN_EXE_positron-net"));
    Process::start_as(fixture, fixture.in_environment(command, args), data)
}

fn print(paths: &[Path]) {
    for path in paths {
        let (one, other) = path.kinds;
        let first = path.first_message.as_secs_f64();
        let direct = path.direct.map_or("-".to_owned(), |it| format!("{:.2}", it.as_secs_f64()));
        let sent = path.sent.as_ref().map_or_else(String::as_str, |()| "");
        let (one, other) = (one.word(), other.word());
        println!("{one:8} {other:8} {:6} {first:6.2} {direct:>6} {sent}", path.transport);
    }
}

/// How many pairs came to what, and how long it took.
fn sum_up(paths: &[Path]) {
    let count = |over: &str| {
        let over = || paths.iter().filter(|path| path.transport == over);
        format!("{} for {}", over().count(), over().map(Path::weight).sum::<usize>())
    };
    println!(
        "{} kinds for {} pairs: {} over udp, {} over a relay, {} over tcp, {} not connected",
        paths.len(),
        paths.iter().map(Path::weight).sum::<usize>(),
        count("udp"),
        count("relay"),
        count("tcp"),
        count("none")
    );
    let of_all = |what: &str, mut times: Vec<Duration>| {
        times.sort();
        let at = |percent: usize| times.get((times.len() * percent).div_ceil(100).max(1) - 1);
        let [median, p99, most] = [50, 99, 100].map(|percent| {
            at(percent).map_or("-".to_owned(), |time| format!("{:.2}", time.as_secs_f64()))
        });
        println!("{what}: median {median} s, p99 {p99} s, most {most} s, of {}", times.len());
    };
    let arrived = paths.iter().filter(|path| path.sent.is_ok());
    of_all("first message", arrived.map(|path| path.first_message).collect());
    of_all("direct", paths.iter().filter_map(|path| path.direct).collect());
}

#[track_caller]
fn judge(paths: &[Path]) {
    let wrong: Vec<_> = paths.iter().filter(|path| !path.is_as_theory_says()).collect();
    for path in &wrong {
        eprintln!("{} with {}: {}", path.kinds.0, path.kinds.1, path.told);
    }
    let wrong: Vec<String> = wrong
        .iter()
        .map(|path| format!("{}-{}: {}", path.kinds.0, path.kinds.1, path.transport))
        .collect();
    assert!(wrong.is_empty(), "not as theory says: {wrong:?}");
}
