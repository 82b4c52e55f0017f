//! The language of texts for people (RFC 5255 §3): English, or another that the client has chosen.
//!
//! Every text is written in English where it is made, and looked up in the table of a language when it goes to a client that has
//! chosen one. A test reads the sources and fails for a text that a table lacks.

mod ja;

use std::borrow::Cow;

use imap_wire::Translate;

/// What the client has chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Language {
    /// `i-default` (RFC 2277 §4.5), until it chooses: English in ASCII.
    #[default]
    Default,
    English,
    Japanese,
}

impl Language {
    const ALL: [Self; 3] = [Self::English, Self::Japanese, Self::Default];

    /// All tags, for clients to choose from.
    pub(crate) fn tags() -> [&'static str; 3] {
        Self::ALL.map(Self::tag)
    }

    pub(crate) fn tag(self) -> &'static str {
        match self {
            Self::Default => "i-default",
            Self::English => "en",
            Self::Japanese => "ja",
        }
    }

    /// The language that a range means, which is looked up ever less exactly (RFC 4647 §3.4): `ja-JP` is `ja`.
    pub(crate) fn of_range(range: &str) -> Option<Self> {
        // RFC 5255 §3.2: what the operator prefers.
        if range == "*" || range.eq_ignore_ascii_case("default") {
            return Some(Self::English);
        }
        let mut range = range;
        loop {
            if let Some(found) = Self::ALL.into_iter().find(|one| one.tag().eq_ignore_ascii_case(range)) {
                return Some(found);
            }
            range = range.rsplit_once('-')?.0;
        }
    }

    /// What makes texts of English ones; `None`: they stay, in ASCII.
    pub(crate) fn translate(self) -> Option<Translate> {
        match self {
            Self::Default => None,
            Self::English => Some(|_| None),
            Self::Japanese => Some(|text| find(ja::TEXTS, text)),
        }
    }
}

/// The text for an English one, whose places `{}` take what stands there in it.
fn find(texts: &'static [(&'static str, &'static str)], english: &str) -> Option<Cow<'static, str>> {
    if let Some((_, text)) = texts.iter().find(|(known, _)| *known == english) {
        return Some(Cow::Borrowed(text));
    }
    texts.iter().find_map(|(known, text)| {
        let (head, tail) = known.split_once("{}")?;
        let value = english.strip_prefix(head)?.strip_suffix(tail)?;
        Some(Cow::Owned(text.replacen("{}", value, 1)))
    })
}

#[cfg(test)]
mod tests;
