//! mailbox-hints
