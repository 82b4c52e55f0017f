//! mailbox-storage
