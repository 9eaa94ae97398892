//! A datagram from anybody, up to where the cryptography begins.

use positron_proto::wire::packet::{
    HEADER_LEN, HandshakeAck, Header, Hint, PacketType, QueryAnswer, QueryPacket, Syn, SynAck,
    associated_data, checksum, put_checksum, syn_of_another_version,
};

/// What is read is written back byte for byte, and nothing panics. The input is a datagram, of
/// which the length field is set right, so that inputs reach what is behind it.
pub(crate) fn check(bytes: &[u8]) {
    let mut datagram = bytes.to_vec();
    let _ = (Header::decode(&datagram), syn_of_another_version(&datagram));
    if let Some(payload_len) = datagram.len().checked_sub(HEADER_LEN) {
        let payload_len = u32::try_from(payload_len).expect("inputs are short");
        datagram[16..20].copy_from_slice(&payload_len.to_be_bytes());
    }
    put_checksum(&mut datagram);
    let Ok((header, sum)) = Header::decode(&datagram) else { return };
    assert_eq!(sum, checksum(&datagram));
    let mut front = [0; HEADER_LEN];
    header.encode(&mut front);
    assert_eq!(front, associated_data(&datagram));

    let payload = &datagram[HEADER_LEN..];
    let mut back = Vec::new();
    match header.kind {
        PacketType::Syn => match Syn::decode(payload) {
            Ok(syn) => syn.encode(&mut back),
            Err(_) => return,
        },
        PacketType::SynAck => match SynAck::decode(payload) {
            Ok(answer) => answer.encode(&mut back),
            Err(_) => return,
        },
        PacketType::Ack => match HandshakeAck::decode(payload) {
            Ok(last) => last.encode(&mut back),
            Err(_) => return,
        },
        PacketType::Rst => match Hint::decode(payload) {
            Ok(hint) => hint.encode(&mut back),
            Err(_) => return,
        },
        PacketType::Query => match QueryPacket::decode(payload) {
            Ok(query) => query.encode(&mut back),
            Err(_) => return,
        },
        PacketType::Answer => match QueryAnswer::decode(payload) {
            Ok(answer) => answer.encode(&mut back),
            Err(_) => return,
        },
        _ => return,
    }
    assert_eq!(back, payload);
}
