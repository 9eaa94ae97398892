//! Both back ends against what the standards publish, and against each other.

/// What each back end must come to, whatever the other does.
macro_rules! vectors {
    ($back_end:ident) => {
        mod $back_end {
            use super::{super::$back_end::*, unhex};

            #[test]
            fn sha256_is_that_of_fips_180_4() {
                for (parts, hash) in [
                    (
                        &[b"".as_slice()][..],
                        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                    ),
                    (
                        &[b"a", b"", b"bc"],
                        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
                    ),
                ] {
                    assert_eq!(sha256(parts).as_slice(), unhex(hash));
                }
            }

            #[test]
            fn hmac_is_that_of_rfc_4231() {
                for (key, data, tag) in [
                    (
                        &[0x0B; 20][..],
                        &b"Hi There"[..],
                        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
                    ),
                    (
                        &[0xAA; 131],
                        b"Test Using Larger Than Block-Size Key - Hash Key First",
                        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
                    ),
                ] {
                    let key = HmacKey::new(key);
                    assert_eq!(key.sign(data).as_slice(), unhex(tag));
                    assert!(key.verify(data, &unhex(tag)));
                    assert!(!key.verify(data, &unhex(tag)[..31]));
                    assert!(!key.verify(&data[1..], &unhex(tag)));
                }
            }

            #[test]
            fn hkdf_is_that_of_rfc_5869() {
                let secret = [0x0B; 22];
                let salt = unhex("000102030405060708090a0b0c");
                let info = unhex("f0f1f2f3f4f5f6f7f8f9");
                let okm = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf\
                           34007208d5b887185865";
                let parts = [&info[..4], &info[4..]];
                assert_eq!(hkdf_sha256::<42>(&salt, &secret, &parts).as_slice(), unhex(okm));
                let okm = "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d\
                           9d201395faa4b61a96c8";
                assert_eq!(hkdf_sha256::<42>(&[], &secret, &[]).as_slice(), unhex(okm));
            }

            /// The Galois/Counter Mode of Operation (McGrew and Viega), appendix B, test case 16.
            #[test]
            fn aes_256_gcm_is_that_of_its_specification() {
                let key = "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308";
                check(
                    &AeadKey::aes_256_gcm(&unhex(key).try_into().unwrap()),
                    "cafebabefacedbaddecaf888",
                    "feedfacedeadbeeffeedfacedeadbeefabaddad2",
                    &unhex(
                        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c\
                         95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
                    ),
                    "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e4859\
                     0dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
                    "76fc6ece0f4e1768cddf8853bb2d551b",
                );
            }

            #[test]
            fn chacha20_poly1305_is_that_of_rfc_8439_section_2_8_2() {
                let key = "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f";
                check(
                    &AeadKey::chacha20_poly1305(&unhex(key).try_into().unwrap()),
                    "070000004041424344454647",
                    "50515253c0c1c2c3c4c5c6c7",
                    b"Ladies and Gentlemen of the class of '99: If I could offer you only one \
                      tip for the future, sunscreen would be it.",
                    "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8c\
                     a9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803\
                     aee328091b58fab324e4fad675945585808b4831d7bc3ff4def08e4b7a9de576d26586cec6\
                     4b6116",
                    "1ae10b594f09e26a7e902ecbd0600691",
                );
            }

            fn check(
                key: &AeadKey,
                nonce: &str,
                aad: &str,
                plain: &[u8],
                sealed: &str,
                tag: &str,
            ) {
                let (nonce, aad) = (unhex(nonce).try_into().unwrap(), unhex(aad));
                let (sealed, tag) = (unhex(sealed), unhex(tag).try_into().unwrap());
                let mut text = plain.to_vec();
                assert_eq!(key.seal(&nonce, &aad, &mut text), tag);
                assert_eq!(text, sealed);
                key.open(&nonce, &aad, &sealed, &tag, &mut text).unwrap();
                assert_eq!(text, plain);
                let mut together = [&sealed[..], &tag].concat();
                assert_eq!(key.open_in_place(&nonce, &aad, &mut together).unwrap(), plain);
            }

            #[test]
            fn x25519_is_that_of_rfc_7748_section_6_1() {
                let bytes = |text: &str| <[u8; 32]>::try_from(unhex(text)).unwrap();
                let alice = X25519Key::new(&bytes(
                    "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
                ));
                let public = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a";
                assert_eq!(*alice.public(), bytes(public));
                let bob = "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f";
                let shared = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742";
                assert_eq!(*alice.agree(&bytes(bob)).unwrap(), bytes(shared));
            }

            #[test]
            fn ed25519_is_that_of_rfc_8032_section_7_1() {
                let seed = "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7";
                let key = SigningKey::from_seed(&unhex(seed).try_into().unwrap());
                let public = "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025";
                assert_eq!(key.public().as_slice(), unhex(public));
                let signature = "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac\
                                 18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a";
                assert_eq!(key.sign(&unhex("af82")).as_slice(), unhex(signature));
            }
        }
    };
}

#[cfg(not(target_family = "wasm"))]
vectors!(native);
vectors!(pure);

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

#[cfg(not(target_family = "wasm"))]
mod compared {
    use super::super::{SmallOrder, TAG, are_signed, is_signed, native, pure};
    use crate::rng::{Rng, Seed};

    /// What the dice are thrown with: named, so that a failure comes again.
    const SEED: u64 = 8_439;

    fn dice(stream: &str) -> Rng {
        Seed::from_number(SEED).stream(stream)
    }

    /// Lengths around the edges of blocks, and anything else up to more than a record's.
    fn text(rng: &mut Rng) -> Vec<u8> {
        let edges = [0, 1, 15, 16, 17, 63, 64, 65, 127, 128, 129, 1_172, 16_384];
        let len = if rng.chance(0.5) { *rng.choose(&edges).unwrap() } else { rng.index(20_000) };
        let mut text = vec![0; len];
        rng.fill(&mut text);
        text
    }

    #[test]
    fn hashes_macs_and_derived_keys_are_equal() {
        let mut rng = dice("hashes");
        for _ in 0..200 {
            let (a, b) = (text(&mut rng), text(&mut rng));
            assert_eq!(native::sha256(&[&a, &b]), pure::sha256(&[&a, &b]));
            let (mut one, mut other) = (native::Sha256::new(), pure::Sha256::new());
            for piece in a.chunks(1 + rng.index(200)) {
                one.update(piece);
                other.update(piece);
            }
            let hash = one.finish();
            assert_eq!(hash, other.finish());
            assert_eq!(hash, native::sha256(&[&a]));
            let tag = native::HmacKey::new(&a).sign(&b);
            assert_eq!(tag, pure::HmacKey::new(&a).sign(&b));
            assert!(pure::HmacKey::new(&a).verify(&b, &tag));
            let mut forged = tag;
            forged[rng.index(32)] ^= 1 << rng.index(8);
            assert!(!pure::HmacKey::new(&a).verify(&b, &forged));
            assert!(!native::HmacKey::new(&a).verify(&b, &forged));
            let info: &[&[u8]] = &[&a, &b];
            let one = native::hkdf_sha256::<44>(&a, &b, info);
            assert_eq!(one, pure::hkdf_sha256::<44>(&a, &b, info));
            assert_eq!(native::hkdf_sha256::<32>(&b, &a, &[]), pure::hkdf_sha256(&b, &a, &[]));
        }
    }

    /// Seals with one back end and opens with the other, which must refuse everything else.
    macro_rules! one_seals_and_the_other_opens {
        ($sealing:ident, $opening:ident, $cipher:ident, $rng:ident) => {
            let (key, nonce): ([u8; 32], [u8; 12]) = ($rng.bytes(), $rng.bytes());
            let (plain, aad) = (text($rng), $rng.bytes::<24>());
            let mut sealed = plain.clone();
            let tag = $sealing::AeadKey::$cipher(&key).seal(&nonce, &aad, &mut sealed);
            let key = $opening::AeadKey::$cipher(&key);
            let mut again = plain.clone();
            assert_eq!(key.seal(&nonce, &aad, &mut again), tag);
            assert_eq!(again, sealed);
            let mut out = vec![0; plain.len()];
            key.open(&nonce, &aad, &sealed, &tag, &mut out).unwrap();
            assert_eq!(out, plain);
            out.push(0);
            assert!(key.open(&nonce, &aad, &sealed, &tag, &mut out).is_err());
            let whole = [&sealed[..], &tag].concat();
            assert_eq!(key.open_in_place(&nonce, &aad, &mut whole.clone()).unwrap(), plain);
            assert!(key.open_in_place(&nonce, &aad[1..], &mut whole.clone()).is_err());
            let mut forged = whole.clone();
            forged[$rng.index(whole.len())] ^= 1 << $rng.index(8);
            let (body, tag) = forged.split_last_chunk::<TAG>().unwrap();
            out = vec![0; plain.len()];
            assert!(key.open(&nonce, &aad, body, tag, &mut out).is_err());
            assert!(plain.len() < 16 || out != plain, "what was forged is not let out");
            assert!(key.open_in_place(&nonce, &aad, &mut forged).is_err());
            let short = $rng.index(TAG);
            assert!(key.open_in_place(&nonce, &aad, &mut whole[..short].to_vec()).is_err());
        };
    }

    #[test]
    fn each_opens_what_the_other_sealed_and_nothing_else() {
        let rng = &mut dice("seals");
        for _ in 0..100 {
            one_seals_and_the_other_opens!(native, pure, aes_256_gcm, rng);
            one_seals_and_the_other_opens!(pure, native, aes_256_gcm, rng);
            one_seals_and_the_other_opens!(native, pure, chacha20_poly1305, rng);
            one_seals_and_the_other_opens!(pure, native, chacha20_poly1305, rng);
        }
    }

    #[test]
    fn both_agree_on_the_same_secrets_and_refuse_the_same_points() {
        let mut rng = dice("agreements");
        for _ in 0..100 {
            let (secret, theirs) = (rng.bytes(), rng.bytes());
            let (one, other) = (native::X25519Key::new(&secret), pure::X25519Key::new(&secret));
            assert_eq!(one.public(), other.public());
            // Half of all coordinates are of the twist, and the top bit is to be ignored.
            assert_eq!(one.agree(&theirs), other.agree(&theirs));
            assert!(one.agree(&theirs).is_ok());
            for low in small_order() {
                assert_eq!(one.agree(&low), Err(SmallOrder));
                assert_eq!(other.agree(&low), Err(SmallOrder));
            }
        }
    }

    /// 0, 1 and -1, reduced and not, and the two coordinates of order 8 (RFC 7748 has the prime).
    fn small_order() -> Vec<[u8; 32]> {
        let around_the_prime = |last: u8| {
            let mut bytes = [0xFF; 32];
            (bytes[0], bytes[31]) = (last, 0x7F);
            bytes
        };
        let small = |n: u8| core::array::from_fn(|at| if at == 0 { n } else { 0 });
        let of_order_8 = [
            "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
            "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        ];
        [small(0), small(1)]
            .into_iter()
            .chain([0xEC, 0xED, 0xEE].map(around_the_prime))
            .chain(of_order_8.map(|hex| super::unhex(hex).try_into().unwrap()))
            .flat_map(|point| {
                let mut with_top_bit = point;
                with_top_bit[31] |= 0x80;
                [point, with_top_bit]
            })
            .collect()
    }

    #[test]
    fn both_sign_alike_and_what_they_sign_is_valid() {
        let mut rng = dice("signatures");
        let mut signed = Vec::new();
        for _ in 0..50 {
            let seed = rng.bytes();
            let (one, other) =
                (native::SigningKey::from_seed(&seed), pure::SigningKey::from_seed(&seed));
            assert_eq!(one.public(), other.public());
            let message = text(&mut rng);
            let signature = one.sign(&message);
            assert_eq!(signature, other.sign(&message));
            assert!(is_signed((one.public(), &message, &signature)));
            signed.push((*one.public(), message, signature));
        }
        let claims = |signed: &[([u8; 32], Vec<u8>, [u8; 64])]| {
            are_signed(
                signed.iter().map(|(key, message, signature)| (key, &message[..], signature)),
            )
        };
        assert!(claims(&signed));
        signed[rng.index(50)].2[rng.index(64)] ^= 1 << rng.index(8);
        assert!(!claims(&signed));
    }
}
