//! One packet of each type.

use positron_proto::wire::packet::{
    Flags, Fragment, HEADER_LEN, HandshakeAck, Header, Hint, PacketType, QUERY_PATTERN,
    QueryAnswer, QueryPacket, Syn, SynAck, put_checksum, put_unsealed,
};

/// Handshakes whose Noise messages are equal bytes, and sealed packets whose seal is.
pub(crate) fn packets() -> Vec<(&'static str, Vec<u8>)> {
    let (noise, cookie) = (&[0x4E; 96][..], &[0xC0; 24][..]);
    let unsealed = |kind, connection, payload: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        put_unsealed(&mut out, kind, connection, payload);
        out
    };
    let syn = |pattern, cookie| {
        let syn = Syn { pattern, connection: 0x1A1B_1C1D, cookie, noise };
        unsealed(PacketType::Syn, 0, &|out| syn.encode(out))
    };
    let syn_ack =
        |answer: SynAck<'_>| unsealed(PacketType::SynAck, 0x1A1B_1C1D, &|out| answer.encode(out));
    let ack = HandshakeAck { pattern: 2, noise };
    let (nonce, key, noise_static) = ([0x70; 8], [0x71; 32], [0x74; 32]);
    let seal = &[0x5E; 24][..];
    let query_packet = QueryPacket { nonce, issued: 0x0A0B_0C0D, key, noise_static, sealed: seal };
    let query_answer = QueryAnswer { salt: [0x72; 16], sealed: seal };
    let hint = |hint: Hint| unsealed(PacketType::Rst, 0x1A1B_1C1D, &|out| hint.encode(out));
    vec![
        ("syn", syn(1, &[])),
        ("syn.cookie", syn(1, cookie)),
        ("syn.query", syn(QUERY_PATTERN, &[])),
        ("syn_ack.noise", syn_ack(SynAck::Noise { pattern: 1, noise })),
        ("syn_ack.cookie", syn_ack(SynAck::Cookie { cookie })),
        ("ack.handshake", unsealed(PacketType::Ack, 0x2A2B_2C2D, &|out| ack.encode(out))),
        ("rst.version", hint(Hint::Version)),
        ("rst.not_this_key", hint(Hint::NotThisKey)),
        ("rst.no_such_connection", hint(Hint::NoSuchConnection)),
        ("ack", sealed(PacketType::Ack, Flags::NONE, Fragment::default())),
        ("fin", sealed(PacketType::Fin, Flags::KEY_PHASE, Fragment::default())),
        ("fin_ack", sealed(PacketType::FinAck, Flags::NONE, Fragment::default())),
        ("rst", sealed(PacketType::Rst, Flags::NONE, Fragment::default())),
        ("data", sealed(PacketType::Data, Flags::NONE, Fragment::default())),
        ("data.flags", sealed(PacketType::Data, urgent(), Fragment::default())),
        ("ping", sealed(PacketType::Ping, Flags::NONE, Fragment::default())),
        ("pong", sealed(PacketType::Pong, Flags::NONE, Fragment::default())),
        ("fragment", sealed(PacketType::Fragment, Flags::FRAGMENTED, fragment(0, 300))),
        (
            "fragment.last",
            sealed(
                PacketType::Fragment,
                Flags::FRAGMENTED.with(Flags::LAST_FRAGMENT),
                fragment(299, 300),
            ),
        ),
        ("message_ack", sealed(PacketType::MessageAck, Flags::NONE, fragment(0, 0))),
        ("message_nack", sealed(PacketType::MessageNack, Flags::NONE, fragment(0, 0))),
        ("query", query(PacketType::Query, 0x0102_0304, |out| query_packet.encode(out))),
        ("answer", query(PacketType::Answer, 0, |out| query_answer.encode(out))),
    ]
}

fn query(kind: PacketType, number: u32, payload: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
    let mut datagram = vec![0; HEADER_LEN];
    payload(&mut datagram);
    let payload_len = u32::try_from(datagram.len() - HEADER_LEN).unwrap();
    let (flags, front) = (Flags::ENCRYPTED, Header::new(kind, 0x2A2B_2C2D));
    let header = Header { flags, number, payload_len, ..front };
    header.encode(datagram.first_chunk_mut().unwrap());
    put_checksum(&mut datagram);
    datagram
}

fn urgent() -> Flags {
    Flags::RELIABLE.with(Flags::ORDERED).with(Flags::PRIORITY)
}

fn fragment(index: u16, total: u16) -> Fragment {
    Fragment { id: 0x3A3B_3C3D, index, total }
}

fn sealed(kind: PacketType, flags: Flags, fragment: Fragment) -> Vec<u8> {
    let seal = [0x5E; 24];
    let header = Header {
        flags: flags.with(Flags::ENCRYPTED),
        number: 0x0102_0304,
        ack: 0x0506_0708,
        window: 0x090A,
        payload_len: 24,
        fragment,
        ..Header::new(kind, 0x2A2B_2C2D)
    };
    let mut front = [0; HEADER_LEN];
    header.encode(&mut front);
    let mut datagram = [&front[..], &seal].concat();
    put_checksum(&mut datagram);
    datagram
}
