//! An opened packet from a peer that means harm.

use bytes::Bytes;
use positron_proto::{
    limits::{MAX_ACK_RANGES, MAX_DATAGRAM_MESSAGE},
    wire::{
        Reader,
        packet::{Fragment, PacketType},
        packet_frame::{Frames, PacketFrame},
    },
};

/// What is read is written back byte for byte and keeps its bounds, and nothing panics. The input
/// is the type of a packet and its opened payload.
pub(crate) fn check(bytes: &[u8]) {
    let Some((&kind, opened)) = bytes.split_first() else { return };
    let opened = Bytes::copy_from_slice(opened);
    let mut reader = Reader::new(opened.clone());
    let mut read = 0;
    while !reader.is_empty() {
        let before = reader.remaining();
        let Ok(frame) = PacketFrame::decode(&mut reader) else { break };
        let used = before - reader.remaining();
        assert!(used > 0, "a frame takes a byte at least");
        check_frame(&frame, &opened[read..read + used]);
        read += used;
    }
    if let Some(kind) = PacketType::from_byte(kind) {
        let fragment = Fragment { id: 0, index: 0, total: 1 };
        for frame in Frames::new(kind, fragment, opened).map_while(Result::ok) {
            assert!(frame.allowed_in(kind));
            assert!(kind != PacketType::Ack || !frame.is_ack_eliciting());
        }
    }
}

fn check_frame(frame: &PacketFrame, read_from: &[u8]) {
    let mut back = Vec::new();
    frame.encode(&mut back);
    match frame {
        // What they say in bytes that this version does not know is not kept.
        PacketFrame::Unknown { .. } | PacketFrame::Close(_) => return,
        PacketFrame::PacketAck { ranges, .. } => {
            let count = ranges.iter().count();
            assert!((1..=MAX_ACK_RANGES).contains(&count));
            assert!(
                ranges.iter().zip(ranges.iter().skip(1)).all(|(a, b)| *a.start() > b.end() + 1)
            );
            assert!(
                ranges.iter().all(|range| !range.is_empty()) && ranges.contains(ranges.largest())
            );
        }
        PacketFrame::Fragment { offset, total, body, .. } => {
            let (offset, total) = (u64::from(*offset), u64::from(*total));
            let len = u64::try_from(body.len()).expect("a body is short");
            assert!(!body.is_empty() && offset + len <= total);
            assert!(usize::try_from(total).is_ok_and(|total| total <= MAX_DATAGRAM_MESSAGE));
        }
        PacketFrame::Stream { id, offset, body, .. } => {
            let len = u64::try_from(body.len()).expect("a body is short");
            assert!(*id > 0 && offset + len < 1 << 62);
        }
        _ => {}
    }
    assert_eq!(back, read_from);
}
