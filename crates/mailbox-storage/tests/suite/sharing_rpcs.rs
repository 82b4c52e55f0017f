//! Which rpcs of the contract name the owner of a mailbox.

/// What `what_is_not_shared_is_not_there` asks for another's mailbox.
const NAMING_AN_OWNER: [&str; 22] = [
    "Append",
    "Changes",
    "CheckModSeqs",
    "Content",
    "Copy",
    "Create",
    "Delete",
    "Expunge",
    "Fetch",
    "FuzzySearch",
    "GetAcl",
    "GetMetadata",
    "MyRights",
    "Open",
    "Rename",
    "Search",
    "SetAcl",
    "SetMetadata",
    "SortKeys",
    "Status",
    "StoreFlags",
    "Vanished",
];
/// These know the grant's own account only.
const OWN_ACCOUNT_ONLY: [&str; 14] = [
    "ContentUrl",
    "FetchUrl",
    "ResetUrlKeys",
    "SignUrls",
    "CheckRoom",
    "ConfirmDeliveries",
    "Deliver",
    "GetQuota",
    "List",
    "OpenMaildrop",
    "Provision",
    "Purge",
    "SetQuota",
    "Subscribe",
];

/// A new rpc is put into one of the lists, and if it names an owner, into the test below.
#[test]
fn no_rpc_is_forgotten() {
    let contract = include_str!("../../../../proto/todoku/v1/mailbox.proto");
    let name = |line: &'static str| line.trim().strip_prefix("rpc ")?.split_once('(').map(|(name, _)| name);
    let known = [&NAMING_AN_OWNER[..], &OWN_ACCOUNT_ONLY].concat();
    let forgotten: Vec<&str> =
        contract.lines().filter_map(name).filter(|name| !known.contains(name)).collect();
    assert_eq!(forgotten, Vec::<&str>::new());
    for rpc in OWN_ACCOUNT_ONLY {
        let message = format!("message {rpc}Request {{");
        let fields = contract.split_once(&message).and_then(|(_, rest)| rest.split_once('}'));
        assert!(fields.is_none_or(|(fields, _)| !fields.contains("owner")), "{rpc} names an owner");
    }
}
