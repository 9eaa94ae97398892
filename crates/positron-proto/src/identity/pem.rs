//! Key files: PKCS#8 PEM (RFC 5958, RFC 8410), as the founding Python implementation writes them.

use pkcs8::{
    LineEnding, ObjectIdentifier, PrivateKeyInfoRef, SecretDocument, der::asn1::OctetStringRef,
    spki::AlgorithmIdentifierRef,
};
use zeroize::Zeroizing;

use super::{Identity, Passphrase, SecretBytes};
use crate::crypto::pbes2::{self, LockedKey};

/// The text gives no Ed25519 private key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKeyFile {
    /// It holds none.
    #[error("not an Ed25519 private key in PKCS#8 PEM: {why}")]
    NoKey {
        /// What is wrong with it.
        why: String,
    },
    /// It is encrypted, and no passphrase was given.
    #[error("it is encrypted, and no passphrase was given")]
    Encrypted,
    /// It does not open with this passphrase.
    #[error("the passphrase is wrong, or the file is damaged")]
    WrongPassphrase,
    /// It is encrypted in a way that is not read here.
    #[error(
        "it is encrypted in another way than by PBES2 with AES-CBC and PBKDF2-HMAC-SHA-2 or \
         scrypt; `openssl pkcs8 -topk8 -in FILE -out NEW_FILE -v2 aes-256-cbc -v2prf \
         hmacWithSHA256` encrypts it anew"
    )]
    OtherScheme,
    /// To try a passphrase takes more than we give.
    #[error(
        "to try a passphrase would take more than 64 MiB, or some seconds; `openssl pkcs8 -topk8 \
         -in FILE -out NEW_FILE -iter 600000` encrypts it anew"
    )]
    TooCostly,
}

impl Identity {
    /// Reads a key file: one PEM block, PKCS#8 version 1 or 2, that is not encrypted.
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
    /// The text is anything else; the error says what, without repeating any of it.
    pub fn from_pem(text: &str) -> Result<Self, BadKeyFile> {
        Self::read(text, None)
    }

    /// Reads a key file that may be encrypted: PKCS#8 by PBES2 (RFC 8018), as OpenSSL writes it. It
    /// takes a second or two at most, whatever the file asks for.
    ///
    /// ```
    /// use positron_proto::identity::{BadKeyFile, Identity, Passphrase};
    ///
    /// let alice = Identity::from_seed([7; 32]);
    /// let right = Passphrase::new("correct horse".to_owned()).unwrap();
    /// let file = alice.to_encrypted_pem(&right, [0; 32]); // dice, not zeros
    /// let read = Identity::from_encrypted_pem(&file, &right).unwrap();
    /// assert_eq!(read.node_id(), alice.node_id());
    /// let wrong = Passphrase::new("battery staple".to_owned()).unwrap();
    /// let refused = Identity::from_encrypted_pem(&file, &wrong).unwrap_err();
    /// assert_eq!(refused, BadKeyFile::WrongPassphrase);
    /// ```
    ///
    /// # Errors
    /// As [`from_pem`](Self::from_pem), or the passphrase does not open it.
    pub fn from_encrypted_pem(text: &str, passphrase: &Passphrase) -> Result<Self, BadKeyFile> {
        Self::read(text, Some(passphrase))
    }

    fn read(text: &str, passphrase: Option<&Passphrase>) -> Result<Self, BadKeyFile> {
        let block = text.trim_matches(|c: char| c.is_ascii_whitespace());
        let is_encrypted = is_encrypted(block)?;
        let (_, der) = SecretDocument::from_pem(block)
            .map_err(|_| bad("it is cut short, damaged, or followed by something else"))?;
        if !is_encrypted {
            return Self::from_info(parse(der.as_bytes())?);
        }
        let passphrase = passphrase.ok_or(BadKeyFile::Encrypted)?;
        let opened = pbes2::open(der.as_bytes(), passphrase.as_bytes()).map_err(unopened)?;
        // Padding that fits by chance holds nothing that reads.
        Self::from_info(parse(&opened).map_err(|_| BadKeyFile::WrongPassphrase)?)
    }

    fn from_info(info: PrivateKeyInfoRef<'_>) -> Result<Self, BadKeyFile> {
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
        let pem = self.document().to_pem(PRIVATE_KEY, LineEnding::LF);
        pem.expect("48 bytes fit into a PEM block")
    }

    /// The key file of this identity, encrypted by scrypt and AES-256-CBC; `openssl pkey` reads it.
    /// `dice` are used for nothing else.
    pub fn to_encrypted_pem(&self, passphrase: &Passphrase, dice: [u8; 32]) -> String {
        let (mut salt, mut iv) = ([0; 16], [0; 16]);
        salt.copy_from_slice(&dice[..16]);
        iv.copy_from_slice(&dice[16..]);
        let sealed = pbes2::seal(self.document().as_bytes(), passphrase.as_bytes(), &salt, iv);
        let pem = sealed.to_pem(ENCRYPTED_PRIVATE_KEY, LineEnding::LF);
        String::clone(&pem.expect("200 bytes fit into a PEM block"))
    }

    fn document(&self) -> SecretDocument {
        // RFC 8410, section 7: the private key is an OCTET STRING inside the OCTET STRING.
        let mut wrapped = Zeroizing::new([0; 34]);
        wrapped[..2].copy_from_slice(&WRAPPED_SEED);
        wrapped[2..].copy_from_slice(self.seed());
        let algorithm = AlgorithmIdentifierRef { oid: ED25519, parameters: None };
        OctetStringRef::new(wrapped.as_slice())
            .map(|key| PrivateKeyInfoRef::new(algorithm, key))
            .and_then(|info| SecretDocument::encode_msg(&info))
            .expect("34 bytes fit into a PKCS#8 document")
    }
}

fn bad(why: &str) -> BadKeyFile {
    BadKeyFile::NoKey { why: why.to_owned() }
}

fn parse(der: &[u8]) -> Result<PrivateKeyInfoRef<'_>, BadKeyFile> {
    PrivateKeyInfoRef::try_from(der)
        .map_err(|_| bad("what the PEM block holds is cut short or is no PKCS#8 key"))
}

fn unopened(why: LockedKey) -> BadKeyFile {
    match why {
        LockedKey::NotSealed => bad("what the PEM block holds is no encrypted PKCS#8 key"),
        LockedKey::OtherScheme => BadKeyFile::OtherScheme,
        LockedKey::TooCostly => BadKeyFile::TooCostly,
        LockedKey::NotAuthentic => BadKeyFile::WrongPassphrase,
    }
}

/// Looks at the first line only, so that a file of another kind is named for what it is.
fn is_encrypted(block: &str) -> Result<bool, BadKeyFile> {
    if block.is_empty() {
        return Err(bad("it is empty"));
    }
    let label = block
        .lines()
        .next()
        .and_then(|line| line.strip_prefix("-----BEGIN ")?.trim_end().strip_suffix("-----"))
        .ok_or_else(|| bad("it does not begin with -----BEGIN PRIVATE KEY-----"))?;
    Err(bad(match label {
        PRIVATE_KEY => return Ok(false),
        ENCRYPTED_PRIVATE_KEY => return Ok(true),
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
const ENCRYPTED_PRIVATE_KEY: &str = "ENCRYPTED PRIVATE KEY";
/// The tag and the length of an OCTET STRING of 32 bytes.
const WRAPPED_SEED: [u8; 2] = [0x04, 0x20];
/// id-Ed25519 (RFC 8410, section 3).
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// rsaEncryption (RFC 8017, appendix C).
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// id-ecPublicKey (RFC 5480, section 2.1.1).
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
