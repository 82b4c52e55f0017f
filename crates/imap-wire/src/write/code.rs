//! Response codes (RFC 9051 §7.1, RFC 5530 and others).

use mail_types::{FlagBits, KeywordTable, ModSeq, Uid, UidSet, UidValidity};

use super::Writer;
use crate::Tag;

/// What may stand in brackets before the text of a status reply.
#[derive(Debug, Clone, Copy)]
pub enum Code<'a> {
    /// No code.
    None,
    /// `ALERT`: the text must be shown to the user.
    Alert,
    /// `ALREADYEXISTS` (RFC 5530)
    AlreadyExists,
    /// `APPENDUID` (RFC 4315)
    AppendUid(UidValidity, &'a UidSet),
    /// `AUTHENTICATIONFAILED` (RFC 5530)
    AuthenticationFailed,
    /// `AUTHORIZATIONFAILED` (RFC 5530)
    AuthorizationFailed,
    /// `BADCHARSET`, with the charsets there are.
    BadCharset(&'a [&'a str]),
    /// `BADCOMPARATOR` (RFC 5255)
    BadComparator,
    /// `BADEVENT`, with the events there are (RFC 5465)
    BadEvent(&'a [&'a str]),
    /// `BADURL` (RFC 4469)
    BadUrl(&'a [u8]),
    /// `CANNOT` (RFC 5530)
    Cannot,
    /// `CAPABILITY`
    Capability(&'a [&'a str]),
    /// `CLIENTBUG` (RFC 5530)
    ClientBug,
    /// `CLOSED` (RFC 7162)
    Closed,
    /// `COMPRESSIONACTIVE` (RFC 4978)
    CompressionActive,
    /// `CONTACTADMIN` (RFC 5530)
    ContactAdmin,
    /// `COPYUID` (RFC 4315): UIDVALIDITY of the target, UIDs in the source, UIDs in the target in the same order.
    CopyUid(UidValidity, &'a UidSet, &'a UidSet),
    /// `CORRUPTION` (RFC 5530)
    Corruption,
    /// `EXPIRED` (RFC 5530)
    Expired,
    /// `EXPUNGEISSUED` (RFC 5530)
    ExpungeIssued,
    /// `HASCHILDREN` (RFC 9051)
    HasChildren,
    /// `HIGHESTMODSEQ` (RFC 7162)
    HighestModSeq(ModSeq),
    /// `INPROGRESS` (RFC 9585)
    InProgress(InProgress<'a>),
    /// `INUSE` (RFC 5530)
    InUse,
    /// `LIMIT` (RFC 5530)
    Limit,
    /// `MAILBOXID` (RFC 8474)
    MailboxId(&'a str),
    /// `METADATA` (RFC 5464)
    Metadata(MetadataCode),
    /// `MODIFIED` (RFC 7162): sequence numbers, or UIDs for UID STORE.
    Modified(&'a UidSet),
    /// `NOMODSEQ` (RFC 7162)
    NoModSeq,
    /// `NONEXISTENT` (RFC 5530)
    NonExistent,
    /// `NOPERM` (RFC 5530)
    NoPerm,
    /// `NOTIFICATIONOVERFLOW` (RFC 5465)
    NotificationOverflow,
    /// `NOTSAVED` (RFC 5182)
    NotSaved,
    /// `NOUPDATE` (RFC 5267)
    NoUpdate(&'a Tag),
    /// `OVERQUOTA` (RFC 5530)
    OverQuota,
    /// `PARSE`
    Parse,
    /// `PERMANENTFLAGS`
    PermanentFlags(PermanentFlags<'a>),
    /// `PRIVACYREQUIRED` (RFC 5530)
    PrivacyRequired,
    /// `READ-ONLY`
    ReadOnly,
    /// `READ-WRITE`
    ReadWrite,
    /// `SERVERBUG` (RFC 5530)
    ServerBug,
    /// `TOOBIG` (RFC 4469, RFC 7889)
    TooBig,
    /// `TOOFEW` (RFC 10022)
    TooFew,
    /// `TRYCREATE`
    TryCreate,
    /// `UIDNEXT`
    UidNext(Uid),
    /// `UIDNOTSTICKY` (RFC 4315)
    UidNotSticky,
    /// `UIDREQUIRED` (RFC 9586)
    UidRequired,
    /// `UIDVALIDITY`
    UidValidity(UidValidity),
    /// `UNAVAILABLE` (RFC 5530)
    Unavailable,
    /// `UNKNOWN-CTE` (RFC 3516)
    UnknownCte,
    /// `UNSEEN` (RFC 3501): a sequence number.
    Unseen(u32),
    /// `URLMECH` (RFC 4467): the one mechanism there is.
    UrlMechInternal,
    /// `USEATTR` (RFC 6154)
    UseAttr,
}

/// How far a command is (RFC 9585 §4).
#[derive(Debug, Clone, Copy)]
pub struct InProgress<'a> {
    /// The command's.
    pub tag: &'a Tag,
    /// Items that are done, if that is known.
    pub done: Option<u32>,
    /// All of them; more than those that are done. Not without those.
    pub goal: Option<u32>,
}

/// What a client can change for good.
#[derive(Debug, Clone, Copy)]
pub struct PermanentFlags<'a> {
    /// These flags.
    pub flags: FlagBits,
    /// Names of the keywords among them.
    pub keywords: &'a KeywordTable,
    /// `\*`: new keywords can be made.
    pub can_create: bool,
}

/// Details of `METADATA` (RFC 5464 §4.2.1, §4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetadataCode {
    /// `LONGENTRIES n`: the longest value left out, in bytes.
    LongEntries(u64),
    /// `MAXSIZE n`: the longest value there may be, in bytes.
    MaxSize(u64),
    /// `TOOMANY`
    TooMany,
    /// `NOPRIVATE`
    NoPrivate,
}

impl Writer<'_> {
    /// `[CODE] ` or nothing.
    pub(super) fn code(&mut self, code: Code<'_>) {
        if matches!(code, Code::None) {
            return;
        }
        self.raw("[");
        match simple(&code) {
            Some(name) => self.raw(name),
            None => self.code_with_value(code),
        }
        self.raw("] ");
    }

    fn code_with_value(&mut self, code: Code<'_>) {
        match code {
            Code::AppendUid(validity, uids) => {
                self.named_number("APPENDUID ", validity.get().into());
                self.raw(" ");
                self.set(uids);
            }
            Code::CopyUid(validity, from, to) => {
                self.named_number("COPYUID ", validity.get().into());
                self.raw(" ");
                self.set(from);
                self.raw(" ");
                self.set(to);
            }
            Code::BadCharset(charsets) => self.code_list("BADCHARSET", charsets),
            Code::BadEvent(events) => self.code_list("BADEVENT", events),
            Code::BadUrl(url) => {
                // RFC 4469 §5: without quotes, so a bracket or a line end in it would end the code.
                let is_safe = !url.is_empty() && url.iter().all(|b| matches!(b, b' '..=b'~') && *b != b']');
                let url = std::str::from_utf8(url).ok().filter(|_| is_safe);
                self.raw("BADURL ");
                self.raw(url.unwrap_or("?"));
            }
            Code::Capability(names) => {
                self.raw("CAPABILITY");
                self.words(names.iter().copied());
            }
            Code::HighestModSeq(mod_seq) => self.named_number("HIGHESTMODSEQ ", mod_seq.get()),
            Code::InProgress(progress) => self.in_progress(progress),
            Code::MailboxId(id) => {
                self.raw("MAILBOXID (");
                self.atom(id);
                self.raw(")");
            }
            Code::Metadata(code) => self.metadata_code(code),
            Code::Modified(set) => {
                self.raw("MODIFIED ");
                self.set(set);
            }
            Code::NoUpdate(tag) => {
                self.raw("NOUPDATE ");
                self.string(tag.as_str().as_bytes());
            }
            Code::PermanentFlags(permanent) => {
                self.raw("PERMANENTFLAGS (");
                let extra: &[&str] = if permanent.can_create { &["\\*"] } else { &[] };
                self.flags(permanent.flags, permanent.keywords, extra);
                self.raw(")");
            }
            Code::UidNext(uid) => self.named_number("UIDNEXT ", uid.get().into()),
            Code::UidValidity(validity) => self.named_number("UIDVALIDITY ", validity.get().into()),
            Code::Unseen(number) => self.named_number("UNSEEN ", number.into()),
            _ => {}
        }
    }

    pub(super) fn named_number(&mut self, name: &str, number: u64) {
        self.raw(name);
        self.number(number);
    }

    fn code_list(&mut self, name: &str, values: &[&str]) {
        self.raw(name);
        if values.is_empty() {
            return;
        }
        self.raw(" (");
        for (i, value) in values.iter().enumerate() {
            if i > 0 {
                self.raw(" ");
            }
            self.atom(value);
        }
        self.raw(")");
    }

    /// RFC 9585 §4, §5
    fn in_progress(&mut self, InProgress { tag, done, goal }: InProgress<'_>) {
        self.raw("INPROGRESS (");
        // A bracket would end the code. Nothing else in a tag could end a quoted string.
        match tag.as_str().contains(']') {
            true => self.raw("NIL"),
            false => ["\"", tag.as_str(), "\""].iter().for_each(|part| self.raw(part)),
        }
        for number in [done, goal.filter(|_| done.is_some())] {
            match number {
                Some(number) => self.named_number(" ", number.into()),
                None => self.raw(" NIL"),
            }
        }
        self.raw(")");
    }

    fn metadata_code(&mut self, code: MetadataCode) {
        match code {
            MetadataCode::LongEntries(size) => self.named_number("METADATA LONGENTRIES ", size),
            MetadataCode::MaxSize(size) => self.named_number("METADATA MAXSIZE ", size),
            MetadataCode::TooMany => self.raw("METADATA TOOMANY"),
            MetadataCode::NoPrivate => self.raw("METADATA NOPRIVATE"),
        }
    }
}

/// The name of a code without values.
fn simple(code: &Code<'_>) -> Option<&'static str> {
    Some(match code {
        Code::Alert => "ALERT",
        Code::AlreadyExists => "ALREADYEXISTS",
        Code::AuthenticationFailed => "AUTHENTICATIONFAILED",
        Code::AuthorizationFailed => "AUTHORIZATIONFAILED",
        Code::BadComparator => "BADCOMPARATOR",
        Code::Cannot => "CANNOT",
        Code::ClientBug => "CLIENTBUG",
        Code::Closed => "CLOSED",
        Code::CompressionActive => "COMPRESSIONACTIVE",
        Code::ContactAdmin => "CONTACTADMIN",
        Code::Corruption => "CORRUPTION",
        Code::Expired => "EXPIRED",
        Code::ExpungeIssued => "EXPUNGEISSUED",
        Code::HasChildren => "HASCHILDREN",
        Code::InUse => "INUSE",
        Code::Limit => "LIMIT",
        Code::NoModSeq => "NOMODSEQ",
        Code::NonExistent => "NONEXISTENT",
        Code::NoPerm => "NOPERM",
        Code::NotificationOverflow => "NOTIFICATIONOVERFLOW",
        Code::NotSaved => "NOTSAVED",
        Code::OverQuota => "OVERQUOTA",
        Code::Parse => "PARSE",
        Code::PrivacyRequired => "PRIVACYREQUIRED",
        Code::ReadOnly => "READ-ONLY",
        Code::ReadWrite => "READ-WRITE",
        Code::ServerBug => "SERVERBUG",
        Code::TooBig => "TOOBIG",
        Code::TooFew => "TOOFEW",
        Code::TryCreate => "TRYCREATE",
        Code::UidNotSticky => "UIDNOTSTICKY",
        Code::UidRequired => "UIDREQUIRED",
        Code::Unavailable => "UNAVAILABLE",
        Code::UnknownCte => "UNKNOWN-CTE",
        Code::UrlMechInternal => "URLMECH INTERNAL",
        Code::UseAttr => "USEATTR",
        _ => return None,
    })
}
