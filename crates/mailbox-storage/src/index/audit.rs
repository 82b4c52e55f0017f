//! Does the index know every message, and does it find them? For fsck.

use mail_types::{AccountId, MessageId};

use super::grams::bits_of_message;
use super::{Index, Needle};
use crate::db::Db;
use crate::error::DbResult;
use crate::prepare::unpack_text;

/// Messages derived by this version of mail-message and later ones are in the index; earlier ones wait for their rebuild.
const INDEXED_FROM: i32 = 5;
/// Of the bits of the message that is looked for, one in so many.
const BITS_STEP: usize = 61;

impl Index {
    /// What is wrong with some messages of an account: unknown ones, and whether the first one would be found.
    pub(crate) async fn audit(
        &self,
        db: &dyn Db,
        account: AccountId,
        messages: &[(MessageId, i32)],
    ) -> DbResult<Vec<String>> {
        let indexed: Vec<i64> = messages
            .iter()
            .filter(|(_, version)| *version >= INDEXED_FROM)
            .map(|(id, _)| id.as_i64())
            .collect();
        let Some(sample) = indexed.first() else { return Ok(Vec::new()) };
        let Some((_, packed)) = db.texts(account, &[*sample]).await?.pop() else { return Ok(Vec::new()) };
        let Ok(text) = unpack_text(&packed) else {
            return Ok(vec![format!("message {sample}: its search text is damaged")]);
        };
        let mut bits = Vec::new();
        bits_of_message(&text, |bit| bits.push(bit));
        // A text without grams cannot be looked for, but any needle tells which messages are known.
        let is_found = bits.is_empty().then_some(true);
        // The end of the text too.
        bits.reverse();
        let needle =
            Needle::of_bits(if bits.is_empty() { vec![0] } else { bits }.into_iter().step_by(BITS_STEP));
        let candidates = self.read_candidates(db, account, &[needle]).await?;
        let mut found = Vec::new();
        if !is_found.unwrap_or_else(|| candidates.may_have(0, *sample)) {
            found.push(format!("message {sample}: the search index does not find it"));
        }
        if candidates.complete {
            let unknown = indexed.iter().filter(|id| !candidates.knows(**id));
            found.extend(unknown.map(|id| format!("message {id}: it is not in the search index")));
        }
        Ok(found)
    }
}
