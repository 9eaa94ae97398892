//! What a number is split by: enums of which every word is known when the program is compiled.

use core::{fmt, marker::PhantomData, ops::Add};

use serde::{Serialize, Serializer};

use super::watched::WATCHED;

/// A label: its name, and every word that it can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LabelKey {
    /// Its name.
    pub name: &'static str,
    /// Its words, lower-case.
    pub words: &'static [&'static str],
}

/// An enum that numbers are split by: `label!` implements it, by a match that nothing but an enum
/// without data has.
pub trait MetricLabel: OnlyEnums + Copy {
    /// Its name and its words.
    const KEY: LabelKey;

    /// Which of the words it is.
    fn place(self) -> usize;
}

/// What `label!` alone implements: outside of this crate nobody can make an id, an address or a
/// text of a peer a label.
pub trait OnlyEnums: closed::OnlyEnums {}
impl<T: closed::OnlyEnums> OnlyEnums for T {}

pub(crate) mod closed {
    /// See [`OnlyEnums`](super::OnlyEnums).
    pub trait OnlyEnums {}
}

/// Makes an enum a [`MetricLabel`]. A variant without a word does not compile.
macro_rules! label {
    ($name:ident as $key:literal {
        $($(#[$meta:meta])* $variant:ident => $word:literal),+ $(,)?
    }) => {
        impl $crate::metric::label::closed::OnlyEnums for $name {}

        impl $crate::metric::MetricLabel for $name {
            const KEY: $crate::metric::LabelKey = $crate::metric::LabelKey {
                name: $key,
                words: &[$($(#[$meta])* $word),+],
            };

            fn place(self) -> usize {
                enum Place {
                    $($(#[$meta])* $variant),+
                }
                (match self {
                    $($(#[$meta])* Self::$variant => Place::$variant,)+
                }) as usize
            }
        }
    };
}
pub(crate) use label;

/// Which way traffic goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From others.
    In,
    /// To others.
    Out,
}

label! { Way as "direction" { In => "in", Out => "out" } }

/// Labels together.
pub trait LabelSet {
    /// Each of them.
    const KEYS: &'static [LabelKey];

    /// Which of all combinations it is, the last label's words fastest.
    fn place(self) -> usize;
}

impl<A: MetricLabel> LabelSet for (A,) {
    const KEYS: &'static [LabelKey] = &[A::KEY];

    fn place(self) -> usize {
        self.0.place()
    }
}

impl<A: MetricLabel, B: MetricLabel> LabelSet for (A, B) {
    const KEYS: &'static [LabelKey] = &[A::KEY, B::KEY];

    fn place(self) -> usize {
        self.0.place() * B::KEY.words.len() + self.1.place()
    }
}

/// A number that is split: one for each combination of the words of `L`.
pub struct Family<L, const N: usize> {
    cells: [u64; N],
    labels: PhantomData<fn(L)>,
}

impl<L: LabelSet, const N: usize> Family<L, N> {
    /// So much more of this.
    pub fn add(&mut self, labels: L, much: u64) {
        if !WATCHED {
            return;
        }
        if let Some(cell) = self.cells.get_mut(labels.place()) {
            *cell += much;
        }
    }

    /// How much of this.
    pub fn get(&self, labels: L) -> u64 {
        self.cells.get(labels.place()).copied().unwrap_or_default()
    }

    /// Every number, with its words.
    pub fn iter(&self) -> impl Iterator<Item = (String, u64)> {
        self.cells.iter().enumerate().map(|(place, number)| (words(L::KEYS, place), *number))
    }
}

impl<L, const N: usize> Family<L, N> {
    /// The numbers, in the order of the words.
    pub const fn cells(&self) -> &[u64] {
        &self.cells
    }
}

fn words(keys: &[LabelKey], place: usize) -> String {
    let mut rest = place;
    let mut words: Vec<&str> = Vec::with_capacity(keys.len());
    for key in keys.iter().rev() {
        words.push(key.words[rest % key.words.len()]);
        rest /= key.words.len();
    }
    words.reverse();
    words.join(" ")
}

impl<L, const N: usize> Clone for Family<L, N> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<L, const N: usize> Copy for Family<L, N> {}

impl<L, const N: usize> Default for Family<L, N> {
    fn default() -> Self {
        Self { cells: [0; N], labels: PhantomData }
    }
}

impl<L, const N: usize> PartialEq for Family<L, N> {
    fn eq(&self, other: &Self) -> bool {
        self.cells == other.cells
    }
}

impl<L, const N: usize> Eq for Family<L, N> {}

impl<L: LabelSet, const N: usize> fmt::Debug for Family<L, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().filter(|(_, number)| *number > 0)).finish()
    }
}

impl<L, const N: usize> Add for Family<L, N> {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        self.cells.iter_mut().zip(other.cells).for_each(|(cell, more)| *cell += more);
        self
    }
}

/// By their words, but for those of which there are none.
impl<L: LabelSet, const N: usize> Serialize for Family<L, N> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.iter().filter(|(_, number)| *number > 0))
    }
}
