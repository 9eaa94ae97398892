//! The bounds of the distributed hash table `[PROTOCOL 3.8]`.

use super::MAX_HALF_OPEN;
use crate::time::Duration;

// --- records ---

/// Bytes in the value of a record: nearly 4,000 of them fill what a node keeps for others. What is
/// larger belongs where a link can point to it.
pub const MAX_VALUE: usize = 16 * 1024;
/// Bytes of a value that comes in the answer to a query itself, beside enough contacts to go on
/// with: one datagram.
pub const INLINE_VALUE: usize = 700;
/// Bytes in the name of a record, as an application gives it; only its hash travels. Guess: the
/// longest path or URL that people write.
pub const MAX_RECORD_NAME: usize = 1024;
/// The shortest life of a record: below it, it would be renewed more often than it is read.
pub const MIN_RECORD_TTL: Duration = Duration::from_secs(60);
/// The longest life of a record that nobody renews (libp2p's and Kademlia's publishers are trusted
/// for as long).
pub const MAX_RECORD_TTL: Duration = Duration::from_secs(48 * 3600);
/// The life of a record whose publisher names none (the founding document's default).
pub const DEFAULT_RECORD_TTL: Duration = Duration::from_secs(3600);
/// How wrong a publisher's clock may be before its records are not taken: the time of creation is
/// an outer bound, lives are counted on the clock of who holds them.
pub const RECORD_CLOCK_TOLERANCE: Duration = Duration::from_secs(24 * 3600);

// --- what is kept for others ---

/// Records that are kept for others, tombstones included.
pub const MAX_HELD_RECORDS: usize = 65_536;
/// Bytes of their values and of the memory around them.
pub const MAX_HELD_BYTES: usize = 64 << 20;
/// Bytes that a record takes beside its value, wherever bytes are bounded: what is signed around
/// it, and its places in maps and accounts. So many small records are not cheaper than they are; a
/// test adds up what there is, and that this is not too little by more than a half.
pub const RECORD_OVERHEAD: usize = 1024;
/// Records that one peer brings and that are kept.
pub const MAX_RECORDS_PER_PEER: usize = 64;
/// Bytes of them.
pub const MAX_RECORD_BYTES_PER_PEER: usize = 256 << 10;
/// Records from one network, an IPv4 /24 or IPv6 /48: whoever has one address there has many.
pub const MAX_RECORDS_PER_NETWORK: usize = 256;
/// Bytes of them.
pub const MAX_RECORD_BYTES_PER_NETWORK: usize = 1 << 20;
/// Records of one publisher, whoever brings them.
pub const MAX_RECORDS_PER_PUBLISHER: usize = 128;
/// Bytes of them.
pub const MAX_RECORD_BYTES_PER_PUBLISHER: usize = 512 << 10;
/// Publishers under one shared name.
pub const MAX_SLOTS: usize = 16;
/// Of them, those that were brought from one network.
pub const MAX_SLOTS_PER_NETWORK: usize = 2;
/// Sequences below which nothing of a publisher is taken under a key any more, although nothing is
/// kept there: as many again as records.
pub const MAX_FLOORS: usize = MAX_HELD_RECORDS;
/// Records and floors that end in one step; the others that have ended follow in the next, at once.
pub const MAX_EXPIRED_AT_ONCE: usize = 1024;
/// Records that came and whose signatures are being checked: as many as handshakes.
pub const MAX_STORES_UNCHECKED: usize = MAX_HALF_OPEN;
/// How many times as far as expected a key may be from a node that is to keep it: the size of the
/// network is an estimate.
pub const FARTHEST_KEPT: u32 = 4;

// --- who keeps what ---

/// Nodes that keep a record: all frozen, where 3 of 10 are, once in 15,000; all gone, where 2 of 10
/// go between two repairs, once in 400,000.
pub const REPLICAS: usize = 8;
/// Nodes with which a lookup begins.
pub const MAX_REPLICA_CANDIDATES: usize = 24;
/// Nodes that keep a record where somebody sought places near its key: all in that region.
pub const MAX_REGION_REPLICAS: usize = 96;
/// Of the nodes that keep a record, those in one network of an IPv4 /16 or IPv6 /32.
pub const MAX_REPLICAS_PER_GROUP: usize = 2;

// --- the table ---

/// Contacts in one bucket of the table; in the farthest one four times as many, in the next twice.
pub const BUCKET: usize = 16;
/// Contacts beside them, which take the place of those that fail.
pub const BUCKET_CANDIDATES: usize = 8;
/// Of one bucket, contacts in one network (IPv4 /24, IPv6 /48).
pub const MAX_PER_NETWORK_IN_BUCKET: usize = 2;
/// Of all buckets, contacts in one network.
pub const MAX_PER_NETWORK_IN_TABLE: usize = 10;
/// Questions in a row that a contact leaves unanswered before another takes its place.
pub const MAX_CONTACT_FAILURES: u8 = 2;
/// How long nothing may be heard of a contact before it is asked whether it is still there (guess:
/// half of what it takes a tenth of all nodes to go, where a fifth goes in an hour).
pub const CONTACT_CHECK_INTERVAL: Duration = Duration::from_secs(900);
/// When a contact that left a question unanswered is asked again: a moment of loss has passed then.
pub const CONTACT_RETRY: Duration = Duration::from_secs(10);
/// Contacts that are asked at once whether they are there.
pub const MAX_TABLE_PROBES: usize = 4;
/// Nodes that others named which are asked at once, one after the other.
pub const CANDIDATE_BURST: u32 = 32;
/// And then, one in this time: whoever names addresses makes us send no more than that to them.
pub const CANDIDATE_INTERVAL: Duration = Duration::from_secs(1);
/// How often a node looks up its own place.
pub const SELF_LOOKUP_INTERVAL: Duration = Duration::from_secs(600);
/// How often a bucket is looked into that nobody looked into.
pub const BUCKET_REFRESH_INTERVAL: Duration = Duration::from_secs(3600);
/// Places of one network, an IPv4 /24 or IPv6 /48.
pub const PLACES_PER_NETWORK: u8 = 8;

// --- lookups ---

/// Questions that a lookup has under way.
pub const LOOKUP_WIDTH: usize = 4;
/// Questions that it has under way where so many stay unanswered: each makes room for one more, and
/// where [`LOSSY_AT`] did lately, it begins with so many.
pub const WIDEST_LOOKUP: usize = 6;
/// Questions that a read has under way which wants the first copy that comes, as long as they are
/// answered in time: most of the nodes near a key have it. Where [`LOSSY_AT`] were not,
/// [`LOOKUP_WIDTH`].
pub const FIRST_READ_WIDTH: usize = 2;
/// Nodes that answered us last, beside the table: most of a network of some hundreds, in 150 KiB.
pub const MAX_ACQUAINTANCES: usize = 512;
/// For how long a node is asked first because it answered, as often as a node looks for who is new
/// around it: where a fifth of all leave in an hour, three of a hundred are gone by then.
pub const ACQUAINTED_FOR: Duration = SELF_LOOKUP_INTERVAL;
/// Within the distance at which a node of this rank is expected, an acquaintance is given a record
/// without being asked first, if none nearer is known: that it has to be replaced by a nearer one
/// costs no more than to ask all.
pub const GIVEN_ON_THE_WAY: usize = REPLICAS + REPLICAS / 2;
/// Questions of ours, upkeep's included, of which it is remembered whether they were answered: a
/// node that nobody uses asks as many in three minutes.
pub const RECENT_ANSWERS: usize = 32;
/// Of them, those without an answer from which on a lookup begins wider: an eighth. Where one
/// datagram of fifty is lost, four of 32 questions are once in 25 times.
pub const LOSSY_AT: usize = 4;
/// Questions that each path has under way where a lookup goes over several.
pub const WIDTH_OF_PATH: usize = 2;
/// Questions of one lookup. Where half of all nodes lie, eight paths need 56.
pub const MAX_LOOKUP_QUESTIONS: usize = 64;
/// Questions of a lookup that asks all in a region, since somebody sought places there: 64 of them,
/// and as many that did not.
pub const MAX_REGION_QUESTIONS: usize = 128;
/// Contacts that a lookup knows: what twenty answers name. The farthest give way.
pub const MAX_LOOKUP_CONTACTS: usize = 256;
/// Contacts in one answer. With a ticket they fit into 1,200 bytes.
pub const MAX_CONTACTS_PER_ANSWER: usize = 12;
/// Of one answer, contacts that are asked before one of them has answered: who names only its
/// friends gets no more than this of a lookup.
pub const MAX_ASKED_OF_ONE_ANSWER: usize = 3;
/// How long a question waits at most until another is asked beside it, when nothing is known of
/// round trips: twice their median, between the two.
pub const HEDGE_AFTER: Duration = Duration::from_millis(120);
/// When a question has failed, at least: an answer that comes later counts all the same.
pub const QUESTION_TIMEOUT: Duration = Duration::from_millis(300);
/// When a question has failed, however slow the other end was before.
pub const LONGEST_QUESTION: Duration = Duration::from_secs(3);
/// The longest that a lookup goes on.
pub const LONGEST_LOOKUP: Duration = Duration::from_secs(10);
/// Paths of a lookup that share no node, where the first one found nothing, or liars are about.
pub const DISJOINT_PATHS: usize = 4;
/// Paths where these found nothing either.
pub const MAX_DISJOINT_PATHS: usize = 8;
/// Lookups whose results the size of the network is estimated from.
pub const SIZE_SAMPLES: usize = 16;
/// How many times as many nodes there must be, as far as the nearest of them tell, as were found by
/// lookups, before those are done anew: these are too far off by chance once in a thousand nodes.
pub const OUTGROWN: f64 = 2.0;
/// Nodes from which that is seen.
pub const NEIGHBOURS: usize = 2 * REPLICAS;
/// Lookups that are done then.
pub const SIZE_SAMPLES_ANEW: usize = 3;
/// How many times as many nodes these must tell of for older ones to be forgotten: twice, less what
/// three samples deviate.
pub const ANEW_DIFFERS: f64 = 1.5;
/// How many times as dense as elsewhere nodes may be around a key before that is taken for an
/// attack: 8 honest ones are denser once in a thousand keys.
pub const MAX_DENSITY: f64 = 4.0;
/// How many times as dense they are at least where nobody hides any: 8 honest ones are sparser
/// once in 60 keys. Whoever names colluders only, of a fifth or a third of all nodes, is sparser.
pub const MIN_DENSITY: f64 = 0.5;
/// Lookups from which it is judged whether nodes tell of one another: one may be an accident.
pub const CANDOUR_SAMPLES: usize = 8;
/// One in so many may be left out by another that is as near to the same place. Where nobody hides
/// anybody, one in some 250 is while nodes come and go, one in 30 in the first ten minutes; where a
/// fifth of all nodes name only one another, one in 6 is, and where half of all do, one in 4.
pub const MAX_OMITTED: usize = 8;
/// Below this, which most of all keys are, a record of ours is soon offered again over other paths
/// where nodes leave out others: somebody may be hidden.
pub const DOUBTFUL_DENSITY: f64 = 2.0;
/// The same, where it was looked for over [`DISJOINT_PATHS`]: over [`MAX_DISJOINT_PATHS`] then.
pub const STILL_DOUBTFUL_DENSITY: f64 = 1.5;
/// Operations of this node that are under way.
pub const MAX_DHT_OPERATIONS: usize = 1024;
/// Nodes that must have answered before the newest of what they keep is read: in different /16.
pub const FRESH_ANSWERS: usize = 3;
/// Holders of an older record that a read brings up to date.
pub const MAX_READ_REPAIRS: usize = 3;

/// Values that cannot change which are kept by who read them: 4 MiB if all are of the largest.
pub const MAX_CACHED_VALUES: usize = 256;

// --- upkeep ---

/// Records of this node's own that are renewed while it runs.
pub const MAX_PUBLISHED: usize = 4096;
/// The life of a node's own peer record in the table: for so long others look for a node that is
/// gone, and in half of it, it says again where it is.
pub const PEER_RECORD_LIFE: Duration = DEFAULT_RECORD_TTL;
/// Nodes that are looked for by their ids at once.
pub const MAX_SOUGHT: usize = 256;
/// How often a node is looked for that is not where it was, at most.
pub const SEEK_INTERVAL: Duration = Duration::from_secs(30);
/// How long a link that the application asked for is waited for.
pub const LINK_WAIT: Duration = Duration::from_secs(10);
/// How often it is tried meanwhile: what was dialled may not answer, or a relay may come.
pub const LINK_AGAIN: Duration = Duration::from_secs(2);
/// Links that the application waits for.
pub const MAX_LINK_WISHES: usize = 256;
/// What waits for them: messages, requests, streams.
pub const MAX_WISHES: usize = 1024;
/// Bytes of it.
pub const MAX_WISH_BYTES: usize = 8 << 20;
/// When a holder asks the others for what it lacks, if nobody stored the record again: at least,
/// and twice that at most.
pub const REPAIR_INTERVAL: Duration = Duration::from_secs(1800);
/// How often in a row others are believed that they look after a key: each holder asks once in so
/// many intervals, at least, whatever is said to it.
pub const MAX_REPAIRS_PUT_OFF: u8 = 4;
/// When a record of ours that too few keep is offered again: at first, or when somebody new can be
/// asked.
pub const SHORTEST_REPUBLISH: Duration = Duration::from_secs(1);
/// When it is, at last.
pub const LONGEST_REPUBLISH: Duration = Duration::from_secs(600);
/// Records that a node that stops brings to others: 512 KiB at most where all fit a datagram, and
/// what a healthy link takes in a tenth of a second.
pub const MAX_HANDED_OVER: usize = 512;
/// Records that are pushed to newcomers and wait for their turn.
pub const MAX_PUSHES: usize = 4096;
/// Answers of which it is remembered whom they named near a place: of those who store records here,
/// more than ask within the second that their lookups take.
pub const MAX_TOLD: usize = 64;
/// Pushes under way at once.
pub const PUSH_WIDTH: usize = 8;

// --- what is told ---

/// Operations of which it is told how they went.
pub const RECENT_LOOKUPS: usize = 256;
/// Records of each list that a node tells of: a page shows no more.
pub const MAX_RECORDS_TOLD: usize = 256;

// --- errands ---

/// How long after the first session peers are asked to do what this node cannot, if until then
/// nobody has answered by datagrams, although it has them: a network lets none through.
pub const ERRANDS_AFTER: Duration = Duration::from_secs(10);
/// Peers that are asked to read the same, in different networks if they are strangers.
pub const HELPERS_FOR_READS: usize = 2;
/// Peers that are asked, one after the other, until so many have done it.
pub const MAX_HELPERS_ASKED: usize = 4;
/// How long a peer may take for an errand: a lookup where a third is frozen takes 1.2 s.
pub const LONGEST_ERRAND: Duration = Duration::from_secs(5);
/// Errands of one peer that are done at once, and then one in [`ERRAND_INTERVAL`].
pub const ERRAND_BURST: u32 = 10;
/// See [`ERRAND_BURST`]: each makes us send some twenty questions.
pub const ERRAND_INTERVAL: Duration = Duration::from_millis(100);
/// Errands of others under way.
pub const MAX_ERRANDS: usize = 64;
/// Of them, those of one peer.
pub const MAX_ERRANDS_PER_PEER: usize = 8;
/// Peers of which it is remembered how much they asked for: as many as are linked, and more.
pub const MAX_ERRAND_PEERS: usize = 1024;
/// Holders that an answer to an errand names: as many as are looked at to find them.
pub const MAX_HOLDERS_TOLD: usize = MAX_REPLICA_CANDIDATES;

/// Bytes of an answer over a session: as many publishers as a key has, with the largest values.
pub const DHT_SESSION_ROOM: usize = MAX_SLOTS * (MAX_VALUE + 256);
/// How long a node must have been up before it serves strangers: who comes and goes costs them more
/// than it gives (measured of others: HyperDHT waits 20 to 30 minutes, pubky 15).
pub const SERVES_AFTER: Duration = Duration::from_secs(600);
