//! One part of one message, as FETCH BODY[...] would send it, for commands that use it otherwise.

use bytes::Bytes;
use imap_wire::{BytesRange, FetchItem, Section};
use mail_message::PartIndex;
use mail_rpc::{MailboxClient, Refusal, pb};
use mail_types::Uid;

use super::content::{Contents, Step};
use super::derived::{Place, in_time};
use super::plan::{Located, extract, locate_section};
use crate::error::CmdError;

/// The octets of a part, on their way.
pub(crate) struct Part {
    /// How many there are.
    pub(crate) size: u64,
    /// Still to come from storage.
    left: u64,
    contents: Contents,
    /// Made here already.
    made: Option<Bytes>,
}

impl Part {
    /// `None`: there is no such message, or no such part of it.
    ///
    /// # Errors
    /// As storage says; NOT_FOUND when the mailbox was deleted.
    pub(crate) async fn open(
        storage: &MailboxClient,
        place: &Place,
        uid: Uid,
        (section, partial): (&Section, Option<BytesRange>),
        proof: Option<&pb::UrlProof>,
    ) -> Result<Option<Self>, CmdError> {
        let request = pb::FetchRequest {
            owner: place.owner,
            grant: place.grant.clone(),
            mailbox_id: place.mailbox.get(),
            uids: vec![pb::UidRange { first: uid.get(), last: uid.get() }],
            parts: *section != Section::default(),
            ..pb::FetchRequest::default()
        };
        let mut pages = match proof {
            None => storage.fetch(request).await?,
            Some(proof) => {
                let (url, request) = (Some(proof.clone()), Some(request));
                storage.fetch_url(pb::FetchUrlRequest { url, request }).await?
            }
        };
        let Some(page) = in_time(pages.message()).await.map_err(CmdError::from)? else { return Ok(None) };
        let Some(message) = page.messages.into_iter().next() else { return Ok(None) };
        let index = match message.parts.is_empty() {
            true => None,
            false => Some(
                PartIndex::decode(&message.parts)
                    .map_err(|error| CmdError::internal(&format!("part index: {error}")))?,
            ),
        };
        let located = locate_section(section, partial, message.size, index.as_ref());
        let (Located::Range(range) | Located::Fields(range)) = &located else { return Ok(None) };
        let size = range.end - range.start;
        let ranges =
            (size > 0).then(|| pb::ContentRange { uid: uid.get(), offset: range.start, length: size });
        let request = pb::ContentRequest {
            owner: place.owner,
            grant: place.grant.clone(),
            mailbox_id: place.mailbox.get(),
            ranges: ranges.into_iter().collect(),
            ..Default::default()
        };
        let mut contents = Contents::request(storage, request, proof).await?;
        if matches!(located, Located::Range(_)) {
            return Ok(Some(Self { size, left: size, contents, made: None }));
        }
        let Some(header) = contents.collect(0, size).await? else { return Ok(None) };
        let item = FetchItem::BodySection { peek: true, section: section.clone(), partial };
        let made = Bytes::from(extract(&item, &header, None).unwrap_or_default());
        Ok(Some(Self { size: made.len() as u64, left: 0, contents, made: Some(made) }))
    }

    /// The next octets; `None` at the end.
    ///
    /// # Errors
    /// The message went away meanwhile, or storage did.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, CmdError> {
        if let Some(made) = self.made.take() {
            return Ok(Some(made).filter(|made| !made.is_empty()));
        }
        if self.left == 0 {
            return Ok(None);
        }
        match self.contents.next(0).await? {
            Step::Data(data) if data.len() as u64 <= self.left => {
                self.left -= data.len() as u64;
                Ok(Some(data))
            }
            Step::Gone => {
                Err(Refusal::Unavailable("a message went away while it was read".to_owned()).into())
            }
            Step::Data(_) | Step::End => Err(CmdError::internal("storage sent a range of another length")),
        }
    }
}
