//! How much may be in flight: congestion control behind one trait.
//!
//! A controller is told what was acknowledged and lost, and answers with a window. It knows nothing
//! of packet numbers, timers or contents.

mod algorithm;
mod bbr;
mod controller;
mod cubic;
mod hystart;
mod new_reno;
mod round_counter;

pub use algorithm::{CongestionAlgorithm, UnknownCongestion};
pub(super) use controller::{AckSample, Controller, DeliverySample, LossSample};
pub(super) use new_reno::NewReno;
pub use new_reno::Phase;
