//! Every limit of this crate: its unit, its reason, and what happens at it.

/// Deepest nesting of parts (multipart or message/rfc822), the message itself being depth 0. Real mail stays
/// below ten. A container that would lie deeper is kept as one opaque part (`application/octet-stream`).
pub const PART_DEPTH_MAX: usize = 100;

/// Parts of one message, the message itself included. Once reached no further part is opened: what follows
/// belongs to the part that is open at that point.
pub const PARTS_MAX: usize = 10_000;

/// Fields of one header block that are looked at, the longest real ones having a few hundred. Later ones show in
/// no derived datum; FETCH of header fields still returns them.
pub const FIELDS_MAX: usize = 100_000;

/// Octets of one header field value that are looked at. RFC 5322 §2.1.1 allows 998 an unfolded line, long
/// recipient lists fold. Beyond it the value is cut for every derived datum; the message itself is not touched.
pub const FIELD_VALUE_MAX: usize = 256 * 1024;

/// Addresses one ENVELOPE member lists; later ones are left out.
pub const ADDRESSES_MAX: usize = 10_000;

/// Octets one ENVELOPE address list may grow to; later addresses are left out.
pub const ADDRESS_LIST_BYTES_MAX: usize = 512 * 1024;

/// Parameters one Content-Type or Content-Disposition may carry, each RFC 2231 segment counted; later ones are
/// left out.
pub const PARAMETERS_MAX: usize = 1_000;

/// Octets of a boundary that is honoured. RFC 2046 §5.1.1 allows 70; a longer one counts as missing.
pub const BOUNDARY_MAX: usize = 1_000;

/// Octets of a media type, subtype or charset name kept in the part index; a longer name is cut.
pub const NAME_MAX: usize = 127;

/// Octets of `search_text`. What lies beyond is not found by SEARCH.
pub const SEARCH_TEXT_MAX: usize = 1024 * 1024;

/// Octets of `search_text` that header fields may take, so that a giant header cannot push out the body.
pub const SEARCH_HEADER_MAX: usize = 256 * 1024;

/// Octets of `search_text` that the headers of MIME parts may take.
pub const SEARCH_MIME_MAX: usize = 128 * 1024;

/// Encoded octets of one text part that are decoded for SEARCH and PREVIEW.
pub const TEXT_PART_MAX: usize = 8 * 1024 * 1024;

/// Encoded octets over all text parts of one message that are decoded for SEARCH and PREVIEW.
pub const TEXT_TOTAL_MAX: usize = 16 * 1024 * 1024;

/// Characters of a preview, RFC 8970 §3.3.
pub const PREVIEW_CHARS_MAX: usize = 200;

/// Octets of a base subject; it is a sort key, so the rest is cut.
pub const BASE_SUBJECT_MAX: usize = 1_000;

/// Octets of an address or a display name as a sort key; the rest is cut.
pub const SORT_NAME_MAX: usize = 200;

/// Message ids of References that THREAD looks at: the first, which names the thread, and the last ones. Mailers
/// keep some dozens.
pub const REFERENCES_MAX: usize = 200;
