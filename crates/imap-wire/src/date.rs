//! Dates of INTERNALDATE, APPEND and SEARCH.

/// A point in time with the zone it is to be shown in (`date-time`, RFC 9051 §9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InternalDate {
    /// Seconds since 1970-01-01 00:00:00 UTC.
    pub unix_seconds: i64,
    /// Minutes east of UTC; between -24 h and 24 h.
    pub offset_minutes: i16,
}

/// A day (`date`, RFC 9051 §9), in whatever zone the thing that is compared to it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    /// Days since 1970-01-01.
    pub(crate) days: i32,
}
