//! What happened and what was dropped.

use crate::metric::counters;

counters! {
    /// What happened and what was dropped, since the start.
    pub struct EndpointCounters of "datagram";

    datagrams_sent: Counter Count "Datagrams sent.";
    bytes_sent: Counter Bytes "Bytes of datagrams sent.";
    datagrams_received: Counter Count "Datagrams received, whatever they were.";
    bytes_received: Counter Bytes "Bytes of datagrams received.";
    malformed: Counter Count "Datagrams that were not ours or not whole."
        high "Something else sends to this port: see who, and close the firewall to it.";
    unknown_connections: Counter Count "Datagrams for no connection of this endpoint.";
    packets_opened: Counter Count "Sealed packets of connections that opened.";
    decrypt_failed: Counter Count "Sealed packets that did not open."
        high "Somebody forges packets, or a device on the way changes them.";
    checksum_failed: Counter Count "Of those, packets with a wrong checksum: damaged."
        high "The path damages packets: look for a broken link or device.";
    replayed: Counter Count "Packets that came twice, or too old to tell.";
    packets_lost: Counter Count "Packets declared lost."
        high "The path is congested: limit the upload (`max_upload_rate`), or use a better line.";
    spurious_losses: Counter Count "Packets declared lost that arrived after all.";
    probe_timeouts: Counter Count "Probe timeouts."
        high "Paths fall silent: see whether this machine or its network is overloaded.";
    retransmission_timeouts: Counter Count "Retransmission timeouts.";
    messages_sent: Counter Count "Messages queued.";
    messages_received: Counter Count "Messages handed over.";
    messages_duplicate: Counter Count "Messages, or parts of them, that came twice.";
    messages_dropped: Counter Count "Unreliable messages that gave way to newer ones."
        high "A transport sends more than the path takes.";
    reassemblies_abandoned: Counter Count "Unfinished messages given up."
        high "Messages do not arrive whole: the path loses too much.";
    dials: Counter Count "Handshakes begun by us.";
    connections: Counter Count "Connections that came to be, in either direction.";
    handshakes_failed: Counter Count "Handshakes that failed, in either direction."
        high "Strangers knock without coming in: harmless, unless peers are missing.";
    half_open_evicted: Counter Count "Handshakes of strangers that gave way to newer ones."
        high "A flood of handshakes: cookies answer it; see the firewall if it goes on.";
    cookies_sent: Counter Count "SYNs answered by a cookie instead of state."
        high "A flood of handshakes is being answered without state.";
    cookies_wrong: Counter Count "SYNs whose cookie was not ours, or too old."
        high "A flood of handshakes with made-up addresses.";
    resets_unauthenticated: Counter Count "Unsealed resets that were taken for a hint only."
        high "Somebody forges the ends of connections; they are not believed.";
    migrations: Counter Count "Addresses that moved and were proven.";
    black_holes: Counter Count "Times that datagrams above a size vanished."
        high "A path lost large datagrams: a tunnel or a firewall on the way drops them.";
    batches_given_up: Counter Count "Times that batches vanished, single ones not.";
    key_updates: Counter Count "Keys changed.";
    tickets_in_vain: Counter Count "Queries asked again without their ticket."
        high "Nodes that were asked restarted or left, or the path loses packets.";
    queries_failed: Counter Count "Queries of ours that came to nothing."
        high "Nodes that others name are gone, or this node's datagrams do not get through.";
    queries_heard: Counter Count "Queries of others that were read.";
    queries_answered: Counter Count "Of those, queries that were answered.";
    queries_refused: Counter Count "Queries of other networks, or for other nodes.";
    queries_over_limit: Counter Count "Queries above what is answered in a second."
        high "A flood of queries: see the firewall if it goes on.";
    tickets_refused: Counter Count "Queries whose ticket was wrong or too old."
        high "Somebody sends copies of queries, or from made-up addresses; they are not answered.";
    stun_answered: Counter Count "STUN requests of others that were answered.";
    stun_over_limit: Counter Count "STUN requests above what is answered in a second."
        high "A flood of STUN requests: see the firewall if it goes on.";
    stun_ignored: Counter Count "STUN datagrams that were no whole binding requests.";
    extensions_ignored: Counter Count "Frames of a later version that were ignored.";
}
