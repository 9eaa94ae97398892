//! The symbols of a set.

use super::{
    mapping::Mapping,
    symbol::{Code, Symbol},
};

/// The first symbols of a set, as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sketch {
    symbols: Vec<Symbol>,
    elements: u32,
}

impl Sketch {
    /// The first `length` symbols of the set of `codes`, each of which is in it once.
    pub fn new(codes: impl IntoIterator<Item = Code>, length: usize) -> Self {
        let mut sketch = Self { symbols: vec![Symbol::default(); length], elements: 0 };
        for code in codes {
            sketch.elements += 1;
            for place in Mapping::of(code) {
                let symbol = usize::try_from(place).ok().and_then(|at| sketch.symbols.get_mut(at));
                let Some(symbol) = symbol else { break };
                symbol.add(code, 1);
            }
        }
        sketch
    }

    /// How many elements the set has.
    pub const fn elements(&self) -> u32 {
        self.elements
    }

    /// The symbols.
    pub fn symbols(&self) -> &[Symbol] {
        &self.symbols
    }
}
