//! The frames in one record of a link, from a peer that means harm.

use bytes::Bytes;
use positron_proto::{
    limits::{MAX_MESSAGE, MAX_REASON_TEXT},
    wire::{
        Reader,
        frame::{CloseReason, Frame},
    },
};

/// Frames are read until one is refused. Each survives its encoding, byte for byte unless it says
/// what this version does not know, and keeps its bounds; reading takes next to no memory.
pub(crate) fn check(bytes: &[u8]) {
    let record = Bytes::copy_from_slice(bytes);
    let mut reader = Reader::new(record.clone());
    let mut at = 0;
    while !reader.is_empty() {
        let mut frame = None;
        // A body is a slice of the record; only the text of a reason is copied.
        let used = allocation_counter::measure(|| frame = Frame::decode(&mut reader).ok());
        assert!(used.bytes_max <= 1024, "{} bytes", used.bytes_max);
        let Some(frame) = frame else { return };
        let end = record.len() - reader.remaining();
        assert!(end > at, "a frame takes a byte at least");
        check_frame(&frame, &record[at..end]);
        at = end;
    }
}

fn check_frame(frame: &Frame, read_from: &[u8]) {
    let mut back = Vec::new();
    frame.encode(&mut back);
    let mut reader = Reader::new(Bytes::from(back.clone()));
    assert_eq!(Frame::decode(&mut reader).as_ref(), Ok(frame));
    assert!(reader.is_empty());
    match frame {
        Frame::Unknown { .. } => return,
        Frame::Close(
            CloseReason::Violation(text) | CloseReason::Application { reason: text, .. },
        ) => assert!(text.len() <= MAX_REASON_TEXT),
        // Words beside any other reason are not kept.
        Frame::Close(_) => return,
        Frame::Fragment { number, offset, total, body, .. } => {
            let (offset, total) = (u64::from(*offset), u64::from(*total));
            let len = u64::try_from(body.len()).expect("a body is short");
            assert!(!body.is_empty() && offset + len <= total && *number < 1 << 62);
            assert!(usize::try_from(total).is_ok_and(|total| total <= MAX_MESSAGE));
        }
        Frame::Message { number, body, .. } => {
            let room = body.len() + Frame::overhead(*number, body.len());
            assert!(body.len() <= MAX_MESSAGE && back.len() <= room);
        }
        Frame::Ping { .. }
        | Frame::Pong { .. }
        | Frame::Ack { .. }
        | Frame::Credit { .. }
        | Frame::Demand { .. } => {}
    }
    assert_eq!(back, read_from);
}
