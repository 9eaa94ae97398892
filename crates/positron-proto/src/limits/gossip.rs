//! The bounds of gossip `[PROTOCOL 6]`.

use super::{CONVERSATION_GRACE, LARGE_GOSSIP, MAX_PAYLOAD, SLOW_READER_TIMEOUT};
use crate::time::Duration;

/// Bytes of message payloads kept for late and healed nodes.
pub const RETENTION_BYTES: usize = 32 << 20;
/// Age beyond which a kept message is let go.
pub const RETENTION_AGE: Duration = Duration::from_secs(3600);
/// How long a message that was just taken stays in the window although there is no room, because a
/// peer lacks it. A slow peer therefore slows nobody who publishes less than a window in this time:
/// 1,000 messages or 3 MiB a second.
pub const REACH_WITHIN: Duration = Duration::from_secs(10);
/// The part of the window by which it may be larger while what should leave has to stay.
pub const CROWDED_PART: usize = 4;
/// How long a peer may take for a sixteenth of the window before it counts as standing still, for a
/// sender who fills more than half of it: 1.6 Mbit/s, or 62 messages a second.
pub const REACH_PATIENCE: Duration = Duration::from_secs(10);
/// Receipts for a window of messages: one costs some 50 bytes, so a message less than one tenth of
/// a byte, and what is not reported yet is a sixteenth of what may be under way.
pub const STEPS_PER_WINDOW: usize = 16;
/// What a peer whose queue is half full has to take of it within [`REACH_PATIENCE`], in bytes, to
/// be waited for: as much as of what is kept.
pub const QUEUE_STEP_BYTES: usize = RETENTION_BYTES / STEPS_PER_WINDOW;
/// The same in messages: a sixteenth of the window that is kept unless it is configured otherwise.
pub const QUEUE_STEP_MESSAGES: usize = 10_000 / STEPS_PER_WINDOW;
/// Peers that are waited for; beyond them nobody is (a word holds so many).
pub const MAX_AWAITED_PEERS: usize = 128;
/// How often a peer is offered what would leave: as often as a slow path needs to answer (guess).
pub const OFFER_INTERVAL: Duration = Duration::from_millis(250);
/// When what had no room is asked for again, and when it is looked for room again (guess: some
/// round trips).
pub const CROWDED_RETRY: Duration = Duration::from_millis(100);
/// How long an announced message without room is remembered. What exists is announced again with
/// the next comparison of notes, and what does not is forgotten.
pub const POSTPONED_FOR: Duration = REACH_WITHIN;
/// Senders whose received numbers are remembered, some 130 bytes each; the one silent longest is
/// forgotten first, and what it said could then be said again. Eight links on which as many
/// newcomers are brought as they may need four hours for that, and messages stay for one.
pub const MAX_SENDERS: usize = 64 * 1024;
/// Senders of whom nobody heard before that one peer may bring at once (guess): keys cost nothing.
pub const NEWCOMERS_AT_ONCE: u32 = 1024;
/// And then one in so much time: 1,800 in an hour, [`RETENTION_AGE`].
pub const NEWCOMER_INTERVAL: Duration = Duration::from_secs(2);
/// Announced messages that are being fetched, in all.
pub const MAX_WANTED: usize = 8192;
/// Announced messages that are being fetched because one peer told of them: an equal share of
/// [`MAX_WANTED`] for each peer, and at least this many (guess).
pub const MIN_WANTED_PER_PEER: usize = 64;
/// Peers remembered as holders of one announced message: all that a node is linked with unless it
/// is configured otherwise, for nobody is sent what it announced. With 32 bytes each, all of
/// [`MAX_WANTED`] take 16 MiB if so many peers invent the same ones.
pub const MAX_HOLDERS: usize = 64;
/// Answers that a peer has to give at the most until it is asked before others again (guess).
pub const MAX_OWED_ANSWERS: u8 = 16;
/// Longest wait between an announcement and the request: an eager push is usually on its way, over
/// some links more than the announcement. Eight of 30 ms.
pub const WANT_DELAY: Duration = Duration::from_millis(250);
/// Shortest such wait, where pushes come before announcements (guess: a few wake-ups).
pub const WANT_DELAY_LEAST: Duration = Duration::from_millis(5);
/// Shortest wait for the answer to a request before the next holder is asked, where answers come
/// soon or nothing is known of them.
pub const WANT_TIMEOUT: Duration = Duration::from_millis(1_000);
/// How soon the oldest message that is being fetched of a sender may be named again in a question
/// about others: a few times within [`WANT_TIMEOUT`].
pub const NAMED_AGAIN_AFTER: Duration = Duration::from_millis(250);
/// Longest such wait, where answers were seen to take long: on a saturated line each question that
/// is asked elsewhere too brings another copy. Whoever keeps silent costs no more than that.
pub const WANT_TIMEOUT_MOST: Duration = Duration::from_millis(3_000);
/// How long a peer may take to send what it announced and was asked for, before it counts as
/// withheld: as long as a reader may be slow, [`SLOW_READER_TIMEOUT`].
pub const WITHHELD_AFTER: Duration = SLOW_READER_TIMEOUT;
/// In which all peers are told once what is new, one after the other: then a list carries many, and
/// of three that announce somebody does within a sixth of it. Where six did, at 20 messages a
/// second and eight links, half of it took an eighth more bytes and a third more time, and saved
/// 25 ms where something was lost (1,000 messages, 50 simulated nodes, 2 % loss).
pub const ANNOUNCE_ROUND: Duration = Duration::from_millis(500);
/// Longest wait between two peers' turns, where there are few of them: nobody who has three links
/// waits for a whole round (guess).
pub const ANNOUNCE_DELAY: Duration = Duration::from_millis(60);
/// New messages that wait for their announcement to all; then they go out at once.
pub const MAX_UNANNOUNCED: usize = 1024;
/// How long the tree of a message that shapes stays before a publisher marks another one: each
/// waits half of it to twice as long, and of many the first decides. At 20 messages a second and
/// eight links that is 2 to 4 % of the pushes.
pub const SHAPE_INTERVAL: Duration = Duration::from_secs(16);
/// How soon a node that has just begun may mark one, on average: when its links are there.
pub const SHAPE_FIRST: Duration = Duration::from_secs(2);
/// How soon another one may shape, rivals apart, whoever marks what: the shortest that honest
/// publishers wait, half of [`SHAPE_INTERVAL`].
pub const SHAPE_LEAST: Duration = Duration::from_secs(8);
/// How often meanwhile a rival with a smaller id may: of a thousand that are marked at once, in
/// random order, seven or so are the smallest so far, and hardly ever sixteen.
pub const SHAPED_AGAIN: u8 = 16;
/// Messages after which another one may shape: with eight links each costs seven pushes more, 5 %.
pub const SHAPED_MESSAGES: u32 = 128;
/// The same where links of the tree began or ended since: messages go roundabout ways then.
pub const SHAPED_MENDED: u32 = SHAPED_MESSAGES / 2;
/// How soon after a link was grafted because something was late the next one may be: as long as it
/// takes until the first has its effect (guess: some round trips).
pub const GRAFT_INTERVAL: Duration = Duration::from_millis(100);
/// How old a message may be that is pushed on by who had to ask for it: those behind it lack it,
/// too. What is older is a matter of comparing notes.
pub const PUSHED_WITHIN: Duration = Duration::from_secs(1);
/// How long two that last said the same of what they keep, and keep it still, do not compare notes:
/// nothing is expected of it, for whoever has something new compares at once (guess: a
/// thirtieth of the packets of an idle link).
pub const COMPARED_AT_REST: Duration = Duration::from_mins(10);
/// The interval of the two budgets below.
pub const GOSSIP_BUDGET_INTERVAL: Duration = Duration::from_secs(1);
/// Bytes sent to one peer per interval because it asked: two of the largest messages, each with its
/// question, half of what may be queued for it (Bitcoin's CVE-2024-52915: one message must not make
/// us buffer 50 MB).
pub const SERVED_BYTES: usize = 2 * (MAX_PAYLOAD + 2 * SERVED_LEAST);
/// Messages, or pieces of [`LARGE_GOSSIP`] of them, that are sent in one turn because peers asked:
/// a third of a millisecond (5 microseconds each, measured).
pub const SERVED_IN_TURN: usize = 64;
/// Of them, those of one question before the next one has its turn.
pub const SERVED_OF_ONE: usize = 16;
/// Between the beginnings of two such turns (guess): a third of the node's time.
pub const SERVING_INTERVAL: Duration = Duration::from_millis(1);
/// Ranges of numbers that one peer asked for and that were not looked at, 100 bytes each; what is
/// beyond is asked for again. As many as one node wants at all ([`MAX_WANTED`]).
pub const MAX_UNSERVED: usize = MAX_WANTED;
/// Bytes of a payload from which on it is not sent again to a peer within [`SENT_AGAIN_AFTER`]: on
/// a slow line the first copy may still be under way. Below, a second copy costs less than
/// remembering the first.
pub const SENT_REMEMBERED: usize = 16 * 1024;
/// Bytes of large messages that one peer is asked for at once: what it may have queued for us
/// beside as much again.
pub const ASKED_BYTES: usize = 2 * MAX_PAYLOAD;
/// How fast they are expected at least, beside the patience that any answer gets. A guess: who has
/// less than 4 Mbit/s gets some of them twice.
pub const ASKED_BYTES_PER_SECOND: u64 = 512 * 1024;
/// Large messages that a peer was told of and may ask for without spending its budget: a retention
/// window of them, [`RETENTION_BYTES`] by [`LARGE_GOSSIP`].
pub const MAX_OWED: usize = RETENTION_BYTES / LARGE_GOSSIP;
/// How long a payload that was sent to a peer may be under way: a session is reliable and keeps its
/// messages for [`CONVERSATION_GRACE`].
pub const SENT_AGAIN_AFTER: Duration = CONVERSATION_GRACE;
/// Bytes that every question costs of that budget, answered or not.
pub const SERVED_LEAST: usize = 64;
/// Announced ranges and numbers that are looked at for one peer per interval; beyond it its lists
/// are dropped. A digest of 10,000 senders fits six times.
pub const MAX_EXAMINED: usize = 64 * 1024;
/// Bytes of a list of all that is kept that is sent where notes differ, rather than a sketch.
pub const LISTED_AT_ONCE: usize = 4 * 1024;
/// Bytes of such lists that one peer is sent in a second (guess), each as a whole.
pub const LISTED_BYTES_PER_SECOND: usize = 16 * 1024;
/// Symbols of a sketch, 16 bytes each: enough for 700 messages that only one of two nodes has.
pub const SKETCH_SYMBOLS: usize = 1024;
/// Bytes of a symbol on the wire, about.
pub const SKETCH_BYTES: usize = 11;
/// Symbols in one message: an answer of four times the packet of its question.
pub const SKETCH_PIECE: usize = 24;
/// Messages of which sketches are made in a second, for peers and for oneself each (guess).
pub const SKETCHED_PER_SECOND: u64 = 100_000;
/// Messages in a sketch: more than fit any window.
pub const MAX_SKETCHED: usize = 1 << 24;
/// How long what a peer says after our GOSSIP_DIGEST is taken for its answer.
pub const SYNC_TIMEOUT: Duration = Duration::from_secs(10);
/// Equivocations that the application is told at once, and then one in
/// [`EQUIVOCATIONS_TOLD_EVERY`]; all are counted. Guess: a chain has fewer misbehaving validators
/// in a minute, and an attacker has any number of keys.
pub const EQUIVOCATIONS_AT_ONCE: u32 = 16;
/// See [`EQUIVOCATIONS_AT_ONCE`].
pub const EQUIVOCATIONS_TOLD_EVERY: Duration = Duration::from_secs(1);

/// How often the time until a peer is told again how it differs is doubled, while it says the same
/// as before: up to 12 s of the default interval.
pub const MOST_IN_VAIN: u32 = 4;

// --- validation ---

/// How long the application may take to say whether a broadcast is valid. Then it is asked for, and
/// about, again.
pub const VALIDATION_TIMEOUT: Duration = Duration::from_secs(10);
/// Numbers of which is remembered that their messages are not accepted: as many as the default
/// window has, in 40 bytes each and less.
pub const MAX_REFUSED_MESSAGES: usize = 10_000;
