//! BODY and BODYSTRUCTURE, RFC 9051 §7.5.2.

use std::ops::Range;

use crate::charset;
use crate::content_type::{ContentType, Disposition};
use crate::envelope::put_envelope;
use crate::header::{fields, trim};
use crate::index::{Part, PartIndex, PartKind};
use crate::nstring::{put_nstring, put_quoted};
use crate::parameter::{Parameter, Value};

/// Which of the two is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Without extension data.
    Body,
    /// With it.
    BodyStructure,
}

/// Appends the structure of a message.
pub(crate) fn put_structure(out: &mut Vec<u8>, message: &[u8], index: &PartIndex, form: Form) {
    Writer { out, message, index, form }.part(0);
}

/// The octets of a range that the index gave.
pub(crate) fn slice<'a>(message: &'a [u8], range: &Range<u64>) -> &'a [u8] {
    &message[range.start as usize..range.end as usize]
}

struct Writer<'a, 'o> {
    out: &'o mut Vec<u8>,
    message: &'a [u8],
    index: &'a PartIndex,
    form: Form,
}

impl Writer<'_, '_> {
    /// Recursive; [`crate::limits::PART_DEPTH_MAX`] bounds the depth.
    fn part(&mut self, at: usize) {
        let part = &self.index.parts()[at];
        let fields = MimeFields::read(slice(self.message, &part.header));
        self.out.push(b'(');
        if part.kind == PartKind::Multipart {
            self.multipart(at, &fields);
        } else {
            self.single(at, part, &fields);
        }
        self.out.push(b')');
    }

    fn multipart(&mut self, at: usize, fields: &MimeFields<'_>) {
        let index = self.index;
        for child in index.children(at) {
            self.part(child);
        }
        self.out.push(b' ');
        let content_type = fields.content_type.as_ref();
        put_quoted(self.out, content_type.map_or(b"mixed".as_slice(), |found| found.sub));
        if self.form == Form::BodyStructure {
            self.out.push(b' ');
            put_parameters(self.out, content_type.map_or(&[], |found| &found.parameters), Charset::AsWritten);
            self.extensions(fields);
        }
    }

    fn single(&mut self, at: usize, part: &Part, fields: &MimeFields<'_>) {
        self.content_type(part, fields.content_type.as_ref());
        self.out.push(b' ');
        put_nstring(self.out, fields.id);
        self.out.push(b' ');
        put_nstring(self.out, fields.description);
        self.out.push(b' ');
        put_quoted(self.out, fields.encoding.filter(|name| !name.is_empty()).unwrap_or(b"7bit"));
        self.number(part.body.end - part.body.start);
        if let Some(inner) = self.index.message_in(at) {
            self.out.push(b' ');
            put_envelope(self.out, slice(self.message, &self.index.parts()[inner].header));
            self.out.push(b' ');
            self.part(inner);
        }
        if part.media.main == "text" || part.kind == PartKind::Message {
            self.number(part.lines);
        }
        if self.form == Form::BodyStructure {
            self.out.push(b' ');
            put_nstring(self.out, fields.md5);
            self.extensions(fields);
        }
    }

    /// Type, subtype and parameters: as written, unless the index says that the part is shown as something else.
    fn content_type(&mut self, part: &Part, written: Option<&ContentType<'_>>) {
        let charset = if part.media.main == "text" { Charset::Needed } else { Charset::AsWritten };
        let written = written.filter(|found| part.kind != PartKind::Opaque && found.media() == part.media);
        match written {
            _ if part.kind == PartKind::Opaque => {
                self.out.extend_from_slice(b"\"application\" \"octet-stream\" NIL");
            }
            Some(found) => {
                put_quoted(self.out, found.main);
                self.out.push(b' ');
                put_quoted(self.out, found.sub);
                self.out.push(b' ');
                put_parameters(self.out, &found.parameters, charset);
            }
            None => {
                put_quoted(self.out, part.media.main.as_bytes());
                self.out.push(b' ');
                put_quoted(self.out, part.media.sub.as_bytes());
                self.out.push(b' ');
                put_parameters(self.out, &[], charset);
            }
        }
    }

    /// Disposition, language, location.
    fn extensions(&mut self, fields: &MimeFields<'_>) {
        self.out.push(b' ');
        match &fields.disposition {
            None => self.out.extend_from_slice(b"NIL"),
            Some(disposition) => {
                self.out.push(b'(');
                put_quoted(self.out, disposition.name);
                self.out.push(b' ');
                put_parameters(self.out, &disposition.parameters, Charset::AsWritten);
                self.out.push(b')');
            }
        }
        self.out.push(b' ');
        put_languages(self.out, fields.language);
        self.out.push(b' ');
        put_nstring(self.out, fields.location);
    }

    fn number(&mut self, number: u64) {
        self.out.push(b' ');
        self.out.extend_from_slice(number.to_string().as_bytes());
    }
}

/// The fields of a MIME header that a body structure shows; of each the first.
#[derive(Default)]
struct MimeFields<'a> {
    content_type: Option<ContentType<'a>>,
    encoding: Option<&'a [u8]>,
    id: Option<&'a [u8]>,
    description: Option<&'a [u8]>,
    md5: Option<&'a [u8]>,
    disposition: Option<Disposition<'a>>,
    language: Option<&'a [u8]>,
    location: Option<&'a [u8]>,
}

impl<'a> MimeFields<'a> {
    fn read(header: &'a [u8]) -> Self {
        let mut found = Self::default();
        for field in fields(header) {
            let Some((prefix, name)) = field.name.split_at_checked(8) else { continue };
            if !prefix.eq_ignore_ascii_case(b"Content-") {
                continue;
            }
            let is = |wanted: &str| name.eq_ignore_ascii_case(wanted.as_bytes());
            let value = trim(field.value);
            if is("Type") && found.content_type.is_none() {
                found.content_type = ContentType::parse(field.value);
            } else if is("Disposition") && found.disposition.is_none() {
                found.disposition = Disposition::parse(field.value);
            } else if is("Transfer-Encoding") {
                found.encoding.get_or_insert(value);
            } else if is("ID") {
                found.id.get_or_insert(value);
            } else if is("Description") {
                found.description.get_or_insert(value);
            } else if is("MD5") {
                found.md5.get_or_insert(value);
            } else if is("Language") {
                found.language.get_or_insert(value);
            } else if is("Location") {
                found.location.get_or_insert(value);
            }
        }
        found
    }
}

/// Does a parameter list name a charset if none was written?
#[derive(Clone, Copy, PartialEq, Eq)]
enum Charset {
    /// RFC 2045 §5.2: text without one is in us-ascii.
    Needed,
    AsWritten,
}

fn put_parameters(out: &mut Vec<u8>, parameters: &[Parameter], charset: Charset) {
    let missing = charset == Charset::Needed && !parameters.iter().any(|parameter| parameter.is("charset"));
    if parameters.is_empty() && !missing {
        out.extend_from_slice(b"NIL");
        return;
    }
    out.push(b'(');
    for (at, parameter) in parameters.iter().enumerate() {
        if at > 0 {
            out.push(b' ');
        }
        put_parameter(out, parameter);
    }
    if missing {
        out.extend_from_slice(if parameters.is_empty() { b"" } else { b" " });
        out.extend_from_slice(b"\"charset\" \"us-ascii\"");
    }
    out.push(b')');
}

/// RFC 9051 §7.5.2: continuations are joined, an extended value is given in UTF-8 as `name*`.
fn put_parameter(out: &mut Vec<u8>, parameter: &Parameter) {
    match &parameter.value {
        Value::Plain(value) => {
            put_quoted(out, &parameter.name);
            out.push(b' ');
            put_quoted(out, value);
        }
        Value::Extended { charset: name, language, octets } => {
            let mut extended = parameter.name.clone();
            extended.push(b'*');
            put_quoted(out, &extended);
            out.push(b' ');
            let mut value = Vec::with_capacity(octets.len() * 3 + 16);
            if name.is_empty() || charset::is_known(name) {
                value.extend_from_slice(b"utf-8'");
                value.extend_from_slice(language);
                value.push(b'\'');
                percent_encode(&mut value, charset::decode(name, octets).as_bytes());
            } else {
                value.extend_from_slice(&[name, b"'".as_slice(), language, b"'"].concat());
                percent_encode(&mut value, octets);
            }
            put_quoted(out, &value);
        }
    }
}

/// RFC 2231 §7: `attribute-char` stands for itself.
fn percent_encode(out: &mut Vec<u8>, octets: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for octet in octets {
        if octet.is_ascii_alphanumeric() || b"!#$&+-.^_`{|}~".contains(octet) {
            out.push(*octet);
        } else {
            out.extend_from_slice(&[b'%', HEX[usize::from(octet >> 4)], HEX[usize::from(octet & 15)]]);
        }
    }
}

/// RFC 3282 §2: tags with commas between them.
fn put_languages(out: &mut Vec<u8>, value: Option<&[u8]>) {
    let tags = value.unwrap_or_default().split(|byte| *byte == b',').map(trim).filter(|tag| !tag.is_empty());
    let mut count = 0;
    for tag in tags {
        out.push(if count == 0 { b'(' } else { b' ' });
        put_quoted(out, tag);
        count += 1;
    }
    out.extend_from_slice(if count == 0 { b"NIL" } else { b")" });
}
