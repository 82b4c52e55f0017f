//! Octets of messages as they come from storage, in the order asked for.

use bytes::{Bytes, BytesMut};
use mail_rpc::{ContentStream, MailboxClient, Refusal, pb};

use super::derived::{Place, in_time};
use crate::error::CmdError;

/// Ranges being read.
pub(super) struct Contents {
    chunks: Option<ContentStream>,
    /// A chunk of a range later than the one asked about.
    ahead: Option<pb::ContentChunk>,
    /// The range whose last chunk has been given out.
    finished: Option<u32>,
}

/// What comes next of a range.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    Data(Bytes),
    End,
    /// The message does not exist any more.
    Gone,
}

impl Contents {
    /// Asks for ranges; none is fine.
    pub(super) async fn open(
        storage: &MailboxClient,
        place: &Place,
        ranges: Vec<pb::ContentRange>,
    ) -> Result<Self, CmdError> {
        let (grant, mailbox_id) = (place.grant.clone(), place.mailbox.get());
        let request =
            pb::ContentRequest { owner: place.owner, grant, mailbox_id, ranges, ..Default::default() };
        Self::request(storage, request, None).await
    }

    /// The same; with a proof, of the message of a signed URL.
    pub(super) async fn request(
        storage: &MailboxClient,
        request: pb::ContentRequest,
        proof: Option<&pb::UrlProof>,
    ) -> Result<Self, CmdError> {
        if request.ranges.is_empty() {
            return Ok(Self { chunks: None, ahead: None, finished: None });
        }
        let chunks = match proof {
            None => storage.content(request).await,
            Some(proof) => {
                let (url, request) = (Some(proof.clone()), Some(request));
                storage.content_url(pb::ContentUrlRequest { url, request }).await
            }
        };
        let chunks = chunks.map_err(|status| CmdError::of_selected(Refusal::from(status)))?;
        Ok(Self { chunks: Some(chunks), ahead: None, finished: None })
    }

    /// The next of a range; ranges must be asked about in their order, and may be left out or left unfinished.
    pub(super) async fn next(&mut self, range: u32) -> Result<Step, CmdError> {
        loop {
            if self.finished.is_some_and(|finished| finished >= range) {
                return Ok(Step::End);
            }
            let Some(chunk) = self.take().await? else { return Ok(Step::End) };
            if chunk.range > range {
                self.ahead = Some(chunk);
                return Ok(Step::End);
            }
            if chunk.last || chunk.gone {
                self.finished = Some(chunk.range);
            }
            if chunk.range < range {
                continue;
            }
            if chunk.gone {
                return Ok(Step::Gone);
            }
            if !chunk.data.is_empty() {
                return Ok(Step::Data(chunk.data));
            }
        }
    }

    /// All of a range; `None` if the message is gone, or what came is not as long as it should be.
    pub(super) async fn collect(&mut self, range: u32, size: u64) -> Result<Option<Bytes>, CmdError> {
        let mut octets = BytesMut::with_capacity(usize::try_from(size).unwrap_or_default());
        loop {
            match self.next(range).await? {
                Step::Data(data) => octets.extend_from_slice(&data),
                Step::Gone => return Ok(None),
                Step::End if octets.len() as u64 == size => return Ok(Some(octets.freeze())),
                Step::End => return Err(CmdError::internal("storage sent a range of another length")),
            }
        }
    }

    async fn take(&mut self) -> Result<Option<pb::ContentChunk>, CmdError> {
        if let Some(chunk) = self.ahead.take() {
            return Ok(Some(chunk));
        }
        match &mut self.chunks {
            Some(chunks) => in_time(chunks.message()).await.map_err(CmdError::of_selected),
            None => Ok(None),
        }
    }
}
