//! pop3-gateway
