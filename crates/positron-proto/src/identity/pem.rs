//! Key files: PKCS#8 PEM (RFC 5958, RFC 8410), as the founding Python implementation writes them.

/// The text is no Ed25519 private key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an Ed25519 private key in PKCS#8 PEM: {why}")]
pub struct BadKeyFile {
    /// What is wrong with it.
    pub why: String,
}
