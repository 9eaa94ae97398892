//! What praise, slander, camouflage and new names come to at one node that means well.

use std::iter;

use bytes::{BufMut as _, Bytes, BytesMut};
use positron_proto::{
    id::NodeId,
    limits::{MAX_RECOMMENDED, MAX_RECOMMENDERS},
    misbehavior::{Misbehavior, Observation},
    recommendation::{
        RecommendationMessage, TRUST_UPDATE, TRUSTED_PEERS_REQUEST, TRUSTED_PEERS_RESPONSE,
    },
    time::Duration,
    wire::message::RoomMessage as _,
    words::Recommendation,
};

use super::{
    super::figure::Figure,
    citizen::{Citizen, praise},
    town::START,
};

/// All of it.
pub(super) fn figures() -> Vec<Figure> {
    [rings(), slander(), camouflage(), whitewashing()].into_iter().flatten().collect()
}

// --- praise ---

/// Members of a ring.
const RING: u64 = 50;

fn rings() -> Vec<Figure> {
    let gains = |members: u64, deeds: u32| (gain(members, deeds) - initial()) * 100.0;
    let over = |deeds| gains(RING, deeds) - gains(1, deeds);
    let told = |what, measured| Figure::told(what, measured, "hundredths");
    vec![
        told("ring of 50 that did nothing: a newcomer of it gains", gains(RING, 0)).at_most(0.0),
        told("one alone, 10 good deeds: gains", gains(1, 10)),
        told("ring of 50, 10 good deeds each: gains", gains(RING, 10)),
        told("ring of 50 over one alone, 10 good deeds each", over(10)).at_most(0.0),
        told("one alone, 1,000 good deeds: gains", gains(1, 1_000)),
        told("ring of 50 over one alone, 1,000 good deeds each", over(1_000)).at_most(0.0),
        told("one alone that did what 50 did, 500 good deeds: gains", gains(1, 500)),
    ]
}

/// What one is regarded who did nothing, and whom so many praise who did so much; they praise one
/// another too.
fn gain(members: u64, deeds: u32) -> f64 {
    let mut judge = judge();
    let newcomer = node(1);
    let ring: Vec<NodeId> = (100..100 + members).map(node).collect();
    for (place, member) in ring.iter().enumerate() {
        judge.link(*member);
        does_well(&mut judge, *member, deeds);
        let others = ring.iter().cycle().skip(place + 1).take(MAX_RECOMMENDED - 1);
        let praised = others.filter(|other| *other != member).copied();
        judge.handle_bytes(START, *member, praise(praised.chain([newcomer]).collect()));
    }
    judge.regard(&newcomer)
}

// --- slander ---

/// What a slanderer can say, each in the sight of one who is praised by another, and did well or
/// nothing itself.
fn slander() -> Vec<Figure> {
    let (mut score, mut regard) = (0.0_f64, 0.0_f64);
    for deeds in [0, 1, 20, 1_000] {
        for message in slanders() {
            let (before, after) = (slandered(deeds, &[]), slandered(deeds, &[message]));
            score = score.max(fall(before.0, after.0));
            regard = regard.max(fall(before.1, after.1));
        }
    }
    let crowd = fall(crowded(0, 1), crowded(MAX_RECOMMENDERS as u64, 1));
    let busy = fall(crowded(0, 50), crowded(MAX_RECOMMENDERS as u64, 50));
    let told = |what, measured: f64| Figure::told(what, measured, "%");
    vec![
        Figure::told("slander: messages tried", slanders().len() as f64, ""),
        told("slander: an honest score falls by", score * 100.0).at_most(5.0),
        told("slander: an honest regard falls by", regard * 100.0).at_most(5.0),
        told("slander: 64 that did one thing drown the best word", crowd * 100.0).at_most(5.0),
        told("slander: 64 that did 50 things each, the same", busy * 100.0).at_most(5.0),
    ]
}

/// Whom they slander.
fn victim() -> NodeId {
    node(2)
}

/// Every type of message that is about trust, and bytes that are none; the victim is named in each
/// that has room for a name.
fn slanders() -> Vec<Bytes> {
    let word = |node, strength| Recommendation { node, strength };
    let least = vec![word(victim(), 0)];
    let others: Vec<Recommendation> = (500..532).map(|other| word(node(other), 1)).collect();
    let mut all = Vec::new();
    for nodes in [Vec::new(), least, others] {
        all.push(RecommendationMessage::Update(nodes.clone()).encode());
        all.push(RecommendationMessage::Response(nodes).encode());
    }
    all.extend([0, 1, u8::MAX].map(|most| RecommendationMessage::Request(most).encode()));
    for message_type in [TRUST_UPDATE, TRUSTED_PEERS_REQUEST, TRUSTED_PEERS_RESPONSE] {
        // Twice the same; a name that is cut off; a name behind the end; no number at all.
        all.push(raw(message_type, 2, &[victim(), victim()], &[]));
        all.push(raw(message_type, 3, &[victim()], &[7]));
        all.push(raw(message_type, 0, &[victim()], &[]));
        all.push(Bytes::copy_from_slice(&[message_type]));
    }
    all
}

fn raw(message_type: u8, count: u8, nodes: &[NodeId], rest: &[u8]) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_u8(message_type);
    bytes.put_u8(count);
    for node in nodes {
        bytes.put_slice(node.as_bytes());
        bytes.put_u16(0);
    }
    bytes.put_slice(rest);
    bytes.freeze()
}

/// Score and regard of the victim that did so much itself, after a slanderer of the best repute
/// said this.
fn slandered(deeds: u32, messages: &[Bytes]) -> (f64, f64) {
    let mut judge = judge();
    let (friend, slanderer) = (node(3), node(4));
    for peer in [friend, slanderer] {
        judge.link(peer);
        does_well(&mut judge, peer, 1_000);
    }
    does_well(&mut judge, victim(), deeds);
    judge.handle_bytes(START, friend, praise(vec![victim()]));
    for message in messages {
        judge.handle_bytes(START, slanderer, message.clone());
    }
    (judge.score(&victim()), judge.regard(&victim()))
}

/// What a stranger is regarded whom the best praises, after so many that did so much said
/// something else.
fn crowded(crowd: u64, deeds: u32) -> f64 {
    let mut judge = judge();
    let friend = node(3);
    judge.link(friend);
    does_well(&mut judge, friend, 1_000);
    judge.handle_bytes(START, friend, praise(vec![victim()]));
    for member in (100..100 + crowd).map(node) {
        judge.link(member);
        does_well(&mut judge, member, deeds);
        let mut later = START;
        later.mono = later.mono + Duration::from_secs(1);
        judge.handle_bytes(later, member, praise(vec![node(5)]));
    }
    judge.regard(&victim())
}

fn fall(before: f64, after: f64) -> f64 {
    (before - after) / before
}

// --- camouflage ---

fn camouflage() -> Vec<Figure> {
    let reported = Observation::Reported;
    let forged = Observation::Misbehaved(Misbehavior::ForgedSignature);
    let counted = |what, measured: u32| Figure::told(what, f64::from(measured), "bad deeds");
    let after = |deeds, what| unmasked(iter::repeat_n(true, deeds), what);
    let (fresh, half, most, old) =
        (after(0, reported), after(50, reported), after(90, reported), after(1_000, reported));
    let (fresh_forger, old_forger) = (after(0, forged), after(1_000, forged));
    let nine_in_ten = mixed(10, reported);
    let one_in_two = mixed(2, reported);
    vec![
        counted("bad from the first on: refused after", fresh.1),
        counted("good 50 times, then bad: below a newcomer after", half.0),
        counted("good 50 times, then bad: refused after", half.1),
        counted("good 90 times, then bad: below a newcomer after", most.0),
        counted("good 90 times, then bad: refused after", most.1),
        counted("good 1,000 times, then bad: below a newcomer after", old.0),
        counted("good 1,000 times, then bad: refused after", old.1),
        counted("forges from the first on: refused after", fresh_forger.1),
        counted("good 1,000 times, then forges: below a newcomer after", old_forger.0),
        counted("good 1,000 times, then forges: refused after", old_forger.1),
        counted("bad one time in two: below a newcomer after", one_in_two.0),
        counted("bad one time in two: refused after", one_in_two.1),
        counted("bad one time in ten: below a newcomer after", nine_in_ten.0),
        counted("bad one time in ten: refused after", nine_in_ten.1),
    ]
}

/// After how many bad deeds one is below a newcomer and refused that does this, and from then on
/// nothing but wrong.
fn unmasked(deeds: impl Iterator<Item = bool>, wrong: Observation) -> (u32, u32) {
    let (mut judge, masked) = (judge(), node(6));
    let (mut bad, mut below) = (0, None);
    for is_good in deeds.chain(iter::repeat(false)) {
        let what = if is_good { Observation::ValidMessage } else { wrong };
        judge.observe(START, masked, what);
        bad += u32::from(!is_good);
        if below.is_none() && judge.regard(&masked) < initial() {
            below = Some(bad);
        }
        if judge.is_banned(START, &masked) {
            break;
        }
    }
    (below.unwrap_or(bad), bad)
}

/// The same of one that does wrong every so many deeds, the last of them, for as long as it takes.
fn mixed(every: u32, wrong: Observation) -> (u32, u32) {
    unmasked((1..1_000_000_u32).map(|deed| !deed.is_multiple_of(every)), wrong)
}

// --- new names ---

fn whitewashing() -> Vec<Figure> {
    let earned = |deeds| {
        let mut judge = judge();
        does_well(&mut judge, node(7), deeds);
        judge.regard(&node(7))
    };
    let part = |deeds| initial() / earned(deeds) * 100.0;
    let banned = {
        let mut judge = judge();
        (0..5).for_each(|_| judge.observe(START, node(8), Observation::Reported));
        judge.score(&node(8))
    };
    let told = |what, measured| Figure::told(what, measured, "%");
    vec![
        told("a new identity is worth, of one with 10 good deeds", part(10)),
        told("a new identity is worth, of one with 90 good deeds", part(90)),
        told("a new identity is worth, of one with 1,000 good deeds", part(1_000)),
        Figure::told("a new identity is above one that is refused by", initial() - banned, ""),
    ]
}

// --- the judge ---

fn judge() -> Citizen {
    Citizen::new(node(0), START)
}

fn initial() -> f64 {
    judge().initial(START)
}

fn does_well(judge: &mut Citizen, peer: NodeId, times: u32) {
    (0..times).for_each(|_| judge.observe(START, peer, Observation::ValidMessage));
}

fn node(number: u64) -> NodeId {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    NodeId::from_bytes(bytes)
}
