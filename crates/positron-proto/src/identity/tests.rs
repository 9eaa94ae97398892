//! Keys, signatures and evidence, against the standards and against other implementations.

use std::collections::BTreeSet;

use bytes::Bytes;
use curve25519_dalek::{
    constants::EIGHT_TORSION,
    edwards::{CompressedEdwardsY, EdwardsPoint},
    scalar::Scalar,
};
use sha2::{Digest as _, Sha512};

use super::*;
use crate::{
    id::NetworkId,
    time::WallTime,
    wire::{
        message::{AppMessage, Audience},
        record::PeerRecord,
    },
};

#[test]
fn keys_and_signatures_are_those_of_rfc_8032_section_7_1() {
    for (seed, key, message, signature) in RFC_8032 {
        let identity = Identity::from_seed(unhex(seed).try_into().unwrap());
        assert_eq!(identity.public_key().as_bytes(), &unhex(key)[..]);
        let message = Bytes::from(unhex(message));
        assert_eq!(identity.sign_bytes(&message).as_bytes(), &unhex(signature)[..]);
        let job = job(*identity.public_key().as_bytes(), &message, &unhex(signature));
        assert!(job.run().is_valid());
    }
}

#[test]
fn exactly_the_encodings_of_points_of_small_order_are_nobodys_identity() {
    let refused: BTreeSet<[u8; 32]> =
        suspicious_encodings().filter(|bytes| PublicKey::parse(*bytes).is_err()).collect();
    let small: BTreeSet<[u8; 32]> = suspicious_encodings()
        .filter(|bytes| point(bytes).is_some_and(|point| point.is_small_order()))
        .collect();
    assert_eq!(refused, small);
    assert_eq!(small.len(), 14);
    assert!(
        (0..=255).all(
            |n| PublicKey::parse(*Identity::from_seed([n; 32]).public_key().as_bytes()).is_ok()
        )
    );
}

/// The set of "It's 255:19AM. Do you know what your validation criteria are?" (Henry de Valence,
/// 2020): all pairs of encodings of small order as key and as R, with s = 0. Libraries disagree on
/// them; ZIP 215 accepts all 196.
#[test]
fn the_196_signatures_of_small_order_are_valid_alone_and_in_batches() {
    let jobs = signatures_of_small_order();
    assert_eq!(jobs.len(), 196);
    assert!(jobs.iter().all(|job| job.run().is_valid()));
    agree_on(&jobs);
}

#[test]
fn crafted_signatures_have_one_verdict_alone_in_batches_and_elsewhere() {
    let mut jobs = signatures_of_mixed_order();
    let valid = jobs.len();
    assert_eq!(valid, 8 * 8 + 6 * 8);
    assert!(jobs.iter().all(|job| job.run().is_valid()));
    jobs.extend(signatures_of_small_order().iter().map(|job| with_s(job, 1)));
    jobs.extend(damaged_signatures());
    assert!(jobs[valid..].iter().all(|job| !job.run().is_valid()));
    agree_on(&jobs);
}

#[test]
fn a_wrong_signature_does_not_spoil_the_others_of_its_batch() {
    for wrong in 0..6 {
        let mut jobs: Vec<SignatureJob> = (0..6).map(honest).collect();
        jobs[wrong] = with_s(&jobs[wrong], 1);
        let verdicts = SignatureJob::run_all(&jobs);
        for (at, verdict) in verdicts.iter().enumerate() {
            assert_eq!(verdict.is_valid(), at != wrong);
        }
    }
    assert_eq!(SignatureJob::run_all(&[]), []);
}

/// RUSTSEC-2019-0004: a library took every signature of the right length for valid.
#[test]
fn a_signature_of_the_right_length_is_not_enough() {
    let good = honest(1);
    for byte in 0..64 {
        let mut signature = *good.signature.as_bytes();
        signature[byte] ^= 1;
        let bad = job(*good.key.as_bytes(), &good.message, &signature);
        assert!(!bad.run().is_valid(), "byte {byte}");
    }
    for signature in [[0; 64], [0xFF; 64]] {
        assert!(!job(*good.key.as_bytes(), &good.message, &signature).run().is_valid());
    }
    let other = honest(2);
    assert!(!job(*other.key.as_bytes(), &good.message, good.signature.as_bytes()).run().is_valid());
}

#[test]
fn a_verdict_on_one_claim_does_not_fit_another() {
    let alice = Identity::from_seed([1; 32]);
    let claim = alice.sign(said_by(&alice, Audience::Everyone, "yes"), &network()).claim().clone();
    let verdict = claim.job(&network()).run();
    assert!(verdict.is_valid());
    // A signature is public: anybody can put it under other words.
    let forged = Signed::new(said_by(&alice, Audience::Everyone, "no"), *claim.signature());
    assert_eq!(forged.clone().accept(verdict), None);
    assert_eq!(forged.clone().accept(forged.job(&network()).run()), None);
    // The verdict on other words under another signature.
    let other = alice.sign(said_by(&alice, Audience::Everyone, "maybe"), &network());
    assert_eq!(claim.clone().accept(other.claim().job(&network()).run()), None);
    let evidence = claim.clone().accept(verdict).unwrap();
    assert_eq!((evidence.id(), evidence.claim()), (claim.id(&network()), &claim));
}

#[test]
fn a_signature_counts_for_its_kind_network_audience_and_signer_only() {
    let (alice, bob) = (Identity::from_seed([1; 32]), Identity::from_seed([2; 32]));
    let valid = |claim: &Signed<AppMessage>, network: &NetworkId| {
        claim.clone().accept(claim.job(network).run()).is_some()
    };
    let for_bob = alice.sign(said_by(&alice, Audience::Node(bob.node_id()), "hi"), &network());
    assert!(valid(for_bob.claim(), &network()));
    assert!(!valid(for_bob.claim(), &NetworkId::from_name("another network")));
    for audience in [Audience::Everyone, Audience::Node(alice.node_id())] {
        let replayed = Signed::new(said_by(&alice, audience, "hi"), *for_bob.claim().signature());
        assert!(!valid(&replayed, &network()));
    }
    let stolen = Signed::new(
        said_by(&bob, Audience::Node(bob.node_id()), "hi"),
        *for_bob.claim().signature(),
    );
    assert!(!valid(&stolen, &network()));
}

/// The content of one kind of statement, signed as it is, is never taken for another kind.
#[test]
fn a_signature_on_a_record_is_never_one_on_a_message() {
    let alice = Identity::from_seed([1; 32]);
    let record = PeerRecord {
        key: *alice.public_key(),
        sequence: 7,
        noise_static: [3; 32],
        capabilities: 0,
        addresses: vec!["192.0.2.1:8888".parse().unwrap()],
        carriers: Vec::new(),
        software: "test".into(),
    };
    let signed = alice.sign(record, &network());
    let as_record = signed.claim().signed_bytes(&network());
    let header = PeerRecord::DOMAIN.len() + 1 + 32 + 32;
    let as_message = [
        AppMessage::DOMAIN,
        &[0],
        network().as_bytes(),
        alice.public_key().as_bytes(),
        &as_record[header..],
    ]
    .concat();
    let signature = signed.claim().signature().as_bytes();
    assert!(job(*alice.public_key().as_bytes(), &as_record, signature).run().is_valid());
    assert!(!job(*alice.public_key().as_bytes(), &as_message, signature).run().is_valid());
    for domain in [PeerRecord::DOMAIN, AppMessage::DOMAIN] {
        assert!(!domain.contains(&0), "a domain ends at the first zero byte");
    }
}

#[test]
#[should_panic(expected = "a node signs in its own name only")]
fn nobody_signs_in_the_name_of_another() {
    let (alice, bob) = (Identity::from_seed([1; 32]), Identity::from_seed([2; 32]));
    alice.sign(said_by(&bob, Audience::Everyone, "hi"), &network());
}

#[test]
fn secrets_do_not_show_in_debug_output() {
    let alice = Identity::from_seed([0xAB; 32]);
    assert_eq!(format!("{alice:?}"), format!("Identity({})", alice.node_id().short()));
}

/// Every job has the same verdict alone, in a batch of all, in a batch with honest ones, twice in
/// one batch, and by `ed25519-consensus`.
fn agree_on(jobs: &[SignatureJob]) {
    let together = SignatureJob::run_all(jobs);
    assert_eq!(together.len(), jobs.len());
    for (job, in_batch) in jobs.iter().zip(together) {
        let alone = job.run();
        assert_eq!(alone, in_batch);
        assert_eq!(alone.is_valid(), elsewhere(job), "{job:?}");
        let mixed =
            SignatureJob::run_all(&[honest(1), job.clone(), honest(2), job.clone(), honest(1)]);
        let valid: Vec<bool> = mixed.iter().map(Verdict::is_valid).collect();
        assert_eq!(valid, [true, alone.is_valid(), true, alone.is_valid(), true]);
    }
}

fn elsewhere(job: &SignatureJob) -> bool {
    let signature = ed25519_consensus::Signature::from(*job.signature.as_bytes());
    ed25519_consensus::VerificationKey::try_from(*job.key.as_bytes())
        .and_then(|key| key.verify(&signature, &job.message))
        .is_ok()
}

/// Every canonical encoding of a torsion point and every encoding that is not canonical (19 values
/// of y from p to 2^255 - 1), with both signs.
fn suspicious_encodings() -> impl Iterator<Item = [u8; 32]> {
    let canonical = EIGHT_TORSION.iter().map(|point| point.compress().to_bytes());
    let above_p = (0xED..=0xFF).map(|low| {
        let mut y = [0xFF; 32];
        (y[0], y[31]) = (low, 0x7F);
        y
    });
    canonical.chain(above_p).flat_map(|mut y| {
        y[31] &= 0x7F;
        let mut negative = y;
        negative[31] |= 0x80;
        [y, negative]
    })
}

fn encodings_of_small_order() -> Vec<[u8; 32]> {
    let small: BTreeSet<[u8; 32]> = suspicious_encodings()
        .filter(|bytes| point(bytes).is_some_and(|point| point.is_small_order()))
        .collect();
    small.into_iter().collect()
}

fn signatures_of_small_order() -> Vec<SignatureJob> {
    let encodings = encodings_of_small_order();
    let pairs = encodings.iter().flat_map(|key| encodings.iter().map(move |r| (key, r)));
    pairs.map(|(key, r)| job(*key, b"Zcash", &[*r, [0; 32]].concat())).collect()
}

/// Valid signatures whose key, or whose R, is the sum of an honest point and one of small order;
/// and those whose R is of small order, in an encoding that is not canonical.
fn signatures_of_mixed_order() -> Vec<SignatureJob> {
    let (a, r) = (scalar(b"a"), scalar(b"r"));
    let keys = EIGHT_TORSION.map(|torsion| EdwardsPoint::mul_base(&a) + torsion);
    let signed = |key: EdwardsPoint, big_r: [u8; 32], r: Scalar| {
        let key = key.compress().to_bytes();
        let k = scalar(&[&big_r[..], &key, b"mixed"].concat());
        job(key, b"mixed", &[big_r, (r + k * a).to_bytes()].concat())
    };
    let mut jobs = Vec::new();
    for key in keys {
        for torsion in EIGHT_TORSION {
            let big_r = EdwardsPoint::mul_base(&r) + torsion;
            jobs.push(signed(key, big_r.compress().to_bytes(), r));
        }
        let odd = encodings_of_small_order().into_iter().filter(|bytes| !is_canonical(bytes));
        jobs.extend(odd.map(|bytes| signed(key, bytes, Scalar::ZERO)));
    }
    jobs
}

/// Signatures with a point that is not on the curve, or with an s that is not reduced.
fn damaged_signatures() -> Vec<SignatureJob> {
    // 2^252 + 27742317777372353535851937790883648493, little-endian (RFC 8032, 5.1).
    let order = unhex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    let no_point = (2..=255).map(|y| core::array::from_fn(|at| if at == 0 { y } else { 0 }));
    let no_point = no_point.into_iter().find(|bytes| point(bytes).is_none());
    let (no_point, good) = (no_point.unwrap(), honest(3));
    let (r, s) = good.signature.as_bytes().split_at(32);
    let mut unreduced = Vec::new();
    let mut carry = 0;
    for (a, b) in s.iter().zip(&order) {
        let sum = u16::from(*a) + u16::from(*b) + carry;
        unreduced.push(sum.to_le_bytes()[0]);
        carry = sum >> 8;
    }
    let key = *good.key.as_bytes();
    vec![
        job(no_point, &good.message, good.signature.as_bytes()),
        job(key, &good.message, &[&no_point, s].concat()),
        job(key, &good.message, &[r, &unreduced].concat()),
    ]
}

fn is_canonical(bytes: &[u8; 32]) -> bool {
    point(bytes).is_some_and(|point| point.compress().as_bytes() == bytes)
}

fn point(bytes: &[u8; 32]) -> Option<EdwardsPoint> {
    CompressedEdwardsY(*bytes).decompress()
}

fn scalar(of: &[u8]) -> Scalar {
    Scalar::from_bytes_mod_order_wide(&Sha512::digest(of).into())
}

fn job(key: [u8; 32], message: &[u8], signature: &[u8]) -> SignatureJob {
    SignatureJob {
        network: network(),
        key: PublicKey::unchecked(key),
        message: Bytes::copy_from_slice(message),
        signature: Signature::from_bytes(signature.try_into().unwrap()),
    }
}

fn with_s(job: &SignatureJob, s: u8) -> SignatureJob {
    let mut signature = *job.signature.as_bytes();
    signature[32..].fill(0);
    signature[32] = s;
    SignatureJob { signature: Signature::from_bytes(signature), ..job.clone() }
}

fn honest(seed: u8) -> SignatureJob {
    let identity = Identity::from_seed([seed; 32]);
    let message = Bytes::from_static(b"an honest message");
    job(*identity.public_key().as_bytes(), &message, identity.sign_bytes(&message).as_bytes())
}

fn said_by(sender: &Identity, audience: Audience, payload: &'static str) -> AppMessage {
    AppMessage {
        sender: *sender.public_key(),
        audience,
        sequence: 1,
        timestamp: WallTime::default(),
        payload: Bytes::from_static(payload.as_bytes()),
    }
}

fn network() -> NetworkId {
    NetworkId::from_name("test")
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

/// Seed, public key, message, signature.
const RFC_8032: [(&str, &str, &str, &str); 3] = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155\
         5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
         085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac\
         18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
];
