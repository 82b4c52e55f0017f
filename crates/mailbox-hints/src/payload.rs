//! The text of a hint on its way through Redis.
//!
//! Channel `todoku:hints:{account id}`, payload `{mailbox}:{modseq}` for each mailbox, with a space between. Nothing that
//! a user can choose is part of either.

use mail_types::{AccountId, MailboxId, ModSeq};

use crate::Hint;

/// A publisher that had to drop hints says so here, and everybody looks at everything.
pub(crate) const CHANNEL_ALL: &str = "todoku:hints:all";
const CHANNEL_PREFIX: &str = "todoku:hints:";
/// Mailboxes in one payload: a few hundred octets.
const HINTS_PER_PAYLOAD: usize = 32;
/// A longer payload is not one of ours.
const PAYLOAD_BYTES_MAX: usize = HINTS_PER_PAYLOAD * 40;

/// What came in on a channel.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Incoming {
    Hints(Vec<Hint>),
    Resync,
}

pub(crate) fn channel(account: AccountId) -> String {
    format!("{CHANNEL_PREFIX}{account}")
}

/// Channels and payloads of many hints; those of one account share payloads.
pub(crate) fn encode(mut hints: Vec<Hint>) -> Vec<(String, String)> {
    hints.sort_unstable_by_key(|hint| (hint.account, hint.mailbox));
    let of_one_account = hints.chunk_by(|a, b| a.account == b.account);
    of_one_account
        .flat_map(|hints| hints.chunks(HINTS_PER_PAYLOAD))
        .map(|hints| {
            let items: Vec<String> =
                hints.iter().map(|hint| format!("{}:{}", hint.mailbox, hint.modseq)).collect();
            (channel(hints[0].account), items.join(" "))
        })
        .collect()
}

/// `None` for what is not ours or not to be understood.
pub(crate) fn decode(channel: &[u8], payload: &[u8]) -> Option<Incoming> {
    if channel == CHANNEL_ALL.as_bytes() {
        return Some(Incoming::Resync);
    }
    if payload.len() > PAYLOAD_BYTES_MAX {
        return None;
    }
    let account = std::str::from_utf8(channel).ok()?.strip_prefix(CHANNEL_PREFIX)?;
    let account = AccountId::try_from(account.parse::<i64>().ok()?).ok()?;
    let items = std::str::from_utf8(payload).ok()?.split(' ').map(|item| {
        let (mailbox, modseq) = item.split_once(':')?;
        Some(Hint {
            account,
            mailbox: MailboxId::try_from(mailbox.parse::<i64>().ok()?).ok()?,
            modseq: ModSeq::try_from(modseq.parse::<i64>().ok()?).ok()?,
        })
    });
    items.collect::<Option<Vec<Hint>>>().map(Incoming::Hints)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hint(account: u64, mailbox: u64, modseq: u64) -> Hint {
        Hint {
            account: AccountId::new(account),
            mailbox: MailboxId::new(mailbox),
            modseq: ModSeq::new(modseq),
        }
    }

    #[test]
    fn one_account_one_payload() {
        let sent = encode(vec![hint(7, 2, 9), hint(8, 1, 1), hint(7, 0, 3)]);
        let expected = [("todoku:hints:7", "0:3 2:9"), ("todoku:hints:8", "1:1")];
        assert_eq!(sent, expected.map(|(channel, payload)| (channel.to_owned(), payload.to_owned())));
    }

    #[test]
    fn what_cannot_be_understood_is_ignored() {
        for payload in ["", " ", "1", "1:", ":1", "1:2 ", "1:-2", "1:99999999999999999999", "a:b", "\u{0}"] {
            assert_eq!(decode(b"todoku:hints:1", payload.as_bytes()), None, "{payload:?}");
        }
        for channel in ["todoku:hints:", "todoku:hints:x", "todoku:hints:-1", "other:1", ""] {
            assert_eq!(decode(channel.as_bytes(), b"1:2"), None, "{channel:?}");
        }
        assert_eq!(decode(b"todoku:hints:1", b"\xff"), None);
        assert_eq!(decode(b"todoku:hints:1", "1:2 ".repeat(1000).trim().as_bytes()), None);
        assert_eq!(decode(CHANNEL_ALL.as_bytes(), b"x"), Some(Incoming::Resync));
    }

    proptest! {
        #[test]
        fn there_and_back(numbers in proptest::collection::btree_map((0u64..5, any::<u64>()), any::<u64>(), 0..200)) {
            let hints: Vec<Hint> = numbers.iter().map(|((a, m), n)| hint(*a, *m, *n)).collect();
            let mut back = Vec::new();
            for (channel, payload) in encode(hints.clone()) {
                match decode(channel.as_bytes(), payload.as_bytes()) {
                    Some(Incoming::Hints(hints)) => back.extend(hints),
                    other => prop_assert!(false, "{other:?}"),
                }
            }
            let key = |hint: &Hint| (hint.account, hint.mailbox, hint.modseq);
            let mut sorted = hints;
            sorted.sort_unstable_by_key(key);
            back.sort_unstable_by_key(key);
            prop_assert_eq!(back, sorted);
        }

        #[test]
        fn no_octets_make_it_panic(channel in ".*", payload in any::<Vec<u8>>()) {
            decode(channel.as_bytes(), &payload);
            decode(b"todoku:hints:1", &payload);
        }
    }
}
