//! What a key file is encrypted under.

use core::fmt;

use zeroize::Zeroizing;

use crate::limits::MAX_PASSPHRASE;

/// A passphrase; wiped when it is dropped, and never shown.
///
/// ```
/// use positron_proto::identity::Passphrase;
///
/// let passphrase = Passphrase::new("correct horse".to_owned()).unwrap();
/// assert_eq!(format!("{passphrase:?}"), "Passphrase(..)");
/// assert!(Passphrase::new(String::new()).is_err());
/// ```
pub struct Passphrase(Zeroizing<String>);

/// A text is no passphrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPassphrase {
    /// It protects nothing.
    #[error("the passphrase is empty")]
    Empty,
    /// It is not written in UTF-8.
    #[error("the passphrase is no text in UTF-8")]
    NotText,
    /// It is something else: a file of another kind.
    #[error("the passphrase has more than {MAX_PASSPHRASE} bytes")]
    TooLong,
}

impl Passphrase {
    /// Takes over the text, and wipes it if it is none.
    ///
    /// # Errors
    /// It is empty or too long.
    pub fn new(text: impl Into<Zeroizing<String>>) -> Result<Self, BadPassphrase> {
        let text = text.into();
        match text.len() {
            0 => Err(BadPassphrase::Empty),
            1..=MAX_PASSPHRASE => Ok(Self(text)),
            _ => Err(BadPassphrase::TooLong),
        }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(..)")
    }
}
