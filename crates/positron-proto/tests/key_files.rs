//! Key files, against what Python's `cryptography` 50.0.2 wrote into `tests/fixtures`:
//!
//! ```python
//! key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"positron-net fixture").digest())
//! raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
//! private_key.pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
//! public_key.pem  = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
//! public_key.hex  = raw.hex()
//! node_id.hex     = hashlib.sha256(raw).hexdigest()   # the founding id is its first 16 characters
//! encrypted.pem   = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8,
//!                                     BestAvailableEncryption(b"secret"))
//! ec.pem          = ec.generate_private_key(ec.SECP256R1()).private_bytes(...PKCS8...)
//! rsa.pem         = rsa.generate_private_key(65537, 2048).private_bytes(...PKCS8...)
//! ```
//!
//! and what OpenSSL 3.0.19 made of `private_key.pem`, by `openssl pkcs8 -topk8`, the passphrase
//! "secret" and
//!
//! ```text
//! openssl_scrypt.pem   -scrypt
//! openssl_pbkdf2.pem   -v2 aes-256-cbc -v2prf hmacWithSHA256 -iter 2048
//! openssl_sha1.pem     -v2 aes-256-cbc -v2prf hmacWithSHA1
//! openssl_des3.pem     -v2 des3
//! openssl_pbes1.pem    -v1 PBE-SHA1-3DES
//! ```

#![allow(clippy::unwrap_used, clippy::panic)]

use positron_proto::identity::{BadKeyFile, Identity, Passphrase};
use sha2::{Digest as _, Sha256};

const FOUNDING: &str = include_str!("fixtures/private_key.pem");

#[test]
fn a_key_file_of_the_founding_implementation_loads_and_is_written_byte_for_byte() {
    let identity = Identity::from_pem(FOUNDING).unwrap();
    let key: String =
        identity.public_key().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(key, include_str!("fixtures/public_key.hex").trim_end());
    let id = include_str!("fixtures/node_id.hex").trim_end();
    assert_eq!(identity.node_id().to_string(), id);
    assert_eq!(identity.node_id().short(), id[..16]);
    assert_eq!(identity.seed(), Sha256::digest(b"positron-net fixture").as_slice());
    assert_eq!(*identity.to_pem(), FOUNDING);
}

#[test]
fn line_ends_and_white_space_around_a_key_do_not_matter() {
    let windows = FOUNDING.replace('\n', "\r\n");
    let surrounded = format!("\n\n{FOUNDING}\n \r\n");
    for text in [windows.as_str(), &surrounded, FOUNDING.trim_end()] {
        let identity = Identity::from_pem(text).unwrap();
        assert_eq!(*identity.to_pem(), FOUNDING);
    }
}

#[test]
fn a_key_file_that_carries_its_public_key_loads_if_the_two_belong_together() {
    let identity = Identity::from_seed([7; 32]);
    let with_key = |key: &[u8; 32]| {
        let mut der = vec![0x30, 81, 0x02, 1, 1, 0x30, 5, 0x06, 3, 0x2B, 0x65, 0x70];
        der.extend_from_slice(&[0x04, 34, 0x04, 32]);
        der.extend_from_slice(identity.seed());
        der.extend_from_slice(&[0x81, 33, 0]);
        der.extend_from_slice(key);
        pem("PRIVATE KEY", &der)
    };
    let loaded = Identity::from_pem(&with_key(identity.public_key().as_bytes())).unwrap();
    assert_eq!(loaded.node_id(), identity.node_id());
    let other = Identity::from_seed([8; 32]);
    let refused = Identity::from_pem(&with_key(other.public_key().as_bytes())).unwrap_err();
    assert!(refused.to_string().ends_with("the public key in it belongs to another private key"));
}

#[test]
fn every_other_file_is_refused_with_a_reason_in_words() {
    let seed = [7; 32];
    let key = |oid: &[u8], parameters: &[u8], secret: &[u8]| {
        let algorithm = tlv(0x30, &[&tlv(0x06, oid), parameters].concat());
        let secret = tlv(0x04, &tlv(0x04, secret));
        pem("PRIVATE KEY", &tlv(0x30, &[&[0x02, 1, 0], &algorithm[..], &secret].concat()))
    };
    let ed25519 = [0x2B, 0x65, 0x70];
    assert!(Identity::from_pem(&key(&ed25519, &[], &seed)).is_ok());
    let damaged = FOUNDING.replacen('M', "!", 1);
    let twice = format!("{FOUNDING}{FOUNDING}");
    let cut = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIE\n-----END PRIVATE KEY-----\n";
    for (text, why) in [
        ("", "it is empty"),
        (" \n\n", "it is empty"),
        ("hello", "does not begin with"),
        (include_str!("fixtures/encrypted.pem"), "encrypted"),
        (include_str!("fixtures/ec.pem"), "another elliptic curve"),
        (include_str!("fixtures/rsa.pem"), "RSA"),
        (include_str!("fixtures/public_key.pem"), "public key"),
        (&FOUNDING[..60], "cut short"),
        (cut, "cut short"),
        (&damaged, "damaged"),
        (&twice, "followed by something else"),
        (&format!("{FOUNDING}more"), "followed by something else"),
        (&key(&[0x2B, 0x65, 0x6E], &[], &seed), "another algorithm"),
        (&key(&ed25519, &[0x05, 0], &seed), "parameters"),
        (&key(&ed25519, &[], &seed[..31]), "not 32 bytes"),
        (&key(&ed25519, &[], &[7; 33]), "not 32 bytes"),
        (&pem("PRIVATE KEY", &[]), "cut short"),
        (&pem("RSA PRIVATE KEY", &[1]), "RSA"),
        (&pem("EC PRIVATE KEY", &[1]), "another elliptic curve"),
        (&pem("OPENSSH PRIVATE KEY", &[1]), "OpenSSH"),
        (&pem("\u{1b}[2J", &[1]), "another kind"),
    ] {
        let refused = Identity::from_pem(text).unwrap_err();
        let said = refused.to_string();
        assert!(said.contains(why), "{text:?} was refused because {said}");
        assert!(said.chars().all(|c| matches!(c, ' '..='~')));
    }
}

#[test]
fn every_cut_and_every_flipped_bit_of_a_key_file_is_refused_or_makes_another_whole_key() {
    let founding = Identity::from_pem(FOUNDING).unwrap();
    for cut in 0..FOUNDING.trim_end().len() {
        assert!(Identity::from_pem(&FOUNDING[..cut]).is_err(), "cut at {cut}");
    }
    for at in 0..FOUNDING.trim_end().len() {
        let mut bytes = FOUNDING.as_bytes().to_vec();
        bytes[at] ^= 1;
        if let Ok(text) = String::from_utf8(bytes)
            && let Ok(other) = Identity::from_pem(&text)
        {
            assert_ne!(other.node_id(), founding.node_id());
        }
    }
}

fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(text.to_owned()).unwrap()
}

const OF_OTHERS: [&str; 3] = [
    include_str!("fixtures/encrypted.pem"),
    include_str!("fixtures/openssl_scrypt.pem"),
    include_str!("fixtures/openssl_pbkdf2.pem"),
];

#[test]
fn an_encrypted_key_file_of_others_opens_with_its_passphrase_and_with_no_other() {
    for text in OF_OTHERS {
        let opened = Identity::from_encrypted_pem(text, &passphrase("secret")).unwrap();
        assert_eq!(*opened.to_pem(), FOUNDING);
        for wrong in ["Secret", "secret ", "s"] {
            let refused = Identity::from_encrypted_pem(text, &passphrase(wrong)).unwrap_err();
            assert_eq!(refused, BadKeyFile::WrongPassphrase);
        }
        assert_eq!(Identity::from_pem(text).unwrap_err(), BadKeyFile::Encrypted);
    }
}

#[test]
fn what_is_encrypted_in_another_way_says_so_before_the_passphrase_is_tried() {
    for text in [
        include_str!("fixtures/openssl_sha1.pem"),
        include_str!("fixtures/openssl_des3.pem"),
        include_str!("fixtures/openssl_pbes1.pem"),
    ] {
        let refused = Identity::from_encrypted_pem(text, &passphrase("secret")).unwrap_err();
        assert_eq!(refused, BadKeyFile::OtherScheme);
    }
}

#[test]
fn an_encrypted_key_file_is_read_back_and_differs_by_its_dice() {
    let identity = Identity::from_seed([7; 32]);
    let one = identity.to_encrypted_pem(&passphrase("secret"), [1; 32]);
    let other = identity.to_encrypted_pem(&passphrase("secret"), [2; 32]);
    assert_ne!(one, other);
    for text in [one, other] {
        let read = Identity::from_encrypted_pem(&text, &passphrase("secret")).unwrap();
        assert_eq!(read.node_id(), identity.node_id());
    }
    let plain = Identity::from_encrypted_pem(FOUNDING, &passphrase("secret")).unwrap();
    assert_eq!(*plain.to_pem(), FOUNDING, "a passphrase that is not needed does no harm");
}

/// A file says how much it takes to try a passphrase; nobody waits for minutes, or gives gigabytes.
#[test]
fn a_key_file_that_asks_for_too_much_is_refused_at_once() {
    let costly = |kdf: &[u8]| {
        let cipher = tlv(0x30, &[&tlv(0x06, &AES_256_CBC)[..], &tlv(0x04, &[0; 16])].concat());
        let parameters = tlv(0x30, &[kdf, &cipher[..]].concat());
        let scheme = tlv(0x30, &[&tlv(0x06, &PBES2)[..], &parameters].concat());
        let text =
            pem("ENCRYPTED PRIVATE KEY", &tlv(0x30, &[scheme, tlv(0x04, &[0; 64])].concat()));
        Identity::from_encrypted_pem(&text, &passphrase("secret")).unwrap_err()
    };
    let scrypt = |n: &[u8], r: &[u8], p: &[u8]| {
        let cost = [tlv(0x04, &[0; 8]), tlv(2, n), tlv(2, r), tlv(2, p)].concat();
        costly(&tlv(0x30, &[tlv(0x06, &SCRYPT), tlv(0x30, &cost)].concat()))
    };
    let pbkdf2 = |rounds: &[u8]| {
        let prf = tlv(0x30, &[tlv(0x06, &HMAC_SHA_256), tlv(5, &[])].concat());
        let cost = [tlv(0x04, &[0; 8]), tlv(2, rounds), prf].concat();
        costly(&tlv(0x30, &[tlv(0x06, &PBKDF2), tlv(0x30, &cost)].concat()))
    };
    assert_eq!(scrypt(&[2], &[1], &[1]), BadKeyFile::WrongPassphrase, "this costs nothing");
    assert_eq!(pbkdf2(&[1]), BadKeyFile::WrongPassphrase);
    for [n, r, p] in [
        [&[1, 0, 0, 0][..], &[8], &[1]],                // 16 GiB
        [&[0x40, 0, 0, 0, 0, 0, 0, 0], &[127], &[127]], // more than a number holds
        [&[64, 0], &[127, 0], &[1]],                    // 64 GiB by r
        [&[64, 0], &[8], &[127, 0]],                    // hours by p
    ] {
        assert_eq!(scrypt(n, r, p), BadKeyFile::TooCostly);
    }
    for rounds in [&[5, 0xF5, 0xE1, 0][..], &[0x7F, 0xFF, 0xFF, 0xFF]] {
        assert_eq!(pbkdf2(rounds), BadKeyFile::TooCostly);
    }
    for [n, r, p] in [[0, 8, 1], [1, 8, 1], [3, 8, 1], [2, 0, 1], [2, 8, 0]] {
        assert!(matches!(scrypt(&[n], &[r], &[p]), BadKeyFile::NoKey { .. }), "{n} {r} {p}");
    }
}

#[test]
fn every_cut_and_every_flipped_bit_of_an_encrypted_key_file_is_refused_or_makes_another_key() {
    let text = OF_OTHERS[2].trim_end();
    let secret = passphrase("secret");
    for cut in 0..text.len() {
        assert!(Identity::from_encrypted_pem(&text[..cut], &secret).is_err(), "cut at {cut}");
    }
    let founding = Identity::from_pem(FOUNDING).unwrap().node_id();
    for at in 0..text.len() {
        let mut bytes = text.as_bytes().to_vec();
        bytes[at] ^= 1;
        let text = String::from_utf8(bytes).unwrap();
        if let Ok(other) = Identity::from_encrypted_pem(&text, &secret) {
            assert_ne!(other.node_id(), founding);
        }
    }
}

/// id-PBES2, id-PBKDF2 (RFC 8018, A), hmacWithSHA256 (B.1.2), aes256-CBC-PAD (B.2.5), id-scrypt
/// (RFC 7914, 7).
const PBES2: [u8; 9] = [0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 5, 13];
const PBKDF2: [u8; 9] = [0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 5, 12];
const HMAC_SHA_256: [u8; 8] = [0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 2, 9];
const AES_256_CBC: [u8; 9] = [0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 42];
const SCRYPT: [u8; 9] = [0x2B, 6, 1, 4, 1, 0xDA, 0x47, 4, 11];

fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
    let length = u8::try_from(value.len()).unwrap();
    let mut out = if length < 128 { vec![tag, length] } else { vec![tag, 0x81, length] };
    out.extend_from_slice(value);
    out
}

fn pem(label: &str, der: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in der.chunks(48) {
        for group in line.chunks(3) {
            let bits = group.iter().fold(0, |bits, &byte| bits << 8 | u32::from(byte))
                << (8 * (3 - group.len()));
            for digit in 0..4 {
                let index = usize::try_from(bits >> (18 - 6 * digit) & 63).unwrap();
                text.push(if digit > group.len() { '=' } else { char::from(DIGITS[index]) });
            }
        }
        text.push('\n');
    }
    text + &format!("-----END {label}-----\n")
}
