//! Which congestion controls there are.

use core::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{bbr::Bbr, controller::Controller, cubic::Cubic, new_reno::NewReno};

/// How an endpoint finds out how much may be in flight: `newreno`, `cubic` or `bbr` in texts.
///
/// ```
/// use positron_proto::datagram::contract::CongestionAlgorithm;
///
/// assert_eq!("bbr".parse(), Ok(CongestionAlgorithm::Bbr));
/// let error = "reno".parse::<CongestionAlgorithm>().unwrap_err().to_string();
/// assert_eq!(error, "`reno` is no congestion control, it must be newreno, cubic or bbr");
/// ```
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
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

/// A word that names no congestion control.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` is no congestion control, it must be newreno, cubic or bbr")]
pub struct UnknownCongestion {
    /// What was written.
    pub word: String,
}

impl CongestionAlgorithm {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::NewReno, Self::Cubic, Self::Bbr];

    /// As statistics and configurations show it.
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

impl fmt::Display for CongestionAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for CongestionAlgorithm {
    type Err = UnknownCongestion;

    fn from_str(word: &str) -> Result<Self, UnknownCongestion> {
        let found = Self::ALL.into_iter().find(|one| one.name() == word);
        found.ok_or_else(|| UnknownCongestion { word: word.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_and_its_control_are_one_to_one() {
        for one in CongestionAlgorithm::ALL {
            assert_eq!(one.to_string().parse(), Ok(one));
        }
    }
}
