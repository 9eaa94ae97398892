//! Frames inside sealed packets of datagram connections `[PROTOCOL 9.6]`.
//!
//! Bodies are slices of the opened packet, borrowed or shared. Who fills a packet uses the `put_*`
//! functions, which take what they write by reference, and the `*_overhead` functions, which say
//! what it costs.

mod acknowledgment;
mod frame;
mod frames;

pub use acknowledgment::{AckRanges, put_ack};
pub use frame::{
    Channel, Delivery, PacketFrame, StreamSide, fragment_overhead, message_overhead, put_close,
    put_fragment, put_message, put_stream, stream_overhead,
};
pub use frames::Frames;
