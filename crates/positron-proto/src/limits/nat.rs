//! What bounds what a node knows of the translators before it.

use std::ops::Range;

use crate::time::Duration;

/// Owners whose peers must agree before anything is said of how a translator maps our port: two
/// liars of one mind are no proof.
pub const MAPPING_OWNERS: usize = 3;
/// Peers of which it is known where they saw us; about 100 bytes each. Above it those that are not
/// linked any more give way, and nobody new is heard if all are.
pub const MAX_SIGHTINGS: usize = 64;
/// How long the word of a peer stands that is not linked any more (guess: a home keeps its address
/// for a day, and its mapping as long as the port is used).
pub const SIGHTING_LIFE: Duration = Duration::from_mins(10);

/// After so much silence on a datagram connection, or up to 18 % less, a packet goes each way:
/// of 34 home gateways none forgets a mapping sooner than 30 s after one packet from inside
/// (Hätönen and others 2010), and an answer may wait 3 s for company.
pub const MAPPING_KEEP_ALIVE: Duration = Duration::from_secs(22);

/// PINGs that the application waits for (guess).
pub const MAX_PINGS: usize = 256;
/// Between the answer to a PING of the application and the next one to the same peer, which takes
/// no more than [`MAX_PINGS_PER_SECOND`](super::MAX_PINGS_PER_SECOND) of all kinds.
pub const PING_PACE: Duration = Duration::from_millis(100);
/// How long its answer is waited for: a link that leaves a PING unanswered is dead before.
pub const PING_WAIT: Duration = Duration::from_secs(5);

/// Addresses that one side offers for a direct path: its public ones, and those of its interfaces.
pub const MAX_CANDIDATES: usize = 8;
/// Nodes reached through relays for which a direct path is looked for.
pub const MAX_PUNCHED: usize = 128;
/// When a direct path is looked for again after it was in vain; the last of them for ever.
pub const PUNCH_AGAIN: [Duration; 5] = [
    Duration::from_millis(500),
    Duration::from_secs(5),
    Duration::from_secs(15),
    Duration::from_secs(60),
    Duration::from_secs(300),
];
/// The same, at the most, if there was such a path before: one that comes again is found within a
/// minute.
pub const PUNCH_FOUND_AGAIN: Duration = Duration::from_secs(45);
/// When requests go to each address, after the first of a round.
pub const PUNCH_PROBES: [Duration; 4] = [
    Duration::ZERO,
    Duration::from_millis(50),
    Duration::from_millis(150),
    Duration::from_millis(400),
];
/// When nothing is expected any more after the first request of a round: the last one, and 0.6 s
/// there and back, with half as much again.
pub const PUNCH_WAIT: Duration = Duration::from_millis(1_500);
/// Packets that open our own translator, and die before they reach the other's, to each address.
pub const PUNCH_OPENERS: u32 = 2;
/// How long each step of a round is waited for: over a relay and back, behind as much as may be
/// under way there at its rate (`RELAY_RATE_PAIR`).
pub const PUNCH_STEP: Duration = Duration::from_secs(6);
/// Packets to an address that never answered, within [`PUNCH_BUDGET_TIME`]: whoever names it may
/// aim at somebody.
pub const PUNCH_BUDGET: u32 = 10;
/// Packets to all ports of one machine that never answered, in the same time: four nodes of one
/// home may be looked for at once (guess).
pub const PUNCH_NETWORK_BUDGET: u32 = 4 * PUNCH_BUDGET;
/// After so long an address has its whole budget again.
pub const PUNCH_BUDGET_TIME: Duration = Duration::from_secs(60);
/// Addresses of which it is known what was spent on them.
pub const MAX_PUNCH_BUDGETS: usize = 1_024;
/// Rounds that a peer may ask for in a minute.
pub const PUNCH_ROUNDS_BURST: u32 = 10;
/// One such round in so long.
pub const PUNCH_ROUNDS_PACE: Duration = Duration::from_secs(6);
/// Hops that an opener goes at the most: nobody is in a translator's network that is deeper.
pub const MAX_OPENER_HOPS: u8 = 5;
/// How long answers are waited for that tell how many hops away a peer is.
pub const HOPS_WAIT: Duration = Duration::from_millis(500);
/// How much longer, when the first of them came: they left together.
pub const HOPS_GRACE: Duration = Duration::from_millis(20);
/// How long it is believed how many hops away the relay is.
pub const HOPS_LIFE: Duration = Duration::from_secs(600);
/// How often the relay is asked where it sees a new socket: one may be lost.
pub const MAPPING_ASKS: u32 = 2;

/// Sockets that are opened in a search for the port of a node that everybody sees at another one.
/// With so many ports open, each guess of the other side is right with a probability of 1/252.
pub const SEARCH_SOCKETS: usize = 256;
/// Extra sockets, those of a search, of rounds that are repeated, and of connections over them:
/// half of the 1,024 descriptors that a process has by default on Linux.
pub const MAX_EXTRA_SOCKETS: usize = 512;
/// Searches that others ask a node for whose port varies, in a minute: the others it wants itself.
pub const SEARCHES_FOR_OTHERS: u32 = 3;
/// One of them in so long.
pub const SEARCHES_FOR_OTHERS_PACE: Duration = Duration::from_secs(20);
/// Guesses of the other side: one of them is right with a probability of 99.97 %.
pub const SEARCH_GUESSES: usize = 2_048;
/// Guesses at a time, one time in each [`SEARCH_STEP`]: 400 a second, 19 kB.
pub const SEARCH_GUESSES_A_STEP: usize = 2;
/// How long the next guesses wait.
pub const SEARCH_STEP: Duration = Duration::from_millis(5);
/// When nothing is expected any more after the first guess: all are made, answered and dialled.
pub const SEARCH_WAIT: Duration = Duration::from_secs(6);
/// How long the sockets of a search are open that nobody speaks to: that, and the way to the peer
/// before it.
pub const SEARCH_LIFE: Duration = Duration::from_secs(8);
/// When it is looked again whether a connection still goes over the one that was found.
pub const SEARCH_LOOK: Duration = Duration::from_secs(60);
/// One search of a peer in so long: each costs 40 kB, and entries in the tables of two routers.
pub const SEARCH_PACE: Duration = Duration::from_secs(60);
/// Bytes over a relay within [`SEARCH_TRAFFIC_TIME`] that a search is worth. Who aims guesses at
/// somebody else by a wrong offer has to move that through us, for 170 kB of ours that arrive
/// there, once a minute by all nodes that it can do so with together.
pub const SEARCH_TRAFFIC: usize = 64 * 1_024;
/// See [`SEARCH_TRAFFIC`].
pub const SEARCH_TRAFFIC_TIME: Duration = Duration::from_secs(10);
/// How long a pair is worth a search after that, or after the application asked for the peer.
pub const SEARCH_WISH: Duration = Duration::from_secs(60);

/// Strangers of as many owners whose packets must not arrive, asked by peers of as many owners,
/// before a node says that strangers are not let in, and peers of as many owners, before it says so
/// of other ports: any of them may lie, or its packet be lost.
pub const FILTERING_HELPERS: usize = 3;
/// How often one peer is asked to have a stranger send, until all were asked.
pub const FILTERING_ASKS: u32 = 4;
/// How often one peer is asked to send from another port, unless it says that it cannot: it may
/// have been busy, or what it said is lost with its link.
pub const OTHER_PORT_ASKS: u32 = 3;
/// Answers that name nobody who is a stranger, until a socket is opened to which all are strangers;
/// such sockets into which not even another port of the one that was sent to gets, until they are
/// given up for this time.
pub const FILTERING_IN_VAIN: u32 = 3;
/// How long a socket is open to which all but one are strangers: it is said where it is seen, and
/// two packets are waited for, each ([`FILTERING_WAIT`]) after what a peer says of it
/// ([`FILTERING_REPLY_WAIT`]).
pub const FRESH_SOCKET_LIFE: Duration = Duration::from_secs(12);
/// How long the socket is open after it was used last from which a node sends so that others see
/// whether another port gets in: it serves all that ask meanwhile.
pub const SECOND_PORT_LIFE: Duration = Duration::from_secs(10);
/// Sockets that are open to find out who is let in: [`FILTERING_HELPERS`] at a time in their stead
/// come sooner than these are closed (guess: five times as often).
pub const MAX_TRIAL_SOCKETS: usize = 16;
/// What those sockets are called by who finds out; none of a search is called so.
pub(crate) const FRESH_SOCKETS: Range<u16> = 0xE000..0xE800;
/// The same by who sends for others.
pub(crate) const SECOND_PORTS: Range<u16> = 0xE800..0xF000;
/// How long it is waited for what a peer says that was asked for a packet: there and back over
/// lines that are full, or while either machine is busy.
pub const FILTERING_REPLY_WAIT: Duration = Duration::from_secs(3);
/// How long the packet is waited for after that: to a stranger, and from there.
pub const FILTERING_WAIT: Duration = Duration::from_millis(1_500);
/// How often it is looked into again from whom packets are let in.
pub const FILTERING_AGAIN: Duration = Duration::from_mins(10);
/// How long a verdict stands that was not confirmed.
pub const FILTERING_LIFE: Duration = Duration::from_mins(30);
/// Packets in the evidence for a verdict, in each family: [`FILTERING_HELPERS`] of strangers and as
/// many from other ports, to each of two kinds of socket.
pub const MAX_FILTERING_EVIDENCE: usize = 12;
/// Packets of strangers and from other ports in a minute: for one peer, by one peer, to one
/// address.
pub const FILTERING_PROBES_BURST: u32 = 6;
/// One of them in so long.
pub const FILTERING_PROBES_PACE: Duration = Duration::from_secs(10);
/// Addresses of which it is known what strangers sent there.
pub const MAX_PROBED_ADDRESSES: usize = 1_024;
/// IP addresses of which it is known that we sent to them; about 170 bytes each.
pub const MAX_CONTACTED: usize = 4_096;
/// Ports of each of them of which that is known: few nodes share an address (guess).
pub const MAX_CONTACTED_PORTS: usize = 4;
/// How long a translator may let in an address after we sent there (RFC 4787, REQ-5: five minutes
/// are recommended).
pub const CONTACT_LIFE: Duration = Duration::from_mins(5);
/// How exactly that time is known.
pub const CONTACT_PRECISION: Duration = Duration::from_secs(1);

/// How long a mapped port is asked for; half of it later the mapping is renewed. RFC 6886, 3.3,
/// recommends two hours, and RFC 6887, 15, allows up to 24.
pub const ROUTER_LIFETIME: Duration = Duration::from_hours(2);
/// The least that a grant is taken for: a router that says less is asked again no sooner.
pub const ROUTER_LEAST_LIFETIME: Duration = Duration::from_mins(2);
/// How long the first answer of a router is waited for, each next one twice as long (RFC 6886, 3.1:
/// 250 ms).
pub const ROUTER_WAIT: Duration = Duration::from_millis(250);
/// How often a router is asked one thing. RFC 6886 has nine, which are two minutes; a router that
/// is there answers within milliseconds, and is asked again after [`ROUTER_AGAIN`].
pub const ROUTER_TRIES: u32 = 4;
/// When a router is asked again that did not answer, or refused: it may be set up otherwise by
/// then (guess).
pub const ROUTER_AGAIN: Duration = Duration::from_mins(10);
/// How often a router that mapped a port is asked how long it has run, and where it is: within so
/// long one is noticed that has forgotten everything. It is one small packet in the own network.
pub const ROUTER_LOOK: Duration = Duration::from_mins(1);
/// Bytes of the longest message of PCP (RFC 6887, 7).
pub const MAX_ROUTER_MESSAGE: usize = 1_100;
/// Owners of strangers that sent to a mapped port and got in, where none of them may be a stranger
/// because the node sends to all that there are.
pub const MAPPED_OWNERS: usize = 2;
