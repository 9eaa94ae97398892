//! Verdicts on signatures, remembered: a pure function need not be computed a thousand times.

use std::{
    collections::HashMap, // tidy: allow(hidden-input) looked up, never iterated
    sync::{Mutex, PoisonError},
};

use positron_proto::identity::{SignatureJob, Verdict};

/// Verdicts kept in each of the two generations. At 150 bytes they cost 40 MB together.
const GENERATION: usize = 1 << 17;

/// A cache of a pure function, shared by the world: what is found in it never changes what happens.
///
/// Bounded by two generations: when the young one is full it becomes the old one.
#[derive(Debug, Default)]
pub(crate) struct Verdicts(Mutex<Generations>);

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<[u8; 32], Verdict>, // tidy: allow(hidden-input) looked up, never iterated
    old: HashMap<[u8; 32], Verdict>,   // tidy: allow(hidden-input) looked up, never iterated
    computed: u64,
}

impl Verdicts {
    pub(crate) fn of(&self, job: &SignatureJob, fingerprint: [u8; 32]) -> Verdict {
        let mut kept = self.lock();
        if let Some(known) = kept.young.get(&fingerprint) {
            return *known;
        }
        let verdict = match kept.old.get(&fingerprint) {
            Some(known) => *known,
            None => {
                // Others may look up and compute meanwhile.
                drop(kept);
                let verdict = job.run();
                kept = self.lock();
                kept.computed += 1;
                verdict
            }
        };
        if kept.young.len() >= GENERATION {
            kept.old = std::mem::take(&mut kept.young);
        }
        kept.young.insert(fingerprint, verdict);
        verdict
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Generations> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
