//! A key under a passphrase: EncryptedPrivateKeyInfo (RFC 5958, 3) by PBES2 (RFC 8018, 6.2), as
//! OpenSSL reads and writes it.
//!
//! One implementation for both back ends: a file that was written on one machine opens on every
//! other.

use pkcs8::{
    EncryptedPrivateKeyInfoRef, SecretDocument,
    der::{self, Decode as _, Reader as _, SliceReader, asn1::OctetStringRef},
    pkcs5::{
        EncryptionScheme,
        pbes2::{EncryptionScheme as Cipher, Kdf, Parameters, Pbkdf2Prf},
        scrypt,
    },
    spki::AlgorithmIdentifierRef,
};
use zeroize::Zeroizing;

use crate::limits::{MAX_PBKDF2_ROUNDS, MAX_SCRYPT_BLOCKS, MAX_SCRYPT_MIXES};

/// Why a sealed key was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LockedKey {
    /// It is no EncryptedPrivateKeyInfo.
    NotSealed,
    /// It is sealed in another way.
    OtherScheme,
    /// To try a passphrase would take more time or memory than we give.
    TooCostly,
    /// The passphrase is another one, or the bytes are damaged. A text that opened to nonsense by
    /// chance, as one in 256 does, is told apart by whoever reads it.
    NotAuthentic,
}

/// Decrypts a document. What it takes is bounded whatever the document says.
pub(crate) fn open(document: &[u8], passphrase: &[u8]) -> Result<Zeroizing<Vec<u8>>, LockedKey> {
    let sealed = EncryptedPrivateKeyInfoRef::from_der(document).map_err(|_| unread(document))?;
    let EncryptionScheme::Pbes2(scheme) = &sealed.encryption_algorithm else {
        return Err(LockedKey::OtherScheme);
    };
    check(scheme)?;
    let mut text = Zeroizing::new(sealed.encrypted_data.as_bytes().to_vec());
    let opened = scheme.decrypt_in_place(passphrase, &mut text);
    let length = opened.map_err(|_| LockedKey::NotAuthentic)?.len();
    text.truncate(length);
    Ok(text)
}

/// Encrypts a document by scrypt and AES-256-CBC. `salt` and `iv` are never used again.
pub(crate) fn seal(
    document: &[u8],
    passphrase: &[u8],
    salt: &[u8; 16],
    iv: [u8; 16],
) -> SecretDocument {
    let (log_n, r, p) = COST;
    let sealed = scrypt::Params::new(log_n, r, p).ok().and_then(|cost| {
        let scheme = Parameters::generate_scrypt_aes256cbc(cost, salt, iv).ok()?;
        let text = scheme.encrypt(passphrase, document).ok()?;
        let encrypted_data = OctetStringRef::new(&text).ok()?;
        let encryption_algorithm = scheme.into();
        let info = EncryptedPrivateKeyInfoRef { encryption_algorithm, encrypted_data };
        SecretDocument::try_from(info).ok()
    });
    sealed.expect("a key of a hundred bytes is sealed by parameters of our own")
}

/// What holds an algorithm and a text is sealed, in whichever way.
fn unread(document: &[u8]) -> LockedKey {
    type AnyScheme<'a> = (AlgorithmIdentifierRef<'a>, &'a OctetStringRef);
    let parts = SliceReader::new(document).and_then(|mut reader| {
        reader.sequence(|inside| {
            Ok::<AnyScheme<'_>, der::Error>((inside.decode()?, inside.decode()?))
        })
    });
    parts.map_or(LockedKey::NotSealed, |_| LockedKey::OtherScheme)
}

/// Before any work is done: a file from elsewhere says how much it takes to read it.
fn check(scheme: &Parameters) -> Result<(), LockedKey> {
    let cbc = matches!(
        scheme.encryption,
        Cipher::Aes128Cbc { .. } | Cipher::Aes192Cbc { .. } | Cipher::Aes256Cbc { .. }
    );
    let affordable = match &scheme.kdf {
        Kdf::Pbkdf2(kdf) if kdf.prf == Pbkdf2Prf::HmacWithSha1 => {
            return Err(LockedKey::OtherScheme);
        }
        Kdf::Pbkdf2(kdf) => (1..=MAX_PBKDF2_ROUNDS).contains(&kdf.iteration_count),
        Kdf::Scrypt(kdf) => {
            let blocks = kdf.cost_parameter.saturating_mul(kdf.block_size.into());
            let mixes = blocks.saturating_mul(kdf.parallelization.into());
            // RFC 7914, section 6: N is a power of two above 1, r and p are not zero.
            let allowed = kdf.cost_parameter > 1 && kdf.cost_parameter.is_power_of_two();
            if !allowed || mixes == 0 {
                return Err(LockedKey::NotSealed);
            }
            blocks <= MAX_SCRYPT_BLOCKS && mixes <= MAX_SCRYPT_MIXES
        }
        _ => return Err(LockedKey::OtherScheme),
    };
    match (cbc, affordable) {
        (false, _) => Err(LockedKey::OtherScheme),
        (true, false) => Err(LockedKey::TooCostly),
        (true, true) => Ok(()),
    }
}

/// log2 N, r, p of scrypt: 16 MiB, a quarter of a second. Five times in a row, because OpenSSL
/// reads nothing that takes 32 MiB at once (OWASP, Password Storage Cheat Sheet, names these as
/// equal to the 128 MiB of N = 2^17).
const COST: (u8, u32, u32) = (14, 8, 5);
