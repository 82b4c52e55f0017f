//! The generated server trait; a file per rpc or tight group of them.

mod access;
mod account;
mod acl;
mod append;
mod content;
mod copy;
mod copy_shared;
mod deliver;
mod expunge;
mod fetch;
mod flags;
mod fuzzy;
mod mailboxes;
mod metadata;
mod search;
mod sort_keys;
mod sync;
mod url;

use std::time::Instant;

use mail_rpc::pb::{self, mailbox_server::Mailbox};
use mail_rpc::{GrantError, Refusal, Right, adopt_trace_context, current_traceparent, outcome};
use mail_types::{AccountId, MailboxId, ModSeq};
use mailbox_hints::Hint;
use service_runtime::metrics;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use tracing::{Instrument, debug_span};

use crate::{Inner, Storage};

/// Calls the function that is the rpc inside a span of the caller's trace.
macro_rules! call {
    ($self:ident, $request:ident, $name:literal, $function:path) => {{
        let span = debug_span!($name);
        adopt_trace_context(&span, $request.metadata());
        let begun = Instant::now();
        let answer = $function(&$self.0, $request.into_inner()).instrument(span).await;
        metrics().served($name, outcome(&answer), begun.elapsed());
        answer.map(Response::new)
    }};
}

type Reply<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Mailbox for Storage {
    type FetchStream = ReceiverStream<Result<pb::FetchPage, Status>>;
    type ContentStream = content::ContentPages;
    type FetchUrlStream = ReceiverStream<Result<pb::FetchPage, Status>>;
    type ContentUrlStream = content::ContentPages;
    type DeliverStream = ReceiverStream<Result<pb::DeliverResult, Status>>;

    async fn provision(&self, request: Request<pb::ProvisionRequest>) -> Reply<pb::ProvisionReply> {
        call!(self, request, "Mailbox.Provision", account::provision)
    }
    async fn purge(&self, request: Request<pb::PurgeRequest>) -> Reply<pb::PurgeReply> {
        call!(self, request, "Mailbox.Purge", account::purge)
    }
    async fn get_quota(&self, request: Request<pb::GetQuotaRequest>) -> Reply<pb::Quota> {
        call!(self, request, "Mailbox.GetQuota", account::get_quota)
    }
    async fn set_quota(&self, request: Request<pb::SetQuotaRequest>) -> Reply<pb::Quota> {
        call!(self, request, "Mailbox.SetQuota", account::set_quota)
    }
    async fn check_room(&self, request: Request<pb::CheckRoomRequest>) -> Reply<pb::CheckRoomReply> {
        call!(self, request, "Mailbox.CheckRoom", account::check_room)
    }

    async fn list(&self, request: Request<pb::ListRequest>) -> Reply<pb::ListReply> {
        call!(self, request, "Mailbox.List", mailboxes::list)
    }
    async fn status(&self, request: Request<pb::StatusRequest>) -> Reply<pb::MailboxState> {
        call!(self, request, "Mailbox.Status", mailboxes::status)
    }
    async fn create(&self, request: Request<pb::CreateRequest>) -> Reply<pb::MailboxState> {
        call!(self, request, "Mailbox.Create", mailboxes::create)
    }
    async fn delete(&self, request: Request<pb::DeleteRequest>) -> Reply<pb::DeleteReply> {
        call!(self, request, "Mailbox.Delete", mailboxes::delete)
    }
    async fn rename(&self, request: Request<pb::RenameRequest>) -> Reply<pb::RenameReply> {
        call!(self, request, "Mailbox.Rename", mailboxes::rename)
    }
    async fn subscribe(&self, request: Request<pb::SubscribeRequest>) -> Reply<pb::SubscribeReply> {
        call!(self, request, "Mailbox.Subscribe", mailboxes::subscribe)
    }

    async fn open(&self, request: Request<pb::OpenRequest>) -> Reply<pb::SyncReply> {
        call!(self, request, "Mailbox.Open", sync::open)
    }
    async fn changes(&self, request: Request<pb::ChangesRequest>) -> Reply<pb::SyncReply> {
        call!(self, request, "Mailbox.Changes", sync::changes)
    }
    async fn vanished(&self, request: Request<pb::VanishedRequest>) -> Reply<pb::VanishedReply> {
        call!(self, request, "Mailbox.Vanished", sync::vanished)
    }
    async fn check_mod_seqs(
        &self,
        request: Request<pb::CheckModSeqsRequest>,
    ) -> Reply<pb::CheckModSeqsReply> {
        call!(self, request, "Mailbox.CheckModSeqs", sync::check_mod_seqs)
    }
    async fn open_maildrop(&self, request: Request<pb::OpenMaildropRequest>) -> Reply<pb::Maildrop> {
        call!(self, request, "Mailbox.OpenMaildrop", sync::open_maildrop)
    }
    async fn fetch(&self, request: Request<pb::FetchRequest>) -> Reply<Self::FetchStream> {
        call!(self, request, "Mailbox.Fetch", fetch::fetch)
    }
    async fn content(&self, request: Request<pb::ContentRequest>) -> Reply<Self::ContentStream> {
        call!(self, request, "Mailbox.Content", content::content)
    }
    async fn search(&self, request: Request<pb::SearchRequest>) -> Reply<pb::SearchReply> {
        call!(self, request, "Mailbox.Search", search::search)
    }
    async fn sort_keys(&self, request: Request<pb::SortKeysRequest>) -> Reply<pb::SortKeysReply> {
        call!(self, request, "Mailbox.SortKeys", sort_keys::sort_keys)
    }
    async fn fuzzy_search(&self, request: Request<pb::FuzzySearchRequest>) -> Reply<pb::FuzzySearchReply> {
        call!(self, request, "Mailbox.FuzzySearch", fuzzy::search)
    }

    async fn store_flags(&self, request: Request<pb::StoreFlagsRequest>) -> Reply<pb::StoreFlagsReply> {
        call!(self, request, "Mailbox.StoreFlags", flags::store_flags)
    }
    async fn copy(&self, request: Request<pb::CopyRequest>) -> Reply<pb::CopyReply> {
        call!(self, request, "Mailbox.Copy", copy::copy)
    }
    async fn expunge(&self, request: Request<pb::ExpungeRequest>) -> Reply<pb::ExpungeReply> {
        call!(self, request, "Mailbox.Expunge", expunge::expunge)
    }
    async fn append(&self, request: Request<Streaming<pb::AppendRequest>>) -> Reply<pb::AppendReply> {
        call!(self, request, "Mailbox.Append", append::append)
    }
    async fn deliver(&self, request: Request<Streaming<pb::DeliverRequest>>) -> Reply<Self::DeliverStream> {
        call!(self, request, "Mailbox.Deliver", deliver::deliver)
    }
    async fn my_rights(&self, request: Request<pb::MyRightsRequest>) -> Reply<pb::MyRightsReply> {
        call!(self, request, "Mailbox.MyRights", acl::my_rights)
    }
    async fn get_acl(&self, request: Request<pb::GetAclRequest>) -> Reply<pb::Acl> {
        call!(self, request, "Mailbox.GetAcl", acl::get_acl)
    }
    async fn set_acl(&self, request: Request<pb::SetAclRequest>) -> Reply<pb::SetAclReply> {
        call!(self, request, "Mailbox.SetAcl", acl::set_acl)
    }
    async fn confirm_deliveries(
        &self,
        request: Request<pb::ConfirmDeliveriesRequest>,
    ) -> Reply<pb::ConfirmDeliveriesReply> {
        call!(self, request, "Mailbox.ConfirmDeliveries", deliver::confirm_deliveries)
    }

    async fn get_metadata(&self, request: Request<pb::GetMetadataRequest>) -> Reply<pb::GetMetadataReply> {
        call!(self, request, "Mailbox.GetMetadata", metadata::get)
    }
    async fn set_metadata(&self, request: Request<pb::SetMetadataRequest>) -> Reply<pb::SetMetadataReply> {
        call!(self, request, "Mailbox.SetMetadata", metadata::set)
    }

    async fn sign_urls(&self, request: Request<pb::SignUrlsRequest>) -> Reply<pb::SignUrlsReply> {
        call!(self, request, "Mailbox.SignUrls", url::sign)
    }
    async fn reset_url_keys(
        &self,
        request: Request<pb::ResetUrlKeysRequest>,
    ) -> Reply<pb::ResetUrlKeysReply> {
        call!(self, request, "Mailbox.ResetUrlKeys", url::reset)
    }
    async fn fetch_url(&self, request: Request<pb::FetchUrlRequest>) -> Reply<Self::FetchUrlStream> {
        call!(self, request, "Mailbox.FetchUrl", fetch::fetch_url)
    }
    async fn content_url(&self, request: Request<pb::ContentUrlRequest>) -> Reply<Self::ContentUrlStream> {
        call!(self, request, "Mailbox.ContentUrl", content::content_url)
    }
}

/// The account of a grant that allows this.
fn demand(inner: &Inner, grant: &[u8], right: Right) -> Result<AccountId, Status> {
    inner.config.grant_key.demand(grant, right).map_err(|error| match error {
        GrantError::NotAllowed => Refusal::Forbidden(error.to_string()).into(),
        GrantError::Forged | GrantError::Expired => Refusal::Unauthenticated(error.to_string()).into(),
    })
}

/// Tells who waits that a mailbox has reached a mod-sequence. After the commit only.
fn publish(inner: &Inner, account: AccountId, mailbox: MailboxId, modseq: i64) {
    let modseq = ModSeq::new(modseq.unsigned_abs());
    let trace = current_traceparent().and_then(|text| text.parse().ok());
    inner.config.hints.publish([Hint { account, mailbox, modseq, trace }]);
}

/// There is no store for this account: it was never provisioned, or it was purged.
fn no_account() -> Status {
    Refusal::NotFound("this account has no mailboxes".into()).into()
}

fn no_mailbox(name: &str) -> Status {
    Refusal::NotFound(format!("there is no mailbox {name}")).into()
}

fn mailbox_gone() -> Status {
    Refusal::NotFound("the mailbox was deleted".into()).into()
}

fn over_quota() -> Status {
    Refusal::Exhausted("over quota".into()).into()
}

fn uids_used_up() -> Status {
    Refusal::Limit("this mailbox has no UIDs left; move its messages to a new one".into()).into()
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
