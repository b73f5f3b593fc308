//! Step graphs.
