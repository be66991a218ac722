//! writer
pub mod plan;
