//! Key files: PKCS#8 PEM (RFC 5958, RFC 8410), as the founding Python implementation writes them.

use pkcs8::{
    LineEnding, ObjectIdentifier, PrivateKeyInfoRef, SecretDocument, der::asn1::OctetStringRef,
    spki::AlgorithmIdentifierRef,
};
use zeroize::Zeroizing;

use super::{Identity, SecretBytes};

/// The text is no Ed25519 private key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an Ed25519 private key in PKCS#8 PEM: {why}")]
pub struct BadKeyFile {
    /// What is wrong with it.
    pub why: String,
}

impl Identity {
    /// Reads a key file: one PEM block, PKCS#8 version 1 or 2, not encrypted.
    ///
    /// A public key inside the file (version 2) is compared with the one that the secret makes and
    /// never used for signing (RUSTSEC-2022-0093). White space around the block is accepted.
    ///
    /// ```
    /// use positron_proto::identity::Identity;
    ///
    /// let alice = Identity::from_seed([7; 32]);
    /// let file = alice.to_pem();
    /// assert_eq!(Identity::from_pem(&file).unwrap().node_id(), alice.node_id());
    /// ```
    ///
    /// # Errors
    /// The text is anything else; [`BadKeyFile::why`] says what, without repeating any of it.
    pub fn from_pem(text: &str) -> Result<Self, BadKeyFile> {
        let block = text.trim_matches(|c: char| c.is_ascii_whitespace());
        check_label(block)?;
        let (_, der) = SecretDocument::from_pem(block)
            .map_err(|_| bad("it is cut short, damaged, or followed by something else"))?;
        let info = PrivateKeyInfoRef::try_from(der.as_bytes())
            .map_err(|_| bad("what the PEM block holds is cut short or is no PKCS#8 key"))?;
        check_algorithm(&info.algorithm)?;
        let seed = seed(info.private_key.as_bytes())?;
        let identity = Self::from_secret(SecretBytes::made(|place| *place = *seed));
        match info.public_key.map(|key| key.as_bytes()) {
            Some(stated) if stated != Some(identity.public_key().as_bytes()) => {
                Err(bad("the public key in it belongs to another private key"))
            }
            _ => Ok(identity),
        }
    }

    /// The key file of this identity: PKCS#8 version 1 in PEM with LF line ends, byte for byte what
    /// Python's `cryptography` writes. A secret.
    pub fn to_pem(&self) -> Zeroizing<String> {
        // RFC 8410, section 7: the private key is an OCTET STRING inside the OCTET STRING.
        let mut wrapped = Zeroizing::new([0; 34]);
        wrapped[..2].copy_from_slice(&WRAPPED_SEED);
        wrapped[2..].copy_from_slice(self.seed());
        let algorithm = AlgorithmIdentifierRef { oid: ED25519, parameters: None };
        OctetStringRef::new(wrapped.as_slice())
            .map(|key| PrivateKeyInfoRef::new(algorithm, key))
            .and_then(|info| SecretDocument::encode_msg(&info))
            .and_then(|der| der.to_pem(PRIVATE_KEY, LineEnding::LF))
            .expect("34 bytes fit into a PKCS#8 document")
    }
}

fn bad(why: &str) -> BadKeyFile {
    BadKeyFile { why: why.to_owned() }
}

/// Looks at the first line only, so that a file of another kind is named for what it is.
fn check_label(block: &str) -> Result<(), BadKeyFile> {
    if block.is_empty() {
        return Err(bad("it is empty"));
    }
    let label = block
        .lines()
        .next()
        .and_then(|line| line.strip_prefix("-----BEGIN ")?.trim_end().strip_suffix("-----"))
        .ok_or_else(|| bad("it does not begin with -----BEGIN PRIVATE KEY-----"))?;
    Err(bad(match label {
        PRIVATE_KEY => return Ok(()),
        "ENCRYPTED PRIVATE KEY" => {
            "it is encrypted; `openssl pkey -in FILE -out NEW_FILE` removes the passphrase"
        }
        "RSA PRIVATE KEY" => "it is an RSA key",
        "EC PRIVATE KEY" | "EC PARAMETERS" => "it is a key on another elliptic curve",
        "OPENSSH PRIVATE KEY" => "it is a key of OpenSSH",
        "PUBLIC KEY" => "it is a public key",
        "CERTIFICATE" => "it is a certificate",
        _ => "it is a PEM block of another kind",
    }))
}

fn check_algorithm(algorithm: &AlgorithmIdentifierRef<'_>) -> Result<(), BadKeyFile> {
    if algorithm.oid == RSA {
        Err(bad("it is an RSA key"))
    } else if algorithm.oid == EC {
        Err(bad("it is a key on another elliptic curve"))
    } else if algorithm.oid != ED25519 {
        Err(bad("it is a key of another algorithm"))
    } else if algorithm.parameters.is_some() {
        // RFC 8410, section 3: the parameters must be absent.
        Err(bad("its algorithm has parameters, which Ed25519 has not"))
    } else {
        Ok(())
    }
}

fn seed(wrapped: &[u8]) -> Result<&[u8; 32], BadKeyFile> {
    wrapped
        .strip_prefix(&WRAPPED_SEED)
        .and_then(|seed| seed.try_into().ok())
        .ok_or_else(|| bad("the secret in it has not 32 bytes"))
}

const PRIVATE_KEY: &str = "PRIVATE KEY";
/// The tag and the length of an OCTET STRING of 32 bytes.
const WRAPPED_SEED: [u8; 2] = [0x04, 0x20];
/// id-Ed25519 (RFC 8410, section 3).
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// rsaEncryption (RFC 8017, appendix C).
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// id-ecPublicKey (RFC 5480, section 2.1.1).
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
