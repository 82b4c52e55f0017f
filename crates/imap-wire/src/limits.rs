//! How much a client may send.

/// How much of one command is kept in memory. Message literals are streamed and do not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest line in bytes without its line end, literals aside. Beyond it: BAD, and the line is swallowed.
    pub line_bytes: usize,
    /// Most bytes of one command: its lines and buffered literals together.
    pub command_bytes: usize,
    /// Most buffered literals in one command.
    pub literals: usize,
    /// Largest non-synchronising literal in bytes (RFC 7888 §5), messages too. `u64::MAX` for LITERAL+.
    pub non_sync_bytes: u64,
    /// Most bytes to swallow after an error or a refused literal. Beyond it the session is not worth keeping.
    pub discard_bytes: u64,
}

impl Limits {
    /// Before login: LOGIN, AUTHENTICATE with a long token (Kerberos tickets reach 12 KiB) and ID with 30 fields,
    /// of which each may come as two literals (RFC 2971 §3.3).
    pub const UNAUTHENTICATED: Limits = Limits {
        line_bytes: 16 * 1024,
        command_bytes: 32 * 1024,
        literals: 64,
        non_sync_bytes: LITERAL_MINUS_BYTES_MAX,
        discard_bytes: 64 * 1024,
    };
    /// After login. RFC 7162 §4 asks for lines of 8 KiB at least; a set of 7 000 scattered UIDs takes 64 KiB. The
    /// largest buffered literals are annotations and search texts. A refused message of up to 128 MiB is swallowed.
    pub const AUTHENTICATED: Limits = Limits {
        line_bytes: 64 * 1024,
        command_bytes: 256 * 1024,
        literals: 256,
        non_sync_bytes: u64::MAX,
        discard_bytes: 128 * 1024 * 1024,
    };
}

/// Largest non-synchronising literal under LITERAL- (RFC 7888 §5), in bytes.
pub(crate) const LITERAL_MINUS_BYTES_MAX: u64 = 4096;
