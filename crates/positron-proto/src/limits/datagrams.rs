//! What bounds datagram connections `[PROTOCOL 9]`.

use super::MAX_MESSAGE;
use crate::time::Duration;

/// Bytes of UDP payload of every SYN, and of the datagrams that every path is taken to carry: what
/// RFC 9000, 14 demands of a path.
pub const LEAST_DATAGRAM: usize = 1200;
/// Bytes of the largest datagram that is ever tried: from there on larger ones save little
/// (measured: 8,900 bytes cost 0.36 CPU s/GiB, 16,000 bytes 0.33). A batch has three of them: with
/// 16,376 bytes it had four, and cost 5 to 15 % more over loopback (measured).
pub const LARGEST_DATAGRAM: usize = 16 * 1024;
/// Datagrams in one batch for segmentation offload: what Linux takes (`UDP_MAX_SEGMENTS`).
pub const MAX_SEGMENTS: usize = 64;
/// Bytes in one batch: the largest UDP payload over IPv4.
pub const MAX_BATCH: usize = 65_507;
/// Lanes of a connection; 0 is the most urgent.
pub const LANES: u8 = 16;
/// Bytes of one message, whole or in fragments; more travels over a stream.
pub const MAX_DATAGRAM_MESSAGE: usize = MAX_MESSAGE;
/// Bytes that wait to be acknowledged on one connection, unless configured otherwise.
pub const CONNECTION_QUEUE_BYTES: usize = 8 << 20;
/// Messages that wait to be acknowledged on one connection.
pub const CONNECTION_QUEUE_MESSAGES: usize = 64 * 1024;
/// Bytes that a connection may receive and not release at first: 10 Mbit/s over 200 ms.
pub const CONNECTION_WINDOW_FIRST: usize = 256 * 1024;
/// The same at the least, whatever is configured: a sender waits until there is room for a full
/// datagram, so that a window that never holds one is never used. Twice that.
pub const CONNECTION_WINDOW_LEAST: usize = 2 * LARGEST_DATAGRAM;
/// Bytes that a connection may receive and not release at the most, unless configured otherwise:
/// 1 Gbit/s over 128 ms.
pub const CONNECTION_WINDOW_LONGEST: usize = 16 << 20;
/// The same over all connections of an endpoint: no window grows while more is promised than this.
pub const ENDPOINT_WINDOW_BYTES: usize = 256 << 20;
/// Bytes that all connections of an endpoint hold beyond their windows, which messages in fragments
/// do that became whole; the connection that holds most is ended (guess: thirty peers that take all
/// that one may).
pub const ENDPOINT_OVERDRAFT_BYTES: usize = 128 << 20;
/// By how many bits the windows that we tell are shifted: 16 bits of them reach 64 MiB, four times
/// the longest window.
pub const WINDOW_SCALE: u8 = 10;
/// What every message and stream costs of a window beside its bytes, so that empty ones are not
/// free.
pub const MESSAGE_COST: usize = 64;
/// Distance between the oldest message that was not received whole and the newest, per lane and
/// delivery: bounds what is remembered of messages that overtook others.
pub const MAX_MESSAGE_SPAN: u64 = 64 * 1024;
/// Bytes of messages in fragments that were begun and are not whole, from one peer; a sender begins
/// no further one beyond it.
pub const MAX_FRAGMENTS_PER_PEER: usize = 4 << 20;
/// Messages in fragments that are not whole, from one peer.
pub const MAX_UNFINISHED_PER_PEER: usize = 256;
/// Bytes of messages in fragments that are not whole, over all connections of an endpoint; the
/// oldest gives way.
pub const MAX_FRAGMENT_BYTES: usize = 32 << 20;
/// Bytes of buffers of unfinished messages that each byte of a part pays for, once as many as one
/// peer may have were made (measured: clearing a mebibyte takes 31 us, opening a packet 0.9 us, in
/// which this is as much again). Whoever gets a sixteenth of its messages through notices nothing.
pub const UNFINISHED_PER_BYTE: usize = 16;
/// Age at which an unfinished message is given up.
pub const FRAGMENT_AGE: Duration = Duration::from_secs(30);
/// Streams that the other end may have open at a time.
pub const MAX_STREAMS: u64 = 64;
/// Bytes of one stream that wait to be sent for the first time: what is written earlier than that
/// has left the processor's cache when it is sent, and waits for nothing but its turn. Half a
/// millisecond of 8 Gbit/s, which a writer that is woken has to be there in.
pub const STREAM_UNSENT: usize = 512 * 1024;
/// Bytes that one stream may receive ahead of its reader at first.
pub const STREAM_WINDOW_FIRST: usize = 128 * 1024;
/// Handshakes that we begin and that are not complete, in all.
pub const MAX_DATAGRAM_DIALS: usize = 1024;
/// Handshakes of strangers over datagrams that are not complete, in all. At about 2 KiB each, and
/// [`LEAST_DATAGRAM`] more where a packet overtook the end of its handshake, they cost 3 MiB.
pub const MAX_DATAGRAM_HALF_OPEN: usize = 1024;
/// Half-open handshakes, with those that failed at once, from which on a SYN is answered by a
/// cookie and costs no state.
pub const COOKIES_FROM: usize = 256;
/// Bytes of a cookie; what QUIC's tokens and ours need, with room (guess).
pub const MAX_COOKIE: usize = 64;
/// How long a cookie is good for.
pub const COOKIE_AGE: Duration = Duration::from_secs(10);
/// Cookies after each of which a SYN is said again at once; the timer says later ones. Somebody who
/// forges them must not make us flood the other end (guess: an honest end sends one or two).
pub const MAX_COOKIES_TAKEN: u32 = 4;
/// SYNs of strangers in one second that are computed on; from there on each must bring a cookie.
/// 256 of them take about 50 ms of one core.
pub const SYNS_PER_SECOND: u32 = 256;
/// Unsealed answers to packets for connections that do not exist, in one second.
pub const STRAY_HINTS_PER_SECOND: u32 = 10;
/// Unsealed datagrams that wait to be sent, in all; the newest is not sent beyond it.
pub const MAX_UNSEALED_QUEUE: usize = 4 * 1024;
/// Bytes sent to an address that is not proven, for each byte received from it (RFC 9000, 8.1).
pub const AMPLIFICATION: u64 = 3;
/// First wait for the answer to a SYN; doubled each time. QUIC's 333 ms makes a lost first packet
/// cost a second.
pub const SYN_TIMEOUT: Duration = Duration::from_millis(200);
/// Unanswered IK SYNs after which XX is tried: the other end may have another key now.
pub const IK_ATTEMPTS: u32 = 3;
/// Packets sealed under one key (RFC 9001, 6.6).
pub const PACKETS_PER_KEY: u64 = 1 << 23;
/// Packets that failed to open after which a connection ends, for AES-256-GCM (RFC 9001, 6.6).
pub const FORGED_LIMIT_AES: u64 = 1 << 52;
/// The same for ChaCha20-Poly1305.
pub const FORGED_LIMIT_CHACHA: u64 = 1 << 36;
/// Numbers below the highest authenticated one that are told apart from replays.
pub const REPLAY_WINDOW: u64 = 4096;
/// Numbers that one direction of a connection ever has (RFC 9000, 12.3).
pub const MOST_PACKETS: u64 = 1 << 62;
/// Bytes that wait to be acknowledged from which a connection looks for larger datagrams (guess: a
/// first window several times over; for less there is little to gain, and the search itself costs
/// some thirty datagrams).
pub const PROBE_SIZE_FROM: usize = 48 << 10;
/// Batches lost, each followed by a single datagram that arrived, before datagrams go one by one
/// (guess: a link that is cut for a moment looks so once).
pub const BATCHES_LOST: u32 = 3;
/// After how long batches are tried again where they were lost (as [`SIZE_SEARCH_AGAIN`]).
pub const BATCHES_AGAIN: Duration = SIZE_SEARCH_AGAIN;
/// Probes of one datagram size that are lost before it counts as too large (RFC 8899, 5.1.2).
pub const SIZE_PROBES: u32 = 3;
/// Datagrams above [`LEAST_DATAGRAM`] that are lost in a row, with none of them acknowledged,
/// before the path is suspected to swallow them (RFC 8899, 4.3 leaves the number open; quinn's 3).
pub const BLACK_HOLE_LOSSES: u32 = 3;
/// Wait before a datagram size that was too large is tried again (RFC 8899, 5.1.1:
/// PMTU_RAISE_TIMER).
pub const SIZE_SEARCH_AGAIN: Duration = Duration::from_secs(600);
/// Wait after a probe was lost together with everything else, which says nothing about its size
/// (guess).
pub const SIZE_PROBE_PAUSE: Duration = Duration::from_millis(250);
/// The search for a datagram size ends when less than this part of it could be gained: one
/// sixteenth (guess).
pub const SIZE_STEP: usize = 16;
/// New addresses of a peer that are challenged one after the other (guess).
pub const PATH_CANDIDATES_AT_ONCE: u32 = 3;
/// Time after which one further new address is challenged (guess: a NAT forgets a mapping after
/// 30 s at the earliest, people change networks more slowly).
pub const PATH_CANDIDATE_EVERY: Duration = Duration::from_secs(5);
/// The longest probe timeout that a move waits for: who answered late for a while must not be lost
/// before it is found again (guess: above every honest round trip, well below the silence that ends
/// a connection).
pub const PATH_PTO_LONGEST: Duration = Duration::from_secs(3);
/// Challenges that wait for their answer on one connection; the oldest goes first. An honest end
/// asks two questions at a time, and again only after a round trip (guess: four times that).
pub const MAX_PATH_RESPONSES: usize = 8;
/// Ranges of received packet numbers that are remembered and told; the lowest go first.
pub const MAX_ACK_RANGES: usize = 64;
/// The longest that an acknowledgment waits for company.
pub const ACK_DELAY: Duration = Duration::from_millis(5);
/// First congestion window, in datagrams (RFC 6928).
pub const FIRST_WINDOW_DATAGRAMS: u64 = 10;
/// Round trip time before one is measured.
pub const FIRST_RTT: Duration = Duration::from_millis(100);
/// Least that a retransmission timeout leaves beyond the smoothed round trip time. RFC 6298 gives
/// the whole timeout a floor of 1 s; over a steady path that is longer than its floor, that leaves
/// nothing for an acknowledgment that waits. Linux gives 200 ms to the term of the variation.
pub const RTO_SLACK_LEAST: Duration = Duration::from_millis(200);
/// Longest retransmission timeout, after backoff.
pub const RTO_LONGEST: Duration = Duration::from_secs(10);
/// Probes of the end of one flight, two packets each, before only the timeout asks again. With the
/// wait doubled each time they cover the least timeout on a path of 1 ms (guess: at 20 % loss one
/// in eight goes unheard, six in a row hardly ever do).
pub const TAIL_PROBES: u32 = 6;
/// Age at which a least round trip time is forgotten (BBR's `MinRTTFilterLen`): a path that became
/// longer is believed after it.
pub const MIN_RTT_WINDOW: Duration = Duration::from_secs(10);
/// What the timers of this end may be late by (RFC 9002, 6.1.2).
pub const TIMER_GRANULARITY: Duration = Duration::from_millis(1);
/// Packets that may be overtaken before the one they overtook counts as lost, at first (RFC 8985);
/// grows with the reordering that is seen.
pub const REORDERING_FIRST: u64 = 3;
/// The same at the most.
pub const REORDERING_MOST: u64 = 1000;
/// Packets declared lost that are remembered, so that a late acknowledgment is recognised: more
/// than the reordering that is tolerated.
pub const MAX_LOST_REMEMBERED: usize = 1024;
/// Loss episodes without a spurious loss after which the tolerance of reordering is halved
/// (RFC 8985, 6.2: `reo_wnd_persist`).
pub const REORDERING_PERSISTS: u32 = 16;
/// Packets of which no more than [`ACK_EVERY_LEAST`] share an acknowledgment at first, while the
/// other end looks for its window (Linux: `TCP_MAX_QUICKACKS`).
pub const QUICK_ACKS: u32 = 16;
/// Packets that at least share one acknowledgment afterwards (RFC 9000, 13.2.2).
pub const ACK_EVERY_LEAST: u32 = 2;
/// Packets that at most share one: as many as arrive in one batch.
pub const ACK_EVERY_MOST: u32 = 64;
/// Datagrams that a pacer lets go at once (RFC 9002, 7.7: no more than the first window).
pub const PACER_BURST_DATAGRAMS: u64 = 10;
/// Time whose bytes make one batch, where that is more: what a timer can keep up with.
pub const PACER_QUANTUM: Duration = Duration::from_millis(1);
/// Lateness of a sender that its pacer makes good (guess: a few turns of a loaded runtime).
pub const PACER_LATENESS: Duration = Duration::from_millis(4);
/// Least growth of the round trip time that HyStart++ takes for a queue (RFC 9406, 4.3:
/// MIN_RTT_THRESH).
pub const HYSTART_MIN_RTT_THRESH: Duration = Duration::from_millis(4);
/// The most that is needed (RFC 9406, 4.3: MAX_RTT_THRESH).
pub const HYSTART_MAX_RTT_THRESH: Duration = Duration::from_millis(16);
/// Between the two, this part of the round trip time (RFC 9406, 4.3: MIN_RTT_DIVISOR).
pub const HYSTART_MIN_RTT_DIVISOR: u32 = 8;
/// Samples in a round trip before it is judged. RFC 9406, 4.3 has 8 (N_RTT_SAMPLE); here an
/// acknowledgment waits for a quarter of a round trip, so that there may be no more than 4.
pub const HYSTART_RTT_SAMPLES: u32 = 3;
/// How much slower than slow start its careful form grows (RFC 9406, 4.3: CSS_GROWTH_DIVISOR).
pub const CSS_GROWTH_DIVISOR: u64 = 4;
/// Round trips of careful slow start before it ends (RFC 9406, 4.3: CSS_ROUNDS).
pub const CSS_ROUNDS: u32 = 5;
/// Wait before BBR tries whether the path carries more, the shortest and the longest
/// (draft-ietf-ccwg-bbr, 5.3.3.5.1).
pub const BBR_PROBE_AGAIN: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(3));
/// Round trips after which it does at the latest, or fewer on a path that holds fewer datagrams: as
/// Reno would (the same; 62 to 63).
pub const BBR_RENO_ROUNDS: u64 = 63;
/// How often the least round trip time must be seen before BBR drains the queue to see it
/// (draft-ietf-ccwg-bbr, 2.8: `ProbeRTTInterval`).
pub const BBR_PROBE_RTT_EVERY: Duration = Duration::from_secs(5);
/// How long it drains it (the same: `ProbeRTTDuration`).
pub const BBR_PROBE_RTT_LASTS: Duration = Duration::from_millis(200);
/// Age at which BBR forgets a least round trip time (the same: `MinRTTFilterLen`).
pub const BBR_MIN_RTT_AGE: Duration = Duration::from_secs(10);
