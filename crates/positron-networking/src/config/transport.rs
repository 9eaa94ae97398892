//! What links are made of, as a configuration says it.

use std::{fmt, str::FromStr};

use positron_proto::session::sessions::LinkKinds;
use serde::{Deserialize, Serialize};

use super::spelling::distance;

/// What the links of a node may be made of: `auto`, `udp` or `tcp` in a configuration.
///
/// A node listens on one port number for all that it may use, and nodes reach each other if they
/// have one transport in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TransportPolicy {
    /// UDP where datagrams get through, TCP where they do not, and back when they do again.
    #[default]
    Auto,
    /// UDP only.
    Udp,
    /// TCP only.
    Tcp,
}

/// A word that is no transport.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` is no transport, it must be auto, udp or tcp{}", guess(.nearest))]
pub struct UnknownTransport {
    /// What was written.
    pub word: String,
    /// The transport that looks most like it.
    pub nearest: Option<TransportPolicy>,
}

fn guess(nearest: &Option<TransportPolicy>) -> String {
    nearest.map_or_else(String::new, |transport| format!("; did you mean `{transport}`?"))
}

impl TransportPolicy {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Auto, Self::Udp, Self::Tcp];

    pub(crate) const fn for_core(self) -> LinkKinds {
        match self {
            Self::Auto => LinkKinds::BOTH,
            Self::Udp => LinkKinds::UDP,
            Self::Tcp => LinkKinds::TCP,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }
}

impl fmt::Display for TransportPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// ```
/// use positron_networking::config::TransportPolicy;
///
/// assert_eq!("udp".parse(), Ok(TransportPolicy::Udp));
/// let error = "UDP".parse::<TransportPolicy>().unwrap_err().to_string();
/// assert_eq!(error, "`UDP` is no transport, it must be auto, udp or tcp; did you mean `udp`?");
/// ```
impl FromStr for TransportPolicy {
    type Err = UnknownTransport;

    fn from_str(word: &str) -> Result<Self, UnknownTransport> {
        let found = Self::ALL.into_iter().find(|one| one.word() == word);
        found.ok_or_else(|| UnknownTransport { word: word.to_owned(), nearest: nearest(word) })
    }
}

/// The one that two strokes make of the word.
fn nearest(word: &str) -> Option<TransportPolicy> {
    let word = word.trim().to_lowercase();
    let strokes = |one: &TransportPolicy| distance(&word, one.word());
    TransportPolicy::ALL.into_iter().filter(|one| strokes(one) <= 2).min_by_key(strokes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_and_its_transport_are_one_to_one() {
        for one in TransportPolicy::ALL {
            assert_eq!(one.to_string().parse(), Ok(one));
            assert_eq!(serde_json::to_value(one).unwrap(), one.to_string());
        }
    }

    #[test]
    fn a_word_that_is_none_is_answered_by_the_nearest() {
        let nearest = |word: &str| word.parse::<TransportPolicy>().unwrap_err().nearest;
        assert_eq!(nearest("upd"), Some(TransportPolicy::Udp));
        assert_eq!(nearest(" TCP"), Some(TransportPolicy::Tcp));
        assert_eq!(nearest("automatic"), None);
        assert_eq!(nearest("auot"), Some(TransportPolicy::Auto));
    }
}
