//! Which congestion controls there are.

use super::{bbr::Bbr, controller::Controller, cubic::Cubic, new_reno::NewReno};

/// How an endpoint finds out how much may be in flight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum CongestionAlgorithm {
    /// Slow start, AIMD, one reduction for each flight with a loss (RFC 9002, 7).
    #[default]
    NewReno,
    /// Grows by the cube of the time since a loss (RFC 9438), with HyStart++ (RFC 9406).
    Cubic,
    /// Measures what the path delivers and how long it takes, and keeps that much in flight
    /// (draft-ietf-ccwg-bbr, with departures). Losses alone do not slow it down.
    Bbr,
}

impl CongestionAlgorithm {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::NewReno, Self::Cubic, Self::Bbr];

    /// As statistics show it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NewReno => "newreno",
            Self::Cubic => "cubic",
            Self::Bbr => "bbr",
        }
    }

    /// A controller that knows nothing of the path, for datagrams of so many bytes.
    pub(in super::super) fn controller(self, datagram: u64) -> Box<dyn Controller> {
        match self {
            Self::NewReno => Box::new(NewReno::new(datagram)),
            Self::Cubic => Box::new(Cubic::new(datagram)),
            Self::Bbr => Box::new(Bbr::new(datagram)),
        }
    }
}
