//! Stories of filters.

use std::collections::BTreeSet;

use super::{BloomError, BloomFilter, ScalableBloomFilter};
use crate::{
    limits::{MAX_BLOOM_BITS, MAX_BLOOM_RATE, MIN_BLOOM_RATE},
    rng::Seed,
};

fn element(number: u64) -> [u8; 8] {
    number.to_be_bytes()
}

/// Of a hundred thousand things that were never inserted, the part that seems to have been.
fn wrong(contains: impl Fn([u8; 8]) -> bool) -> f64 {
    let strangers = (0..100_000).map(|number| element(1 << 40 | number));
    strangers.filter(|stranger| contains(*stranger)).count() as f64 / 100_000.0
}

/// Four standard deviations of that.
fn deviations(rate: f64) -> f64 {
    4.0 * (rate / 100_000.0).sqrt()
}

#[test]
fn a_filter_forgets_nothing_and_is_wrong_as_often_as_was_said() {
    for rate in [0.1, 0.01, 0.001] {
        let mut filter = BloomFilter::new(10_000, rate).unwrap();
        (0..10_000).for_each(|number| {
            filter.insert(element(number));
        });
        assert!((0..10_000).all(|number| filter.contains(element(number))));
        let (wrong, stats) = (wrong(|it| filter.contains(it)), filter.stats());
        let most = rate + deviations(rate);
        assert!(wrong <= most, "{rate}: {wrong}");
        assert!((stats.current_false_positive_rate - wrong).abs() < deviations(rate), "{stats:?}");
        assert!(stats.estimated_elements.abs_diff(10_000) < 200, "{stats:?}");
        // Elements that seemed to be there when they came are not counted.
        assert!((10_000 - 2_000..=10_000).contains(&stats.inserted_elements), "{stats:?}");
        assert_eq!(stats.expected_elements, 10_000);
    }
}

#[test]
fn a_filter_takes_as_many_bits_as_there_must_be() {
    let bits = |rate| BloomFilter::new(10_000, rate).unwrap().stats().bits;
    assert_eq!([bits(0.5), bits(0.01), bits(0.001)], [14_464, 95_936, 143_808]);
    assert_eq!(BloomFilter::new(1, 0.5).unwrap().stats().bits, 64);
}

#[test]
fn what_is_inserted_again_is_not_new() {
    let mut filter = BloomFilter::new(100, 0.01).unwrap();
    assert!(filter.insert("message_id_1") && !filter.insert("message_id_1"));
    assert!(filter.contains("message_id_1") && !filter.contains("message_id_2"));
    filter.clear();
    assert!(!filter.contains("message_id_1"));
    assert_eq!(filter.stats(), BloomFilter::new(100, 0.01).unwrap().stats());
}

#[test]
fn a_filter_that_grows_keeps_its_rate_whatever_comes() {
    let mut filter = ScalableBloomFilter::new(100, 0.01).unwrap();
    let new = (0..50_000).filter(|number| filter.insert(element(*number))).count();
    assert!((49_500..=50_000).contains(&new), "{new}");
    assert!((0..50_000).all(|number| filter.contains(element(number))));
    let (wrong, stats) = (wrong(|it| filter.contains(it)), filter.stats());
    assert!(wrong <= 0.01 + deviations(0.01), "{wrong}");
    assert!(stats.current_false_positive_rate <= 0.01, "{stats:?}");
    // 100 · (1 + 2 + 4 + .. + 256) are the first beyond them.
    assert_eq!((stats.parts, stats.expected_elements), (9, 51_100));
    // Each part costs 1.44 bits an element more than the one before.
    assert!(stats.bits < 25 * stats.expected_elements, "{stats:?}");
    filter.clear();
    assert_eq!(filter, ScalableBloomFilter::new(100, 0.01).unwrap());
}

#[test]
fn who_does_not_know_the_key_does_not_know_what_collides() {
    let with = |key| BloomFilter::with_key(50, 0.1, key).unwrap();
    let (mut known, mut secret) = (with([0; 16]), with([7; 16]));
    (0..50).for_each(|number| {
        known.insert(element(number));
        secret.insert(element(number));
    });
    let collides = (1 << 40..).map(element).filter(|it| known.contains(it)).take(1_000);
    let there = collides.filter(|it| secret.contains(it)).count();
    assert!(there < 200, "{there} of 1,000, as of anything");
}

#[test]
fn a_union_has_what_either_had_and_only_alike_ones_have_one() {
    let mut one = BloomFilter::new(1_000, 0.01).unwrap();
    let mut other = one.clone();
    (0..500).for_each(|number| {
        one.insert(element(number));
        other.insert(element(number + 500));
    });
    one.union(&other).unwrap();
    assert!((0..1_000).all(|number| one.contains(element(number))));
    assert!(one.stats().inserted_elements.abs_diff(1_000) < 30, "{:?}", one.stats());
    let unlike = [
        BloomFilter::new(1_001, 0.01),
        BloomFilter::new(1_000, 0.02),
        BloomFilter::with_key(1_000, 0.01, [1; 16]),
    ];
    for unlike in unlike.map(Result::unwrap) {
        assert_eq!(one.union(&unlike), Err(BloomError::Different));
    }
}

#[test]
fn what_no_filter_can_be_is_refused_and_the_limit_is_named() {
    for rate in [0.0, -0.1, MIN_BLOOM_RATE / 2.0, 0.51, 1.0, f64::INFINITY] {
        assert_eq!(BloomFilter::new(10, rate), Err(BloomError::BadRate(rate)));
        assert_eq!(ScalableBloomFilter::new(10, rate), Err(BloomError::BadRate(rate)));
    }
    assert!(matches!(BloomFilter::new(10, f64::NAN), Err(BloomError::BadRate(_))));
    for rate in [MIN_BLOOM_RATE, MAX_BLOOM_RATE] {
        assert!(BloomFilter::new(10, rate).is_ok() && ScalableBloomFilter::new(10, rate).is_ok());
    }
    assert_eq!(BloomFilter::new(0, 0.01), Err(BloomError::NoElements));
    for many in [MAX_BLOOM_BITS, u64::MAX] {
        assert_eq!(BloomFilter::new(many, 0.01), Err(BloomError::TooLarge));
        assert_eq!(ScalableBloomFilter::new(many, 0.01), Err(BloomError::TooLarge));
    }
    assert!(BloomError::TooLarge.to_string().contains("4294967296 bits"));
    assert_eq!(
        BloomError::BadRate(1.0).to_string(),
        "the false-positive rate is from 0.000000001 to 0.5, not 1"
    );
}

fn some() -> (BloomFilter, ScalableBloomFilter) {
    let mut filter = BloomFilter::with_key(20, 0.01, *b"sixteen bytes, 1").unwrap();
    let mut scalable = ScalableBloomFilter::with_key(10, 0.01, *b"sixteen bytes, 2").unwrap();
    for number in 0..60 {
        filter.insert(element(number));
        scalable.insert(element(number));
    }
    (filter, scalable)
}

#[test]
fn what_was_written_is_read_and_goes_on_as_if_nothing_had_been() {
    let (mut filter, mut scalable) = some();
    let mut filter_again = BloomFilter::deserialize(&filter.serialize()).unwrap();
    let mut scalable_again = ScalableBloomFilter::deserialize(&scalable.serialize()).unwrap();
    assert_eq!((&filter_again, &scalable_again), (&filter, &scalable));
    for number in 50..200 {
        assert_eq!(filter.insert(element(number)), filter_again.insert(element(number)));
        assert_eq!(scalable.insert(element(number)), scalable_again.insert(element(number)));
    }
    assert_eq!((filter_again, scalable_again), (filter, scalable));
}

#[test]
fn bytes_of_which_any_is_another_or_missing_are_refused() {
    let (filter, scalable) = some();
    let (filter, scalable) = (filter.serialize(), scalable.serialize());
    assert!(BloomFilter::deserialize(&scalable).is_err(), "of the other kind");
    assert!(ScalableBloomFilter::deserialize(&filter).is_err(), "of the other kind");
    for bytes in [&filter, &scalable] {
        let read = |bytes: &[u8]| {
            let scalable = ScalableBloomFilter::deserialize(bytes).map(|_| ());
            BloomFilter::deserialize(bytes).map(|_| ()).or(scalable)
        };
        assert_eq!(read(bytes), Ok(()));
        for at in 0..bytes.len() {
            assert!(read(&bytes[..at]).is_err(), "{at} bytes");
            let mut other = bytes.clone();
            other[at] ^= 0x10;
            assert!(read(&other).is_err(), "byte {at}");
        }
        assert!(read(&[&bytes[..], &[0]].concat()).is_err(), "one more");
    }
    let mut later = filter;
    later[0] = 2;
    assert_eq!(BloomFilter::deserialize(&later), Err(BloomError::UnknownVersion(2)));
}

/// Whoever writes bytes can make the sum right, too.
#[test]
fn what_lies_about_itself_with_a_right_sum_is_refused_and_takes_no_memory() {
    let mut dice = Seed::from_number(1).stream("lies");
    let (filter, scalable) = some();
    let mut read = BTreeSet::new();
    for bytes in [filter.serialize(), scalable.serialize()] {
        let body = &bytes[..bytes.len() - 8];
        for _ in 0..20_000 {
            let mut lie = body.to_vec();
            // In the numbers, not in the words.
            for _ in 0..=dice.index(3) {
                let at = dice.index(68);
                let [any] = dice.bytes();
                lie[at] = [0, 0x7F, 0xFF, any][dice.index(4)];
            }
            let lie = super::format::with_sum(lie);
            if let Ok(mut filter) = BloomFilter::deserialize(&lie) {
                assert_eq!(filter.serialize(), lie);
                read.insert(filter.stats().bits);
                filter.insert("goes on");
                assert!(filter.contains("goes on") && filter.union(&filter.clone()).is_ok());
            }
            if let Ok(mut scalable) = ScalableBloomFilter::deserialize(&lie) {
                assert_eq!(scalable.serialize(), lie);
                read.insert(scalable.stats().bits);
                scalable.insert("goes on");
                assert!(scalable.contains("goes on") && scalable.stats().bits > 0);
            }
        }
    }
    assert_eq!(read.len(), 2, "their sizes are those of the bytes");
}

#[test]
fn the_format_is_that_of_version_1() {
    let mut filter = BloomFilter::with_key(3, 0.1, *b"0123456789abcdef").unwrap();
    filter.insert("one");
    filter.insert("two");
    let hex: String = filter.serialize().iter().map(|byte| format!("{byte:02x}")).collect();
    let numbers =
        "00000000000000033fb999999999999a00000000000000020300000000000000010030008800020002";
    let key = "30313233343536373839616263646566";
    assert_eq!(hex, format!("0100{key}{numbers}e1453695c06e9a15"));
}
