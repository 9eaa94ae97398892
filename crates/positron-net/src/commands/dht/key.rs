//! Names that values may have.

use positron_networking::ValueName;

/// A name that values may have.
pub(super) fn key(text: &str) -> Result<String, String> {
    match ValueName::Shared(text, None).key() {
        Ok(_) => Ok(text.to_owned()),
        Err(why) => Err(why.to_string()),
    }
}
