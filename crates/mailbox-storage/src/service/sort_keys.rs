//! What messages are sorted and threaded by, as columns.

use std::collections::HashMap;

use mail_message::{SortKeys, sort_keys as derive};
use mail_rpc::{Refusal, Right, pb, set_from_pb};
use mail_types::{AccountId, MailboxId, MessageId, Rights, UidSet};
use tonic::Status;

use super::access::access;
use super::fetch::rest_after;
use crate::Inner;
use crate::db::{KeyRow, Which};
use crate::prepare::unpack_chunk;

/// Rows of one query: a few hundred octets each.
const PAGE_ROWS: i64 = 4096;
/// Messages of one request; the gateway asks for fewer.
const MESSAGES_MAX: usize = 250_000;
/// Messages without kept keys whose octets are read at once.
const DERIVE_BATCH: usize = 16;
/// Chunks of a message that are read for its header: 4 MiB.
const HEADER_CHUNKS: u32 = 16;

pub(super) async fn sort_keys(
    inner: &Inner,
    request: pb::SortKeysRequest,
) -> Result<pb::SortKeysReply, Status> {
    let mailbox = MailboxId::new(request.mailbox_id);
    let grant = (&*request.grant, request.owner, Right::Own);
    let account = access(inner, grant, Which::Id(mailbox), Rights::READ).await?.account;
    let key = |key: &i32| pb::SortKey::try_from(*key).unwrap_or_default();
    let asked: Vec<pb::SortKey> = request.keys.iter().map(key).collect();
    if asked.contains(&pb::SortKey::Unspecified) {
        return Err(Refusal::Invalid("an unknown sort key".to_owned()).into());
    }
    let with_keys = asked.iter().any(|key| !matches!(key, pb::SortKey::Arrival | pb::SortKey::Size));
    let mut columns = Columns::new(&asked);
    let mut rest = set_from_pb(&request.uids);
    while !rest.is_empty() {
        let mut rows = inner.db.sort_keys(account, mailbox, &rest, with_keys, PAGE_ROWS).await?;
        rest = match rows.last() {
            Some(row) if rows.len() as i64 == PAGE_ROWS => rest_after(&rest, row.uid as u32),
            _ => UidSet::new(),
        };
        if columns.uids.len() + rows.len() > MESSAGES_MAX {
            return Err(Refusal::Limit(format!("more than {MESSAGES_MAX} messages")).into());
        }
        if with_keys {
            derive_missing(inner, account, &mut rows).await?;
        }
        columns = tokio::task::spawn_blocking(move || columns.with(&rows))
            .await
            .map_err(|_| Status::internal("the keys could not be read"))?;
    }
    Ok(columns.finish())
}

/// Messages kept by an earlier version have no keys yet, or those of another form: they are read again.
async fn derive_missing(inner: &Inner, account: AccountId, rows: &mut [KeyRow]) -> Result<(), Status> {
    let is_missing =
        |row: &&mut KeyRow| row.keys.as_deref().is_none_or(|keys| SortKeys::decode(keys).is_none());
    let mut missing: Vec<&mut KeyRow> = rows.iter_mut().filter(is_missing).collect();
    for batch in missing.chunks_mut(DERIVE_BATCH) {
        let wanted: Vec<_> =
            batch.iter().map(|row| (MessageId::new(row.message_id.unsigned_abs()), 0, 0)).collect();
        let chunks = inner.db.content_read(account, &wanted).await?;
        let mut heads: HashMap<i64, Vec<u8>> = HashMap::new();
        for chunk in chunks {
            let message = chunk.message;
            let mut head = Vec::from(unpack(account, chunk)?);
            if !has_whole_header(&head) {
                let more = inner.db.content_read(account, &[(message, 1, HEADER_CHUNKS - 1)]).await?;
                for chunk in more {
                    head.extend_from_slice(&unpack(account, chunk)?);
                }
            }
            heads.insert(message.as_i64(), derive(&head));
        }
        for row in batch {
            // Without octets the message has been swept meanwhile.
            row.keys = heads.get(&row.message_id).cloned().or_else(|| Some(derive(b"")));
        }
    }
    Ok(())
}

fn unpack(account: AccountId, chunk: crate::db::ChunkRow) -> Result<bytes::Bytes, Status> {
    unpack_chunk(chunk.data, chunk.raw_len as usize).map_err(|error| {
        tracing::error!(%account, %error, "stored content is damaged");
        Refusal::Internal("stored content is damaged".into()).into()
    })
}

fn has_whole_header(head: &[u8]) -> bool {
    let ends = |end: &[u8]| memchr::memmem::find(head, end).is_some();
    head.len() < crate::prepare::CHUNK_BYTES || ends(b"\n\r\n") || ends(b"\n\n")
}

/// The reply in the making.
struct Columns {
    uids: Vec<u32>,
    columns: Vec<Column>,
}

enum Column {
    Numbers(fn(&KeyRow, &SortKeys<'_>) -> i64, Vec<i64>),
    /// The texts met so far, and for each message the place of its text among them in the order of meeting.
    Texts(for<'a> fn(&SortKeys<'a>) -> &'a str, HashMap<Box<str>, u32>, Vec<u32>),
    Threads(pb::KeyColumn),
}

impl Columns {
    fn new(asked: &[pb::SortKey]) -> Self {
        Self { uids: Vec::new(), columns: asked.iter().map(|key| Column::new(*key)).collect() }
    }

    fn with(mut self, rows: &[KeyRow]) -> Self {
        let none = derive(b"");
        for row in rows {
            let blob = row.keys.as_deref().unwrap_or(&none);
            let Some(keys) = SortKeys::decode(blob).or_else(|| SortKeys::decode(&none)) else { continue };
            self.uids.push(row.uid as u32);
            for column in &mut self.columns {
                column.push(row, &keys);
            }
        }
        self
    }

    fn finish(self) -> pb::SortKeysReply {
        let mut before = 0;
        let uid_deltas = self.uids.into_iter().map(|uid| {
            let delta = uid - before;
            before = uid;
            delta
        });
        pb::SortKeysReply {
            uid_deltas: uid_deltas.collect(),
            columns: self.columns.into_iter().map(Column::finish).collect(),
        }
    }
}

impl Column {
    fn new(key: pb::SortKey) -> Self {
        use pb::SortKey as K;
        let texts = |of| Self::Texts(of, HashMap::new(), Vec::new());
        match key {
            K::Arrival => Self::Numbers(|row, _| row.received_at, Vec::new()),
            // RFC 5256 §2.2
            K::Date => Self::Numbers(|row, keys| keys.sent_at.unwrap_or(row.received_at), Vec::new()),
            K::Size => Self::Numbers(|row, _| row.size, Vec::new()),
            K::From => texts(|keys| keys.from),
            K::To => texts(|keys| keys.to),
            K::Cc => texts(|keys| keys.cc),
            K::DisplayFrom => texts(|keys| keys.display_from),
            K::DisplayTo => texts(|keys| keys.display_to),
            K::Subject => texts(|keys| keys.subject),
            K::Thread | K::Unspecified => Self::Threads(pb::KeyColumn::default()),
        }
    }

    fn push(&mut self, row: &KeyRow, keys: &SortKeys<'_>) {
        match self {
            Self::Numbers(of, numbers) => numbers.push(of(row, keys)),
            Self::Texts(of, known, places) => {
                let text = of(keys);
                let next = known.len() as u32;
                places.push(match known.get(text) {
                    Some(place) => *place,
                    None => *known.entry(text.into()).or_insert(next),
                });
            }
            Self::Threads(column) => {
                column.ids.push(keys.id);
                column.replies.push(keys.is_reply);
                let before = column.references.len();
                column.references.extend(keys.references());
                column.reference_counts.push((column.references.len() - before) as u32);
            }
        }
    }

    fn finish(self) -> pb::KeyColumn {
        match self {
            Self::Threads(column) => column,
            Self::Numbers(_, numbers) => {
                let mut before = 0i64;
                let deltas = numbers.into_iter().map(|number| {
                    let delta = number.wrapping_sub(before);
                    before = number;
                    delta
                });
                pb::KeyColumn { number_deltas: deltas.collect(), ..Default::default() }
            }
            Self::Texts(_, known, places) => {
                let mut sorted: Vec<(Box<str>, u32)> = known.into_iter().collect();
                sorted.sort_unstable();
                let mut rank_of = vec![0; sorted.len()];
                for (rank, (_, place)) in sorted.iter().enumerate() {
                    rank_of[*place as usize] = rank as u32;
                }
                pb::KeyColumn {
                    texts: sorted
                        .into_iter()
                        .map(|(text, _)| String::from(text).into_bytes().into())
                        .collect(),
                    text_places: places.into_iter().map(|place| rank_of[place as usize]).collect(),
                    ..Default::default()
                }
            }
        }
    }
}
