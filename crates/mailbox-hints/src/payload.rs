//! The text of a hint on its way through Redis.
//!
//! Channel `todoku:hints:{account id}`, payload `{mailbox}:{modseq}` for each mailbox, with a space between. Nothing that
//! a user can choose is part of either.
//!
//! Hints of a recorded trace are sent before in a payload of their own, `2 {mailbox}:{modseq}:{traceparent} …`. A process of an
//! earlier version ignores that one and hears the other; for the others the second is a duplicate, which is no news.

use mail_types::{AccountId, MailboxId, ModSeq};

use crate::{Hint, TraceParent};

/// A publisher that had to drop hints says so here, and everybody looks at everything.
pub(crate) const CHANNEL_ALL: &str = "todoku:hints:all";
const CHANNEL_PREFIX: &str = "todoku:hints:";
/// Mailboxes in one payload: a few hundred octets.
const HINTS_PER_PAYLOAD: usize = 32;
/// A longer payload is not one of ours.
const PAYLOAD_BYTES_MAX: usize = HINTS_PER_PAYLOAD * 100;
/// What a payload with traces begins with.
const TRACED: &str = "2 ";

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
        .flat_map(|hints| {
            let traced: Vec<String> = hints
                .iter()
                .filter_map(|hint| Some(format!("{}:{}:{}", hint.mailbox, hint.modseq, hint.trace?)))
                .collect();
            let items: Vec<String> =
                hints.iter().map(|hint| format!("{}:{}", hint.mailbox, hint.modseq)).collect();
            let traced = (!traced.is_empty()).then(|| format!("{TRACED}{}", traced.join(" ")));
            traced.into_iter().chain([items.join(" ")]).map(|payload| (channel(hints[0].account), payload))
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
    let payload = std::str::from_utf8(payload).ok()?;
    let (is_traced, items) = payload.strip_prefix(TRACED).map_or((false, payload), |items| (true, items));
    let items = items.split(' ').map(|item| {
        let (mailbox, rest) = item.split_once(':')?;
        let (modseq, trace) = match rest.split_once(':') {
            Some((modseq, trace)) if is_traced => (modseq, trace.parse::<TraceParent>().ok()),
            _ => (rest, None),
        };
        Some(Hint {
            account,
            mailbox: MailboxId::try_from(mailbox.parse::<i64>().ok()?).ok()?,
            modseq: ModSeq::try_from(modseq.parse::<i64>().ok()?).ok()?,
            trace,
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
            trace: None,
        }
    }

    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_trace_comes_first_and_apart() {
        let traced = Hint { trace: TRACE.parse().ok(), ..hint(7, 2, 9) };
        let sent: Vec<String> =
            encode(vec![traced, hint(7, 3, 4)]).into_iter().map(|(_, payload)| payload).collect();
        assert_eq!(sent, [format!("2 2:9:{TRACE}"), "2:9 3:4".to_owned()]);
        let heard = |payload: &str| decode(b"todoku:hints:7", payload.as_bytes());
        assert_eq!(heard(&sent[0]), Some(Incoming::Hints(vec![traced])));
        assert_eq!(heard(&sent[1]), Some(Incoming::Hints(vec![hint(7, 2, 9), hint(7, 3, 4)])));
        let of_later = heard("2 2:9:01-of-a-later-version:more");
        assert_eq!(
            of_later,
            Some(Incoming::Hints(vec![hint(7, 2, 9)])),
            "the hint counts, whatever its trace"
        );
    }

    #[test]
    fn a_payload_is_never_too_long() {
        let longest = |n| Hint {
            trace: TRACE.parse().ok(),
            ..hint(i64::MAX as u64, i64::MAX as u64 - n, i64::MAX as u64)
        };
        for (channel, payload) in encode((0..100).map(longest).collect()) {
            assert!(
                matches!(decode(channel.as_bytes(), payload.as_bytes()), Some(Incoming::Hints(_))),
                "{payload}"
            );
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
        for payload in [
            "",
            " ",
            "1",
            "1:",
            ":1",
            "1:2 ",
            "1:-2",
            "1:99999999999999999999",
            "1:2:3",
            "3 1:2",
            "a:b",
            "\u{0}",
        ] {
            assert_eq!(decode(b"todoku:hints:1", payload.as_bytes()), None, "{payload:?}");
        }
        for channel in ["todoku:hints:", "todoku:hints:x", "todoku:hints:-1", "other:1", ""] {
            assert_eq!(decode(channel.as_bytes(), b"1:2"), None, "{channel:?}");
        }
        assert_eq!(decode(b"todoku:hints:1", b"\xff"), None);
        assert_eq!(decode(b"todoku:hints:1", "1:2 ".repeat(2000).trim().as_bytes()), None);
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
