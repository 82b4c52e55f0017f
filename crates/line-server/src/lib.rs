//! line-server
