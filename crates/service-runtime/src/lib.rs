//! service-runtime
