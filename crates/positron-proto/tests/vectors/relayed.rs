//! What relays and those behind them say.

use std::num::NonZeroU16;

use bytes::Bytes;
use positron_proto::{
    nat::{NatMessage, Offer, ProbeStep, StrangerProbe},
    node::Message,
    relay::{RelayLabel, RelayMessage, RelayRefusal},
    stun::TransactionId,
};

use crate::{address, identity};

pub(crate) fn messages() -> Vec<(&'static str, Message)> {
    let places = ["198.51.100.7:61000", "[2001:db8::7]:8888", "192.168.1.7:8888"];
    let offer = |port_varies, searches| Offer {
        nonce: 258,
        port_varies,
        searches,
        candidates: places.map(address).into(),
    };
    let nowhere = Offer { nonce: u64::MAX, candidates: Vec::new(), ..offer(false, false) };
    let peer = identity(1).node_id();
    let by_end = RelayLabel { number: 32, by_relay: false };
    let by_relay = RelayLabel { number: 0, by_relay: true };
    let bytes = Bytes::from_static(b"bytes");
    let opened = |asked, one_site| RelayMessage::Opened { number: 64, peer, asked, one_site };
    let refused = |why| RelayMessage::Refused { tag: 300, peer, why };
    let probe = |step| NatMessage::Probe(StrangerProbe { id: TransactionId([12; 12]), step });
    let [at, _, _] = places.map(address);
    vec![
        ("connect", NatMessage::Connect(offer(true, true)).into()),
        ("connect.nowhere", NatMessage::Connect(nowhere).into()),
        ("answer", NatMessage::Answer(offer(false, true)).into()),
        ("sync", NatMessage::Sync(258).into()),
        ("probe.ask", probe(ProbeStep::Ask).into()),
        ("probe.send", probe(ProbeStep::Send(at.clone())).into()),
        ("probe.asked", probe(ProbeStep::Asked(at)).into()),
        ("probe.nobody", probe(ProbeStep::Nobody).into()),
        ("probe.ask_at", probe(ProbeStep::AskAt(NonZeroU16::MAX)).into()),
        ("probe.other_port", probe(ProbeStep::OtherPort(None)).into()),
        ("probe.other_port_at", probe(ProbeStep::OtherPort(NonZeroU16::new(61_000))).into()),
        ("probe.sent", probe(ProbeStep::Sent).into()),
        ("relay_open", RelayMessage::Open { tag: 300, peer }.into()),
        ("relay_opened.asked", opened(Some(300), true).into()),
        ("relay_opened.unasked", opened(None, false).into()),
        ("relay_data.by_end", RelayMessage::Data { label: by_end, bytes: bytes.clone() }.into()),
        ("relay_data.by_relay", RelayMessage::Data { label: by_relay, bytes }.into()),
        ("relay_credit", RelayMessage::Credit { label: by_end, limit: 1 << 17 }.into()),
        ("relay_close", RelayMessage::Close(by_relay).into()),
        ("relay_refused.not_linked", refused(RelayRefusal::NotLinked).into()),
        ("relay_refused.full", refused(RelayRefusal::Full).into()),
        ("relay_refused.off", refused(RelayRefusal::Off).into()),
        ("relay_refused.too_often", refused(RelayRefusal::TooOften).into()),
        ("relay_refused.later", refused(RelayRefusal::Other(200)).into()),
    ]
}
