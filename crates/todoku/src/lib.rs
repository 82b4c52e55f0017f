//! todoku
