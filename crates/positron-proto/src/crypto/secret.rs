//! The one place of a secret in memory.

use core::{fmt, ops::Deref};

use zeroize::{Zeroize as _, Zeroizing};

/// 32 secret bytes that stay where they are: who takes this value over takes over a pointer, so
/// that no copy is left behind where it was. They are wiped when it is dropped.
///
/// ```
/// use positron_proto::identity::SecretBytes;
///
/// let secret = SecretBytes::made(|bytes| bytes.fill(7));
/// assert_eq!((*secret, format!("{secret:?}")), ([7; 32], "SecretBytes(..)".to_owned()));
/// ```
pub struct SecretBytes(Box<Zeroizing<[u8; 32]>>);

impl SecretBytes {
    /// The secret that `write` writes to its place, which holds zeros before.
    pub fn made(write: impl FnOnce(&mut [u8; 32])) -> Self {
        let mut secret = Self(Box::new(Zeroizing::new([0; 32])));
        write(&mut secret.0);
        secret
    }
}

/// For a secret that is elsewhere already: this copy is wiped, the caller's own is the caller's.
impl From<[u8; 32]> for SecretBytes {
    fn from(mut bytes: [u8; 32]) -> Self {
        let secret = Self::made(|place| *place = bytes);
        bytes.zeroize();
        secret
    }
}

impl Deref for SecretBytes {
    type Target = [u8; 32];

    fn deref(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretBytes(..)")
    }
}
