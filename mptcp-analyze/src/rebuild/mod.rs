//! rebuild

pub(crate) mod data;
