//! Whose doing a hint is: the trace context of the commit, in the form of W3C `traceparent`.

use std::fmt;
use std::str::FromStr;

/// `00-{trace}-{span}-{flags}` (W3C Trace Context, level 1), of a trace that is recorded. It is no data of the mailbox: who
/// cannot use it ignores it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    trace: [u8; 16],
    span: [u8; 8],
    flags: u8,
}

/// Not a `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a traceparent of version 00")]
pub struct NotATraceParent;

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (trace, span) = (u128::from_be_bytes(self.trace), u64::from_be_bytes(self.span));
        write!(f, "00-{trace:032x}-{span:016x}-{:02x}", self.flags)
    }
}

impl FromStr for TraceParent {
    type Err = NotATraceParent;

    fn from_str(text: &str) -> Result<Self, NotATraceParent> {
        let mut parts = text.split('-');
        let mut part = |octets: usize| {
            let part = parts.next()?;
            let is_hex = part.bytes().all(|octet| matches!(octet, b'0'..=b'9' | b'a'..=b'f'));
            (part.len() == octets * 2 && is_hex).then(|| u128::from_str_radix(part, 16).ok()).flatten()
        };
        let read = (part(1), part(16), part(8), part(1));
        let (Some(0), Some(trace), Some(span), Some(flags)) = read else { return Err(NotATraceParent) };
        // The standard gives zeros no meaning.
        if trace == 0 || span == 0 || parts.next().is_some() {
            return Err(NotATraceParent);
        }
        Ok(Self { trace: trace.to_be_bytes(), span: (span as u64).to_be_bytes(), flags: flags as u8 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn there_and_back() {
        assert_eq!(EXAMPLE.parse::<TraceParent>().unwrap().to_string(), EXAMPLE);
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in [
            "",
            "00",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert_eq!(text.parse::<TraceParent>(), Err(NotATraceParent), "{text}");
        }
    }
}
