//! imap-gateway
