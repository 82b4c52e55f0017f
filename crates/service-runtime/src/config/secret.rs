//! Texts that must not reach a log.

use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Serialize};

/// A key, or a URL that may hold a password. Reads as a `str`; `Debug` and `Display` mask it.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The whole text, secret and all.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Deref for Secret {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// A URL keeps everything but its password and query; any other text is `***`.
impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        let without_query = self.0.split('?').next().unwrap_or_default();
        let Some((scheme, rest)) = without_query.split_once(':') else { return f.write_str("***") };
        match rest.rsplit_once('@') {
            Some((before, after)) => {
                let user = before.trim_start_matches('/').split(':').next().unwrap_or_default();
                let masked = if before.trim_start_matches('/').contains(':') { ":***" } else { "" };
                write!(f, "{scheme}://{user}{masked}@{after}")
            }
            None => write!(f, "{scheme}:{rest}"),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_passwords_and_keys() {
        for (text, shown) in [
            ("postgres://todoku:hunter2@db:5432/mail?password=x", "postgres://todoku:***@db:5432/mail"),
            ("postgres://todoku@db/mail", "postgres://todoku@db/mail"),
            ("redis://:p@ss@cache:6379", "redis://:***@cache:6379"),
            ("sqlite:./data/todoku.db", "sqlite:./data/todoku.db"),
            ("00112233445566778899aabbccddeeff", "***"),
            ("", ""),
        ] {
            assert_eq!(Secret::from(text).to_string(), shown);
        }
    }
}
