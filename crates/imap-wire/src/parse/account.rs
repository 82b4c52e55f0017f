//! Login, identification, quota, and other commands on no mailbox.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;

use super::cursor::{Cursor, Fail, Parsed};
use crate::parse::ParseErrorKind;
use crate::{CommandBody, Secret};

/// RFC 2971 §3.3: not more than 30 pairs.
const ID_FIELDS_MAX: usize = 30;
/// Some clients leave the padding out; nothing is gained by refusing them.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A line of a client amid AUTHENTICATE (RFC 9051 §6.2.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SaslLine {
    /// `*`: the client gives up. Answer BAD.
    Cancel,
    /// The decoded bytes.
    Response(Secret),
    /// Not base64. Answer BAD.
    Invalid,
}

/// Reads a line that [`Framer::next_line`](crate::Framer::next_line) found.
pub fn sasl_line(line: &[u8]) -> SaslLine {
    match line {
        b"*" => SaslLine::Cancel,
        _ => BASE64.decode(line).map_or(SaslLine::Invalid, |bytes| SaslLine::Response(Secret(bytes.into()))),
    }
}

pub(super) fn login(cursor: &mut Cursor<'_>) -> Parsed<CommandBody> {
    cursor.space()?;
    let user = cursor.astring()?;
    cursor.space()?;
    Ok(CommandBody::Login { user, password: Secret(cursor.astring()?) })
}

pub(super) fn authenticate(cursor: &mut Cursor<'_>) -> Parsed<CommandBody> {
    cursor.space()?;
    let mechanism = cursor.atom()?.to_ascii_uppercase();
    if cursor.is_end() {
        return Ok(CommandBody::Authenticate { mechanism, initial: None });
    }
    cursor.space()?;
    let start = cursor.at;
    let initial = match cursor.run(|b| b.is_ascii_graphic()) {
        // RFC 4959 §3: "=" is a response of no bytes.
        b"=" => Bytes::new(),
        text => match BASE64.decode(text) {
            Ok(bytes) if !text.is_empty() => Bytes::from(bytes),
            _ => return Err(Fail { kind: ParseErrorKind::Expected("base64"), at: start }),
        },
    };
    Ok(CommandBody::Authenticate { mechanism, initial: Some(Secret(initial)) })
}

pub(super) fn id(cursor: &mut Cursor<'_>) -> Parsed<CommandBody> {
    cursor.space()?;
    if cursor.take_word("NIL") {
        return Ok(CommandBody::Id(None));
    }
    let mut fields = 0;
    let fields = cursor.list_or_empty(|cursor| {
        fields += 1;
        if fields > ID_FIELDS_MAX {
            return cursor.expected("at most 30 fields");
        }
        let field = cursor.string()?;
        cursor.space()?;
        let value = if cursor.take_word("NIL") { None } else { Some(cursor.string()?) };
        Ok((field, value))
    })?;
    Ok(CommandBody::Id(Some(fields)))
}

pub(super) fn enable(cursor: &mut Cursor<'_>) -> Parsed<CommandBody> {
    let mut names = Vec::new();
    loop {
        cursor.space()?;
        names.push(cursor.atom()?.to_ascii_uppercase());
        if cursor.is_end() {
            return Ok(CommandBody::Enable(names));
        }
    }
}

pub(super) fn compress(cursor: &mut Cursor<'_>) -> Parsed<CommandBody> {
    cursor.space()?;
    Ok(CommandBody::Compress(cursor.atom()?.to_ascii_uppercase()))
}

/// `*(SP astring)`
pub(super) fn texts(cursor: &mut Cursor<'_>) -> Parsed<Vec<String>> {
    let mut texts = Vec::new();
    while !cursor.is_end() {
        cursor.space()?;
        texts.push(cursor.astring_text()?);
    }
    Ok(texts)
}

pub(super) fn get_quota(cursor: &mut Cursor<'_>) -> Parsed<CommandBody> {
    cursor.space()?;
    Ok(CommandBody::GetQuota(cursor.astring_text()?))
}

pub(super) fn set_quota(cursor: &mut Cursor<'_>) -> Parsed<CommandBody> {
    cursor.space()?;
    let root = cursor.astring_text()?;
    cursor.space()?;
    let limits = cursor.list_or_empty(|cursor| {
        let resource = cursor.atom()?.to_ascii_uppercase();
        cursor.space()?;
        Ok((resource, cursor.number63()?))
    })?;
    Ok(CommandBody::SetQuota { root, limits })
}

/// RFC 4467 §9: `genurlauth = "GENURLAUTH" 1*(SP url-rump SP mechanism)`
pub(super) fn gen_url_auth(cursor: &mut Cursor<'_>) -> Parsed<CommandBody> {
    let mut urls = Vec::new();
    loop {
        cursor.space()?;
        let url = cursor.astring()?;
        cursor.space()?;
        urls.push((url, cursor.atom()?.to_ascii_uppercase()));
        if cursor.is_end() {
            return Ok(CommandBody::GenUrlAuth(urls));
        }
    }
}

/// RFC 4467 §9: `resetkey = "RESETKEY" [SP mailbox *(SP mechanism)]`
pub(super) fn reset_key(cursor: &mut Cursor<'_>) -> Parsed<CommandBody> {
    if cursor.is_end() {
        return Ok(CommandBody::ResetKey { mailbox: None, mechanisms: Vec::new() });
    }
    cursor.space()?;
    let mailbox = Some(cursor.mailbox()?);
    let mut mechanisms = Vec::new();
    while !cursor.is_end() {
        cursor.space()?;
        mechanisms.push(cursor.atom()?.to_ascii_uppercase());
    }
    Ok(CommandBody::ResetKey { mailbox, mechanisms })
}

/// RFC 4467 §9: `urlfetch = "URLFETCH" 1*(SP url-full)`
pub(super) fn url_fetch(cursor: &mut Cursor<'_>) -> Parsed<CommandBody> {
    let mut urls = Vec::new();
    loop {
        cursor.space()?;
        urls.push(cursor.astring()?);
        if cursor.is_end() {
            return Ok(CommandBody::UrlFetch(urls));
        }
    }
}
