//! What who asks over TCP must show.

use std::{
    fmt,
    fs::{self, OpenOptions},
    hint::black_box,
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

use crate::limits::TOKEN_BYTES;

/// The file in the data folder that holds it, for its owner only.
pub const TOKEN_FILE: &str = "api.token";

/// A secret of 32 random bytes, written as 64 hexadecimal characters. It is not shown by accident:
/// [`reveal`](Self::reveal) is the only way to its text.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

/// There is no token to use.
#[derive(Debug)]
pub enum TokenError {
    /// The file cannot be read or written.
    File(io::Error),
    /// The operating system gives no entropy.
    Entropy,
}

impl Token {
    /// That of the data folder. Made when there is none, when the one that is there is not whole,
    /// and when others than its owner could read it.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub fn of(folder: &Path) -> Result<Self, TokenError> {
        match Self::read(folder)? {
            Some(token) => Ok(token),
            None => Self::make(folder),
        }
    }

    /// That of the data folder, if it has one that may be used.
    ///
    /// # Errors
    /// [`TokenError::File`].
    pub fn read(folder: &Path) -> Result<Option<Self>, TokenError> {
        let file = match fs::File::open(folder.join(TOKEN_FILE)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(TokenError::File(error)),
        };
        let mode = file.metadata().map_err(TokenError::File)?.mode();
        let mut bytes = Vec::new();
        let most = 2 * TOKEN_BYTES as u64 + 2;
        file.take(most).read_to_end(&mut bytes).map_err(TokenError::File)?;
        let token = String::from_utf8(bytes).ok().and_then(|text| Self::parse(text.trim_end()));
        Ok(token.filter(|_| mode & 0o077 == 0))
    }

    /// One that nobody has.
    pub(crate) fn random() -> Result<Self, TokenError> {
        let mut bytes = [0; TOKEN_BYTES];
        getrandom::fill(&mut bytes).map_err(|_| TokenError::Entropy)?;
        Ok(Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    fn make(folder: &Path) -> Result<Self, TokenError> {
        let Self(text) = Self::random()?;
        // It gets its name when it is whole.
        let scratch = folder.join(format!(".{TOKEN_FILE}.{}", std::process::id()));
        let _ = fs::remove_file(&scratch);
        let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&scratch);
        written
            .and_then(|mut file| writeln!(file, "{text}"))
            .and_then(|()| fs::rename(&scratch, folder.join(TOKEN_FILE)))
            .map_err(TokenError::File)?;
        Ok(Self(text))
    }

    fn parse(text: &str) -> Option<Self> {
        let whole = text.len() == 2 * TOKEN_BYTES && text.bytes().all(|c| c.is_ascii_hexdigit());
        whole.then(|| Self(text.to_owned()))
    }

    /// Its text.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether `shown` is it. Takes the same time wherever they begin to differ; that both have one
    /// length is no secret.
    pub(crate) fn is(&self, shown: &[u8]) -> bool {
        let ours = self.0.as_bytes();
        let differs = ours.iter().zip(shown).fold(0, |all, (a, b)| black_box(all | (a ^ b)));
        ours.len() == shown.len() && differs == 0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => write!(f, "{TOKEN_FILE} in the data folder: {error}"),
            Self::Entropy => f.write_str("the operating system gives no random bytes"),
        }
    }
}

impl std::error::Error for TokenError {}

#[cfg(test)]
mod tests {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt as _};

    use super::*;

    #[test]
    fn a_token_lasts_and_one_that_others_could_read_or_that_is_not_whole_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(TOKEN_FILE);
        assert!(Token::read(folder.path()).unwrap().is_none());
        let first = Token::of(folder.path()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(Token::of(folder.path()).unwrap(), first);

        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let second = Token::of(folder.path()).unwrap();
        assert_ne!(second, first);
        for nonsense in ["", "abc\n", &"z".repeat(64), &"0".repeat(65)] {
            fs::write(&path, nonsense).unwrap();
            assert_ne!(Token::of(folder.path()).unwrap().reveal(), nonsense.trim_end());
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn only_the_whole_token_is_the_token() {
        let token = Token::parse(&"a1".repeat(32)).unwrap();
        assert!(token.is("a1".repeat(32).as_bytes()));
        assert!(!token.is(b""));
        assert!(!token.is("a1".repeat(31).as_bytes()));
        assert!(!token.is("a1".repeat(33).as_bytes()));
        assert!(!token.is(format!("{}a2", "a1".repeat(31)).as_bytes()));
        assert_eq!(format!("{token:?}"), "Token(..)");
    }
}
