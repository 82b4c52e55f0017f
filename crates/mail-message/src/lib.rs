//! RFC 5322 and MIME bytes -> what IMAP and POP3 need of a message, derived once at delivery.
//!
//! Pure: no I/O, no async, no clock. Whatever the bytes are, nothing panics, time and memory stay linear in
//! their number, and the limits in [`limits`] bound the result. A bare LF ends a line like CRLF does.

mod address;
mod casemap;
mod charset;
mod content_type;
mod date;
mod detect;
mod encoded_word;
mod envelope;
pub mod fuzzy;
mod header;
mod html;
mod index;
mod keys;
pub mod limits;
mod nstring;
mod parameter;
pub mod search;
mod structure;
mod subject;
mod text;
mod thread;
mod transfer;

pub use header::{Keep, header_fields};
pub use index::{MediaType, Part, PartIndex, PartIndexError, PartKind, SectionPart, section_range};
pub use keys::{SortKeys, sort_keys};
pub use nstring::to_seven_bit;
use structure::Form;
pub use transfer::{Encoding, TransferError, decode_transfer};

/// Version of the derived data. It is stored beside it, so that data of another version can be rebuilt.
pub const DERIVED_VERSION: u32 = 6;

/// What storage keeps of a message beside its octets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Derived {
    /// The ENVELOPE value: `("date" "subject" ((..)) ..)`, quoted strings only, in UTF-8. [`to_seven_bit`] makes it
    /// ready for a client that has not enabled that.
    pub envelope: Vec<u8>,
    /// The BODY value, likewise.
    pub body: Vec<u8>,
    /// The BODYSTRUCTURE value, likewise.
    pub bodystructure: Vec<u8>,
    /// An encoded [`PartIndex`].
    pub parts: Vec<u8>,
    /// RFC 8970: at most 200 characters of text.
    pub preview: String,
    /// What [`search::matches`] looks into.
    pub search_text: String,
    /// Equal for the messages of a conversation: hash of the first id in References, else In-Reply-To, else
    /// Message-ID, else of the header.
    pub thread_key: u64,
    /// The Date field in seconds since 1970-01-01T00:00:00Z.
    pub sent_at: Option<i64>,
    /// The date in the Date field as written, zone disregarded, in days since 1970-01-01.
    pub sent_day: Option<i32>,
    /// RFC 5256 §2.1 base subject, decoded and folded by [`search::fold`].
    pub base_subject: String,
    /// What SORT and THREAD look at: encoded [`SortKeys`].
    pub sort_keys: Vec<u8>,
}

/// Derives everything from a message.
pub fn derive(message: &[u8]) -> Derived {
    let index = PartIndex::parse(message);
    let header = structure::slice(message, &index.root().header);
    let mut envelope = Vec::with_capacity(512);
    envelope::put_envelope(&mut envelope, header);
    let structure = |form| {
        let mut out = Vec::with_capacity(512);
        structure::put_structure(&mut out, message, &index, form);
        out
    };
    let texts = text::read(message, &index);
    let date = first_value(header, "Date").and_then(date::Date::parse);
    let subject = first_value(header, "Subject").unwrap_or_default();
    Derived {
        body: structure(Form::Body),
        bodystructure: structure(Form::BodyStructure),
        parts: index.encode(),
        preview: texts.preview,
        search_text: texts.search,
        thread_key: thread::thread_key(header),
        sent_at: date.map(date::Date::unix_seconds),
        sent_day: date.map(|date| date.day),
        base_subject: subject::folded(&subject::base_subject(&encoded_word::decode(subject))),
        sort_keys: keys::sort_keys(header),
        envelope,
    }
}

fn first_value<'a>(header: &'a [u8], name: &str) -> Option<&'a [u8]> {
    header::fields(header).find(|field| field.is(name)).map(|field| field.value)
}
