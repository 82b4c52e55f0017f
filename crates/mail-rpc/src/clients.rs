//! Clients of the two services: the generated ones, with a deadline on every call and retries where they are harmless.

use std::time::{Duration, Instant};

use service_runtime::metrics;
use tokio::time::{sleep, timeout};
use tonic::{Code, Status, Streaming};

use crate::pb::{self, auth_client, mailbox_client};
use crate::{ContentStream, Transport};

/// A call that has no answer after this is given up: the client hears NO [UNAVAILABLE] or 451 and its session lives on.
pub const DEADLINE: Duration = Duration::from_secs(20);
/// Largest message either side takes: the snapshot of a mailbox of several million messages.
pub const MESSAGE_BYTES_MAX: usize = 64 << 20;
/// How often a read is tried when the instance that had it went away.
const READ_ATTEMPTS: u32 = 4;
const RETRY_PAUSE: Duration = Duration::from_millis(50);

fn late() -> Status {
    Status::unavailable("the service did not answer in time; try again")
}

/// Waits for a call and counts how long it took. Calls that take as long as their client sends are not counted.
async fn timed<T>(rpc: &'static str, call: impl Future<Output = T>) -> T {
    let begun = Instant::now();
    let answer = call.await;
    metrics().rpc(rpc, begun.elapsed());
    answer
}

macro_rules! unary {
    ($(#[$doc:meta])* read $name:ident($request:ty) -> $reply:ty) => {
        $(#[$doc])*
        ///
        /// # Errors
        /// The status codes named in the `.proto` file. Tried again on another instance when one goes away.
        pub async fn $name(&self, request: $request) -> Result<$reply, Status> {
            let attempts = async {
                let mut attempt = 1;
                loop {
                    match self.0.clone().$name(request.clone()).await {
                        Err(status) if status.code() == Code::Unavailable && attempt < READ_ATTEMPTS => {
                            sleep(RETRY_PAUSE * attempt).await;
                            attempt += 1;
                        }
                        other => return other.map(tonic::Response::into_inner),
                    }
                }
            };
            timed(stringify!($name), timeout(DEADLINE, attempts)).await.unwrap_or_else(|_| Err(late()))
        }
    };
    ($(#[$doc:meta])* write $name:ident($request:ty) -> $reply:ty) => {
        $(#[$doc])*
        ///
        /// # Errors
        /// The status codes named in the `.proto` file. Never tried again: the first try may have been committed.
        pub async fn $name(&self, request: $request) -> Result<$reply, Status> {
            match timed(stringify!($name), timeout(DEADLINE, self.0.clone().$name(request))).await {
                Ok(reply) => reply.map(tonic::Response::into_inner),
                Err(_) => Err(late()),
            }
        }
    };
}

/// Client of the mailbox store.
#[derive(Clone)]
pub struct MailboxClient(mailbox_client::MailboxClient<Transport>);

impl MailboxClient {
    /// Over this transport.
    pub fn new(transport: Transport) -> Self {
        Self(
            mailbox_client::MailboxClient::new(transport)
                .max_decoding_message_size(MESSAGE_BYTES_MAX)
                .max_encoding_message_size(MESSAGE_BYTES_MAX),
        )
    }

    unary!(/// Makes the account's store.
        write provision(pb::ProvisionRequest) -> pb::ProvisionReply);
    unary!(/// Removes the account's store.
        write purge(pb::PurgeRequest) -> pb::PurgeReply);
    unary!(/// Used and allowed.
        read get_quota(pb::GetQuotaRequest) -> pb::Quota);
    unary!(/// Changes what is allowed.
        write set_quota(pb::SetQuotaRequest) -> pb::Quota);
    unary!(/// All mailboxes.
        read list(pb::ListRequest) -> pb::ListReply);
    unary!(/// One mailbox's state.
        read status(pb::StatusRequest) -> pb::MailboxState);
    unary!(/// CREATE.
        write create(pb::CreateRequest) -> pb::MailboxState);
    unary!(/// DELETE.
        write delete(pb::DeleteRequest) -> pb::DeleteReply);
    unary!(/// RENAME.
        write rename(pb::RenameRequest) -> pb::RenameReply);
    unary!(/// SUBSCRIBE and UNSUBSCRIBE.
        write subscribe(pb::SubscribeRequest) -> pb::SubscribeReply);
    unary!(/// SELECT and EXAMINE. Asked twice, \Recent may be lost to the first answer, which RFC 3501 §2.3.2 allows.
        read open(pb::OpenRequest) -> pb::SyncReply);
    unary!(/// What changed.
        read changes(pb::ChangesRequest) -> pb::SyncReply);
    unary!(/// VANISHED (EARLIER).
        read vanished(pb::VanishedRequest) -> pb::VanishedReply);
    unary!(/// The batched re-check.
        read check_mod_seqs(pb::CheckModSeqsRequest) -> pb::CheckModSeqsReply);
    unary!(/// Evaluates conditions.
        read search(pb::SearchRequest) -> pb::SearchReply);
    unary!(/// POP3's snapshot.
        read open_maildrop(pb::OpenMaildropRequest) -> pb::Maildrop);
    unary!(/// STORE.
        write store_flags(pb::StoreFlagsRequest) -> pb::StoreFlagsReply);
    unary!(/// COPY and MOVE.
        write copy(pb::CopyRequest) -> pb::CopyReply);
    unary!(/// EXPUNGE, and POP3's QUIT.
        write expunge(pb::ExpungeRequest) -> pb::ExpungeReply);
    unary!(/// Replies were seen by the sender.
        write confirm_deliveries(pb::ConfirmDeliveriesRequest) -> pb::ConfirmDeliveriesReply);
    unary!(/// Room for one more message?
        read check_room(pb::CheckRoomRequest) -> pb::CheckRoomReply);
    unary!(/// What messages are sorted and threaded by.
        read sort_keys(pb::SortKeysRequest) -> pb::SortKeysReply);
    unary!(/// Texts that are there more or less.
        read fuzzy_search(pb::FuzzySearchRequest) -> pb::FuzzySearchReply);
    unary!(/// GETMETADATA.
        read get_metadata(pb::GetMetadataRequest) -> pb::GetMetadataReply);
    unary!(/// SETMETADATA.
        write set_metadata(pb::SetMetadataRequest) -> pb::SetMetadataReply);
    unary!(/// GENURLAUTH.
        read sign_urls(pb::SignUrlsRequest) -> pb::SignUrlsReply);
    unary!(/// RESETKEY.
        write reset_url_keys(pb::ResetUrlKeysRequest) -> pb::ResetUrlKeysReply);
    unary!(/// The caller's rights to a mailbox.
        read my_rights(pb::MyRightsRequest) -> pb::MyRightsReply);
    unary!(/// Who has which rights.
        read get_acl(pb::GetAclRequest) -> pb::Acl);
    unary!(/// Gives rights and takes them away.
        write set_acl(pb::SetAclRequest) -> pb::SetAclReply);

    /// Attributes and derived data, in pages.
    ///
    /// # Errors
    /// The status codes named in the `.proto` file, now or while the pages come.
    pub async fn fetch(&self, request: pb::FetchRequest) -> Result<Streaming<pb::FetchPage>, Status> {
        match timed("fetch", timeout(DEADLINE, self.0.clone().fetch(request))).await {
            Ok(reply) => reply.map(tonic::Response::into_inner),
            Err(_) => Err(late()),
        }
    }

    /// Octets of messages, in chunks.
    ///
    /// # Errors
    /// As [`Self::fetch`].
    pub async fn content(&self, request: pb::ContentRequest) -> Result<ContentStream, Status> {
        let request = pb::ContentRequest { packed: true, ..request };
        match timed("content", timeout(DEADLINE, self.0.clone().content(request))).await {
            Ok(reply) => reply.map(|reply| ContentStream::new(reply.into_inner())),
            Err(_) => Err(late()),
        }
    }

    /// Attributes of the message of a signed URL.
    ///
    /// # Errors
    /// As [`Self::fetch`].
    pub async fn fetch_url(&self, request: pb::FetchUrlRequest) -> Result<Streaming<pb::FetchPage>, Status> {
        match timed("fetch_url", timeout(DEADLINE, self.0.clone().fetch_url(request))).await {
            Ok(reply) => reply.map(tonic::Response::into_inner),
            Err(_) => Err(late()),
        }
    }

    /// Octets of the message of a signed URL.
    ///
    /// # Errors
    /// As [`Self::fetch`].
    pub async fn content_url(&self, mut request: pb::ContentUrlRequest) -> Result<ContentStream, Status> {
        request.request.get_or_insert_default().packed = true;
        match timed("content_url", timeout(DEADLINE, self.0.clone().content_url(request))).await {
            Ok(reply) => reply.map(|reply| ContentStream::new(reply.into_inner())),
            Err(_) => Err(late()),
        }
    }

    /// APPEND. No deadline of ours: the client's octets come as slowly as the client sends them.
    ///
    /// # Errors
    /// The status codes named in the `.proto` file.
    pub async fn append<S>(&self, steps: S) -> Result<pb::AppendReply, Status>
    where
        S: tokio_stream::Stream<Item = pb::AppendRequest> + Send + 'static,
    {
        self.0.clone().append(steps).await.map(tonic::Response::into_inner)
    }

    /// A delivery. No deadline of ours until the octets are there.
    ///
    /// # Errors
    /// The status codes named in the `.proto` file.
    pub async fn deliver<S>(&self, steps: S) -> Result<Streaming<pb::DeliverResult>, Status>
    where
        S: tokio_stream::Stream<Item = pb::DeliverRequest> + Send + 'static,
    {
        self.0.clone().deliver(steps).await.map(tonic::Response::into_inner)
    }
}

/// Client of the auth service.
#[derive(Clone)]
pub struct AuthClient(auth_client::AuthClient<Transport>);

impl AuthClient {
    /// Over this transport.
    pub fn new(transport: Transport) -> Self {
        Self(auth_client::AuthClient::new(transport))
    }

    unary!(/// Checks a password.
        read authenticate(pb::AuthenticateRequest) -> pb::Login);
    unary!(/// A new grant for an old one.
        read renew(pb::RenewRequest) -> pb::Login);
    unary!(/// Whose address?
        read resolve(pb::ResolveRequest) -> pb::ResolveReply);
}
