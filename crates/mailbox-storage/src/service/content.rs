//! Octets of messages: ranges over chunks, read in pages of bounded size.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use mail_rpc::{Refusal, Right, pb};
use mail_types::{AccountId, MailboxId, MessageId, Rights, Uid};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio_stream::Stream;
use tonic::Status;
use tracing::Instrument;

use super::access::access;
use super::url;
use crate::Inner;
use crate::db::{ChunkRow, Which};
use crate::prepare::{CHUNK_BYTES, unpack_chunk};

/// Unpacked octets that one query reads; a slow caller holds three such pages: one being sent, one that waits, one just read.
const PAGE_BYTES: usize = 384 << 10;
/// The same of the first query of a call: its octets are waited for, those of later ones are read while the page before is sent.
const FIRST_PAGE_BYTES: usize = 96 << 10;
/// Ranges whose messages are looked up at once.
const LOOKUP_RANGES_MAX: usize = 512;
/// Octets of a page up to which it is unpacked at once, for a caller that does not unpack.
const INLINE_BYTES_MAX: usize = 128 << 10;

/// The chunks of pages, as the pages come.
pub struct ContentPages {
    pages: Receiver<Result<Vec<pb::ContentChunk>, Status>>,
    page: std::vec::IntoIter<pb::ContentChunk>,
}

impl Stream for ContentPages {
    type Item = Result<pb::ContentChunk, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(chunk) = self.page.next() {
                return Poll::Ready(Some(Ok(chunk)));
            }
            match ready!(self.pages.poll_recv(cx)) {
                Some(Ok(page)) => self.page = page.into_iter(),
                Some(Err(status)) => return Poll::Ready(Some(Err(status))),
                None => return Poll::Ready(None),
            }
        }
    }
}

pub(super) async fn content(inner: &Arc<Inner>, request: pb::ContentRequest) -> Result<ContentPages, Status> {
    let (grant, which) =
        ((&*request.grant, request.owner, Right::Own), Which::Id(MailboxId::new(request.mailbox_id)));
    let account = access(inner, grant, which, Rights::READ).await?.account;
    Ok(answer(inner, account, request))
}

/// The same of the one message that a signed URL opens (RFC 4467 §6).
pub(super) async fn content_url(
    inner: &Arc<Inner>,
    request: pb::ContentUrlRequest,
) -> Result<ContentPages, Status> {
    let proof = request.url.unwrap_or_default();
    let mut request = request.request.unwrap_or_default();
    let (owner, mailbox) = url::verify(inner, &request.grant, &proof).await?;
    let uid = proof.target.map_or(0, |target| target.uid);
    request.mailbox_id = mailbox.get();
    request.ranges.iter_mut().for_each(|range| range.uid = uid);
    Ok(answer(inner, owner, request))
}

fn answer(inner: &Arc<Inner>, account: AccountId, request: pb::ContentRequest) -> ContentPages {
    let (sender, pages) = channel(1);
    let inner = Arc::clone(inner);
    let work = async move {
        if let Err(status) = send_ranges(&inner, account, request, &sender).await {
            // The caller may have gone away.
            let _ = sender.send(Err(status)).await;
        }
    };
    tokio::spawn(work.in_current_span());
    ContentPages { pages, page: Vec::new().into_iter() }
}

/// What is to be sent of one stored chunk; without a chunk, an answer that needs none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Piece {
    range: u32,
    chunk: Option<(MessageId, u32)>,
    /// Inside the chunk.
    from: usize,
    to: usize,
    last: bool,
    gone: bool,
}

async fn send_ranges(
    inner: &Inner,
    account: AccountId,
    request: pb::ContentRequest,
    sender: &Sender<Result<Vec<pb::ContentChunk>, Status>>,
) -> Result<(), Status> {
    let mailbox = MailboxId::new(request.mailbox_id);
    let mut most = FIRST_PAGE_BYTES;
    for (batch_no, batch) in request.ranges.chunks(LOOKUP_RANGES_MAX).enumerate() {
        let uids: Vec<Uid> = batch.iter().filter_map(|range| Uid::new(range.uid)).collect();
        let found = inner.db.content_find(account, mailbox, &uids).await?;
        let mut rest = &pieces_of_all(batch, (batch_no * LOOKUP_RANGES_MAX) as u32, &found)[..];
        while !rest.is_empty() {
            let mut bytes = 0;
            let full = rest.iter().position(|piece| {
                bytes += piece.to;
                bytes >= most
            });
            let (page, after) = rest.split_at(full.map_or(rest.len(), |last| last + 1));
            rest = after;
            most = PAGE_BYTES;
            let chunks = read_page(inner, account, page.to_vec(), request.packed).await?;
            if sender.send(Ok(chunks)).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn pieces_of_all(
    ranges: &[pb::ContentRange],
    first_index: u32,
    found: &[(Uid, MessageId, u64)],
) -> Vec<Piece> {
    let found: HashMap<u32, (MessageId, u64)> =
        found.iter().map(|(uid, message, size)| (uid.get(), (*message, *size))).collect();
    let mut out = Vec::with_capacity(ranges.len());
    for (range, index) in ranges.iter().zip(first_index..) {
        out.extend(pieces_of(range, index, found.get(&range.uid).copied()));
    }
    out
}

fn pieces_of(
    range: &pb::ContentRange,
    index: u32,
    found: Option<(MessageId, u64)>,
) -> impl Iterator<Item = Piece> + use<> {
    let (message, size) = found.unwrap_or_default();
    let start = range.offset.min(size);
    let end = if range.length == 0 { size } else { start.saturating_add(range.length).min(size) };
    let chunk_bytes = CHUNK_BYTES as u64;
    let (first, chunks) = match end.checked_sub(1) {
        Some(last) if start < end => (start / chunk_bytes, last / chunk_bytes - start / chunk_bytes + 1),
        _ => (0, 0),
    };
    let gone = found.is_none();
    let nothing = Piece { range: index, chunk: None, from: 0, to: 0, last: true, gone };
    let some = (first..first + chunks).map(move |no| {
        let offset = no * chunk_bytes;
        Piece {
            range: index,
            chunk: Some((message, no as u32)),
            from: start.saturating_sub(offset) as usize,
            to: (end - offset).min(chunk_bytes) as usize,
            last: no + 1 == first + chunks,
            gone: false,
        }
    });
    some.chain((chunks == 0).then_some(nothing))
}

async fn read_page(
    inner: &Inner,
    account: AccountId,
    page: Vec<Piece>,
    packed: bool,
) -> Result<Vec<pb::ContentChunk>, Status> {
    let mut wanted: Vec<(MessageId, u32, u32)> = Vec::new();
    for (message, no) in page.iter().filter_map(|piece| piece.chunk) {
        match wanted.last_mut() {
            Some((before, _, last)) if *before == message && *last + 1 == no => *last = no,
            Some((before, _, last)) if *before == message && *last == no => {}
            _ => wanted.push((message, no, no)),
        }
    }
    let rows = if wanted.is_empty() { Vec::new() } else { inner.db.content_read(account, &wanted).await? };
    let bytes: usize = rows.iter().map(|row| row.raw_len as usize).sum();
    let chunks = if packed || bytes <= INLINE_BYTES_MAX {
        chunks_of(page, rows, packed)
    } else {
        tokio::task::spawn_blocking(move || chunks_of(page, rows, packed))
            .await
            .map_err(|_| Status::internal("the message could not be unpacked"))?
    };
    chunks.map_err(|error| {
        tracing::error!(%account, %error, "stored content is damaged");
        Refusal::Internal("stored content is damaged".into()).into()
    })
}

/// A stored chunk whose pieces are being sent.
struct Stored {
    id: (MessageId, u32),
    data: Bytes,
    raw_len: usize,
    raw: Option<Bytes>,
}

impl Stored {
    fn new(row: ChunkRow) -> Self {
        let raw_len = row.raw_len as usize;
        let data = Bytes::from(row.data);
        // What did not shrink is stored as it is.
        let raw = (data.len() == raw_len).then(|| data.clone());
        Self { id: (row.message, row.no), data, raw_len, raw }
    }

    /// Packed if that is what the caller wants, and less than the piece.
    fn put(&mut self, piece: Piece, packed: bool, chunk: &mut pb::ContentChunk) -> std::io::Result<()> {
        if piece.to > self.raw_len {
            return Err(std::io::Error::other("a chunk is shorter than its message says"));
        }
        if packed && self.raw.is_none() && self.data.len() < piece.to - piece.from {
            chunk.data = self.data.clone();
            chunk.unpacked_length = self.raw_len as u32;
            (chunk.from, chunk.to) = (piece.from as u32, piece.to as u32);
            return Ok(());
        }
        if self.raw.is_none() {
            self.raw = Some(unpack_chunk(self.data.clone(), self.raw_len)?);
        }
        chunk.data = self.raw.as_ref().map_or_else(Bytes::new, |raw| raw.slice(piece.from..piece.to));
        Ok(())
    }
}

/// Rows come in the order of the pieces; consecutive pieces may be of one row.
fn chunks_of(page: Vec<Piece>, rows: Vec<ChunkRow>, packed: bool) -> std::io::Result<Vec<pb::ContentChunk>> {
    let mut out = Vec::with_capacity(page.len());
    let mut rows = rows.into_iter().peekable();
    let mut open: Option<Stored> = None;
    let mut lost = None;
    for piece in page {
        let mut chunk =
            pb::ContentChunk { range: piece.range, last: piece.last, gone: piece.gone, ..Default::default() };
        if let Some(id) = piece.chunk {
            if open.as_ref().is_none_or(|stored| stored.id != id) {
                open = rows.next_if(|row| (row.message, row.no) == id).map(Stored::new);
            }
            match &mut open {
                Some(stored) => stored.put(piece, packed, &mut chunk)?,
                // Expunged and swept between the two queries: one answer for the range is enough.
                None if lost == Some(piece.range) => continue,
                None => {
                    lost = Some(piece.range);
                    (chunk.last, chunk.gone) = (true, true);
                }
            }
        }
        out.push(chunk);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(offset: u64, length: u64, size: u64) -> Vec<(u32, usize, usize, bool)> {
        let range = pb::ContentRange { uid: 1, offset, length };
        pieces_of(&range, 0, Some((MessageId::new(1), size)))
            .map(|piece| (piece.chunk.map_or(9, |(_, no)| no), piece.from, piece.to, piece.last))
            .collect()
    }

    #[test]
    fn ranges_are_cut_at_chunk_borders() {
        let c = CHUNK_BYTES;
        let size = 2 * c as u64 + 10;
        assert_eq!(spans(0, 0, size), [(0, 0, c, false), (1, 0, c, false), (2, 0, 10, true)]);
        assert_eq!(spans(c as u64 - 1, 2, size), [(0, c - 1, c, false), (1, 0, 1, true)]);
        assert_eq!(spans(c as u64, 1, size), [(1, 0, 1, true)]);
        assert_eq!(spans(size, 5, size), [(9, 0, 0, true)]);
        assert_eq!(spans(size - 1, u64::MAX, size), [(2, 9, 10, true)]);
        assert_eq!(spans(0, 0, 0), [(9, 0, 0, true)]);
    }

    #[test]
    fn chunks_go_packed_when_that_is_less() {
        let text = b"Subject: hello\r\n\r\n".repeat(100);
        let size = text.len();
        let frame = zstd::bulk::compress(&text, 1).unwrap();
        let packed = frame.len();
        let row = |data: &[u8], no| ChunkRow {
            message: MessageId::new(1),
            no,
            raw_len: size as u32,
            data: data.to_vec(),
        };
        let piece = |no, from, to| Piece {
            range: 0,
            chunk: Some((MessageId::new(1), no)),
            from,
            to,
            last: false,
            gone: false,
        };
        let page = || vec![piece(0, 0, size), piece(0, 9, 9 + packed), piece(1, 0, size)];
        let rows = || vec![row(&frame, 0), row(&text, 1)];
        let seen: Vec<_> = chunks_of(page(), rows(), true)
            .unwrap()
            .into_iter()
            .map(|chunk| (chunk.data.len(), chunk.unpacked_length as usize, chunk.from, chunk.to as usize))
            .collect();
        assert_eq!(seen, [(packed, size, 0, size), (packed, 0, 0, 0), (size, 0, 0, 0)]);
        for (chunk, piece) in chunks_of(page(), rows(), false).unwrap().iter().zip(page()) {
            assert_eq!((&*chunk.data, chunk.unpacked_length), (&text[piece.from..piece.to], 0));
        }
    }
}
