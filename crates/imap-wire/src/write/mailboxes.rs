//! LIST, LSUB, STATUS, quota, rights and annotations.

use mail_types::{HIERARCHY_SEPARATOR, SpecialUse};

use super::Writer;
use crate::StatusItem;

/// One line of LIST.
#[derive(Debug, Clone, Copy, Default)]
pub struct ListLine<'a> {
    /// Attributes of the mailbox.
    pub attributes: &'a [MailboxAttribute],
    /// Its name in UTF-8; empty for the answer to an empty pattern.
    pub name: &'a str,
    /// `CHILDINFO`: which selection options a mailbox below it matches (RFC 9051 §6.3.9.6), upper-case.
    pub child_info: &'a [&'a str],
    /// `OLDNAME`: the name it had (RFC 9051 §6.3.9.7).
    pub old_name: Option<&'a str>,
}

/// An attribute of a mailbox (`mbx-list-flags`, RFC 9051 §7.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailboxAttribute {
    /// `\HasChildren`
    HasChildren,
    /// `\HasNoChildren`
    HasNoChildren,
    /// `\Marked`
    Marked,
    /// `\NoAccess` (RFC 5465 §3.1)
    NoAccess,
    /// `\NonExistent`
    NonExistent,
    /// `\Noinferiors`
    NoInferiors,
    /// `\Noselect`
    NoSelect,
    /// `\Remote`
    Remote,
    /// `\Subscribed`
    Subscribed,
    /// `\Unmarked`
    Unmarked,
    /// A special use (RFC 6154)
    Use(SpecialUse),
}

impl MailboxAttribute {
    /// The attribute with its backslash.
    pub fn name(self) -> &'static str {
        match self {
            Self::HasChildren => "\\HasChildren",
            Self::HasNoChildren => "\\HasNoChildren",
            Self::Marked => "\\Marked",
            Self::NoAccess => "\\NoAccess",
            Self::NonExistent => "\\NonExistent",
            Self::NoInferiors => "\\Noinferiors",
            Self::NoSelect => "\\Noselect",
            Self::Remote => "\\Remote",
            Self::Subscribed => "\\Subscribed",
            Self::Unmarked => "\\Unmarked",
            Self::Use(special_use) => special_use.attribute(),
        }
    }
}

/// One value of STATUS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusValue<'a> {
    /// Most of them.
    Number(u64),
    /// `NIL`, of APPENDLIMIT (RFC 7889 §3.2).
    Nil,
    /// `(id)`, of MAILBOXID (RFC 8474 §4.3).
    Id(&'a str),
}

impl Writer<'_> {
    /// `* LIST (...) "/" name`
    pub fn list(&mut self, line: &ListLine<'_>) {
        self.list_line("* LIST (", line.attributes, line.name);
        if !line.child_info.is_empty() || line.old_name.is_some() {
            self.raw(" (");
            if !line.child_info.is_empty() {
                self.raw("\"CHILDINFO\" (");
                for (i, option) in line.child_info.iter().enumerate() {
                    self.raw(if i > 0 { " " } else { "" });
                    self.string(option.as_bytes());
                }
                self.raw(")");
            }
            if let Some(name) = line.old_name {
                self.raw(if line.child_info.is_empty() { "" } else { " " });
                self.raw("\"OLDNAME\" (");
                self.mailbox(name);
                self.raw(")");
            }
            self.raw(")");
        }
        self.line_end();
    }
    /// `* LSUB (...) "/" name`
    pub fn lsub(&mut self, attributes: &[MailboxAttribute], name: &str) {
        self.list_line("* LSUB (", attributes, name);
        self.line_end();
    }
    fn list_line(&mut self, head: &str, attributes: &[MailboxAttribute], name: &str) {
        self.raw(head);
        for (i, attribute) in attributes.iter().enumerate() {
            self.raw(if i > 0 { " " } else { "" });
            self.raw(attribute.name());
        }
        self.raw(") ");
        self.separator();
        self.raw(" ");
        self.mailbox(name);
    }
    fn separator(&mut self) {
        self.string(HIERARCHY_SEPARATOR.encode_utf8(&mut [0; 4]).as_bytes());
    }

    /// `* STATUS name (...)`
    pub fn status(&mut self, name: &str, values: &[(StatusItem, StatusValue<'_>)]) {
        self.raw("* STATUS ");
        self.mailbox(name);
        self.raw(" (");
        for (i, (item, value)) in values.iter().enumerate() {
            self.raw(if i > 0 { " " } else { "" });
            self.raw(item.name());
            self.raw(" ");
            match value {
                StatusValue::Number(number) => self.number(*number),
                StatusValue::Nil => self.raw("NIL"),
                StatusValue::Id(id) => {
                    self.raw("(");
                    self.atom(id);
                    self.raw(")");
                }
            }
        }
        self.raw(")");
        self.line_end();
    }

    /// `* NAMESPACE` (RFC 2342 §5): prefixes of the personal namespaces, of other users', of shared ones.
    pub fn namespace(&mut self, personal: &[&str], other_users: &[&str], shared: &[&str]) {
        self.raw("* NAMESPACE");
        for prefixes in [personal, other_users, shared] {
            if prefixes.is_empty() {
                self.raw(" NIL");
                continue;
            }
            self.raw(" (");
            for prefix in prefixes {
                self.raw("(");
                self.quoted_mailbox(prefix);
                self.raw(" ");
                self.separator();
                self.raw(")");
            }
            self.raw(")");
        }
        self.line_end();
    }
    fn quoted_mailbox(&mut self, name: &str) {
        if self.options.utf8 {
            self.string(name.as_bytes())
        } else {
            self.string(crate::utf7::encode(name).as_bytes())
        }
    }

    /// `* QUOTA root (...)` (RFC 9208 §4.2.1): resources with usage and limit.
    pub fn quota(&mut self, root: &str, resources: &[(&str, u64, u64)]) {
        self.raw("* QUOTA ");
        self.string(root.as_bytes());
        self.raw(" (");
        for (i, (resource, usage, limit)) in resources.iter().enumerate() {
            self.raw(if i > 0 { " " } else { "" });
            self.atom(resource);
            self.named_number(" ", *usage);
            self.named_number(" ", *limit);
        }
        self.raw(")");
        self.line_end();
    }
    /// `* QUOTAROOT mailbox root...` (RFC 9208 §4.2.2)
    pub fn quota_root(&mut self, mailbox: &str, roots: &[&str]) {
        self.raw("* QUOTAROOT ");
        self.mailbox(mailbox);
        for root in roots {
            self.raw(" ");
            self.string(root.as_bytes());
        }
        self.line_end();
    }

    /// `* ACL mailbox identifier rights...` (RFC 4314 §3.6)
    pub fn acl(&mut self, mailbox: &str, entries: &[(&str, &str)]) {
        self.raw("* ACL ");
        self.mailbox(mailbox);
        for (identifier, rights) in entries {
            self.raw(" ");
            self.astring(identifier.as_bytes());
            self.raw(" ");
            self.astring(rights.as_bytes());
        }
        self.line_end();
    }
    /// `* LISTRIGHTS mailbox identifier required optional...` (RFC 4314 §3.7)
    pub fn list_rights(&mut self, mailbox: &str, identifier: &str, required: &str, optional: &[&str]) {
        self.raw("* LISTRIGHTS ");
        self.mailbox(mailbox);
        for text in [identifier, required].iter().chain(optional) {
            self.raw(" ");
            self.astring(text.as_bytes());
        }
        self.line_end();
    }
    /// `* MYRIGHTS mailbox rights` (RFC 4314 §3.8)
    pub fn my_rights(&mut self, mailbox: &str, rights: &str) {
        self.raw("* MYRIGHTS ");
        self.mailbox(mailbox);
        self.raw(" ");
        self.astring(rights.as_bytes());
        self.line_end();
    }
    /// `* METADATA mailbox entry...` (RFC 5464 §4.4.2): names of what has changed; the empty name is the server.
    pub fn metadata_names(&mut self, mailbox: &str, entries: &[&str]) {
        self.raw("* METADATA ");
        self.mailbox(mailbox);
        for entry in entries {
            self.raw(" ");
            self.astring(entry.as_bytes());
        }
        self.line_end();
    }
    /// `* METADATA mailbox (entry value...)` (RFC 5464 §4.4.1); the empty name is the server.
    pub fn metadata(&mut self, mailbox: &str, entries: &[(&str, Option<&[u8]>)]) {
        self.raw("* METADATA ");
        self.mailbox(mailbox);
        self.raw(" (");
        for (i, (entry, value)) in entries.iter().enumerate() {
            self.raw(if i > 0 { " " } else { "" });
            self.astring(entry.as_bytes());
            self.raw(" ");
            match value {
                // RFC 5464 §5: a literal8, since no other string can hold NUL.
                Some(value) if value.contains(&0) => {
                    self.raw("~");
                    self.literal_header(value.len() as u64);
                    self.buf.extend_from_slice(value);
                }
                _ => self.nstring(*value),
            }
        }
        self.raw(")");
        self.line_end();
    }
}
