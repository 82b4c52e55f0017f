//! CR and LF stand only side by side (RFC 5321 §2.3.8). For BDAT; DATA's reader sees to it by itself.

use memchr::memchr2_iter;

/// Checks a message that comes in chunks.
#[derive(Debug, Default)]
pub(crate) struct LineEnds {
    after_cr: bool,
}

/// A CR or LF stood alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BareLineEnd;

impl LineEnds {
    /// The next octets of the message.
    pub(crate) fn push(&mut self, chunk: &[u8]) -> Result<(), BareLineEnd> {
        let Some(&first) = chunk.first() else { return Ok(()) };
        if self.after_cr && first != b'\n' {
            return Err(BareLineEnd);
        }
        for at in memchr2_iter(b'\r', b'\n', chunk) {
            let fine = match (chunk[at], at.checked_sub(1), chunk.get(at + 1)) {
                (b'\r', _, Some(next)) => *next == b'\n',
                // The next chunk tells.
                (b'\r', _, None) => true,
                (_, Some(before), _) => chunk[before] == b'\r',
                (_, None, _) => self.after_cr,
            };
            if !fine {
                return Err(BareLineEnd);
            }
        }
        self.after_cr = chunk.last() == Some(&b'\r');
        Ok(())
    }

    /// The message ends here.
    pub(crate) fn finish(&self) -> Result<(), BareLineEnd> {
        if self.after_cr { Err(BareLineEnd) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(message: &[u8], size: usize) -> Result<(), BareLineEnd> {
        let mut ends = LineEnds::default();
        for chunk in message.chunks(size) {
            ends.push(chunk)?;
        }
        ends.finish()
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(
            message in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'a')], 0..12),
            size in 1usize..5,
        ) {
            let text = String::from_utf8(message.clone()).unwrap();
            let bare = text.replace("\r\n", "").contains(['\r', '\n']);
            prop_assert_eq!(check(&message, size).is_err(), bare);
        }
    }
}
