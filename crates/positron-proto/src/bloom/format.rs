//! Filters as bytes.

use super::{BloomError, BloomFilter, ScalableBloomFilter, part::Part};
use crate::{
    crypto::sha256,
    limits::{MAX_BLOOM_BITS, MAX_BLOOM_PARTS, MAX_BLOOM_RATE},
};

const VERSION: u8 = 1;
const FILTER: u8 = 0;
const SCALABLE: u8 = 1;
/// Bytes of the sum at the end.
const SUM: usize = 8;

impl BloomFilter {
    /// The filter as bytes, in the format of the [module](super).
    pub fn serialize(&self) -> Vec<u8> {
        let mut out = head(FILTER, &self.key, self.part.words.len() * 8);
        self.part.put(&mut out);
        with_sum(out)
    }

    /// Reads a filter.
    ///
    /// # Errors
    /// [`BloomError::UnknownVersion`], and [`BloomError::Corrupt`] if the bytes are not exactly
    /// those of a filter.
    pub fn deserialize(bytes: &[u8]) -> Result<Self, BloomError> {
        let (key, mut rest) = Rest::of(bytes, FILTER)?;
        let part = rest.part()?;
        rest.end()?;
        Ok(Self { key, part })
    }
}

impl ScalableBloomFilter {
    /// The filter as bytes, in the format of the [module](super).
    pub fn serialize(&self) -> Vec<u8> {
        let words: usize = self.parts.iter().map(|part| part.words.len()).sum();
        let mut out = head(SCALABLE, &self.key, words * 8);
        out.extend(self.rate.to_be_bytes());
        out.extend(u8::try_from(self.parts.len()));
        for part in &self.parts {
            part.put(&mut out);
        }
        with_sum(out)
    }

    /// Reads a filter.
    ///
    /// # Errors
    /// [`BloomError::UnknownVersion`], and [`BloomError::Corrupt`] if the bytes are not exactly
    /// those of a filter that grows.
    pub fn deserialize(bytes: &[u8]) -> Result<Self, BloomError> {
        let (key, mut rest) = Rest::of(bytes, SCALABLE)?;
        let rate = rest.rate()?;
        let [count] = rest.take()?;
        if !(1..=MAX_BLOOM_PARTS).contains(&usize::from(count)) {
            return Err(BloomError::Corrupt("too many parts, or none"));
        }
        let parts = (0..count).map(|_| rest.part()).collect::<Result<Vec<_>, _>>()?;
        rest.end()?;
        if parts.iter().map(Part::bits).sum::<u64>() > MAX_BLOOM_BITS {
            return Err(BloomError::Corrupt("more bits than a filter may have"));
        }
        Ok(Self { key, rate, parts })
    }
}

fn head(kind: u8, key: &[u8; 16], more: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(128 + more);
    out.extend([VERSION, kind]);
    out.extend(key);
    out
}

pub(super) fn with_sum(mut out: Vec<u8>) -> Vec<u8> {
    let sum = sha256(&[&out]);
    out.extend(&sum[..SUM]);
    out
}

impl Part {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend(self.expected.to_be_bytes());
        out.extend(self.rate.to_be_bytes());
        out.extend(self.inserted.to_be_bytes());
        out.push(self.hashes);
        out.extend((self.words.len() as u64).to_be_bytes());
        out.extend(self.words.iter().flat_map(|word| word.to_be_bytes()));
    }
}

/// What is left to read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    /// The key, and what is behind it, if version, kind and sum are right.
    fn of(bytes: &'a [u8], kind: u8) -> Result<([u8; 16], Self), BloomError> {
        match bytes.first() {
            Some(&VERSION) => {}
            Some(version) => return Err(BloomError::UnknownVersion(*version)),
            None => return Err(TRUNCATED),
        }
        let (bytes, sum) = bytes.split_last_chunk::<SUM>().ok_or(TRUNCATED)?;
        if sha256(&[bytes])[..SUM] != *sum {
            return Err(BloomError::Corrupt("the sum at the end is of other bytes"));
        }
        let mut rest = Self(bytes);
        let [_, found] = rest.take()?;
        if found != kind {
            return Err(BloomError::Corrupt("a filter of another kind"));
        }
        Ok((rest.take()?, rest))
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], BloomError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(TRUNCATED)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn number(&mut self) -> Result<u64, BloomError> {
        self.take().map(u64::from_be_bytes)
    }

    fn rate(&mut self) -> Result<f64, BloomError> {
        let rate = self.take().map(f64::from_be_bytes)?;
        // Parts of one that grows have lower ones than may be asked for.
        let is_one = rate > 0.0 && rate <= MAX_BLOOM_RATE;
        if is_one { Ok(rate) } else { Err(BloomError::Corrupt("no false-positive rate")) }
    }

    fn part(&mut self) -> Result<Part, BloomError> {
        let (expected, rate, inserted) = (self.number()?, self.rate()?, self.number()?);
        let [hashes] = self.take()?;
        let words = usize::try_from(self.number()?).map_err(|_| TRUNCATED)?;
        if expected == 0 || hashes == 0 || words == 0 {
            return Err(BloomError::Corrupt("a filter of nothing"));
        }
        // Nothing is set aside before it is there.
        let bytes = words.checked_mul(8).filter(|bytes| *bytes <= self.0.len()).ok_or(TRUNCATED)?;
        if words as u64 > MAX_BLOOM_BITS / 64 {
            return Err(BloomError::Corrupt("more bits than a filter may have"));
        }
        let (words, rest) = self.0.split_at(bytes);
        self.0 = rest;
        let words = words.as_chunks().0.iter().map(|word| u64::from_be_bytes(*word)).collect();
        Ok(Part { expected, rate, inserted, hashes, words })
    }

    fn end(self) -> Result<(), BloomError> {
        self.0.is_empty().then_some(()).ok_or(BloomError::Corrupt("bytes behind its end"))
    }
}

const TRUNCATED: BloomError = BloomError::Corrupt("they end too early");
