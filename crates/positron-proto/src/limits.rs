//! Every bound, in one place: what it bounds, its unit, and where the number comes from.

mod bandwidth;
mod bloom;
mod datagrams;
mod dht;
mod gossip;
mod identity;
mod nat;
mod query;
mod recommendation;
mod relay;
mod request;
mod silence;
mod stun;
mod substream;
mod trace;

pub use bandwidth::*;
pub use bloom::*;
pub use datagrams::*;
pub use dht::*;
pub use gossip::*;
pub use identity::*;
pub use nat::*;
pub use query::*;
pub use recommendation::*;
pub use relay::*;
pub use request::*;
pub use silence::*;
pub use stun::*;
pub use substream::*;
pub use trace::*;

use crate::time::{Duration, WallTime};

// --- messages [PROTOCOL 3, 4] ---

/// Bytes in the payload of one application message. The largest thing that gossip carries whole;
/// larger content belongs into several messages (guess: a block header with its proofs fits 64
/// times).
pub const MAX_PAYLOAD: usize = 1 << 20;
/// Bytes in one link message: a payload and the envelope around it.
pub const MAX_MESSAGE: usize = MAX_PAYLOAD + 1024;
/// Bytes of frames in one sealed record of a stream link. Small enough that a heartbeat behind a
/// bulk transfer waits for one record only; large enough that 20 bytes of overhead do not matter.
pub const MAX_RECORD: usize = 16 * 1024;
/// From so many bytes of payload on, a message of gossip goes in a lane of its own: whatever fills
/// records by itself keeps small ones waiting.
pub const LARGE_GOSSIP: usize = MAX_RECORD;
/// From so many bytes on, the end of a message is shared with the packets of a datagram link
/// instead of copied into its record, which ends there: such a record is at least half full.
pub const SHARED_TAIL: usize = MAX_RECORD / 2;
/// Signed peer records in one message.
pub const MAX_RECORDS_PER_MESSAGE: usize = 32;
/// Bytes of one peer record with its signature: what one node says of itself is passed on by
/// others. [`RECORDS_PER_ANSWER`] of them fit into one record of a link ([`MAX_RECORD`]), which is
/// all that a node says before it refuses another.
pub const MAX_PEER_RECORD: usize = 960;
/// Addresses in one peer record.
pub const MAX_ADDRESSES: usize = 8;
/// Bytes that an address has beside its kind. Guess: a host name, or a node id and an address.
pub const MAX_ADDRESS_BODY: usize = 128;
/// Carriers in one peer record.
pub const MAX_CARRIERS: usize = 8;
/// Bytes that a carrier has beside its kind: three certificate hashes take 96.
pub const MAX_CARRIER_BODY: usize = 128;
/// Bytes in the name and version of a peer's software.
pub const MAX_SOFTWARE: usize = 64;
/// Senders in one announcement, request or digest of gossip.
pub const MAX_HOLDINGS_SENDERS: usize = 1024;
/// Sequence ranges of all senders in one announcement, request or digest of gossip.
pub const MAX_HOLDINGS_RANGES: usize = 4096;
/// Hops: the largest `ttl` that is believed (20 by default, 10 in the founding document).
pub const MAX_TTL: u8 = 32;
/// Bytes in the text of a reason to close.
pub const MAX_REASON_TEXT: usize = 128;

// --- what is told of the past ---

/// Peers that left and are still told of, with the reason: the newest. Guess: more than a table of
/// peers holds; 40 kB.
pub const RECENT_LOST_PEERS: usize = 256;
/// A clock before this is wrong: this program was made in 2026.
pub const CLOCK_EARLIEST: WallTime = WallTime::from_unix_micros(1_767_225_600_000_000);
/// A clock after this is wrong: the year 2100. Guess: nobody runs this version then.
pub const CLOCK_LATEST: WallTime = WallTime::from_unix_micros(4_102_444_800_000_000);
/// A node that acts so much later than it wanted is not ready. Guess: with two seconds of silence
/// its peers let go of it.
pub const LATE_WAKE: Duration = Duration::from_secs(1);
/// Dials that are told of, with what came of them: the newest. Guess: some minutes of a node that
/// is alone; 50 kB.
pub const RECENT_DIALS: usize = 256;

// --- links and handshakes [PROTOCOL 5] ---

/// Bytes in one handshake message (a Noise message with our hello is below 400).
pub const MAX_HANDSHAKE: usize = 1024;
/// Links whose handshake is not complete, in all. At about 2 KiB each they cost 512 KiB.
pub const MAX_HALF_OPEN: usize = 256;
/// Links whose handshake is not complete, from one IP address (not counted on loopback).
pub const MAX_HALF_OPEN_PER_IP: usize = 16;
/// Time that a handshake may take, in all.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes written to a link that the kernel has not taken: beyond it, frames wait in their lanes, so
/// that a later message of a more urgent lane still overtakes.
pub const LINK_WRITE_WINDOW: usize = 64 * 1024;
/// Bytes queued for one peer and not acknowledged. Two of the largest messages fit.
pub const MAX_PEER_QUEUE_BYTES: usize = 4 << 20;
/// Bytes of them that broadcasts of one sender take before they are on their way: a quarter is left
/// for others, and half is where back-pressure begins.
pub const MAX_FLOW_BYTES: usize = MAX_PEER_QUEUE_BYTES / 4 * 3;
/// Bytes of streams queued for one peer and not acknowledged: 640 Mbit/s over 100 ms, like
/// [`CONNECTION_QUEUE_BYTES`].
pub const MAX_BULK_QUEUE_BYTES: usize = 8 << 20;
/// Messages queued for one peer and not acknowledged.
pub const MAX_PEER_QUEUE_MESSAGES: usize = 16 * 1024;
/// The same of one sender as of bytes.
pub const MAX_FLOW_MESSAGES: usize = MAX_PEER_QUEUE_MESSAGES / 4 * 3;
/// The largest message number that a peer can make us go on from: far below what a varint carries.
pub const MAX_NUMBER: u64 = 1 << 60;
/// A peer that acknowledges nothing for this long while data waits is a slow reader: dropped.
pub const SLOW_READER_TIMEOUT: Duration = Duration::from_secs(10);
/// Silence after which a link is probed on which something waits to be acknowledged, or that
/// carried something for which somebody waits.
pub const PROBE_AFTER: Duration = Duration::from_secs(1);
/// Silence after a probe that means the peer is gone. With [`PROBE_AFTER`] a silent crash is
/// noticed within 3 s of what is said next.
pub const PROBE_TIMEOUT: Duration = Duration::from_millis(1_800);
/// How long after the last message for which somebody waits a link counts as one that carries
/// traffic: twice [`PROBE_AFTER`], so that one message is followed by one question.
pub const RECENT_TRAFFIC: Duration = Duration::from_secs(2);
/// How often a link that falls silent has all quiet ones asked: one peer that plays dead has the
/// others hear of it no more often (guess).
pub const ASK_AROUND_INTERVAL: Duration = Duration::from_secs(10);
/// While parts of a message arrive, the receiver is never silent for longer than this: half of
/// [`PROBE_AFTER`], so that the sender of a large message over a slow path does not doubt it.
pub const PARTS_ACK_INTERVAL: Duration = Duration::from_millis(500);
/// How long an acknowledgment for which nobody waits may wait for company, if it is not for one
/// message alone: a third of what would make a slow reader of us, so that it may be lost and be
/// sent again.
pub const ACK_COMPANY_DELAY: Duration = Duration::from_secs(3);
/// The same for one message alone, over datagrams, whose own acknowledgments say that we read: two
/// heartbeats of a link, one of which is likely ours.
pub const LONE_ACK_DELAY: Duration = Duration::from_mins(1);
/// The same where nothing else tells the peer that we live, alone or not: half of [`PROBE_AFTER`]
/// too, so that nobody is asked for a sign of life instead.
pub const PROVING_ACK_DELAY: Duration = Duration::from_millis(500);
/// Messages after which it waits no longer: a small part of [`MAX_PEER_QUEUE_MESSAGES`], which wait
/// for it at the other end.
pub const ACKS_TOGETHER: u32 = 64;
/// How long a closed link may take to hand its last bytes to the kernel, or a closing connection to
/// hear of the next one of them that arrived. Its retransmissions wait twice as long each time: it
/// outlasts an outage of a quarter of this, but one of more than half may hide the last try.
pub const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an end that said its last word hears the other one out at most, however much comes
/// (Linux, `tcp_fin_timeout`).
pub const LONGEST_HALF_CLOSE: Duration = Duration::from_secs(60);
/// How long a conversation is kept without a link, so that a reconnect continues it.
pub const CONVERSATION_GRACE: Duration = Duration::from_secs(30);
/// Conversations without a link, in all; the oldest goes first.
pub const MAX_DORMANT_CONVERSATIONS: usize = 256;
/// Bytes that wait in conversations without a link, in all: eight full queues. The oldest
/// conversation goes first.
pub const MAX_DORMANT_BYTES: usize = 8 * MAX_PEER_QUEUE_BYTES;
/// Memory of messages of which only parts have arrived, over all links; the link that waits longest
/// for the end of one gives way. Guess: 64 of the largest messages at a time, where one link alone
/// could hold three.
pub const MAX_PARTIAL_BYTES: usize = 64 << 20;
/// Records sealed under one key; then both sides step to the next. RFC 9001 6.6 allows 2^23 for
/// AES-GCM.
pub const RECORDS_PER_KEY: u64 = 1 << 22;
/// PING frames that are answered in one second; more is flooding.
pub const MAX_PINGS_PER_SECOND: u32 = 20;

// --- links over datagrams and over streams ---

/// How long a dial waits for an answer to one kind of link before it tries the next kind too
/// (RFC 8305, 5 recommends 250 ms).
pub const HEAD_START: Duration = Duration::from_millis(250);
/// How long a probe waits for an answer to one kind of link before it tries the next one: a SYN of
/// TCP goes out twice by then (RFC 6298, 2.1: after 1 s), for only that one tells of strangers.
pub const PROBE_HEAD_START: Duration = Duration::from_secs(2);
/// How long datagrams go on unanswered when every other kind of link to the same address has
/// failed: three SYN are out by then.
pub const UDP_ALONE: Duration = Duration::from_secs(1);
/// How long a datagram link that we dialled may leave a PING unanswered before a byte stream is
/// dialled instead. With [`PROBE_AFTER`] and three round trips traffic goes on within 3 s of the
/// last datagram that arrived; one lost PING is repeated well before.
pub const INSTEAD_AFTER: Duration = Duration::from_millis(500);
/// First wait before a session that runs over a byte stream tries datagrams again; doubled each
/// time.
pub const BACK_FIRST: Duration = Duration::from_secs(2);
/// Longest such wait. A datagram link that lived as long was a good one.
pub const BACK_LONGEST: Duration = Duration::from_secs(60);
/// Bytes of a lane and more urgent ones given to a datagram connection that its other end has not
/// acknowledged: from there on, frames wait in their lanes; less than it, and another message goes,
/// however large. 1 Gbit/s over 8 ms, 50 Mbit/s over 160 ms (guess: a session is the one user of
/// its connection, and what is given cannot move to another link).
pub const LINK_DATAGRAM_WINDOW: usize = 1 << 20;

// --- signatures ---

/// Claims that wait for their signature to be checked, from one peer; beyond it broadcasts and
/// records are dropped, and brought again.
pub const MAX_PARKED_PER_PEER: usize = 512;
/// The same for direct messages, which are not brought again: what is read of a peer at once, 64
/// KiB of the smallest and a record, and what waited for its turn, fit beside
/// [`CHECKS_BEFORE_READ`]. Beyond it all that wait are checked before anything else is done, which
/// kept everybody waiting for 30 ms (measured).
pub const MAX_PARKED_WITH_DIRECTS: usize = 2 * MAX_PARKED_PER_PEER;
/// Claims of one peer that may still wait when more is read of it: two batches of the threads that
/// check, so that these do not run out of work.
pub const CHECKS_BEFORE_READ: usize = MAX_PARKED_PER_PEER / 4;
/// Claims that wait for their signature to be checked, in all: of 16 peers that bring as many as
/// they may.
pub const MAX_PARKED: usize = 16 * MAX_PARKED_WITH_DIRECTS;
/// From when on a check was slow: an idle machine has its verdict in a tenth of that (measured).
pub const SLOW_CHECK: Duration = Duration::from_millis(2);
/// Time in which is counted who brings most: some dozens of claims of a peer that floods, and the
/// flood is known before many of others wait (guess).
pub const PACE_WINDOW: Duration = Duration::from_millis(100);
/// Claims a second that are checked of whoever brings most, while others wait: with all that
/// follows from them a tenth of a small server (measured).
pub const LEAST_CHECKS_PER_SECOND: u64 = 1_000;
/// From so many on there is no limit: more than a processor checks in a second.
pub const MOST_CHECKS_PER_SECOND: u64 = 1 << 17;
/// By how much more of what a peer passes on is checked than of what it signed.
pub const RELAYED_CHECKS: u64 = 4;
/// Bytes of a claim that take about as long as one more signature, with all that follows from them.
pub const CHECK_BYTES: usize = 2 * 1024;
/// Claims of one peer that wait their turn, from which on its link is read no further (guess).
pub const PACED_WAITING: usize = 32;
/// Bytes of claims that wait, from one peer: twice the largest message and some small ones.
pub const MAX_PARKED_BYTES_PER_PEER: usize = 4 << 20;

// --- peers [PROTOCOL 7] ---

/// Peers in the address book. Bitcoin's keeps about 80,000; at 400 bytes each this is 1.6 MB,
/// and 5 MB if each record is as long as it may be.
pub const MAX_BOOK: usize = 4096;
/// Peers in the address book that one other peer told us of.
pub const MAX_BOOK_PER_SOURCE: usize = 256;
/// Links that a node chose itself and does not let go to try others, and peers that it was linked
/// to by choice for longest and dials first when it starts. Measured (`eclipse`): with so many a
/// node that an attacker of 4,600 networks besieged for a week finds an honest one again. No more,
/// so that one of the links aimed at is always somebody else's turn.
pub const MAX_ANCHORS: usize = 4;
/// Dials that are under way, in all.
pub const MAX_DIALS: usize = 16;
/// Peers that the application keeps a slot for beside all others, and dials beside all others. A
/// guess: a validator set, not a network.
pub const MAX_RESERVED: usize = 32;
/// Places at which a reserved peer is dialled at once: one of the application's and two of the
/// book's. Over two kinds of links, all dials together are still fewer than [`MAX_HALF_OPEN`].
pub const MAX_RESERVED_PLACES: usize = 3;
/// Longest wait between two dials of a reserved peer: less than half of the ten seconds that are
/// promised, so that one attempt may be lost.
pub const RESERVED_LONGEST: Duration = Duration::from_secs(4);
/// First wait before an address is dialled again.
pub const REDIAL_FIRST: Duration = Duration::from_millis(500);
/// Longest wait before an address is dialled again.
pub const REDIAL_LONGEST: Duration = Duration::from_secs(60);
/// Longest wait before a bootstrap address is dialled again: it is never given up.
pub const BOOTSTRAP_LONGEST: Duration = Duration::from_secs(30);
/// Bootstrap addresses.
pub const MAX_BOOTSTRAP: usize = 64;
/// Dials that only bootstrap addresses may use, so that a book full of dead peers does not keep us
/// from them.
pub const BOOTSTRAP_DIALS: usize = 4;
/// Addresses of one bootstrap name that are tried in one attempt: what fits an answer over UDP
/// without fragments (1,232 bytes, DNS flag day 2020) and one of each family. The rest has its turn
/// in the next one.
pub const MAX_RESOLVED: usize = 32;
/// Dials to addresses of one bootstrap name that are under way: half of [`MAX_DIALS`].
pub const MAX_RACING_ADDRESSES: usize = 8;
/// Addresses in the book that share one IP address (IPv6 of the internet: its /64): more would make
/// us knock on a victim's door again and again, and one machine of a private network could be most
/// of the book.
pub const MAX_BOOK_PER_IP: usize = 16;
/// Proven peers of one network group (IPv4 /16, IPv6 /32) in the book: a sixty-fourth of it, so
/// that many identities in a few places do not push out the rest of the world. With 256, 32
/// networks took all of it (the experiment `eclipse`).
pub const MAX_GOOD_PER_GROUP: usize = 64;
/// Dials of hearsay that may fail before it is dropped.
pub const MAX_HEARSAY_FAILURES: u32 = 4;
/// Dials of a proven peer that may fail before it is dropped, if it was silent for
/// [`GOOD_SILENCE`].
pub const MAX_GOOD_FAILURES: u32 = 10;
/// See [`MAX_GOOD_FAILURES`].
pub const GOOD_SILENCE: Duration = Duration::from_secs(24 * 3600);
/// How long after it was last seen a proven peer is passed on. Guess: much of a network that churns
/// is gone after hours, and everybody told of it dials in vain.
pub const PASSED_ON_FOR: Duration = Duration::from_secs(3 * 3600);
/// Peers that are told of a node which perhaps only we reach, and did not pass it on to us since:
/// each dials it as a stranger, and passes it on only if that succeeds. Guess: one may be away, one
/// may have no dial to spare.
pub const MAX_TOLD_UNPROVEN: usize = 3;
/// Nodes of whom it is remembered that they told us of another one, for who looks at the network
/// (guess: enough for a picture, 128 bytes each entry of the book).
pub const MAX_TELLERS: usize = 4;
/// Peers of whom it is remembered that they passed such a node on to us: they need not be told.
/// Guess: as many as a node has links of its own choice, twice.
pub const MAX_PASSED_ON_BY: usize = 16;
/// Of those in one answer of ours: there are few to be told, and the next who asks needs some too.
pub const MAX_UNPROVEN_PER_ANSWER: usize = 3;
/// How long a translator or a firewall may let in those to whom its host spoke (RFC 4787, 4.3: at
/// least 2 minutes, 5 are recommended).
pub const NAT_MAPPING_LIFETIME: Duration = Duration::from_secs(300);
/// Addresses from which somebody spoke to us in [`NAT_MAPPING_LIFETIME`] that are remembered: as
/// many as there may be peers in the book.
pub const MAX_CONTACTS: usize = 4096;
/// Records in one answer of ours.
pub const RECORDS_PER_ANSWER: usize = 16;
/// Dials under way to nodes that the hash table asks over a session (guess: two fetches of a value
/// from all that are asked at once). All dials together are still fewer than [`MAX_HALF_OPEN`].
pub const MAX_TABLE_DIALS: usize = 8;
/// Probes of addresses that are under way, in all.
pub const MAX_PROBES: usize = 4;
/// Probes of the addresses of one linked peer.
pub const MAX_PROBES_PER_PEER: u32 = 6;
/// Records whose signature is being checked, from one peer: two of the largest messages.
pub const MAX_CHECKS_PER_PEER: usize = 64;
/// Records whose signature is being checked, in all.
pub const MAX_CHECKS: usize = 2048;
/// Time after which a check that nobody answered is forgotten.
pub const CHECK_TIMEOUT: Duration = Duration::from_secs(30);
/// Peers lost to silence or a broken link that are redialled although there are enough others.
pub const MAX_LOST: usize = 64;
/// How long a lost peer is redialled: this long may a partition last and still heal at once.
pub const LOST_WINDOW: Duration = Duration::from_secs(600);
/// Longest wait before a lost peer is dialled again: a partition heals within it.
pub const LOST_LONGEST: Duration = Duration::from_secs(8);
/// Wait before a peer is dialled again that does not want us, or that we let go.
pub const REFUSED_PAUSE: Duration = Duration::from_secs(600);
/// Wait before a peer is dialled again that had no free slot.
pub const SLOTS_FULL_PAUSE: Duration = Duration::from_secs(15);
/// Shortest time between two reports of newcomers refused for one reason. Guess: a line in the log
/// that an operator sees soon, and that nobody can fill a disk with.
pub const REFUSALS_TOLD_INTERVAL: Duration = Duration::from_secs(10);
/// Time between two HANDSHAKE, PEER_DISCOVERY, OBSERVED_ADDRESS or unasked PEER_ANNOUNCEMENT of a
/// peer, in the long run: 30 a minute.
pub const SAYING_INTERVAL: Duration = Duration::from_secs(2);
/// Such messages that a peer may send at once.
pub const SAYING_BURST: u32 = 30;
/// Questions that we ask one peer at once; in the long run one every two [`SAYING_INTERVAL`], so
/// that an honest node stays far below the limit.
pub const ASKING_BURST: u32 = 10;
/// How long a peer may take to answer a question about peers.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long who dialled us may take to say hello before it gives way to others: we say it first
/// after a second, and its answer takes some round trips.
pub const GREET_GRACE: Duration = Duration::from_secs(3);
/// Shortest time between two records of our own.
pub const OWN_RECORD_INTERVAL: Duration = Duration::from_secs(5);
/// Addresses that the operator says others reach us at: half of a record; the rest is for what
/// others observe.
pub const MAX_EXTERNAL_ADDRESSES: usize = MAX_ADDRESSES / 2;
/// Addresses that we take for ours because others observe them: two nearby, two of IPv4 and two of
/// IPv6.
pub const MAX_OBSERVED_ADDRESSES: usize = 6;
/// Addresses of this machine's interfaces that are looked at: hosts of containers have thousands
/// (guess).
pub const MAX_INTERFACE_ADDRESSES: usize = 4096;
/// Direct messages' wishes for a link that wait for a free dial.
pub const MAX_WANTED_LINKS: usize = 64;

// --- direct messages ---

/// Direct messages that wait for a link to their peer, in all.
pub const MAX_WAITING_DIRECT: usize = 1024;
/// Bytes of direct messages that wait for a link to their peer, in all.
pub const MAX_WAITING_DIRECT_BYTES: usize = 8 << 20;
/// Direct messages that a session has taken and the peer has not acknowledged, in all.
pub const MAX_UNACKNOWLEDGED_DIRECT: usize = 16 * 1024;
/// Bytes of direct messages that a session has taken and the peer has not acknowledged, in all.
pub const MAX_UNACKNOWLEDGED_DIRECT_BYTES: usize = 32 << 20;
/// Wait before a direct message that a session could not take is offered to it again.
pub const DIRECT_RETRY: Duration = Duration::from_millis(200);
/// Wait before a link is asked for again while a direct message waits for it.
pub const DIRECT_RECONNECT: Duration = Duration::from_secs(3);
/// Peers whose received direct numbers are remembered; the one silent longest is forgotten first
/// (it could then repeat its own messages, and nobody else's).
pub const MAX_DIRECT_SENDERS: usize = 1024;
/// Ranges of received direct numbers remembered of one peer; beyond it the lowest gap is given up.
/// A peer counts its messages to all others alike, so this is about how many messages to us may
/// come between two attempts at one.
pub const MAX_DIRECT_RANGES: usize = 256;
/// How long a direct message waits for a link and an acknowledgment.
pub const DIRECT_TIMEOUT: Duration = Duration::from_secs(15);

// --- trust ---

/// Peers whose behaviour is remembered; the one nearest to a stranger's score and silent longest
/// goes first.
pub const MAX_OBSERVED: usize = 8192;
/// Strangers whose wrongs are remembered, in memory only: an eighth of [`MAX_OBSERVED`] (guess).
/// The last that did something stay: who does no more wrong needs no ban.
pub const MAX_STRANGERS: usize = MAX_OBSERVED / 8;
/// How long a node that dialled us is a stranger: what it takes to be told from one that came to do
/// harm, and as long as a link is kept from being pruned.
pub const ACQUAINTED_AFTER: Duration = Duration::from_secs(60);
/// How long a ban for a score lasts.
pub const BAN_DURATION: Duration = Duration::from_secs(3600);
/// Longest ban by the application: for good, as people count.
pub const LONGEST_BAN: Duration = Duration::from_secs(100 * 365 * 86_400);
/// Bans by the application: an eighth of [`MAX_OBSERVED`], so that they never give way to others.
pub const MAX_ORDERED_BANS: usize = MAX_OBSERVED / 8;
/// Bans of addresses. Guess: each is looked at for each batch of datagrams, a microsecond for all.
pub const MAX_ADDRESS_BANS: usize = 512;
/// Of them, those of the configuration, so that the application has room for others.
pub const MAX_CONFIGURED_ADDRESS_BANS: usize = MAX_ADDRESS_BANS / 2;
/// Bytes of the application's words for a ban or a report: a line or two.
pub const MAX_BAN_WORDS: usize = 256;
/// Shortest time between two audit events about one kind of wrong of one peer; the rest is summed.
pub const AUDIT_INTERVAL: Duration = Duration::from_secs(1);
/// Wrongs that are told of one peer to say why its score is what it is: a screen of them. With
/// [`MAX_OBSERVED`] peers that is 10 MiB at the most.
pub const MAX_ACCOUNT_EVENTS: usize = 16;
/// Kinds of wrong, of all peers, whose audit events are being summed; beyond it they are dropped.
pub const MAX_AUDIT_SUMS: usize = 1024;
/// Trust events that storage keeps for one node; the oldest go first.
pub const MAX_TRUST_EVENTS: usize = 10_000;

// --- node ---

/// Sequence numbers that are reserved on disk at a time.
pub const SEQUENCE_BLOCK: u64 = 1024;
/// How far the numbers of our messages may be above the sequence of our record, by which we know
/// again how far we were: an hour of the clock, or as many messages as a node sends in a year at a
/// hundred a second.
pub const NUMBERS_PER_RECORD: u64 = 1 << 32;
/// How far our numbers skip above one that our key used without our knowing it: more than somebody
/// else with our key uses up before it hears of ours.
pub const NUMBERS_APART: u64 = 1 << 20;
/// How long broadcasts wait for a peer that knows us when our own database and clock leave a doubt:
/// what a direct message waits for its link.
pub const RECOGNITION_WAIT: Duration = DIRECT_TIMEOUT;
/// How far a clock may have got ahead of the numbers before these follow: one second of it. One
/// that drifts by 50 ppm takes hours for that, one that is set right takes no time.
pub const CLOCK_DRIFT_NUMBERS: u64 = 1_000_000;
/// Shortest time between two times that the application is told the same of our identity.
pub const IDENTITY_NOTICE_INTERVAL: Duration = Duration::from_secs(60);
/// Bytes of changes on their way to the disk: what one transaction takes. At 10 MB/s that is 0.4 s,
/// for which a link is held that brings more.
pub const MAX_BYTES_TO_DISK: usize = 4 << 20;
/// Longest time that a change waits for others to be written with, if nobody waits for it: of the
/// address book and of what is made of peers. A flood of misbehaviour by ever new identities writes
/// the pages that it touches once a second, and not once for each of them (33 MB/s, measured).
pub const WRITE_INTERVAL: Duration = Duration::from_secs(1);
/// Bytes of changes that wait behind those and hold the links that bring more (guess).
pub const HOLD_READING_AT: usize = 1 << 20;
/// Longest time that a link is not read because of the disk or of its peer's work: short against
/// the time after which its other end takes it for dead.
pub const MAX_HOLD: Duration = Duration::from_millis(500);
/// Bytes of lists, questions, records and frames that say nothing of one peer that are read in a
/// second, once its burst is used up: some 150,000 ranges of numbers, a few percent of a core. An
/// honest one needs some 20 KB a second in a flooded network.
pub const WORK_PER_SECOND: u64 = 512 << 10;
/// The same at once: a comparison of 10,000 senders fits twice.
pub const WORK_BURST: u64 = 1 << 20;
/// What every message costs of it, beside its bytes: its way through the rooms.
pub const WORK_PER_MESSAGE: u64 = 32;
/// Bytes of a payload that cost one, until it proves to be new: to know a message that was heard
/// before takes a hash.
pub const WORK_SHARE: u64 = 64;
/// What a node reads of its peers at a time, before it looks what else there is: in the same
/// measure of work, and [`READING_PER_MESSAGE`] for each message. 30 broadcasts, or about a
/// millisecond of the dearest questions (40 microseconds each, measured).
pub const READING_TURN: usize = 16 << 10;
/// What reading a message takes beside that.
pub const READING_PER_MESSAGE: usize = 512;
/// Of one peer, what may wait for its turn before its link is read no further: four turns.
pub const UNREAD_LONG: usize = 4 * READING_TURN;
/// How long a peer may use up all of that without a break before it is sent away: an honest one
/// that was away for an hour is through with everything in two seconds.
pub const WORK_PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of changes that wait behind a slow disk, or for one that is away: what gossip keeps, what
/// subscriptions have not acknowledged, and as much again for everything else.
pub const MAX_BACKLOG_BYTES: usize = 2 * (RETENTION_BYTES + MAX_UNACKNOWLEDGED_BYTES);
/// Bytes of memory that a change takes while it waits, besides its own: three entries of trees.
pub const BACKLOG_OVERHEAD: usize = 256;
/// Durable subscriptions of a node: parts of one application (guess).
pub const MAX_SUBSCRIPTIONS: usize = 16;
/// Bytes of the name of a subscription.
pub const MAX_SUBSCRIPTION_NAME: usize = 64;
/// Messages that are kept until every durable subscription has acknowledged them: as many as gossip
/// keeps unless it is configured otherwise.
pub const MAX_UNACKNOWLEDGED: usize = 10_000;
/// Bytes of their payloads. One message is always kept.
pub const MAX_UNACKNOWLEDGED_BYTES: usize = RETENTION_BYTES;
/// Broadcasts that wait for a sequence number, for slower peers, or for the disk.
pub const MAX_PENDING_BROADCASTS: usize = 4096;
/// Bytes of the payloads of those that wait for a number, or for peers that are slower. As much
/// again as is kept of those that were sent.
pub const MAX_PENDING_BYTES: usize = RETENTION_BYTES;
