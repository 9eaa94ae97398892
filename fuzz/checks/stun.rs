//! A datagram that claims to be STUN, from anybody.

use positron_proto::{
    limits::{MAX_STUN_MESSAGE, MAX_UNKNOWN_ATTRIBUTES},
    stun::{BindingAnswer, StunMessage, TransactionId, is_stun},
};

/// What is read keeps its bounds; an answer that is written back says the same; and nothing panics.
/// The input is a datagram, of which the front is set right, so that inputs reach what is behind.
pub(crate) fn check(bytes: &[u8]) {
    let _ = StunMessage::decode(bytes);
    let Some(len) = bytes.len().checked_sub(20) else { return };
    let mut datagram = bytes.to_vec();
    datagram[0] &= 0x3F;
    let len = u16::try_from(len).unwrap_or(u16::MAX);
    datagram[2..4].copy_from_slice(&len.to_be_bytes());
    datagram[4..8].copy_from_slice(&[0x21, 0x12, 0xA4, 0x42]);
    assert!(is_stun(&datagram));
    match StunMessage::decode(&datagram) {
        Ok(StunMessage::Request(request)) => {
            assert!(request.unknown.len() <= MAX_UNKNOWN_ATTRIBUTES);
            assert!(datagram.len() <= MAX_STUN_MESSAGE);
            let unknown = request.unknown;
            said(&BindingAnswer::Refused { code: 420, unknown }, &request.id);
        }
        Ok(StunMessage::Answer(id, answer)) => said(&answer, &id),
        Ok(StunMessage::Other) | Err(_) => {}
    }
}

fn said(answer: &BindingAnswer, id: &TransactionId) {
    for with_fingerprint in [false, true] {
        let back = StunMessage::decode(&answer.encode(id, with_fingerprint));
        assert_eq!(back, Ok(StunMessage::Answer(*id, answer.clone())));
    }
}
