//! Every bound of the driver, in one place: what it bounds, its unit, and where the number comes
//! from. The bounds of the protocols are in [`positron_proto::limits`].

use std::time::Duration;

use positron_proto::limits::{LATE_WAKE, MAX_PEER_QUEUE_BYTES};

// --- links ---

/// Bytes that one link may have read and not yet handed to the core. One chunk at a time: a flood
/// on one link costs this much memory and waits its turn behind every other link.
pub const MAX_CHUNK: usize = 64 * 1024;
/// Bytes of the first read of a link; doubled while reads fill it, halved while they do not.
pub const FIRST_CHUNK: usize = 2 * 1024;
/// Connections that were accepted, gave way to others and are not closed yet; beyond it nobody is
/// accepted. A task that has its turn closes in microseconds (guess).
pub const MAX_ENDING: usize = 16;
/// Connections that were accepted and that the core has not looked at.
pub const MAX_ACCEPTED: usize = 64;
/// Connections that the kernel keeps for us before they are accepted.
pub const LISTEN_BACKLOG: i32 = 1024;
/// First and longest wait after the operating system could not accept (no descriptors left).
pub const ACCEPT_BACK_OFF: (Duration, Duration) =
    (Duration::from_millis(10), Duration::from_secs(1));
/// Time that a link has to send what was written to it, once it was told to end, and then for the
/// other end to close as well. Closing at once would lose the reason that is under way.
pub const SOCKET_FLUSH_TIMEOUT: Duration = Duration::from_secs(2);
/// Time to read what the other end said last, after writing to it failed.
pub const LAST_WORDS_TIMEOUT: Duration = Duration::from_millis(500);
/// Time that the operating system has to look up a name (guess); shorter than the core waits.
pub const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);
/// Addresses of one name that are handed to the core, which tries fewer of them at a time.
pub const MAX_LOOKED_UP: usize = 16;

/// Time between two looks at the machine's addresses: a look takes some 50 µs, and links notice
/// after seconds that theirs is gone (guess).
pub const INTERFACES_INTERVAL: Duration = Duration::from_secs(2);

/// Between two looks when the operating system has much to tell of its networks (guess).
pub const INTERFACES_PAUSE: Duration = Duration::from_millis(100);

/// A look that comes so much too late was held up by the machine's sleep: a busy machine is late by
/// less, and a shorter sleep is outlived by the links (guess).
pub const SLEEP_NOTICED: Duration = Duration::from_secs(5);

/// Datagrams from the router that the core is given until it asks again: it asks one thing at a
/// time, and sends each question a few times.
pub const ROUTER_ANSWERS: usize = 8;

// --- the core task ---

/// Inputs that are handled in one wake-up before commands and timers have their turn.
pub const BATCH: usize = 64;
/// Reads of the UDP socket in one wake-up before the others have their turn; each brings up to
/// [`DATAGRAM_SLOTS`] batches.
pub const READ_ROUNDS: usize = 2;
/// Ports that are tried when any free one will do, until it is free for TCP and for UDP.
pub const PORT_ATTEMPTS: usize = 16;
/// Commands that wait for the core; beyond it callers wait.
pub const MAX_ORDERS: usize = 1024;
/// Broadcasts that the core was given and has not completed; beyond it callers wait their turn.
/// Half of what the core takes: the rest is for what subscriptions say.
pub const BROADCASTS_UNDER_WAY: u32 = 2048;
/// Bytes of a broadcast that count as one more: at most 16 MiB of payloads are under way.
pub const BROADCAST_SHARE: u32 = 8 * 1024;
/// Streams that others opened and the application has not taken: as many as one node may open.
pub const MAX_INCOMING_STREAMS: usize = 1024;
/// Bytes that were written into a stream and are not on their way (guess: some pieces, so that the
/// core never waits for the writer to have its turn).
pub const STREAM_SEND_BUFFER: usize = 512 * 1024;
/// Bytes that are set aside at least for what is written into a stream, so that small writes that
/// come together share them; and below which pieces that came are kept together.
pub const STREAM_LEAST_PIECE: usize = 1024;
/// Bytes read of a stream before the core hears of them, if more wait to be read.
pub const STREAM_READ_SHARE: usize = 64 * 1024;
/// Shortest time between two published snapshots of a node that somebody looks at.
pub const VIEW_INTERVAL: Duration = Duration::from_millis(100);
/// The same while nobody does: so old is what the first look shows. A node whose snapshot is older
/// than its next wake by [`LATE_WAKE`] counts as blocked.
pub const UNWATCHED_VIEW_INTERVAL: Duration = Duration::from_millis(500);
const _: () = assert!(
    2 * UNWATCHED_VIEW_INTERVAL.as_millis() <= LATE_WAKE.as_millis(),
    "nobody looked is not blocked"
);
/// Shortest time between two of them when there is something to tell: events are told together with
/// a snapshot that shows them, so a thousand of them a second cost a hundred snapshots.
pub const EVENT_INTERVAL: Duration = Duration::from_millis(10);
/// Events that wait for that; beyond it they are told at once.
pub const MAX_UNTOLD_EVENTS: usize = 256;
/// Signatures that the core's own thread checks when nothing else waits: waking a thread costs
/// about as much as one check.
pub const INLINE_CHECKS: usize = 2;
/// Signed bytes of a check that is quick: hashing so many costs less than the arithmetic of the
/// signature (2.5 microseconds a KiB beside 30), where 1 MiB holds up whatever waits for 2.5 ms.
pub const QUICK_BYTES: usize = 12 << 10;
/// By how much the thread that checks the others gives way (`nice(2)`): where the processors are
/// busy, what is quick goes first.
pub const SLOW_NICE: i32 = 10;
/// Signatures that are checked in one batch: beyond it a batch gains little and delays the rest.
pub const CHECKS_PER_BATCH: usize = 64;
/// Bytes that were signed, after which a batch takes no more: to hash them takes as long as some
/// signatures, and what was said beside them waits.
pub const BATCH_BYTES: usize = 64 * 1024;

// --- the application ---

/// Bytes of payloads that wait for one slow subscriber, besides `message_buffer_size`.
pub const MAX_INBOX_BYTES: usize = 64 << 20;
/// Events that wait for one slow subscriber.
pub const MAX_WAITING_EVENTS: usize = 4096;
/// Depth of a MessagePack payload that is decoded: deeper ones could exhaust the stack.
pub const MAX_PAYLOAD_DEPTH: usize = 64;

// --- metrics ---

/// Series that a node's text of metrics has at the most, without what an application counts itself
/// and without single peers: a thousand with both of those, and 64 KiB without.
pub const MAX_SERIES: usize = 545;
/// Series of an application's own metrics: ten histograms, or as many counters (guess).
pub const MAX_OWN_SERIES: usize = 200;
/// Peers that are told of one by one: four series each.
pub const MAX_METRIC_PEERS: usize = 64;
/// Bytes of the dotted name of a metric.
pub const MAX_METRIC_NAME: usize = 96;

// --- start and stop ---

/// Time for [`shutdown`](crate::Node::shutdown), in all.
pub const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);
/// Time that [`join`](crate::Node::join) waits for an answer.
pub const JOIN_TIMEOUT: Duration = Duration::from_secs(30);
/// Time for the goodbye to every peer.
pub const GOODBYE_TIMEOUT: Duration = Duration::from_millis(2_500);
/// Time for storage to write what it was given, at the end.
pub const STORAGE_FLUSH_TIMEOUT: Duration = Duration::from_secs(2);
/// Bytes of a key file; a real one has about 120.
pub const MAX_KEY_FILE: usize = 16 * 1024;
/// Bytes of a configuration text.
pub const MAX_CONFIG: usize = 1 << 20;

// --- transports ---

/// Bytes that the kernel is asked to keep for a UDP socket, in each direction: what Linux grants
/// without special rights where it is set up for networking (`net.core.rmem_max`).
pub const SOCKET_BUFFER: usize = 4 << 20;
/// Bytes of one slot to read into: what the kernel joins at most (GRO).
pub const DATAGRAM_SLOT: usize = 64 * 1024;
/// Addresses without a way that wait to be told to the core: as many dials as there can be at once.
pub const MAX_NO_WAY: usize = positron_proto::limits::MAX_HALF_OPEN;
/// Slots of one read: with more of them the memory leaves the processor's cache, and a call costs
/// little beside its datagrams (measured).
pub const DATAGRAM_SLOTS: usize = 8;
/// Batches of datagrams that are sent before what arrived and timers have their turn.
pub const SEND_ROUNDS: usize = 16;
/// Wait after the operating system could not read a socket.
pub const READ_BACK_OFF: Duration = Duration::from_millis(10);
/// Time between two complaints about one thing in the log.
pub const COMPLAINT_INTERVAL: Duration = Duration::from_secs(10);
/// Time for a transport to send what waits, when it is closed.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// Batches of goodbyes that a transport sends when it ends at once (guess: one for each of a
/// thousand connections; what is left falls silent).
pub const LAST_ROUNDS: usize = 1024;
/// Nodes whose keys a transport remembers to dial them again: as many as it has connections unless
/// configured otherwise, in about 2 MiB.
pub const MAX_CACHED_KEYS: usize = 16 * 1024;
/// Bytes of messages that connections which are over left behind, and that no reader of the
/// transport has taken; beyond it those of the oldest are given up. Otherwise whoever connects
/// again and again would fill the memory of an application that does not read (guess: one window of
/// the largest kind).
pub const MAX_LEFT_BEHIND_BYTES: usize = 16 << 20;
/// Messages that are released together at the most: the lock of the machine costs more than a small
/// message (guess).
pub const RELEASE_MESSAGES: usize = 64;
/// Bytes of messages that are released together at the most: an eighth of the first window of a
/// connection, so that the other end never waits for them (guess).
pub const RELEASE_BYTES: usize = 32 * 1024;
/// Bytes of messages that one end of a TCP connection may have sent and the other application has
/// not taken: what a session queues at the most.
pub const TCP_WINDOW: usize = MAX_PEER_QUEUE_BYTES;
/// Bytes that an application takes before the other end of a TCP connection is told: a quarter of
/// the window, so that three quarters are under way meanwhile (guess).
pub const TCP_TELL_AT: usize = TCP_WINDOW / 4;
/// Bytes that the other end of a TCP connection can make us hold before that is an offence. A
/// session that continues an earlier one brings what was under way, in both directions: twice the
/// window would do if both ends counted alike, and it is doubled once more (guess).
pub const TCP_MOST_HELD: usize = 4 * TCP_WINDOW;

/// How long STUN servers are waited for: four requests to each.
pub const STUN_PATIENCE: Duration = Duration::from_secs(5);
/// The longest wait for one datagram of theirs: then the clock is looked at.
pub const STUN_LOOK: Duration = Duration::from_millis(100);

/// Others of which it is known at which of our addresses they speak to us; about 100 bytes each.
pub const MAX_SOURCE_ADDRESSES: usize = 4_096;

#[cfg(test)]
mod tests {
    use positron_proto::{
        direct::DirectMessage,
        id::NodeId,
        identity::Identity,
        limits::{
            CHECKS_BEFORE_READ, MAX_PARKED_WITH_DIRECTS, MAX_RECORD, READING_PER_MESSAGE,
            UNREAD_LONG,
        },
        session::sessions::SessionConfig,
        time::WallTime,
        wire::message::{AppMessage, Audience, RoomMessage as _},
    };

    use super::*;

    #[test]
    fn the_core_checks_nothing_itself_however_small_the_messages_are() {
        let me = Identity::from_seed([7; 32]);
        let message = AppMessage {
            sender: *me.public_key(),
            audience: Audience::Node(NodeId::from_bytes([1; 32])),
            sequence: 0,
            timestamp: WallTime::default(),
            payload: bytes::Bytes::new(),
        };
        let message = me.sign(message, &SessionConfig::default().network).claim().clone();
        let smallest = DirectMessage::CustomData(message).encode().len();
        // The record of which the first part came earlier, and all that came with the rest.
        let at_once = (MAX_CHUNK + MAX_RECORD).div_ceil(smallest);
        // And what waited for its turn: all of it is read when the session ends.
        let unread = UNREAD_LONG / READING_PER_MESSAGE;
        assert!(
            CHECKS_BEFORE_READ + unread + at_once <= MAX_PARKED_WITH_DIRECTS,
            "{at_once} of {smallest} bytes"
        );
    }
}
