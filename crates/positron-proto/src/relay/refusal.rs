//! Why a relay says no.

/// Why a relay does not forward to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RelayRefusal {
    /// The node is not linked to the relay.
    #[error("the relay has no link to that node")]
    NotLinked,
    /// It forwards for as many as it may.
    #[error("the relay has no room for another pair of nodes")]
    Full,
    /// It forwards for nobody.
    #[error("that node does not relay")]
    Off,
    /// It was asked too often of late.
    #[error("the relay was asked too often of late")]
    TooOften,
    /// A reason that this version does not know.
    #[error("the relay refuses, for reason {0}")]
    Other(u8),
}

impl RelayRefusal {
    /// Its number on the wire.
    pub(super) const fn to_code(self) -> u8 {
        match self {
            Self::NotLinked => 0,
            Self::Full => 1,
            Self::Off => 2,
            Self::TooOften => 3,
            Self::Other(code) => code,
        }
    }

    /// The one of this number.
    pub(super) const fn from_code(code: u8) -> Self {
        match code {
            0 => Self::NotLinked,
            1 => Self::Full,
            2 => Self::Off,
            3 => Self::TooOften,
            _ => Self::Other(code),
        }
    }
}
