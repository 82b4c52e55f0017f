//! Somebody who uses a mailbox of another's, and short ways to do it.

use bytes::Bytes;
use mail_rpc::pb::set_acl_request::How;
use mail_rpc::pb::store_flags_request::How as Change;
use mail_rpc::{Right, pb};
use mail_types::{AccountId, Rights};
use tonic::{Code, Status};

use crate::fixture::*;

pub(crate) const CAROL: AccountId = AccountId::new(9);

/// Somebody who calls the service.
pub(crate) struct Caller<'a> {
    pub(crate) store: &'a Store,
    pub(crate) grant: Bytes,
    /// Whose mail it asks for; 0: its own.
    pub(crate) owner: u64,
}

impl Store {
    pub(crate) fn reader(&self, account: AccountId) -> Caller<'_> {
        Caller { store: self, grant: self.grant(account, Right::Own), owner: ALICE.get() }
    }
    pub(crate) fn owner(&self) -> Caller<'_> {
        Caller { store: self, grant: self.alice(), owner: 0 }
    }
    pub(crate) async fn share(&self, name: &str, grantee: AccountId, rights: &str) {
        self.owner().set_acl(name, (grantee, false), How::Replace, rights).await.unwrap();
    }
    pub(crate) async fn readers(&self) -> (Caller<'_>, Caller<'_>) {
        self.provision(BOB).await;
        self.provision(CAROL).await;
        (self.reader(BOB), self.reader(CAROL))
    }
}

impl Caller<'_> {
    pub(crate) fn grant(&self) -> Bytes {
        self.grant.clone()
    }
    pub(crate) async fn set_acl(
        &self,
        name: &str,
        (grantee, negative): (AccountId, bool),
        how: How,
        rights: &str,
    ) -> Result<pb::SetAclReply, Status> {
        let rights = Rights::parse(rights).unwrap().bits();
        let (grantee, address) = (grantee.get(), format!("user{grantee}@example.org"));
        let request = pb::SetAclRequest {
            grant: self.grant(),
            owner: self.owner,
            name: name.into(),
            how: how.into(),
            entry: Some(pb::AclEntry { grantee, negative, address, rights }),
            owner_address: "alice@example.org".into(),
        };
        self.store.client.set_acl(request).await
    }
    pub(crate) async fn acl(&self, name: &str) -> Result<Vec<(u64, bool, String)>, Status> {
        let request = pb::GetAclRequest { grant: self.grant(), owner: self.owner, name: name.into() };
        let acl = self.store.client.get_acl(request).await?;
        let show = |entry: &pb::AclEntry| {
            (entry.grantee, entry.negative, Rights::from_bits(entry.rights).to_string())
        };
        Ok(acl.entries.iter().map(show).collect())
    }
    pub(crate) async fn annotations(&self, name: &str) -> Result<Vec<String>, Status> {
        let request = pb::GetMetadataRequest {
            grant: self.grant(),
            owner: self.owner,
            of: Some(pb::get_metadata_request::Of::Mailbox(name.into())),
            ..Default::default()
        };
        let reply = self.store.client.get_metadata(request).await?;
        Ok(reply.annotations.into_iter().map(|annotation| annotation.entry).collect())
    }
    pub(crate) async fn annotate(
        &self,
        name: &str,
        entry: &str,
        value: &'static str,
    ) -> Result<pb::SetMetadataReply, Status> {
        let value = Some(Bytes::from_static(value.as_bytes()));
        let request = pb::SetMetadataRequest {
            grant: self.grant(),
            owner: self.owner,
            of: Some(pb::set_metadata_request::Of::Mailbox(name.into())),
            annotations: vec![pb::Annotation { entry: entry.into(), value, ..Default::default() }],
        };
        self.store.client.set_metadata(request).await
    }
    pub(crate) async fn my_rights(&self, name: &str) -> Result<String, Status> {
        let request = pb::MyRightsRequest { grant: self.grant(), owner: self.owner, name: name.into() };
        let reply = self.store.client.my_rights(request).await?;
        Ok(Rights::from_bits(reply.rights).to_string())
    }
    pub(crate) async fn status(&self, name: &str) -> Result<pb::MailboxState, Status> {
        let request = pb::StatusRequest { grant: self.grant(), owner: self.owner, name: name.into() };
        self.store.client.status(request).await
    }
    pub(crate) async fn open(&self, name: &str) -> Result<pb::SyncReply, Status> {
        let request = pb::OpenRequest {
            grant: self.grant(),
            owner: self.owner,
            name: name.into(),
            access: pb::Access::ReadWrite.into(),
            known: None,
        };
        self.store.client.open(request).await
    }
    pub(crate) async fn changes(&self, known: pb::Known) -> Result<pb::SyncReply, Status> {
        let request = pb::ChangesRequest {
            grant: self.grant(),
            owner: self.owner,
            known: Some(known),
            access: pb::Access::ReadWrite.into(),
        };
        self.store.client.changes(request).await
    }
    pub(crate) async fn store(
        &self,
        mailbox_id: u64,
        uids: &str,
        how: Change,
        flags: pb::FlagSet,
        unchanged_since: Option<u64>,
    ) -> Result<pb::StoreFlagsReply, Status> {
        let request = pb::StoreFlagsRequest {
            grant: self.grant(),
            owner: self.owner,
            mailbox_id,
            uids: ranges(uids),
            how: how.into(),
            flags: Some(flags),
            unchanged_since,
            known_modseq: 0,
        };
        self.store.client.store_flags(request).await
    }
    pub(crate) async fn append(
        &self,
        name: &str,
        flags: pb::FlagSet,
        subject: &str,
    ) -> Result<pb::AppendReply, Status> {
        let messages = [(flags, message(subject))];
        let mut steps = append_steps(self.grant(), name, &messages, b"");
        if let Some(pb::append_request::Step::Start(start)) = &mut steps[0].step {
            start.owner = self.owner;
        }
        self.store.client.append(tokio_stream::iter(steps)).await
    }
    pub(crate) async fn expunge(&self, mailbox_id: u64, uids: &str) -> Result<pb::ExpungeReply, Status> {
        let request = pb::ExpungeRequest {
            grant: self.grant(),
            owner: self.owner,
            mailbox_id,
            uids: ranges(uids),
            which: pb::expunge_request::Which::Deleted.into(),
            known_modseq: 0,
        };
        self.store.client.expunge(request).await
    }
    pub(crate) async fn copy(
        &self,
        (owner, mailbox_id): (u64, u64),
        uids: &str,
        (destination_owner, destination): (u64, &str),
        mode: pb::copy_request::Mode,
    ) -> Result<pb::CopyReply, Status> {
        let request = pb::CopyRequest {
            grant: self.grant(),
            owner,
            mailbox_id,
            uids: ranges(uids),
            destination_owner,
            destination: destination.into(),
            mode: mode.into(),
            known_modseq: 0,
        };
        self.store.client.copy(request).await
    }
    pub(crate) async fn create(&self, name: &str) -> Result<pb::MailboxState, Status> {
        let (grant, owner, name) = (self.grant(), self.owner, name.into());
        self.store.client.create(pb::CreateRequest { grant, owner, name, special_use: 0 }).await
    }
    pub(crate) async fn delete(&self, name: &str) -> Result<pb::DeleteReply, Status> {
        let (grant, owner, name) = (self.grant(), self.owner, name.into());
        self.store.client.delete(pb::DeleteRequest { grant, owner, name }).await
    }
    pub(crate) async fn rename(&self, from: &str, to: &str) -> Result<pb::RenameReply, Status> {
        let (grant, owner) = (self.grant(), self.owner);
        let request = pb::RenameRequest { grant, owner, from: from.into(), to: to.into() };
        self.store.client.rename(request).await
    }
    pub(crate) async fn shared(&self) -> Vec<(u64, String, String)> {
        let list = self.store.client.list(pb::ListRequest { grant: self.grant() }).await.unwrap();
        let show = |shared: pb::SharedMailbox| {
            let state = shared.state.unwrap();
            (shared.owner, state.name, Rights::from_bits(state.rights).to_string())
        };
        list.shared.into_iter().map(show).collect()
    }
    pub(crate) async fn fetched(&self, mailbox_id: u64) -> Result<usize, Status> {
        let (grant, owner, uids) = (self.grant(), self.owner, ranges("1:9"));
        let request = pb::FetchRequest { grant, owner, mailbox_id, uids, ..Default::default() };
        let mut pages = self.store.client.fetch(request).await?;
        let mut count = 0;
        while let Some(page) = pages.message().await? {
            count += page.messages.len();
        }
        Ok(count)
    }
    pub(crate) async fn octets(&self, mailbox_id: u64, uid: u32) -> Result<Vec<u8>, Status> {
        let (grant, owner) = (self.grant(), self.owner);
        let ranges = vec![pb::ContentRange { uid, offset: 0, length: 0 }];
        let mut chunks = self
            .store
            .client
            .content(pb::ContentRequest { grant, owner, mailbox_id, ranges, packed: false })
            .await?;
        let mut octets = Vec::new();
        while let Some(chunk) = chunks.message().await? {
            octets.extend_from_slice(&chunk.data);
        }
        Ok(octets)
    }
}

pub(crate) fn refused<T: std::fmt::Debug>(result: Result<T, Status>) -> (Code, String) {
    let status = result.unwrap_err();
    (status.code(), status.message().to_owned())
}

pub(crate) fn id(reply: &pb::SyncReply) -> u64 {
    reply.state.as_ref().unwrap().mailbox_id
}
