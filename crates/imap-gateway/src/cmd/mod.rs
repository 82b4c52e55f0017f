//! The commands, a file for each or for a few that belong together.

mod acl;
mod append;
mod catenate;
pub(crate) mod context;
mod copy;
mod expunge;
pub(crate) mod fetch;
pub(crate) mod idle;
pub(crate) mod list;
mod login;
mod mailbox;
pub(crate) mod metadata;
mod multisearch;
mod quota;
mod replace;
mod report;
mod search;
mod select;
mod session;
mod sort;
pub(crate) mod status;
mod store;
mod thread;
mod uid_batches;
mod url_auth;

use imap_wire::{CommandBody, Tag};

use crate::error::{CmdError, CmdResult};
use crate::session::Session;

/// Executes a command that its state allows.
pub(crate) async fn execute(session: &mut Session, tag: &Tag, body: CommandBody) -> CmdResult {
    use CommandBody as C;
    match body {
        C::Capability => session::capability(session),
        C::Noop => session::noop(session).await,
        C::Logout => session::logout(session),
        C::Id(_) => session::id(session),
        C::StartTls => session::start_tls(session, tag).await,
        C::Enable(names) => session::enable(session, &names).await,
        C::Language(ranges) => session::language(session, &ranges),
        C::Unauthenticate => session::unauthenticate(session, tag).await,
        C::Compress(mechanism) => session::compress(session, tag, &mechanism).await,
        C::Namespace => session::namespace(session),
        C::Authenticate { mechanism, initial } => login::authenticate(session, &mechanism, initial).await,
        C::Login { user, password } => login::login(session, &user, &password).await,
        C::Select(select) => select::select(session, select).await,
        C::Examine(select) => select::examine(session, select).await,
        C::Create { mailbox, special_use } => mailbox::create(session, &mailbox, &special_use).await,
        C::Delete(name) => mailbox::delete(session, &name).await,
        C::Rename { from, to } => mailbox::rename(session, &from, &to).await,
        C::Subscribe(name) => mailbox::subscribe(session, &name).await,
        C::Unsubscribe(name) => mailbox::unsubscribe(session, &name).await,
        C::List(list) => list::list(session, &list).await,
        C::Lsub(lsub) => list::lsub(session, &lsub).await,
        C::Status { mailbox, items } => status::status(session, &mailbox, &items).await,
        C::Append(append) => append::append(session, append).await,
        C::Replace(replace) => replace::replace(session, replace).await,
        C::Notify(notify) => crate::notify::notify(session, notify).await,
        C::GetMetadata(get) => metadata::get(session, get).await,
        C::SetMetadata { mailbox, entries } => metadata::set(session, mailbox, entries).await,
        C::GenUrlAuth(urls) => url_auth::generate(session, urls).await,
        C::ResetKey { mailbox, mechanisms } => url_auth::reset(session, mailbox, &mechanisms).await,
        C::UrlFetch(urls) => url_auth::fetch(session, urls).await,
        C::SetAcl(set) => acl::set_acl(session, set).await,
        C::DeleteAcl { mailbox, identifier } => acl::delete_acl(session, &mailbox, &identifier).await,
        C::GetAcl(name) => acl::get_acl(session, &name).await,
        C::ListRights { mailbox, identifier } => acl::list_rights(session, &mailbox, &identifier).await,
        C::MyRights(name) => acl::my_rights(session, &name).await,
        C::GetQuota(root) => quota::get_quota(session, &root).await,
        C::GetQuotaRoot(name) => quota::get_quota_root(session, &name).await,
        C::SetQuota { .. } => quota::set_quota(),
        C::Check => expunge::check(session).await,
        C::Close => expunge::close(session).await,
        C::Unselect => expunge::unselect(session),
        C::Expunge(set) => expunge::expunge(session, set).await,
        C::Search(search) if search.mailboxes.is_some() => multisearch::esearch(session, tag, &search).await,
        C::Search(search) => search::search(session, tag, search).await,
        C::UidBatches { size, range } => uid_batches::uid_batches(session, tag, size, range).await,
        C::CancelUpdate(tags) => context::cancel_update(session, &tags),
        C::Sort(sort) => sort::sort(session, tag, sort).await,
        C::Thread(thread) => thread::thread(session, thread).await,
        C::Fetch(fetch) => fetch::fetch(session, fetch).await,
        C::Store(store) => store::store(session, store).await,
        C::Copy { by, set, mailbox } => copy::copy(session, by, &set, &mailbox).await,
        C::Move { by, set, mailbox } => copy::move_messages(session, by, &set, &mailbox).await,
        // The table in `state` lets none of the others through.
        _ => Err(CmdError::bad("Command not offered")),
    }
}
