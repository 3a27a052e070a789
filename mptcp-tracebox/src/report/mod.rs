//! What was found out, for people and programs.

pub(crate) mod plain;
