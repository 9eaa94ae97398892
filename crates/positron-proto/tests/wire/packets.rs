//! Packets of datagram connections, as an attacker sees them.

use bytes::Bytes;
use positron_proto::{
    limits::{LANES, LEAST_DATAGRAM, MAX_ACK_RANGES, MAX_COOKIE, MAX_HANDSHAKE},
    time::Duration,
    wire::{
        Malformed, Reader, Writer as _,
        packet::{
            Flags, Fragment, HEADER_LEN, HandshakeAck, Header, Hint, PacketType, QueryAnswer,
            QueryPacket, Syn, SynAck, TAG_LEN, associated_data, checksum, extend_number,
            put_checksum, put_unsealed, syn_of_another_version,
        },
        packet_frame::{
            AckRanges, Channel, Delivery, Frames, PacketFrame, StreamSide, fragment_overhead,
            message_overhead, put_ack, stream_overhead,
        },
    },
};
use proptest::prelude::*;

use crate::any::{any_bytes, any_reason, below_2_62};

fn any_header() -> impl Strategy<Value = Header> {
    let free = 1 | 2 | 4 | 64 | 128_u8;
    (
        (prop::sample::select(&PacketType::ALL[..]), any::<u8>(), 0..600_u32),
        any::<(u32, u32, u16, u32)>(),
        (any::<u32>(), any::<u16>(), 1..u16::MAX),
    )
        .prop_map(move |((kind, flags, payload_len), plain, (id, index, total))| {
            let (number, ack, window, connection) = plain;
            let mut flags = Flags(flags & free);
            let mut fragment = Fragment::default();
            match kind {
                PacketType::Fragment => {
                    fragment = Fragment { id, index: index % total, total };
                    flags = flags.with(Flags::FRAGMENTED);
                    if fragment.index + 1 == total {
                        flags = flags.with(Flags::LAST_FRAGMENT);
                    }
                }
                PacketType::MessageAck | PacketType::MessageNack => fragment.id = id,
                _ => {}
            }
            Header { kind, flags, number, ack, window, payload_len, fragment, connection }
        })
}

fn any_channel() -> impl Strategy<Value = Channel> {
    (prop::sample::select(&Delivery::ALL[..]), 0..LANES)
        .prop_map(|(delivery, lane)| Channel { delivery, lane })
}

fn any_ranges() -> impl Strategy<Value = AckRanges> {
    (below_2_62(), prop::collection::vec((0..5_000_u64, 0..5_000_u64), 1..=MAX_ACK_RANGES))
        .prop_map(|(largest, steps)| {
            let mut high = Some(largest);
            let ranges = steps.into_iter().map_while(move |(len, gap)| {
                let top = high?;
                let low = top.saturating_sub(len);
                high = low.checked_sub(gap + 2);
                Some(low..=top)
            });
            AckRanges::from_descending(ranges).unwrap()
        })
}

fn any_packet_frame() -> impl Strategy<Value = PacketFrame> {
    use PacketFrame as F;
    prop_oneof![
        any::<u64>().prop_map(|token| F::Ping { token }),
        any::<u64>().prop_map(|token| F::Pong { token }),
        (any_channel(), below_2_62(), any_bytes(0..300))
            .prop_map(|(channel, number, body)| F::Message { channel, number, body }),
        (any_channel(), below_2_62(), any_bytes(1..300), 0..500_000_u32, 0..500_000_u32).prop_map(
            |(channel, number, body, offset, rest)| {
                let total = offset + rest + u32::try_from(body.len()).unwrap();
                F::Fragment { channel, number, offset, total, body }
            }
        ),
        any_reason().prop_map(F::Close),
        (1..1_u64 << 62, 0..LANES, any::<bool>(), 0..1_u64 << 61, any_bytes(1..300))
            .prop_map(|(id, lane, fin, offset, body)| F::Stream { id, lane, fin, offset, body }),
        (1..1_u64 << 62, 0..LANES, below_2_62()).prop_map(|(id, lane, offset)| {
            F::Stream { id, lane, fin: true, offset, body: Bytes::new() }
        }),
        (below_2_62(), below_2_62()).prop_map(|(stream, limit)| F::MaxData { stream, limit }),
        (any_ranges(), below_2_62()).prop_map(|(ranges, delay)| {
            F::PacketAck { ranges, delay: Duration::from_micros(delay) }
        }),
        below_2_62().prop_map(|number| F::StopWaiting { number }),
        any::<u64>().prop_map(|token| F::PathChallenge { token: token.to_be_bytes() }),
        any::<u64>().prop_map(|token| F::PathResponse { token: token.to_be_bytes() }),
        (1..1_u64 << 62, any::<bool>(), below_2_62(), any::<u32>()).prop_map(
            |(id, reads, offset, code)| {
                let side = if reads { StreamSide::Reading } else { StreamSide::Sending };
                F::StreamEnd { id, side, offset, code }
            }
        ),
        (any_channel(), below_2_62())
            .prop_map(|(channel, number)| F::MessageAck { channel, number }),
        (any_channel(), below_2_62())
            .prop_map(|(channel, number)| F::MessageNack { channel, number }),
        (0x40..=0x7F_u8).prop_map(|kind| F::Unknown { kind }),
    ]
}

fn datagram(header: &Header) -> Vec<u8> {
    let mut front = [0; HEADER_LEN];
    header.encode(&mut front);
    let mut datagram = front.to_vec();
    datagram.resize(HEADER_LEN + usize::try_from(header.payload_len).unwrap(), 0xA5);
    put_checksum(&mut datagram);
    datagram
}

fn encoded(frame: &PacketFrame) -> Vec<u8> {
    let mut out = Vec::new();
    frame.encode(&mut out);
    out
}

fn decode(bytes: &[u8]) -> Result<PacketFrame, Malformed> {
    PacketFrame::decode(&mut Reader::new(Bytes::copy_from_slice(bytes)))
}

proptest! {
    #[test]
    fn every_header_survives_its_encoding_with_a_checksum_that_says_so(header in any_header()) {
        let datagram = datagram(&header);
        let sum = checksum(&datagram);
        prop_assert_eq!(Header::decode(&datagram), Ok((header, sum)));
        let mut front = [0; HEADER_LEN];
        header.encode(&mut front);
        prop_assert_eq!(associated_data(&datagram), front);
    }

    #[test]
    fn every_changed_byte_of_a_header_is_refused_or_read_as_another_header(
        (header, at, flip) in (any_header(), 0..HEADER_LEN, 1..=u8::MAX),
    ) {
        let mut datagram = datagram(&header);
        let sum = checksum(&datagram);
        datagram[at] ^= flip;
        if let Ok((read, sent)) = Header::decode(&datagram) {
            let in_checksum = (14..16).contains(&at);
            prop_assert_eq!(read == header, in_checksum);
            prop_assert_eq!(sent != sum, in_checksum);
            prop_assert!(!in_checksum || checksum(&datagram) == sum);
        }
    }

    #[test]
    fn reading_a_header_takes_no_memory(
        (header, noise) in (any_header(), any_bytes(0..1200)),
    ) {
        let datagram = datagram(&header);
        let used = allocation_counter::measure(|| {
            let _ = Header::decode(&datagram).is_ok();
            let _ = (Syn::decode(&noise).is_ok(), SynAck::decode(&noise).is_ok());
            let _ = HandshakeAck::decode(&noise).is_ok();
        });
        prop_assert_eq!(used.bytes_total, 0);
    }

    #[test]
    fn arbitrary_bytes_are_no_panic(bytes in any_bytes(0..1300)) {
        let magic = [&[0xBE, 1][..], &bytes].concat();
        for bytes in [&bytes[..], &magic] {
            let _ = (Header::decode(bytes), checksum(bytes), associated_data(bytes));
            let _ = (Syn::decode(bytes), SynAck::decode(bytes), HandshakeAck::decode(bytes));
            let _ = (Hint::decode(bytes), syn_of_another_version(bytes));
            let _ = (QueryPacket::decode(bytes), QueryAnswer::decode(bytes));
            put_checksum(&mut bytes.to_vec());
            for kind in PacketType::ALL {
                let opened = Bytes::copy_from_slice(bytes);
                let fragment = Fragment { id: 0, index: 0, total: 1 };
                prop_assert!(Frames::new(kind, fragment, opened).count() <= bytes.len() + 1);
            }
        }
    }

    #[test]
    fn every_packet_frame_survives_its_encoding_and_its_neighbours(
        frames in prop::collection::vec(any_packet_frame(), 1..6), padding in 0..9_usize,
    ) {
        let mut frames = frames;
        frames.extend((padding > 0).then_some(PacketFrame::Padding { len: padding }));
        let bytes: Vec<u8> = frames.iter().flat_map(encoded).collect();
        let mut reader = Reader::new(bytes.into());
        for frame in frames {
            prop_assert_eq!(PacketFrame::decode(&mut reader), Ok(frame));
        }
        prop_assert!(reader.is_empty());
    }

    #[test]
    fn what_reads_as_a_frame_is_written_back_byte_for_byte(
        (frame, at, flip) in (any_packet_frame(), any::<prop::sample::Index>(), any::<u8>()),
    ) {
        let mut bytes = encoded(&frame);
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        let mut reader = Reader::new(bytes.clone().into());
        if let Ok(read) = PacketFrame::decode(&mut reader) {
            let loses = matches!(read, PacketFrame::Close(_) | PacketFrame::Unknown { .. });
            let used = bytes.len() - reader.remaining();
            prop_assert!(loses || encoded(&read) == bytes[..used]);
        }
    }

    #[test]
    fn every_cut_of_a_frame_is_refused(
        (frame, at) in (any_packet_frame(), any::<prop::sample::Index>()),
    ) {
        let bytes = encoded(&frame);
        prop_assert!(decode(&bytes[..at.index(bytes.len())]).is_err());
    }

    #[test]
    fn a_body_costs_no_more_than_is_stated(frame in any_packet_frame()) {
        let size = encoded(&frame).len();
        match frame {
            PacketFrame::Message { number, body, .. } => {
                prop_assert!(size <= body.len() + message_overhead(number, body.len()));
            }
            PacketFrame::Fragment { number, offset, total, body, .. } => {
                let overhead = fragment_overhead(number, offset, total, body.len());
                prop_assert!(size <= body.len() + overhead);
            }
            PacketFrame::Stream { id, offset, body, .. } => {
                prop_assert!(size <= body.len() + stream_overhead(id, offset, body.len()));
            }
            _ => {}
        }
    }

    #[test]
    fn an_acknowledgment_keeps_to_its_room_and_tells_the_highest_ranges(
        (ranges, room) in (any_ranges(), 0..200_usize),
    ) {
        let mut out = Vec::new();
        if put_ack(&mut out, ranges.iter(), Duration::from_millis(1), room) {
            prop_assert!(out.len() <= room);
            let Ok(PacketFrame::PacketAck { ranges: told, .. }) = decode(&out) else {
                return Err(TestCaseError::fail("not an acknowledgment"));
            };
            prop_assert!(told.iter().eq(ranges.iter().take(told.iter().count())));
        } else {
            prop_assert!(out.is_empty());
        }
    }

    #[test]
    fn a_number_is_found_again_within_half_the_space_around_the_next_one(
        (next, behind, by) in (0..1_u64 << 60, any::<bool>(), 0..1_u64 << 31),
    ) {
        let number = if behind { next.saturating_sub(by) } else { next + by };
        let truncated = u32::try_from(number & u64::from(u32::MAX)).unwrap();
        prop_assert_eq!(extend_number(truncated, next.checked_sub(1)), number);
    }

    #[test]
    fn handshakes_survive_their_encoding(
        (pattern, connection) in any::<(u8, u32)>(),
        (cookie, noise) in (any_bytes(0..MAX_COOKIE + 1), any_bytes(32..MAX_HANDSHAKE + 1)),
    ) {
        let syn = Syn { pattern, connection, cookie: &cookie, noise: &noise };
        let mut out = Vec::new();
        put_unsealed(&mut out, PacketType::Syn, 0, |out| syn.encode(out));
        prop_assert_eq!(out.len(), LEAST_DATAGRAM);
        let (header, sum) = Header::decode(&out).unwrap();
        prop_assert_eq!((header.kind, sum), (PacketType::Syn, checksum(&out)));
        prop_assert_eq!(Syn::decode(&out[HEADER_LEN..]), Ok(syn));
        prop_assert_eq!(&syn.ephemeral().unwrap()[..], &noise[..32]);
        prop_assert_eq!(syn_of_another_version(&out), None);
        out[1] = 2;
        prop_assert_eq!(syn_of_another_version(&out), Some((2, connection)));

        let cookie = SynAck::Cookie { cookie: &cookie };
        for answer in [SynAck::Noise { pattern, noise: &noise }, cookie] {
            let mut out = Vec::new();
            answer.encode(&mut out);
            let empty = answer == (SynAck::Cookie { cookie: &[] });
            prop_assert_eq!(SynAck::decode(&out).ok(), (!empty).then_some(answer));
            prop_assert!(SynAck::decode(&out[..out.len() - 1]).is_err());
        }
        let last = HandshakeAck { pattern, noise: &noise };
        let mut out = Vec::new();
        last.encode(&mut out);
        prop_assert_eq!(HandshakeAck::decode(&out), Ok(last));
        out.push(0);
        prop_assert_eq!(HandshakeAck::decode(&out).unwrap_err().what, "trailing bytes");
    }

    #[test]
    fn queries_survive_their_encoding_and_nothing_shorter_is_one(
        (nonce, issued, key, salt) in any::<([u8; 8], u32, [u8; 32], [u8; 16])>(),
        noise_static in any::<[u8; 32]>(),
        sealed in any_bytes(TAG_LEN..1200),
    ) {
        let query = QueryPacket { nonce, issued, key, noise_static, sealed: &sealed };
        let answer = QueryAnswer { salt, sealed: &sealed };
        let (mut asked, mut answered) = (Vec::new(), Vec::new());
        query.encode(&mut asked);
        answer.encode(&mut answered);
        prop_assert_eq!(asked.len(), QueryPacket::CLEAR + sealed.len());
        prop_assert_eq!(answered.len(), QueryAnswer::CLEAR + sealed.len());
        prop_assert_eq!(QueryPacket::decode(&asked), Ok(query));
        prop_assert_eq!(QueryAnswer::decode(&answered), Ok(answer));
        for len in 0..QueryPacket::CLEAR + TAG_LEN {
            prop_assert_eq!(QueryPacket::decode(&asked[..len]).unwrap_err().offset, len);
        }
        for len in 0..QueryAnswer::CLEAR + TAG_LEN {
            prop_assert_eq!(QueryAnswer::decode(&answered[..len]).unwrap_err().offset, len);
        }
    }
}

#[test]
fn the_example_of_rfc_9000_a_3_extends_as_stated_in_our_width() {
    assert_eq!(extend_number(0, None), 0);
    assert_eq!(extend_number(u32::MAX, None), u64::from(u32::MAX), "there is nothing below zero");
    assert_eq!(extend_number(0, Some(u64::from(u32::MAX))), 1 << 32, "the field wraps");
    assert_eq!(extend_number(u32::MAX, Some(1 << 32)), (1 << 32) - 1, "late by two");
    assert_eq!(extend_number(7, Some((1 << 62) - 2)), (1 << 62) - (1 << 32) + 7, "the last ones");
    let _ = extend_number(7, Some(u64::MAX));
}

#[test]
fn a_syn_is_not_a_byte_shorter_longer_or_stained() {
    let noise = [7; 32];
    let syn = Syn { pattern: 1, connection: 9, cookie: &[], noise: &noise };
    let mut payload = Vec::new();
    syn.encode(&mut payload);
    assert_eq!(Syn::decode(&payload[1..]).unwrap_err().what, "size of a SYN");
    payload.push(0);
    assert_eq!(Syn::decode(&payload).unwrap_err().what, "size of a SYN");
    payload.pop();
    *payload.last_mut().unwrap() = 1;
    assert_eq!(Syn::decode(&payload).unwrap_err().what, "padding is not zero");
    let mut short = Vec::new();
    Syn { noise: &noise[1..], ..syn }.encode(&mut short);
    assert_eq!(Syn::decode(&short).unwrap_err().what, "no ephemeral key");
}

#[test]
fn the_limits_of_handshakes_hold_at_their_edges() {
    for (len, fits) in [(MAX_HANDSHAKE, true), (MAX_HANDSHAKE + 1, false)] {
        let mut out = Vec::new();
        HandshakeAck { pattern: 2, noise: &vec![1; len] }.encode(&mut out);
        assert_eq!(HandshakeAck::decode(&out).is_ok(), fits);
    }
    // Behind the hello of a query or its answer stands more.
    for (len, fits) in [(LEAST_DATAGRAM, true), (LEAST_DATAGRAM + 1, false)] {
        let mut out = Vec::new();
        SynAck::Noise { pattern: 1, noise: &vec![1; len] }.encode(&mut out);
        assert_eq!(SynAck::decode(&out).is_ok(), fits);
    }
    for (len, fits) in [(MAX_COOKIE, true), (MAX_COOKIE + 1, false)] {
        let mut out = Vec::new();
        SynAck::Cookie { cookie: &vec![1; len] }.encode(&mut out);
        assert_eq!(SynAck::decode(&out).is_ok(), fits);
        let mut out = Vec::new();
        let syn = Syn { pattern: 2, connection: 1, cookie: &vec![1; len], noise: &[1; 32] };
        syn.encode(&mut out);
        assert_eq!(Syn::decode(&out).is_ok(), fits);
    }
}

#[test]
fn more_ranges_than_the_limit_are_neither_written_nor_read() {
    let descending = |n: u64| (0..n).rev().map(|n| 3 * n..=3 * n + 1);
    let limit = u64::try_from(MAX_ACK_RANGES).unwrap();
    for n in [limit - 1, limit, limit + 1] {
        let ranges = AckRanges::from_descending(descending(n)).unwrap();
        assert_eq!(ranges.iter().count(), MAX_ACK_RANGES.min(usize::try_from(n).unwrap()));
        assert_eq!(ranges.largest(), 3 * n - 2);
        let mut out = Vec::new();
        assert!(put_ack(&mut out, descending(n), Duration::ZERO, usize::MAX));
        assert_eq!(decode(&out), Ok(PacketFrame::PacketAck { ranges, delay: Duration::ZERO }));
    }
    let mut out = vec![0x0A];
    out.append_varint(10_000);
    out.extend_from_slice(&[0, 0x40, 64, 0]);
    out.extend_from_slice(&[0; 128]);
    assert_eq!(decode(&out).unwrap_err().what, "length above its limit");
    for wrong in [vec![], vec![1..=2, 0..=0], vec![1..=2, 4..=5], vec![0..=1 << 62]] {
        assert_eq!(AckRanges::from_descending(wrong), None);
    }
}

#[test]
fn a_count_of_ranges_without_ranges_takes_no_memory() {
    let frame = Bytes::from_static(&[0x0A, 0x40, 0x64, 0, 63, 0]);
    let used = allocation_counter::measure(|| {
        assert!(PacketFrame::decode(&mut Reader::new(frame.clone())).is_err());
    });
    assert_eq!(used.bytes_total, 0);
}

/// What the type of a packet promises, its frames keep.
#[test]
fn frames_stay_in_packets_of_their_type() {
    use PacketType as T;
    let channel = Channel { delivery: Delivery::Ordered, lane: 0 };
    let part = |offset| PacketFrame::Fragment {
        channel,
        number: (1 << 32) + 5,
        offset,
        total: 10,
        body: Bytes::from_static(b"four"),
    };
    let (ping, lowest) = (PacketFrame::Ping { token: 1 }, PacketFrame::StopWaiting { number: 1 });
    let close = PacketFrame::Close(positron_proto::wire::frame::CloseReason::Pruned);
    let whole = PacketFrame::MessageAck { channel, number: 1 };
    let padding = PacketFrame::Padding { len: 3 };
    let read = |kind, index, frames: &[&PacketFrame]| {
        let opened: Vec<u8> = frames.iter().flat_map(|frame| encoded(frame)).collect();
        let fragment = Fragment { id: 5, index, total: 3 };
        Frames::new(kind, fragment, Bytes::from(opened))
            .collect::<Result<Vec<_>, _>>()
            .map(|_| ())
            .map_err(|malformed| malformed.what)
    };
    assert_eq!(read(T::Data, 0, &[&ping, &lowest, &part(3), &whole, &padding]), Ok(()));
    assert_eq!(read(T::Data, 0, &[]), Ok(()));
    assert_eq!(read(T::Ack, 0, &[&lowest, &padding]), Ok(()));
    assert_eq!(read(T::Fin, 0, &[&lowest, &close]), Ok(()));
    assert_eq!(read(T::MessageAck, 0, &[&whole, &whole]), Ok(()));
    for (index, offset, ok) in [(0, 0, true), (1, 4, true), (1, 3, false), (2, 4, false)] {
        assert_eq!(read(T::Fragment, index, &[&part(offset)]).is_ok(), ok, "{index} {offset}");
    }
    let misplaced = Err("frame in a packet of another type");
    assert_eq!(read(T::Data, 0, &[&close]), misplaced);
    assert_eq!(read(T::Ack, 0, &[&ping]), misplaced);
    assert_eq!(read(T::FinAck, 0, &[&close]), misplaced);
    assert_eq!(read(T::MessageNack, 0, &[&whole]), misplaced);
    assert_eq!(read(T::Syn, 0, &[&lowest]), misplaced);
    for (kind, frame) in [(T::Fin, &close), (T::Rst, &close), (T::Ping, &ping)] {
        assert_eq!(read(kind, 0, &[&lowest]), Err("packet without its frame"));
        assert_eq!(read(kind, 0, &[frame, frame]), Err("second frame in a packet for one"));
    }
}

#[test]
fn every_fragment_of_a_cut_message_agrees_with_its_header_and_no_other() {
    for (whole, size) in [(1, 1), (10, 4), (12, 4), (13, 4), (5, 9), (1_000_000, 1100)] {
        let pieces: Vec<(u32, u32)> = (0..whole)
            .step_by(size)
            .map(|at| (at, (whole - at).min(u32::try_from(size).unwrap())))
            .collect();
        let total = u16::try_from(pieces.len()).unwrap();
        for (index, &(offset, len)) in (0..total).zip(&pieces) {
            let len = usize::try_from(len).unwrap();
            let fragment = Fragment { id: 7, index, total };
            let agrees = |f: Fragment| f.agrees_with(7, offset, len, whole);
            assert!(agrees(fragment), "{fragment:?} {offset} {len} of {whole}");
            assert!(!agrees(Fragment { id: 8, ..fragment }));
            assert!(!agrees(Fragment { index: index + 1, ..fragment }));
            assert!(!agrees(Fragment { total: total + 1, ..fragment }));
            assert!(!agrees(Fragment { total: total - 1, ..fragment }));
        }
    }
    // What nobody cuts is no arithmetic trap either.
    for index in [0, 1, u16::MAX] {
        let fragment = Fragment { id: 0, index, total: u16::MAX };
        assert!(!fragment.agrees_with(0, 0, 0, 0));
        assert!(!fragment.agrees_with(0, u32::MAX, usize::MAX, u32::MAX));
    }
}
