//! The names of levels.

use tracing::level_filters::LevelFilter;

/// Reads a log level by the founding document's names or by those that are usual here.
pub(crate) fn parse_level(text: &str) -> Result<LevelFilter, String> {
    match text.to_ascii_uppercase().as_str() {
        "TRACE" => Ok(LevelFilter::TRACE),
        "DEBUG" => Ok(LevelFilter::DEBUG),
        "INFO" => Ok(LevelFilter::INFO),
        "WARN" | "WARNING" => Ok(LevelFilter::WARN),
        "ERROR" | "CRITICAL" => Ok(LevelFilter::ERROR),
        "OFF" | "NONE" => Ok(LevelFilter::OFF),
        _ => {
            Err(format!("'{text}' is no log level: DEBUG, INFO, WARNING or ERROR (or TRACE, OFF)"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_have_the_names_of_the_founding_document() {
        assert_eq!(parse_level("INFO"), Ok(LevelFilter::INFO));
        assert_eq!(parse_level("warning"), Ok(LevelFilter::WARN));
        assert!(parse_level("loud").unwrap_err().contains("DEBUG, INFO, WARNING or ERROR"));
    }
}
