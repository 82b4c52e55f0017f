//! PostgreSQL
use crate::StorageError;
pub(crate) struct Postgres;
