//! STUN: the messages of RFC 5769 as they are read, and ours as they are written.

use positron_proto::stun::{
    BindingAnswer, BindingRequest, StunMessage, TransactionId, UNKNOWN_ATTRIBUTE,
};

/// Of RFC 5769, and what they say. PRIORITY, which the request bears, is ICE's.
pub(crate) fn read() -> [(&'static str, StunMessage); 3] {
    let id = [0xB7, 0xE7, 0xA7, 1, 0xBC, 0x34, 0xD6, 0x86, 0xFA, 0x87, 0xDF, 0xAE];
    let id = TransactionId(id);
    let answer = |seen: &str| StunMessage::Answer(id, BindingAnswer::Mapped(seen.parse().unwrap()));
    let request = BindingRequest { id, unknown: vec![0x24], has_fingerprint: true };
    [
        ("rfc5769.request", StunMessage::Request(request)),
        ("rfc5769.answer.ipv4", answer("192.0.2.1:32853")),
        ("rfc5769.answer.ipv6", answer("[2001:db8:1234:5678:11:2233:4455:6677]:32853")),
    ]
}

/// What is written here.
pub(crate) fn written() -> Vec<(&'static str, Vec<u8>)> {
    let id = TransactionId([0x7D; 12]);
    let seen = |seen: &str| BindingAnswer::Mapped(seen.parse().unwrap());
    let refused = BindingAnswer::Refused { code: UNKNOWN_ATTRIBUTE, unknown: vec![3, 0x24, 0x25] };
    vec![
        ("request", BindingRequest::encode(id)),
        ("answer.ipv4", seen("203.0.113.5:40001").encode(&id, true)),
        ("answer.ipv4.short", seen("203.0.113.5:40001").encode(&id, false)),
        ("answer.ipv6", seen("[2001:db8::5]:40001").encode(&id, true)),
        ("answer.unknown_attributes", refused.encode(&id, true)),
    ]
}
