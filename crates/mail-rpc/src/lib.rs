//! mail-rpc
