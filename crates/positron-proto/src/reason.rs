//! Why something ended: the one closed list, from which logs, labels of metrics, answers to
//! programs and pages take their words.
//!
//! What a type of some room says in its own way (a
//! [`CloseReason`](crate::wire::frame::CloseReason) on the wire, an error of a request) has one
//! [`Reason`] here; [`crate::node::reasons`] says which. A reason holds nothing that a peer
//! said, so it can be shown anywhere as it is.

use core::fmt;

/// What can end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// A session with a peer.
    Session,
    /// A dial that led to no session.
    Dial,
    /// A broadcast, a direct message, a request or a stream that did not do what it was for.
    Message,
    /// The work of the disk.
    Store,
}

impl End {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Session, Self::Dial, Self::Message, Self::Store];

    /// The same word everywhere.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Dial => "dial",
            Self::Message => "message",
            Self::Store => "store",
        }
    }
}

/// Who ended a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// This node.
    Us,
    /// The node at the other end.
    Peer,
    /// Neither: what is between them broke, or nothing was heard.
    Network,
}

impl By {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Us, Self::Peer, Self::Network];

    /// The same word everywhere.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Us => "us",
            Self::Peer => "peer",
            Self::Network => "network",
        }
    }
}

/// Declares the list: see [`Reason`].
macro_rules! reasons {
    ($($name:ident $word:literal [$($end:ident)+] $sentence:literal $remedy:literal;)+) => {
        /// Why something ended.
        ///
        /// [`word`](Self::word) is the same in log, label, API, command and page;
        /// [`sentence`](Self::sentence) says what it means, [`remedy`](Self::remedy) what to do.
        /// Both ends of a session name the same reason, and differ only in who ended it ([`By`]).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason {
            $(#[doc = $sentence] $name,)+
        }

        impl Reason {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// Its name outside: lower case, words joined by `_`.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }

            /// What it means, for people. "It" is the peer.
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$name => $sentence,)+ }
            }

            /// What to do about it, for people.
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$name => $remedy,)+ }
            }

            /// What it can be the end of.
            pub const fn ends(self) -> &'static [End] {
                match self { $(Self::$name => &[$(End::$end),+],)+ }
            }
        }
    };
}

reasons! {
    // One end says so to the other, in a session or before there is one.
    ShuttingDown "shutting_down" [Session Dial]
        "The node that ended it is shutting down."
        "Nothing: it is dialled again later.";
    Duplicate "duplicate" [Session Dial]
        "Another link between the same two nodes was there, and stayed."
        "Nothing: the two nodes are connected.";
    WrongNetwork "wrong_network" [Session Dial]
        "The two nodes belong to different networks."
        "Give both the same `network`, or take the address out of `bootstrap_nodes`.";
    WrongVersion "wrong_version" [Session Dial]
        "The two nodes have no version of the protocol in common."
        "Update the older of the two nodes.";
    WrongFeatures "wrong_features" [Session Dial]
        "One node needs a feature or a cipher that the other does not have."
        "Update the older of the two nodes.";
    SlotsFull "slots_full" [Session Dial]
        "The node that ended it has as many peers as it allows."
        "Raise `max_peers` on that node, reserve a slot for this peer, or let it find others.";
    InboundFull "inbound_full" [Session Dial]
        "The node that ended it has as many peers that dialled it as it allows."
        "Raise `max_inbound` on that node, reserve a slot for this peer, or let it find others.";
    AddressFull "address_full" [Session Dial]
        "The node that ended it has as many peers behind this address as it allows."
        "Raise `max_peers_per_address` on that node, or use another address.";
    ConnectionsFull "connections_full" [Session Dial]
        "The node that ended it has no room for another connection, or none for what it holds."
        "Raise `max_concurrent_connections` on that node; if it happens often, see who connects.";
    Banned "banned" [Session Dial]
        "The node that ended it has banned the other one."
        "See `positron-net bans` on the node that ended it; `positron-net unban` lifts a ban.";
    WrongNode "wrong_node" [Session Dial]
        "Another node than the expected one answers at this address."
        "Ask for a new invite, or take the id out of the address.";
    SelfDial "self_dial" [Session Dial]
        "The address is that of this node itself."
        "Take the node's own address out of `bootstrap_nodes`.";
    ProtocolViolation "protocol_violation" [Session Dial]
        "The other end of who ended it broke the protocol."
        "Update both nodes; if they are of the same version, report it as a bug.";
    SlowReader "slow_reader" [Session Dial]
        "The other end of who ended it did not take what was sent to it."
        "See whether that machine or its network is overloaded.";
    Timeout "timeout" [Session Dial]
        "Nothing was heard from the other end for too long."
        "See whether the other machine runs, and whether the network between the two does.";
    Pruned "pruned" [Session Dial]
        "The node that ended it made room for another peer, or was told to disconnect."
        "Nothing; reserve a slot for a peer that has to stay.";
    Probe "probe" [Session Dial]
        "The link was made only to see who answers at the address."
        "Nothing: an address was checked.";
    OtherProcess "other_process" [Session Dial]
        "Another process with the same key took the place of this one."
        "Nothing if the node was restarted; otherwise give each process a key of its own.";
    ClosedByApplication "closed_by_application" [Session Dial]
        "The application of the node that ended it closed the connection."
        "See what that application says about the code it gave.";
    KeyRetired "key_retired" [Session Dial]
        "The key of the other node gave way to a new one."
        "Start that node with its new key.";
    MemoryFull "memory_full" [Session Dial]
        "The node that ended it had no room for another unfinished message."
        "Nothing: what was under way comes again over the next link.";
    RecordBroken "record_broken" [Session Dial]
        "A record did not open: something between the two nodes changed bytes."
        "Look for a device on the way that changes traffic; the session begins anew.";
    UnknownReason "unknown_reason" [Session Dial]
        "The other end gave a reason that this version does not know."
        "Update this node.";

    // Nobody says so.
    ConnectionLost "connection_lost" [Session Dial]
        "The connection broke without a goodbye: the other process ended, or the network cut it."
        "See whether the other node runs; it is dialled again.";
    ConnectionRefused "connection_refused" [Dial]
        "Nobody listens at this address."
        "See whether a node runs there, and whether address and port are right.";
    NoAnswer "no_answer" [Dial]
        "Nothing answers at this address."
        "See whether the machine runs, and whether a firewall drops what is sent there.";
    HandshakeTimeout "handshake_timeout" [Dial]
        "Something is there, and did not complete the handshake in time."
        "See whether it is a positron-net node, and whether it is overloaded.";
    HandshakeFailed "handshake_failed" [Dial]
        "The handshake failed: bytes were changed on the way, or the other end does it differently."
        "Update both nodes; look for a device on the way that changes traffic.";
    NotPositron "not_positron" [Dial]
        "Another program answers at this address, not a positron-net node."
        "Correct the address or its port.";
    Unreachable "unreachable" [Dial]
        "This machine has no way to the address."
        "See whether this machine has a network of that family (IPv4, IPv6) and a route.";
    BannedAddress "banned_address" [Dial]
        "This node has banned the address."
        "See `positron-net bans`; `positron-net unban` lifts a ban.";
    NameUnresolved "name_unresolved" [Dial]
        "The name of the address has no address."
        "Correct the name, or see whether this machine's name server answers.";
    DialFailed "dial_failed" [Dial]
        "The operating system could not make the connection."
        "Look into the log at level debug for its words; often there are too many open files.";

    // What was said did not arrive, or was not answered.
    NoLink "no_link" [Message]
        "No link to the receiver came up in time."
        "See `positron-net peers` for whether and why the receiver left; send it again.";
    NotAcknowledged "not_acknowledged" [Message]
        "The receiver was connected and did not acknowledge in time; it may have the message."
        "Send it again if it may arrive twice; see whether the receiver is overloaded.";
    QueueFull "queue_full" [Message]
        "Too many direct messages wait for their receivers."
        "Wait for those that are under way before sending more.";
    NotAnswered "not_answered" [Message]
        "The receiver did not answer the request in time; it may have carried it out."
        "Ask again if it may be done twice, or give it more time.";
    PeerGone "peer_gone" [Message]
        "The receiver went away before it answered; it may have carried out the request."
        "Ask again if it may be done twice.";
    NoHandler "no_handler" [Message]
        "Nothing on the receiver answers requests."
        "Register a handler for requests there.";
    Busy "busy" [Message]
        "The receiver has too many requests to answer already."
        "Ask again later, or ask another node.";
    RequestFailed "request_failed" [Message]
        "The application of the receiver failed to answer."
        "See what it says, and its log.";
    TooManyStreams "too_many_streams" [Message]
        "As many streams are open as there may be."
        "Close those that are not used.";
    StreamReset "stream_reset" [Message]
        "The application at the other end gave the stream up."
        "See what it says about the code it gave.";
    SessionEnded "session_ended" [Message]
        "The session with the other node ended, and its streams with it."
        "See `positron-net peers` for why it ended; open the stream again.";
    Outrun "outrun" [Message]
        "Peers took less than was said: the broadcast left the window before they had it."
        "Say less at a time; see which peers are slow.";
    NobodyHadIt "nobody_had_it" [Message]
        "Newer broadcasts took its place before any peer had it."
        "Say less while nobody is connected.";
    TooLarge "too_large" [Message]
        "The message is larger than a message may be."
        "Send it in pieces, or over a stream.";
    TooManyPending "too_many_pending" [Message]
        "Too many broadcasts wait already, for the disk or for slower peers."
        "Wait for those that are under way before sending more.";
    TooManyRequests "too_many_requests" [Message]
        "Too many requests wait for their answers."
        "Wait for those that are under way before asking more.";
    ToOurselves "to_ourselves" [Message]
        "The receiver is this node itself."
        "Name another node.";
    UnknownPeer "unknown_peer" [Message]
        "The receiver is neither connected nor in the address book, and was not found by its id."
        "Join it by its address first.";
    NotDurable "not_durable" [Message]
        "Storage failed before it was on disk; others may have it."
        "See why storage failed, mend that, and start the node again.";
    StorageWaits "storage_waits" [Message]
        "Storage takes nothing for now, and too much waits for it."
        "See what storage waits for; the node goes on by itself.";
    Stopping "stopping" [Message]
        "This node is stopping."
        "Send it again after the next start.";

    // The disk.
    AlreadyRunning "already_running" [Store]
        "Another node runs with this data folder."
        "Stop it, or give this one a data folder of its own.";
    NotOurs "not_ours" [Store]
        "Others can change the folder or a file in it."
        "Make the folder yours, and writable for nobody else.";
    SymbolicLink "symbolic_link" [Store]
        "A file of the data folder is a symbolic link."
        "Remove the link, or choose another data folder.";
    NotAFolder "not_a_folder" [Store]
        "A file is where the data folder is to be."
        "Name another data folder, or move the file away.";
    Missing "missing" [Store]
        "The data folder or its database does not exist."
        "Start a node with this data folder first, or correct its path.";
    PermissionDenied "permission_denied" [Store]
        "The operating system does not let this node read or write there."
        "Run as the user who owns the folder, or choose another one.";
    Corrupt "corrupt" [Store]
        "The database is damaged; it is left as it is."
        "Restore it from a copy, or move it away and start with a new identity.";
    ForeignDatabase "foreign_database" [Store]
        "The database is that of another program."
        "Move it away, or choose another data folder.";
    OtherNetwork "other_network" [Store]
        "The database belongs to another network."
        "Choose the data folder of this network, or a new one.";
    OtherSchema "other_schema" [Store]
        "Another version of this program wrote the database."
        "Use the program that wrote it, or another data folder.";
    Moved "moved" [Store]
        "The database was moved, deleted or replaced while it was open."
        "Put it back where it was.";
    DatabaseLocked "database_locked" [Store]
        "Another program keeps the database from being written to."
        "End that program, perhaps a backup; the node goes on by itself.";
    DiskFull "disk_full" [Store]
        "There is no room on the disk."
        "Make room; the node goes on by itself.";
    DiskError "disk_error" [Store]
        "The disk or its file system failed."
        "Check the disk and its file system.";
}

/// Its word.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Its word.
impl serde::Serialize for Reason {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.word())
    }
}

/// The page that people read: every reason, by what ends.
pub fn page() -> String {
    let mut page = HEAD.to_owned();
    for end in End::ALL {
        page += &format!("\n## Ends of a {}\n\n", end.word());
        page += "| word | what it means | what to do |\n| --- | --- | --- |\n";
        for reason in Reason::ALL.iter().filter(|reason| reason.ends().contains(&end)) {
            let (word, sentence) = (reason.word(), reason.sentence());
            page += &format!("| `{word}` | {sentence} | {} |\n", reason.remedy());
        }
    }
    page
}

const HEAD: &str = "\
# Why did it end?

Every end of a session, dial, message and of the disk's work has a reason from one closed list. \
The word is the same in the log, in labels of metrics, in answers of the API, in \
`positron-net peers` and on the page. Both ends of a session name the same one; who ended it is \
said beside it: `us`, `peer` or `network`.

This page is made from the list in the source (`crates/positron-proto/src/reason.rs`).
";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_reason_has_a_word_of_its_own_a_sentence_and_a_remedy() {
        let mut words = BTreeSet::new();
        for reason in Reason::ALL {
            let word = reason.word();
            assert!(words.insert(word), "{word} twice");
            // The word is the name of the variant, so that neither can drift from the other.
            let name: String = word.split('_').map(capitalised).collect();
            assert_eq!(name, format!("{reason:?}"));
            for text in [reason.sentence(), reason.remedy()] {
                assert!(text.len() > 10 && text.ends_with('.'), "{word}: {text:?}");
                assert!(text.chars().all(|c| matches!(c, ' '..='~')), "{word}: {text:?}");
                assert!(!text.contains('|'), "{word}: it stands in a table");
            }
            let ends = reason.ends();
            assert!(ends.windows(2).all(|two| two[0] < two[1]), "{word}: {ends:?}");
        }
    }

    fn capitalised(word: &str) -> String {
        let (first, rest) = word.split_at(1);
        first.to_uppercase() + rest
    }

    #[test]
    fn the_page_that_people_read_is_the_list() {
        let written = include_str!("../../../REASONS.md");
        let how = "cargo run -q -p positron-proto --example reasons > REASONS.md";
        assert!(written == page(), "REASONS.md is not the list; {how}");
    }
}
