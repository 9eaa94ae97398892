//! Packets of datagram connections: the header in front of every datagram, and what the unsealed
//! ones of the handshake and those of queries carry `[PROTOCOL 9.2, 9.4, 9.11]`.
//!
//! Everything here borrows the datagram: reading a stranger's packet takes no memory.

mod handshake;
mod header;
mod query;

pub use handshake::{
    HandshakeAck, Hint, QUERY_PATTERN, Syn, SynAck, put_unsealed, syn_of_another_version,
};
pub use header::{
    Flags, Fragment, HEADER_LEN, Header, MAGIC, PacketType, TAG_LEN, VERSION, associated_data,
    checksum, extend_number, low, put_checksum,
};
pub use query::{QueryAnswer, QueryPacket};
