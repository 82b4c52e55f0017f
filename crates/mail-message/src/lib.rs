//! mail-message
